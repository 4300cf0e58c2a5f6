//! The call of a room: who is in it, and the routing of signals between them.
//!
//! The server keeps the list of sessions and sets `from`; it never reads a description. Only a
//! member in the call can send a signal, and only the session that the signal names receives it.

use super::{
    budget::json_len,
    command::{CallRequest, ConnectionId, Effect, Now},
    media::MediaConnection,
    moderation::MutedDevices,
    room::{ConnectionState, Room, broadcast, broadcast_except, refuse},
};
use crate::{
    protocol::{CallPerson, Devices, ErrorCode, Leg, ParticipantId, ServerMessage, Signal},
    server::limits::ENVELOPE_BYTES,
};

/// One stay of a member in the call, from entering to leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallSession {
    /// The number that the client drew for this session.
    pub leg: Leg,
    /// The devices that are on.
    pub devices: Devices,
    /// The connection to the SFU, from its first offer on.
    pub media: Option<MediaConnection>,
    /// Whether no other client may learn the addresses of this one.
    pub hide_address: bool,
    /// The sources that reach nobody, as the SFU was told last.
    pub muted: MutedDevices,
}

impl Room {
    /// The members in the call, in order of arrival in the room.
    pub(super) fn call(&self) -> Vec<CallPerson> {
        let in_call = self.members.iter().filter_map(|member| {
            let session = member.call?;
            Some(CallPerson {
                id: member.person.id.clone(),
                leg: session.leg,
                devices: session.devices,
            })
        });
        in_call.collect()
    }

    /// Dispatches a request about the call.
    pub(super) fn handle_call(
        &mut self,
        index: usize,
        connection: ConnectionId,
        request: CallRequest,
        now: Now,
    ) -> Vec<Effect> {
        match request {
            CallRequest::Enter {
                leg,
                devices,
                hide_address,
            } => {
                let muted = self.muted(index);
                let session = CallSession {
                    leg,
                    devices: muted.mask(devices),
                    media: None,
                    hide_address,
                    muted,
                };
                self.enter_call(index, connection, session, now)
            }
            CallRequest::Leave => self.leave_call(index, now),
            CallRequest::SetDevices { devices, unmute } => {
                self.set_devices(index, connection, (devices, unmute), now)
            }
            CallRequest::Signal { to, leg, signal } => {
                self.route_signal(index, connection, &to, leg, signal, now)
            }
            CallRequest::Offer(offer) => self.offer(index, connection, offer, now),
            CallRequest::CloseMedia { connection } => self.close_media(index, connection),
            CallRequest::Subscribe(wanted) => self.subscribe(index, wanted, now),
        }
    }

