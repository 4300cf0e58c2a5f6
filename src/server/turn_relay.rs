//! Connects calls, the SFU and the TURN server: participants get credentials for the TURN server
//! of this process, and packets between TURN clients and the SFU stay inside the process.

use super::{
    addresses::{Advertised, first_of_both},
    config::Config,
    error::ServeError,
    metrics::Counter,
    net::RequestRateLimiter,
    rooms::{RelayUse, Relays},
    sfu::{RelayPath, Sfu},
    tls::{Certificate, ServerTls, TlsMode, turn_config},
    turn::{LocalPeer, RelaySender, Turn, TurnLimits, TurnOptions},
};
use crate::protocol::{IceServer, ParticipantId, RoomName};
use prometheus_client::{
    metrics::{counter::ConstCounter, family::Family, gauge::ConstGauge},
    registry::Registry,
};
use sha2::{Digest, Sha256};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
/// The realm of the credentials. Short, because each response to an unauthenticated client holds
/// it.
const REALM: &str = "noom";

/// Most addresses that TURN is offered at. 4: each has two URLs, and a browser makes an
/// allocation by every URL on each of its networks.
const MAX_OFFERED_ADDRESSES: usize = 4;

/// The TURN server of this process, with its certificate and the addresses it is offered at.
pub struct TurnRelay {
    /// Handle to the TURN server; the relay holds one for the life of the process.
    turn: Turn,
    /// Whether the operator configured the addresses. Such addresses are offered whatever the
    /// listeners are bound to, because of NAT.
    addresses_configured: bool,
    /// The host that the certificate of TURN over TLS is for.
    host: Option<String>,
    /// The certificate of TURN over TLS, if it has one of its own.
    certificate: Option<Arc<Certificate>>,
}

/// Starts the TURN server with these external addresses; `rates` limit what it relays. Returns
/// `None` if it is turned off.
///
/// # Errors
/// A port is in use, or a certificate cannot be read; the operator corrects the setting that the
/// error names.
pub async fn start(
    config: &Config,
    sfu: &Sfu,
    addresses: &[Advertised],
    server_tls: Option<&ServerTls>,
    rates: Arc<RequestRateLimiter>,
) -> Result<Option<Arc<TurnRelay>>, ServeError> {
    let Some(listen) = config.turn_listen else {
        return Ok(None);
    };
    let tls = config.turn_tls.as_ref();
    let files = tls.and_then(|tls| tls.files.as_ref());
    let certificate = files.map(Certificate::read).transpose()?.map(Arc::new);
    let served = match (&certificate, server_tls) {
        (Some(certificate), _) => Some(certificate.served()),
        (None, server_tls) => server_tls.map(ServerTls::served),
    };
    let offered = tls.map(|tls| tls.listen).zip(served);
    let options = TurnOptions {
        listen,
        tls: offered.map(|(listen, served)| (listen, turn_config(served))),
        external: ips(addresses),
        realm: REALM.to_owned(),
        limits: TurnLimits::default(),
        rates,
    };
    let turn = Turn::start(options, Arc::new(SfuPeer(sfu.clone()))).await?;
    sfu.set_relay(Arc::new(turn.relay()));
    Ok(Some(Arc::new(TurnRelay {
        turn,
        addresses_configured: !config.media_ip.is_empty(),
        host: tls_host(config),
        certificate,
    })))
}

/// The host that the certificate of TURN over TLS is for, if the settings name one.
fn tls_host(config: &Config) -> Option<String> {
    let public = config.public_url.as_ref().map(|url| url.host().to_owned());
    let domain = || config.domains.first().cloned();
    let named = || config.tls.as_ref().and_then(TlsMode::host);
    public.or_else(domain).or_else(named)
}

/// The distinct IP addresses of a list, in order.
fn ips(addresses: &[Advertised]) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    for advertised in addresses {
        if !ips.contains(&advertised.ip) {
            ips.push(advertised.ip);
        }
    }
    ips
}

impl TurnRelay {
    /// Replaces the external addresses. Existing allocations keep theirs.
    pub fn advertise(&self, addresses: &[Advertised]) {
        self.turn.set_external(ips(addresses));
    }

