//! Keeps one outgoing RTP stream continuous while its source changes.
//!
//! A receiver sees one stream for the whole call; its source may change to another layer or
//! another participant at any keyframe. Sequence numbers, RTP timestamps, picture IDs and
//! TL0PICIDX continue without a jump. [`numbers`] maps sequence numbers; the other values get
//! a constant offset per source.
//!
//! No allocation and no clock per packet. The caller decides when a source begins.

mod numbers;
#[cfg(test)]
mod tests;

use crate::server::sfu::codec::VIDEO_CLOCK;
use numbers::SequenceMunger;
use std::time::Instant;

/// The largest timestamp jump between two layers of one track, in seconds. 5: the encoders of
/// one browser differ by frames, not by seconds.
const LARGEST_JUMP_S: u32 = 5;
/// Picture IDs have 15 bits (RFC 7741 4.2).
const PICTURE_ID_MASK: u16 = 0x7fff;

/// The header fields of a source packet that are rewritten.
#[derive(Debug, Clone, Copy)]
pub struct SourceHeader {
    /// The extended sequence number of the source.
    pub seq: u64,
    /// The RTP timestamp of the source.
    pub time: u32,
    /// When the packet was received.
    pub received_at: Instant,
    /// The VP8 or VP9 picture ID, if present.
    pub picture_id: Option<u16>,
    /// TL0PICIDX of VP8 or VP9, if present.
    pub tl0: Option<u8>,
}

/// The header fields of the outgoing packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MungedHeader {
    /// The extended outgoing sequence number.
    pub seq: u64,
    /// The outgoing RTP timestamp.
    pub time: u32,
    /// The outgoing picture ID, if the source has one.
    pub picture_id: Option<u16>,
    /// The outgoing TL0PICIDX, if the source has one.
    pub tl0: Option<u8>,
}

/// How the timestamps continue at a source that begins with the next packet.
#[derive(Debug, Clone, Copy)]
enum Switch {
    /// The timestamp advances by the elapsed time.
    ByClock,
    /// The new source's timestamp plus this is the old source's timestamp, if plausible.
    ByOffset(u32),
}

/// The newest outgoing packet.
#[derive(Debug, Clone, Copy)]
struct LastSent {
    /// The outgoing RTP timestamp; before any packet, that of the first one.
    time: u32,
    /// When the packet was received; before any packet, the start time of the stream, if set.
    at: Option<Instant>,
    /// The last outgoing picture ID.
    picture_id: u16,
    /// The last outgoing TL0PICIDX.
    tl0: u8,
}

/// The wrapping offsets from source values to outgoing values; reset when a source begins.
#[derive(Debug, Clone, Copy, Default)]
struct Offsets {
    /// The offset of RTP timestamps.
    time: u32,
    /// The offset of picture IDs; set by the first packet with a picture ID.
    picture_id: Option<u16>,
    /// The offset of TL0PICIDX; set by the first packet with one.
    tl0: Option<u8>,
}

/// Rewrites the RTP headers of one outgoing stream.
#[derive(Debug)]
pub struct RtpMunger {
    /// Maps source sequence numbers to outgoing ones.
    numbers: SequenceMunger,
    /// The RTP clock rate in Hz.
    clock_rate: u32,
    /// The pending change of source; applied to the next packet.
    switch: Option<Switch>,
    /// Whether the pending source keeps its own picture IDs.
    keeps_picture_ids: bool,
    /// The offsets of the current source.
    offsets: Offsets,
    /// The newest outgoing packet.
    last_sent: LastSent,
}

impl RtpMunger {
    /// A stream that begins with these values. The high bit of `first_seq` is cleared, so that
    /// the loss of the first packet cannot desynchronise the SRTP rollover counter
    /// (RFC 3711 3.3.1).
    pub fn new(
        first_seq: u16,
        first_time: u32,
        clock_rate: u32,
        first_picture_id: u16,
        first_tl0: u8,
    ) -> Self {
        Self {
            numbers: SequenceMunger::new(u64::from(first_seq & 0x7fff)),
            clock_rate,
            switch: Some(Switch::ByClock),
            keeps_picture_ids: false,
            offsets: Offsets::default(),
            last_sent: LastSent {
                time: first_time,
                at: None,
                picture_id: first_picture_id.wrapping_sub(1) & PICTURE_ID_MASK,
                tl0: first_tl0.wrapping_sub(1),
            },
        }
    }

    /// Starts the RTP clock before the first packet. Until then str0m's sender reports say 0, and
    /// browsers reject a report that jumps by more than 2^25 ticks, six minutes of video.
    pub fn set_start_time(&mut self, at: Instant) {
        self.last_sent.at = Some(at);
    }

    /// Makes the next packet begin a new source: the first of a keyframe, or audio.
    pub fn switch_source(&mut self) {
        self.switch = Some(Switch::ByClock);
    }

