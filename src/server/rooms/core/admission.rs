//! Admission: who enters, who waits, and who is refused. [`Room::admission`] is the only place that
//! decides.

use super::{
    command::{Effect, Join, Now, ShownPassword, Visitor},
    lobby::{Socket, VisitStatus, end},
    presence::HOST_RESERVE,
    room::{Room, broadcast},
};
use crate::{
    protocol::{
        Access, CloseCode, ErrorCode, InviteId, Nickname, ParticipantId, RoomSettings,
        ServerMessage, SettingsChange,
    },
    server::{
        authority::{AuthorityEvent, HostKeyHash},
        limits::ROOM_PENDING,
    },
};

/// What happens to somebody who is not here and asks to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// They enter at once.
    Enter,
    /// They enter once the use of this invite is durable.
    UseInvite(InviteId),
    /// They wait until a host admits them.
    Wait,
    /// They may not enter.
    Refuse(ErrorCode),
}

/// Somebody who enters by an invite whose use the store has not answered yet.
#[derive(Debug)]
pub(super) struct Entering {
    /// The person who enters.
    pub visitor: Visitor,
    /// The socket, which is held back.
    pub socket: Socket,
}

impl Room {
    /// Decides about somebody who is not here. Neither a ban, a lock nor a window keeps out who holds
    /// the key.
    pub(super) fn admission(&self, visitor: &Visitor, now: Now) -> Admission {
        if self.holds_key(visitor) {
            return self.enter_if_space(visitor);
        }
        let settings = self.authority.settings();
        let was_let_in = self.authority.was_let_in(&visitor.id);
        if self.is_banned(visitor, was_let_in, now) {
            return Admission::Refuse(ErrorCode::Banned);
        }
        let moderates = self.authority.role_of(&visitor.id).moderates();
        if !moderates && !settings.is_open(now.unix_ms) {
            return Admission::Refuse(ErrorCode::NotOpen);
        }
        if moderates || self.is_away(&visitor.id) {
            return self.enter_if_space(visitor);
        }
        let invite = match self.invite_of(visitor, now) {
            // Somebody who was let in before needs no invite.
            Err(_) if was_let_in => None,
            Err(code) => return Admission::Refuse(code),
            Ok(invite) => invite,
        };
        let waits = match self.authority.admits(&visitor.id) {
            false if settings.lobby => true,
            false => return Admission::Refuse(ErrorCode::RoomLocked),
            true if was_let_in || invite.is_some() => false,
            true if settings.lobby => true,
            true if settings.access == Access::Closed => {
                return Admission::Refuse(ErrorCode::InviteRequired);
            }
            true => false,
        };
        if !was_let_in
            && invite.is_none()
            && let Some(code) = self.refusal_of_password(&visitor.password)
        {
            return Admission::Refuse(code);
        }
        match (waits, invite) {
            (true, _) => Admission::Wait,
            (false, _) if self.is_full_for(visitor) => Admission::Refuse(ErrorCode::RoomFull),
            (false, Some(_)) if self.pending >= ROOM_PENDING => {
                Admission::Refuse(ErrorCode::Unavailable)
            }
            (false, Some(invite)) => Admission::UseInvite(invite),
            (false, None) => Admission::Enter,
        }
    }

    /// Whether the person shows the host key of the room.
    pub(super) fn holds_key(&self, visitor: &Visitor) -> bool {
        let hash = visitor.host_key.as_ref().map(HostKeyHash::of);
        hash.is_some_and(|hash| self.authority.is_host_key(&hash))
    }

    /// Whether a ban keeps the person out. An invite of a banned person lets nobody new in.
    fn is_banned(&self, visitor: &Visitor, was_let_in: bool, now: Now) -> bool {
        let invite = visitor.invite.as_ref().filter(|_| !was_let_in);
        let mut bans = self.authority.bans(now.unix_ms);
        bans.any(|ban| ban.is_about(&visitor.id, visitor.network) || ban.is_about_invite(invite))
    }

    /// The invite that the person presents, if it gives them anything.
    ///
    /// # Errors
    /// Why it lets nobody in.
    fn invite_of(&self, visitor: &Visitor, now: Now) -> Result<Option<InviteId>, ErrorCode> {
        let Some(id) = &visitor.invite else {
            return Ok(None);
        };
        let invite = self.authority.invite(id).ok_or(ErrorCode::BadInvite)?;
        if !self.authority.has_use_for(id, &visitor.id) {
            return Ok(None);
        }
        invite.check(now.unix_ms)?;
        Ok(Some(id.clone()))
    }

    /// Why the password that the person shows does not let them in; nothing if it does.
    fn refusal_of_password(&self, shown: &ShownPassword) -> Option<ErrorCode> {
        let hash = self.authority.password()?;
        match shown {
            ShownPassword::Nothing => Some(ErrorCode::PasswordRequired),
            ShownPassword::Of(shown) if shown == hash => None,
            ShownPassword::Unverified => Some(ErrorCode::TooManyGuesses),
            ShownPassword::Wrong | ShownPassword::Of(_) => Some(ErrorCode::WrongPassword),
        }
    }

