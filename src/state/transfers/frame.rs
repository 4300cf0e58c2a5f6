//! The frames of the data channel that carries files. `docs/protocol.md` specifies them.
//!
//! A frame is one binary message: a version byte, a kind, the id of the transfer, then fields of the
//! kind. Numbers are big-endian. Decoding copies nothing and never panics.

use crate::protocol::MAX_FILE_NAME_BYTES;

/// The version of the frames.
pub const VERSION: u8 = 1;
/// The bytes before the content of [`Frame::Data`]: version, kind, id and offset.
pub const DATA_HEADER_BYTES: usize = 18;
/// Most bytes of a file in one frame, with its header 256 KiB: the largest message that every browser
/// sends at once.
pub const MAX_CHUNK_BYTES: usize = 256 * 1024 - DATA_HEADER_BYTES;
/// Most bytes of a frame.
pub const MAX_FRAME_BYTES: usize = MAX_CHUNK_BYTES + DATA_HEADER_BYTES;
/// Fewest bytes of a file in one frame, even if the other side announces less.
const MIN_CHUNK_BYTES: usize = 1_024;
/// The chunk if the other side does not announce its largest message (RFC 8841 6.1).
const DEFAULT_MESSAGE_BYTES: usize = 65_536;

/// The id of a transfer, which the sender draws at random.
pub type TransferId = u64;

/// The SHA-256 of a file.
pub type FileHash = [u8; 32];

/// Why a transfer was refused or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A person said so.
    Declined = 1,
    /// Too many transfers at once.
    Busy = 2,
    /// The receiver cannot keep a file of this size.
    TooLarge = 3,
    /// The room does not let the sender share files.
    NotAllowed = 4,
    /// The receiver could not write the file.
    NotStored = 5,
    /// The sender could not read the file.
    NotRead = 6,
    /// The received file is not the sent one.
    WrongHash = 7,
    /// A frame broke the protocol.
    BadFrame = 8,
    /// The transfer is not known, for example after a reload.
    Unknown = 9,
}

impl Reason {
    /// A reason from its code; one that this version does not know is [`Self::Declined`].
    fn from_code(code: u8) -> Self {
        match code {
            2 => Self::Busy,
            3 => Self::TooLarge,
            4 => Self::NotAllowed,
            5 => Self::NotStored,
            6 => Self::NotRead,
            7 => Self::WrongHash,
            8 => Self::BadFrame,
            9 => Self::Unknown,
            _ => Self::Declined,
        }
    }
}

/// One message of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The sender offers a file. Repeated on each new connection until the transfer ends.
    Offer {
        /// Id of the transfer.
        id: TransferId,
        /// Size of the file in bytes.
        size: u64,
        /// Name of the file.
        name: &'a str,
    },
    /// The receiver accepts; the sender begins with the first byte.
    Accept {
        /// Id of the transfer.
        id: TransferId,
    },
    /// The receiver refuses.
    Refuse {
        /// Id of the transfer.
        id: TransferId,
        /// Why the transfer ends.
        reason: Reason,
    },
    /// Bytes of the file, in order.
    Data {
        /// Id of the transfer.
        id: TransferId,
        /// Where in the file the bytes are.
        offset: u64,
        /// Bytes of the file.
        bytes: &'a [u8],
    },
    /// The receiver has stored everything before the offset.
    Ack {
        /// Id of the transfer.
        id: TransferId,
        /// The number of stored bytes.
        offset: u64,
    },
    /// Either side ends the transfer.
    Cancel {
        /// Id of the transfer.
        id: TransferId,
        /// Why the transfer ends.
        reason: Reason,
    },
    /// The receiver continues after a lost connection.
    Resume {
        /// Id of the transfer.
        id: TransferId,
        /// The first byte that the receiver does not have.
        offset: u64,
    },
    /// From the sender: the file is sent whole. From the receiver: it is kept, and its hash is right.
    Done {
        /// Id of the transfer.
        id: TransferId,
        /// The SHA-256 of the file.
        hash: FileHash,
    },
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Another version, or a kind that this version does not know; the receiver ignores the frame.
    Unknown,
    /// The frame is cut off, too long, or a field has no valid value.
    Invalid,
}

