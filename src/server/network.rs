//! Whose address is it?

use std::net::{IpAddr, Ipv6Addr};

/// The network one subscriber has: an IPv4 address, or an IPv6 /64.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}
