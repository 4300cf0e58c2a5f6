//! Who may do what in a room: its host key, settings, roles and bans.
//!
//! [`Authority`] is a value without clock and sockets. It changes by [`AuthorityEvent`]s, each of
//! which takes a `seq` of the room's log. The store applies an event in the transaction that makes
//! it durable, the room applies it once it is durable, and both get the same result.

mod bans;
mod guests;
mod host_key;
mod invites;

pub use bans::{BAN_LASTS, StoredBan};
pub use guests::MAX_GUESTS;
pub use host_key::{HostKeyHash, new_host_key};
pub use invites::StoredInvite;

use crate::{
    protocol::{Access, ErrorCode, InviteId, ParticipantId, Role, RoomSettings, SettingsChange},
    server::{
        identity::{new_session_token, participant_id},
        net::Network,
        password_hasher::PasswordHash,
    },
};
use guests::{Guests, LetInBy};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// Most participants to whom the hosts of a room give a role. 500: five rooms of the default size.
pub const MAX_ROLES: usize = 500;
/// Most bans of a room. 100: the longest list of them fits into one frame.
pub const MAX_BANS: usize = 100;
/// Most invites of a room. 100: the longest list of them fits into one frame.
pub const MAX_INVITES: usize = 100;
/// Most participants who may return to a locked room, and most of whom a room remembers that a host let
/// them in. 400: who is here and who is away in a room of twice the default size.
pub const MAX_ADMITTED: usize = 400;

/// Who may do what in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Authority {
    /// The hash of the host key; nothing in a room without a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key: Option<HostKeyHash>,
    /// The hash of the password; nothing in a room without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<PasswordHash>,
    /// The settings, except [`RoomSettings::hosted`] and [`RoomSettings::password`].
    #[serde(skip_serializing_if = "is_default")]
    settings: RoomSettings,
    /// The roles that a host or an invite gave to participants.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    roles: BTreeMap<ParticipantId, Role>,
    /// The participants who are kept out, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bans: Vec<StoredBan>,
    /// While the room is locked, the participants who may return.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    admitted: BTreeSet<ParticipantId>,
    /// The participants whom a host or the former settings let in, the last one at the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    let_in: Vec<ParticipantId>,
    /// The participants whom an invite or the form without script let in. Their roles are among
    /// [`Self::roles`].
    #[serde(skip_serializing_if = "Guests::is_empty")]
    guests: Guests,
    /// The invites, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invites: Vec<StoredInvite>,
}

/// Whether settings need not be stored.
fn is_default(settings: &RoomSettings) -> bool {
    *settings == RoomSettings::default()
}

