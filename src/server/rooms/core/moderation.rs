//! Moderation: what a member may do, and what hosts do to others.
//!
//! [`Room::authorize`] is the only place that decides whether a request is allowed; the table is
//! [`permit`]. What lasts (settings, roles, bans) is recorded in the store first and takes effect
//! when it is durable. What concerns the present (mute, remove) takes effect at once.

use super::{
    command::{
        CallRequest, ChatRequest, ConnectionId, DirectRequest, Effect, ModerationRequest,
        Moderator, Now, RoomRequest,
    },
    presence::AwayMember,
    room::{ConnectionState, Room, broadcast, refuse},
};
use crate::{
    protocol::{
        Access, Action, Ban, ChatText, CloseCode, Devices, ErrorCode, Invite, InviteDraft,
        InviteId, MessageId, Nickname, ParticipantId, Person, Role, RoleOf, RoomSettings, Seq,
        ServerMessage, Signal, Source, permit,
    },
    server::{
        authority::{AuthorityEvent, BAN_LASTS, MAX_INVITES, StoredBan, StoredInvite},
        net::Network,
        rooms::{Reader, RoomError},
        store::{Edit, NewRecord, Recorded},
    },
};
use std::time::{Duration, Instant};

/// How long no host is here before a co-host acts as host. 5 min: longer than a restart or a
/// change of the network takes.
const HOST_ABSENT: Duration = Duration::from_secs(5 * 60);

/// Most invites of a participant who does not moderate. 10: one for each of a few people, and few
/// enough to leave others theirs.
const MAX_INVITES_OF_PARTICIPANT: usize = 10;
/// Invites of the room that only those who moderate make, however many sessions others have. 20: a
/// meeting's usual links.
const INVITES_OF_HOSTS: usize = 20;

/// The sources of a member that reach nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MutedDevices {
    /// Whether the microphone reaches nobody.
    pub microphone: bool,
    /// Whether the camera reaches nobody.
    pub camera: bool,
    /// Whether the screen reaches nobody.
    pub screen: bool,
    /// The audio of the screen: together with the screen, and together with the microphone, because
    /// a page may send a voice as the audio of a screen.
    pub screen_audio: bool,
}

impl MutedDevices {
    /// Whether no source is muted.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The muted sources, in order.
    pub fn sources(self) -> Vec<Source> {
        let is_muted = |source: &Source| match source {
            Source::Microphone => self.microphone,
            Source::Camera => self.camera,
            Source::Screen => self.screen,
            Source::ScreenAudio => self.screen_audio,
        };
        Source::ALL.into_iter().filter(is_muted).collect()
    }

    /// The muted sources as the page of the member names them: those of its devices.
    pub fn devices(self) -> Vec<Source> {
        let is_device = |source: &Source| *source != Source::ScreenAudio;
        self.sources().into_iter().filter(is_device).collect()
    }

    /// The devices that stay on.
    pub fn mask(self, devices: Devices) -> Devices {
        Devices {
            microphone: devices.microphone && !self.microphone,
            camera: devices.camera && !self.camera,
            screen: devices.screen && !self.screen,
        }
    }

    /// Mutes a source.
    fn mute(&mut self, source: Source) {
        match source {
            Source::Microphone => self.microphone = true,
            Source::Camera => self.camera = true,
            Source::Screen | Source::ScreenAudio => self.screen = true,
        }
    }
}

/// What hosts have done to a member for the duration of the stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moderated {
    /// The sources that a host switched off and the member has not switched on again.
    pub muted: MutedDevices,
    /// Whether a host asked the member to unmute, where hosts unmute.
    pub may_unmute: bool,
}

/// The muted devices of a member, as the page of the member knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The devices that reach nobody.
    pub muted: MutedDevices,
    /// Whether the member may switch the microphone on without a host.
    pub may_unmute: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            muted: MutedDevices::default(),
            may_unmute: true,
        }
    }
}

/// Why no host is needed, or who acts as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum HostPresence {
    /// A host is here, or the room has no host key.
    #[default]
    NotNeeded,
    /// No host is here since this time.
    Absent(Instant),
    /// No host is here, and this co-host acts as one.
    Acting(ParticipantId),
}

/// Whether a host is here, as everybody knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostNews {
    /// Whether none is here who is needed.
    is_absent: bool,
    /// The co-host who acts as host, or does so from a time on.
    acting: Option<ParticipantId>,
    /// When the co-host starts to act as host.
    from: Option<Instant>,
}

impl HostNews {
    /// The message about it.
    fn message(&self, now: Now) -> ServerMessage {
        let from = self.from.map(|from| {
            let left = from.saturating_duration_since(now.instant).as_millis();
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            now.unix_ms.saturating_add(left)
        });
        ServerMessage::Hosts {
            here: !self.is_absent,
            acting: self.acting.clone(),
            from,
        }
    }
}

impl Room {
    /// The role of the member at `index`.
    pub(super) fn role(&self, index: usize) -> Role {
        let member = &self.members[index];
        let acts =
            matches!(&self.host_presence, HostPresence::Acting(id) if *id == member.person.id);
        match member.holds_key || acts {
            true => Role::Host,
            false => self.authority.role_of(&member.person.id),
        }
    }