    /// Whether the room has no place for the person. Hosts and co-hosts have some places of their
    /// own.
    pub(super) fn is_full_for(&self, visitor: &Visitor) -> bool {
        let moderates = self.holds_key(visitor) || self.authority.role_of(&visitor.id).moderates();
        let reserve = if moderates { HOST_RESERVE } else { 0 };
        self.members.len() >= self.capacity() + reserve
    }

    /// Lets the person in, if there is a place.
    fn enter_if_space(&self, visitor: &Visitor) -> Admission {
        match self.is_full_for(visitor) {
            true => Admission::Refuse(ErrorCode::RoomFull),
            false => Admission::Enter,
        }
    }

    /// Whether the person is expected back.
    pub(super) fn is_away(&self, id: &ParticipantId) -> bool {
        self.away.iter().any(|away| away.person.id == *id)
    }

    /// Handles the request of a socket whose person is not here.
    pub(super) fn join_from_outside(&mut self, join: Join, now: Now) -> Vec<Effect> {
        let connection = join.connection;
        let mut effects = self.close_entering(&join.visitor.id);
        match self.admission(&join.visitor, now) {
            Admission::Enter => {
                effects.extend(self.leave_lobby(&join.visitor.id, now));
                let (key, stored) = self.claim(&join, now).unzip();
                let Join { visitor, seen, .. } = join;
                let socket = Socket { connection, seen };
                effects.extend(self.admit(visitor, socket, key, now));
                effects.extend(stored.into_iter().flatten());
            }
            Admission::UseInvite(invite) => {
                effects.extend(self.leave_lobby(&join.visitor.id, now));
                effects.push(Effect::Hold { connection });
                let Join { visitor, seen, .. } = join;
                let socket = Socket { connection, seen };
                effects.extend(self.enter_by_invite(visitor, socket, invite, now));
            }
            Admission::Wait => {
                let Join { visitor, seen, .. } = join;
                let socket = Socket { connection, seen };
                match self.wait(visitor, socket, now) {
                    Ok(waiting) => effects.extend(waiting),
                    Err(code) => effects.push(Effect::RefuseJoin { connection, code }),
                }
            }
            Admission::Refuse(code) => {
                effects.extend(self.leave_lobby(&join.visitor.id, now));
                if code == ErrorCode::NotOpen {
                    let message = self.window_message();
                    effects.push(Effect::Send {
                        connection,
                        message,
                    });
                }
                effects.push(Effect::RefuseJoin { connection, code });
            }
        }
        effects
    }

    /// Handles the request of somebody with a page without script. Whoever may enter is remembered
    /// as let in, so that their pages show the room; [`Effect::AnswerVisit`] follows when that is
    /// durable.
    pub fn visit(&mut self, visitor: Visitor, now: Now) -> Vec<Effect> {
        let id = visitor.id.clone();
        if self.is_here(&id) {
            return vec![self.answer_visit(id, Ok(None), now)];
        }
        let refused = |code| {
            let (id, result) = (id.clone(), Err(code));
            vec![Effect::AnswerVisit { id, result }]
        };
        let mut effects = match self.admission(&visitor, now) {
            Admission::Refuse(ErrorCode::NotOpen) => {
                let RoomSettings { opens, closes, .. } = self.authority.settings();
                let mut effects = self.leave_lobby(&id, now);
                let result = Ok(VisitStatus::NotOpen { opens, closes });
                effects.push(Effect::AnswerVisit { id, result });
                return effects;
            }
            Admission::Refuse(code) => {
                let mut effects = self.leave_lobby(&id, now);
                effects.extend(refused(code));
                return effects;
            }
            Admission::Wait => match self.wait_without_socket(visitor, now) {
                Ok(effects) => effects,
                Err(code) => return refused(code),
            },
            Admission::UseInvite(invite) => {
                let mut effects = self.leave_lobby(&id, now);
                effects.extend(self.use_invite(invite, id, now));
                return effects;
            }
            // Everybody may read such a room.
            Admission::Enter if !self.authority.is_hidden() => Vec::new(),
            Admission::Enter if self.pending >= ROOM_PENDING => {
                return refused(ErrorCode::Unavailable);
            }
            Admission::Enter => {
                let mut effects = self.leave_lobby(&id, now);
                effects.extend(self.store_claim(now));
                let forget = self.guest_to_forget(None);
                let event = AuthorityEvent::Visit { id, forget };
                effects.push(self.store(None, event, now));
                return effects;
            }
        };
        effects.push(self.answer_visit(id, Ok(None), now));
        effects
    }

