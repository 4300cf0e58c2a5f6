//! What this participant may do in the room, as the server last said.

use crate::protocol::{
    Action, Ban, ChatText, ParticipantId, Role, RoleOf, RoomSettings, ServerMessage, SessionToken,
    Source, permit,
};

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
    /// Whether this participant may switch a muted microphone on.
    pub may_unmute: bool,
    /// The host who asked this participant to switch the microphone on, until that is answered.
    pub asked_to_unmute: Option<ParticipantId>,
    /// Why a host ended the stay of this participant, and which host.
    pub removed: Option<Removal>,
    /// The bans of the room, once a host has requested them.
    pub bans: Option<Vec<Ban>>,
    /// The secret of this participant's session, once joined.
    session: Option<SessionToken>,
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

impl Standing {
    /// What shows the server that this participant is in the room, where only those may read it.
    pub fn proof(&self) -> Option<SessionToken> {
        self.session.clone().filter(|_| self.settings.locked)
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
        let is_me = target.is_some() && target == self.me.as_ref();
        !is_me && permit(self.role(), action, target_role, &self.settings.powers).is_ok()
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
                    may_unmute: joined.may_unmute,
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
                self.may_unmute = *may_unmute;
            }
            ServerMessage::AskedToUnmute { by } => {
                self.may_unmute = true;
                self.asked_to_unmute = Some(by.clone());
            }
            ServerMessage::Removed { reason, by, banned } => {
                self.removed = Some(Removal {
                    reason: reason.clone(),
                    by: by.clone(),
                    banned: *banned,
                });
            }
            ServerMessage::Bans { bans } => self.bans = Some(bans.clone()),
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Gone { .. }
            | ServerMessage::Announcement { .. }
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
    fn a_role_decides_what_the_page_offers() {
        let mut standing = Standing {
            me: Some(id("me")),
            ..Standing::default()
        };
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
        assert!(!standing.may_unmute);
        standing.apply(&ServerMessage::AskedToUnmute { by: id("ann") });
        assert!(standing.may_unmute && standing.asked_to_unmute.is_some());
        standing.unmute(|source| source == Source::Microphone);
        assert_eq!(standing.muted, [Source::Camera]);
        assert_eq!(standing.asked_to_unmute, None);
    }
}
