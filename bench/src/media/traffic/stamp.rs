//! What a packet says about itself, so that who receives it knows how old it is and whether it
//! is whole.

use std::{sync::OnceLock, time::Instant};

/// Begins a stamp.
const MAGIC: [u8; 4] = *b"noom";
/// Bytes of one.
pub const STAMP_BYTES: usize = 20;
/// The layer is above the publisher's number.
const LAYER_SHIFT: u32 = 24;
/// Filling behind a stamp that is compared, in bytes at most.
const COMPARED_BYTES: usize = 32;

/// Nanoseconds from the first time this was asked to then.
pub fn nanos(at: Instant) -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    at.saturating_duration_since(origin).as_nanos() as u64
}

/// Where in a payload a stamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the first byte, which is Opus's.
    Audio,
    /// Behind payload descriptor and frame header of VP8.
    Video,
}

impl Place {
    /// The first byte of the stamp.
    fn start(self) -> usize {
        match self {
            Self::Audio => 1,
            Self::Video => 16,
        }
    }
}

/// Who sent a packet, as which of theirs, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The publisher's index.
    pub publisher: u32,
    /// The simulcast layer, from 0.
    pub layer: u8,
    /// Counts the packets of a flow.
    pub number: u32,
    /// When it left, in [`nanos`].
    pub nanos: u64,
}

impl Stamp {
    /// Writes it into a payload and fills what is behind.
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

    /// Reads it; nothing where there is none, or what is behind it is not what was written.
    pub fn read(payload: &[u8], place: Place) -> Option<Self> {
        let stamp = payload.get(place.start()..)?;
        let (stamp, filling) = stamp.split_at_checked(STAMP_BYTES)?;
        let cli_name = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(stamp.get(at..at + 4)?.try_into().ok()?))
        };
        let read = Self {
            publisher: cli_name(4)? & ((1 << LAYER_SHIFT) - 1),
            layer: (cli_name(4)? >> LAYER_SHIFT) as u8,
            number: cli_name(8)?,
            nanos: u64::from(cli_name(12)?) << 32 | u64::from(cli_name(16)?),
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
    fn a_stamp_is_read_where_it_was_written_unless_something_changed() {
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
