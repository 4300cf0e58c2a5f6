//! Who may do what in a room: its host key, settings, roles and bans.
//!
//! [`Authority`] is a value without clock and sockets. It changes by [`AuthorityEvent`]s, each of
//! which takes a `seq` of the room's log. The store applies an event in the transaction that makes
//! it durable, the room applies it once it is durable, and both get the same result.

mod bans;
mod host_key;

pub use bans::{BAN_LASTS, StoredBan};
pub use host_key::{HostKeyHash, new_host_key};

use crate::protocol::{ErrorCode, ParticipantId, Role, RoomSettings, SettingsChange};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most participants to whom a room gives a role. 500: five rooms of the default size.
pub const MAX_ROLES: usize = 500;
/// Most bans of a room. 100: the longest list of them fits into one frame.
pub const MAX_BANS: usize = 100;

/// Most participants who may return to a locked room. 400: who is here and who is away in a room of
/// twice the default size.
pub const MAX_ADMITTED: usize = 400;

/// Who may do what in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Authority {
    /// The hash of the host key; nothing in a room without a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key: Option<HostKeyHash>,
    /// The settings, except [`RoomSettings::hosted`].
    #[serde(skip_serializing_if = "is_default")]
    settings: RoomSettings,
    /// The roles that a host gave to participants.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<ParticipantId, Role>,
    /// The participants who are kept out, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bans: Vec<StoredBan>,
    /// While the room is locked, the participants who may return.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    admitted: BTreeSet<ParticipantId>,
}

/// Whether settings need not be stored.
fn is_default(settings: &RoomSettings) -> bool {
    *settings == RoomSettings::default()
}

/// A durable change of a room's [`Authority`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityEvent {
    /// The room has this host key from now on.
    HostKey(HostKeyHash),
    /// The settings change.
    Settings {
        /// The settings to change.
        change: SettingsChange,
        /// Who may return, if the change locks the room.
        admitted: Vec<ParticipantId>,
    },
    /// A participant has this role from now on.
    Role {
        /// Id of the participant.
        id: ParticipantId,
        /// The role, which is below host.
        role: Role,
    },
    /// A participant is kept out.
    Ban(StoredBan),
    /// A participant is let in again.
    LiftBan(ParticipantId),
    /// A participant may not return while the room is locked.
    Dismiss(ParticipantId),
}

impl Authority {
    /// The stored form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the stored form; nothing for a text in another form.
    pub fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Applies an event at `now_ms`, in milliseconds since the Unix epoch. Returns whether it
    /// changed anything.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyEntries`] at a limit; nothing was changed.
    pub fn apply(&mut self, event: &AuthorityEvent, now_ms: i64) -> Result<bool, ErrorCode> {
        match event {
            AuthorityEvent::HostKey(hash) => {
                let changed = self.host_key.as_ref() != Some(hash);
                self.host_key = Some(hash.clone());
                Ok(changed)
            }
            AuthorityEvent::Settings { change, admitted } => {
                let was_locked = self.settings.locked;
                let changed = change
                    .apply(&mut self.settings)
                    .ok_or(ErrorCode::BadSetting)?;
                let locked = self.settings.locked;
                if locked != was_locked {
                    let admitted = admitted.iter().take(MAX_ADMITTED).filter(|_| locked);
                    self.admitted = admitted.cloned().collect();
                }
                Ok(changed)
            }
            AuthorityEvent::Role { id, role } => self.set_role(id, *role),
            AuthorityEvent::Ban(ban) => {
                let added = bans::add(&mut self.bans, ban, now_ms)?;
                Ok(self.admitted.remove(&ban.person.id) | added)
            }
            AuthorityEvent::Dismiss(id) => Ok(self.admitted.remove(id)),
            AuthorityEvent::LiftBan(id) => {
                let before = self.bans.len();
                self.bans.retain(|ban| ban.person.id != *id);
                Ok(self.bans.len() < before)
            }
        }
    }

    /// Gives a participant a role.
    fn set_role(&mut self, id: &ParticipantId, role: Role) -> Result<bool, ErrorCode> {
        if role.is_default() {
            return Ok(self.roles.remove(id).is_some());
        }
        if self.roles.len() >= MAX_ROLES && !self.roles.contains_key(id) {
            return Err(ErrorCode::TooManyEntries);
        }
        Ok(self.roles.insert(id.clone(), role) != Some(role))
    }

    /// Whether the room has a host key.
    pub fn is_hosted(&self) -> bool {
        self.host_key.is_some()
    }

