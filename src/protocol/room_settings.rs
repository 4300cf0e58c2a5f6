//! The settings of a room, which its hosts change.

use super::{ParticipantId, Person, Powers, Role};
use serde::{Deserialize, Deserializer, Serialize};

/// Largest capacity that a host gives a room. The limit of the server applies as well.
pub const MAX_CAPACITY: u32 = 10_000;
/// Longest retention that a host gives a room, in days. 3,650: ten years.
pub const MAX_RETENTION_DAYS: u32 = 3_650;

listed_enum! {
    /// Who finds a room and may enter it.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Access {
        /// The list of open rooms shows the room.
        #[default]
        Listed,
        /// The list does not show the room. Whoever knows its name may enter.
        Unlisted,
        /// The list does not show the room. Only participants with an invite may enter.
        Closed,
    }
}

/// The settings of a room, as everybody in it sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomSettings {
    /// Whether the room has a host key, so that somebody can moderate it.
    pub hosted: bool,
    /// Whether the room admits nobody new. Participants who were in the room when it was locked, and
    /// co-hosts and hosts, may return. Where there is a lobby, the others wait in it.
    pub locked: bool,
    /// Whether guests and viewers speak only when a host asks them to unmute.
    pub host_unmutes: bool,
    /// What the roles below co-host may do.
    pub powers: Powers,
    /// Who finds the room and may enter it.
    #[serde(skip_serializing_if = "is_default")]
    pub access: Access,
    /// Whether participants without an invite wait until a host admits them.
    #[serde(skip_serializing_if = "is_default")]
    pub lobby: bool,
    /// Whether participants without an invite need the password of the room.
    #[serde(skip_serializing_if = "is_default")]
    pub password: bool,
    /// Most participants in the room, from 1 to [`MAX_CAPACITY`]; the limit of the server if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// When the room opens, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<i64>,
    /// When the room closes, in milliseconds since the Unix epoch; later than `opens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<i64>,
    /// For how many days the room keeps a message, from 1 to [`MAX_RETENTION_DAYS`]. The limit of the
    /// server applies as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

/// Whether a value need not be stored or sent.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RoomSettings {
    /// Whether the values are possible.
    pub fn are_valid(&self) -> bool {
        let in_range = |value: Option<u32>, max| value.is_none_or(|n| (1..=max).contains(&n));
        let is_window = match (self.opens, self.closes) {
            (Some(opens), Some(closes)) => opens < closes,
            (Some(_), None) | (None, Some(_)) | (None, None) => true,
        };
        is_window
            && in_range(self.capacity, MAX_CAPACITY)
            && in_range(self.retention_days, MAX_RETENTION_DAYS)
    }

    /// Whether the room is open at `now_ms`, in milliseconds since the Unix epoch.
    pub fn is_open(&self, now_ms: i64) -> bool {
        self.opens.is_none_or(|opens| opens <= now_ms)
            && self.closes.is_none_or(|closes| now_ms < closes)
    }

    /// Whether the room is hidden from everybody whom it does not know.
    pub fn is_hidden(&self) -> bool {
        self.password || self.is_guarded() || self.access != Access::Listed
    }

    /// Whether only participants whom somebody let in may enter.
    pub fn is_guarded(&self) -> bool {
        self.locked || self.lobby || self.access == Access::Closed
    }
}

/// A change of a room's settings. An absent field leaves its setting as it is; where a setting may be
/// absent, `null` removes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsChange {
    /// The new value of [`RoomSettings::locked`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// The new value of [`RoomSettings::host_unmutes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_unmutes: Option<bool>,
    /// The new value of [`RoomSettings::powers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub powers: Option<Powers>,
    /// The new value of [`RoomSettings::access`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The new value of [`RoomSettings::lobby`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lobby: Option<bool>,
    /// The new value of [`RoomSettings::capacity`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Option<u32>>,
    /// The new value of [`RoomSettings::opens`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub opens: Option<Option<i64>>,
    /// The new value of [`RoomSettings::closes`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub closes: Option<Option<i64>>,
    /// The new value of [`RoomSettings::retention_days`].
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<Option<u32>>,
}

/// Reads a field that is there, as a value or `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl SettingsChange {
    /// Applies the change. Returns whether it changed anything; `None` if the settings would not be
    /// valid, and nothing was changed.
    pub fn apply(self, settings: &mut RoomSettings) -> Option<bool> {
        let before = *settings;
        let Self {
            locked,
            host_unmutes,
            powers,
            access,
            lobby,
            capacity,
            opens,
            closes,
            retention_days,
        } = self;
        let after = RoomSettings {
            hosted: before.hosted,
            password: before.password,
            locked: locked.unwrap_or(before.locked),
            host_unmutes: host_unmutes.unwrap_or(before.host_unmutes),
            powers: powers.unwrap_or(before.powers),
            access: access.unwrap_or(before.access),
            lobby: lobby.unwrap_or(before.lobby),
            capacity: capacity.unwrap_or(before.capacity),
            opens: opens.unwrap_or(before.opens),
            closes: closes.unwrap_or(before.closes),
            retention_days: retention_days.unwrap_or(before.retention_days),
        };
        after.are_valid().then(|| {
            *settings = after;
            after != before
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_removes_a_setting_and_an_absent_field_keeps_it() {
        let mut settings = RoomSettings {
            capacity: Some(7),
            closes: Some(9),
            ..RoomSettings::default()
        };
        let change: SettingsChange =
            serde_json::from_str(r#"{"capacity":null,"opens":5}"#).expect("decodes");
        assert_eq!(change.apply(&mut settings), Some(true));
        let expected = RoomSettings {
            opens: Some(5),
            closes: Some(9),
            ..RoomSettings::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(change.apply(&mut settings), Some(false), "again");
        let json = serde_json::to_string(&change).expect("serialises");
        assert_eq!(
            serde_json::from_str::<SettingsChange>(&json).ok(),
            Some(change)
        );
    }

    #[test]
    fn impossible_values_change_nothing() {
        let before = RoomSettings {
            opens: Some(100),
            ..RoomSettings::default()
        };
        for change in [
            r#"{"closes":100,"lobby":true}"#,
            r#"{"capacity":0}"#,
            r#"{"capacity":10001}"#,
            r#"{"retention_days":0}"#,
            r#"{"retention_days":3651}"#,
        ] {
            let mut settings = before;
            let change: SettingsChange = serde_json::from_str(change).expect("decodes");
            assert_eq!(change.apply(&mut settings), None);
            assert_eq!(settings, before, "{change:?}");
        }
    }

    #[test]
    fn a_room_is_open_from_its_opening_until_before_its_closing() {
        let settings = RoomSettings {
            opens: Some(10),
            closes: Some(20),
            ..RoomSettings::default()
        };
        let open: Vec<_> = [9, 10, 19, 20].map(|now| settings.is_open(now)).into();
        assert_eq!(open, [false, true, true, false]);
        assert!(RoomSettings::default().is_open(0));
    }
}
