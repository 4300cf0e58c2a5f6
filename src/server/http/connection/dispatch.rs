//! Dispatches client messages to the room, the store or the SFU, and sends refusals.

use super::lifecycle::{Connection, Disconnect};
use crate::{
    protocol::{
        ChatDraft, ChatText, ClientMessage, CloseCode, Decoded, Emoji, ErrorCode, HISTORY_PAGE,
        InviteDraft, JoinRequest, MAX_ANNOUNCEMENT_CHARS, MAX_HISTORY_PAGE, MAX_INVITE_LASTS_S,
        MAX_INVITE_USES, MAX_MESSAGE_FILES, MAX_REASON_CHARS, MediaOffer, MessageId, NameError,
        Nickname, Obstacle, RoomName, RoomPassword, RoomSettings, Seq, ServerMessage, decode,
    },
    server::{
        entry::{CheckedEntry, Shown, parse_text},
        error::refusal,
        identity::new_session_token,
        invites::new_invite_id,
        limits::MAX_PROTOCOL_ERRORS,
        log_throttle::{self, LogThrottle},
        net::{RequestKind, stored_bytes},
        rooms::{
            CallRequest, ChatRequest, Departure, DirectRequest, Entry, Frames, Membership,
            ModerationRequest, RoomRequest, Summaries, trim_to_frame,
        },
        sfu::Offer,
        store::Edit,
    },
};
use tokio::time::sleep;

impl Connection {
    /// Decodes a text frame, then dispatches or refuses its message.
    pub(super) async fn on_text(&mut self, text: &str) -> Result<(), Disconnect> {
        while let Some(pause) = self.rates.delay_before(text.len()) {
            sleep(pause).await;
        }
        match decode(text) {
            Decoded::Message(message) => {
                if let Err((code, id)) = self.dispatch(message).await {
                    self.refuse(code, id);
                }
                Ok(())
            }
            Decoded::Refused(code, id) => {
                self.refuse(code, id);
                self.protocol_errors += 1;
                match self.protocol_errors >= MAX_PROTOCOL_ERRORS {
                    true => Err(Disconnect::ByServer(
                        CloseCode::ProtocolBroken,
                        Departure::Lost,
                    )),
                    false => Ok(()),
                }
            }
        }
    }

    /// Sends a refusal. If the outbox has no space for it, closes the connection: with 4429 after
    /// too many messages, otherwise as too slow.
    fn refuse(&self, code: ErrorCode, id: Option<MessageId>) {
        self.context.rooms.metrics().refused(code, id.is_some());
        if self
            .outbox
            .put_answer(Frames::of(&refusal(code, id)))
            .is_ok()
        {
            return;
        }
        if code == ErrorCode::TooManyMessages {
            self.outbox.close(CloseCode::TooManyMessages);
        } else {
            self.outbox.close_slow();
        }
    }

