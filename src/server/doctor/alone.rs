//! Examines a machine on which no server runs: the parts that have ports are started for the time
//! of the checks.

use super::{
    check::{CertificateSource, PortProblem},
    examine::Subject,
    facts::{CertificateFact, PortFact, ServerState},
};
use crate::server::{
    addresses::{AddressWatch, Advertised},
    config::Config,
    error::ServeError,
    net::{RequestRateLimiter, listener::Listeners},
    rooms::Relays,
    sfu::{Sfu, SfuError, SfuOptions},
    store,
    tls::{Certificate, CertificateFacts, ServerTls, TlsMode},
    turn::TurnError,
    turn_relay,
};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
};

/// The problem of an address that cannot be bound.
pub fn port_fact(
    setting: &'static str,
    address: SocketAddr,
    error: &io::Error,
    is_optional: bool,
) -> PortFact {
    let problem = match error.kind() {
        ErrorKind::AddrInUse => PortProblem::Taken,
        ErrorKind::PermissionDenied if address.port() < 1024 => PortProblem::Forbidden,
        ErrorKind::AddrNotAvailable => PortProblem::NotHere,
        _ => PortProblem::Other(error.to_string()),
    };
    PortFact {
        setting,
        address,
        problem,
        is_optional,
    }
}

/// A machine with these settings on which no server runs, and the listeners that are held for the
/// time of the checks.
pub async fn subject(config: Config) -> (Subject, Vec<Listeners>) {
    let config = Arc::new(config);
    let (mut ports, mut held) = (Vec::new(), Vec::new());
    let mut subject = Subject {
        state: ServerState::Alone,
        certificate: certificate(&config),
        config: config.clone(),
        ports: Vec::new(),
        sfu: None,
        relays: None,
        arrivals: None,
        store_problem: None,
    };
    if store::is_in_use(&config.database()) {
        subject.state = ServerState::Silent;
        return (subject, held);
    }
    let http = config.http_listen.as_ref();
    let listeners = [
        ("--listen", Some(config.listen), false),
        (
            "--http-listen",
            http.map(|http| http.address),
            http.is_some_and(|http| http.is_default),
        ),
        ("--metrics-listen", config.metrics_listen, false),
    ];
    for (setting, address, is_optional) in listeners {
        let Some(address) = address else { continue };
        match Listeners::bind(setting, address) {
            Ok(bound) => held.push(bound),
            Err(error) => ports.push(port_fact(setting, address, &error, is_optional)),
        }
    }
    match start_media(&config).await {
        Ok((sfu, advertised)) => {
            match start_turn(&config, &sfu, &advertised).await {
                Ok(relays) => subject.relays = relays,
                Err(fact) => ports.push(fact),
            }
            subject.sfu = Some(sfu);
        }
        Err(fact) => ports.push(fact),
    }
    name_own_conflicts(&config, &mut ports);
    subject.ports = ports;
    (subject, held)
}

/// Says which other setting has a port, where it is one of this server.
fn name_own_conflicts(config: &Config, ports: &mut [PortFact]) {
    let http = config.http_listen.map(|http| http.address);
    let own = [
        ("--listen", Some(config.listen)),
        ("--http-listen", http),
        ("--metrics-listen", config.metrics_listen),
        ("--media-listen", Some(config.media_listen)),
        ("--turn-listen", config.turn_listen),
    ];
    let failed: Vec<_> = ports.iter().map(|fact| fact.setting).collect();
    for fact in ports {
        let port = fact.address.port();
        let mut others = own.iter().filter(|(setting, _)| !failed.contains(setting));
        let other = others.find(|(_, address)| address.is_some_and(|own| own.port() == port));
        if let (PortProblem::Taken, Some((other, _))) = (&fact.problem, other) {
            fact.problem = PortProblem::Other(format!("{other} has the same port"));
        }
    }
}

/// Starts the SFU at its addresses.
async fn start_media(config: &Config) -> Result<(Sfu, Vec<Advertised>), PortFact> {
    let options = SfuOptions {
        listen: config.media_listen,
        shards: config.media_threads,
    };
    let sfu = Sfu::start(&options).map_err(|error| {
        let (address, error) = match error {
            SfuError::Listen { address, error } => (address, error),
            other @ (SfuError::Thread(_) | SfuError::Certificate) => {
                (config.media_listen, io::Error::other(other.to_string()))
            }
        };
        port_fact("--media-listen", address, &error, false)
    })?;
    let mut addresses = AddressWatch::new(
        &config.media_ip,
        config.media_listen.ip(),
        sfu.families(),
        &config.media_interfaces,
    );
    let advertised = addresses.current().await;
    sfu.set_addresses(&advertised);
    Ok((sfu, advertised))
}