    /// Like [`Self::switch_source`], for another layer of the same track. By the sender reports
    /// its timestamp plus `time_offset` (wrapping) is that of the layer before. If that runs
    /// backwards or jumps by more than 5 s, the timestamp advances by the elapsed time.
    pub fn switch_source_with_offset(&mut self, time_offset: u32) {
        self.switch = Some(Switch::ByOffset(time_offset));
    }

    /// Keeps the picture IDs of the source that begins with the next packet. Correct when the
    /// receiver has decoded nothing yet, or another codec.
    pub fn keep_picture_ids(&mut self) {
        self.keeps_picture_ids = true;
    }

    /// Drops a source packet on purpose, so that later packets close the gap. No effect after a
    /// later packet has been sent: the gap then stays.
    pub fn skip(&mut self, seq: u64) {
        self.numbers.skip(seq);
    }

    /// The outgoing header of a packet; none if the packet precedes the source, is too late or
    /// was skipped. The same packet always gets the same header.
    pub fn munge(&mut self, packet: &SourceHeader) -> Option<MungedHeader> {
        if let Some(switch) = self.switch.take() {
            self.begin_source(packet, switch);
        }
        let number = self.numbers.munge(packet.seq)?;
        let rewritten = MungedHeader {
            seq: number.sequence,
            time: packet.time.wrapping_add(self.offsets.time),
            picture_id: packet.picture_id.map(|id| self.picture_id(id)),
            tl0: packet.tl0.map(|index| self.tl0(index)),
        };
        if number.is_newest {
            self.remember(&rewritten, packet.received_at);
        }
        Some(rewritten)
    }

    /// Sets the offsets of a source by its first packet.
    fn begin_source(&mut self, packet: &SourceHeader, switch: Switch) {
        let by_offset = match switch {
            Switch::ByClock => None,
            Switch::ByOffset(offset) => self.start_time_by_offset(packet, offset),
        };
        let time = by_offset.unwrap_or_else(|| self.start_time_by_clock(packet.received_at));
        self.numbers.begin_source(packet.seq);
        self.offsets = Offsets {
            time: time.wrapping_sub(packet.time),
            picture_id: self.keeps_picture_ids.then_some(0),
            tl0: self.keeps_picture_ids.then_some(0),
        };
        self.keeps_picture_ids = false;
    }

    /// The first timestamp of a source by the time elapsed since the last packet. At least one
    /// frame later, because packets with equal timestamps belong to one frame.
    fn start_time_by_clock(&self, now: Instant) -> u32 {
        let Some(before) = self.last_sent.at else {
            return self.last_sent.time;
        };
        let passed = now.saturating_duration_since(before).as_micros();
        let ticks = passed * u128::from(self.clock_rate) / 1_000_000;
        // At most half the range: a larger step looks like a step back.
        let ticks = ticks.min(i32::MAX as u128) as u32;
        self.last_sent
            .time
            .wrapping_add(ticks.max(self.min_time_step()))
    }

    /// The first timestamp of a source by its offset to the one before; none if implausible.
    fn start_time_by_offset(&self, packet: &SourceHeader, offset: u32) -> Option<u32> {
        self.last_sent.at?;
        let moved = self.offsets.time.wrapping_add(offset);
        let time = packet.time.wrapping_add(moved);
        let ahead = time.wrapping_sub(self.last_sent.time);
        let most = self.clock_rate.saturating_mul(LARGEST_JUMP_S);
        (1..=most).contains(&ahead).then_some(time)
    }

    /// The minimum timestamp step at a switch: 1/30 s of video, or 20 ms of audio.
    fn min_time_step(&self) -> u32 {
        match self.clock_rate {
            VIDEO_CLOCK => VIDEO_CLOCK / 30,
            clock => clock / 50,
        }
    }

    /// The outgoing picture ID.
    fn picture_id(&mut self, id: u16) -> u16 {
        let next = self.last_sent.picture_id.wrapping_add(1);
        let offset = self.offsets.picture_id;
        let offset = *self
            .offsets
            .picture_id
            .insert(offset.unwrap_or(next.wrapping_sub(id)));
        id.wrapping_add(offset) & PICTURE_ID_MASK
    }

    /// The outgoing TL0PICIDX.
    fn tl0(&mut self, index: u8) -> u8 {
        let next = self.last_sent.tl0.wrapping_add(1);
        let offset = self.offsets.tl0;
        let offset = *self
            .offsets
            .tl0
            .insert(offset.unwrap_or(next.wrapping_sub(index)));
        index.wrapping_add(offset)
    }

    /// Records the newest outgoing packet.
    fn remember(&mut self, newest: &MungedHeader, at: Instant) {
        self.last_sent = LastSent {
            time: newest.time,
            at: Some(at),
            picture_id: newest.picture_id.unwrap_or(self.last_sent.picture_id),
            tl0: newest.tl0.unwrap_or(self.last_sent.tl0),
        };
    }
}
