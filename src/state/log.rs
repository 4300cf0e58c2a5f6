//! The message log of one participant: messages, notices and pending messages.
//!
//! Messages are in order of `seq`. Notices (a participant joined, left or was renamed; a role or
//! the settings changed; an announcement) are at the position at which they arrived; the server does not store them. A sent message is
//! pending until the server's copy arrives with the same id.

use crate::protocol::{
    Access, Attachment, ChatDraft, ChatMessage, ChatText, Emoji, ErrorCode, Joined, MessageId,
    Nickname, ParticipantId, Person, Pin, Role, RoomSettings, Seq, ServerMessage,
};
use crate::state::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most notices in the log; the oldest are dropped.
const MAX_NOTICES: usize = 200;
/// Most changes kept for messages that are not loaded; the oldest are dropped.
const MAX_LATE: usize = 50;

/// The log as one participant sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Log {
    /// Messages and notices, oldest first.
    pub entries: Vec<Entry>,
    /// Sent messages that the server has not confirmed, oldest first.
    pub pending: Vec<PendingMessage>,
    /// The pinned messages, in the order of pinning.
    pub pins: Vec<Pin>,
    /// Whether the server has messages older than the first one.
    pub more: bool,
    /// Epoch and sequence number of the newest event; `None` before the first `joined`.
    pub position: Option<Position>,
    /// Changes of messages that are not loaded, newest last. They apply to a page of older
    /// messages that the server read before the change and that arrives after it.
    late: VecDeque<ChatMessage>,
    /// Reactions to messages that are not loaded, newest last, for the same reason.
    late_reactions: VecDeque<LateReaction>,
    /// Notices created so far; numbers the next one.
    notices_made: u64,
}

/// A reaction to a message that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LateReaction {
    /// Sequence number of the event.
    seq: Seq,
    /// Id of the message.
    id: MessageId,
    /// The emoji of the reaction.
    emoji: Emoji,
    /// The participant who reacted.
    from: ParticipantId,
    /// Whether the reaction was added; otherwise it was removed.
    on: bool,
}

impl LateReaction {
    /// Applies the reaction to its message, unless the message already includes it.
    fn add_to(&self, message: &mut ChatMessage) {
        if message.changed < self.seq {
            message.react(&self.emoji, &self.from, self.on, self.seq);
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A chat message.
    Message(ChatMessage),
    /// A notice, with its number in order of arrival.
    Notice(u64, Notice),
}

impl Entry {
    /// The author of a message; `None` for a notice.
    pub fn author(&self) -> Option<&Person> {
        match self {
            Self::Message(message) => Some(&message.from),
            Self::Notice(..) => None,
        }
    }
}

/// An event that the server does not store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A participant joined.
    Joined(ParticipantId, Nickname),
    /// A participant left.
    Left(ParticipantId, Nickname),
    /// A participant changed their nickname.
    Renamed {
        /// Id of the participant.
        id: ParticipantId,
        /// The previous nickname.
        was: Nickname,
        /// The new nickname.
        now: Nickname,
    },
    /// Somebody announced something.
    Announcement {
        /// The host; the operator if `None`.
        from: Option<Person>,
        /// What is announced.
        text: ChatText,
    },
    /// The role of a participant changed.
    RoleChanged {
        /// Id of the participant.
        id: ParticipantId,
        /// The participant's nickname.
        nickname: Nickname,
        /// The new role.
        role: Role,
        /// The participant who changed it, if known.
        by: Signer,
    },
    /// The room admits nobody new.
    Locked(Signer),
    /// The room admits everybody again.
    Unlocked(Signer),
    /// Who may come in, or how long messages are kept, changed.
    EntryChanged {
        /// What it is from now on.
        change: EntryChange,
        /// The participant who changed it, if known.
        by: Signer,
    },
    /// Other settings of the room changed.
    RulesChanged(Signer),
    /// The room closes at this time, in milliseconds since the Unix epoch.
    ClosesAt(i64),
}

/// A setting about entering the room, as it is from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryChange {
    /// Who finds the room and may enter it.
    Access(Access),
    /// Whether newcomers wait in the lobby.
    Lobby(bool),
    /// Whether the room has a password.
    Password(bool),
    /// Most participants, if the room has a limit of its own.
    Capacity(Option<u32>),
    /// When the room is open.
    Window,
    /// For how many days the room keeps a message, if it has a limit of its own.
    Retention(Option<u32>),
}

