//! Splits a stream into frames and validates each frame.
//!
//! A frame is a STUN message or ChannelData. The codec of `turn-server` trusts lengths and padding
//! and panics on wrong ones, so it receives only messages that [`parse`] accepted.

use super::options::MAX_FRAME_BYTES;
use turn_server::codec::crypto::fingerprint;

/// Bytes of a STUN header (RFC 8489 section 5).
pub const HEADER_BYTES: usize = 20;
/// Bytes of a MESSAGE-INTEGRITY attribute: a header of 4 and an HMAC-SHA1 of 20.
pub const MESSAGE_INTEGRITY_BYTES: usize = 24;
/// Bytes of a ChannelData header, and of an attribute header.
const CHANNEL_DATA_HEADER_BYTES: usize = 4;
/// The magic cookie of STUN (RFC 8489 section 5).
const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
/// Channel numbers. RFC 8656 ends at 0x4FFF, but clients of RFC 5766 use the whole range.
pub const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;
/// The type of MESSAGE-INTEGRITY (RFC 8489 section 14.5).
const MESSAGE_INTEGRITY: u16 = 0x0008;
/// The type of CHANNEL-NUMBER (RFC 8656 section 18.1).
const CHANNEL_NUMBER: u16 = 0x000C;
/// The type of MESSAGE-INTEGRITY-SHA256 (RFC 8489 section 14.6).
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
/// The type of FINGERPRINT (RFC 8489 section 14.7).
const FINGERPRINT: u16 = 0x8028;

/// The bytes are no valid frame. The caller closes a stream; a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither STUN nor ChannelData")]
pub struct Malformed;

/// A valid frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A ChannelData message (RFC 8656 section 12.4).
    Channel {
        /// The channel number, in [`CHANNEL_NUMBERS`].
        number: u16,
        /// The application data without padding, possibly empty.
        payload: &'a [u8],
    },
    /// A STUN message with its header.
    Stun(&'a [u8]),
}

/// Parses a buffer that holds exactly one frame: a datagram, or a frame cut from a stream.
///
/// # Errors
/// [`Malformed`]; the caller closes the stream or drops the datagram.
pub fn parse(bytes: &[u8]) -> Result<Frame<'_>, Malformed> {
    let (head, rest) = bytes
        .split_first_chunk::<CHANNEL_DATA_HEADER_BYTES>()
        .ok_or(Malformed)?;
    let first = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if CHANNEL_NUMBERS.contains(&first) {
        // Padding may follow, even in a datagram.
        let padded = rest.len() < length + CHANNEL_DATA_HEADER_BYTES;
        let payload = rest.get(..length).filter(|_| padded).ok_or(Malformed)?;
        return Ok(Frame::Channel {
            number: first,
            payload,
        });
    }
    let whole = first < 0x4000 && bytes.len() == HEADER_BYTES + length;
    match whole && bytes[4..8] == MAGIC_COOKIE && has_valid_attributes(bytes) {
        true => Ok(Frame::Stun(bytes)),
        false => Err(Malformed),
    }
}

/// Bytes of the next frame of a stream, padding included. `None` until its header is complete.
///
/// # Errors
/// [`Malformed`] if the bytes are no frame or the frame exceeds [`MAX_FRAME_BYTES`]; the caller
/// closes the stream.
pub fn stream_frame_size(buffered: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(head) = buffered.first_chunk::<CHANNEL_DATA_HEADER_BYTES>() else {
        return Ok(None);
    };
    let first = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let size = match first {
        0x0000..=0x3FFF if length.is_multiple_of(4) => HEADER_BYTES + length,
        _ if CHANNEL_NUMBERS.contains(&first) => {
            CHANNEL_DATA_HEADER_BYTES + length.next_multiple_of(4)
        }
        _ => return Err(Malformed),
    };
    (size <= MAX_FRAME_BYTES)
        .then_some(Some(size))
        .ok_or(Malformed)
}

/// The type and the value of each attribute of a message that [`parse`] accepted.
pub fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attributes(message.get(HEADER_BYTES..).unwrap_or_default()).map_while(Result::ok)
}

/// Whether all attributes are complete, only FINGERPRINT and MESSAGE-INTEGRITY-SHA256 follow
/// MESSAGE-INTEGRITY, and FINGERPRINT is last and valid if present.
fn has_valid_attributes(message: &[u8]) -> bool {
    let mut signed = false;
    let mut marked = false;
    for attribute in Attributes(&message[HEADER_BYTES..]) {
        let Ok((kind, value)) = attribute else {
            return false;
        };
        let after_signature = kind == FINGERPRINT || kind == MESSAGE_INTEGRITY_SHA256;
        let short = kind == CHANNEL_NUMBER && value.len() != 4;
        if marked || short || (signed && !after_signature) {
            return false;
        }
        signed |= kind == MESSAGE_INTEGRITY;
        marked = kind == FINGERPRINT;
    }
    !marked || has_valid_fingerprint(message)
}

/// Whether FINGERPRINT, the last attribute, matches the message.
fn has_valid_fingerprint(message: &[u8]) -> bool {
    let Some((covered, mark)) = message.split_last_chunk::<8>() else {
        return false;
    };
    mark[2..4] == [0, 4] && mark[4..] == fingerprint(covered).to_be_bytes()
}

/// Iterates over attributes. Yields one error at an incomplete attribute and then ends.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let next = split_attribute(self.0);
        self.0 = next.map_or(&[], |(_, _, rest)| rest);
        Some(next.map(|(kind, value, _)| (kind, value)).ok_or(Malformed))
    }
}

/// Splits off the first attribute. Returns its type, its value and the remaining bytes.
fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, body) = bytes.split_first_chunk::<CHANNEL_DATA_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let rest = body.get(length.next_multiple_of(4)..)?;
    Some((
        u16::from_be_bytes([head[0], head[1]]),
        &body[..length],
        rest,
    ))
}
