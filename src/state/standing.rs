//! What this participant may do in the room, as the server last said.

use crate::protocol::{
    Action, Ban, ChatText, Denial, Devices, ErrorCode, Feature, ParticipantId, Role, RoleOf,
    RoomSettings, ServerMessage, SessionToken, Source, permit,
};
use crate::state::People;
use crate::state::invites::Invites;
use crate::state::log::{EntryChange, Notice};

/// Roles, settings and mutes as one participant sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Id of this participant; `None` before the room is joined.
    me: Option<ParticipantId>,
    /// The participants whose role is not guest.
    roles: Vec<RoleOf>,
    /// The settings of the room.
    pub settings: RoomSettings,
    /// The sources of this participant that a host has switched off.
    pub muted: Vec<Source>,
    /// Whether a host allowed this participant to switch the microphone on, where hosts unmute.
    unmute_allowed: bool,
    /// The host who asked this participant to switch the microphone on, until that is answered.
    pub asked_to_unmute: Option<ParticipantId>,
    /// What a host switched off last, until that is dismissed.
    pub switched_off: Option<SwitchedOff>,
    /// Why the server refused the last request of a host, until the next one.
    pub refused: Option<ErrorCode>,
    /// Why a host ended the stay of this participant, and which host.
    pub removed: Option<Removal>,
    /// Whether no host is here, and who acts as one.
    pub absence: Option<HostAbsence>,
    /// The bans of the room, once a host has requested them.
    pub bans: Option<Vec<Ban>>,
    /// The invites of the room, once this participant has requested them.
    pub invites: Invites,
    /// The secret of this participant's session, once joined.
    session: Option<SessionToken>,
}

/// No host is in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAbsence {
    /// Id of the co-host who acts as host, or does so from a time on.
    pub acting: Option<ParticipantId>,
    /// When the co-host starts to act as host, in milliseconds since the Unix epoch.
    pub from: Option<i64>,
}

/// Why a host ended the stay of this participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The reason that the host wrote.
    pub reason: Option<ChatText>,
    /// Id of the host.
    pub by: ParticipantId,
    /// Whether the participant is kept out.
    pub banned: bool,
}

/// Sources that a host switched off while they were on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchedOff {
    /// The devices that were on.
    pub devices: Devices,
    /// Id of the host, if one caused it.
    pub by: Option<ParticipantId>,
}

/// Why this participant cannot switch a source on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restriction {
    /// The room does not allow this feature to the role.
    FeatureOff(Feature),
    /// Only a host unmutes here.
    HostUnmutes,
}

/// The devices among some sources. The audio of a screen counts as the screen.
pub fn devices_of(sources: &[Source]) -> Devices {
    Devices {
        microphone: sources.contains(&Source::Microphone),
        camera: sources.contains(&Source::Camera),
        screen: sources.contains(&Source::Screen),
    }
}

/// The devices of `all` that are not in `held`.
pub fn without(all: Devices, held: Devices) -> Devices {
    Devices {
        microphone: all.microphone && !held.microphone,
        camera: all.camera && !held.camera,
        screen: all.screen && !held.screen,
    }
}

/// The devices that both sets have.
pub fn both(one: Devices, other: Devices) -> Devices {
    Devices {
        microphone: one.microphone && other.microphone,
        camera: one.camera && other.camera,
        screen: one.screen && other.screen,
    }
}

impl Standing {
    /// The standing of a participant who has joined as a guest.
    pub fn of(me: ParticipantId) -> Self {
        Self {
            me: Some(me),
            ..Self::default()
        }
    }

    /// Whether `id` is this participant.
    pub fn is_me(&self, id: &ParticipantId) -> bool {
        self.me.as_ref() == Some(id)
    }

    /// What shows the server that this participant is in the room, where only those may read it.
    pub fn proof(&self) -> Option<SessionToken> {
        self.session.clone().filter(|_| self.settings.is_hidden())
    }

    /// The role of a participant.
    pub fn role_of(&self, id: &ParticipantId) -> Role {
        let found = self.roles.iter().find(|of| of.id == *id);
        found.map_or(Role::default(), |of| of.role)
    }

    /// The role of this participant.
    pub fn role(&self) -> Role {
        let me = self.me.as_ref();
        me.map_or(Role::default(), |me| self.role_of(me))
    }

    /// Whether this participant may do something, to another participant if it concerns one.
    pub fn may(&self, action: Action, target: Option<&ParticipantId>) -> bool {
        let target_role = target.map(|id| self.role_of(id));
        let is_me = target.is_some_and(|id| self.is_me(id));
        !is_me && permit(self.role(), action, target_role, &self.settings.powers).is_ok()
    }

