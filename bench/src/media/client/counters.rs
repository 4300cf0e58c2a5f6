//! Counters of a measurement window.

use crate::media::traffic::rtp::Header;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Sequence numbers that are remembered to distinguish reordered from duplicate packets.
const HISTORY: u32 = 64;
/// Largest step of the sequence number that counts as loss; a larger one restarts the stream.
const MAX_STEP: i32 = 3_000;

/// A histogram of microseconds up to one minute, with two significant digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("the bounds are in order")
}

/// One received RTP stream.
#[derive(Debug, Default)]
pub struct ReceivedStream {
    /// Whether a packet has arrived.
    started: bool,
    /// Its payload type.
    payload_type: u8,
    /// Highest sequence number.
    highest: u16,
    /// Which of the last [`HISTORY`] sequence numbers arrived; bit 0 is the highest.
    seen: u64,
    /// Packets expected by their sequence numbers.
    pub expected: u64,
    /// Packets that arrived, without duplicates.
    pub received: u64,
}

/// The place of a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next packet, or one after a gap.
    InOrder,
    /// Arrived after a later packet.
    Reordered,
    /// Arrived before, or too old to tell.
    Duplicate,
}

impl ReceivedStream {
    /// Counts a packet.
    pub fn on_packet(&mut self, seq: u16) -> Arrival {
        let ahead = i32::from(seq.wrapping_sub(self.highest) as i16);
        if !self.started || ahead.abs() > MAX_STEP {
            self.started = true;
            (self.highest, self.seen) = (seq, 1);
            self.expected += 1;
            self.received += 1;
            return Arrival::InOrder;
        }
        if ahead > 0 {
            let ahead = ahead.unsigned_abs();
            self.seen = if ahead < HISTORY {
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

    /// Sets the counts to zero.
    pub fn reset(&mut self) {
        (self.expected, self.received) = (0, 0);
    }
}

/// The counters of one window.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Media packets sent by publishers.
    pub sent: u64,
    /// Media packets received, without duplicates and retransmissions.
    pub received: u64,
    /// Their bytes, without IP and UDP headers.
    pub bytes: u64,
    /// Media packets lost, by gaps in sequence numbers.
    pub lost: u64,
    /// Lost audio packets.
    pub lost_audio: u64,
    /// Packets that arrived after a later packet.
    pub reordered: u64,
    /// Packets that arrived more than once.
    pub duplicates: u64,
    /// Retransmitted packets (RTX).
    pub retransmitted: u64,
    /// Decrypted packets whose payload differs from what was sent.
    pub corrupt: u64,
    /// Latency of decrypted packets, in microseconds.
    pub latency: Histogram<u64>,
    /// Delay of the generator behind its schedule, in microseconds.
    pub lateness: Histogram<u64>,
    /// Keyframe requests that publishers received.
    pub keyframes: u64,
    /// Gaps between video frames at decrypting clients, in microseconds.
    pub frame_gaps: Histogram<u64>,
}

impl Counters {
    /// Counters at 0.
    pub fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            bytes: 0,
            lost: 0,
            lost_audio: 0,
            reordered: 0,
            duplicates: 0,
            retransmitted: 0,
            corrupt: 0,
            latency: new_histogram(),
            lateness: new_histogram(),
            keyframes: 0,
            frame_gaps: new_histogram(),
        }
    }

    /// Records the gap between two video frames.
    pub fn record_frame_gap(&mut self, gap: Duration) {
        self.frame_gaps.saturating_record(gap.as_micros() as u64);
    }

    /// Counts a media packet.
    pub fn count(&mut self, arrival: Arrival, bytes: usize) {
        match arrival {
            Arrival::Duplicate => {
                self.duplicates += 1;
                return;
            }
            Arrival::Reordered => self.reordered += 1,
            Arrival::InOrder => {}
        }
        self.received += 1;
        self.bytes += bytes as u64;
    }
}

/// The streams of one client by SSRC. There are few, so a linear search is fastest.
#[derive(Debug, Default)]
pub struct ReceivedStreams(Vec<(u32, ReceivedStream)>);

impl ReceivedStreams {
    /// Returns the stream of a packet, new if its SSRC is.
    pub fn of(&mut self, header: &Header) -> &mut ReceivedStream {
        let known = self.0.iter().position(|(ssrc, _)| *ssrc == header.ssrc);
        let place = known.unwrap_or_else(|| {
            let stream = ReceivedStream {
                payload_type: header.payload_type,
                ..ReceivedStream::default()
            };
            self.0.push((header.ssrc, stream));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Sets the counts to zero.
    pub fn reset(&mut self) {
        self.0.iter_mut().for_each(|(_, stream)| stream.reset());
    }

    /// Payload type and lost packets of each stream since the reset.
    pub fn lost(&self) -> impl Iterator<Item = (u8, u64)> {
        let streams = self.0.iter().map(|(_, stream)| stream);
        streams.map(|stream| {
            let lost = stream.expected.saturating_sub(stream.received);
            (stream.payload_type, lost)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_reordered_and_duplicate_packets_are_distinguished() {
        let mut stream = ReceivedStream::default();
        let arrivals = [65_534, 65_535, 1, 0, 0, 3].map(|seq| stream.on_packet(seq));
        use Arrival::{Duplicate, InOrder, Reordered};
        assert_eq!(
            arrivals,
            [InOrder, InOrder, InOrder, Reordered, Duplicate, InOrder]
        );
        assert_eq!((stream.expected, stream.received), (6, 5));
    }

    #[test]
    fn a_restarted_stream_counts_no_loss() {
        let mut stream = ReceivedStream::default();
        for seq in [10, 11, 40_000, 40_001] {
            stream.on_packet(seq);
        }
        assert_eq!((stream.expected, stream.received), (4, 4));
    }
}