    /// The certificate of TURN over TLS, unless TLS is off.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }

    /// The URLs of the TURN server for browsers: UDP and TCP at each address, and TLS at the host of
    /// the certificate.
    fn urls(&self) -> Vec<String> {
        let mut offered = self.turn.external();
        if !self.addresses_configured {
            offered = self.turn.reachable(&offered);
        }
        let port = self.turn.address().port();
        let mut urls = Vec::new();
        for ip in first_of_both(&offered, MAX_OFFERED_ADDRESSES) {
            let address = SocketAddr::new(ip, port);
            urls.push(format!("turn:{address}?transport=udp"));
            urls.push(format!("turn:{address}?transport=tcp"));
        }
        if let Some(tls) = self.turn.tls_address() {
            // A local certificate is for the addresses.
            let address = || offered.first().map(|ip| host_of(*ip));
            if let Some(host) = self.host.clone().or_else(address) {
                urls.push(format!("turns:{host}:{}?transport=tcp", tls.port()));
            }
        }
        urls
    }
}

/// An address as the host of a URL: IPv6 in brackets (RFC 3986, 3.2.2).
fn host_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The first 64 bits of the SHA-256 of a room's name, in hex, and a mark of the use. Usernames hold it in place of the
/// name, which may contain colons.
fn room_hash(room: &RoomName, usage: RelayUse) -> String {
    let hash = Sha256::digest(room.as_str().as_bytes());
    let hash = hash.iter().take(8).map(|byte| format!("{byte:02x}"));
    let mark = match usage {
        RelayUse::Call => "",
        RelayUse::Direct => "d",
    };
    hash.chain([mark.to_owned()]).collect()
}

impl Relays for TurnRelay {
    fn servers(&self, room: &RoomName, id: &ParticipantId, usage: RelayUse) -> Vec<IceServer> {
        let credentials = self.turn.credentials(id.as_str(), &room_hash(room, usage));
        let servers = credentials.map(|credentials| IceServer {
            urls: self.urls(),
            username: Some(credentials.username),
            credential: Some(credentials.password),
        });
        servers.into_iter().collect()
    }

    fn forget(&self, room: &RoomName, id: &ParticipantId, usage: RelayUse) {
        self.turn.end_session(id.as_str(), &room_hash(room, usage));
    }

    fn register_metrics(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("turn");
        let stats = self.turn.stats();
        for (name, help, value) in [
            ("allocations", "TURN allocations now", stats.allocations),
            (
                "connections",
                "TCP and TLS connections to the TURN server now",
                stats.streams,
            ),
        ] {
            registry.register(name, help, ConstGauge::new(value));
        }
        registry.register(
            "allocated",
            "TURN allocations since the start",
            ConstCounter::new(stats.allocated_total),
        );
        let bytes = Family::<[(&str, &str); 2], Counter>::default();
        for (transport, traffic) in [("udp", stats.udp), ("tcp", stats.tcp), ("tls", stats.tls)] {
            for (direction, count) in [("received", traffic.bytes_in), ("sent", traffic.bytes_out)]
            {
                let labels = [("transport", transport), ("direction", direction)];
                bytes.get_or_create(&labels).inc_by(count);
            }
        }
        let help = "Payload bytes relayed, received from clients and sent to them";
        registry.register("relayed_bytes", help, bytes);
        let refusals = Family::<[(&str, u16); 1], Counter>::default();
        for (refusal, count) in stats.refusals {
            refusals
                .get_or_create(&[("code", refusal.code())])
                .inc_by(count);
        }
        let help = "TURN requests that were refused, by the code of the response";
        registry.register("refusals", help, refusals);
        let dropped = Family::<[(&str, &str); 1], Counter>::default();
        for (reason, count) in stats.dropped {
            dropped
                .get_or_create(&[("reason", reason.name())])
                .inc_by(count);
        }
        let help = "Packets and frames that TURN dropped without a response, by reason";
        registry.register("dropped_packets", help, dropped);
    }
}

/// The SFU, as the TURN server sees it.
struct SfuPeer(Sfu);

