//! Calls, the SFU and the TURN server, put together: people get credentials for our own
//! relay, and what is relayed to the SFU stays inside the process.

use super::{
    config::Config,
    error::ServeError,
    metrics::describe,
    rooms::Relays,
    sfu::{RelayPath, Sfu},
    turn::{MediaPort, Relay, Turn, TurnLimits, TurnOptions},
};
use crate::protocol::{IceServer, ParticipantId, RoomName};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// The realm of the credentials; short, because each answer to a stranger holds it.
const REALM: &str = "noom";

/// Where TLS of the TURN server comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnTls {
    /// Where it is served.
    pub listen: SocketAddr,
    /// The certificate and what leads to its root, as PEM.
    pub certificate: std::path::PathBuf,
    /// Its key, as PEM.
    pub key: std::path::PathBuf,
}

/// The relay of this server.
struct Embedded {
    /// The server.
    turn: Turn,
    /// What browsers are told, without credentials.
    urls: Vec<String>,
}

/// Starts the TURN server the settings ask for; none where they say off.
///
/// # Errors
/// A port is taken, or a certificate cannot be read: the operator mends the setting named.
pub async fn start(config: &Config, sfu: &Sfu) -> Result<Option<Arc<dyn Relays>>, ServeError> {
    let Some(listen) = config.turn_listen else {
        return Ok(None);
    };
    let mut external: Vec<IpAddr> = sfu.candidates().map(|address| address.ip()).collect();
    external.dedup();
    let tls = config.turn_tls.as_ref().map(read_tls).transpose()?;
    let options = TurnOptions {
        listen,
        tls,
        external: external.clone(),
        realm: REALM.to_owned(),
        limits: TurnLimits::default(),
    };
    let turn = Turn::start(options, Arc::new(Port(sfu.clone()))).await?;
    sfu.set_relay(Arc::new(turn.relay()));
    let host = config.public_url.as_ref().map(|url| url.host().to_owned());
    let urls = urls(&external, &turn, host.as_deref());
    Ok(Some(Arc::new(Embedded { turn, urls })))
}

/// What browsers are told: each address by UDP and TCP, and TLS by the name it is for.
fn urls(external: &[IpAddr], turn: &Turn, host: Option<&str>) -> Vec<String> {
    let port = turn.address().port();
    let mut urls = Vec::new();
    let four = external.iter().find(|ip| ip.is_ipv4());
    let six = external.iter().find(|ip| ip.is_ipv6());
    for ip in [four, six].into_iter().flatten() {
        let address = SocketAddr::new(*ip, port);
        urls.push(format!("turn:{address}?transport=udp"));
        urls.push(format!("turn:{address}?transport=tcp"));
    }
    if let (Some(tls), Some(host)) = (turn.tls_address(), host) {
        urls.push(format!("turns:{host}:{}?transport=tcp", tls.port()));
    }
    urls
}

/// Reads the certificate.
fn read_tls(tls: &TurnTls) -> Result<(SocketAddr, Arc<ServerConfig>), ServeError> {
    let wrong = |setting: &'static str, file: &std::path::Path, error: String| {
        let file = file.display().to_string();
        ServeError::Certificate {
            setting,
            file,
            error,
        }
    };
    let chain = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong("--turn-tls-cert", &tls.certificate, e.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|e| wrong("--turn-tls-key", &tls.key, e.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| wrong("--turn-tls-cert", &tls.certificate, e.to_string()))?;
    Ok((tls.listen, Arc::new(config)))
}

/// A room's name in a user name: those have colons between their parts.
fn room_tag(room: &RoomName) -> String {
    let hash = Sha256::digest(room.as_str().as_bytes());
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Relays for Embedded {
    fn servers(&self, room: &RoomName, id: &ParticipantId) -> Vec<IceServer> {
        let credentials = self.turn.credentials(id.as_str(), &room_tag(room));
        let servers = credentials.map(|credentials| IceServer {
            urls: self.urls.clone(),
            username: Some(credentials.username),
            credential: Some(credentials.password),
        });
        servers.into_iter().collect()
    }

    fn forget(&self, room: &RoomName, id: &ParticipantId) {
        self.turn.forget(id.as_str(), &room_tag(room));
    }

    fn write_metrics(&self, text: &mut String) {
        let stats = self.turn.stats();
        let present = [
            (
                "allocations",
                "gauge",
                "Relay addresses given out.",
                stats.allocations as u64,
            ),
            (
                "streams",
                "gauge",
                "TCP connections of the relay.",
                stats.streams as u64,
            ),
            (
                "allocated_total",
                "counter",
                "Relay addresses ever given out.",
                stats.allocated_total,
            ),
        ];
        for (name, kind, help, value) in present {
            let name = format!("noom_turn_{name}");
            describe(text, &name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        let name = "noom_turn_bytes_total";
        describe(
            text,
            name,
            "counter",
            "Bytes relayed, from clients and to them.",
        );
        for (path, traffic) in [("udp", stats.udp), ("tcp", stats.tcp), ("tls", stats.tls)] {
            let (came, went) = (traffic.bytes_in, traffic.bytes_out);
            let _ = writeln!(text, "{name}{{path=\"{path}\",way=\"in\"}} {came}");
            let _ = writeln!(text, "{name}{{path=\"{path}\",way=\"out\"}} {went}");
        }
        let name = "noom_turn_refused_total";
        describe(
            text,
            name,
            "counter",
            "Requests to the relay that were refused.",
        );
        for (why, count) in stats.refused.iter().filter(|(_, count)| *count > 0) {
            let _ = writeln!(text, "{name}{{why=\"{why:?}\"}} {count}");
        }
    }
}

/// The SFU, as the TURN server sees it.
struct Port(Sfu);

impl MediaPort for Port {
    fn owns(&self, address: SocketAddr) -> bool {
        self.0.candidates().any(|candidate| candidate == address)
    }

    fn deliver(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.0.deliver(from, to, payload);
    }
}

impl RelayPath for Relay {
    fn owns(&self, address: SocketAddr) -> bool {
        Self::owns(self, address)
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        Self::send(self, from, to, bytes)
    }
}