impl<'a> Frame<'a> {
    /// Decodes one message.
    ///
    /// # Errors
    /// The bytes are no frame of this version.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (&[version, kind], rest) = bytes.split_first_chunk().ok_or(FrameError::Invalid)?;
        if version != VERSION || !(1..=8).contains(&kind) {
            return Err(FrameError::Unknown);
        }
        let (id, rest) = number(rest)?;
        match kind {
            1 => offer(id, rest),
            2 => end(rest, Self::Accept { id }),
            3 => Ok(Self::Refuse {
                id,
                reason: reason(rest)?,
            }),
            4 => data(id, rest),
            5 => {
                let (offset, rest) = number(rest)?;
                end(rest, Self::Ack { id, offset })
            }
            6 => Ok(Self::Cancel {
                id,
                reason: reason(rest)?,
            }),
            7 => {
                let (offset, rest) = number(rest)?;
                end(rest, Self::Resume { id, offset })
            }
            _ => {
                let hash = rest.try_into().map_err(|_| FrameError::Invalid)?;
                Ok(Self::Done { id, hash })
            }
        }
    }

    /// The frame as one message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Offer { id, size, name } => {
                let mut bytes = header(1, *id);
                bytes.extend(size.to_be_bytes());
                bytes.extend(name.as_bytes());
                bytes
            }
            Self::Accept { id } => header(2, *id),
            Self::Refuse { id, reason } => with(header(3, *id), &[*reason as u8]),
            Self::Data { id, offset, bytes } => with(data_header(*id, *offset), bytes),
            Self::Ack { id, offset } => with(header(5, *id), &offset.to_be_bytes()),
            Self::Cancel { id, reason } => with(header(6, *id), &[*reason as u8]),
            Self::Resume { id, offset } => with(header(7, *id), &offset.to_be_bytes()),
            Self::Done { id, hash } => with(header(8, *id), hash),
        }
    }
}

/// The bytes of a data frame before its content.
pub fn data_header(id: TransferId, offset: u64) -> Vec<u8> {
    with(header(4, id), &offset.to_be_bytes())
}

/// The bytes of a file in one frame, if the other side receives messages of this size; 0 or less says
/// that it does not tell.
pub fn chunk_bytes(max_message_bytes: f64) -> usize {
    let message = match max_message_bytes >= 1.0 {
        true => max_message_bytes.min(1e9) as usize,
        false => DEFAULT_MESSAGE_BYTES,
    };
    message
        .saturating_sub(DATA_HEADER_BYTES)
        .clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES)
}

fn header(kind: u8, id: TransferId) -> Vec<u8> {
    with(vec![VERSION, kind], &id.to_be_bytes())
}

fn with(mut bytes: Vec<u8>, more: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(more);
    bytes
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), FrameError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(FrameError::Invalid)?;
    Ok((u64::from_be_bytes(*number), rest))
}

fn reason(bytes: &[u8]) -> Result<Reason, FrameError> {
    match bytes {
        [code] => Ok(Reason::from_code(*code)),
        _ => Err(FrameError::Invalid),
    }
}

/// The frame, if nothing follows it.
fn end<'a>(rest: &[u8], frame: Frame<'a>) -> Result<Frame<'a>, FrameError> {
    match rest.is_empty() {
        true => Ok(frame),
        false => Err(FrameError::Invalid),
    }
}

fn offer(id: TransferId, rest: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (size, name) = number(rest)?;
    if name.len() > MAX_FILE_NAME_BYTES {
        return Err(FrameError::Invalid);
    }
    let name = std::str::from_utf8(name).map_err(|_| FrameError::Invalid)?;
    Ok(Frame::Offer { id, size, name })
}

