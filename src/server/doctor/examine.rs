//! Gathers the facts: every probe at the same time, each with a time limit.

use super::{
    arrivals::{Arrivals, HEADER},
    check::CertificateSource,
    facts::{
        CertificateFact, ClockFact, DatabaseFact, DiskFact, Facts, KeptFilesFact, NameFact,
        PortFact, ServerState, SiteAnswer, SiteFact,
    },
    http_probe::{Answer, Target},
    media_probe, turn_probe,
};
use crate::server::{
    addresses::machine_addresses,
    config::Config,
    disk,
    limits::MAX_SOCKETS,
    rooms::Relays,
    sfu::Sfu,
    store::{self, FileError},
    tls::{CertificateFacts, TlsMode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use std::{
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::lookup_host, time::timeout};

/// Time limit of one request. 3 s: the other side may be on another continent.
const REQUEST: Duration = Duration::from_secs(3);
/// Time limit of one DNS lookup.
const LOOKUP: Duration = Duration::from_secs(3);
/// Time limit of the check of the database. 5 s: a gigabyte on a fast disk.
const DATABASE: Duration = Duration::from_secs(5);
/// Time limit of the check of kept files. 5 s: a hundred thousand on a slow disk.
const KEPT_FILES: Duration = Duration::from_secs(5);
/// Addresses used of one name.
const MAX_OF_NAME: usize = 8;
/// Where Linux says how large the buffers of sockets may be.
const RECEIVE_BUFFER: &str = "/proc/sys/net/core/rmem_max";

/// The server that is examined, as far as it runs.
pub struct Subject {
    /// Who makes the checks.
    pub state: ServerState,
    /// The settings of the server.
    pub config: Arc<Config>,
    /// Addresses that cannot be bound.
    pub ports: Vec<PortFact>,
    /// The SFU, if it could start.
    pub sfu: Option<Sfu>,
    /// The TURN server, if it could start.
    pub relays: Option<Arc<dyn Relays>>,
    /// The certificate of the server.
    pub certificate: CertificateFact,
    /// Where requests of the checks are recorded; `None` if no server runs.
    pub arrivals: Option<Arc<Arrivals>>,
    /// Why the running server stores nothing.
    pub store_problem: Option<String>,
}

/// Gathers the facts. Takes 6 s at most, two requests, unless the disk hangs, which ends after 10 s.
pub async fn examine(subject: Subject) -> Facts {
    let Subject {
        state,
        config,
        ports,
        sfu,
        relays,
        certificate,
        arrivals,
        store_problem,
    } = subject;
    let media = async {
        match &sfu {
            Some(sfu) => media_probe::media(sfu).await,
            None => Vec::new(),
        }
    };
    let turn = async {
        match &relays {
            Some(relays) => Some(turn_probe::turn(relays.as_ref()).await),
            None if config.turn_listen.is_some() => Some(Vec::new()),
            None => None,
        }
    };
    let own = machine_addresses();
    let (media, turn, names, site, clock, (disk, database), kept_files) = tokio::join!(
        media,
        turn,
        names(&config),
        site(&config, arrivals.as_deref()),
        clock(&config),
        data(&config, store_problem),
        kept_files(config.clone()),
    );
    let (site, of_proxy) = site.unzip();
    let certificate = match (certificate, of_proxy.flatten()) {
        (CertificateFact::None, Some(facts)) => CertificateFact::InUse {
            source: CertificateSource::Proxy,
            facts,
            is_temporary: false,
            failure: None,
        },
        (own, _) => own,
    };
    let offered = sfu.map(|sfu| sfu.candidates()).unwrap_or_default();
    let mut offered: Vec<_> = offered.into_iter().map(|address| address.ip()).collect();
    offered.sort_unstable();
    offered.dedup();
    Facts {
        now: SystemTime::now(),
        server: state,
        ports,
        offered,
        own,
        media,
        turn,
        certificate,
        names,
        site,
        clock,
        disk,
        database,
        kept_files,
        open_files: open_files(),
        wanted_files: (MAX_SOCKETS + config.max_connections) as u64,
        receive_buffer: receive_buffer(),
    }
}

/// The names of the server with their addresses.
async fn names(config: &Config) -> Vec<NameFact> {
    let public = config.public_url.as_ref().map(|url| url.host().to_owned());
    let mut names: Vec<String> = config.domains.iter().cloned().chain(public).collect();
    names.retain(|name| name.trim_matches(['[', ']']).parse::<IpAddr>().is_err());
    names.sort_unstable();
    names.dedup();
    join_all(names.into_iter().map(resolve)).await
}

/// A name with its addresses.
async fn resolve(name: String) -> NameFact {
    let found = timeout(LOOKUP, lookup_host((name.as_str(), 0))).await;
    let mut ips = Vec::new();
    for address in found.into_iter().flatten().flatten() {
        let ip = address.ip().to_canonical();
        if ips.len() < MAX_OF_NAME && !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    NameFact { name, found: ips }
}

/// The public address of the server, if the settings name one.
fn public_address(config: &Config) -> Option<String> {
    let named = config.public_url.as_ref().map(ToString::to_string);
    let of_certificate = || {
        let host = config.tls.as_ref()?.host()?;
        let host = match host.parse() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            Ok(IpAddr::V4(_)) | Err(_) => host,
        };
        Some(match config.listen.port() {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        })
    };
    named.or_else(of_certificate)
}

/// What answers at the public address, and the certificate there. `None` without an address, or if
/// no server runs.
async fn site(
    config: &Config,
    arrivals: Option<&Arrivals>,
) -> Option<(SiteFact, Option<CertificateFacts>)> {
    let (url, arrivals) = (public_address(config)?, arrivals?);
    let target = Target::parse(&url)?;
    let mark = arrivals.expect();
    let headers = format!("Connection: close\r\n{HEADER}: {mark}\r\n");
    let plain = ask(
        &target.at(&config.base_path.address("/healthz")),
        "GET",
        &headers,
    )
    .await;
    let arrival = arrivals.take();
    let certificate = plain.as_ref().ok();
    let certificate = certificate.and_then(|answer| answer.certificate.clone());
    let answer = match plain {
        Err(reason) => Err(reason),
        Ok(plain) => {
            let mark = arrivals.expect();
            let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
            let headers = format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: {key}\r\nOrigin: {url}\r\n{HEADER}: {mark}\r\n"
            );
            let socket = ask(
                &target.at(&config.base_path.address("/ws")),
                "GET",
                &headers,
            )
            .await;
            let came = arrivals.take();
            Ok(SiteAnswer {
                status: plain.status,
                arrival,
                sent_from: plain.sent_from,
                is_tls: target.is_tls,
                socket_status: socket.map_or(0, |answer| answer.status),
                has_upgrade: came.is_some_and(|arrival| arrival.has_upgrade),
            })
        }
    };
    let is_address = target.host.parse::<IpAddr>().is_ok();
    let fact = SiteFact {
        url,
        name: (!is_address).then_some(target.host),
        port: config.listen.port(),
        answer,
    };
    Some((fact, certificate))
}

/// Sends a request within the time limit.
async fn ask(target: &Target, method: &str, headers: &str) -> Result<Answer, String> {
    let answer = timeout(REQUEST, target.ask(method, headers, false)).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    answer.map_err(|error| error.to_string())
}

/// The clock of the certificate authority.
async fn clock(config: &Config) -> ClockFact {
    let Some(TlsMode::Acme(options)) = &config.tls else {
        return ClockFact::NoAuthority;
    };
    let Some(target) = Target::parse(&options.directory) else {
        return ClockFact::NoAuthority;
    };
    let answer = ask(&target, "GET", "Connection: close\r\n").await;
    let ours = SystemTime::now();
    let silent = |reason: String| ClockFact::Silent {
        host: target.host.clone(),
        reason,
    };
    match answer {
        Err(reason) => silent(reason),
        Ok(answer) => {
            let date = answer.header("date");
            match date.and_then(|date| httpdate::parse_http_date(date).ok()) {
                Some(theirs) => ClockFact::Date { theirs, ours },
                None => silent("it does not say the time".to_owned()),
            }
        }
    }
}

/// The data directory and the database in it.
async fn data(config: &Arc<Config>, store_problem: Option<String>) -> (DiskFact, DatabaseFact) {
    let disk = DiskFact {
        directory: config.data_dir.clone(),
        free: None,
        least: disk::MIN_FREE_BYTES.max(config.store.quota.disk_reserve),
    };
    let (settings, known) = (config.clone(), disk.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let free = disk::free_bytes(&settings.data_dir).ok();
        (DiskFact { free, ..known }, database(&settings))
    });
    // A file system that hangs must not hang the report.
    let looked = timeout(2 * DATABASE, looked).await;
    let (disk, database) = looked.ok().and_then(Result::ok).unwrap_or_else(|| {
        let hangs = "the file system does not answer".to_owned();
        (disk, DatabaseFact::Fails(hangs))
    });
    let database = match (database, store_problem) {
        (DatabaseFact::Checked(store::Integrity::Sound), Some(problem)) => {
            DatabaseFact::Fails(problem)
        }
        (database, _) => database,
    };
    (disk, database)
}