    /// The role of a participant, who need not be here.
    fn role_of(&self, id: &ParticipantId) -> Role {
        let held_key = |away: &AwayMember| away.person.id == *id && away.holds_key;
        match self.index_of(id) {
            Some(index) => self.role(index),
            None if self.away.iter().any(held_key) => Role::Host,
            None => self.authority.role_of(id),
        }
    }

    /// The members whose role is not guest.
    pub(super) fn roles(&self) -> Vec<RoleOf> {
        let roles = (0..self.members.len()).map(|index| RoleOf {
            id: self.members[index].person.id.clone(),
            role: self.role(index),
        });
        roles.filter(|of| !of.role.is_default()).collect()
    }

    /// Whether a member may do something, to a participant of the role `target` if it concerns one.
    pub(super) fn may(&self, index: usize, action: Action, target: Option<Role>) -> bool {
        let powers = self.authority.settings().powers;
        permit(self.role(index), action, target, &powers).is_ok()
    }

    /// Decides whether a member's request is allowed.
    ///
    /// # Errors
    /// [`ErrorCode::NotAllowed`], or [`ErrorCode::NoSuchPerson`] for an action on oneself.
    pub(super) fn authorize(&self, index: usize, request: &RoomRequest) -> Result<(), ErrorCode> {
        let (action, target) = match request {
            RoomRequest::Moderate(ModerationRequest::RevokeInvite(id))
                if !self.made_invite(index, id) =>
            {
                (Action::RevokeOthersInvite, None)
            }
            request => required(request),
        };
        if target == Some(&self.members[index].person.id) {
            return Err(ErrorCode::NoSuchPerson);
        }
        let target = target.map(|id| self.role_of(id));
        let may_share = !shares_files(request) || self.may(index, Action::ShareFiles, None);
        match self.may(index, action, target) && may_share {
            true => Ok(()),
            false => Err(ErrorCode::NotAllowed),
        }
    }

    /// Whether a member made this invite.
    fn made_invite(&self, index: usize, id: &InviteId) -> bool {
        let invite = self.authority.invite(id);
        invite.is_some_and(|invite| invite.by == self.members[index].person.id)
    }

    /// Decides whether somebody may upload files to send here: a participant who has entered and may
    /// write.
    ///
    /// # Errors
    /// [`ErrorCode::NotJoined`] or [`ErrorCode::NotAllowed`].
    pub fn authorize_upload(&self, id: &ParticipantId) -> Result<(), ErrorCode> {
        let index = self.index_of(id).ok_or(ErrorCode::NotJoined)?;
        let needed = [Action::SendMessage, Action::ShareFiles];
        match needed.iter().all(|action| self.may(index, *action, None)) {
            true => Ok(()),
            false => Err(ErrorCode::NotAllowed),
        }
    }

    /// Decides whether the author of a plain form, who need not be here, may write, and send files if
    /// `shares`.
    ///
    /// # Errors
    /// [`RoomError::Denied`] with the code.
    pub fn authorize_post(
        &self,
        author: &ParticipantId,
        network: Option<Network>,
        shares: bool,
        now: Now,
    ) -> Result<(), RoomError> {
        let mut bans = self.authority.bans(now.unix_ms);
        if bans.any(|ban| ban.is_about(author, network)) {
            return Err(RoomError::Denied(ErrorCode::Banned));
        }
        if self.index_of(author).is_none()
            && let Some(code) = self.refusal_of_post(author, now)
        {
            return Err(RoomError::Denied(code));
        }
        let powers = self.authority.settings().powers;
        let role = self.role_of(author);
        let may = |action| permit(role, action, None, &powers).is_ok();
        match may(Action::SendMessage) && (!shares || may(Action::ShareFiles)) {
            true => Ok(()),
            false => Err(RoomError::Denied(ErrorCode::NotAllowed)),
        }
    }

    /// Why somebody who is not here may not write: they would have to ask to enter first.
    fn refusal_of_post(&self, author: &ParticipantId, now: Now) -> Option<ErrorCode> {
        let settings = self.authority.settings();
        let moderates = self.authority.role_of(author).moderates();
        if !moderates && !settings.is_open(now.unix_ms) {
            return Some(ErrorCode::NotOpen);
        }
        if !self.authority.admits(author) {
            return Some(ErrorCode::RoomLocked);
        }
        if self.authority.was_let_in(author) {
            return None;
        }
        match settings {
            RoomSettings { password: true, .. } => Some(ErrorCode::PasswordRequired),
            RoomSettings { lobby: true, .. } => Some(ErrorCode::NotJoined),
            RoomSettings {
                access: Access::Closed,
                ..
            } => Some(ErrorCode::InviteRequired),
            RoomSettings { .. } => None,
        }
    }

    /// Whether a request may see the room: the room is not hidden, or the reader is here or known to
    /// the room.
    pub fn is_visible_to(&self, reader: Option<&Reader>, now: Now) -> bool {
        let may_see = |Reader { id, network }: &Reader| {
            self.index_of(id).is_some() || self.authority.knows(id, *network, now.unix_ms)
        };
        !self.authority.is_hidden() || reader.is_some_and(may_see)
    }

    /// Whether a member may delete this message, if it is of another participant. The author of a
    /// message that is not in memory is unknown, and counts as a co-host.
    pub(super) fn may_delete_others(&self, index: usize, id: &MessageId) -> bool {
        let author = self.history.author(id).map(|author| self.role_of(author));
        let target = Some(author.unwrap_or(Role::CoHost));
        self.may(index, Action::DeleteOthersMessage, target)
    }

