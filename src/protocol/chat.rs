//! Chat messages, their edits and their reactions.

use super::{
    Attachment, ChatText, FileId, Mark, MarkKind, MessageId, NameError, Nickname, ParticipantId,
    Person, names::presentable,
};
use serde::{Deserialize, Serialize};

/// The sequence number of a durable event in its room's log: 1, 2, 3, … within one
/// [`super::Epoch`]. 0 is before the first event.
pub type Seq = u64;

/// Messages in `joined`, and the default size of a `history` page.
pub const HISTORY_PAGE: u32 = 50;
/// The largest `history` page, in messages. A larger `limit` is answered with this many.
pub const MAX_HISTORY_PAGE: u32 = 200;
/// Most reactions of one message, counted as pairs of a participant and an emoji.
pub const MAX_REACTIONS: usize = 200;

/// Most mentions of one message.
pub const MAX_MENTIONS: usize = 20;

/// Most pinned messages of a room.
pub const MAX_PINS: u32 = 3;
/// Longest text of a [`Pin`], in Unicode scalar values.
const MAX_PIN_CHARS: usize = 200;

/// A chat message that the server has not stored yet. The text is a `String` as typed on the wire,
/// so that a refusal can name the id, and a [`ChatText`] everywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatDraft<T = ChatText> {
    /// A UUID drawn by the author's client. Sending it again never stores a second message.
    pub id: MessageId,
    /// The text as the author typed it: `T` is `String` until it is parsed.
    pub text: T,
    /// The message that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Finished uploads of the author, which become the files of the message; at most
    /// [`super::MAX_MESSAGE_FILES`]. With files the text may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileId>,
    /// The people whom the author chose for `@nickname`, in the order of the text, for nicknames that
    /// several people have. The server finds the others by the text; those after the first
    /// [`MAX_MENTIONS`] are ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ParticipantId>,
}

/// Somebody whom a message mentions, with the nickname at the time of sending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Id of the person.
    pub id: ParticipantId,
    /// The nickname that stands in the text.
    pub nickname: Nickname,
}

impl ChatDraft<String> {
    /// Parses the text.
    ///
    /// # Errors
    /// [`NameError`] if the text is not a valid chat message.
    pub fn parse(self) -> Result<ChatDraft, NameError> {
        let text = match ChatText::parse(&self.text) {
            Err(NameError::Empty) if !self.files.is_empty() => ChatText::none(),
            parsed => parsed?,
        };
        Ok(ChatDraft {
            id: self.id,
            text,
            reply_to: self.reply_to,
            files: self.files,
            mentions: self.mentions,
        })
    }
}

/// The form of a draft on the wire.
impl From<ChatDraft> for ChatDraft<String> {
    fn from(draft: ChatDraft) -> Self {
        Self {
            id: draft.id,
            text: draft.text.to_string(),
            reply_to: draft.reply_to,
            files: draft.files,
            mentions: draft.mentions,
        }
    }
}

/// One stored chat message with its edits and reactions applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Sequence number of the message in the room's log.
    pub seq: Seq,
    /// The id that the author's client drew.
    pub id: MessageId,
    /// The author, with the nickname at the time of sending.
    pub from: Person,
    /// The text; `None` (an empty text on the wire) if there is none. A message with neither text nor
    /// files was deleted.
    #[serde(with = "text_or_none")]
    pub text: Option<ChatText>,
    /// The form of the text, derived from it by the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// When the server accepted the message, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The files of the message; none once it is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Attachment>,
    /// The message that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// When the author last edited the text, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<i64>,
    /// Reactions, in order of first use of each emoji.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Sequence number of the last event that changed the message; 0 if none did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changed: Seq,
    /// Sequence number of the event by which a host pinned the message; 0 if it is not pinned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pinned: Seq,
}

/// A pinned message, with the start of its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Id of the message.
    pub id: MessageId,
    /// Sequence number of the message.
    pub seq: Seq,
    /// Sequence number of the event by which a host pinned it.
    pub pinned: Seq,
    /// The author, with the nickname at the time of sending.
    pub from: Person,
    /// The text without syntax, or the names of the files of a message without text; at most 200
    /// characters.
    pub text: ChatText,
}

impl Pin {
    /// The pin of a message, if it is pinned.
    pub fn of(message: &ChatMessage) -> Option<Self> {
        if message.pinned == 0 || message.is_deleted() {
            return None;
        }
        let text = message.plain().filter(|text| !text.is_empty());
        let text = text.unwrap_or_else(|| {
            let names: Vec<_> = message
                .files
                .iter()
                .map(|file| file.name.as_str())
                .collect();
            names.join(", ")
        });
        let text: String = text.chars().take(MAX_PIN_CHARS).collect();
        Some(Self {
            id: message.id,
            seq: message.seq,
            pinned: message.pinned,
            from: message.from.clone(),
            text: ChatText::from_stored(&text),
        })
    }

    /// Replaces the pin of a changed message in a list, in the order of pinning.
    pub fn update(pins: &mut Vec<Self>, message: &ChatMessage) {
        pins.retain(|pin| pin.id != message.id);
        pins.extend(Self::of(message));
        pins.sort_by_key(|pin| pin.pinned);
    }
}

/// One emoji and the participants who reacted with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji that the participants in `by` chose.
    pub emoji: Emoji,
    /// The participants, in order of their reactions.
    pub by: Vec<ParticipantId>,
}

