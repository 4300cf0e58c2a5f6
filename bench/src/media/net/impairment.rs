//! An emulated network with loss, delay, jitter and a rate limit, between the sockets and the
//! clients that only receive.

use crate::media::traffic::rtp;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Longest queueing delay at the rate limit. A datagram that would wait longer is dropped.
const MAX_QUEUE: Duration = Duration::from_millis(200);

/// The properties of an impaired network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Impairment {
    /// Lost media packets towards a client, per thousand.
    pub loss_permille: u32,
    /// Delay of every datagram, each way, in ms.
    pub delay_ms: u32,
    /// Largest additional random delay, in ms.
    pub jitter_ms: u32,
    /// Rate limit towards a client, in kbit/s; 0 is no limit.
    pub cap_kbps: u32,
}

/// The direction of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Client to server.
    Up,
    /// Server to client.
    Down,
}

/// A delayed datagram.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedDatagram {
    /// When the datagram is delivered.
    at: Instant,
    /// Breaks ties of equal delivery times: first in, first out.
    number: u64,
    /// Whether a client or the server sent it.
    pub direction: Direction,
    /// Index of the client that sent or receives it.
    pub client: u32,
    /// The server's address.
    pub server: SocketAddr,
    /// Payload of the datagram.
    pub bytes: Vec<u8>,
}

/// Delays and drops datagrams of impaired clients.
pub struct NetworkEmulator {
    /// Properties of the network.
    impairment: Impairment,
    /// The impaired clients: those that do not publish.
    queues: BTreeMap<u32, ClientQueues>,
    /// Delayed datagrams, the next delivery first.
    delayed: BinaryHeap<Reverse<QueuedDatagram>>,
    /// Number of delayed datagrams so far.
    number: u64,
    /// State of the pseudo-random numbers, the same in every run.
    random: u64,
}

/// The queues of one client.
#[derive(Debug)]
struct ClientQueues {
    /// Latest delivery time, up and down.
    last: [Instant; 2],
    /// When the rate limit has passed everything so far.
    free: Instant,
}

impl NetworkEmulator {
    /// An emulator without delayed datagrams.
    pub fn new(impairment: Impairment) -> Self {
        Self {
            impairment,
            queues: BTreeMap::new(),
            delayed: BinaryHeap::new(),
            number: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Impairs the network of a client.
    pub fn impair(&mut self, client: u32, now: Instant) {
        if self.impairment != Impairment::default() {
            let queues = ClientQueues {
                last: [now; 2],
                free: now,
            };
            self.queues.insert(client, queues);
        }
    }

    /// Delays or drops a datagram. Returns `false` for a client whose network is not impaired.
    pub fn hold(
        &mut self,
        direction: Direction,
        client: u32,
        server: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        if !self.queues.contains_key(&client) {
            return false;
        }
        let is_lost = self.random(1_000) < self.impairment.loss_permille;
        let jitter = self.random(self.impairment.jitter_ms * 1_000 + 1);
        let Some(queues) = self.queues.get_mut(&client) else {
            return false;
        };
        let mut at = now;
        if direction == Direction::Down && rtp::is_media(datagram) {
            if is_lost {
                return true;
            }
            if self.impairment.cap_kbps > 0 {
                let bits = datagram.len() as u64 * 8;
                let takes =
                    Duration::from_micros(bits * 1_000 / u64::from(self.impairment.cap_kbps));
                let free = queues.free.max(now) + takes;
                if free > now + MAX_QUEUE {
                    return true;
                }
                (queues.free, at) = (free, free);
            }
        }
        at += Duration::from_millis(u64::from(self.impairment.delay_ms));
        at += Duration::from_micros(u64::from(jitter));
        let last = &mut queues.last[direction as usize];
        *last = at.max(*last);
        self.number += 1;
        self.delayed.push(Reverse(QueuedDatagram {
            at: *last,
            number: self.number,
            direction,
            client,
            server,
            bytes: datagram.to_vec(),
        }));
        true
    }

    /// The next delivery time.
    pub fn next(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse(datagram)| datagram.at)
    }

    /// Returns a datagram whose delivery time has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<QueuedDatagram> {
        if self.next()? > now {
            return None;
        }
        self.delayed.pop().map(|Reverse(datagram)| datagram)
    }

    /// A pseudo-random number below a bound (xorshift64).
    fn random(&mut self, below: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u32 % below.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends media packets of 1,000 bytes, one a millisecond, and returns their delivery times.
    fn arrivals(impairment: Impairment, count: u32) -> Vec<Duration> {
        let start = Instant::now();
        let (mut emulator, server) = (
            NetworkEmulator::new(impairment),
            SocketAddr::from(([127, 0, 0, 1], 1)),
        );
        emulator.impair(1, start);
        let packet = [0x80; 1_000];
        for number in 0..count {
            let now = start + Duration::from_millis(u64::from(number));
            assert!(emulator.hold(Direction::Down, 1, server, &packet, now));
        }
        assert!(!emulator.hold(Direction::Down, 2, server, &packet, start));
        let end = start + Duration::from_secs(60);
        std::iter::from_fn(|| emulator.pop_due(end))
            .map(|datagram| datagram.at - start)
            .collect()
    }

    #[test]
    fn the_configured_share_is_lost_and_the_order_is_kept() {
        let impairment = Impairment {
            loss_permille: 20,
            delay_ms: 25,
            jitter_ms: 10,
            cap_kbps: 0,
        };
        let arrived = arrivals(impairment, 10_000);
        assert!((9_700..9_900).contains(&arrived.len()), "{}", arrived.len());
        assert!(arrived.is_sorted());
        assert!(arrived[0] >= Duration::from_millis(25) && arrived[0] < Duration::from_millis(45));
    }

    #[test]
    fn the_rate_limit_passes_its_share() {
        let impairment = Impairment {
            cap_kbps: 800,
            ..Impairment::default()
        };
        // 8 Mbit/s for 10 s: a tenth passes.
        let arrived = arrivals(impairment, 10_000);
        assert!((990..1_030).contains(&arrived.len()), "{}", arrived.len());
    }
}
