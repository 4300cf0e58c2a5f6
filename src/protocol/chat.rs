//! What was said, and what became of it.

use super::{ChatText, MessageId, NameError, ParticipantId, Person, names::presentable};
use serde::{Deserialize, Serialize};

/// The place of a durable event in its room's log: 1, 2, 3, … in one [`super::Epoch`].
/// 0 is "before anything happened".
pub type Seq = u64;

/// How many messages a newcomer is given, and the default of a `history` page.
pub const HISTORY_PAGE: u32 = 50;
/// The largest `history` page, in messages. A larger `limit` is answered with this many.
pub const MAX_HISTORY_PAGE: u32 = 200;
/// Reactions one message holds: pairs of a person and an emoji.
pub const MAX_REACTIONS: usize = 200;

/// A chat message that the server has not stored yet. The text is a `String` as typed on the wire,
/// so that a refusal can name the id, and a [`ChatText`] everywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatDraft<T = ChatText> {
    /// A UUID made by the author's client; the same id never makes a second message.
    pub id: MessageId,
    /// The text.
    pub text: T,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
}

impl ChatDraft<String> {
    /// Parses the text.
    ///
    /// # Errors
    /// [`NameError`] says why the text is no chat message.
    pub fn parse(self) -> Result<ChatDraft, NameError> {
        Ok(ChatDraft {
            id: self.id,
            text: ChatText::parse(&self.text)?,
            reply_to: self.reply_to,
        })
    }
}

/// A draft as it crosses the wire.
impl From<ChatDraft> for ChatDraft<String> {
    fn from(draft: ChatDraft) -> Self {
        Self {
            id: draft.id,
            text: draft.text.to_string(),
            reply_to: draft.reply_to,
        }
    }
}

/// One durable chat message, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its place in the room's order.
    pub seq: Seq,
    /// The id its author's client made.
    pub id: MessageId,
    /// Who said it, under the nickname of that moment.
    pub from: Person,
    /// What was said; nothing (an empty text on the wire) once its author deleted it.
    #[serde(with = "text_or_deleted")]
    pub text: Option<ChatText>,
    /// When the server took it, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// When its author last changed the text, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<i64>,
    /// What others think of it, in order of first use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// The event that changed it last; 0 where none did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changed: Seq,
}

/// One emoji, and everybody who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The emoji that the people in `by` gave.
    pub emoji: Emoji,
    /// Who, in order.
    pub by: Vec<ParticipantId>,
}

impl ChatMessage {
    /// A draft that was stored as event `seq` at `at`, in milliseconds since the Unix epoch.
    pub fn new(seq: Seq, from: Person, draft: ChatDraft, at: i64) -> Self {
        Self {
            seq,
            id: draft.id,
            from,
            text: Some(draft.text),
            at,
            reply_to: draft.reply_to,
            edited_at: None,
            reactions: Vec::new(),
            changed: 0,
        }
    }

    /// Takes in that somebody gave it an emoji or took it back, as event `seq`.
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

    /// The text as people read it; empty once deleted.
    pub fn words(&self) -> &str {
        self.text.as_ref().map_or("", ChatText::as_str)
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(seq: &Seq) -> bool {
    *seq == 0
}

/// Characters of a stored emoji that are shown. 40: the longest that Unicode recommends has 10.
const MAX_STORED_EMOJI_CHARS: usize = 40;

/// One emoji, as a person picks it: one of those that Unicode recommends for interchange,
/// fully qualified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Emoji(String);

impl Emoji {
    /// Parses a picked emoji. The server's word counts: the browser has no list of all.
    ///
    /// # Errors
    /// [`NameError`] says why it is none.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        super::text::emoji(text)
            .map(Self)
            .ok_or(NameError::NotAllowed)
    }

    /// An emoji that is stored: it was accepted once, under whatever rule.
    pub fn from_stored(text: &str) -> Self {
        Self(presentable(text, MAX_STORED_EMOJI_CHARS, false))
    }

    /// The emoji.
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

/// A deleted message has an empty text on the wire.
mod text_or_deleted {
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
