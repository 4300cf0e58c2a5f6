//! A worse network than this machine's: loss, delay, jitter and a narrow place, between the
//! sockets and those clients that only watch.

use crate::media::traffic::rtp;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What waits longer than that in front of the narrow place is dropped, as routers do.
const QUEUE: Duration = Duration::from_millis(200);

/// How the network is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Impairment {
    /// Media packets to a client that are lost, of a thousand.
    pub loss_permille: u32,
    /// How long every datagram takes, each way, in ms.
    pub delay_ms: u32,
    /// How much longer it may take, in ms.
    pub jitter_ms: u32,
    /// What goes to a client, in kbit/s; 0 is everything.
    pub cap_kbps: u32,
}

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the server.
    Up,
    /// From it.
    Down,
}

/// A datagram on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedDatagram {
    /// When it arrives.
    at: Instant,
    /// Counts all of them: what left first arrives first.
    number: u64,
    /// Which way it goes.
    pub way: Direction,
    /// The client.
    pub client: u32,
    /// The server's address.
    pub other: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// Everything on its way.
pub struct NetworkEmulator {
    /// How the network is.
    impairment: Impairment,
    /// Clients it is bad for: those that do not publish.
    outside: BTreeMap<u32, ClientQueues>,
    /// What is held, the next one first.
    held: BinaryHeap<Reverse<QueuedDatagram>>,
    /// Counts datagrams.
    number: u64,
    /// Chance: the same in every run.
    chance: u64,
}

/// When the last datagram of a client arrives, each way, and when the narrow place is free.
#[derive(Debug)]
struct ClientQueues {
    /// Up and down.
    last: [Instant; 2],
    /// The narrow place.
    free: Instant,
}

impl NetworkEmulator {
    /// Nothing is on its way.
    pub fn new(impairment: Impairment) -> Self {
        Self {
            impairment,
            outside: BTreeMap::new(),
            held: BinaryHeap::new(),
            number: 0,
            chance: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The network is bad for this client, if it is for anybody.
    pub fn expose(&mut self, client: u32, now: Instant) {
        if self.impairment != Impairment::default() {
            let queues = ClientQueues {
                last: [now; 2],
                free: now,
            };
            self.outside.insert(client, queues);
        }
    }

    /// Holds a datagram back, or loses it. Not if the network is good.
    pub fn hold(
        &mut self,
        way: Direction,
        client: u32,
        other: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        if self.outside.is_empty() || !self.outside.contains_key(&client) {
            return false;
        }
        let is_lost = self.chance(1_000) < self.impairment.loss_permille;
        let jitter = self.chance(self.impairment.jitter_ms * 1_000 + 1);
        let Some(queues) = self.outside.get_mut(&client) else {
            return false;
        };
        let mut at = now;
        if way == Direction::Down && rtp::is_media(datagram) {
            if is_lost {
                return true;
            }
            if self.impairment.cap_kbps > 0 {
                let bits = datagram.len() as u64 * 8;
                let takes =
                    Duration::from_micros(bits * 1_000 / u64::from(self.impairment.cap_kbps));
                let free = queues.free.max(now) + takes;
                if free > now + QUEUE {
                    return true;
                }
                (queues.free, at) = (free, free);
            }
        }
        at += Duration::from_millis(u64::from(self.impairment.delay_ms));
        at += Duration::from_micros(u64::from(jitter));
        let last = &mut queues.last[way as usize];
        *last = at.max(*last);
        self.number += 1;
        self.held.push(Reverse(QueuedDatagram {
            at: *last,
            number: self.number,
            way,
            client,
            other,
            bytes: datagram.to_vec(),
        }));
        true
    }

    /// When the next one arrives.
    pub fn next(&self) -> Option<Instant> {
        self.held.peek().map(|Reverse(held)| held.at)
    }

    /// One that has arrived.
    pub fn fall(&mut self, now: Instant) -> Option<QueuedDatagram> {
        if self.next()? > now {
            return None;
        }
        self.held.pop().map(|Reverse(held)| held)
    }

    /// A number below that (xorshift64).
    fn chance(&mut self, below: u32) -> u32 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 32) as u32 % below.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends so many media packets of 1,000 bytes, one a millisecond, and says when each arrived.
    fn arrivals(impairment: Impairment, count: u32) -> Vec<Duration> {
        let start = Instant::now();
        let (mut emulator, server) = (
            NetworkEmulator::new(impairment),
            SocketAddr::from(([127, 0, 0, 1], 1)),
        );
        emulator.expose(1, start);
        let packet = [0x80; 1_000];
        for number in 0..count {
            let now = start + Duration::from_millis(u64::from(number));
            assert!(emulator.hold(Direction::Down, 1, server, &packet, now));
        }
        assert!(!emulator.hold(Direction::Down, 2, server, &packet, start));
        let end = start + Duration::from_secs(60);
        std::iter::from_fn(|| emulator.fall(end))
            .map(|held| held.at - start)
            .collect()
    }

    #[test]
    fn as_many_are_lost_as_the_weather_says_and_none_overtakes() {
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
    fn a_narrow_place_lets_through_what_fits() {
        let impairment = Impairment {
            cap_kbps: 800,
            ..Impairment::default()
        };
        // 8 Mbit/s for 10 s: a tenth fits.
        let arrived = arrivals(impairment, 10_000);
        assert!((990..1_030).contains(&arrived.len()), "{}", arrived.len());
    }
}
