//! Frames that were sent and are not acknowledged yet. Pure: no I/O.

use crate::{protocol::CloseCode, server::rooms::Frames};
use std::collections::VecDeque;

/// Frames in order. Each frame has a number; the first frame of the connection is 1.
#[derive(Default)]
pub struct UnackedFrames {
    /// The unacknowledged frames.
    frames: VecDeque<Frames>,
    /// The number of the last acknowledged frame.
    acknowledged: u64,
    /// Bytes of the unacknowledged frames.
    bytes: usize,
}

/// The acknowledged number is too old, or was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidAck;

impl UnackedFrames {
    /// Appends frames in order.
    pub fn push(&mut self, frames: Frames) {
        self.bytes += frames.size();
        self.frames.extend(frames.split());
    }

    /// Drops all frames up to number `after`. Returns their bytes.
    ///
    /// # Errors
    /// [`InvalidAck`]; nothing changes.
    pub fn acknowledge(&mut self, after: u64) -> Result<usize, InvalidAck> {
        let count = after.checked_sub(self.acknowledged).ok_or(InvalidAck)?;
        let count = usize::try_from(count).map_err(|_| InvalidAck)?;
        if count > self.frames.len() {
            return Err(InvalidAck);
        }
        let bytes = self.frames.drain(..count).map(|frame| frame.size()).sum();
        self.acknowledged = after;
        self.bytes -= bytes;
        Ok(bytes)
    }

    /// The JSON of a response with all frames. `close` adds a close code to the last response.
    pub fn answer(&self, close: Option<CloseCode>) -> String {
        let mut json = String::with_capacity(self.bytes + self.frames.len() + 64);
        json.push_str("{\"frames\":[");
        for (index, frame) in self.frames.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(frame.json());
        }
        let next = self.acknowledged + self.frames.len() as u64;
        json.push_str(&format!("],\"next\":{next}"));
        if let Some(code) = close {
            json.push_str(&format!(",\"close\":{}", code.code()));
        }
        json.push('}');
        json
    }

    /// The number of unacknowledged frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// The number of unacknowledged bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops all frames.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_sent_again_until_it_is_acknowledged() {
        let mut unacked = UnackedFrames::default();
        assert_eq!(unacked.answer(None), r#"{"frames":[],"next":0}"#);
        unacked.push(Frames::of_json("{}".to_owned()));
        unacked.push(Frames::of_json("[1]".to_owned()));
        for _ in 0..2 {
            assert_eq!(unacked.acknowledge(0), Ok(0));
            assert_eq!(unacked.answer(None), r#"{"frames":[{},[1]],"next":2}"#);
        }
        assert_eq!(unacked.acknowledge(1), Ok(4));
        assert_eq!((unacked.len(), unacked.bytes()), (1, 5));
        let last = unacked.answer(Some(CloseCode::Restarting));
        assert_eq!(last, r#"{"frames":[[1]],"next":2,"close":1012}"#);
    }

    #[test]
    fn an_acknowledgement_of_a_past_or_unsent_frame_is_refused() {
        let mut unacked = UnackedFrames::default();
        unacked.push(Frames::of_json("{}".to_owned()));
        assert_eq!(unacked.acknowledge(2), Err(InvalidAck));
        assert_eq!(unacked.acknowledge(u64::MAX), Err(InvalidAck));
        assert_eq!(unacked.acknowledge(1), Ok(4));
        assert_eq!(unacked.acknowledge(0), Err(InvalidAck));
        assert_eq!(unacked.acknowledge(1), Ok(0));
    }
}