impl LocalPeer for SfuPeer {
    fn owns(&self, address: SocketAddr) -> bool {
        self.0.owns(address)
    }

    fn deliver(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.0.deliver_relayed(from, to, payload);
    }
}

impl RelayPath for RelaySender {
    fn owns(&self, address: SocketAddr) -> bool {
        Self::owns(self, address)
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> bool {
        Self::send(self, from, to, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::{FileLayer, Flags};
    use clap::Parser;

    fn at(ips: &[&str]) -> Vec<Advertised> {
        let parsed = ips.iter().map(|ip| ip.parse().expect("an address"));
        parsed.map(Advertised::at).collect()
    }

    /// A relay with these settings on a machine of these addresses.
    async fn relay(flags: &[&str], addresses: &[&str]) -> Arc<TurnRelay> {
        let own = [
            "noom",
            "--media-listen",
            "127.0.0.1:0",
            "--media-threads",
            "1",
        ];
        let words = own.iter().chain(flags).map(|word| (*word).to_owned());
        let flags = Flags::try_parse_from(words).expect("flags");
        let config = Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config");
        let sfu = Sfu::start(&crate::server::sfu::SfuOptions {
            listen: config.media_listen,
            shards: 1,
        });
        let rates = Arc::new(RequestRateLimiter::new(
            config.request_rates,
            config.total_rates,
        ));
        let started = start(&config, &sfu.expect("starts"), &at(addresses), None, rates).await;
        started.expect("starts").expect("is on")
    }

    /// The addresses that are offered, in order.
    fn offered(relay: &TurnRelay) -> Vec<String> {
        let urls = relay.urls();
        let udp = urls
            .iter()
            .filter_map(|url| url.strip_suffix("?transport=udp"));
        let hosts = udp.filter_map(|url| Some(url.strip_prefix("turn:")?.rsplit_once(':')?.0));
        hosts.map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn turn_is_offered_over_udp_and_tcp_at_every_usable_address_best_first() {
        let machine = ["192.168.1.5", "172.17.0.1"];
        let relay = relay(&["--turn-listen", "0.0.0.0:0"], &machine).await;
        assert_eq!(offered(&relay), machine);
        let port = relay.turn.address().port();
        let by_tcp = format!("turn:192.168.1.5:{port}?transport=tcp");
        assert!(relay.urls().contains(&by_tcp), "{:?}", relay.urls());
    }

    #[tokio::test]
    async fn four_addresses_are_offered_with_at_least_one_of_each_family() {
        let machine = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
            "2001:db8::4",
            "192.0.2.1",
        ];
        let relay = relay(
            &["--turn-listen", "0.0.0.0:0", "--media-ip", "192.0.2.1"],
            &machine,
        );
        let expected = [
            "[2001:db8::1]",
            "[2001:db8::2]",
            "[2001:db8::3]",
            "192.0.2.1",
        ];
        assert_eq!(offered(&*relay.await), expected);
    }

    #[tokio::test]
    async fn turn_is_offered_at_the_bound_address_or_the_configured_one() {
        let listen = ["--turn-listen", "127.0.0.1:0"];
        let machine = ["172.17.0.1", "127.0.0.1"];
        assert_eq!(offered(&*relay(&listen, &machine).await), ["127.0.0.1"]);
        let behind = [&listen[..], &["--media-ip", "203.0.113.7"]].concat();
        assert_eq!(
            offered(&*relay(&behind, &["203.0.113.7"]).await),
            ["203.0.113.7"]
        );
    }

    #[tokio::test]
    async fn servers_returns_the_new_addresses_after_a_change() {
        let relay = relay(&["--turn-listen", "0.0.0.0:0"], &["192.0.2.1"]).await;
        let room = RoomName::parse("team").expect("valid");
        let person = ParticipantId::parse("p_a").expect("valid");
        let urls = || {
            relay.servers(&room, &person, RelayUse::Call)[0]
                .urls
                .join(" ")
        };
        assert!(urls().contains("192.0.2.1"));
        relay.advertise(&at(&["192.0.2.9"]));
        assert!(urls().contains("192.0.2.9") && !urls().contains("192.0.2.1:"));
    }
}
