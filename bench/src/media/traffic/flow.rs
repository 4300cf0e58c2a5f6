//! What publishers send: pictures and sound that no camera made, the same in every run.
//!
//! A picture is [`vp8`] with two temporal layers, then a [`Stamp`] and filling. Packets of a frame leave in bursts at two and a half
//! times the bitrate, as browsers pace theirs.

use super::{
    stamp::{Place, Stamp},
    vp8::{self, Frame},
};
use std::time::{Duration, Instant};

/// Payload of a full picture packet, in bytes.
const PACKET_BYTES: usize = 1_100;
/// Payload of the last packet of a frame at least.
const LEAST_BYTES: usize = 64;
/// Payload of a sound packet: 32 kbit/s at 20 ms.
const AUDIO_BYTES: usize = 80;
/// Between two sound packets.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Between two keyframes nobody asked for.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(3);
/// How much larger a keyframe is than another frame.
const KEYFRAME_FACTOR: usize = 5;
/// How much faster than the bitrate packets of a frame leave (libwebrtc's pacing factor).
const PACE: f64 = 2.5;
/// Ticks of a picture's clock a second.
const VIDEO_CLOCK: u64 = 90_000;
/// Ticks of a sound's clock a second.
const AUDIO_CLOCK: u64 = 48_000;

/// Simulcast layers, the smallest first.
pub const RIDS: [&str; 3] = ["q", "h", "f"];

/// How large each is, in pixels; a picture without layers is as large as the last.
const SIZES: [[u16; 2]; 3] = [[320, 180], [640, 360], [1_280, 720]];

/// What a flow is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FlowKind {
    /// Opus, so loud: 0 (loudest) to -127 dBov, speech above -50.
    Audio {
        /// In dBov.
        level: i8,
    },
    /// VP8.
    Video {
        /// Which simulcast layer, where there are several.
        rid: Option<&'static str>,
        /// Bits a second.
        bitrate: u32,
        /// Frames a second.
        rate: u32,
    },
}

/// One packet to be sent.
#[derive(Debug)]
pub struct Packet {
    /// The place in the stream, without wrapping.
    pub seq: u64,
    /// When it was sampled, in ticks.
    pub time: u32,
    /// Whether a frame ends with it.
    pub marker: bool,
    /// The payload.
    pub payload: Vec<u8>,
}

/// An endless stream of packets.
#[derive(Debug)]
pub struct Flow {
    /// What it is made of.
    pub kind: FlowKind,
    /// When the next packet is due.
    pub due: Instant,
    /// Whose it is.
    publisher: u32,
    /// Packets so far.
    seq: u64,
    /// When it began.
    start: Instant,
    /// Frames so far.
    frames: u64,
    /// The frame that is leaving.
    frame: Frame,
    /// Packets that leave together.
    burst: u32,
    /// Of these, how many have left.
    in_burst: u32,
    /// When the last keyframe began.
    keyframe_at: Option<Instant>,
    /// Whether one was asked for.
    wants_keyframe: bool,
    /// TL0PICIDX of the last frame.
    base_layer: u8,
}

impl Flow {
    /// A flow that begins then.
    pub fn new(kind: FlowKind, publisher: u32, burst: u32, start: Instant) -> Self {
        Self {
            kind,
            due: start,
            publisher,
            seq: 1,
            start,
            frames: 0,
            frame: Frame::default(),
            burst: burst.max(1),
            in_burst: 0,
            keyframe_at: None,
            wants_keyframe: true,
            base_layer: 0,
        }
    }

    /// Begins then instead.
    pub fn begin(&mut self, start: Instant) {
        self.start = start;
        self.due = start;
    }

    /// Somebody needs a keyframe.
    pub fn request_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// The packet that is due, and moves on to the next. `nanos` is what its stamp says.
    pub fn next(&mut self, nanos: u64) -> Packet {
        match self.kind {
            FlowKind::Audio { .. } => self.next_audio(nanos),
            FlowKind::Video { bitrate, rate, .. } => self.next_video(bitrate, rate, nanos),
        }
    }

    /// The next packet of a sound.
    fn next_audio(&mut self, nanos: u64) -> Packet {
        let mut payload = vec![0; AUDIO_BYTES];
        // Opus, CELT, fullband, 20 ms, one frame (RFC 6716, 3.1).
        payload[0] = 0xf8;
        self.stamp(nanos).write(&mut payload, Place::Audio);
        let ticks = self.frames * AUDIO_CLOCK * AUDIO_INTERVAL.as_millis() as u64 / 1_000;
        let packet = Packet {
            seq: self.seq,
            time: ticks as u32,
            marker: self.frames == 0,
            payload,
        };
        self.seq += 1;
        self.frames += 1;
        self.due += AUDIO_INTERVAL;
        packet
    }

