//! An entry of `--media-ip`.

use super::Advertised;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{net::lookup_host, time::timeout};

/// Length limit of a host name, in characters (RFC 1035, 2.3.4).
const MAX_NAME: usize = 253;
/// Addresses used of one name. 4: two of each family.
const MAX_OF_NAME: usize = 4;
/// Time limit of a DNS lookup. 5 s: resolvers ask a second server after that.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// An address by which browsers reach this machine, or a name that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaHost {
    /// The address or name.
    host: Host,
    /// The outer port of a NAT.
    port: Option<u16>,
}

/// An address or a name to resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// An address of this machine or of a NAT before it, in canonical form.
    Address(IpAddr),
    /// A host name, resolved periodically.
    Name(String),
}

impl MediaHost {
    /// Parses `address`, `address:port`, `[address]:port`, `name` or `name:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(ip) = parse_ip(text) {
            return Self::address(ip, None);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Self::address(address.ip(), Some(address.port()));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        (is_name(name) && port != Some(0)).then(|| Self {
            host: Host::Name(name.to_owned()),
            port,
        })
    }

    /// Accepts an address that names one machine; `None` for others.
    fn address(ip: IpAddr, port: Option<u16>) -> Option<Self> {
        let ip = ip.to_canonical();
        let fits = names_one_machine(ip) && port != Some(0);
        fits.then_some(Self {
            host: Host::Address(ip),
            port,
        })
    }

    /// The name, if the entry must be resolved.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Address(_) => None,
            Host::Name(name) => Some(name),
        }
    }

    /// The addresses of the entry; `None` if the name cannot be resolved now.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn resolve(&self) -> Option<Vec<Advertised>> {
        let port = self.port;
        let name = match &self.host {
            Host::Address(ip) => return Some(vec![Advertised { ip: *ip, port }]),
            Host::Name(name) => name,
        };
        let found = timeout(LOOKUP_TIMEOUT, lookup_host((name.as_str(), 0))).await;
        let mut ips = Vec::new();
        for address in found.ok()?.ok()? {
            let ip = address.ip().to_canonical();
            if ips.len() < MAX_OF_NAME && names_one_machine(ip) && !ips.contains(&ip) {
                ips.push(ip);
            }
        }
        // Resolvers rotate their responses; a different order is not a change.
        ips.sort_unstable();
        let advertised = ips.into_iter().map(|ip| Advertised { ip, port });
        Some(advertised.collect()).filter(|found: &Vec<_>| !found.is_empty())
    }
}

/// An address with brackets or without.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    match inner {
        Some(six) => six.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// Whether the text is a host name: labels of letters, digits and hyphens. Digits and dots alone
/// are a malformed address.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-')
    };
    let absolute = name.strip_suffix('.').unwrap_or(name);
    absolute.len() <= MAX_NAME
        && absolute.split('.').all(label)
        && absolute.chars().any(|c| c.is_ascii_alphabetic())
}

/// Whether an address can be that of one machine.
pub(super) fn names_one_machine(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !broadcast && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_and_outer_ports_are_taken_and_nothing_else() {
        for taken in [
            "203.0.113.7",
            "203.0.113.7:40000",
            "2001:db8::1",
            "[2001:db8::1]",
            "[2001:db8::1]:40000",
            "meet.example.org",
            "meet.example.org:40000",
            "localhost",
            "box-1.lan.",
        ] {
            assert!(MediaHost::parse(taken).is_some(), "{taken}");
        }
        for refused in [
            "",
            "me!",
            "203.0.113.256",
            "203.0.113.7:0",
            "203.0.113.7:70000",
            "meet.example.org:0",
            "meet.example.org:x",
            "a..b",
            "-a",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "[::]:1",
            "https://meet.example.org",
            "meet.example.org/x",
            &format!("{}.org", "a".repeat(64)),
            &format!("{}org", "a.".repeat(130)),
        ] {
            assert_eq!(MediaHost::parse(refused), None, "{refused}");
        }
    }

    #[tokio::test]
    async fn an_address_is_itself_and_a_mapped_one_is_the_ipv4_address() {
        let resolved = async |text| MediaHost::parse(text).expect("taken").resolve().await;
        let expected = Advertised {
            ip: [203, 0, 113, 7].into(),
            port: Some(40_000),
        };
        let found = resolved("[::ffff:203.0.113.7]:40000").await;
        assert_eq!(found, Some(vec![expected]));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_one_without_an_address_is_nothing() {
        let local = MediaHost::parse("localhost:7").expect("taken");
        let found = local.resolve().await.expect("localhost resolves");
        assert!(found.iter().all(|a| a.ip.is_loopback()), "{found:?}");
        assert!(found.iter().all(|a| a.port == Some(7)));
        let none = MediaHost::parse("no-such-host.invalid").expect("taken");
        assert_eq!(none.resolve().await, None);
    }

    #[test]
    fn each_further_media_thread_takes_the_next_outer_port() {
        let ip = [203, 0, 113, 7].into();
        let mapped = Advertised {
            ip,
            port: Some(40_000),
        };
        assert_eq!(mapped.socket(0, 7882), SocketAddr::new(ip, 40_000));
        assert_eq!(mapped.socket(2, 7884), SocketAddr::new(ip, 40_002));
        assert_eq!(
            Advertised::at(ip).socket(2, 7884),
            SocketAddr::new(ip, 7884)
        );
    }
}
