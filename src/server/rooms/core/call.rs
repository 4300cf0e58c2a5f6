//! The call of a room: who is in it, and the routing between them.
//!
//! The server keeps the list and stamps `from`; it never looks into a description. A
//! signal passes only from somebody in the call to exactly the stay it names.

use super::{
    budget::json_len,
    command::{ConnectionId, Effect, Now, RoomRequest},
    media::MediaConnection,
    room::{ConnectionState, Room, broadcast, broadcast_except},
};
use crate::{
    protocol::{CallPerson, Devices, ErrorCode, Leg, ParticipantId, ServerMessage, Signal},
    server::{error::refusal, limits::ENVELOPE_BYTES},
};

/// Somebody's stay in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallSession {
    /// Which of theirs.
    pub leg: Leg,
    /// What they have switched on.
    pub devices: Devices,
    /// Their connection to the SFU.
    pub media: Option<MediaConnection>,
    /// Whether no other client may learn their addresses.
    pub hide_address: bool,
}

impl Room {
    /// Everybody in the call, in order of arrival in the room.
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

    /// What somebody wants of the call; chat and nickname are not its matter.
    pub(super) fn handle_call_request(
        &mut self,
        index: usize,
        connection: ConnectionId,
        request: RoomRequest,
        now: Now,
    ) -> Vec<Effect> {
        match request {
            RoomRequest::EnterCall {
                leg,
                devices,
                hide_address,
            } => {
                let entry = CallSession {
                    leg,
                    devices,
                    media: None,
                    hide_address,
                };
                self.enter_call(index, connection, entry, now)
            }
            RoomRequest::LeaveCall => self.leave_call(index, now),
            RoomRequest::Devices(devices) => self.set_devices(index, connection, devices, now),
            RoomRequest::Signal { to, leg, signal } => {
                self.route_signal(index, connection, &to, leg, signal, now)
            }
            RoomRequest::Offer(offer) => self.offer(index, connection, offer, now),
            RoomRequest::CloseMedia { connection } => self.close_media(index, connection),
            RoomRequest::Subscribe(wanted) => self.view(index, wanted, now),
            RoomRequest::Chat { .. }
            | RoomRequest::Change { .. }
            | RoomRequest::Typing
            | RoomRequest::Rename(_) => Vec::new(),
        }
    }

    /// Enters, or goes on with the same leg. Another leg ends the former stay first.
    fn enter_call(
        &mut self,
        index: usize,
        connection: ConnectionId,
        entry: CallSession,
        now: Now,
    ) -> Vec<Effect> {
        let CallSession { leg, devices, .. } = entry;
        let former = self.members[index].call;
        if former.is_none_or(|session| (session.leg, session.devices) != (leg, devices))
            && !self.members[index]
                .budget
                .try_announce(&mut self.broadcast_budget, now.instant)
        {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        if former.is_none() && self.call().len() >= self.rules.call_capacity {
            return refuse(connection, ErrorCode::CallFull);
        }
        let mut effects = Vec::new();
        if former.is_some_and(|session| session.leg != leg) {
            effects.extend(self.end_session(index, false));
        }
        let media = self.members[index].call.and_then(|session| session.media);
        let id = self.members[index].person.id.clone();
        self.members[index].call = Some(CallSession { media, ..entry });
        effects.extend(self.update_mode(now));
        effects.push(self.call_answer(index, connection));
        effects.extend(media.map(MediaConnection::resync));
        if former.is_none_or(|session| (session.leg, session.devices) != (leg, devices)) {
            let person = CallPerson { id, leg, devices };
            effects.push(broadcast_except(
                connection,
                ServerMessage::CallEntered { person },
            ));
        }
        if former.is_none() {
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// The answer to `enter_call`.
    fn call_answer(&self, index: usize, connection: ConnectionId) -> Effect {
        let media = self.members[index].call.and_then(|session| session.media);
        let message = ServerMessage::Call {
            people: self.call(),
            ice_servers: self.rules.ice_servers.to_vec(),
            mode: self.mode,
            connection: media.map(|media| media.number),
        };
        Effect::Send {
            connection,
            message,
        }
    }

    /// Leaves the call; nothing for whoever is not in it.
    fn leave_call(&mut self, index: usize, now: Now) -> Vec<Effect> {
        let mut effects = self.end_session(index, false);
        if !effects.is_empty() {
            effects.extend(self.update_mode(now));
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// Ends the stay of whoever is in the call; `away` where only their line is down: what runs
    /// browser to browser goes on by itself then.
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

    /// Tells the others what is on now.
    fn set_devices(
        &mut self,
        index: usize,
        connection: ConnectionId,
        devices: Devices,
        now: Now,
    ) -> Vec<Effect> {
        let member = &mut self.members[index];
        let Some(session) = &mut member.call else {
            return refuse(connection, ErrorCode::NotInCall);
        };
        if !member
            .budget
            .try_announce(&mut self.broadcast_budget, now.instant)
        {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        session.devices = devices;
        let id = member.person.id.clone();
        vec![broadcast_except(
            connection,
            ServerMessage::Devices { id, devices },
        )]
    }

    /// Whether no other client may learn the addresses of a client in the call: that
    /// person wants so, or the operator does.
    fn hides_address(&self, session: CallSession) -> bool {
        self.rules.hide_addresses || session.hide_address
    }

    /// Passes a signal on, stamped with whom it is from. Somebody whose line is broken
    /// just now misses it: both sides negotiate anew when they are back. Whoever signals more
    /// than anybody needs is refused.
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
        let meant =
            |session: Option<CallSession>| session.is_some_and(|session| session.leg == leg);
        let found = self
            .members
            .iter()
            .position(|m| m.person.id == *to && meant(m.call));
        let Some(target) = found.filter(|target| *target != index) else {
            return refuse(connection, ErrorCode::NoSuchPerson);
        };
        // Descriptions and candidates hold addresses. The call runs through the SFU, so
        // nothing is lost.
        let target_stay = self.members[target].call;
        let target_hides = target_stay.is_some_and(|session| self.hides_address(session));
        if target_hides || self.hides_address(from) {
            return refuse(connection, ErrorCode::AddressesHidden);
        }
        let (from_id, from_leg) = (sender.person.id.clone(), from.leg);
        let (is_description, cost) = signal_cost(&signal);
        let budget = &mut self.members[index].budget;
        if !budget.try_signal(to, is_description, cost, now.instant) {
            return refuse(connection, ErrorCode::TooManyMessages);
        }
        if is_description {
            self.members[target].budget.on_answer(&from_id);
        }
        let ConnectionState::Connected(target) = self.members[target].connection_state else {
            return Vec::new();
        };
        let message = ServerMessage::Signal {
            from: from_id,
            leg: from_leg,
            signal,
        };
        vec![Effect::Relay {
            from: connection,
            to: target,
            message,
        }]
    }
}

/// Whether a signal is a description, and how many bytes its receiver is told.
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

/// Refuses something that is no chat message.
pub(super) fn refuse(connection: ConnectionId, code: ErrorCode) -> Vec<Effect> {
    let message = refusal(code, None);
    vec![Effect::Send {
        connection,
        message,
    }]
}
