//! The addresses by which people reach this machine's media and TURN.
//!
//! * [`host`] what `--media-ip` names: an address or a host name, and the outer port of a NAT.
//! * [`interfaces`] else the addresses of the interfaces, the best first, and which of them
//!   `--media-interfaces` leaves out.
//! * [`watch`] looks again, since both change while the server runs.

mod host;
mod interfaces;
mod watch;

pub use host::MediaHost;
pub use interfaces::{InterfaceFilter, MAX_FILTER_WORDS};
pub use watch::{AddressWatch, watch};

use std::net::{IpAddr, SocketAddr};

/// Addresses offered at once. 8: two families on a few networks. Each is two candidates (UDP
/// and TCP), and a browser checks every pair.
pub const MAX_ADDRESSES: usize = 8;

/// An address that is put into ICE candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Advertised {
    /// The address, an IPv4 one in its own form.
    pub ip: IpAddr,
    /// The outer port that a NAT maps to the first media port; `None` if it is the same.
    pub port: Option<u16>,
}

impl Advertised {
    /// An address whose ports are those that are bound.
    pub fn at(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }

    /// Where the media thread of this number is reached, which has bound `bound`. Further
    /// threads take the next outer port each, as they do with their own.
    pub fn socket(self, thread: u16, bound: u16) -> SocketAddr {
        let port = self.port.map(|first| first.saturating_add(thread));
        SocketAddr::new(self.ip, port.unwrap_or(bound))
    }
}

/// The first `most` addresses; where one family is missing among them, its first address takes
/// the last place.
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