impl EntryChange {
    /// The first setting about entering that differs.
    pub fn between(before: &RoomSettings, after: &RoomSettings) -> Option<Self> {
        if before.access != after.access {
            return Some(Self::Access(after.access));
        }
        if before.lobby != after.lobby {
            return Some(Self::Lobby(after.lobby));
        }
        if before.password != after.password {
            return Some(Self::Password(after.password));
        }
        if (before.opens, before.closes) != (after.opens, after.closes) {
            return Some(Self::Window);
        }
        if before.capacity != after.capacity {
            return Some(Self::Capacity(after.capacity));
        }
        let is_kept = before.retention_days == after.retention_days;
        (!is_kept).then_some(Self::Retention(after.retention_days))
    }
}

/// The participant who changed something; `None` if unknown.
pub type Signer = Option<(ParticipantId, Nickname)>;

impl Notice {
    /// The participant who caused the event, if one did.
    pub fn author(&self) -> Option<&ParticipantId> {
        match self {
            Self::Joined(id, _) | Self::Left(id, _) | Self::Renamed { id, .. } => Some(id),
            Self::Announcement { from, .. } => from.as_ref().map(|from| &from.id),
            Self::RoleChanged { by, .. }
            | Self::Locked(by)
            | Self::Unlocked(by)
            | Self::RulesChanged(by)
            | Self::EntryChanged { by, .. } => by.as_ref().map(|(id, _)| id),
            Self::ClosesAt(_) => None,
        }
    }
}

/// A sent message that the server has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingMessage {
    /// The message with its final id.
    pub draft: ChatDraft,
    /// The code of the server's refusal; `None` while the message is in flight.
    pub refused: Option<ErrorCode>,
    /// The files of the draft, as the author sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Attachment>,
}

impl PendingMessage {
    /// Whether the server has forgotten the uploads of the message, so that its files must be
    /// uploaded again.
    pub fn lost_files(&self) -> bool {
        self.refused == Some(ErrorCode::NoSuchFile) && !self.files.is_empty()
    }
}

