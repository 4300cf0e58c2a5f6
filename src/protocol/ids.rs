//! Identifiers for programs; people see names.

use serde::{Deserialize, Serialize};

/// A person in a room, `p_` and 26 letters (16 in messages of former versions). Public: everybody in the room sees it.
///
/// The server derives it from the secret [`SessionToken`], so that whoever comes
/// back with the token is the same participant, after a restart too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParticipantId(String);

impl ParticipantId {
    /// Longest accepted text, in bytes; ours are 28 long.
    const MAX_BYTES: usize = 64;
    /// Length of the ids that former versions gave, in bytes: the same letters, cut at 80 bits.
    const FORMER_BYTES: usize = 18;

    /// Parses an id from the wire.
    ///
    /// # Errors
    /// A sentence, where it is not a short word of ASCII letters, digits and `_`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match word && text.starts_with("p_") && text.len() <= Self::MAX_BYTES {
            true => Ok(Self(text.to_owned())),
            false => Err("a participant id is p_ and letters or digits"),
        }
    }

    /// An id that is stored. One that breaks today's rule is made to keep it, always in the
    /// same way.
    pub fn from_stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| {
            let word = text.strip_prefix("p_").unwrap_or(text).chars();
            let word = word.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
            Self(format!(
                "p_{}",
                word.take(Self::MAX_BYTES - 2).collect::<String>()
            ))
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `stored`, found in a log, is this person: the same id, or the one that a former
    /// version derived from the same session. Such an id is exactly 16 letters long, so no
    /// part of a longer one is ever taken for it.
    pub fn is_author(&self, stored: &Self) -> bool {
        self == stored || stored.0 == self.former()
    }

    /// The id that a former version gave the same person, as text.
    pub fn former(&self) -> &str {
        self.0.get(..Self::FORMER_BYTES).unwrap_or_default()
    }

    /// The last four characters, to tell people of the same nickname apart.
    pub fn short(&self) -> &str {
        let start = self.0.len().saturating_sub(4);
        self.0.get(start..).unwrap_or_default()
    }

    /// A hue in degrees (0 to 359) that stays with this person, for colour and initial.
    pub fn hue(&self) -> u16 {
        // FNV-1a: small, and well spread over the few values we need.
        let hash = self.0.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        u16::try_from(hash % 360).unwrap_or_default()
    }
}

/// The secret that proves one is the participant of a former connection:
/// 128 random bits or more, as 22 to 64 letters of base64url. Never shown, never logged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionToken(String);

impl SessionToken {
    /// Parses a token from the wire or a cookie.
    ///
    /// # Errors
    /// A sentence, where it is too short to be secret, too long, or not base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let word = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match word && (22..=64).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err("a session is 22 to 64 letters of base64url"),
        }
    }

    /// The secret itself. Keep it out of logs and pages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// Which log of a room a `seq` counts in. A new store means a new epoch, and
/// numbers of the old one mean nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(String);

impl Epoch {
    /// Parses an epoch from the wire or the store.
    ///
    /// # Errors
    /// A sentence, where it is empty or longer than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match (1..=64).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err("an epoch is 1 to 64 bytes"),
        }
    }

    /// An epoch that is stored. One that breaks today's rule is made to keep it, always in
    /// the same way.
    pub fn from_stored(text: &str) -> Self {
        Self::parse(text)
            .unwrap_or_else(|_| Self(format!("_{}", text.chars().take(15).collect::<String>())))
    }

    /// The epoch as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The UUID a client makes for a chat message before it sends it, so that sending
/// it again never makes a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub uuid::Uuid);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Gives each id the conversions serde and `format!` need.
macro_rules! word_conversions {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = &'static str;
            fn try_from(text: String) -> Result<Self, &'static str> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    )*};
}
word_conversions!(ParticipantId, SessionToken, Epoch);

impl std::fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