    /// The sources of a member that reach nobody: switched off by a host, not among the features of
    /// the role, or, where hosts unmute, not allowed yet.
    pub(super) fn muted(&self, index: usize) -> MutedDevices {
        let Moderated { muted, .. } = self.members[index].moderated;
        let may = |action| self.may(index, action, None);
        let microphone = muted.microphone || !self.may_unmute(index);
        let screen = muted.screen || !may(Action::ShareScreen);
        MutedDevices {
            microphone,
            camera: muted.camera || !may(Action::UseCamera),
            screen,
            screen_audio: screen || microphone,
        }
    }

    /// Whether a member may switch the microphone on without a host.
    fn may_unmute(&self, index: usize) -> bool {
        let hosts_unmute =
            self.authority.settings().host_unmutes && self.role(index) < Role::Speaker;
        let waits = hosts_unmute && !self.members[index].moderated.may_unmute;
        !waits && self.may(index, Action::UseMicrophone, None)
    }

    /// Checks the devices that a member switches on. With `unmute` the member switches on what a
    /// host has switched off.
    ///
    /// # Errors
    /// [`ErrorCode::NotAllowed`] if one of them is not allowed to the member.
    pub(super) fn allow_devices(
        &mut self,
        index: usize,
        devices: Devices,
        unmute: bool,
    ) -> Result<Devices, ErrorCode> {
        let before = self.members[index].call.map(|session| session.devices);
        let before = before.unwrap_or_default();
        let forbidden = (devices.microphone && !before.microphone && !self.may_unmute(index))
            || (devices.camera && !before.camera && !self.may(index, Action::UseCamera, None))
            || (devices.screen && !before.screen && !self.may(index, Action::ShareScreen, None));
        if forbidden {
            return Err(ErrorCode::NotAllowed);
        }
        if unmute {
            let muted = &mut self.members[index].moderated.muted;
            *muted = MutedDevices {
                microphone: muted.microphone && !devices.microphone,
                camera: muted.camera && !devices.camera,
                screen: muted.screen && !devices.screen,
                screen_audio: false,
            };
        }
        Ok(self.muted(index).mask(devices))
    }

    /// Brings every member in line with what is muted: at the SFU, in the lists of the others, and
    /// on the page of the member. `by` is the host who caused it.
    pub(super) fn enforce_mutes(&mut self, by: Option<&ParticipantId>, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for index in 0..self.members.len() {
            effects.extend(self.enforce_mute(index, by));
        }
        effects.extend(self.update_mode(now));
        effects
    }

    /// Brings one member in line with what is muted, except the mode of the call.
    pub(super) fn enforce_mute(&mut self, index: usize, by: Option<&ParticipantId>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let told = self.to_tell(index);
        let member = &mut self.members[index];
        let connection = match member.connection_state {
            ConnectionState::Connected(connection) => Some(connection),
            // The answer to the next `join` tells the member.
            ConnectionState::Lost(_) | ConnectionState::MediaOnly(_) => None,
        };
        if let Some(connection) = connection.filter(|_| member.told != told) {
            member.told = told;
            let message = ServerMessage::Muted {
                sources: told.muted.devices(),
                may_unmute: told.may_unmute,
                by: by.cloned(),
            };
            effects.push(Effect::Send {
                connection,
                message,
            });
        }
        let Some(session) = &mut member.call else {
            return effects;
        };
        let muted = told.muted;
        if session.muted == muted {
            return effects;
        }
        session.muted = muted;
        let devices = muted.mask(session.devices);
        let is_changed = std::mem::replace(&mut session.devices, devices) != devices;
        effects.extend(session.media.map(|media| media.set_muted(muted)));
        if is_changed {
            let id = member.person.id.clone();
            let message = ServerMessage::Devices { id, devices };
            effects.push(Effect::Broadcast {
                message,
                except: connection,
            });
        }
        effects
    }

    /// What the page of a member has to know.
    pub(super) fn to_tell(&self, index: usize) -> Told {
        Told {
            muted: self.muted(index),
            may_unmute: self.may_unmute(index),
        }
    }

    /// Whether the media of any member in the call has to pass the SFU, because some of it is
    /// muted there.
    pub(super) fn has_muted(&self) -> bool {
        let mut sessions = self.members.iter().filter_map(|member| member.call);
        sessions.any(|session| !session.muted.is_empty())
    }

