//! Bans: participants and networks that a room keeps out for a time.

use super::MAX_BANS;
use crate::{
    protocol::{Ban, ErrorCode, InviteId, ParticipantId, Person},
    server::net::Network,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a ban lasts. 24 h.
pub const BAN_LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// A participant whom a room keeps out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBan {
    /// The participant, with the nickname at the time of the ban.
    pub person: Person,
    /// When the ban ends, in milliseconds since the Unix epoch.
    pub until: i64,
    /// The network that is kept out, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The invite by which the participant came: it lets nobody new in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteId>,
}

impl StoredBan {
    /// Whether the ban is about this participant or this network.
    pub fn is_about(&self, id: &ParticipantId, network: Option<Network>) -> bool {
        self.person.id == *id || (network.is_some() && self.network == network)
    }

    /// Whether the banned participant came by this invite.
    pub fn is_about_invite(&self, invite: Option<&InviteId>) -> bool {
        invite.is_some() && self.invite.as_ref() == invite
    }

    /// The ban as hosts see it, without the network.
    pub fn shown(&self) -> Ban {
        Ban {
            person: self.person.clone(),
            until: self.until,
            address: self.network.is_some(),
        }
    }
}

/// Adds a ban, in place of a former one of the same participant. Removes those that have expired.
/// Returns whether the list changed.
///
/// # Errors
/// [`ErrorCode::TooManyEntries`] if there are [`MAX_BANS`] others; nothing was changed.
pub fn add(bans: &mut Vec<StoredBan>, ban: &StoredBan, now_ms: i64) -> Result<bool, ErrorCode> {
    if bans.contains(ban) {
        return Ok(false);
    }
    let stays = |known: &StoredBan| known.until > now_ms && known.person.id != ban.person.id;
    if bans.iter().filter(|known| stays(known)).count() >= MAX_BANS {
        return Err(ErrorCode::TooManyEntries);
    }
    bans.retain(stays);
    bans.push(ban.clone());
    Ok(true)
}
