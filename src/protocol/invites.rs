//! Invites, which let somebody into a room, and the lobby, in which the others wait.

use super::{ChatText, Nickname, Person, Role, ids::is_secret};
use serde::{Deserialize, Serialize};

/// Most uses of an invite that counts them.
pub const MAX_INVITE_USES: u32 = 100;
/// Longest time after which an invite expires, in seconds. A year.
pub const MAX_INVITE_LASTS_S: u32 = 366 * 24 * 60 * 60;
/// Most people of a lobby in one message to its hosts.
pub const LOBBY_WINDOW: usize = 25;
/// Longest line that somebody in the lobby writes to the hosts, in Unicode scalar values.
pub const MAX_KNOCK_CHARS: usize = 100;

/// Identifies an invite of a room: 12 characters of base64url. Hosts see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InviteId(String);

impl InviteId {
    /// Length of an id, in bytes.
    pub const BYTES: usize = 12;

    /// Parses an id from the wire.
    ///
    /// # Errors
    /// An error message if it is not 12 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        match text.len() == Self::BYTES && text.bytes().all(is_letter) {
            true => Ok(Self(text.to_owned())),
            false => Err("an invite is named by 12 letters of base64url"),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an invite's link holds: the id of the invite and a signature of the server, as 22 to 64
/// characters of base64url. Never logged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InviteToken(String);

impl InviteToken {
    /// Parses a token from the wire or a link.
    ///
    /// # Errors
    /// An error message if it is not 22 to 64 characters of base64url.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match is_secret(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("an invite is 22 to 64 letters of base64url"),
        }
    }

    /// The token as text. Must not reach logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for InviteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InviteToken(…)")
    }
}

/// An invite, as those who may revoke it see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Id of the invite.
    pub id: InviteId,
    /// What its link holds.
    pub token: InviteToken,
    /// The role of whoever uses it; below host.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The nickname of whoever uses it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Nickname>,
    /// When it expires, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// How many participants may use it; as many as come if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// How many participants have used it.
    #[serde(default)]
    pub used: u32,
}

/// An invite to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InviteDraft<T = String> {
    /// The role of whoever uses it; below one's own and below host.
    #[serde(skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The nickname of whoever uses it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<T>,
    /// After how many seconds it expires, from 1 to [`MAX_INVITE_LASTS_S`]; never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_s: Option<u32>,
    /// How many participants may use it, from 1 to [`MAX_INVITE_USES`]; as many as come if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// Somebody in the lobby, as hosts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// The person, with the nickname that they asked for.
    pub person: Person,
    /// What they wrote to the hosts, at most [`MAX_KNOCK_CHARS`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<ChatText>,
    /// Since when they wait, in milliseconds since the Unix epoch.
    pub since: i64,
}

word_conversions!(InviteId, InviteToken);