    /// Runs a request of a host, which is allowed.
    pub(super) fn moderate(
        &mut self,
        index: usize,
        connection: ConnectionId,
        request: ModerationRequest,
        now: Now,
    ) -> Vec<Effect> {
        if !self.try_announce(index, now) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        let id = self.members[index].person.id.clone();
        let by = Moderator { connection, id };
        match request {
            ModerationRequest::Mute { who: Some(who), .. } if self.index_of(&who).is_none() => {
                refuse(connection, ErrorCode::NoSuchPerson)
            }
            ModerationRequest::Mute { who, source } => self.mute(index, who, source, now),
            ModerationRequest::AskToUnmute(who) => self.ask_to_unmute(&by, &who, now),
            ModerationRequest::Rename { who, nickname } => match self.index_of(&who) {
                Some(other) => {
                    let renamed = self.set_nickname(other, nickname);
                    renamed.map(broadcast).into_iter().collect()
                }
                None => refuse(connection, ErrorCode::NoSuchPerson),
            },
            ModerationRequest::SetRole { who, role } => {
                // The requirement of the action compares the former role only.
                if role >= self.role(index) || role == Role::Host {
                    return refuse(connection, ErrorCode::NotAllowed);
                }
                if !self.knows(&who) {
                    return refuse(connection, ErrorCode::NoSuchPerson);
                }
                let event = AuthorityEvent::Role { id: who, role };
                self.record(by, event, now)
            }
            ModerationRequest::Remove { who, reason } => {
                let removed = self.remove_by(&who, &by.id, reason, false, now);
                let Some(mut effects) = removed else {
                    return refuse(connection, ErrorCode::NoSuchPerson);
                };
                // A pending change may let everybody return who was here when it was asked for.
                let may_return = self.authority.was_let_in(&who) || self.pending > 0;
                if self.authority.settings().locked || may_return {
                    let event = AuthorityEvent::Dismiss(who);
                    effects.extend(self.record(by, event, now));
                }
                effects
            }
            ModerationRequest::Ban {
                who,
                reason,
                address,
            } => self.ban(by, &who, (reason, address), now),
            ModerationRequest::LiftBan(who) => self.record(by, AuthorityEvent::LiftBan(who), now),
            ModerationRequest::ListBans => vec![self.bans_answer(connection, now)],
            ModerationRequest::ClearMessages => vec![Effect::ClearMessages { connection }],
            ModerationRequest::Announce(text) => {
                let from = Some(self.members[index].person.clone());
                vec![broadcast(ServerMessage::Announcement { text, from })]
            }
            ModerationRequest::SetRoom(change) => {
                let keeps_out = change.locked == Some(true)
                    || change.lobby == Some(true)
                    || change.access == Some(Access::Closed);
                let admitted = if keeps_out {
                    self.admitted()
                } else {
                    Vec::new()
                };
                let event = AuthorityEvent::Settings { change, admitted };
                self.record(by, event, now)
            }
            ModerationRequest::SetPassword(hash) => {
                let admitted = self.admitted();
                let event = AuthorityEvent::Password { hash, admitted };
                self.record(by, event, now)
            }
            ModerationRequest::Admit(who) => self.admit_waiting(by, who, now),
            ModerationRequest::Deny { who, reason } => self.deny(connection, who, reason, now),
            ModerationRequest::CreateInvite { id, draft } => {
                self.create_invite(by, index, id, draft, now)
            }
            ModerationRequest::ListInvites => {
                vec![self.invites_answer(index, connection, None, now)]
            }
            ModerationRequest::RevokeInvite(id) => {
                self.record(by, AuthorityEvent::RevokeInvite(id), now)
            }
            ModerationRequest::EndMeeting => self.close(now),
        }
    }

    /// Whether a participant is here or away, or has a role.
    fn knows(&self, id: &ParticipantId) -> bool {
        let is_away = self.away.iter().any(|away| away.person.id == *id);
        is_away || self.index_of(id).is_some() || !self.authority.role_of(id).is_default()
    }

    /// Everybody who may return to the room once it is locked: who is here or away.
    fn admitted(&self) -> Vec<ParticipantId> {
        let here = self.members.iter().map(|member| &member.person);
        let away = self.away.iter().map(|away| &away.person);
        here.chain(away).map(|person| person.id.clone()).collect()
    }

    /// Switches a source off: of one participant, or of everybody whose role is below the host's.
    fn mute(
        &mut self,
        host: usize,
        who: Option<ParticipantId>,
        source: Source,
        now: Now,
    ) -> Vec<Effect> {
        let by = self.members[host].person.id.clone();
        for index in 0..self.members.len() {
            let is_meant = match &who {
                Some(who) => self.members[index].person.id == *who,
                None => index != host && self.role(index) < self.role(host),
            };
            if is_meant {
                let moderated = &mut self.members[index].moderated;
                moderated.muted.mute(source);
                moderated.may_unmute &= source != Source::Microphone;
            }
        }
        self.enforce_mutes(Some(&by), now)
    }

    /// Asks a member to switch the microphone on, and allows it.
    fn ask_to_unmute(&mut self, by: &Moderator, who: &ParticipantId, now: Now) -> Vec<Effect> {
        let Some(index) = self.index_of(who) else {
            return refuse(by.connection, ErrorCode::NoSuchPerson);
        };
        let member = &mut self.members[index];
        member.moderated.may_unmute = true;
        let asked = match member.connection_state {
            ConnectionState::Connected(connection) => Some(Effect::Send {
                connection,
                message: ServerMessage::AskedToUnmute { by: by.id.clone() },
            }),
            ConnectionState::Lost(_) | ConnectionState::MediaOnly(_) => None,
        };
        let mut effects = self.enforce_mutes(Some(&by.id), now);
        effects.extend(asked);
        effects
    }

    /// Ends the stay of a participant, who learns why. One who is away is not expected back any more,
    /// so that others end what they still receive of them. Nothing for anybody else.
    fn remove_by(
        &mut self,
        who: &ParticipantId,
        by: &ParticipantId,
        reason: Option<ChatText>,
        banned: bool,
        now: Now,
    ) -> Option<Vec<Effect>> {
        let Some(index) = self.index_of(who) else {
            let gone = self.retain_away(|away| away.person.id != *who);
            return (!gone.is_empty()).then_some(gone);
        };
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = self.members[index].connection_state {
            let message = ServerMessage::Removed {
                reason,
                by: by.clone(),
                banned,
            };
            effects.push(Effect::Send {
                connection,
                message,
            });
            effects.push(Effect::Close {
                connection,
                code: match banned {
                    true => CloseCode::NotAllowed,
                    false => CloseCode::Removed,
                },
            });
        }
        effects.extend(self.remove_member(index, false, now));
        Some(effects)
    }

