//! The synthetic audio and video of publishers, the same in every run.
//!
//! Video is [`vp8`] with two temporal layers, a [`Stamp`] and filler. Packets of a frame leave at
//! 2.5 times the bitrate, as browsers pace theirs.

use super::{
    stamp::{Place, Stamp},
    vp8::{self, Frame},
};
use std::time::{Duration, Instant};

/// Payload of a full video packet, in bytes.
const PACKET_BYTES: usize = 1_100;
/// Smallest payload of the last packet of a frame, in bytes.
const MIN_BYTES: usize = 64;
/// Payload of an audio packet, in bytes: 32 kbit/s at 20 ms.
const AUDIO_BYTES: usize = 80;
/// Interval between audio packets.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Interval between keyframes without a request.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(3);
/// Size of a keyframe relative to other frames.
const KEYFRAME_FACTOR: usize = 5;
/// Rate at which packets of a frame leave, relative to the bitrate (libwebrtc's pacing factor).
const PACING_FACTOR: f64 = 2.5;
/// RTP clock rate of video, in Hz.
const VIDEO_CLOCK: u64 = 90_000;
/// RTP clock rate of audio, in Hz.
const AUDIO_CLOCK: u64 = 48_000;

/// RIDs of the simulcast layers, the smallest first.
pub const RIDS: [&str; 3] = ["q", "h", "f"];

/// Width and height of each layer in pixels; video without simulcast has the last size.
const SIZES: [[u16; 2]; 3] = [[320, 180], [640, 360], [1_280, 720]];

/// The kind of a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FlowKind {
    /// Audio like Opus: constant bitrate and frame length.
    Audio {
        /// Audio level from 0 (loudest) to -127 dBov; above -50 is speech.
        level: i8,
    },
    /// Video like VP8: frames of several packets.
    Video {
        /// The simulcast layer, if any.
        rid: Option<&'static str>,
        /// Bits per second.
        bitrate: u32,
        /// Frames per second.
        rate: u32,
    },
}

/// One packet to send.
#[derive(Debug)]
pub struct Packet {
    /// Sequence number without wrapping.
    pub seq: u64,
    /// RTP timestamp, in units of the codec's clock.
    pub time: u32,
    /// RTP marker: the last packet of a frame.
    pub marker: bool,
    /// RTP payload, not encrypted.
    pub payload: Vec<u8>,
}

/// An endless stream of packets.
#[derive(Debug)]
pub struct Flow {
    /// Audio or video, and its bitrate.
    pub kind: FlowKind,
    /// When the next packet is due.
    pub due: Instant,
    /// Index of the publisher.
    publisher: u32,
    /// Next sequence number.
    seq: u64,
    /// When it started.
    start: Instant,
    /// Number of frames so far.
    frames: u64,
    /// The frame that is being sent.
    frame: Frame,
    /// Packets that are sent back to back.
    burst: u32,
    /// Packets of the current burst so far.
    in_burst: u32,
    /// When the last keyframe started.
    keyframe_at: Option<Instant>,
    /// Whether a keyframe is requested.
    wants_keyframe: bool,
    /// TL0PICIDX of the last frame.
    base_layer: u8,
}

impl Flow {
    /// A flow that starts at `start`.
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

    /// Changes the start.
    pub fn start_at(&mut self, start: Instant) {
        self.start = start;
        self.due = start;
    }

    /// Makes the next frame a keyframe.
    pub fn request_keyframe(&mut self) {
        self.wants_keyframe = true;
    }

    /// Returns the due packet and schedules the next. `nanos` is the time in its stamp.
    pub fn next(&mut self, nanos: u64) -> Packet {
        match self.kind {
            FlowKind::Audio { .. } => self.next_audio(nanos),
            FlowKind::Video { bitrate, rate, .. } => self.next_video(bitrate, rate, nanos),
        }
    }