impl Log {
    /// The log of the page that the server rendered.
    pub fn from_history(
        messages: Vec<ChatMessage>,
        pins: Vec<Pin>,
        more: bool,
        position: Option<Position>,
    ) -> Self {
        let entries = messages.into_iter().map(Entry::Message).collect();
        Self {
            entries,
            pins,
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

    /// The `seq` of the oldest loaded message, for requesting older ones.
    pub fn oldest(&self) -> Option<Seq> {
        self.messages().next().map(|message| message.seq)
    }

    /// Adds a pending message; with the files of its draft, as the author sees them.
    pub fn send(&mut self, draft: ChatDraft, files: Vec<Attachment>) {
        self.pending.push(PendingMessage {
            draft,
            refused: None,
            files,
        });
    }

    /// Clears the refusal of a pending message, so that it is sent again.
    pub fn retry(&mut self, id: MessageId) {
        if let Some(pending) = self
            .pending
            .iter_mut()
            .find(|pending| pending.draft.id == id)
        {
            pending.refused = None;
        }
    }

    /// Removes a refused message.
    pub fn discard(&mut self, id: MessageId) {
        self.pending.retain(|pending| pending.draft.id != id);
    }

    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => self.join(joined),
            ServerMessage::Chat(message) => self.insert(message),
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
            // A participant who reconnected gets no notice, and the notice of leaving is removed.
            ServerMessage::Entered {
                person, back: true, ..
            } => self.remove_left_notice(&person.id),
            ServerMessage::Entered { person, .. } => {
                self.add(Notice::Joined(person.id.clone(), person.nickname.clone()))
            }
            ServerMessage::Left { person, .. } => {
                self.add(Notice::Left(person.id.clone(), person.nickname.clone()))
            }
            ServerMessage::Renamed { person, was } => self.add(Notice::Renamed {
                id: person.id.clone(),
                was: was.clone(),
                now: person.nickname.clone(),
            }),
            ServerMessage::Announcement { text, from } => self.add(Notice::Announcement {
                from: from.clone(),
                text: text.clone(),
            }),
            ServerMessage::RoleChanged { seq: Some(seq), .. }
            | ServerMessage::RoomChanged { seq, .. } => {
                self.advance(*seq);
                false
            }
            ServerMessage::Error {
                code, id: Some(id), ..
            } => self.refuse(*id, *code),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Typing { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::RoleChanged { seq: None, .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
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
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => false,
        }
    }

    /// Continues a resumed log; replaces any other log by the snapshot. Pending messages stay,
    /// unless the snapshot contains them.
    fn join(&mut self, joined: &Joined) -> bool {
        if !joined.resumed {
            self.entries.clear();
            self.late.clear();
            self.late_reactions.clear();
            self.more = joined.more;
        }
        for message in &joined.history {
            self.insert(message);
        }
        for message in &joined.changed {
            self.change(message);
        }
        self.pins.clone_from(&joined.pins);
        self.position = Some(Position {
            epoch: joined.epoch.clone(),
            seq: joined.seq,
        });
        true
    }

    /// Inserts a message in order of `seq`, unless it is already in the log.
    fn insert(&mut self, message: &ChatMessage) -> bool {
        self.pending
            .retain(|pending| pending.draft.id != message.id);
        self.advance(message.seq);
        // A page that the server read before a change must not undo it.
        let newer = self.late.iter().find(|late| late.id == message.id);
        let mut message = newer
            .filter(|late| late.changed > message.changed)
            .cloned()
            .unwrap_or_else(|| message.clone());
        let id = message.id;
        for late in self.late_reactions.iter().filter(|late| late.id == id) {
            late.add_to(&mut message);
        }
        // A new message is nearly always the newest: search from the end.
        let place = self
            .entries
            .iter()
            .rposition(|entry| matches!(entry, Entry::Message(known) if known.seq <= message.seq));
        match place {
            Some(place) if self.has_seq(place, message.seq) => {}
            // The newest message goes after the notices that follow the message before it.
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

    /// Replaces a message by its changed version, or keeps that for a later page.
    fn change(&mut self, message: &ChatMessage) -> bool {
        self.advance(message.changed);
        Pin::update(&mut self.pins, message);
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

    /// Applies a reaction, or keeps it for a later page.
    fn react(&mut self, reaction: LateReaction) -> bool {
        self.advance(reaction.seq);
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

    /// Advances the position to `seq`.
    fn advance(&mut self, seq: Seq) {
        if let Some(position) = &mut self.position {
            position.seq = position.seq.max(seq);
        }
    }

    /// A loaded message.
    pub fn message(&self, id: MessageId) -> Option<&ChatMessage> {
        self.messages().rev().find(|message| message.id == id)
    }

    fn has_seq(&self, place: usize, seq: Seq) -> bool {
        matches!(self.entries.get(place), Some(Entry::Message(known)) if known.seq == seq)
    }

    fn prepend(&mut self, messages: &[ChatMessage], more: bool) -> bool {
        for message in messages.iter().rev() {
            self.insert(message);
        }
        self.more = more;
        true
    }

    /// Adds a notice at the end. Returns true.
    pub fn add(&mut self, notice: Notice) -> bool {
        self.notices_made += 1;
        self.entries.push(Entry::Notice(self.notices_made, notice));
        self.drop_old_notices();
        true
    }

    /// Removes the notice that a participant left, once they are back. Returns whether there was
    /// one.
    fn remove_left_notice(&mut self, id: &ParticipantId) -> bool {
        let about = |entry: &Entry| match entry {
            Entry::Notice(_, Notice::Left(who, _) | Notice::Joined(who, _)) => who == id,
            Entry::Notice(
                _,
                Notice::Renamed { .. }
                | Notice::Announcement { .. }
                | Notice::RoleChanged { .. }
                | Notice::Locked(_)
                | Notice::Unlocked(_)
                | Notice::EntryChanged { .. }
                | Notice::RulesChanged(_)
                | Notice::ClosesAt(_),
            )
            | Entry::Message(_) => false,
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

    /// Marks a pending message as refused. `too_many_messages` is no refusal, because the outbox
    /// sends the message again.
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
