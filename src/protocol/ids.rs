//! Identifiers of participants, sessions, logs and messages.

use serde::{Deserialize, Serialize};

/// Identifies a participant: `p_` and 26 letters or digits (16 in messages of earlier
/// versions). Public: everyone in the room sees it.
///
/// The server derives it from the secret [`SessionToken`], so a client that resumes with the
/// token is the same participant, even after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParticipantId(String);

impl ParticipantId {
    /// Longest accepted id, in bytes. The server's own ids have 28.
    const MAX_BYTES: usize = 64;
    /// Length of the ids of earlier versions, in bytes: the first 80 bits of today's ids.
    const FORMER_BYTES: usize = 18;

    /// Parses an id from the wire.
    ///
    /// # Errors
    /// An error message if it is not `p_` followed by ASCII letters, digits and `_`, or is longer
    /// than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match word && text.starts_with("p_") && text.len() <= Self::MAX_BYTES {
            true => Ok(Self(text.to_owned())),
            false => Err("a participant id is p_ and letters or digits"),
        }
    }

    /// An id from the store. An id that is invalid today is mapped to a valid one
    /// deterministically.
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

    /// Whether the author `stored` in a log is this participant: the same id, or the one that an
    /// earlier version derived from the same session. Such an id has exactly 16 letters, so a
    /// part of a longer id never matches.
    pub fn is_author(&self, stored: &Self) -> bool {
        self == stored || stored.0 == self.former()
    }

    /// The id that an earlier version gave the same participant, as text.
    pub fn former(&self) -> &str {
        self.0.get(..Self::FORMER_BYTES).unwrap_or_default()
    }

    /// The last four characters, shown to distinguish participants with the same nickname.
    pub fn short(&self) -> &str {
        let start = self.0.len().saturating_sub(4);
        self.0.get(start..).unwrap_or_default()
    }

    /// The hue of this participant's avatar, in degrees (0 to 359). Depends only on the id.
    pub fn hue(&self) -> u16 {
        // FNV-1a: small code, and spread evenly enough over 360 values.
        let hash = self.0.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        u16::try_from(hash % 360).unwrap_or_default()
    }
}

/// The secret that authenticates a participant who resumes: at least 128 random bits, as 22
/// to 64 characters of base64url. Never shown, never logged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionToken(String);

impl SessionToken {
    /// Parses a token from the wire or a cookie.
    ///
    /// # Errors
    /// An error message if it is not 22 to 64 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match is_secret(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("a session is 22 to 64 letters of base64url"),
        }
    }

    /// The secret as text. Must not reach logs or pages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// The secret that makes its holder a host of a room: at least 128 random bits, as 22 to 64
/// characters of base64url. Drawn by the client or the server when the room opens, and kept on the
/// device. Never logged; the server stores its hash.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey(String);

impl HostKey {
    /// Parses a key from the wire or a link.
    ///
    /// # Errors
    /// An error message if it is not 22 to 64 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match is_secret(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("a host key is 22 to 64 letters of base64url"),
        }
    }

    /// The secret as text. Must not reach logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKey(…)")
    }
}

/// A password of a room as somebody typed it: 1 to 200 characters. Never stored, never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomPassword(String);

impl RoomPassword {
    /// Fewest characters of a new password.
    pub const MIN_CHARS: usize = 6;
    /// Most characters of a password.
    pub const MAX_CHARS: usize = 200;

    /// Parses a password from the wire or a form.
    ///
    /// # Errors
    /// An error message if it is empty or has more than 200 characters.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_short = text.chars().nth(Self::MAX_CHARS).is_none();
        match !text.is_empty() && is_short {
            true => Ok(Self(text.to_owned())),
            false => Err("a password has 1 to 200 characters"),
        }
    }

    /// Whether a room may have this password from now on.
    pub fn is_long_enough(&self) -> bool {
        self.0.chars().nth(Self::MIN_CHARS - 1).is_some()
    }

    /// The password as text. Must not reach logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RoomPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RoomPassword(…)")
    }
}

/// Whether a text has the form of a secret: 22 to 64 characters of base64url.
pub(super) fn is_secret(text: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    text.bytes().all(is_letter) && (22..=64).contains(&text.len())
}

/// Identifies the store that sequence numbers belong to. A new store has a new epoch, and
/// sequence numbers of the old one are invalid in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(String);

impl Epoch {
    /// Parses an epoch from the wire or the store.
    ///
    /// # Errors
    /// An error message if it is empty or longer than 64 bytes.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match (1..=64).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err("an epoch is 1 to 64 bytes"),
        }
    }

    /// An epoch that no store has, for a client that resumes its session without a position. The
    /// answer has a snapshot.
    pub fn none() -> Self {
        Self("-".to_owned())
    }

    /// An epoch from the store. An epoch that is invalid today is mapped to a valid one
    /// deterministically.
    pub fn from_stored(text: &str) -> Self {
        Self::parse(text)
            .unwrap_or_else(|_| Self(format!("_{}", text.chars().take(15).collect::<String>())))
    }

    /// The epoch as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The UUID that a client draws for a chat message before it sends it, so that sending the
/// message again never stores a second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub uuid::Uuid);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies a file of a message, and its upload before: `f_` and 22 characters of base64url,
/// which are 128 random bits. The server draws it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileId(String);

impl FileId {
    /// Length of an id in bytes.
    pub const BYTES: usize = 24;

    /// Parses an id from the wire.
    ///
    /// # Errors
    /// An error message if it is not `f_` followed by 22 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.strip_prefix("f_").is_some_and(is_secret) && text.len() == Self::BYTES {
            true => Ok(Self(text.to_owned())),
            false => Err("a file id is f_ and 22 letters of base64url"),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

word_conversions!(
    ParticipantId,
    SessionToken,
    HostKey,
    RoomPassword,
    Epoch,
    FileId
);

impl std::fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
