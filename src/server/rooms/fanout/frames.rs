//! Encoded WebSocket frames that all sockets of a room share.
//!
//! A message is serialised once and gets its WebSocket header once (RFC 6455 section 5.2: frames
//! of a server are not masked, so they are the same for every client). Several messages make one
//! run of bytes, which a socket writes at once.

use crate::protocol::ServerMessage;
use bytes::Bytes;
use std::{io::Cursor, str, sync::Arc};
use tungstenite::protocol::frame::{
    Frame, FrameHeader,
    coding::{Data, OpCode},
};

/// One or more complete text frames. Cloning is cheap, and a queue of them is small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames(Arc<Run>);

/// The bytes that all clones share.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// The frames on the wire, one after the other.
    bytes: Bytes,
    /// The number of frames.
    count: u32,
}

impl Frames {
    /// Encodes a message.
    pub fn of(message: &ServerMessage) -> Self {
        match serde_json::to_string(message) {
            Ok(json) => Self::of_json(json),
            Err(error) => {
                tracing::error!(%error, "a server message did not serialise");
                Self::of_json("{\"type\":\"pong\"}".to_owned())
            }
        }
    }

    /// Encodes a JSON text.
    pub fn of_json(json: String) -> Self {
        let frame = Frame::message(json, OpCode::Data(Data::Text), true);
        let mut bytes = Vec::with_capacity(frame.len());
        if let Err(error) = frame.format(&mut bytes) {
            tracing::error!(%error, "a frame was not written into memory");
        }
        Self::run(bytes.into(), 1)
    }

    /// A run of `count` frames.
    fn run(bytes: Bytes, count: u32) -> Self {
        Self(Arc::new(Run { bytes, count }))
    }

    /// Concatenates frames, in order.
    pub fn concat(parts: &[Self]) -> Self {
        match parts {
            [one] => one.clone(),
            many => {
                let bytes = many.iter().flat_map(|part| &part.0.bytes);
                let count = many.iter().map(Self::count).sum();
                Self::run(bytes.copied().collect(), count)
            }
        }
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Bytes {
        self.0.bytes.clone()
    }

    /// A complete control frame, such as a pong. It does not count as a message.
    pub fn of_transport(bytes: &[u8]) -> Self {
        Self::run(Bytes::copy_from_slice(bytes), 0)
    }

    /// The number of messages.
    pub fn count(&self) -> u32 {
        self.0.count
    }

    /// The number of bytes on the wire.
    pub fn size(&self) -> usize {
        self.0.bytes.len()
    }

    /// Splits a run into its frames.
    pub fn split(self) -> impl Iterator<Item = Self> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            let (head, payload) = frame_lengths(&rest)?;
            let length = (head + payload).min(rest.len());
            Some(Self::run(rest.split_to(length), 1))
        })
    }

    /// The text of the first frame.
    pub fn json(&self) -> &str {
        let payload = frame_lengths(&self.0.bytes).and_then(|(head, payload)| {
            let end = head.checked_add(payload)?;
            self.0.bytes.get(head..end)
        });
        let text = payload.and_then(|payload| str::from_utf8(payload).ok());
        text.unwrap_or_default()
    }
}

/// The lengths of the first frame's header and payload, in bytes.
fn frame_lengths(bytes: &Bytes) -> Option<(usize, usize)> {
    let mut cursor = Cursor::new(bytes);
    let (_, payload) = FrameHeader::parse(&mut cursor).ok()??;
    let head = usize::try_from(cursor.position()).ok()?;
    Some((head, usize::try_from(payload).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_is_a_header_and_a_text() {
        let frame = Frames::of_json("{}".to_owned());
        assert_eq!(frame.bytes().as_ref(), b"\x81\x02{}");
        assert_eq!((frame.json(), frame.size()), ("{}", 4));
    }

    proptest! {
        #[test]
        fn concatenated_frames_split_into_the_same_frames(
            texts in prop::collection::vec("[a-z가-힣]{0,300}|[a-z]{65500,65600}", 1..4),
        ) {
            let parts: Vec<_> = texts.iter().cloned().map(Frames::of_json).collect();
            let joined = Frames::concat(&parts);
            prop_assert_eq!(joined.size(), parts.iter().map(Frames::size).sum::<usize>());
            let split: Vec<_> = joined.split().collect();
            prop_assert_eq!(&split, &parts);
            for (part, text) in split.iter().zip(&texts) {
                prop_assert_eq!(part.json(), text);
            }
        }
    }
}