fn data(id: TransferId, rest: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (offset, bytes) = number(rest)?;
    match (1..=MAX_CHUNK_BYTES).contains(&bytes.len()) {
        true => Ok(Frame::Data { id, offset, bytes }),
        false => Err(FrameError::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reasons() -> impl Strategy<Value = Reason> {
        (1..=9_u8).prop_map(Reason::from_code)
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frame::decode(&bytes);
        }

        #[test]
        fn arbitrary_bytes_after_a_valid_start_decode_to_what_encodes_to_them(
            kind in 0..10_u8,
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = with(vec![VERSION, kind], &rest);
            if let Ok(frame) = Frame::decode(&bytes) {
                match frame {
                    // Unknown reasons decode to a known one.
                    Frame::Refuse { .. } | Frame::Cancel { .. } => {}
                    frame => prop_assert_eq!(frame.encode(), bytes),
                }
            }
        }

        #[test]
        fn every_frame_survives_and_no_cut_of_one_is_another(
            id in any::<u64>(),
            number in any::<u64>(),
            name in "\\PC{0,60}",
            content in prop::collection::vec(any::<u8>(), 1..200),
            reason in reasons(),
            hash in any::<[u8; 32]>(),
        ) {
            let bytes = &content[..];
            for frame in [
                Frame::Offer { id, size: number, name: &name },
                Frame::Accept { id },
                Frame::Refuse { id, reason },
                Frame::Data { id, offset: number, bytes },
                Frame::Ack { id, offset: number },
                Frame::Cancel { id, reason },
                Frame::Resume { id, offset: number },
                Frame::Done { id, hash },
            ] {
                let encoded = frame.encode();
                prop_assert_eq!(Frame::decode(&encoded), Ok(frame.clone()));
                for cut in 0..encoded.len() {
                    prop_assert_ne!(Frame::decode(&encoded[..cut]), Ok(frame.clone()));
                }
            }
        }

        #[test]
        fn a_chunk_with_its_header_fits_the_message_of_the_other_side(size in 2_000.0..2e10) {
            let chunk = chunk_bytes(size);
            prop_assert!((chunk + DATA_HEADER_BYTES) as f64 <= size);
            prop_assert!((MIN_CHUNK_BYTES..=MAX_CHUNK_BYTES).contains(&chunk));
        }
    }

    #[test]
    fn other_versions_and_kinds_are_unknown_and_long_names_invalid() {
        assert_eq!(Frame::decode(&[2, 1]), Err(FrameError::Unknown));
        assert_eq!(Frame::decode(&[1, 9]), Err(FrameError::Unknown));
        assert_eq!(Frame::decode(&[1]), Err(FrameError::Invalid));
        let name = "x".repeat(MAX_FILE_NAME_BYTES + 1);
        let offer = Frame::Offer {
            id: 1,
            size: 1,
            name: &name,
        };
        assert_eq!(Frame::decode(&offer.encode()), Err(FrameError::Invalid));
        assert_eq!(Frame::decode(&data_header(1, 0)), Err(FrameError::Invalid));
    }

    #[test]
    fn the_header_is_that_of_an_encoded_frame() {
        let frame = Frame::Data {
            id: 0x0102_0304_0506_0708,
            offset: 9,
            bytes: &[7],
        };
        let header = data_header(0x0102_0304_0506_0708, 9);
        assert_eq!(header.len(), DATA_HEADER_BYTES);
        assert_eq!(frame.encode(), [&header[..], &[7]].concat());
        for unknown in [f64::NAN, 0.0, -1.0] {
            assert_eq!(chunk_bytes(unknown) + DATA_HEADER_BYTES, 65_536);
        }
        assert_eq!(chunk_bytes(f64::INFINITY), MAX_CHUNK_BYTES);
    }
}