    /// Ends the stay of a participant who is here or away, and keeps them out.
    fn ban(
        &mut self,
        by: Moderator,
        who: &ParticipantId,
        (reason, address): (Option<ChatText>, bool),
        now: Now,
    ) -> Vec<Effect> {
        let here = self.members.iter().find(|member| member.person.id == *who);
        let away = self.away.iter().find(|away| away.person.id == *who);
        let waiting = self.person_in_lobby(who);
        let found: Option<(Person, _, _)> = match (here, away, waiting) {
            (Some(member), _, _) => {
                let invite = member.invite.clone();
                Some((member.person.clone(), member.network, invite))
            }
            (None, Some(away), _) => Some((away.person.clone(), None, None)),
            (None, None, Some(waiting)) => {
                let person = Person::new(waiting.id.clone(), waiting.nickname.clone());
                Some((person, waiting.network, None))
            }
            (None, None, None) => None,
        };
        let Some((person, network, invite)) = found else {
            return refuse(by.connection, ErrorCode::NoSuchPerson);
        };
        let lasts_ms = i64::try_from(BAN_LASTS.as_millis()).unwrap_or(i64::MAX);
        let ban = StoredBan {
            person,
            until: now.unix_ms.saturating_add(lasts_ms),
            network: network.filter(|_| address),
            invite,
        };
        let mut effects = self.turn_away(who.clone(), reason.clone(), now);
        if !effects.is_empty() {
            effects.extend(self.tell_lobby(now));
        }
        let removed = self.remove_by(who, &by.id, reason, true, now);
        effects.extend(removed.unwrap_or_default());
        effects.extend(self.record(by, AuthorityEvent::Ban(ban), now));
        effects
    }

    /// Ends the stay of everybody whom a ban keeps out: the participant, who may have come back
    /// before the ban was durable, and others of the same network who do not moderate.
    fn remove_banned(&mut self, ban: &StoredBan, by: &ParticipantId, now: Now) -> Vec<Effect> {
        let is_of_network = |index: &usize| {
            let member = &self.members[*index];
            ban.is_about(&member.person.id, member.network) && !self.role(*index).moderates()
        };
        let banned = (0..self.members.len()).filter(is_of_network);
        let mut banned: Vec<_> = banned
            .map(|index| self.members[index].person.id.clone())
            .collect();
        banned.push(ban.person.id.clone());
        let ended = banned
            .iter()
            .filter_map(|id| self.remove_by(id, by, None, true, now));
        ended.collect::<Vec<_>>().concat()
    }

    /// Ends the stay of a participant who was removed from a room that keeps others out, and has come
    /// back before that was durable.
    fn remove_dismissed(
        &mut self,
        id: &ParticipantId,
        by: &ParticipantId,
        now: Now,
    ) -> Vec<Effect> {
        let is_host = |index: usize| self.members[index].holds_key;
        let settings = self.authority.settings();
        let is_open = !settings.lobby && !settings.password && settings.access != Access::Closed;
        let may_stay = self.authority.admits(id) && (is_open || self.authority.was_let_in(id));
        if may_stay || self.index_of(id).is_some_and(is_host) {
            return Vec::new();
        }
        self.remove_by(id, by, None, false, now).unwrap_or_default()
    }

    /// The list of bans for a host.
    fn bans_answer(&self, connection: ConnectionId, now: Now) -> Effect {
        let bans: Vec<Ban> = self
            .authority
            .bans(now.unix_ms)
            .map(StoredBan::shown)
            .collect();
        let message = ServerMessage::Bans { bans };
        Effect::Send {
            connection,
            message,
        }
    }

    /// Hands a change of the authority to the store, after the host key if the store does not have
    /// it yet. The rate of announcements bounds these jobs; a full queue of messages does not delay
    /// them.
    pub(super) fn record(&mut self, by: Moderator, event: AuthorityEvent, now: Now) -> Vec<Effect> {
        let key = self.store_claim(now);
        let record = self.store(Some(by), event, now);
        key.into_iter().chain([record]).collect()
    }

    /// Hands the host key and the first settings to the store, if the store does not have them yet.
    pub(super) fn store_claim(&mut self, now: Now) -> Option<Effect> {
        let (host_key, opening) = self.unstored_claim.clone()?;
        let event = AuthorityEvent::Claim { host_key, opening };
        Some(self.store(None, event, now))
    }

    /// Hands an event to the store.
    pub(super) fn store(
        &mut self,
        by: Option<Moderator>,
        event: AuthorityEvent,
        now: Now,
    ) -> Effect {
        self.pending += 1;
        let at = now.unix_ms;
        let record = NewRecord { event, at };
        Effect::Record { by, record }
    }