    /// Opens a room that does not exist as an unlisted one, for somebody with a page without script
    /// who writes its first message next. Others see nothing of it from its beginning; the room has
    /// no host.
    pub fn open_private(&mut self, id: &ParticipantId, now: Now) -> Vec<Effect> {
        let is_new = self.is_unclaimed && self.members.is_empty() && self.history.seq() == 0;
        if !is_new || self.pending > 0 {
            return Vec::new();
        }
        let change = SettingsChange {
            access: Some(Access::Unlisted),
            ..SettingsChange::default()
        };
        let settings = AuthorityEvent::Settings {
            change,
            admitted: Vec::new(),
        };
        let visit = AuthorityEvent::Visit {
            id: id.clone(),
            forget: None,
        };
        let events = [settings, visit];
        // Hidden at once; the store makes it last.
        for event in &events {
            let _ = self.authority.apply(event, now.unix_ms);
        }
        events.map(|event| self.store(None, event, now)).to_vec()
    }

    /// Answers somebody with a page without script, whose record is durable or was refused.
    /// `entered`: the nickname that an invite gives them, or why they do not enter.
    pub(super) fn answer_visit(
        &mut self,
        id: ParticipantId,
        entered: Result<Option<Nickname>, ErrorCode>,
        now: Now,
    ) -> Effect {
        let result = entered.map(|name| match self.visit_status(&id, now) {
            VisitStatus::Inside(_) => VisitStatus::Inside(name),
            outside => outside,
        });
        Effect::AnswerVisit { id, result }
    }

    /// Records that somebody uses an invite.
    pub(super) fn use_invite(
        &mut self,
        invite: InviteId,
        id: ParticipantId,
        now: Now,
    ) -> Vec<Effect> {
        let key = self.store_claim(now);
        let forget = self.guest_to_forget(Some(&invite));
        let event = AuthorityEvent::UseInvite { invite, id, forget };
        let record = self.store(None, event, now);
        key.into_iter().chain([record]).collect()
    }

    /// Who is forgotten for one more guest, at the limit of them.
    fn guest_to_forget(&self, invite: Option<&InviteId>) -> Option<ParticipantId> {
        let is_here = |id: &ParticipantId| self.is_here(id) || self.is_away(id);
        self.authority
            .guest_to_forget(invite, self.pending, is_here)
    }

    /// Lets somebody whose socket is held back enter once the use of an invite is durable.
    fn enter_by_invite(
        &mut self,
        visitor: Visitor,
        socket: Socket,
        invite: InviteId,
        now: Now,
    ) -> Vec<Effect> {
        let id = visitor.id.clone();
        self.entering.push(Entering { visitor, socket });
        self.use_invite(invite, id, now)
    }

    /// Somebody whose socket is held back enters, if the room still admits them: it may have changed
    /// since they asked.
    pub(super) fn enter_from_outside(
        &mut self,
        visitor: Visitor,
        socket: Socket,
        now: Now,
    ) -> Vec<Effect> {
        let connection = socket.connection;
        match self.admission(&visitor, now) {
            Admission::Enter => {
                let mut effects = vec![Effect::Release { connection }];
                effects.extend(self.admit(visitor, socket, None, now));
                effects
            }
            Admission::UseInvite(invite) => self.enter_by_invite(visitor, socket, invite, now),
            Admission::Wait => match self.wait(visitor, socket, now) {
                Ok(effects) => effects,
                Err(code) => end(connection, code),
            },
            Admission::Refuse(code) => end(connection, code),
        }
    }

    /// Closes the former socket of somebody whose use of an invite is not durable yet.
    fn close_entering(&mut self, id: &ParticipantId) -> Vec<Effect> {
        let mut entering = self.entering.iter();
        let Some(former) = entering.position(|entering| entering.visitor.id == *id) else {
            return Vec::new();
        };
        let connection = self.entering.remove(former).socket.connection;
        vec![Effect::Close {
            connection,
            code: CloseCode::Replaced,
        }]
    }

    /// The use of an invite is durable, or was refused: the person enters, if they are still there.
    pub(super) fn on_invite_used(
        &mut self,
        invite: &InviteId,
        id: &ParticipantId,
        refused: Option<ErrorCode>,
        now: Now,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if refused.is_none()
            && let Some(index) = self.index_of(id)
        {
            // They have entered by another way meanwhile, and may have a higher role now.
            effects.push(self.role_changed(index));
        }
        let mut entering = self.entering.iter();
        let Some(position) = entering.position(|entering| entering.visitor.id == *id) else {
            return effects;
        };
        let Entering {
            mut visitor,
            socket,
        } = self.entering.remove(position);
        if let Some(code) = refused {
            effects.extend(end(socket.connection, code));
            return effects;
        }
        if let Some(name) = self
            .authority
            .invite(invite)
            .and_then(|known| known.name.clone())
        {
            visitor.nickname = name;
        }
        effects.extend(self.enter_from_outside(visitor, socket, now));
        effects
    }

    /// When the room is open, as a message.
    pub(super) fn window_message(&self) -> ServerMessage {
        let settings = self.authority.settings();
        ServerMessage::Window {
            opens: settings.opens,
            closes: settings.closes,
        }
    }

    /// Sends everybody here when the room closes.
    pub(super) fn announce_window(&self) -> Effect {
        broadcast(self.window_message())
    }
}