    /// The next audio packet.
    fn next_audio(&mut self, nanos: u64) -> Packet {
        let mut payload = vec![0; AUDIO_BYTES];
        // TOC byte: CELT, fullband, 20 ms, one frame (RFC 6716, section 3.1).
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

    /// The next video packet.
    fn next_video(&mut self, bitrate: u32, rate: u32, nanos: u64) -> Packet {
        if self.frame.remaining == 0 {
            self.begin_frame(bitrate, rate);
        }
        let length = self.frame.remaining.min(PACKET_BYTES);
        let mut payload = vec![0; length];
        vp8::describe(&mut payload, self.frame, self.frames, self.base_layer);
        self.stamp(nanos).write(&mut payload, Place::Video);
        self.frame.remaining -= length;
        self.frame.is_start = false;
        let packet = Packet {
            seq: self.seq,
            time: self.frame.time,
            marker: self.frame.remaining == 0,
            payload,
        };
        self.seq += 1;
        self.pace(bitrate, rate);
        packet
    }

    /// Starts the next frame.
    fn begin_frame(&mut self, bitrate: u32, rate: u32) {
        let now = self.due;
        let is_due = self
            .keyframe_at
            .is_none_or(|at| now >= at + KEYFRAME_INTERVAL);
        let is_keyframe = self.wants_keyframe || is_due;
        if is_keyframe {
            self.keyframe_at = Some(now);
            self.wants_keyframe = false;
        }
        let layer = if is_keyframe {
            0
        } else {
            (self.frames % 2) as u8
        };
        self.base_layer = self.base_layer.wrapping_add(u8::from(layer == 0));
        self.frame = Frame {
            remaining: self.size(bitrate, rate, is_keyframe),
            is_start: true,
            is_keyframe,
            layer,
            time: (self.frames * VIDEO_CLOCK / u64::from(rate)) as u32,
            size: SIZES[self.layer().unwrap_or(SIZES.len() - 1)],
        };
        self.in_burst = 0;
    }

    /// Size of a frame in bytes. With a keyframe every [`KEYFRAME_INTERVAL`] the flow has its
    /// bitrate; other frames vary by a quarter.
    fn size(&self, bitrate: u32, rate: u32, is_keyframe: bool) -> usize {
        let frames = rate as usize * KEYFRAME_INTERVAL.as_secs() as usize;
        let bytes = bitrate as usize / 8 * KEYFRAME_INTERVAL.as_secs() as usize;
        let usual = bytes / (frames + KEYFRAME_FACTOR - 1);
        // Golden-ratio steps are evenly spread and have no period.
        let variation = (self.frames * 618 % 1_000) as usize;
        let size = match is_keyframe {
            true => usual * KEYFRAME_FACTOR,
            false => usual * 3 / 4 + usual * variation / 2_000,
        };
        // The last packet holds a stamp too.
        size + MIN_BYTES.saturating_sub(size % PACKET_BYTES)
    }

    /// Schedules the next packet.
    fn pace(&mut self, bitrate: u32, rate: u32) {
        self.in_burst += 1;
        if self.frame.remaining == 0 {
            self.frames += 1;
            let next = self.start + Duration::from_secs(self.frames) / rate;
            self.due = self.due.max(next);
        } else if self.in_burst == self.burst {
            self.in_burst = 0;
            let bits = f64::from(self.burst) * PACKET_BYTES as f64 * 8.0;
            self.due += Duration::from_secs_f64(bits / (PACING_FACTOR * f64::from(bitrate)));
        }
    }

    /// Index of the simulcast layer, if any.
    fn layer(&self) -> Option<usize> {
        let FlowKind::Video { rid, .. } = self.kind else {
            return None;
        };
        RIDS.iter().position(|one| rid == Some(*one))
    }

    /// The stamp of the next packet.
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

    /// Video of 1 Mbit/s in one layer.
    const VIDEO: FlowKind = FlowKind::Video {
        rid: None,
        bitrate: 1_000_000,
        rate: 30,
    };

    /// All packets of `seconds`.
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
    fn video_keeps_its_bitrate() {
        let packets = play(VIDEO, 30);
        let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        let bitrate = bytes as f64 * 8.0 / 30.0;
        assert!((900_000.0..1_100_000.0).contains(&bitrate), "{bitrate}");
        let frames = packets.iter().filter(|packet| packet.marker).count();
        assert!((890..=901).contains(&frames), "{frames}");
    }

    #[test]
    fn a_keyframe_comes_every_three_seconds_and_on_request() {
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
    fn audio_packets_come_every_twenty_milliseconds() {
        let packets = play(FlowKind::Audio { level: -20 }, 1);
        assert_eq!(packets.len(), 50);
        assert_eq!(packets[1].time - packets[0].time, 960);
    }
}
