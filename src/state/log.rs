//! The message log of one person: what was said, what happened, what is on its way.
//!
//! Messages stand in the order of their `seq`; notices (somebody joined, left, was
//! renamed) stand where they were heard and are not kept by the server. A message
//! of one's own is pending until the server's copy of it arrives under the same id.

use crate::protocol::{
    ChatDraft, ChatMessage, Emoji, ErrorCode, Joined, MessageId, Nickname, ParticipantId, Person,
    Seq, ServerMessage,
};
use crate::state::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Notices kept; older ones make room.
const MAX_NOTICES: usize = 200;
/// Changes of messages that are not shown kept; older ones make room.
const MAX_LATE: usize = 50;

/// The log as one person sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// Messages and notices, oldest first.
    pub entries: Vec<Entry>,
    /// One's own messages that the server has not confirmed, oldest first.
    pub pending: Vec<PendingMessage>,
    /// Whether the server has older messages than the first.
    pub more: bool,
    /// Where the log stands, once the server has said so.
    pub position: Option<Position>,
    /// Changes of messages that are not shown, newest last: they count for pages of older
    /// messages that were read before the change and come after it.
    late: VecDeque<ChatMessage>,
    /// Reactions to messages that are not shown, newest last, for the same reason.
    late_reactions: VecDeque<LateReaction>,
    /// How many notices were ever made; numbers the next one.
    notices_made: u64,
}

/// A reaction to a message that is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LateReaction {
    /// Which event it was.
    seq: Seq,
    /// To which message.
    id: MessageId,
    /// The emoji in question.
    emoji: Emoji,
    /// The person who gave it or took it back.
    from: ParticipantId,
    /// Whether it was given.
    on: bool,
}

impl LateReaction {
    /// Makes it part of its message, unless the message knows of it.
    fn add_to(&self, message: &mut ChatMessage) {
        if message.changed < self.seq {
            message.react(&self.emoji, &self.from, self.on, self.seq);
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something was said.
    Message(ChatMessage),
    /// Something happened, numbered in order of hearing.
    Notice(u64, Notice),
}

impl Entry {
    /// Who said it.
    pub fn author(&self) -> Option<&Person> {
        match self {
            Self::Message(message) => Some(&message.from),
            Self::Notice(..) => None,
        }
    }
}

/// Something that happened among the people of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Somebody came in.
    Joined(ParticipantId, Nickname),
    /// Somebody left for good.
    Left(ParticipantId, Nickname),
    /// Somebody changed their nickname.
    Renamed {
        /// Id of the person.
        id: ParticipantId,
        /// The nickname they had.
        was: Nickname,
        /// The nickname they have.
        now: Nickname,
    },
}

/// A message of one's own that the server has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMessage {
    /// The message, under the id it will be known by.
    pub draft: ChatDraft,
    /// Why the server refused it; none while it is on its way.
    pub refused: Option<ErrorCode>,
}

impl Log {
    /// The log a page starts with: what the server rendered.
    pub fn from_history(
        messages: Vec<ChatMessage>,
        more: bool,
        position: Option<Position>,
    ) -> Self {
        let entries = messages.into_iter().map(Entry::Message).collect();
        Self {
            entries,
            more,
            position,
            ..Self::default()
        }
    }

