//! The settings of a room, which its hosts change.

use super::{ParticipantId, Person, Powers, Role};
use serde::{Deserialize, Serialize};

/// The settings of a room, as everybody in it sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomSettings {
    /// Whether the room has a host key, so that somebody can moderate it.
    pub hosted: bool,
    /// Whether the room admits nobody new. Participants who were in the room when it was locked, and
    /// co-hosts and hosts, may return.
    pub locked: bool,
    /// Whether guests and viewers speak only when a host asks them to unmute.
    pub host_unmutes: bool,
    /// What the roles below co-host may do.
    pub powers: Powers,
}

/// A change of a room's settings. An absent field leaves its setting as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    /// The new value of [`RoomSettings::locked`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// The new value of [`RoomSettings::host_unmutes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_unmutes: Option<bool>,
    /// The new value of [`RoomSettings::powers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub powers: Option<Powers>,
}

impl SettingsChange {
    /// Applies the change. Returns whether it changed anything.
    pub fn apply(self, settings: &mut RoomSettings) -> bool {
        let before = *settings;
        let Self {
            locked,
            host_unmutes,
            powers,
        } = self;
        settings.locked = locked.unwrap_or(settings.locked);
        settings.host_unmutes = host_unmutes.unwrap_or(settings.host_unmutes);
        settings.powers = powers.unwrap_or(settings.powers);
        *settings != before
    }
}

/// A participant whom a room keeps out, as hosts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The participant, with the nickname at the time of the ban.
    pub person: Person,
    /// When the ban ends, in milliseconds since the Unix epoch.
    pub until: i64,
    /// Whether a network address is kept out, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address: bool,
}

/// The role of one participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleOf {
    /// Id of the participant.
    pub id: ParticipantId,
    /// The participant's role.
    pub role: Role,
}
