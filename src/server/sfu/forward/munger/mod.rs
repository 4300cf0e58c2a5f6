//! Keeps one outgoing RTP stream continuous while its source changes.
//!
//! A receiver sees one stream for as long as the call lasts; behind it another layer or
//! another person may begin at any keyframe. Numbers, media times and VP8 picture ids go
//! on as if nothing had happened. Sequence numbers live in [`numbers`]; the rest is a
//! constant per source that is chosen when the source begins.
//!
//! Per packet: no allocation, no clock. The one who drives it says when a source begins.

mod numbers;
#[cfg(test)]
mod tests;

use crate::server::sfu::codec::VIDEO_CLOCK;
use numbers::SequenceMunger;
use std::time::Instant;

/// A jump of media time that no two layers of one person are apart by. 5 s: encoders of
/// one browser differ by frames, not by seconds.
const LARGEST_JUMP_S: u32 = 5;
/// Picture ids are 15 bits wide (RFC 7741 4.2).
const PICTURE_ID_MASK: u16 = 0x7fff;

/// What is read of a packet of the source.
#[derive(Debug, Clone, Copy)]
pub struct SourceHeader {
    /// Its place in the source's order, extended beyond 16 bits.
    pub seq: u64,
    /// Its media time.
    pub time: u32,
    /// When it came.
    pub received_at: Instant,
    /// The VP8 picture id, where it has one.
    pub picture_id: Option<u16>,
    /// The VP8 index of base-layer pictures (TL0PICIDX), where it has one.
    pub tl0: Option<u8>,
}

/// What is written into the packet as it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MungedHeader {
    /// Its place in the outgoing order, extended beyond 16 bits.
    pub seq: u64,
    /// Its media time.
    pub time: u32,
    /// The VP8 picture id, where the source has one.
    pub picture_id: Option<u16>,
    /// The VP8 index of base-layer pictures, where the source has one.
    pub tl0: Option<u8>,
}

/// A source that is to begin with the next packet.
#[derive(Debug, Clone, Copy)]
enum Switch {
    /// Media time goes on by the time that passed.
    ByClock,
    /// The new source's time plus this is the old source's time, as far as that is plausible.
    ByOffset(u32),
}

/// The newest packet that left.
#[derive(Debug, Clone, Copy)]
struct LastSent {
    /// Its media time as sent; before any packet, the first one's to be.
    time: u32,
    /// When it came; before any packet, since when the stream runs, where it does.
    at: Option<Instant>,
    /// The last picture id sent.
    picture_id: u16,
    /// The last base-layer index sent.
    tl0: u8,
}

/// What is added to the source's values, wrapping; set when the source begins.
#[derive(Debug, Clone, Copy, Default)]
struct Offsets {
    /// To media times.
    time: u32,
    /// To picture ids, from the first that has one on.
    picture_id: Option<u16>,
    /// To base-layer indexes, from the first that has one on.
    tl0: Option<u8>,
}

/// One outgoing stream.
#[derive(Debug)]
pub struct RtpMunger {
    /// Maps source sequence numbers to outgoing ones.
    numbers: SequenceMunger,
    /// The RTP clock rate in Hz.
    clock_rate: u32,
    /// Set while the next packet begins a source.
    switch: Option<Switch>,
    /// Set while the next packet begins a source whose picture ids stay as they are.
    keeps_picture_ids: bool,
    /// What the current source's values are moved by.
    offsets: Offsets,
    /// Where the stream has got to.
    last_sent: LastSent,
}

impl RtpMunger {
    /// A stream that begins with these values. `first_seq` is to be below 32,768, so that
    /// a first packet lost on the way cannot confuse the receiver's count of roll-overs
    /// (RFC 3711 3.3.1); a higher one is folded.
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

    /// Its media time runs from this moment on, also before its first packet. `str0m` reports 0
    /// until then, and browsers take a report that jumps by more than 2^25 ticks, six minutes
    /// of a picture, for a mistake.
    pub fn set_start_time(&mut self, at: Instant) {
        self.last_sent.at = Some(at);
    }