    /// The confirmed messages, oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &ChatMessage> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Message(message) => Some(message),
            Entry::Notice(..) => None,
        })
    }

    /// The `seq` of the newest message.
    pub fn newest(&self) -> Option<Seq> {
        self.messages().next_back().map(|message| message.seq)
    }

    /// The `seq` of the oldest message shown, for asking what came before it.
    pub fn oldest(&self) -> Option<Seq> {
        self.messages().next().map(|message| message.seq)
    }

    /// Adds a message of one's own that is about to be sent.
    pub fn send(&mut self, draft: ChatDraft) {
        let refused = None;
        self.pending.push(PendingMessage { draft, refused });
    }

    /// Puts a refused message on its way again.
    pub fn retry(&mut self, id: MessageId) {
        if let Some(pending) = self
            .pending
            .iter_mut()
            .find(|pending| pending.draft.id == id)
        {
            pending.refused = None;
        }
    }

    /// Gives up a refused message.
    pub fn discard(&mut self, id: MessageId) {
        self.pending.retain(|pending| pending.draft.id != id);
    }

    /// Takes in what a message says of the log. True where anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => self.join(joined),
            ServerMessage::Chat(message) => self.hear(message),
            ServerMessage::Changed { message, .. } => self.change(message),
            ServerMessage::Reaction {
                seq,
                id,
                emoji,
                from,
                on,
            } => self.react(LateReaction {
                seq: *seq,
                id: *id,
                emoji: emoji.clone(),
                from: from.clone(),
                on: *on,
            }),
            ServerMessage::History { messages, more } => self.prepend(messages, *more),
            // Who was away for a moment is no news, and that they left is none any more.
            ServerMessage::Entered {
                person, back: true, ..
            } => self.take_back_left(&person.id),
            ServerMessage::Entered { person, .. } => {
                self.notice(Notice::Joined(person.id.clone(), person.nickname.clone()))
            }
            ServerMessage::Left { person, .. } => {
                self.notice(Notice::Left(person.id.clone(), person.nickname.clone()))
            }
            ServerMessage::Renamed { person, was } => self.notice(Notice::Renamed {
                id: person.id.clone(),
                was: was.clone(),
                now: person.nickname.clone(),
            }),
            ServerMessage::Error {
                code, id: Some(id), ..
            } => self.refuse(*id, *code),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Typing { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    /// A resumed log goes on; any other is replaced by the snapshot. What is on its
    /// way stays, unless the snapshot holds it already.
    fn join(&mut self, joined: &Joined) -> bool {
        if !joined.resumed {
            self.entries.clear();
            self.late.clear();
            self.late_reactions.clear();
            self.more = joined.more;
        }
        for message in &joined.history {
            self.hear(message);
        }
        for message in &joined.changed {
            self.change(message);
        }
        self.position = Some(Position {
            epoch: joined.epoch.clone(),
            seq: joined.seq,
        });
        true
    }

    /// Adds a message in its place; one that is there already is not added again.
    fn hear(&mut self, message: &ChatMessage) -> bool {
        self.pending
            .retain(|pending| pending.draft.id != message.id);
        self.reach(message.seq);
        // A page that was read before a change does not undo it.
        let newer = self.late.iter().find(|late| late.id == message.id);
        let mut message = newer
            .filter(|late| late.changed > message.changed)
            .cloned()
            .unwrap_or_else(|| message.clone());
        let id = message.id;
        for late in self.late_reactions.iter().filter(|late| late.id == id) {
            late.add_to(&mut message);
        }
        // A new message is nearly always the newest: look from the end.
        let place = self
            .entries
            .iter()
            .rposition(|entry| matches!(entry, Entry::Message(known) if known.seq <= message.seq));
        match place {
            Some(place) if self.holds(place, message.seq) => {}
            // Behind everything that was heard after the message before it, too.
            Some(place) if !self.entries[place + 1..].iter().any(is_message) => {
                self.entries.push(Entry::Message(message));
            }
            Some(place) => self.entries.insert(place + 1, Entry::Message(message)),
            None if !self.entries.iter().any(is_message) => {
                self.entries.push(Entry::Message(message));
            }
            None => self.entries.insert(0, Entry::Message(message)),
        }
        true
    }

    /// Takes in what became of a message.
    fn change(&mut self, message: &ChatMessage) -> bool {
        self.reach(message.changed);
        let known = self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Message(known) => (known.id == message.id).then_some(known),
            Entry::Notice(..) => None,
        });
        match known {
            Some(known) if known.changed < message.changed => *known = message.clone(),
            Some(_) => {}
            None => {
                self.late.retain(|late| late.id != message.id);
                self.late.push_back(message.clone());
                while self.late.len() > MAX_LATE {
                    self.late.pop_front();
                }
            }
        }
        true
    }

    /// Takes in a reaction.
    fn react(&mut self, reaction: LateReaction) -> bool {
        self.reach(reaction.seq);
        let known = self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Message(known) => (known.id == reaction.id).then_some(known),
            Entry::Notice(..) => None,
        });
        match known {
            Some(known) => reaction.add_to(known),
            None => {
                self.late_reactions.push_back(reaction);
                while self.late_reactions.len() > MAX_LATE {
                    self.late_reactions.pop_front();
                }
            }
        }
        true
    }

    /// Moves the position on.
    fn reach(&mut self, seq: Seq) {
        if let Some(position) = &mut self.position {
            position.seq = position.seq.max(seq);
        }
    }

    /// A message that is shown.
    pub fn message(&self, id: MessageId) -> Option<&ChatMessage> {
        self.messages().rev().find(|message| message.id == id)
    }

    fn holds(&self, place: usize, seq: Seq) -> bool {
        matches!(self.entries.get(place), Some(Entry::Message(known)) if known.seq == seq)
    }

    fn prepend(&mut self, messages: &[ChatMessage], more: bool) -> bool {
        for message in messages.iter().rev() {
            self.hear(message);
        }
        self.more = more;
        true
    }

    fn notice(&mut self, notice: Notice) -> bool {
        self.notices_made += 1;
        self.entries.push(Entry::Notice(self.notices_made, notice));
        self.drop_old_notices();
        true
    }

    /// Somebody is back: the notice that they left goes. True where there was one.
    fn take_back_left(&mut self, id: &ParticipantId) -> bool {
        let about = |entry: &Entry| match entry {
            Entry::Notice(_, Notice::Left(who, _) | Notice::Joined(who, _)) => who == id,
            Entry::Notice(_, Notice::Renamed { .. }) | Entry::Message(_) => false,
        };
        let last = self.entries.iter().rposition(about);
        let left = |entry: &Entry| matches!(entry, Entry::Notice(_, Notice::Left(..)));
        match last {
            Some(last) if left(&self.entries[last]) => {
                self.entries.remove(last);
                true
            }
            _ => false,
        }
    }

    fn drop_old_notices(&mut self) {
        let notices = self
            .entries
            .iter()
            .filter(|entry| !is_message(entry))
            .count();
        if notices > MAX_NOTICES
            && let Some(first) = self.entries.iter().position(|entry| !is_message(entry))
        {
            self.entries.remove(first);
        }
    }

    /// Too many at once is no refusal: the outbox sends it again by itself.
    fn refuse(&mut self, id: MessageId, code: ErrorCode) -> bool {
        if code == ErrorCode::TooManyMessages {
            return false;
        }
        let pending = self
            .pending
            .iter_mut()
            .find(|pending| pending.draft.id == id);
        pending.is_some_and(|pending| pending.refused.replace(code) != Some(code))
    }
}

fn is_message(entry: &Entry) -> bool {
    matches!(entry, Entry::Message(_))
}