/// Checks the database. Blocks.
fn database(config: &Config) -> DatabaseFact {
    let path = config.database();
    if !path.exists() {
        return DatabaseFact::Missing;
    }
    if let Err(refused) = store::check_rights(&path, config.store.rights) {
        return DatabaseFact::Refused(refused.to_string());
    }
    match store::integrity(&path, DATABASE) {
        Ok(integrity) => DatabaseFact::Checked(integrity),
        Err(error) => DatabaseFact::Fails(FileError::database(&path)(error).to_string()),
    }
}

/// The content of kept files; `None` where the database cannot be read.
async fn kept_files(config: Arc<Config>) -> Option<KeptFilesFact> {
    let looked = tokio::task::spawn_blocking(move || {
        let database = config.database();
        Some(KeptFilesFact {
            directory: store::ContentStore::beside(&database).root().to_owned(),
            check: store::check_files(&database, KEPT_FILES).ok()?,
        })
    });
    timeout(2 * KEPT_FILES, looked).await.ok()?.ok()?
}

/// How many files this process may open.
fn open_files() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // Without a value there is no limit.
    Some(limit.current.unwrap_or(u64::MAX))
}

/// Bytes that the kernel allows the buffer of a socket; `None` where it does not say.
fn receive_buffer() -> Option<u64> {
    let text = std::fs::read_to_string(RECEIVE_BUFFER).ok()?;
    text.trim().parse().ok()
}