    /// The next packet given begins a new source: the first of a keyframe, or sound.
    pub fn switch_source(&mut self) {
        self.switch = Some(Switch::ByClock);
    }

    /// As [`Self::switch_source`], to another layer of the same person whose media time
    /// plus `time_offset` (wrapping) is that of the layer before, as their sender reports
    /// say. Where that would run backwards, or more than 5 s ahead, time goes by the clock.
    pub fn switch_source_with_offset(&mut self, time_offset: u32) {
        self.switch = Some(Switch::ByOffset(time_offset));
    }

    /// The source that begins with the next packet is to have its own picture ids: nothing
    /// was decoded before, or something of another codec.
    pub fn keep_picture_ids(&mut self) {
        self.keeps_picture_ids = true;
    }

    /// This packet of the source is left out on purpose: those after it close the gap. Has
    /// no effect once a later one has left: its number is then lost.
    pub fn skip(&mut self, seq: u64) {
        self.numbers.skip(seq);
    }

    /// The values a packet leaves with; none where it is from before the source began, too
    /// late to have a place, or left out. The same packet given twice gets the same values.
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

    /// Begins a source with its first packet.
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

    /// The time a source begins at by what passed since the last packet: a frame at least,
    /// because two pictures of one time would be one picture.
    fn start_time_by_clock(&self, now: Instant) -> u32 {
        let Some(before) = self.last_sent.at else {
            return self.last_sent.time;
        };
        let passed = now.saturating_duration_since(before).as_micros();
        let ticks = passed * u128::from(self.clock_rate) / 1_000_000;
        // Half the range at most: more would look like a step back.
        let ticks = ticks.min(i32::MAX as u128) as u32;
        self.last_sent
            .time
            .wrapping_add(ticks.max(self.min_time_step()))
    }

    /// The time a source begins at by its distance to the one before; none where it makes
    /// no sense.
    fn start_time_by_offset(&self, packet: &SourceHeader, offset: u32) -> Option<u32> {
        self.last_sent.at?;
        let moved = self.offsets.time.wrapping_add(offset);
        let time = packet.time.wrapping_add(moved);
        let ahead = time.wrapping_sub(self.last_sent.time);
        let most = self.clock_rate.saturating_mul(LARGEST_JUMP_S);
        (1..=most).contains(&ahead).then_some(time)
    }

    /// The least that media time moves on by at a switch: a frame of 1/30 s, or 20 ms of sound.
    fn min_time_step(&self) -> u32 {
        match self.clock_rate {
            VIDEO_CLOCK => VIDEO_CLOCK / 30,
            clock => clock / 50,
        }
    }

    /// The picture id as it leaves.
    fn picture_id(&mut self, id: u16) -> u16 {
        let next = self.last_sent.picture_id.wrapping_add(1);
        let offset = self.offsets.picture_id;
        let offset = *self
            .offsets
            .picture_id
            .insert(offset.unwrap_or(next.wrapping_sub(id)));
        id.wrapping_add(offset) & PICTURE_ID_MASK
    }

    /// The base-layer index as it leaves.
    fn tl0(&mut self, index: u8) -> u8 {
        let next = self.last_sent.tl0.wrapping_add(1);
        let offset = self.offsets.tl0;
        let offset = *self
            .offsets
            .tl0
            .insert(offset.unwrap_or(next.wrapping_sub(index)));
        index.wrapping_add(offset)
    }

    /// Remembers the newest packet.
    fn remember(&mut self, newest: &MungedHeader, at: Instant) {
        self.last_sent = LastSent {
            time: newest.time,
            at: Some(at),
            picture_id: newest.picture_id.unwrap_or(self.last_sent.picture_id),
            tl0: newest.tl0.unwrap_or(self.last_sent.tl0),
        };
    }
}