    /// Applies a durable change of the authority, sends it to everybody, and answers who waits for
    /// it.
    pub(super) fn on_recorded(
        &mut self,
        by: Option<Moderator>,
        record: NewRecord,
        result: Result<Recorded, RoomError>,
        now: Now,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        let stored = match result {
            Ok(Recorded::Applied(seq)) => Ok(seq),
            Ok(Recorded::Unchanged) => Ok(None),
            Ok(Recorded::Refused(code)) => Err(code),
            Err(error) => Err(error.code()),
        };
        let let_in = match &record.event {
            AuthorityEvent::Admit(ids) => ids.clone(),
            AuthorityEvent::UseInvite { id, .. } | AuthorityEvent::Visit { id, .. } => {
                vec![id.clone()]
            }
            AuthorityEvent::Claim { .. }
            | AuthorityEvent::Settings { .. }
            | AuthorityEvent::Password { .. }
            | AuthorityEvent::Role { .. }
            | AuthorityEvent::Ban(_)
            | AuthorityEvent::LiftBan(_)
            | AuthorityEvent::Dismiss(_)
            | AuthorityEvent::Invite(_)
            | AuthorityEvent::RevokeInvite(_) => Vec::new(),
        };
        let name = if let AuthorityEvent::UseInvite { invite, .. } = &record.event {
            let invite = self.authority.invite(invite);
            invite.and_then(|invite| invite.name.clone())
        } else {
            None
        };
        let entered = stored.map(|_| name);
        let is_by_host = by.is_some();
        let mut effects = self.apply_recorded(by, record, stored, now);
        let let_in = let_in.into_iter();
        effects.extend(let_in.map(|id| self.answer_visit(id, entered.clone(), now)));
        if is_by_host {
            // The change may concern people in the lobby.
            effects.extend(self.review_lobby(now));
        }
        effects
    }

    /// Applies a durable change of the authority and sends it to everybody.
    fn apply_recorded(
        &mut self,
        by: Option<Moderator>,
        NewRecord { event, at }: NewRecord,
        stored: Result<Option<Seq>, ErrorCode>,
        now: Now,
    ) -> Vec<Effect> {
        let seq = match (stored, &by, &event) {
            (Ok(seq), _, _) => seq,
            (Err(code), _, AuthorityEvent::UseInvite { invite, id, .. }) => {
                return self.on_invite_used(invite, id, Some(code), now);
            }
            (Err(code), Some(by), _) => return refuse(by.connection, code),
            // The host key is stored with the next message or the next change.
            (Err(_), None, _) => return Vec::new(),
        };
        // The store has applied it to the same state.
        let _ = self.authority.apply(&event, at);
        let is_news = seq.is_some();
        let seq = seq.unwrap_or(self.history.seq());
        self.history.advance(seq);
        if let AuthorityEvent::Claim { host_key, .. } = &event {
            self.unstored_claim
                .take_if(|(unstored, _)| unstored.is(host_key));
        }
        if let AuthorityEvent::UseInvite { invite, id, forget } = &event {
            let mut effects = self.end_forgotten(forget.as_ref(), now);
            effects.extend(self.on_invite_used(invite, id, None, now));
            return effects;
        }
        if let AuthorityEvent::Visit { forget, .. } = &event {
            return self.end_forgotten(forget.as_ref(), now);
        }
        let Some(by) = by else {
            return Vec::new();
        };
        if let AuthorityEvent::Admit(ids) = &event {
            return self.on_admitted(&by, ids, now);
        }
        let Moderator { connection, id: by } = by;
        let (message, to_everybody) = match event {
            AuthorityEvent::Claim { .. }
            | AuthorityEvent::UseInvite { .. }
            | AuthorityEvent::Visit { .. }
            | AuthorityEvent::Admit(_) => return Vec::new(),
            AuthorityEvent::Invite(StoredInvite { id, .. }) => {
                return self.invites_for(connection, Some(id), now);
            }
            AuthorityEvent::RevokeInvite(_) => return self.invites_for(connection, None, now),
            AuthorityEvent::Dismiss(id) => return self.remove_dismissed(&id, &by, now),
            AuthorityEvent::Settings { .. } | AuthorityEvent::Password { .. } => {
                let room = self.authority.settings();
                let by = Some(by.clone());
                let message = ServerMessage::RoomChanged { seq, room, by };
                (message, is_news)
            }
            AuthorityEvent::Role { id, .. } => {
                let (role, by) = (self.role_of(&id), Some(by.clone()));
                let seq = Some(seq);
                (ServerMessage::RoleChanged { seq, id, role, by }, is_news)
            }
            AuthorityEvent::Ban(ban) => {
                let mut effects = self.remove_banned(&ban, &by, now);
                effects.push(self.bans_answer(connection, now));
                return effects;
            }
            AuthorityEvent::LiftBan(_) => return vec![self.bans_answer(connection, now)],
        };
        if !to_everybody {
            return vec![Effect::Send {
                connection,
                message,
            }];
        }
        // A locked room leaves the list of open rooms.
        let mut effects = vec![broadcast(message), Effect::SummaryChanged];
        effects.extend(self.update_host_presence(now));
        effects.extend(self.enforce_mutes(Some(&by), now));
        effects.extend(self.update_window(now));
        effects.extend(self.tell_host_presence(now));
        effects
    }

    /// Ends the stay of a guest who was forgotten, and came back before that was durable. The client
    /// uses the invite again, and has its role again.
    fn end_forgotten(&mut self, forgotten: Option<&ParticipantId>, now: Now) -> Vec<Effect> {
        let is_known =
            |id: &ParticipantId| self.authority.is_guest(id) || self.authority.was_let_in(id);
        let here = forgotten.filter(|id| !is_known(id));
        let Some(index) = here.and_then(|id| self.index_of(id)) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = self.members[index].connection_state {
            let code = CloseCode::Restarting;
            effects.push(Effect::Close { connection, code });
        }
        effects.extend(self.remove_member(index, false, now));
        effects
    }

