//! The newest messages of a room: enough to welcome somebody without asking the disk.
//!
//! What is told in one frame has to fit one frame, so no more than that is kept.

use crate::{
    protocol::{ChatMessage, HISTORY_PAGE, MAX_FRAME_BYTES, MAX_HISTORY_PAGE, Seq},
    server::store::Page,
};
use std::collections::VecDeque;

/// Changes of older messages kept; whoever missed more starts from a snapshot.
const MAX_CHANGES: usize = 100;

/// The log's end.
#[derive(Debug, Default)]
pub struct History {
    /// Oldest first, each as it is now, with its size as JSON.
    messages: VecDeque<(ChatMessage, usize)>,
    /// Sizes of all kept.
    bytes: usize,
    /// Messages that changed, each as it is now, in order of their last change.
    changes: VecDeque<ChatMessage>,
    /// Every event after this one is in `kept` or `changes`.
    floor: Seq,
    /// The newest event.
    seq: Seq,
    /// Whether there is certainly nothing older than `kept`.
    is_complete: bool,
}

/// What somebody missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedEvents {
    /// What was said since, oldest first.
    pub messages: Vec<ChatMessage>,
    /// What was said before that and changed since.
    pub changed: Vec<ChatMessage>,
}

impl History {
    /// Starts from what the store holds: the newest page, and `changes`, what changed last,
    /// in the order of it. `floor` is the last event that neither tells of.
    pub fn new(seq: Seq, floor: Seq, newest: Page, changes: Vec<ChatMessage>) -> Self {
        let mut history = Self {
            floor,
            is_complete: !newest.more,
            ..Self::default()
        };
        for message in newest.messages {
            history.push(message);
        }
        for message in changes {
            history.apply_change(message);
        }
        history.seq = history.seq.max(seq);
        history
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
        self.messages.push_back((message, size));
        self.evict_oldest();
    }

    /// Takes in what became of a message.
    pub fn apply_change(&mut self, message: ChatMessage) {
        self.seq = self.seq.max(message.changed);
        if let Some((known, size)) = self.messages.iter_mut().find(|(m, _)| m.id == message.id) {
            let now = json_bytes(&message);
            self.bytes = self.bytes - *size + now;
            (*known, *size) = (message.clone(), now);
        }
        self.changes.retain(|known| known.id != message.id);
        self.changes.push_back(message);
        let bytes = |changes: &VecDeque<ChatMessage>| changes.iter().map(json_bytes).sum::<usize>();
        while self.changes.len() > MAX_CHANGES || bytes(&self.changes) > MAX_FRAME_BYTES {
            let oldest = self.changes.pop_front();
            self.floor = self.floor.max(oldest.map_or(0, |oldest| oldest.changed));
        }
        self.evict_oldest();
    }

    /// Keeps no more than one frame holds.
    fn evict_oldest(&mut self) {
        while self.messages.len() > MAX_HISTORY_PAGE as usize || self.bytes > MAX_FRAME_BYTES {
            let Some((oldest, size)) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= size;
            self.floor = self.floor.max(oldest.seq);
            self.is_complete = false;
        }
    }

    /// Gives up messages that are not in the log any more; `gone` is in order.
    pub fn remove(&mut self, gone: &[Seq]) {
        let had_older = self.has_older();
        let stays = |message: &ChatMessage| gone.binary_search(&message.seq).is_err();
        self.messages.retain(|(message, _)| stays(message));
        self.changes.retain(stays);
        self.bytes = self.messages.iter().map(|(_, size)| size).sum();
        // The oldest go first: where none of ours is left, no older one is.
        self.is_complete = !had_older || self.messages.is_empty();
    }

    /// Whether there may be messages older than those kept.
    fn has_older(&self) -> bool {
        let oldest = self.messages.front();
        !self.is_complete && oldest.map_or(self.seq > 0, |(oldest, _)| oldest.seq > 1)
    }

    /// The newest messages that fit into `room_bytes`, at most 50, and whether there are
    /// older ones.
    pub fn newest(&self, room_bytes: usize) -> (Vec<ChatMessage>, bool) {
        let count = count_fitting(
            self.messages.iter().rev().map(|(_, size)| *size),
            room_bytes,
        );
        let skip = self.messages.len() - count.min(HISTORY_PAGE as usize);
        let messages: Vec<_> = self
            .messages
            .iter()
            .skip(skip)
            .map(|(m, _)| m.clone())
            .collect();
        (messages, skip > 0 || self.has_older())
    }

    /// Everything after `seen`, where that is known here and fits into `room_bytes`.
    pub fn since(&self, seen: Seq, room_bytes: usize) -> Option<MissedEvents> {
        if seen > self.seq || seen < self.floor {
            return None;
        }
        let messages = self
            .messages
            .iter()
            .filter(|(message, _)| message.seq > seen);
        let changed = self
            .changes
            .iter()
            .filter(|message| message.changed > seen && message.seq <= seen);
        let size: usize = messages.clone().map(|(_, size)| size).sum();
        let size = size + changed.clone().map(json_bytes).sum::<usize>();
        (size <= room_bytes).then(|| MissedEvents {
            messages: messages.map(|(message, _)| message.clone()).collect(),
            changed: changed.cloned().collect(),
        })
    }
}

/// As much of the newest end of a page as fits one frame, and whether there is more.
pub fn trim_to_frame(page: Page) -> (Vec<ChatMessage>, bool) {
    let mut messages = page.messages;
    let fits = count_fitting(messages.iter().rev().map(json_bytes), MAX_FRAME_BYTES - 64);
    let cut = messages.len() - fits;
    (messages.split_off(cut), page.more || cut > 0)
}

/// The size of a message inside a frame, with its comma.
pub fn json_bytes(message: &ChatMessage) -> usize {
    serde_json::to_string(message).map_or(MAX_FRAME_BYTES, |json| json.len() + 1)
}

/// How many of these sizes, in order, fit into `room_bytes`.
pub fn count_fitting(sizes: impl Iterator<Item = usize>, room_bytes: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= room_bytes).count()
}
