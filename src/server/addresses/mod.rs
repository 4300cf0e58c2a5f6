//! The addresses by which browsers reach this machine's media ports and TURN.
//!
//! * [`host`]: entries of `--media-ip`, an address or a host name with the outer port of a NAT.
//! * [`interfaces`]: without `--media-ip`, the addresses of the interfaces that
//!   `--media-interfaces` allows, the best first.
//! * [`watch`]: checks both periodically, because they change while the server runs.

mod host;
mod interfaces;
mod watch;

pub use host::MediaHost;
pub use interfaces::{InterfaceFilter, MAX_FILTER_WORDS};
pub use watch::{AddressWatch, watch};

use std::net::{IpAddr, SocketAddr};

/// The addresses of this machine's interfaces.
pub fn machine_addresses() -> Vec<IpAddr> {
    let all = interfaces::all().into_iter();
    all.map(|interface| interface.ip).collect()
}

/// The best public address of this machine's interfaces; `None` if there is none.
pub fn public_address() -> Option<IpAddr> {
    interfaces::public(&interfaces::all())
}

/// Addresses offered at once. 8: two families on a few networks. Each is two candidates (UDP
/// and TCP), and a browser checks every pair.
pub const MAX_ADDRESSES: usize = 8;

/// An address for ICE candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Advertised {
    /// The address, an IPv4 one in its own form.
    pub ip: IpAddr,
    /// The outer port that a NAT maps to the first media port; `None` if it is the same.
    pub port: Option<u16>,
}

impl Advertised {
    /// An address whose outer ports equal the bound ones.
    pub fn at(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }

    /// The outer address of a media thread that has bound `bound`. Each further thread has the next
    /// outer port, as it has the next bound port.
    pub fn socket(self, thread: u16, bound: u16) -> SocketAddr {
        let port = self.port.map(|first| first.saturating_add(thread));
        SocketAddr::new(self.ip, port.unwrap_or(bound))
    }
}

/// The first `most` addresses. If one family is missing among them, its first address replaces the
/// last one.
pub fn first_of_both(addresses: &[IpAddr], most: usize) -> Vec<IpAddr> {
    let (first, rest) = addresses.split_at(addresses.len().min(most));
    let mut first = first.to_vec();
    let missing = |ip: &&IpAddr| first.iter().all(|known| known.is_ipv4() != ip.is_ipv4());
    if let Some(other) = rest.iter().find(missing).copied() {
        first.pop();
        first.push(other);
    }
    first
}
