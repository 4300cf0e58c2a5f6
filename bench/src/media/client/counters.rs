//! What is counted while a window is open.

use crate::media::traffic::rtp::Header;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Packets of a stream that are looked back at to tell a late one from a repeated one.
const LOOK_BACK: u32 = 64;
/// A jump of the sequence number that is a new beginning, not a loss.
const JUMP: i32 = 3_000;

/// A histogram of microseconds, up to a minute, exact to two digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("the bounds are in order")
}

/// One stream that somebody receives.
#[derive(Debug, Default)]
pub struct ReceivedStream {
    /// Whether anything was heard.
    begun: bool,
    /// What its payload is.
    payload_type: u8,
    /// The highest sequence number.
    highest: u16,
    /// Of the [`LOOK_BACK`] numbers up to the highest, which came: bit 0 is the highest.
    seen: u64,
    /// Packets that should have come.
    pub expected: u64,
    /// Packets that came, each once.
    pub received: u64,
}

/// What a packet was to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next, or one after a gap.
    InOrder,
    /// Later than its follower.
    Reordered,
    /// Not for the first time, or from far back.
    Duplicate,
}

impl ReceivedStream {
    /// Takes in a packet.
    pub fn take(&mut self, seq: u16) -> Arrival {
        let ahead = i32::from(seq.wrapping_sub(self.highest) as i16);
        if !self.begun || ahead.abs() > JUMP {
            self.begun = true;
            (self.highest, self.seen) = (seq, 1);
            self.expected += 1;
            self.received += 1;
            return Arrival::InOrder;
        }
        if ahead > 0 {
            let ahead = ahead.unsigned_abs();
            self.seen = if ahead < LOOK_BACK {
                self.seen << ahead
            } else {
                0
            } | 1;
            self.highest = seq;
            self.expected += u64::from(ahead);
            self.received += 1;
            return Arrival::InOrder;
        }
        let bit = 1_u64.checked_shl(ahead.unsigned_abs()).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.received += 1;
        Arrival::Reordered
    }

    /// Counts from here.
    pub fn mark(&mut self) {
        (self.expected, self.received) = (0, 0);
    }
}

/// What one window came to.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Media packets publishers sent.
    pub sent: u64,
    /// Media packets that arrived, each once, resent ones not among them.
    pub received: u64,
    /// Their bytes, without IP and UDP.
    pub bytes: u64,
    /// Media packets missing between others.
    pub lost: u64,
    /// Of these, sound.
    pub lost_audio: u64,
    /// Packets that came later than their followers.
    pub late: u64,
    /// Packets that came again.
    pub again: u64,
    /// Packets that were sent again on request.
    pub resent: u64,
    /// Packets that were opened and were not what was sent.
    pub broken: u64,
    /// How old opened packets were, in microseconds.
    pub latency: Histogram<u64>,
    /// How late packets were sent, in microseconds.
    pub lateness: Histogram<u64>,
    /// Keyframes that were asked for.
    pub keyframes: u64,
    /// Between two pictures at who opens them, in microseconds.
    pub gaps: Histogram<u64>,
}

impl Counters {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            bytes: 0,
            lost: 0,
            lost_audio: 0,
            late: 0,
            again: 0,
            resent: 0,
            broken: 0,
            latency: new_histogram(),
            lateness: new_histogram(),
            keyframes: 0,
            gaps: new_histogram(),
        }
    }

    /// Counts the time between two pictures.
    pub fn record_frame_gap(&mut self, gap: Duration) {
        self.gaps.saturating_record(gap.as_micros() as u64);
    }

    /// Counts what a packet was.
    pub fn count(&mut self, arrival: Arrival, bytes: usize) {
        match arrival {
            Arrival::Duplicate => {
                self.again += 1;
                return;
            }
            Arrival::Reordered => self.late += 1,
            Arrival::InOrder => {}
        }
        self.received += 1;
        self.bytes += bytes as u64;
    }
}

/// The streams one client receives, by SSRC; few, so that a walk is the fastest search.
#[derive(Debug, Default)]
pub struct ReceivedStreams(Vec<(u32, ReceivedStream)>);

impl ReceivedStreams {
    /// The stream of a packet.
    pub fn of(&mut self, header: &Header) -> &mut ReceivedStream {
        let known = self.0.iter().position(|(ssrc, _)| *ssrc == header.ssrc);
        let place = known.unwrap_or_else(|| {
            let track = ReceivedStream {
                payload_type: header.payload_type,
                ..ReceivedStream::default()
            };
            self.0.push((header.ssrc, track));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Counts from here.
    pub fn mark(&mut self) {
        self.0.iter_mut().for_each(|(_, track)| track.mark());
    }

    /// Packets missing since the mark, stream by stream, with its payload type.
    pub fn lost(&self) -> impl Iterator<Item = (u8, u64)> {
        let tracks = self.0.iter().map(|(_, track)| track);
        tracks.map(|track| {
            let lost = track.expected.saturating_sub(track.received);
            (track.payload_type, lost)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_late_and_repeated_packets_are_told_apart() {
        let mut track = ReceivedStream::default();
        let arrivals = [65_534, 65_535, 1, 0, 0, 3].map(|seq| track.take(seq));
        use Arrival::{Duplicate, InOrder, Reordered};
        assert_eq!(
            arrivals,
            [InOrder, InOrder, InOrder, Reordered, Duplicate, InOrder]
        );
        assert_eq!((track.expected, track.received), (6, 5));
    }

    #[test]
    fn a_new_beginning_is_no_loss() {
        let mut track = ReceivedStream::default();
        for seq in [10, 11, 40_000, 40_001] {
            track.take(seq);
        }
        assert_eq!((track.expected, track.received), (4, 4));
    }
}