    /// The next packet of a picture.
    fn next_video(&mut self, bitrate: u32, rate: u32, nanos: u64) -> Packet {
        if self.frame.left == 0 {
            self.begin_frame(bitrate, rate);
        }
        let length = self.frame.left.min(PACKET_BYTES);
        let mut payload = vec![0; length];
        vp8::describe(&mut payload, self.frame, self.frames, self.base_layer);
        self.stamp(nanos).write(&mut payload, Place::Video);
        self.frame.left -= length;
        self.frame.fresh = false;
        let packet = Packet {
            seq: self.seq,
            time: self.frame.time,
            marker: self.frame.left == 0,
            payload,
        };
        self.seq += 1;
        self.pace(bitrate, rate);
        packet
    }

    /// Decides what the next frame is.
    fn begin_frame(&mut self, bitrate: u32, rate: u32) {
        let now = self.due;
        let old = self
            .keyframe_at
            .is_none_or(|at| now >= at + KEYFRAME_INTERVAL);
        let key = self.wants_keyframe || old;
        if key {
            self.keyframe_at = Some(now);
            self.wants_keyframe = false;
        }
        let layer = if key { 0 } else { (self.frames % 2) as u8 };
        self.base_layer = self.base_layer.wrapping_add(u8::from(layer == 0));
        self.frame = Frame {
            left: self.size(bitrate, rate, key),
            fresh: true,
            key,
            layer,
            time: (self.frames * VIDEO_CLOCK / u64::from(rate)) as u32,
            size: SIZES[self.layer().unwrap_or(SIZES.len() - 1)],
        };
        self.in_burst = 0;
    }

    /// Bytes of a frame: the bitrate is met with a keyframe every [`KEYFRAME_INTERVAL`], and
    /// other frames differ from each other by a quarter.
    fn size(&self, bitrate: u32, rate: u32, key: bool) -> usize {
        let frames = rate as usize * KEYFRAME_INTERVAL.as_secs() as usize;
        let bytes = bitrate as usize / 8 * KEYFRAME_INTERVAL.as_secs() as usize;
        let usual = bytes / (frames + KEYFRAME_FACTOR - 1);
        // Golden ratio steps: even spread, no period.
        let wobble = (self.frames * 618 % 1_000) as usize;
        let size = match key {
            true => usual * KEYFRAME_FACTOR,
            false => usual * 3 / 4 + usual * wobble / 2_000,
        };
        // The last packet, too, holds a stamp.
        size + LEAST_BYTES.saturating_sub(size % PACKET_BYTES)
    }

    /// When the next packet is due.
    fn pace(&mut self, bitrate: u32, rate: u32) {
        self.in_burst += 1;
        if self.frame.left == 0 {
            self.frames += 1;
            let next = self.start + Duration::from_secs(self.frames) / rate;
            self.due = self.due.max(next);
        } else if self.in_burst == self.burst {
            self.in_burst = 0;
            let bits = f64::from(self.burst) * PACKET_BYTES as f64 * 8.0;
            self.due += Duration::from_secs_f64(bits / (PACE * f64::from(bitrate)));
        }
    }

    /// Which simulcast layer it is, where there are several.
    fn layer(&self) -> Option<usize> {
        let FlowKind::Video { rid, .. } = self.kind else {
            return None;
        };
        RIDS.iter().position(|one| rid == Some(*one))
    }

    /// Who sends this when.
    fn stamp(&self, nanos: u64) -> Stamp {
        Stamp {
            publisher: self.publisher,
            layer: self.layer().unwrap_or(0) as u8,
            number: self.seq as u32,
            nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A megabit a second.
    const VIDEO: FlowKind = FlowKind::Video {
        rid: None,
        bitrate: 1_000_000,
        rate: 30,
    };

    /// All packets of so many seconds.
    fn play(kind: FlowKind, seconds: u64) -> Vec<Packet> {
        let start = Instant::now();
        let mut flow = Flow::new(kind, 1, 1, start);
        let end = start + Duration::from_secs(seconds);
        let mut packets = Vec::new();
        while flow.due < end {
            packets.push(flow.next(0));
        }
        packets
    }

    #[test]
    fn a_picture_keeps_its_bitrate() {
        let packets = play(VIDEO, 30);
        let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        let bitrate = bytes as f64 * 8.0 / 30.0;
        assert!((900_000.0..1_100_000.0).contains(&bitrate), "{bitrate}");
        let frames = packets.iter().filter(|packet| packet.marker).count();
        assert!((890..=901).contains(&frames), "{frames}");
    }

    #[test]
    fn a_keyframe_comes_every_three_seconds_and_when_asked_for() {
        let is_key = |p: &&Packet| p.payload[0] & 0x10 != 0 && p.payload[6] & 1 == 0;
        let packets = play(VIDEO, 30);
        let keys = packets.iter().filter(is_key).count();
        assert!((10..=11).contains(&keys), "{keys}");
        let mut flow = Flow::new(VIDEO, 1, 4, Instant::now());
        while !flow.next(0).marker {}
        flow.request_keyframe();
        assert!(is_key(&&flow.next(0)));
    }

    #[test]
    fn sound_comes_every_twenty_milliseconds() {
        let packets = play(FlowKind::Audio { level: -20 }, 1);
        assert_eq!(packets.len(), 50);
        assert_eq!(packets[1].time - packets[0].time, 960);
    }
}