    /// Whether this participant may delete a message of this author, if it is another one.
    pub fn may_delete_of(&self, author: Option<&ParticipantId>) -> bool {
        author.is_some() && self.may(Action::DeleteOthersMessage, author)
    }

    /// Whether this participant may switch a muted microphone on.
    pub fn may_unmute(&self) -> bool {
        !self.settings.host_unmutes || self.role() >= Role::Speaker || self.unmute_allowed
    }

    /// Why this participant cannot switch a source on; `None` if that is allowed.
    pub fn restriction(&self, source: Source) -> Option<Restriction> {
        let action = match source {
            Source::Microphone => Action::UseMicrophone,
            Source::Camera => Action::UseCamera,
            Source::Screen | Source::ScreenAudio => Action::ShareScreen,
        };
        match permit(self.role(), action, None, &self.settings.powers) {
            Err(Denial::FeatureOff(feature)) => Some(Restriction::FeatureOff(feature)),
            Ok(()) | Err(Denial::RoleTooLow(_) | Denial::TargetNotBelow) => {
                let waits = source == Source::Microphone && !self.may_unmute();
                waits.then_some(Restriction::HostUnmutes)
            }
        }
    }

    /// The sources that this participant cannot switch on.
    pub fn restricted(&self) -> Vec<Source> {
        let is_restricted = |source: &Source| self.restriction(*source).is_some();
        Source::ALL.into_iter().filter(is_restricted).collect()
    }

    /// The devices that stay off until this participant switches them on: muted by a host, or not
    /// allowed.
    pub fn held_off(&self) -> Devices {
        let mut sources = self.restricted();
        sources.extend(&self.muted);
        devices_of(&sources)
    }

    /// The server refused what this participant switched on, although it seemed to be allowed.
    pub fn on_unmute_refused(&mut self, devices: Devices) {
        self.unmute_allowed &= !devices.microphone;
        let refused = |source: &Source| match source {
            Source::Microphone => devices.microphone,
            Source::Camera => devices.camera,
            Source::Screen | Source::ScreenAudio => devices.screen,
        };
        for source in Source::ALL.into_iter().filter(refused) {
            if !self.muted.contains(&source) {
                self.muted.push(source);
            }
        }
    }

    /// The notice in the log about a change of roles or settings; `None` for any other message, and
    /// if nothing changes. To be called before [`Self::apply`].
    pub fn notice_of(&self, message: &ServerMessage, people: &People) -> Option<Notice> {
        let name = |id: &ParticipantId| people.nickname(id).cloned();
        let signed =
            |by: &Option<ParticipantId>| by.as_ref().and_then(|id| Some((id.clone(), name(id)?)));
        if let ServerMessage::RoleChanged { id, role, by, .. } = message {
            let is_new = self.role_of(id) != *role;
            return name(id)
                .filter(|_| is_new)
                .map(|nickname| Notice::RoleChanged {
                    id: id.clone(),
                    nickname,
                    role: *role,
                    by: signed(by),
                });
        }
        if let ServerMessage::RoomChanged { room, by, .. } = message {
            let by = signed(by);
            let change = EntryChange::between(&self.settings, room);
            return match (self.settings.locked, room.locked, change) {
                (false, true, _) => Some(Notice::Locked(by)),
                (true, false, _) => Some(Notice::Unlocked(by)),
                (_, _, Some(change)) => Some(Notice::EntryChanged { change, by }),
                (false, false, None) | (true, true, None) => {
                    (*room != self.settings).then_some(Notice::RulesChanged(by))
                }
            };
        }
        if let ServerMessage::Window { closes, .. } = message {
            // Without a participant the message answers a `join`.
            return closes.filter(|_| self.me.is_some()).map(Notice::ClosesAt);
        }
        None
    }

