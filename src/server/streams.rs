//! How many TCP connections there are, in all and from one address.

use super::network::network;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The connections; cloning it is cheap.
#[derive(Clone)]
pub struct Streams {
    /// Shared with the tickets.
    open: Arc<Mutex<Open>>,
    /// How many there may be.
    most: usize,
    /// How many there may be from one address.
    most_of_address: usize,
}

/// The counts.
#[derive(Default)]
struct Open {
    /// In all.
    total: usize,
    /// By address; an entry for each that has one.
    by_address: HashMap<IpAddr, usize>,
    /// Connections so far, which numbers them.
    so_far: u64,
}

/// A place among the connections; dropping it gives it back.
pub struct Ticket {
    /// Where it counts.
    streams: Streams,
    /// Whose it is.
    address: IpAddr,
    /// Which connection it is, from 1.
    pub number: u64,
}

impl Streams {
    /// None yet; so many there may be in all, and from one address.
    pub fn new(most: usize, most_of_address: usize) -> Self {
        Self {
            open: Arc::default(),
            most,
            most_of_address,
        }
    }

    /// A place for one more, if there is one. Loopback has no limit of its own: behind it is
    /// a proxy for everybody.
    pub fn admit(&self, ip: IpAddr) -> Option<Ticket> {
        let address = network(ip);
        let mut open = self.lock();
        let same = open.by_address.get(&address).copied().unwrap_or_default();
        let crowded = same >= self.most_of_address && !ip.is_loopback();
        if open.total >= self.most || crowded {
            return None;
        }
        open.total += 1;
        open.so_far += 1;
        open.by_address.insert(address, same + 1);
        Some(Ticket {
            streams: self.clone(),
            address,
            number: open.so_far,
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().total
    }

    /// The counts, for a few lines.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.total -= 1;
        let left = open
            .by_address
            .get(&self.address)
            .map_or(0, |same| same - 1);
        match left {
            0 => open.by_address.remove(&self.address),
            left => open.by_address.insert(self.address, left),
        };
    }
}
