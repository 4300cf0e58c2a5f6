//! Finds out whether TURN makes an allocation by each URL that browsers are told.

use super::{
    check::Protocol,
    facts::{TurnFact, TurnResult},
    http_probe,
    media_probe::connected_udp,
};
use crate::{
    protocol::{IceServer, ParticipantId, RoomName},
    server::{
        rooms::{RelayUse, Relays},
        turn::{Carrier, ProbeError, probe_allocation},
    },
};
use futures::future::join_all;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Time limit of one URL. 2 s: three exchanges with this machine.
const WITHIN: Duration = Duration::from_secs(2);
/// The room and the person of the credentials, which nobody else can have: ids are drawn at random.
const NAME: &str = "noom-doctor";

/// A URL of TURN (RFC 7065).
struct TurnUrl<'a> {
    host: &'a str,
    port: u16,
    protocol: Protocol,
    is_tls: bool,
}

impl<'a> TurnUrl<'a> {
    /// Parses a URL as the server tells it: with port and transport.
    fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (address, transport) = rest.split_once("?transport=")?;
        let (host, port) = address.rsplit_once(':')?;
        Some(Self {
            host: host.trim_matches(['[', ']']),
            port: port.parse().ok()?,
            protocol: match transport {
                "udp" => Protocol::Udp,
                _ => Protocol::Tcp,
            },
            is_tls: scheme == "turns",
        })
    }

    /// Connects to the first address of the host.
    async fn connect(&self) -> io::Result<Carrier> {
        let mut addresses = lookup_host((self.host, self.port)).await?;
        let address: SocketAddr = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        Ok(match (self.protocol, self.is_tls) {
            (Protocol::Udp, _) => Carrier::Udp(connected_udp(address).await?),
            (Protocol::Tcp, false) => Carrier::stream(TcpStream::connect(address).await?),
            (Protocol::Tcp, true) => {
                let stream = TcpStream::connect(address).await?;
                Carrier::stream(http_probe::secure(stream, self.host).await?)
            }
        })
    }
}

/// Tries every URL that a browser would get now.
pub async fn turn(relays: &dyn Relays) -> Vec<TurnFact> {
    let (room, person) = (
        RoomName::from_stored(NAME),
        ParticipantId::from_stored(NAME),
    );
    let servers = relays.servers(&room, &person, RelayUse::Call);
    let urls = servers.iter().flat_map(|server| {
        let urls = server.urls.iter();
        urls.map(move |url| try_url(server, url))
    });
    let facts = join_all(urls).await;
    relays.forget(&room, &person, RelayUse::Call);
    facts.into_iter().flatten().collect()
}

/// Tries one URL; `None` if it is none of TURN.
async fn try_url(server: &IceServer, url: &str) -> Option<TurnFact> {
    let parsed = TurnUrl::parse(url)?;
    let username = server.username.as_deref().unwrap_or_default();
    let password = server.credential.as_deref().unwrap_or_default();
    let allocated = async {
        let carrier = parsed.connect().await?;
        probe_allocation(carrier, username, password).await
    };
    let result = match timeout(WITHIN, allocated).await {
        Ok(Ok(())) => TurnResult::Allocated,
        Ok(Err(ProbeError::Refused(code))) => TurnResult::Refused(code),
        Ok(Err(ProbeError::Io(_))) | Err(_) => TurnResult::Silent,
    };
    Some(TurnFact {
        url: url.to_owned(),
        ip: parsed.host.parse::<IpAddr>().ok(),
        port: parsed.port,
        protocol: parsed.protocol,
        result,
    })
}