    /// Applies a message of the server. Returns whether anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => {
                *self = Self {
                    me: Some(joined.me.clone()),
                    session: Some(joined.session.clone()),
                    roles: joined.roles.clone(),
                    settings: joined.room,
                    muted: joined.muted.clone(),
                    unmute_allowed: joined.may_unmute && joined.room.host_unmutes,
                    ..Self::default()
                };
            }
            ServerMessage::RoleChanged { id, role, .. } => self.set_role(id, *role),
            ServerMessage::Entered { person, role, .. } => self.set_role(&person.id, *role),
            ServerMessage::Left { person, .. } => self.set_role(&person.id, Role::default()),
            ServerMessage::RoomChanged { room, .. } => self.settings = *room,
            ServerMessage::Muted {
                sources,
                may_unmute,
                ..
            } => {
                self.muted.clone_from(sources);
                self.unmute_allowed = *may_unmute && self.settings.host_unmutes;
            }
            ServerMessage::AskedToUnmute { by } => {
                self.unmute_allowed = true;
                self.switched_off = None;
                self.asked_to_unmute = Some(by.clone());
            }
            ServerMessage::Removed { reason, by, banned } => {
                self.removed = Some(Removal {
                    reason: reason.clone(),
                    by: by.clone(),
                    banned: *banned,
                });
            }
            ServerMessage::Hosts { here, acting, from } => {
                self.absence = (!here).then(|| HostAbsence {
                    acting: acting.clone(),
                    from: *from,
                });
            }
            ServerMessage::Invites { .. } => return self.invites.apply(message),
            ServerMessage::Bans { bans } => self.bans = Some(bans.clone()),
            ServerMessage::Error {
                code:
                    code @ (ErrorCode::NotAllowed
                    | ErrorCode::TooManyEntries
                    | ErrorCode::BadText
                    | ErrorCode::BadSetting),
                id: None,
                ..
            } => self.refused = Some(*code),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Call { .. }
            | ServerMessage::MediaMode { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Speakers { .. }
            | ServerMessage::Qualities { .. }
            | ServerMessage::CallEntered { .. }
            | ServerMessage::CallLeft { .. }
            | ServerMessage::Devices { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => return false,
        }
        true
    }

    /// This participant has switched these sources on again.
    pub fn unmute(&mut self, is_on: impl Fn(Source) -> bool) {
        self.muted.retain(|source| !is_on(*source));
        if is_on(Source::Microphone) {
            self.asked_to_unmute = None;
        }
        self.switched_off.take_if(|off| {
            let on: Vec<_> = Source::ALL
                .into_iter()
                .filter(|source| is_on(*source))
                .collect();
            both(off.devices, devices_of(&on)) != Devices::default()
        });
    }

    /// Sets the role of a participant.
    fn set_role(&mut self, id: &ParticipantId, role: Role) {
        self.roles.retain(|of| of.id != *id);
        if !role.is_default() {
            let id = id.clone();
            self.roles.push(RoleOf { id, role });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("p_{name}")).expect("valid")
    }

    fn role_changed(name: &str, role: Role) -> ServerMessage {
        ServerMessage::RoleChanged {
            seq: None,
            id: id(name),
            role,
            by: None,
        }
    }

    #[test]
    fn only_who_is_in_the_room_gets_a_notice_that_it_closes_soon() {
        let window = ServerMessage::Window {
            opens: None,
            closes: Some(9),
        };
        let people = People::default();
        let notice = |standing: Standing| standing.notice_of(&window, &people);
        assert_eq!(notice(Standing::of(id("me"))), Some(Notice::ClosesAt(9)));
        assert_eq!(notice(Standing::default()), None);
    }

    #[test]
    fn a_role_decides_what_the_page_offers() {
        let mut standing = Standing::of(id("me"));
        assert!(!standing.may(Action::Remove, Some(&id("ann"))));
        standing.apply(&role_changed("me", Role::CoHost));
        assert!(standing.may(Action::Remove, Some(&id("ann"))));
        assert!(
            !standing.may(Action::Remove, Some(&id("me"))),
            "not oneself"
        );
        assert!(!standing.may(Action::EndMeeting, None));
        standing.apply(&role_changed("ann", Role::CoHost));
        assert!(!standing.may(Action::Remove, Some(&id("ann"))));
        standing.apply(&role_changed("me", Role::Host));
        assert!(standing.may(Action::Remove, Some(&id("ann"))));
        assert!(standing.may(Action::EndMeeting, None));
    }

    #[test]
    fn a_muted_source_stays_muted_until_it_is_switched_on() {
        let mut standing = Standing::default();
        let muted = |sources: &[Source], may_unmute| ServerMessage::Muted {
            sources: sources.to_vec(),
            may_unmute,
            by: None,
        };
        standing.apply(&muted(&[Source::Camera, Source::Microphone], false));
        assert_eq!(standing.muted, [Source::Camera, Source::Microphone]);
        standing.apply(&ServerMessage::AskedToUnmute { by: id("ann") });
        assert!(standing.asked_to_unmute.is_some());
        let both_devices = devices_of(&[Source::Microphone, Source::Camera]);
        standing.switched_off = Some(SwitchedOff {
            devices: both_devices,
            by: None,
        });
        standing.unmute(|source| source == Source::Screen);
        assert!(standing.switched_off.is_some());
        standing.unmute(|source| source == Source::Microphone);
        assert_eq!(standing.switched_off, None);
        assert_eq!(standing.muted, [Source::Camera]);
        assert_eq!(standing.asked_to_unmute, None);
    }

    fn settings(change: impl FnOnce(&mut RoomSettings)) -> ServerMessage {
        let mut room = RoomSettings::default();
        change(&mut room);
        ServerMessage::RoomChanged {
            seq: 1,
            room,
            by: Some(id("ann")),
        }
    }

    #[test]
    fn where_hosts_unmute_a_guest_waits_until_a_host_asks() {
        let mut standing = Standing::default();
        assert_eq!(standing.restriction(Source::Microphone), None);
        standing.apply(&settings(|room| room.host_unmutes = true));
        let waits = Some(Restriction::HostUnmutes);
        assert_eq!(standing.restriction(Source::Microphone), waits);
        assert_eq!(standing.restriction(Source::Camera), None);
        standing.apply(&ServerMessage::AskedToUnmute { by: id("ann") });
        assert_eq!(standing.restriction(Source::Microphone), None);
        // A host mutes them again.
        standing.apply(&ServerMessage::Muted {
            sources: vec![Source::Microphone],
            may_unmute: false,
            by: None,
        });
        assert_eq!(standing.restriction(Source::Microphone), waits);
        standing.apply(&settings(|_| {}));
        assert_eq!(
            standing.restriction(Source::Microphone),
            None,
            "the room no longer waits for a host"
        );
        assert!(
            standing.held_off().microphone,
            "and it stays off until switched on"
        );
    }

    #[test]
    fn a_role_without_a_feature_cannot_switch_it_on_and_a_promotion_allows_it() {
        let mut standing = Standing::of(id("me"));
        standing.apply(&role_changed("me", Role::Viewer));
        let off = Some(Restriction::FeatureOff(Feature::Camera));
        assert_eq!(standing.restriction(Source::Camera), off);
        let all = Devices {
            microphone: true,
            camera: true,
            screen: true,
        };
        assert_eq!(standing.held_off(), all);
        standing.apply(&role_changed("me", Role::CoHost));
        assert_eq!(standing.held_off(), Devices::default());
    }

    #[test]
    fn a_refused_unmute_is_off_again() {
        let mut standing = Standing::default();
        standing.apply(&settings(|room| room.host_unmutes = true));
        standing.apply(&ServerMessage::AskedToUnmute { by: id("ann") });
        standing.on_unmute_refused(devices_of(&[Source::Microphone]));
        assert_eq!(standing.muted, [Source::Microphone]);
        assert!(!standing.may_unmute());
    }

    #[test]
    fn a_change_of_roles_or_settings_becomes_one_notice_and_no_change_becomes_none() {
        let nickname = |name| crate::protocol::Nickname::parse(name).expect("valid");
        let person = |key: &str, name| crate::protocol::Person::new(id(key), nickname(name));
        let people = People {
            me: None,
            here: vec![person("ann", "Ann"), person("ben", "Ben")],
        };
        let ann = || Some((id("ann"), nickname("Ann")));
        let mut standing = Standing::default();
        let mut notice_of = |message: ServerMessage| {
            let notice = standing.notice_of(&message, &people);
            standing.apply(&message);
            notice
        };
        let lock = || settings(|room| room.locked = true);
        assert_eq!(notice_of(lock()), Some(Notice::Locked(ann())));
        assert_eq!(notice_of(lock()), None);
        assert_eq!(notice_of(settings(|_| {})), Some(Notice::Unlocked(ann())));
        let rules = settings(|room| room.host_unmutes = true);
        assert_eq!(notice_of(rules), Some(Notice::RulesChanged(ann())));
        let lobby = |lobby| {
            settings(|room| {
                room.host_unmutes = true;
                room.lobby = lobby;
            })
        };
        let changed = |change| {
            let by = ann();
            Some(Notice::EntryChanged { change, by })
        };
        assert_eq!(notice_of(lobby(true)), changed(EntryChange::Lobby(true)));
        assert_eq!(notice_of(lobby(true)), None);
        assert_eq!(notice_of(lobby(false)), changed(EntryChange::Lobby(false)));
        let promoted = Notice::RoleChanged {
            id: id("ben"),
            nickname: nickname("Ben"),
            role: Role::CoHost,
            by: None,
        };
        assert_eq!(notice_of(role_changed("ben", Role::CoHost)), Some(promoted));
        assert_eq!(notice_of(role_changed("ben", Role::CoHost)), None);
        assert_eq!(notice_of(role_changed("gone", Role::CoHost)), None);
    }
}
