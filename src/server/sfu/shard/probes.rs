//! Answers the probes by which the operator's checks find out whether the media port is reached.
//!
//! A probe is a STUN Binding request (RFC 8489) without attributes, of a transaction that the
//! process announced a moment before. The transaction is drawn at random, so nobody else gets an
//! answer, and an answer is as long as its request.

use super::core::Core;
use crate::server::sfu::transport::datagram::{OutgoingDatagram, ReceivedDatagram};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use str0m::net::Transmit;

/// How long a probe is answered. 10 s: longer than all checks take.
const LIFETIME: Duration = Duration::from_secs(10);
/// Probes at once; the oldest makes room for the next one. 64: the addresses and threads of one
/// machine, each by UDP and TCP.
const MAX_PROBES: usize = 64;
/// The first bytes of a request without attributes: type, length and magic cookie.
const REQUEST: [u8; 8] = [0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42];
/// The type of a success response.
const RESPONSE: [u8; 2] = [0x01, 0x01];

/// The announced transactions, oldest first.
#[derive(Debug, Default)]
pub struct Probes(VecDeque<([u8; 12], Instant)>);

impl Probes {
    /// Announces a transaction.
    fn expect(&mut self, transaction: [u8; 12], now: Instant) {
        while self.0.len() >= MAX_PROBES {
            self.0.pop_front();
        }
        self.0.push_back((transaction, now));
    }

    /// The answer to a datagram; `None` unless it is an announced probe.
    pub fn answer(
        &mut self,
        datagram: &ReceivedDatagram<'_>,
        now: Instant,
    ) -> Option<OutgoingDatagram> {
        let transaction = datagram.bytes.strip_prefix(&REQUEST)?;
        self.0
            .retain(|(_, since)| now.saturating_duration_since(*since) < LIFETIME);
        let mut known = self.0.iter();
        known.find(|(known, _)| known == transaction)?;
        let [_, _, rest @ ..] = REQUEST;
        let contents = [&RESPONSE[..], &rest, transaction].concat();
        Some(OutgoingDatagram {
            local_ip: datagram.local_ip,
            transmit: Transmit {
                proto: datagram.proto,
                source: datagram.source,
                destination: datagram.source,
                contents: contents.into(),
            },
        })
    }
}

impl Core {
    /// Answers probes of this transaction from now on.
    pub fn expect_probe(&mut self, transaction: [u8; 12], now: Instant) {
        self.probes.expect(transaction, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::net::Protocol;

    fn probe(transaction: [u8; 12]) -> Vec<u8> {
        [&REQUEST[..], &transaction].concat()
    }

    fn answer(probes: &mut Probes, bytes: &[u8], now: Instant) -> Option<Vec<u8>> {
        let datagram = ReceivedDatagram {
            proto: Protocol::Udp,
            is_relayed: false,
            source: ([192, 0, 2, 1], 4000).into(),
            local_ip: None,
            bytes,
        };
        let answer = probes.answer(&datagram, now)?;
        assert_eq!(answer.transmit.destination, datagram.source);
        Some(answer.transmit.contents.to_vec())
    }

    #[test]
    fn only_an_announced_probe_is_answered_for_ten_seconds_and_by_no_more_bytes() {
        let (mut probes, start) = (Probes::default(), Instant::now());
        assert_eq!(answer(&mut probes, &probe([7; 12]), start), None);
        probes.expect([7; 12], start);
        let said = answer(&mut probes, &probe([7; 12]), start).expect("announced");
        assert_eq!(said.len(), probe([7; 12]).len());
        assert_eq!((&said[..2], &said[8..]), (&RESPONSE[..], &[7; 12][..]));
        for other in [
            probe([8; 12]),
            said,
            [probe([7; 12]), vec![0; 4]].concat(),
            probe([7; 12])[..19].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(answer(&mut probes, &other, start), None, "{other:?}");
        }
        let late = start + LIFETIME;
        assert_eq!(answer(&mut probes, &probe([7; 12]), late), None);
    }

    #[test]
    fn announced_probes_are_bounded() {
        let (mut probes, now) = (Probes::default(), Instant::now());
        for number in 0..200 {
            probes.expect([number; 12], now);
        }
        assert_eq!(probes.0.len(), MAX_PROBES);
        assert!(answer(&mut probes, &probe([199; 12]), now).is_some());
        assert!(answer(&mut probes, &probe([0; 12]), now).is_none());
    }
}
