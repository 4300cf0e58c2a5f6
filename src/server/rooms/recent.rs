//! The newest messages of a room: enough to welcome somebody without asking the disk.
//!
//! What is told in one frame has to fit one frame, so no more than that is kept.

use crate::{
    protocol::{ChatMessage, HISTORY_PAGE, MAX_FRAME_BYTES, MAX_HISTORY_PAGE, Seq},
    server::store::Page,
};
use std::collections::VecDeque;

/// The log's end.
#[derive(Debug, Default)]
pub struct Recent {
    /// Oldest first, without a gap up to `seq`, each with its size as JSON.
    kept: VecDeque<(ChatMessage, usize)>,
    /// Sizes of all kept.
    bytes: usize,
    /// The newest event.
    seq: Seq,
}

impl Recent {
    /// Starts from what the store holds; `messages` are the newest, oldest first.
    pub fn new(seq: Seq, messages: Vec<ChatMessage>) -> Self {
        let mut recent = Self::default();
        for message in messages {
            recent.push(message);
        }
        recent.seq = recent.seq.max(seq);
        recent
    }

    /// The newest event.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Takes in the next message and forgets what no frame would hold any more.
    pub fn push(&mut self, message: ChatMessage) {
        let size = json_bytes(&message);
        self.seq = self.seq.max(message.seq);
        self.bytes += size;
        self.kept.push_back((message, size));
        while self.kept.len() > MAX_HISTORY_PAGE as usize || self.bytes > MAX_FRAME_BYTES {
            let Some((_, size)) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= size;
        }
    }

    /// The newest messages that fit into `room_bytes`, at most 50, and whether there are
    /// older ones.
    pub fn newest(&self, room_bytes: usize) -> (Vec<ChatMessage>, bool) {
        let count = fitting(self.kept.iter().rev().map(|(_, size)| *size), room_bytes);
        let skip = self.kept.len() - count.min(HISTORY_PAGE as usize);
        let messages: Vec<_> = self
            .kept
            .iter()
            .skip(skip)
            .map(|(m, _)| m.clone())
            .collect();
        let more = messages.first().map_or(self.seq > 0, |first| first.seq > 1);
        (messages, more)
    }

    /// Everything after `seen`, where that is known here and fits into `room_bytes`.
    pub fn since(&self, seen: Seq, room_bytes: usize) -> Option<Vec<ChatMessage>> {
        if seen > self.seq {
            return None;
        }
        let missed = self.kept.iter().filter(|(message, _)| message.seq > seen);
        let reaches_back = self
            .kept
            .front()
            .is_some_and(|(first, _)| first.seq <= seen + 1);
        let size: usize = missed.clone().map(|(_, size)| size).sum();
        let whole = seen == self.seq || reaches_back;
        (whole && size <= room_bytes).then(|| missed.map(|(m, _)| m.clone()).collect())
    }
}

/// As much of the newest end of a page as fits one frame, and whether there is more.
pub fn fitting_page(page: Page) -> (Vec<ChatMessage>, bool) {
    let mut messages = page.messages;
    let fits = fitting(messages.iter().rev().map(json_bytes), MAX_FRAME_BYTES - 64);
    let cut = messages.len() - fits;
    (messages.split_off(cut), page.more || cut > 0)
}

/// The size of a message inside a frame, with its comma.
pub fn json_bytes(message: &ChatMessage) -> usize {
    serde_json::to_string(message).map_or(MAX_FRAME_BYTES, |json| json.len() + 1)
}

/// How many of these sizes, in order, fit into `room_bytes`.
pub fn fitting(sizes: impl Iterator<Item = usize>, room_bytes: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= room_bytes).count()
}