    /// Makes an invite for a role below that of the member who asks.
    fn create_invite(
        &mut self,
        by: Moderator,
        index: usize,
        id: InviteId,
        draft: InviteDraft<Nickname>,
        now: Now,
    ) -> Vec<Effect> {
        if draft.role >= self.role(index).max(Role::Speaker) || draft.role > self.role(index) {
            return refuse(by.connection, ErrorCode::NotAllowed);
        }
        if !self.role(index).moderates() {
            let invites = || self.authority.invites(now.unix_ms);
            let own = invites().filter(|invite| invite.by == by.id).count();
            if own >= MAX_INVITES_OF_PARTICIPANT
                || invites().count() >= MAX_INVITES - INVITES_OF_HOSTS
            {
                return refuse(by.connection, ErrorCode::TooManyEntries);
            }
        }
        let lasts_ms = draft.lasts_s.map(|seconds| i64::from(seconds) * 1000);
        let invite = StoredInvite {
            id,
            by: by.id.clone(),
            role: draft.role,
            name: draft.name,
            expires: lasts_ms.map(|lasts| now.unix_ms.saturating_add(lasts)),
            uses: draft.uses,
            used: 0,
        };
        self.record(by, AuthorityEvent::Invite(invite), now)
    }

    /// The list of invites for the member at this socket, if they are still here.
    fn invites_for(
        &self,
        connection: ConnectionId,
        created: Option<InviteId>,
        now: Now,
    ) -> Vec<Effect> {
        let index = self.members.iter().position(|m| m.is_at(connection));
        let answer = index.map(|index| self.invites_answer(index, connection, created, now));
        answer.into_iter().collect()
    }

    /// The list of invites for a member: all of them, or their own if the member does not moderate.
    fn invites_answer(
        &self,
        index: usize,
        connection: ConnectionId,
        created: Option<InviteId>,
        now: Now,
    ) -> Effect {
        let (me, moderates) = (&self.members[index].person.id, self.role(index).moderates());
        let invites = self.authority.invites(now.unix_ms);
        let invites = invites.filter(|invite| moderates || invite.by == *me);
        let invites = invites.map(|invite| Invite {
            id: invite.id.clone(),
            token: self.rules.invite_key.token(&self.name, &invite.id),
            role: invite.role,
            name: invite.name.clone(),
            expires: invite.expires,
            uses: invite.uses,
            used: invite.used,
        });
        Effect::Send {
            connection,
            message: ServerMessage::Invites {
                invites: invites.collect(),
                created,
            },
        }
    }

    /// Notes whether a host is here, and sends everybody what changes.
    pub(super) fn update_host_presence(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = self.change_host_presence(now);
        let news = match &self.host_presence {
            HostPresence::NotNeeded => HostNews::default(),
            HostPresence::Absent(since) => {
                let acting = self.first_co_host();
                let from = acting.as_ref().map(|_| *since + HOST_ABSENT);
                HostNews {
                    is_absent: true,
                    acting,
                    from,
                }
            }
            HostPresence::Acting(id) => HostNews {
                is_absent: true,
                acting: Some(id.clone()),
                from: None,
            },
        };
        if self.host_news != news {
            self.host_news = news;
            effects.push(broadcast(self.host_news.message(now)));
        }
        effects
    }

    /// Sends a member that no host is here, if none is.
    pub(super) fn show_hosts(&self, index: usize, now: Now) -> Option<Effect> {
        let ConnectionState::Connected(connection) = self.members[index].connection_state else {
            return None;
        };
        self.host_news.is_absent.then(|| Effect::Send {
            connection,
            message: self.host_news.message(now),
        })
    }

    /// Notes whether a host is here. A co-host, the longest here first, acts as host when none was
    /// here for [`HOST_ABSENT`], until one returns.
    fn change_host_presence(&mut self, now: Now) -> Vec<Effect> {
        let has_host = self.members.iter().any(|member| member.holds_key);
        let next = match &self.host_presence {
            _ if has_host || !self.authority.is_hosted() => HostPresence::NotNeeded,
            HostPresence::NotNeeded => HostPresence::Absent(now.instant),
            HostPresence::Absent(since) => match self.first_co_host() {
                Some(id) if *since + HOST_ABSENT <= now.instant => HostPresence::Acting(id),
                Some(_) | None => HostPresence::Absent(*since),
            },
            HostPresence::Acting(id) => match self.index_of(id) {
                Some(_) if self.authority.role_of(id) == Role::CoHost => return Vec::new(),
                Some(_) | None => self
                    .first_co_host()
                    .map_or(HostPresence::Absent(now.instant), HostPresence::Acting),
            },
        };
        let before = std::mem::replace(&mut self.host_presence, next);
        if before == self.host_presence {
            return Vec::new();
        }
        let acted = [before, self.host_presence.clone()];
        let changed = acted.into_iter().filter_map(|presence| match presence {
            HostPresence::Acting(id) => self.index_of(&id),
            HostPresence::NotNeeded | HostPresence::Absent(_) => None,
        });
        changed.map(|index| self.role_changed(index)).collect()
    }

