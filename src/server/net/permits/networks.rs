//! The networks that an address counts under.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Limit of a site as a multiple of the limit of one subscriber. 4: a company or a household has
/// several networks, and an attacker who owns a /48 has 65,536 of them.
pub const SITE_FACTOR: u32 = 4;

/// A network: the address with its host bits zeroed, and the length of its prefix in bits.
/// The length keeps a /48 apart from the first /64 inside it.
///
/// Its stored form is the text `address/bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "IpNet", into = "IpNet")]
pub struct Network {
    /// The first address of the network.
    address: IpAddr,
    /// Bits that are the same for the whole network: 32, 48 or 64.
    prefix_bits: u8,
}

impl From<Network> for IpNet {
    fn from(network: Network) -> Self {
        // The length is 32, 48 or 64, which is valid for its family.
        Self::new(network.address, network.prefix_bits).unwrap_or_else(|_| network.address.into())
    }
}

impl From<IpNet> for Network {
    fn from(net: IpNet) -> Self {
        Self {
            address: net.network(),
            prefix_bits: net.prefix_len(),
        }
    }
}

/// The network of one subscriber: an IPv4 address, or an IPv6 /64 (RFC 6177). An IPv4
/// address mapped into IPv6 counts as the IPv4 address.
pub fn subscriber(ip: IpAddr) -> Network {
    match ip.to_canonical() {
        IpAddr::V6(six) => ipv6_network(six, 64),
        four @ IpAddr::V4(_) => Network {
            address: four,
            prefix_bits: 32,
        },
    }
}

/// The network that a ban of an address keeps out: its subscriber. `None` for an exempt address.
pub fn ban_network(ip: IpAddr) -> Option<Network> {
    (!is_exempt(ip)).then(|| subscriber(ip))
}

/// The network of one site: an IPv6 /48 (RFC 6177). `None` for IPv4, where each address costs
/// money.
pub fn site(ip: IpAddr) -> Option<Network> {
    match ip.to_canonical() {
        IpAddr::V6(six) => Some(ipv6_network(six, 48)),
        IpAddr::V4(_) => None,
    }
}

/// Whether an address is exempt from the limits per address: `127.0.0.1` and `::1` only, because a
/// proxy for all clients may use them. Other addresses of 127.0.0.0/8 are limited.
pub fn is_exempt(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

/// The networks that an address counts under: its subscriber and, for IPv6, its site. Both are
/// `None` for an exempt address.
pub fn networks_of(ip: IpAddr) -> [Option<Network>; 2] {
    match is_exempt(ip) {
        true => [None, None],
        false => [Some(subscriber(ip)), site(ip)],
    }
}

/// The IPv6 network of an address with this prefix length.
fn ipv6_network(ip: Ipv6Addr, prefix_bits: u8) -> Network {
    let host_bits = 128 - u32::from(prefix_bits);
    let first = Ipv6Addr::from_bits(ip.to_bits() >> host_bits << host_bits);
    Network {
        address: first.into(),
        prefix_bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_subscriber_is_an_ipv4_address_or_an_ipv6_64() {
        assert_eq!(
            subscriber(ip("192.0.2.1")),
            subscriber(ip("::ffff:192.0.2.1"))
        );
        assert_ne!(subscriber(ip("192.0.2.1")), subscriber(ip("192.0.2.2")));
        assert_eq!(
            subscriber(ip("2001:db8::1")),
            subscriber(ip("2001:db8::ffff"))
        );
        assert_ne!(
            subscriber(ip("2001:db8::1")),
            subscriber(ip("2001:db8:0:1::1"))
        );
    }

    #[test]
    fn a_site_is_an_ipv6_48_and_no_ipv4_network() {
        assert_eq!(site(ip("192.0.2.1")), None);
        assert_eq!(site(ip("::ffff:192.0.2.1")), None);
        assert_eq!(site(ip("2001:db8:0:1::1")), site(ip("2001:db8:0:2::1")));
        assert_ne!(site(ip("2001:db8::1")), site(ip("2001:db8:1::1")));
        assert_ne!(site(ip("2001:db8::1")), Some(subscriber(ip("2001:db8::1"))));
    }

    #[test]
    fn only_the_two_loopback_addresses_themselves_are_exempt() {
        for exempt in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_exempt(ip(exempt)), "{exempt}");
        }
        for limited in ["127.0.0.2", "127.1.0.1", "10.0.0.1", "::2"] {
            assert!(!is_exempt(ip(limited)), "{limited}");
        }
    }
}