impl ChatMessage {
    /// The message that a draft becomes as event `seq`, stored at `at` (milliseconds since the
    /// Unix epoch). The store adds the files.
    pub fn new(seq: Seq, from: Person, draft: ChatDraft, at: i64) -> Self {
        Self {
            seq,
            id: draft.id,
            from,
            marks: marks(draft.text.as_str()),
            text: Some(draft.text).filter(|text| !text.as_str().is_empty()),
            at,
            files: Vec::new(),
            reply_to: draft.reply_to,
            edited_at: None,
            reactions: Vec::new(),
            changed: 0,
            pinned: 0,
        }
    }

    /// Adds (`on`) or removes the reaction `emoji` of participant `from`, as event `seq`.
    pub fn react(&mut self, emoji: &Emoji, from: &ParticipantId, on: bool, seq: Seq) {
        self.changed = seq;
        let known = self.reactions.iter_mut().find(|r| r.emoji == *emoji);
        match (known, on) {
            (Some(known), true) if !known.by.contains(from) => known.by.push(from.clone()),
            (Some(_), true) | (None, false) => {}
            (Some(known), false) => known.by.retain(|by| !from.is_author(by)),
            (None, true) => self.reactions.push(Reaction {
                emoji: emoji.clone(),
                by: vec![from.clone()],
            }),
        }
        self.reactions.retain(|reaction| !reaction.by.is_empty());
    }

    /// The message with these mentions among its marks.
    #[cfg(feature = "ssr")]
    pub fn with_mentions(mut self, mentions: &[Mention]) -> Self {
        if let Some(text) = &self.text {
            super::text::mentions::add(text.as_str(), &mut self.marks, mentions);
        }
        self
    }

    /// The people whom the message mentions.
    pub fn mentions(&self) -> impl Iterator<Item = &ParticipantId> {
        self.marks.iter().filter_map(|mark| {
            let MarkKind::Mention(id) = &mark.kind else {
                return None;
            };
            Some(id)
        })
    }

    /// Whether the author or a host has deleted the message.
    pub fn is_deleted(&self) -> bool {
        self.text.is_none() && self.files.is_empty()
    }

    /// The text without the syntax of its marks; `None` once the message is deleted.
    pub fn plain(&self) -> Option<String> {
        (!self.is_deleted()).then(|| super::plain(self.words(), &self.marks))
    }

    /// The text as typed; empty if there is none.
    pub fn words(&self) -> &str {
        self.text.as_ref().map_or("", ChatText::as_str)
    }
}

/// The marks of a text; none in the browser, which has no parser.
fn marks(text: &str) -> Vec<Mark> {
    #[cfg(feature = "ssr")]
    return super::text::marks(text);
    #[cfg(not(feature = "ssr"))]
    {
        let _ = text;
        Vec::new()
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(seq: &Seq) -> bool {
    *seq == 0
}

/// Longest stored emoji that is displayed, in Unicode scalar values; the rest is cut. The
/// longest emoji that Unicode recommends has 10.
const MAX_STORED_EMOJI_CHARS: usize = 40;

/// One emoji of those that Unicode recommends for interchange (UTS 51), fully qualified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Emoji(String);

impl Emoji {
    /// Parses an emoji. Only the server checks it against Unicode's list; the browser has no
    /// list and checks the length.
    ///
    /// # Errors
    /// [`NameError`] if the text is not an emoji.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        super::text::emoji(text)
            .map(Self)
            .ok_or(NameError::NotAllowed)
    }

    /// An emoji from the store. An earlier version may have accepted it under other rules.
    pub fn from_stored(text: &str) -> Self {
        Self(presentable(text, MAX_STORED_EMOJI_CHARS, false))
    }

    /// The emoji as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Only the server sends this type; see [`super::names`].
impl<'de> Deserialize<'de> for Emoji {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::from_stored(&text))
    }
}

impl From<Emoji> for String {
    fn from(emoji: Emoji) -> Self {
        emoji.0
    }
}

/// A message without a text has an empty one on the wire.
mod text_or_none {
    use super::ChatText;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Option<ChatText>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text.as_ref().map_or("", ChatText::as_str))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ChatText>, D::Error> {
        let text = String::deserialize(from)?;
        match text.is_empty() {
            true => Ok(None),
            false => Ok(Some(ChatText::from_stored(&text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_parse_and_words_do_not() {
        for emoji in ["👍", "❤️", "ℹ️", "🅰️", "👨‍👩‍👧‍👦", "🇰🇷", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
        {
            assert!(Emoji::parse(emoji).is_ok(), "{emoji}");
        }
        for word in [
            "",
            "a",
            "가",
            "👍 ",
            "<👍>",
            "1",
            ":)",
            "👍👍👍👍👍👍👍👍👍👍👍",
            "…",
            "\u{200D}",
        ] {
            assert!(Emoji::parse(word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_deleted_message_has_an_empty_text_on_the_wire() {
        let json = r#"{"seq":1,"id":"00000000-0000-0000-0000-000000000001",
            "from":{"id":"p_1","nickname":"Ann"},"text":"","at":5,"changed":2}"#;
        let message: ChatMessage = serde_json::from_str(json).expect("decodes");
        assert_eq!((message.text.as_ref(), message.changed), (None, 2));
        let value = serde_json::to_value(&message).expect("serialises");
        assert_eq!(value["text"], "");
        assert!(value.get("reactions").is_none() && value.get("reply_to").is_none());
    }
}