    /// The co-host who has been here longest.
    fn first_co_host(&self) -> Option<ParticipantId> {
        let mut people = self.members.iter().map(|member| &member.person);
        let found = people.find(|person| self.authority.role_of(&person.id) == Role::CoHost);
        found.map(|person| person.id.clone())
    }

    /// Tells everybody the role of a member that lasts only while the member is here.
    pub(super) fn role_changed(&self, index: usize) -> Effect {
        broadcast(ServerMessage::RoleChanged {
            seq: None,
            id: self.members[index].person.id.clone(),
            role: self.role(index),
            by: None,
        })
    }

    /// When a co-host acts as host, if nobody with the key returns before.
    pub(super) fn acting_host_at(&self) -> Option<Instant> {
        let HostPresence::Absent(since) = self.host_presence else {
            return None;
        };
        self.first_co_host().map(|_| since + HOST_ABSENT)
    }
}

/// The action that a request needs, and the other participant whom it concerns.
fn required(request: &RoomRequest) -> (Action, Option<&ParticipantId>) {
    match request {
        RoomRequest::Chat(request) => (required_by_chat(request), None),
        RoomRequest::Rename(_) => (Action::ChangeNickname, None),
        RoomRequest::Call(request) => (required_by_call(request), None),
        RoomRequest::Direct(request) => (required_by_direct(request), None),
        RoomRequest::Moderate(request) => required_by_moderation(request),
    }
}

/// Whether a request sends files.
fn shares_files(request: &RoomRequest) -> bool {
    match request {
        RoomRequest::Chat(ChatRequest::Send(draft)) => !draft.files.is_empty(),
        RoomRequest::Chat(ChatRequest::Change { .. } | ChatRequest::Typing)
        | RoomRequest::Rename(_)
        | RoomRequest::Call(_)
        | RoomRequest::Direct(_)
        | RoomRequest::Moderate(_) => false,
    }
}

/// The action that a request about the chat needs. A message with files needs
/// [`Action::ShareFiles`], too.
fn required_by_chat(request: &ChatRequest) -> Action {
    match request {
        ChatRequest::Send(_) => Action::SendMessage,
        ChatRequest::Change { edit, .. } => match edit {
            Edit::Text(_) => Action::EditMessage,
            // The store checks the author; see `Room::may_delete_others`.
            Edit::Delete => Action::DeleteMessage,
            Edit::React { on: true, .. } => Action::React,
            Edit::React { on: false, .. } => Action::RemoveReaction,
            Edit::Pin(_) => Action::Pin,
        },
        ChatRequest::Typing => Action::Type,
    }
}

/// The action that a request about the call needs. Devices are checked by
/// [`Room::allow_devices`].
fn required_by_call(request: &CallRequest) -> Action {
    match request {
        CallRequest::Enter { .. }
        | CallRequest::Leave
        | CallRequest::SetDevices { .. }
        | CallRequest::Signal { .. }
        | CallRequest::Offer(_)
        | CallRequest::CloseMedia { .. }
        | CallRequest::Subscribe(_) => Action::JoinCall,
    }
}

/// The action that a request about a direct connection needs. Who opens the connection sends files;
/// everybody may answer.
fn required_by_direct(request: &DirectRequest) -> Action {
    match request {
        DirectRequest::Signal {
            signal: Signal::Offer { .. },
            ..
        } => Action::ShareFiles,
        DirectRequest::Signal {
            signal: Signal::Answer { .. } | Signal::Candidate { .. },
            ..
        }
        | DirectRequest::IceServers => Action::ReceiveFiles,
    }
}

/// The action that a host's request needs, and the other participant whom it concerns.
fn required_by_moderation(request: &ModerationRequest) -> (Action, Option<&ParticipantId>) {
    match request {
        ModerationRequest::Mute { who, source } => {
            let action = match source {
                Source::Microphone => Action::Mute,
                Source::Camera => Action::StopCamera,
                Source::Screen | Source::ScreenAudio => Action::StopScreen,
            };
            (action, who.as_ref())
        }
        ModerationRequest::AskToUnmute(who) => (Action::AskToUnmute, Some(who)),
        ModerationRequest::Rename { who, .. } => (Action::RenameOther, Some(who)),
        ModerationRequest::SetRole { who, .. } => (Action::ChangeRole, Some(who)),
        ModerationRequest::Remove { who, .. } => (Action::Remove, Some(who)),
        ModerationRequest::Ban { who, .. } => (Action::Ban, Some(who)),
        ModerationRequest::LiftBan(who) => (Action::LiftBan, Some(who)),
        ModerationRequest::ListBans => (Action::LiftBan, None),
        ModerationRequest::ClearMessages => (Action::ClearMessages, None),
        ModerationRequest::Announce(_) => (Action::Announce, None),
        ModerationRequest::SetRoom(_) | ModerationRequest::SetPassword(_) => {
            (Action::ChangeSettings, None)
        }
        ModerationRequest::Admit(_) | ModerationRequest::Deny { .. } => (Action::Admit, None),
        ModerationRequest::CreateInvite { .. } | ModerationRequest::ListInvites => {
            (Action::Invite, None)
        }
        // See `Room::authorize` for an invite of another participant.
        ModerationRequest::RevokeInvite(_) => (Action::RevokeInvite, None),
        ModerationRequest::EndMeeting => (Action::EndMeeting, None),
    }
}