    /// Whether this is the hash of the room's host key, compared in constant time.
    pub fn is_host_key(&self, hash: &HostKeyHash) -> bool {
        self.host_key.as_ref().is_some_and(|known| known.is(hash))
    }

    /// The role that a host gave a participant. Never host: hosts show the key.
    pub fn role_of(&self, id: &ParticipantId) -> Role {
        let role = self.roles.get(id).copied().unwrap_or_default();
        role.min(Role::CoHost)
    }

    /// Whether the room admits this participant, who is not there: it is not locked, or the
    /// participant was there when it was locked, or is a co-host.
    pub fn admits(&self, id: &ParticipantId) -> bool {
        !self.settings.locked || self.admitted.contains(id) || self.role_of(id).moderates()
    }

    /// The settings of the room.
    pub fn settings(&self) -> RoomSettings {
        RoomSettings {
            hosted: self.is_hosted(),
            ..self.settings
        }
    }

    /// The bans that have not expired at `now_ms`, in milliseconds since the Unix epoch.
    pub fn bans(&self, now_ms: i64) -> impl Iterator<Item = &StoredBan> {
        self.bans.iter().filter(move |ban| ban.until > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::{FeatureSet, Nickname, Person, Powers},
        server::identity::{new_session_token, participant_id},
    };

    fn person() -> Person {
        let nickname = Nickname::parse("Ann").expect("valid");
        Person::new(participant_id(&new_session_token()), nickname)
    }

    fn ban(until: i64) -> StoredBan {
        StoredBan {
            person: person(),
            until,
            network: None,
        }
    }

    #[test]
    fn the_stored_form_is_read_back() {
        let mut authority = Authority::default();
        let events = [
            AuthorityEvent::HostKey(HostKeyHash::of(&new_host_key())),
            AuthorityEvent::Settings {
                change: SettingsChange {
                    locked: Some(true),
                    powers: Some(Powers {
                        guest: FeatureSet::default(),
                        ..Powers::default()
                    }),
                    ..SettingsChange::default()
                },
                admitted: vec![person().id],
            },
            AuthorityEvent::Role {
                id: person().id,
                role: Role::CoHost,
            },
            AuthorityEvent::Ban(ban(9)),
        ];
        for event in &events {
            assert_eq!(authority.apply(event, 0), Ok(true));
            assert_eq!(authority.apply(event, 0), Ok(false), "{event:?} again");
        }
        assert_eq!(Authority::from_json(&authority.to_json()), Some(authority));
        assert_eq!(Authority::from_json("{}"), Some(Authority::default()));
        assert_eq!(Authority::from_json("moon"), None);
    }

    #[test]
    fn a_stored_role_is_never_host() {
        let mut authority = Authority::default();
        let id = person().id;
        let role = Role::Host;
        let event = AuthorityEvent::Role {
            id: id.clone(),
            role,
        };
        authority.apply(&event, 0).expect("applies");
        assert_eq!(authority.role_of(&id), Role::CoHost);
    }

    #[test]
    fn roles_and_bans_are_bounded_and_expired_bans_make_room() {
        let mut authority = Authority::default();
        for _ in 0..MAX_ROLES {
            let id = person().id;
            let role = Role::Viewer;
            let event = AuthorityEvent::Role { id, role };
            assert_eq!(authority.apply(&event, 0), Ok(true));
        }
        let one_more = AuthorityEvent::Role {
            id: person().id,
            role: Role::Viewer,
        };
        assert_eq!(
            authority.apply(&one_more, 0),
            Err(ErrorCode::TooManyEntries)
        );
        for _ in 0..MAX_BANS {
            let event = AuthorityEvent::Ban(ban(100));
            assert_eq!(authority.apply(&event, 0), Ok(true));
        }
        let one_more = AuthorityEvent::Ban(ban(200));
        assert_eq!(
            authority.apply(&one_more, 99),
            Err(ErrorCode::TooManyEntries)
        );
        assert_eq!(authority.apply(&one_more, 100), Ok(true));
        assert_eq!(authority.bans(100).count(), 1);
        let size = authority.to_json().len();
        assert!(size < 64 * 1024, "{size} bytes");
    }

    #[test]
    fn a_lifted_ban_is_gone() {
        let mut authority = Authority::default();
        let ban = ban(100);
        let id = ban.person.id.clone();
        let lift = AuthorityEvent::LiftBan(id);
        assert_eq!(authority.apply(&lift, 0), Ok(false));
        assert_eq!(authority.apply(&AuthorityEvent::Ban(ban), 0), Ok(true));
        assert_eq!(authority.apply(&lift, 0), Ok(true));
        assert_eq!(authority.bans(0).count(), 0);
    }
}