/// A durable change of a room's [`Authority`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorityEvent {
    /// The room has this host key from now on, and starts with these settings.
    Claim {
        /// The hash of the host key.
        host_key: HostKeyHash,
        /// The settings that differ from those of a new room.
        opening: SettingsChange,
    },
    /// The settings change.
    Settings {
        /// The settings to change.
        change: SettingsChange,
        /// Who may return, if the change keeps others out.
        admitted: Vec<ParticipantId>,
    },
    /// The room has this password from now on, or none.
    Password {
        /// The hash of the password.
        hash: Option<PasswordHash>,
        /// Who may return without it. Nobody else may.
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
    /// These participants may enter.
    Admit(Vec<ParticipantId>),
    /// A participant may not return to the guarded room.
    Dismiss(ParticipantId),
    /// The room has this invite.
    Invite(StoredInvite),
    /// The room does not have this invite any more.
    RevokeInvite(InviteId),
    /// A participant enters by an invite.
    UseInvite {
        /// Id of the invite.
        invite: InviteId,
        /// The participant who uses it.
        id: ParticipantId,
        /// Who is forgotten for them if [`MAX_GUESTS`] are remembered.
        forget: Option<ParticipantId>,
    },
    /// A participant enters by the form without script.
    Visit {
        /// The participant who enters.
        id: ParticipantId,
        /// Who is forgotten for them if [`MAX_GUESTS`] are remembered.
        forget: Option<ParticipantId>,
    },
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
    /// [`ErrorCode::TooManyEntries`] or [`ErrorCode::RoomFull`] at a limit; nothing was changed.
    pub fn apply(&mut self, event: &AuthorityEvent, now_ms: i64) -> Result<bool, ErrorCode> {
        match event {
            AuthorityEvent::Claim { host_key, opening } => {
                // A room sends its claim again until it is stored. Its settings may have changed since.
                if self.host_key.as_ref() == Some(host_key) {
                    return Ok(false);
                }
                opening
                    .apply(&mut self.settings)
                    .ok_or(ErrorCode::BadSetting)?;
                self.host_key = Some(host_key.clone());
                Ok(true)
            }
            AuthorityEvent::Settings { change, admitted } => {
                let before = self.settings;
                let changed = change
                    .apply(&mut self.settings)
                    .ok_or(ErrorCode::BadSetting)?;
                let after = self.settings;
                if after.locked != before.locked {
                    let admitted = admitted.iter().take(MAX_ADMITTED);
                    let admitted = admitted.filter(|_| after.locked);
                    self.admitted = admitted.cloned().collect();
                }
                let is_closed = |room: RoomSettings| room.access == Access::Closed;
                if (after.lobby && !before.lobby) || (is_closed(after) && !is_closed(before)) {
                    self.let_in(admitted);
                }
                Ok(changed)
            }
            AuthorityEvent::Password { hash, admitted } => {
                if self.password == *hash {
                    return Ok(false);
                }
                self.password.clone_from(hash);
                if hash.is_some() {
                    self.let_in.clear();
                    self.guests.keep_roles_only();
                    self.let_in(admitted);
                }
                Ok(true)
            }
            AuthorityEvent::Role { id, role } => self.set_role(id, *role),
            AuthorityEvent::Ban(ban) => {
                let added = bans::add(&mut self.bans, ban, now_ms)?;
                Ok(self.dismiss(&ban.person.id) | added)
            }
            AuthorityEvent::LiftBan(id) => {
                let before = self.bans.len();
                self.bans.retain(|ban| ban.person.id != *id);
                Ok(self.bans.len() < before)
            }
            AuthorityEvent::Admit(ids) => {
                let mut changed = self.let_in(ids);
                for id in ids.iter().filter(|_| self.settings.locked) {
                    let has_space = self.admitted.len() < MAX_ADMITTED;
                    changed |= has_space && self.admitted.insert(id.clone());
                }
                Ok(changed)
            }
            AuthorityEvent::Dismiss(id) => Ok(self.dismiss(id)),
            AuthorityEvent::Invite(invite) => invites::add(&mut self.invites, invite, now_ms),
            AuthorityEvent::RevokeInvite(id) => {
                let before = self.invites.len();
                self.invites.retain(|invite| invite.id != *id);
                Ok(self.invites.len() < before)
            }
            AuthorityEvent::UseInvite { invite, id, forget } => {
                self.use_invite(invite, id, forget.as_ref(), now_ms)
            }
            AuthorityEvent::Visit { id, .. } if self.is_let_in(id) => Ok(false),
            AuthorityEvent::Visit { id, forget } => {
                let by = LetInBy {
                    invite: None,
                    role: Role::default(),
                    unlimited: true,
                };
                self.add_guest(id, by, forget.as_ref()).map(|()| true)
            }
        }
    }

    /// Whether somebody let this participant in.
    fn is_let_in(&self, id: &ParticipantId) -> bool {
        self.let_in.contains(id) || self.guests.may_return(id)
    }

    /// Remembers that these participants were let in; forgets the first ones beyond
    /// [`MAX_ADMITTED`]. Returns whether one of them is new.
    fn let_in(&mut self, ids: &[ParticipantId]) -> bool {
        let mut is_new = false;
        for id in ids {
            if !self.is_let_in(id) {
                self.let_in.push(id.clone());
                is_new = true;
            }
        }
        let excess = self.let_in.len().saturating_sub(MAX_ADMITTED);
        self.let_in.drain(..excess);
        is_new
    }

    /// Forgets that a participant may return, who keeps a role. Returns whether they might.
    fn dismiss(&mut self, id: &ParticipantId) -> bool {
        let before = self.let_in.len();
        self.let_in.retain(|known| known != id);
        let was_guest = self.guests.remove(id).is_some();
        if was_guest && self.roles_by_hosts() > MAX_ROLES {
            self.roles.remove(id);
        }
        self.admitted.remove(id) | was_guest | (self.let_in.len() < before)
    }

    /// How many participants have a role that no invite gave them.
    fn roles_by_hosts(&self) -> usize {
        self.roles.len().saturating_sub(self.guests.with_role())
    }

    /// Remembers a guest. At the limit another one is forgotten for them.
    ///
    /// # Errors
    /// [`ErrorCode::RoomFull`] if no other may be forgotten; nothing was changed.
    fn add_guest(
        &mut self,
        id: &ParticipantId,
        by: LetInBy,
        forget: Option<&ParticipantId>,
    ) -> Result<(), ErrorCode> {
        if self.guests.is_full() && !self.guests.contains(id) {
            let former = forget.and_then(|forget| Some((forget, self.guests.remove(forget)?)));
            let (forgotten, former) = former.ok_or(ErrorCode::RoomFull)?;
            if !former.role.is_default() {
                self.roles.remove(forgotten);
            }
        }
        if !by.role.is_default() {
            self.roles.insert(id.clone(), by.role);
        }
        self.guests.add(id, by);
        Ok(())
    }

    /// Lets a participant in by an invite, which gives its role.
    fn use_invite(
        &mut self,
        invite: &InviteId,
        id: &ParticipantId,
        forget: Option<&ParticipantId>,
        now_ms: i64,
    ) -> Result<bool, ErrorCode> {
        if !self.has_use_for(invite, id) {
            return Ok(false);
        }
        let found = self.invites.iter().position(|known| known.id == *invite);
        let found = found.ok_or(ErrorCode::BadInvite)?;
        let StoredInvite { role, uses, .. } = self.invites[found];
        self.invites[found].check(now_ms)?;
        let by_invite = self.guests.role_of(id);
        match self.roles.get(id).copied() {
            // Whoever has a role of a host stays known by it, and is no guest.
            Some(known) if by_invite.is_none() => {
                self.guests.remove(id);
                self.let_in(std::slice::from_ref(id));
                self.roles.insert(id.clone(), known.max(role));
            }
            Some(_) | None => {
                let by = LetInBy {
                    invite: Some(invite.clone()),
                    role: by_invite.map_or(role, |known| known.max(role)),
                    unlimited: uses.is_none(),
                };
                self.add_guest(id, by, forget)?;
            }
        }
        let used = &mut self.invites[found].used;
        *used = used.saturating_add(1);
        Ok(true)
    }

    /// Whether an invite gives a participant anything: who was let in already needs it only for a
    /// first role. So it does not undo what a host decided about the role.
    pub fn has_use_for(&self, invite: &InviteId, id: &ParticipantId) -> bool {
        let role = self
            .invite(invite)
            .map_or(Role::default(), |known| known.role);
        !self.is_let_in(id) || (!self.roles.contains_key(id) && role > Role::default())
    }

    /// Whether a participant was let in by an invite or the form without script, and by no host.
    pub fn is_guest(&self, id: &ParticipantId) -> bool {
        self.guests.contains(id)
    }

    /// Who is forgotten for one more guest by this invite, or by the form without script; nobody
    /// unless there are as many as may be. `pending`: how many others may become guests before.
    pub fn guest_to_forget(
        &self,
        invite: Option<&InviteId>,
        pending: usize,
        is_here: impl Fn(&ParticipantId) -> bool,
    ) -> Option<ParticipantId> {
        match self.guests.len() + pending >= MAX_GUESTS {
            true => self.guests.to_forget(invite, pending, is_here),
            false => None,
        }
    }

    /// A host gives a participant a role, who is a guest of the host from now on.
    fn set_role(&mut self, id: &ParticipantId, role: Role) -> Result<bool, ErrorCode> {
        let has_role = self.roles.contains_key(id);
        if role.is_default() && !(has_role && self.is_let_in(id)) {
            if has_role {
                self.guests.remove(id);
            }
            return Ok(self.roles.remove(id).is_some());
        }
        let is_new = !has_role || self.guests.role_of(id).is_some();
        if is_new && self.roles_by_hosts() >= MAX_ROLES {
            return Err(ErrorCode::TooManyEntries);
        }
        let former = self.guests.remove(id);
        if former.is_some_and(|former| former.was_let_in) {
            self.let_in(std::slice::from_ref(id));
        }
        Ok(self.roles.insert(id.clone(), role) != Some(role) || former.is_some())
    }

    /// The stored form of a locked room of ordinary size. It is read for an unknown name, because the
    /// time that this takes would tell the name from a hidden room.
    pub fn stored_sample() -> &'static str {
        static SAMPLE: LazyLock<String> = LazyLock::new(|| {
            let admitted = (0..4).map(|_| participant_id(&new_session_token()));
            let locked = Authority {
                host_key: Some(HostKeyHash::of(&new_host_key())),
                settings: RoomSettings {
                    locked: true,
                    ..RoomSettings::default()
                },
                admitted: admitted.collect(),
                ..Authority::default()
            };
            locked.to_json()
        });
        &SAMPLE
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

    /// Whether the lock of the room, if it is locked, admits this participant, who is not there: they
    /// were there when it was locked, or a host admitted them since, or they are a co-host.
    pub fn admits(&self, id: &ParticipantId) -> bool {
        !self.settings.locked || self.admitted.contains(id) || self.role_of(id).moderates()
    }

    /// Whether somebody let this participant in before, or the participant is a co-host: neither a
    /// lobby, a closed room nor a password keeps them out.
    pub fn was_let_in(&self, id: &ParticipantId) -> bool {
        self.is_let_in(id) || self.role_of(id).moderates()
    }

    /// The hash of the room's password.
    pub fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }

    /// An invite of the room.
    pub fn invite(&self, id: &InviteId) -> Option<&StoredInvite> {
        self.invites.iter().find(|invite| invite.id == *id)
    }

    /// The invites that have not expired at `now_ms`, in milliseconds since the Unix epoch.
    pub fn invites(&self, now_ms: i64) -> impl Iterator<Item = &StoredInvite> {
        let invites = self.invites.iter();
        invites.filter(move |invite| !invite.has_expired(now_ms))
    }

    /// Whether the room is hidden: whoever is neither in it nor known to it sees what they see of a
    /// name that was never used.
    pub fn is_hidden(&self) -> bool {
        self.settings().is_hidden()
    }

    /// Whether a participant may see the hidden room without being in it: a co-host, and whoever may
    /// return to the locked room or was let in. Nobody whom a ban at `now_ms` is about, or whose
    /// network it is about.
    pub fn knows(&self, id: &ParticipantId, network: Option<Network>, now_ms: i64) -> bool {
        let RoomSettings {
            locked,
            lobby,
            access,
            password,
            ..
        } = self.settings();
        let lets_in = lobby || password || access == Access::Closed;
        let is_known = match locked {
            true => self.admits(id) && (self.was_let_in(id) || !lets_in),
            false => self.was_let_in(id),
        };
        let mut bans = self.bans(now_ms);
        is_known && !bans.any(|ban| ban.is_about(id, network))
    }

    /// The settings of the room.
    pub fn settings(&self) -> RoomSettings {
        RoomSettings {
            hosted: self.is_hosted(),
            password: self.password.is_some(),
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
        server::net::ban_network,
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
            invite: None,
        }
    }

    #[test]
    fn the_stored_form_is_read_back() {
        let mut authority = Authority::default();
        let events = [
            AuthorityEvent::Claim {
                host_key: HostKeyHash::of(&new_host_key()),
                opening: SettingsChange::default(),
            },
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
    fn a_hidden_room_knows_who_may_return_and_co_hosts_unless_a_ban_is_about_them() {
        let mut authority = Authority::default();
        assert!(!authority.is_hidden());
        let (admitted, co_host, speaker) = (person().id, person().id, person().id);
        let role = |id: &ParticipantId, role| AuthorityEvent::Role {
            id: id.clone(),
            role,
        };
        let events = [
            AuthorityEvent::Settings {
                change: SettingsChange {
                    locked: Some(true),
                    ..SettingsChange::default()
                },
                admitted: vec![admitted.clone()],
            },
            role(&co_host, Role::CoHost),
            role(&speaker, Role::Speaker),
        ];
        for event in &events {
            assert_eq!(authority.apply(event, 0), Ok(true));
        }
        assert!(authority.is_hidden());
        let knows = |authority: &Authority, id, now_ms| authority.knows(id, None, now_ms);
        let known = [&admitted, &co_host, &speaker, &person().id];
        let known = known.map(|id| knows(&authority, id, 0));
        assert_eq!(known, [true, true, false, false]);
        let mut banned = ban(100);
        banned.person.id = co_host.clone();
        banned.network = ban_network([192, 0, 2, 7].into());
        let event = AuthorityEvent::Ban(banned.clone());
        assert_eq!(authority.apply(&event, 0), Ok(true));
        assert!(!knows(&authority, &co_host, 99) && knows(&authority, &co_host, 100));
        assert!(
            !authority.knows(&admitted, banned.network, 99),
            "the network"
        );
        assert!(knows(&authority, &admitted, 99));
        banned.person.id = admitted.clone();
        let event = AuthorityEvent::Ban(banned);
        assert_eq!(authority.apply(&event, 0), Ok(true));
        assert!(!knows(&authority, &admitted, 100), "not even afterwards");

        // Where somebody has to be let in, a place in the locked room is not enough.
        let events = [
            AuthorityEvent::Admit(vec![admitted.clone()]),
            AuthorityEvent::Settings {
                change: SettingsChange {
                    lobby: Some(true),
                    ..SettingsChange::default()
                },
                admitted: Vec::new(),
            },
        ];
        let mut let_in = authority.clone();
        for event in &events {
            assert_eq!(let_in.apply(event, 100), Ok(true));
        }
        assert!(knows(&let_in, &admitted, 100));
        let_in.let_in.clear();
        assert!(!knows(&let_in, &admitted, 100));
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

    fn invite(number: usize, role: Role, uses: Option<u32>) -> StoredInvite {
        StoredInvite {
            id: InviteId::parse(&format!("invite-{number:05}")).expect("valid"),
            by: person().id,
            role,
            name: None,
            expires: None,
            uses,
            used: 0,
        }
    }

    /// One more participant uses an invite, as a room asks for it in which these people are.
    fn use_invite(
        authority: &mut Authority,
        invite: &InviteId,
        here: &[ParticipantId],
    ) -> (ParticipantId, Result<bool, ErrorCode>) {
        let id = person().id;
        let forget = authority.guest_to_forget(Some(invite), 0, |id| here.contains(id));
        let event = AuthorityEvent::UseInvite {
            invite: invite.clone(),
            id: id.clone(),
            forget,
        };
        let result = authority.apply(&event, 0);
        (id, result)
    }

    #[test]
    fn an_invite_that_is_used_without_end_harms_neither_hosts_nor_those_of_other_invites() {
        let mut authority = Authority::default();
        let (by_host, co_host) = (person().id, person().id);
        let kinds = [
            (Role::Guest, Some(1)),
            (Role::Speaker, Some(1)),
            (Role::Viewer, None),
        ];
        let mut events = vec![
            AuthorityEvent::Admit(vec![by_host.clone()]),
            AuthorityEvent::Role {
                id: co_host.clone(),
                role: Role::CoHost,
            },
        ];
        let others: Vec<_> = (1..).zip(kinds).collect();
        let others: Vec<_> = others
            .into_iter()
            .map(|(n, (role, uses))| invite(n, role, uses))
            .collect();
        events.extend(others.iter().cloned().map(AuthorityEvent::Invite));
        let flooded = [invite(8, Role::Speaker, None), invite(9, Role::Guest, None)];
        events.extend(flooded.iter().cloned().map(AuthorityEvent::Invite));
        for event in &events {
            assert_eq!(authority.apply(event, 0), Ok(true), "{event:?}");
        }
        let let_in: Vec<_> = others
            .iter()
            .map(|invite| {
                let (id, result) = use_invite(&mut authority, &invite.id, &[]);
                assert_eq!(result, Ok(true));
                (id, invite.role)
            })
            .collect();
        // One of the flooded invites' own is here, and keeps the role.
        let (here, result) = use_invite(&mut authority, &flooded[0].id, &[]);
        assert_eq!(result, Ok(true));
        for _ in 0..MAX_GUESTS {
            for invite in &flooded {
                let (id, result) =
                    use_invite(&mut authority, &invite.id, std::slice::from_ref(&here));
                assert_eq!(result, Ok(true));
                assert!(authority.was_let_in(&id) && authority.role_of(&id) == invite.role);
            }
            let visit = AuthorityEvent::Visit {
                id: person().id,
                forget: authority.guest_to_forget(None, 0, |_| false),
            };
            assert_eq!(authority.apply(&visit, 0), Ok(true));
        }
        assert_eq!(authority.guests.len(), MAX_GUESTS);
        assert!(authority.was_let_in(&by_host));
        assert_eq!(authority.role_of(&co_host), Role::CoHost);
        assert_eq!(authority.role_of(&here), Role::Speaker);
        for (id, role) in &let_in {
            assert!(authority.was_let_in(id), "{role:?}");
            assert_eq!(authority.role_of(id), *role);
        }
        // Hosts give as many roles as before, also to those who came by the invite.
        for id in std::iter::once(here).chain((2..MAX_ROLES).map(|_| person().id)) {
            let role = Role::Viewer;
            let event = AuthorityEvent::Role { id, role };
            assert_eq!(authority.apply(&event, 0), Ok(true));
        }
        let size = authority.to_json().len();
        assert!(size < 96 * 1024, "{size} bytes");
        assert_eq!(Authority::from_json(&authority.to_json()), Some(authority));
    }

    #[test]
    fn an_invite_without_limit_lets_nobody_in_while_as_many_as_may_be_are_here_by_it() {
        let mut authority = Authority::default();
        let link = invite(1, Role::Viewer, None);
        let event = AuthorityEvent::Invite(link.clone());
        assert_eq!(authority.apply(&event, 0), Ok(true));
        let mut here = Vec::new();
        for _ in 0..MAX_GUESTS {
            let (id, result) = use_invite(&mut authority, &link.id, &[]);
            assert_eq!(result, Ok(true));
            here.push(id);
        }
        let before = authority.clone();
        let (_, result) = use_invite(&mut authority, &link.id, &here);
        assert_eq!(result, Err(ErrorCode::RoomFull));
        assert_eq!(authority, before);
        let (left, here) = here.split_first().expect("people");
        let (_, result) = use_invite(&mut authority, &link.id, here);
        assert_eq!(result, Ok(true));
        assert!(!authority.was_let_in(left) && authority.was_let_in(&here[0]));
        // A host who gives a guest a role lets them in, and a change of the password keeps roles only.
        let event = AuthorityEvent::Role {
            id: here[0].clone(),
            role: Role::CoHost,
        };
        assert_eq!(authority.apply(&event, 0), Ok(true));
        let event = AuthorityEvent::Password {
            hash: Some(PasswordHash {
                salt: vec![1; 16],
                hash: vec![2; 32],
                memory_kib: 19 * 1024,
                passes: 2,
            }),
            admitted: vec![here[1].clone()],
        };
        assert_eq!(authority.apply(&event, 0), Ok(true));
        let known = [&here[0], &here[1], &here[2]].map(|id| authority.was_let_in(id));
        assert_eq!(known, [true, true, false]);
        assert_eq!(authority.role_of(&here[2]), Role::Viewer);
        // Somebody who is removed keeps the role, and is no guest any more.
        assert_eq!(
            authority.apply(&AuthorityEvent::Dismiss(here[2].clone()), 0),
            Ok(true)
        );
        assert_eq!(authority.role_of(&here[2]), Role::Viewer);
        assert!(!authority.guests.contains(&here[2]));
    }
}