/// Starts the TURN server; `None` if it is off.
async fn start_turn(
    config: &Config,
    sfu: &Sfu,
    advertised: &[Advertised],
) -> Result<Option<Arc<dyn Relays>>, PortFact> {
    let Some(listen) = config.turn_listen else {
        return Ok(None);
    };
    let rates = RequestRateLimiter::new(config.request_rates, config.total_rates);
    // A certificate that cannot be used is a finding of its own.
    let tls = match &config.tls {
        Some(TlsMode::Files(files)) => Certificate::read(files).ok(),
        Some(TlsMode::Acme(_) | TlsMode::SelfSigned) | None => None,
    };
    let tls = tls.map(|certificate| ServerTls::Files(Arc::new(certificate)));
    let started = turn_relay::start(config, sfu, advertised, tls.as_ref(), Arc::new(rates)).await;
    match started {
        Ok(relay) => Ok(relay.map(|relay| relay as Arc<dyn Relays>)),
        Err(ServeError::Turn(TurnError::Bind { address, source })) => {
            let is_tls = config.turn_tls.as_ref().map(|tls| tls.listen) == Some(address);
            let setting = if is_tls {
                "--turn-tls-listen"
            } else {
                "--turn-listen"
            };
            Err(port_fact(setting, address, &source, false))
        }
        Err(other) => {
            let error = io::Error::other(other.to_string());
            Err(port_fact("--turn-listen", listen, &error, false))
        }
    }
}

/// The certificate that a server with these settings would have. Writes nothing.
fn certificate(config: &Config) -> CertificateFact {
    match &config.tls {
        None => CertificateFact::None,
        Some(TlsMode::SelfSigned) => CertificateFact::NotMade,
        Some(mode @ TlsMode::Files(_)) => of_files(mode, None),
        Some(mode @ TlsMode::Acme(_)) if config.data_dir.join("tls").is_dir() => {
            match ServerTls::open(mode, &config.data_dir, Vec::new(), &[]) {
                Ok(tls) if !tls.is_temporary() => in_use(CertificateSource::Acme, &tls),
                Ok(_) => CertificateFact::NotMade,
                Err(error) => CertificateFact::Unusable(error.to_string()),
            }
        }
        Some(TlsMode::Acme(_)) => CertificateFact::NotMade,
    }
}

/// The certificate of files: as the server serves it, if one runs, otherwise as they are.
pub fn of_files(mode: &TlsMode, served: Option<&ServerTls>) -> CertificateFact {
    let TlsMode::Files(files) = mode else {
        return CertificateFact::None;
    };
    match (Certificate::read(files), served) {
        (Err(error), _) => CertificateFact::Unusable(error.to_string()),
        (Ok(_), Some(tls)) => in_use(CertificateSource::Files, tls),
        (Ok(read), None) => {
            let tls = ServerTls::Files(Arc::new(read));
            in_use(CertificateSource::Files, &tls)
        }
    }
}

/// A certificate in use.
pub fn in_use(source: CertificateSource, tls: &ServerTls) -> CertificateFact {
    let facts: Option<CertificateFacts> = tls.facts();
    match facts {
        Some(facts) => CertificateFact::InUse {
            source,
            facts,
            is_temporary: tls.is_temporary(),
            failure: tls.failure().map(|failure| failure.reason),
        },
        None => CertificateFact::Unusable("the certificate in use cannot be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_the_system_decides_what_is_said_about_a_port() {
        let problem = |address: &str, kind: ErrorKind| {
            let address = address.parse().expect("an address");
            port_fact("--listen", address, &kind.into(), false).problem
        };
        let low = "0.0.0.0:443";
        assert_eq!(problem(low, ErrorKind::AddrInUse), PortProblem::Taken);
        let forbidden = ErrorKind::PermissionDenied;
        assert_eq!(problem(low, forbidden), PortProblem::Forbidden);
        let absent = ErrorKind::AddrNotAvailable;
        assert_eq!(problem(low, absent), PortProblem::NotHere);
        let other = problem("0.0.0.0:4430", forbidden);
        assert!(matches!(other, PortProblem::Other(_)), "{other:?}");
    }
}
