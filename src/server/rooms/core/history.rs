//! The end of a room's log in memory: a join or a resume is answered without the disk.
//!
//! History holds no more than fits into one frame, because an answer is one frame.

use crate::{
    protocol::{
        ChatMessage, HISTORY_PAGE, MAX_FRAME_BYTES, MAX_HISTORY_PAGE, MessageId, ParticipantId,
        Pin, Seq,
    },
    server::store::Page,
};
use std::collections::VecDeque;

/// Maximum number of changes held. A client that missed more loads a snapshot.
const MAX_CHANGES: usize = 100;

/// The end of the log: the newest messages and the newest changes.
#[derive(Debug, Default)]
pub struct History {
    /// The newest messages, oldest first, each in its current state with its size as JSON in bytes.
    messages: VecDeque<(ChatMessage, usize)>,
    /// Sum of the sizes in `messages`, in bytes.
    bytes: usize,
    /// Changed messages, each in its current state, in order of their last change.
    changes: VecDeque<ChatMessage>,
    /// Every event after this one is in `messages` or `changes`.
    floor: Seq,
    /// The newest event of the log.
    seq: Seq,
    /// Whether the log is known to have no message older than `messages`.
    is_complete: bool,
    /// The pinned messages, in the order of pinning.
    pins: Vec<Pin>,
}

/// The events that a client missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedEvents {
    /// New messages, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Messages that the client has received and that changed since.
    pub changed: Vec<ChatMessage>,
}

impl History {
    /// The end of a stored log: its newest page, and its newest `changes` in their order. `floor`
    /// is the last event that neither of them covers.
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

    /// This history with the pinned messages of the log.
    #[must_use]
    pub fn with_pins(mut self, pinned: &[ChatMessage]) -> Self {
        self.pins = pinned.iter().filter_map(Pin::of).collect();
        self
    }

    /// The pinned messages, in the order of pinning.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// The `seq` of the newest event.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Notes an event that is not about a message.
    pub fn advance(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
    }

    /// The author of a message, if it is in memory.
    pub fn author(&self, id: &MessageId) -> Option<&ParticipantId> {
        let found = self.messages.iter().find(|(message, _)| message.id == *id);
        found.map(|(message, _)| &message.from.id)
    }

    /// Appends the next message, and evicts the oldest ones that no longer fit into one frame.
    pub fn push(&mut self, message: ChatMessage) {
        let size = json_bytes(&message);
        self.seq = self.seq.max(message.seq);
        self.bytes += size;
        self.messages.push_back((message, size));
        self.evict_oldest();
    }

    /// Replaces a message by its changed state.
    pub fn apply_change(&mut self, message: ChatMessage) {
        self.seq = self.seq.max(message.changed);
        Pin::update(&mut self.pins, &message);
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

    /// Evicts the oldest messages until the rest fits into one frame.
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

    /// Removes messages that were deleted from the log; `deleted` is in ascending order.
    pub fn remove(&mut self, deleted: &[Seq]) {
        let had_older = self.has_older();
        let stays = |message: &ChatMessage| deleted.binary_search(&message.seq).is_err();
        self.messages.retain(|(message, _)| stays(message));
        self.changes.retain(stays);
        self.pins
            .retain(|pin| deleted.binary_search(&pin.seq).is_err());
        self.bytes = self.messages.iter().map(|(_, size)| size).sum();
        // The retention deletes the oldest messages first: if none of these is left, no older one
        // is left either.
        self.is_complete = !had_older || self.messages.is_empty();
    }

    /// Whether the log may have messages older than `messages`.
    fn has_older(&self) -> bool {
        let oldest = self.messages.front();
        !self.is_complete && oldest.map_or(self.seq > 0, |(oldest, _)| oldest.seq > 1)
    }

    /// The newest messages that fit into `max_bytes`, at most 50, and whether there are older ones.
    pub fn newest(&self, max_bytes: usize) -> (Vec<ChatMessage>, bool) {
        let count = count_fitting(self.messages.iter().rev().map(|(_, size)| *size), max_bytes);
        let skip = self.messages.len() - count.min(HISTORY_PAGE as usize);
        let messages: Vec<_> = self
            .messages
            .iter()
            .skip(skip)
            .map(|(m, _)| m.clone())
            .collect();
        (messages, skip > 0 || self.has_older())
    }

    /// Every event after `seen`, if all of them are held and fit into `max_bytes`.
    pub fn since(&self, seen: Seq, max_bytes: usize) -> Option<MissedEvents> {
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
        (size <= max_bytes).then(|| MissedEvents {
            messages: messages.map(|(message, _)| message.clone()).collect(),
            changed: changed.cloned().collect(),
        })
    }
}

/// The newest messages of a page that fit into one frame, and whether there are older ones.
pub fn trim_to_frame(page: Page) -> (Vec<ChatMessage>, bool) {
    let mut messages = page.messages;
    let fits = count_fitting(messages.iter().rev().map(json_bytes), MAX_FRAME_BYTES - 64);
    let cut = messages.len() - fits;
    (messages.split_off(cut), page.more || cut > 0)
}

/// Bytes of a message inside a frame, including the comma after it.
pub fn json_bytes(message: &ChatMessage) -> usize {
    serde_json::to_string(message).map_or(MAX_FRAME_BYTES, |json| json.len() + 1)
}

/// The number of leading sizes whose sum is at most `max_bytes`.
pub fn count_fitting(sizes: impl Iterator<Item = usize>, max_bytes: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= max_bytes).count()
}
