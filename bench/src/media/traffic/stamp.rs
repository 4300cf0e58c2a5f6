//! The stamp in every payload, by which a receiver measures latency and detects corruption.

use std::{sync::OnceLock, time::Instant};

/// First bytes of a stamp.
const MAGIC: [u8; 4] = *b"noom";
/// Size of a stamp, in bytes.
pub const STAMP_BYTES: usize = 20;
/// Bit position of the layer above the publisher's index.
const LAYER_SHIFT: u32 = 24;
/// Filler that a receiver compares, in bytes at most.
const COMPARED_BYTES: usize = 32;

/// Nanoseconds from the first call to `at`.
pub fn nanos(at: Instant) -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    at.saturating_duration_since(origin).as_nanos() as u64
}

/// The position of a stamp in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After the TOC byte of Opus.
    Audio,
    /// After payload descriptor and frame header of VP8.
    Video,
}

impl Place {
    /// Offset of the stamp, in bytes.
    fn start(self) -> usize {
        match self {
            Self::Audio => 1,
            Self::Video => 16,
        }
    }
}

/// Sender, number and time of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The publisher's index.
    pub publisher: u32,
    /// The simulcast layer, from 0.
    pub layer: u8,
    /// Number of the packet in its flow.
    pub number: u32,
    /// When it was sent, in [`nanos`].
    pub nanos: u64,
}

impl Stamp {
    /// Writes the stamp into a payload and fills the rest.
    pub fn write(self, payload: &mut [u8], place: Place) {
        let start = place.start();
        let Some(room) = payload.get_mut(start..start + STAMP_BYTES) else {
            return;
        };
        room[..4].copy_from_slice(&MAGIC);
        let whose = u32::from(self.layer) << LAYER_SHIFT | self.publisher;
        room[4..8].copy_from_slice(&whose.to_be_bytes());
        room[8..12].copy_from_slice(&self.number.to_be_bytes());
        room[12..].copy_from_slice(&self.nanos.to_be_bytes());
        payload[start + STAMP_BYTES..].fill(self.number as u8);
    }

    /// Reads a stamp; `None` if it is missing or the filler differs.
    pub fn read(payload: &[u8], place: Place) -> Option<Self> {
        let stamp = payload.get(place.start()..)?;
        let (stamp, filling) = stamp.split_at_checked(STAMP_BYTES)?;
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(stamp.get(at..at + 4)?.try_into().ok()?))
        };
        let read = Self {
            publisher: word(4)? & ((1 << LAYER_SHIFT) - 1),
            layer: (word(4)? >> LAYER_SHIFT) as u8,
            number: word(8)?,
            nanos: u64::from(word(12)?) << 32 | u64::from(word(16)?),
        };
        let mut filling = filling.iter().rev().take(COMPARED_BYTES);
        let whole = stamp[..4] == MAGIC && filling.all(|byte| *byte == read.number as u8);
        whole.then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_unless_the_payload_changed() {
        let stamp = Stamp {
            publisher: 7,
            layer: 2,
            number: 70_000,
            nanos: u64::MAX / 3,
        };
        for place in [Place::Audio, Place::Video] {
            let mut payload = vec![0; 80];
            stamp.write(&mut payload, place);
            assert_eq!(Stamp::read(&payload, place), Some(stamp));
            payload[79] ^= 1;
            assert_eq!(Stamp::read(&payload, place), None);
            assert_eq!(Stamp::read(&payload[..20], place), None);
        }
    }
}