    /// Enters the call, or continues the session of the same leg. Another leg ends the former
    /// session first.
    fn enter_call(
        &mut self,
        index: usize,
        connection: ConnectionId,
        session: CallSession,
        now: Now,
    ) -> Vec<Effect> {
        let CallSession {
            leg,
            devices,
            muted,
            ..
        } = session;
        let former = self.members[index].call;
        let is_news = former.is_none_or(|former| (former.leg, former.devices) != (leg, devices));
        if is_news && !self.try_announce(index, now) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        if former.is_none() && self.call().len() >= self.rules.call_capacity {
            return refuse(connection, ErrorCode::CallFull);
        }
        let mut effects = Vec::new();
        if former.is_some_and(|former| former.leg != leg) {
            effects.extend(self.end_session(index, false));
        }
        let media = self.media_of(index);
        let id = self.members[index].person.id.clone();
        self.members[index].call = Some(CallSession { media, ..session });
        effects.extend(self.update_mode(now));
        effects.push(self.call_answer(index, connection));
        effects.extend(media.map(|media| media.set_muted(muted)));
        effects.extend(media.map(MediaConnection::resync));
        if is_news {
            let person = CallPerson { id, leg, devices };
            let entered = ServerMessage::CallEntered { person };
            effects.push(broadcast_except(connection, entered));
        }
        if former.is_none() {
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// The answer to `enter_call`.
    fn call_answer(&self, index: usize, connection: ConnectionId) -> Effect {
        let message = ServerMessage::Call {
            people: self.call(),
            ice_servers: self.rules.ice_servers.to_vec(),
            mode: self.mode,
            connection: self.media_of(index).map(|media| media.number),
        };
        Effect::Send {
            connection,
            message,
        }
    }

    /// Leaves the call; no effect for a member who is not in it.
    fn leave_call(&mut self, index: usize, now: Now) -> Vec<Effect> {
        let mut effects = self.end_session(index, false);
        if !effects.is_empty() {
            effects.extend(self.update_mode(now));
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// Ends a member's session in the call. `away` keeps their browser-to-browser connections:
    /// only the connection to the server is down, and those work without it.
    pub(super) fn end_session(&mut self, index: usize, away: bool) -> Vec<Effect> {
        let member = &mut self.members[index];
        let Some(session) = member.call.take() else {
            return Vec::new();
        };
        let (id, leg) = (member.person.id.clone(), session.leg);
        let media = session.media.map(MediaConnection::close);
        let mut effects: Vec<_> = media.into_iter().collect();
        effects.push(broadcast(ServerMessage::CallLeft { id, leg, away }));
        effects
    }

    /// Sends a member's devices to the others.
    fn set_devices(
        &mut self,
        index: usize,
        connection: ConnectionId,
        (devices, unmute): (Devices, bool),
        now: Now,
    ) -> Vec<Effect> {
        if self.members[index].call.is_none() {
            return refuse(connection, ErrorCode::NotInCall);
        }
        if !self.try_announce(index, now) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        let devices = match self.allow_devices(index, devices, unmute) {
            Ok(devices) => devices,
            Err(code) => return refuse(connection, code),
        };
        let member = &mut self.members[index];
        if let Some(session) = &mut member.call {
            session.devices = devices;
        }
        let id = member.person.id.clone();
        let message = ServerMessage::Devices { id, devices };
        let mut effects = self.enforce_mute(index, None);
        effects.push(broadcast_except(connection, message));
        effects.extend(self.update_mode(now));
        effects
    }

    /// Whether the addresses of a session's client are hidden from other clients, by the client or
    /// by the operator.
    fn hides_address(&self, session: CallSession) -> bool {
        self.rules.hide_addresses || session.hide_address
    }

    /// Forwards a signal to the session it names.
    fn route_signal(
        &mut self,
        index: usize,
        connection: ConnectionId,
        to: &ParticipantId,
        leg: Leg,
        signal: Signal,
        now: Now,
    ) -> Vec<Effect> {
        let sender = &self.members[index];
        let Some(from) = sender.call else {
            return refuse(connection, ErrorCode::NotInCall);
        };
        if !signal.is_within_limits() {
            return refuse(connection, ErrorCode::SignalTooLong);
        }
        // A muted source must pass the SFU, which drops it.
        if !from.muted.is_empty() {
            return refuse(connection, ErrorCode::NotAllowed);
        }
        let Some((receiver, session)) = self.receiver(to, leg) else {
            return refuse(connection, ErrorCode::NoSuchPerson);
        };
        // Descriptions and candidates contain addresses. A call with hidden addresses runs through
        // the SFU, so it needs no signals.
        if self.hides_address(session) || self.hides_address(from) {
            return refuse(connection, ErrorCode::AddressesHidden);
        }
        self.relay_signal(index, connection, receiver, Some(from.leg), signal, now)
    }

    /// Relays a checked signal to the member at `receiver`, within the budget of the sender at `index`.
    /// `leg` is the sender's, `None` outside the call. A receiver without a socket misses the signal:
    /// both sides negotiate again after the reconnect.
    pub(super) fn relay_signal(
        &mut self,
        index: usize,
        connection: ConnectionId,
        receiver: usize,
        leg: Option<Leg>,
        signal: Signal,
        now: Now,
    ) -> Vec<Effect> {
        // One member cannot be both sides.
        let Ok([sender, receiver]) = self.members.get_disjoint_mut([index, receiver]) else {
            return refuse(connection, ErrorCode::NoSuchPerson);
        };
        let (is_description, cost) = signal_cost(&signal);
        let budget = &mut sender.budget;
        if !budget.try_signal(&receiver.person.id, is_description, cost, now.instant) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        let from = sender.person.id.clone();
        if is_description {
            receiver.budget.on_answer(&from);
        }
        match receiver.connection_state {
            ConnectionState::Connected(to) => vec![Effect::Relay {
                from: connection,
                to,
                message: ServerMessage::Signal { from, leg, signal },
            }],
            ConnectionState::Lost(_) | ConnectionState::MediaOnly(_) => Vec::new(),
        }
    }

    /// The index of a member in the call, and their session, if it has this leg.
    fn receiver(&self, id: &ParticipantId, leg: Leg) -> Option<(usize, CallSession)> {
        let index = self.index_of(id)?;
        let session = self.members[index].call?;
        (session.leg == leg).then_some((index, session))
    }
}

/// Whether a signal is a description, and the size of its frame to the receiver in bytes.
fn signal_cost(signal: &Signal) -> (bool, usize) {
    match signal {
        Signal::Offer { sdp, .. } | Signal::Answer { sdp, .. } => {
            (true, json_len(sdp) + ENVELOPE_BYTES)
        }
        Signal::Candidate { candidate, .. } => {
            let mid = candidate.mid.as_deref().map_or(0, json_len);
            (false, json_len(&candidate.candidate) + mid + ENVELOPE_BYTES)
        }
    }
}
