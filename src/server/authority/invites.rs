//! Invites: who made them, whom they let in, and how often.

use super::MAX_INVITES;
use crate::protocol::{ErrorCode, InviteId, Nickname, ParticipantId, Role};
use serde::{Deserialize, Serialize};

/// An invite of a room. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredInvite {
    /// The id, which its token holds.
    pub id: InviteId,
    /// The participant who made it.
    pub by: ParticipantId,
    /// The role of whoever uses it; below host.
    #[serde(default, skip_serializing_if = "Role::is_default")]
    pub role: Role,
    /// The nickname of whoever uses it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Nickname>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// How many participants may use it; as many as come if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// How many participants have used it.
    #[serde(default)]
    pub used: u32,
}

impl StoredInvite {
    /// Whether it has expired.
    pub fn has_expired(&self, now_ms: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now_ms)
    }

    /// Whether one more participant may use it.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now_ms: i64) -> Result<(), ErrorCode> {
        if self.has_expired(now_ms) {
            return Err(ErrorCode::InviteExpired);
        }
        match self.uses {
            Some(uses) if self.used >= uses => Err(ErrorCode::InviteUsedUp),
            Some(_) | None => Ok(()),
        }
    }
}

/// Adds an invite. At the limit an expired one makes room, the oldest first, and then one that is
/// used up. Returns whether the list changed.
///
/// # Errors
/// [`ErrorCode::TooManyEntries`] if there are [`MAX_INVITES`] that may still be used; nothing was
/// changed.
pub fn add(
    invites: &mut Vec<StoredInvite>,
    invite: &StoredInvite,
    now_ms: i64,
) -> Result<bool, ErrorCode> {
    if invites.iter().any(|known| known.id == invite.id) {
        return Ok(false);
    }
    if invites.len() >= MAX_INVITES {
        let expired = invites.iter().position(|known| known.has_expired(now_ms));
        let spent = expired.or_else(|| invites.iter().position(|k| k.check(now_ms).is_err()));
        invites.remove(spent.ok_or(ErrorCode::TooManyEntries)?);
    }
    invites.push(invite.clone());
    Ok(true)
}