    /// Handles a message.
    ///
    /// # Errors
    /// The code of the refusal, with the id of the chat message that was refused.
    async fn dispatch(
        &mut self,
        message: ClientMessage,
    ) -> Result<(), (ErrorCode, Option<MessageId>)> {
        let id = match &message {
            ClientMessage::Chat(ChatDraft { id, .. })
            | ClientMessage::Edit { id, .. }
            | ClientMessage::Delete { id }
            | ClientMessage::React { id, .. }
            | ClientMessage::Pin { id, .. } => Some(*id),
            ClientMessage::WatchRooms
            | ClientMessage::Join(_)
            | ClientMessage::History { .. }
            | ClientMessage::Typing
            | ClientMessage::Nickname { .. }
            | ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::IceServers
            | ClientMessage::Offer(_)
            | ClientMessage::CloseMedia { .. }
            | ClientMessage::Subscribe { .. }
            | ClientMessage::MediaBlocked { .. }
            | ClientMessage::Mute { .. }
            | ClientMessage::AskToUnmute { .. }
            | ClientMessage::Rename { .. }
            | ClientMessage::SetRole { .. }
            | ClientMessage::Remove { .. }
            | ClientMessage::Ban { .. }
            | ClientMessage::LiftBan { .. }
            | ClientMessage::Bans
            | ClientMessage::ClearMessages
            | ClientMessage::Announce { .. }
            | ClientMessage::SetRoom { .. }
            | ClientMessage::SetPassword { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::CreateInvite(_)
            | ClientMessage::Invites
            | ClientMessage::RevokeInvite { .. }
            | ClientMessage::EndMeeting
            | ClientMessage::Ping => None,
        };
        if !self.rates.allow(&message) {
            return Err((ErrorCode::TooManyMessages, id));
        }
        let result = match message {
            ClientMessage::Ping => {
                // A full outbox drops the pong. The connection stays open.
                let _ = self.outbox.put_answer(Frames::of(&ServerMessage::Pong));
                Ok(())
            }
            ClientMessage::WatchRooms => self.watch(),
            ClientMessage::Join(request) => self.join(request).await,
            ClientMessage::History { before, limit } => self.history(before, limit).await,
            ClientMessage::Offer(offer) => self.offer(offer).await,
            ClientMessage::MediaBlocked { obstacle } => self.media_blocked(obstacle).await,
            ClientMessage::Chat { .. }
            | ClientMessage::Edit { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::React { .. }
            | ClientMessage::Pin { .. }
            | ClientMessage::Typing
            | ClientMessage::Nickname { .. }
            | ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::IceServers
            | ClientMessage::CloseMedia { .. }
            | ClientMessage::Subscribe { .. }
            | ClientMessage::Mute { .. }
            | ClientMessage::AskToUnmute { .. }
            | ClientMessage::Rename { .. }
            | ClientMessage::SetRole { .. }
            | ClientMessage::Remove { .. }
            | ClientMessage::Ban { .. }
            | ClientMessage::LiftBan { .. }
            | ClientMessage::Bans
            | ClientMessage::ClearMessages
            | ClientMessage::Announce { .. }
            | ClientMessage::SetRoom { .. }
            | ClientMessage::SetPassword { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::CreateInvite(_)
            | ClientMessage::Invites
            | ClientMessage::RevokeInvite { .. }
            | ClientMessage::EndMeeting => self.request(message).await,
        };
        result.map_err(|code| (code, id))
    }

    /// Charges the rate of the client's address. Called after all other checks of the connection,
    /// so that only the room or the store can refuse a charged message.
    ///
    /// # Errors
    /// The address exceeds its rate.
    fn charge(&self, kind: RequestKind, amount: u32) -> Result<(), ErrorCode> {
        self.context.charge(kind, self.client.0, amount)
    }

    /// Starts to watch the open rooms.
    fn watch(&mut self) -> Result<(), ErrorCode> {
        if self.membership.is_some() {
            return Err(ErrorCode::AlreadyJoined);
        }
        let mut rooms = self.context.rooms.watch();
        let list = rooms.borrow_and_update().clone();
        self.watching = Some(rooms);
        self.sent_rooms = Some(list.number);
        // The list counts as a response, so a client that repeats the request must read the lists.
        let answer = list.frame_after(None).clone();
        if self.outbox.put_answer(answer).is_err() {
            self.outbox.close_slow();
        }
        Ok(())
    }

    /// Sends the changes of the list of open rooms, or the whole list.
    pub(super) fn send_rooms(&mut self, list: &Summaries) {
        let last_sent = self.sent_rooms.replace(list.number);
        if self
            .outbox
            .put(list.frame_after(last_sent).clone())
            .is_err()
        {
            self.outbox.close_slow();
        }
    }

    /// Joins a room. A connection can join once.
    async fn join(&mut self, request: JoinRequest) -> Result<(), ErrorCode> {
        if self.membership.is_some() {
            return Err(ErrorCode::AlreadyJoined);
        }
        let name = RoomName::parse(&request.room).map_err(|_| ErrorCode::BadRoomName)?;
        let nickname = Nickname::parse(&request.nickname).map_err(|_| ErrorCode::BadNickname)?;
        let opening = request.opening.unwrap_or_default();
        if opening.apply(&mut RoomSettings::default()).is_none() {
            return Err(ErrorCode::BadSetting);
        }
        let (session, seen) = match request.resume {
            Some(resume) => (resume.session, Some((resume.epoch, resume.seq))),
            None => (new_session_token(), None),
        };
        let shown = Shown {
            invite: request.invite,
            password: request.password,
            line: request.line,
        };
        let checked = self.context.check_entry(&name, self.client.0, shown);
        let CheckedEntry {
            room,
            invite,
            password,
            line,
            network,
        } = checked.await?;
        let entry = Entry {
            seen,
            host_key: request.host_key,
            invite,
            password,
            line,
            opening,
            network,
        };
        let membership = room.join(&session, &nickname, entry, &self.outbox).await?;
        self.membership = Some((name, membership));
        self.watching = None;
        Ok(())
    }

    /// The room of this connection and its place there, if the person has entered. For requests that
    /// do something before the room sees them.
    async fn entered(&self) -> Result<&(RoomName, Membership), ErrorCode> {
        let joined = self.membership.as_ref().ok_or(ErrorCode::NotJoined)?;
        match joined.1.has_entered().await {
            true => Ok(joined),
            false => Err(ErrorCode::NotJoined),
        }
    }

    /// Sends a page of history from the store, without the room.
    async fn history(&self, before: Seq, limit: Option<u32>) -> Result<(), ErrorCode> {
        let (name, _) = self.entered().await?;
        self.charge(RequestKind::History, 1)?;
        let limit = limit.unwrap_or(HISTORY_PAGE).clamp(1, MAX_HISTORY_PAGE);
        let page = self.context.store.page(name, Some(before), limit).await;
        let page = page.map_err(|error| {
            static FAILED: LogThrottle = LogThrottle::new();
            log_throttle::error(&FAILED, &error, "a page of history could not be read");
            ErrorCode::Unavailable
        })?;
        let (messages, more) = trim_to_frame(page);
        self.outbox.send(&ServerMessage::History { messages, more });
        Ok(())
    }

    /// Parses an offer to the SFU on another thread and passes it to the room.
    async fn offer(&self, offer: MediaOffer) -> Result<(), ErrorCode> {
        let (_, membership) = self.entered().await?;
        self.charge(RequestKind::Offer, 1)?;
        membership
            .request(RoomRequest::Call(CallRequest::Offer(
                Offer::parse(offer).await,
            )))
            .await;
        Ok(())
    }

    /// Counts a report of blocked media, at most one per obstacle and connection.
    async fn media_blocked(&mut self, obstacle: Obstacle) -> Result<(), ErrorCode> {
        self.entered().await?;
        let is_reported = &mut self.reported_obstacles[obstacle as usize];
        if !std::mem::replace(is_reported, true) {
            self.context.blocked_media.report(obstacle);
        }
        Ok(())
    }

    /// Hashes the new password of a room.
    async fn set_password(
        &self,
        room: &RoomName,
        password: Option<RoomPassword>,
    ) -> Result<RoomRequest, ErrorCode> {
        let Some(password) = password else {
            return Ok(RoomRequest::Moderate(ModerationRequest::SetPassword(None)));
        };
        if !password.is_long_enough() {
            return Err(ErrorCode::BadText);
        }
        let passwords = &self.context.room_passwords;
        let hash = passwords.hash(room, self.client.0, &password).await?;
        Ok(RoomRequest::Moderate(ModerationRequest::SetPassword(Some(
            hash,
        ))))
    }

    /// Passes a request to the room.
    async fn request(&self, message: ClientMessage) -> Result<(), ErrorCode> {
        let (name, membership) = self.membership.as_ref().ok_or(ErrorCode::NotJoined)?;
        let request = match message {
            ClientMessage::SetPassword { password } => {
                self.entered().await?;
                self.set_password(name, password).await?
            }
            message => request(message)?,
        };
        if let Some(text) = stored_text(&request) {
            self.charge(RequestKind::ChatBytes, stored_bytes(text))?;
            if !frees_space(&request) {
                self.charge(RequestKind::DayBytes, stored_bytes(text))?;
            }
        }
        if is_recorded(&request) {
            self.charge(RequestKind::ChatBytes, RECORD_BYTES)?;
        }
        membership.request(request).await;
        Ok(())
    }
}

/// Bytes that a change of a room's authority counts. 4 KiB: the store writes all of it again, which
/// has some hundred bytes in most rooms.
const RECORD_BYTES: u32 = 4096;

/// Whether a request changes what the store keeps about a room itself.
fn is_recorded(request: &RoomRequest) -> bool {
    match request {
        RoomRequest::Moderate(request) => match request {
            ModerationRequest::SetRole { .. }
            | ModerationRequest::Remove { .. }
            | ModerationRequest::Ban { .. }
            | ModerationRequest::LiftBan(_)
            | ModerationRequest::SetRoom(_)
            | ModerationRequest::SetPassword(_)
            | ModerationRequest::Admit(_)
            | ModerationRequest::CreateInvite { .. }
            | ModerationRequest::RevokeInvite(_) => true,
            ModerationRequest::Mute { .. }
            | ModerationRequest::AskToUnmute(_)
            | ModerationRequest::Rename { .. }
            | ModerationRequest::ListBans
            | ModerationRequest::Deny { .. }
            | ModerationRequest::ListInvites
            | ModerationRequest::ClearMessages
            | ModerationRequest::Announce(_)
            | ModerationRequest::EndMeeting => false,
        },
        RoomRequest::Chat(_)
        | RoomRequest::Rename(_)
        | RoomRequest::Call(_)
        | RoomRequest::Direct(_) => false,
    }
}

/// The bytes of text that a request stores; `None` for a request that stores nothing.
fn stored_text(request: &RoomRequest) -> Option<usize> {
    match request {
        RoomRequest::Chat(ChatRequest::Send(draft)) => Some(draft.text.as_str().len()),
        RoomRequest::Chat(ChatRequest::Change { edit, .. }) => Some(match edit {
            Edit::Text(text) => text.as_str().len(),
            Edit::Delete | Edit::Pin(_) => 0,
            Edit::React { emoji, .. } => emoji.as_str().len(),
        }),
        RoomRequest::Chat(ChatRequest::Typing)
        | RoomRequest::Rename(_)
        | RoomRequest::Call(_)
        | RoomRequest::Direct(_)
        | RoomRequest::Moderate(_) => None,
    }
}

/// Whether a request takes something away. It is allowed to everybody at any time.
fn frees_space(request: &RoomRequest) -> bool {
    let RoomRequest::Chat(ChatRequest::Change { edit, .. }) = request else {
        return false;
    };
    match edit {
        Edit::Delete | Edit::React { on: false, .. } | Edit::Pin(false) => true,
        Edit::Text(_) | Edit::React { on: true, .. } | Edit::Pin(true) => false,
    }
}

/// Converts a message to a request to the room, and parses its texts.
fn request(message: ClientMessage) -> Result<RoomRequest, ErrorCode> {
    let change = |id, edit| RoomRequest::Chat(ChatRequest::Change { id, edit });
    Ok(match message {
        ClientMessage::Chat(draft) => {
            if draft.files.len() > MAX_MESSAGE_FILES {
                return Err(ErrorCode::TooManyFiles);
            }
            let draft = draft.parse().map_err(chat_error)?;
            RoomRequest::Chat(ChatRequest::Send(draft))
        }
        ClientMessage::Edit { id, text } => {
            let text = ChatText::parse(&text).map_err(chat_error)?;
            change(id, Edit::Text(text))
        }
        ClientMessage::Delete { id } => change(id, Edit::Delete),
        ClientMessage::React { id, emoji, on } => {
            let emoji = Emoji::parse(&emoji).map_err(|_| ErrorCode::BadEmoji)?;
            change(id, Edit::React { emoji, on })
        }
        ClientMessage::Pin { id, on } => change(id, Edit::Pin(on)),
        ClientMessage::Typing => RoomRequest::Chat(ChatRequest::Typing),
        ClientMessage::Nickname { nickname } => {
            RoomRequest::Rename(Nickname::parse(&nickname).map_err(|_| ErrorCode::BadNickname)?)
        }
        ClientMessage::EnterCall {
            leg,
            devices,
            hide_address,
        } => RoomRequest::Call(CallRequest::Enter {
            leg,
            devices,
            hide_address,
        }),
        ClientMessage::LeaveCall => RoomRequest::Call(CallRequest::Leave),
        ClientMessage::Devices { devices, unmute } => {
            RoomRequest::Call(CallRequest::SetDevices { devices, unmute })
        }
        ClientMessage::Signal {
            to,
            leg: Some(leg),
            signal,
        } => RoomRequest::Call(CallRequest::Signal { to, leg, signal }),
        ClientMessage::Signal {
            to,
            leg: None,
            signal,
        } => RoomRequest::Direct(DirectRequest::Signal { to, signal }),
        ClientMessage::IceServers => RoomRequest::Direct(DirectRequest::IceServers),
        ClientMessage::CloseMedia { connection } => {
            RoomRequest::Call(CallRequest::CloseMedia { connection })
        }
        ClientMessage::Subscribe { tiles } => RoomRequest::Call(CallRequest::Subscribe(tiles)),
        ClientMessage::Mute { who, source } => {
            RoomRequest::Moderate(ModerationRequest::Mute { who, source })
        }
        ClientMessage::AskToUnmute { who } => {
            RoomRequest::Moderate(ModerationRequest::AskToUnmute(who))
        }
        ClientMessage::Rename { who, nickname } => {
            let nickname = Nickname::parse(&nickname).map_err(|_| ErrorCode::BadNickname)?;
            RoomRequest::Moderate(ModerationRequest::Rename { who, nickname })
        }
        ClientMessage::SetRole { who, role } => {
            RoomRequest::Moderate(ModerationRequest::SetRole { who, role })
        }
        ClientMessage::Remove { who, reason } => {
            let reason = parse_reason(reason)?;
            RoomRequest::Moderate(ModerationRequest::Remove { who, reason })
        }
        ClientMessage::Ban {
            who,
            reason,
            address,
        } => {
            let reason = parse_reason(reason)?;
            RoomRequest::Moderate(ModerationRequest::Ban {
                who,
                reason,
                address,
            })
        }
        ClientMessage::LiftBan { who } => RoomRequest::Moderate(ModerationRequest::LiftBan(who)),
        ClientMessage::Bans => RoomRequest::Moderate(ModerationRequest::ListBans),
        ClientMessage::ClearMessages => RoomRequest::Moderate(ModerationRequest::ClearMessages),
        ClientMessage::Announce { text } => {
            let text = parse_text(&text, MAX_ANNOUNCEMENT_CHARS)?;
            RoomRequest::Moderate(ModerationRequest::Announce(text))
        }
        ClientMessage::SetRoom { change } => {
            RoomRequest::Moderate(ModerationRequest::SetRoom(change))
        }
        ClientMessage::Admit { who } => RoomRequest::Moderate(ModerationRequest::Admit(who)),
        ClientMessage::Deny { who, reason } => {
            let reason = parse_reason(reason)?;
            RoomRequest::Moderate(ModerationRequest::Deny { who, reason })
        }
        ClientMessage::CreateInvite(draft) => RoomRequest::Moderate(create_invite(draft)?),
        ClientMessage::Invites => RoomRequest::Moderate(ModerationRequest::ListInvites),
        ClientMessage::RevokeInvite { id } => {
            RoomRequest::Moderate(ModerationRequest::RevokeInvite(id))
        }
        ClientMessage::EndMeeting => RoomRequest::Moderate(ModerationRequest::EndMeeting),
        ClientMessage::WatchRooms
        | ClientMessage::Join(_)
        | ClientMessage::History { .. }
        | ClientMessage::Offer(_)
        | ClientMessage::MediaBlocked { .. }
        // Its password has to be hashed first.
        | ClientMessage::SetPassword { .. }
        | ClientMessage::Ping => return Err(ErrorCode::BadMessage),
    })
}

/// Parses a new invite, and draws its id.
fn create_invite(draft: InviteDraft) -> Result<ModerationRequest, ErrorCode> {
    let InviteDraft {
        role,
        name,
        lasts_s,
        uses,
    } = draft;
    let in_range = |value: Option<u32>, max| value.is_none_or(|n| (1..=max).contains(&n));
    if !in_range(lasts_s, MAX_INVITE_LASTS_S) || !in_range(uses, MAX_INVITE_USES) {
        return Err(ErrorCode::BadSetting);
    }
    let name = name.filter(|name| !name.trim().is_empty());
    let name = name.map(|name| Nickname::parse(&name).map_err(|_| ErrorCode::BadNickname));
    let draft = InviteDraft {
        role,
        name: name.transpose()?,
        lasts_s,
        uses,
    };
    let id = new_invite_id();
    Ok(ModerationRequest::CreateInvite { id, draft })
}

/// Parses the reason of a host; an empty one is none.
fn parse_reason(reason: Option<String>) -> Result<Option<ChatText>, ErrorCode> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let parsed = reason.map(|reason| parse_text(&reason, MAX_REASON_CHARS));
    parsed.transpose()
}

/// The error code of a text that is not a valid chat message.
fn chat_error(error: NameError) -> ErrorCode {
    match error {
        NameError::Empty => ErrorCode::MessageEmpty,
        NameError::TooLong => ErrorCode::MessageTooLong,
        NameError::NotAllowed => ErrorCode::MessageNotAllowed,
    }
}
