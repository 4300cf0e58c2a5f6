//! The limit of SSRCs of one peer.
//!
//! str0m keeps state for every SSRC as long as the connection lives. A browser sends about ten
//! SSRCs, and the same ones to the end.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// SSRCs known at a time, and the burst of new ones.
const MAX_SSRCS: usize = 64;
/// The interval between two new SSRCs after the burst.
const NEW_SSRC_INTERVAL: Duration = Duration::from_secs(10);

/// The SSRCs of one peer.
#[derive(Debug)]
pub struct SsrcLimiter {
    /// The newest last; [`MAX_SSRCS`] at most.
    known_ssrcs: VecDeque<u32>,
    /// New SSRCs that may still begin.
    tokens: f64,
    /// When the tokens were refilled last.
    refilled_at: Instant,
}

impl SsrcLimiter {
    /// A peer without SSRCs.
    pub fn new(now: Instant) -> Self {
        Self {
            known_ssrcs: VecDeque::new(),
            tokens: MAX_SSRCS as f64,
            refilled_at: now,
        }
    }

    /// Whether a datagram has a known SSRC, or a new one within the limit.
    pub fn allows(&mut self, datagram: &[u8], now: Instant) -> bool {
        let Some(ssrc) = ssrc(datagram).filter(|ssrc| !self.known_ssrcs.contains(ssrc)) else {
            return true;
        };
        let passed = now.saturating_duration_since(self.refilled_at);
        let more = passed.as_secs_f64() / NEW_SSRC_INTERVAL.as_secs_f64();
        self.tokens = (self.tokens + more).min(MAX_SSRCS as f64);
        self.refilled_at = self.refilled_at.max(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        if self.known_ssrcs.len() == MAX_SSRCS {
            self.known_ssrcs.pop_front();
        }
        self.known_ssrcs.push_back(ssrc);
        true
    }
}

/// The SSRC of an RTP packet; none of RTCP and all else (RFC 7983 7, RFC 5761 4).
fn ssrc(datagram: &[u8]) -> Option<u32> {
    let &[first, kind, _, _, _, _, _, _, a, b, c, d, ..] = datagram else {
        return None;
    };
    let is_rtp = (128..192).contains(&first) && !(64..96).contains(&(kind & 0x7f));
    is_rtp.then(|| u32::from_be_bytes([a, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of a stream.
    fn packet(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 0];
        packet.extend(ssrc.to_be_bytes());
        packet
    }

    #[test]
    fn known_ssrcs_pass_and_new_ones_are_limited() {
        let start = Instant::now();
        let mut streams = SsrcLimiter::new(start);
        let begun = |streams: &mut SsrcLimiter, from: u32, now| {
            let packets = (from..from + 1_000).map(packet);
            packets.filter(|packet| streams.allows(packet, now)).count()
        };
        assert_eq!(begun(&mut streams, 0, start), MAX_SSRCS);
        assert!((0..64).all(|ssrc| streams.allows(&packet(ssrc), start)));
        let hour = start + Duration::from_secs(3_600);
        assert_eq!(begun(&mut streams, 2_000, hour), MAX_SSRCS);
        assert_eq!(begun(&mut streams, 4_000, hour + NEW_SSRC_INTERVAL * 3), 3);
        assert!(streams.allows(&packet(4_000), hour));
    }

    #[test]
    fn datagrams_that_are_not_rtp_pass() {
        let start = Instant::now();
        let mut streams = SsrcLimiter::new(start);
        for number in 0..1_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            let report = [0x81, 206, 0, 2, 0, 0, 0, 0, a, b, c, d];
            let hello = [22, 254, 253, 0, 0, 0, 0, 0, a, b, c, d];
            assert!(streams.allows(&report, start) && streams.allows(&hello, start));
        }
        assert!(streams.allows(&[0x80, 96], start) && streams.allows(&[], start));
    }
}
