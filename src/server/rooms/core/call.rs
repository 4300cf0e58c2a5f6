//! The call of a room: who is in it, and the routing between them.
//!
//! The server keeps the list and stamps `from`; it never looks into a description. A
//! signal passes only from somebody in the call to exactly the stay it names.

use super::{
    budget::json_len,
    command::{Effect, Intent, LinkId, Now},
    media::Connection,
    room::{Line, Room, everybody, others},
};
use crate::{
    protocol::{CallPerson, Devices, ErrorCode, Leg, ParticipantId, ServerMessage, Signal},
    server::{error::refusal, limits::ENVELOPE_BYTES},
};

/// Somebody's stay in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    /// Which of theirs.
    pub leg: Leg,
    /// What they have switched on.
    pub devices: Devices,
    /// Their connection to the SFU.
    pub connection: Option<Connection>,
    /// Whether no other client may learn their addresses.
    pub hide_address: bool,
}

impl Room {
    /// Everybody in the call, in order of arrival in the room.
    pub(super) fn call(&self) -> Vec<CallPerson> {
        let in_call = self.members.iter().filter_map(|member| {
            let stay = member.call?;
            Some(CallPerson {
                id: member.person.id.clone(),
                leg: stay.leg,
                devices: stay.devices,
            })
        });
        in_call.collect()
    }

    /// What somebody wants of the call; chat and nickname are not its matter.
    pub(super) fn intend_in_call(
        &mut self,
        place: usize,
        link: LinkId,
        intent: Intent,
        now: Now,
    ) -> Vec<Effect> {
        match intent {
            Intent::EnterCall {
                leg,
                devices,
                hide_address,
            } => {
                let entry = Stay {
                    leg,
                    devices,
                    connection: None,
                    hide_address,
                };
                self.enter_call(place, link, entry, now)
            }
            Intent::LeaveCall => self.leave_call(place, now),
            Intent::Devices(devices) => self.switch(place, link, devices, now),
            Intent::Signal { to, leg, signal } => self.route(place, link, &to, leg, signal, now),
            Intent::Offer(offer) => self.offer(place, link, offer, now),
            Intent::CloseMedia { connection } => self.close_connection(place, connection),
            Intent::Subscribe(wanted) => self.view(place, wanted, now),
            Intent::Chat { .. } | Intent::Change { .. } | Intent::Typing | Intent::Rename(_) => {
                Vec::new()
            }
        }
    }

    /// Enters, or goes on with the same leg. Another leg ends the former stay first.
    fn enter_call(&mut self, place: usize, link: LinkId, entry: Stay, now: Now) -> Vec<Effect> {
        let Stay { leg, devices, .. } = entry;
        let former = self.members[place].call;
        if former.is_none_or(|stay| (stay.leg, stay.devices) != (leg, devices))
            && !self.members[place]
                .budget
                .announce(&mut self.fanout, now.instant)
        {
            return refuse(link, ErrorCode::TooManyMessages);
        }
        if former.is_none() && self.call().len() >= self.rules.call_capacity {
            return refuse(link, ErrorCode::CallFull);
        }
        let mut effects = Vec::new();
        if former.is_some_and(|stay| stay.leg != leg) {
            effects.extend(self.hang_up(place, false));
        }
        let connection = self.members[place].call.and_then(|stay| stay.connection);
        let id = self.members[place].person.id.clone();
        self.members[place].call = Some(Stay {
            connection,
            ..entry
        });
        effects.extend(self.review_mode(now));
        effects.push(self.call_answer(place, link));
        effects.extend(connection.map(Connection::remind));
        if former.is_none_or(|stay| (stay.leg, stay.devices) != (leg, devices)) {
            let person = CallPerson { id, leg, devices };
            effects.push(others(link, ServerMessage::CallEntered { person }));
        }
        if former.is_none() {
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// The answer to `enter_call`.
    fn call_answer(&self, place: usize, link: LinkId) -> Effect {
        let connection = self.members[place].call.and_then(|stay| stay.connection);
        let message = ServerMessage::Call {
            people: self.call(),
            ice_servers: self.rules.ice_servers.to_vec(),
            mode: self.mode,
            connection: connection.map(|connection| connection.number),
        };
        Effect::Send { link, message }
    }

    /// Leaves the call; nothing for whoever is not in it.
    fn leave_call(&mut self, place: usize, now: Now) -> Vec<Effect> {
        let mut effects = self.hang_up(place, false);
        if !effects.is_empty() {
            effects.extend(self.review_mode(now));
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// Ends the stay of whoever is in the call; `away` where only their line is down: what runs
    /// browser to browser goes on by itself then.
    pub(super) fn hang_up(&mut self, place: usize, away: bool) -> Vec<Effect> {
        let member = &mut self.members[place];
        let Some(stay) = member.call.take() else {
            return Vec::new();
        };
        let (id, leg) = (member.person.id.clone(), stay.leg);
        let connection = stay.connection.map(Connection::close);
        let mut effects: Vec<_> = connection.into_iter().collect();
        effects.push(everybody(ServerMessage::CallLeft { id, leg, away }));
        effects
    }

    /// Tells the others what is on now.
    fn switch(&mut self, place: usize, link: LinkId, devices: Devices, now: Now) -> Vec<Effect> {
        let member = &mut self.members[place];
        let Some(stay) = &mut member.call else {
            return refuse(link, ErrorCode::NotInCall);
        };
        if !member.budget.announce(&mut self.fanout, now.instant) {
            return refuse(link, ErrorCode::TooManyMessages);
        }
        stay.devices = devices;
        let id = member.person.id.clone();
        vec![others(link, ServerMessage::Devices { id, devices })]
    }

    /// Whether no other client may learn the addresses of a client in the call: that
    /// person wants so, or the operator does.
    fn hides_address(&self, stay: Stay) -> bool {
        self.rules.hide_addresses || stay.hide_address
    }

    /// Passes a signal on, stamped with whom it is from. Somebody whose line is broken
    /// just now misses it: both sides negotiate anew when they are back. Whoever signals more
    /// than anybody needs is refused.
    fn route(
        &mut self,
        place: usize,
        link: LinkId,
        to: &ParticipantId,
        leg: Leg,
        signal: Signal,
        now: Now,
    ) -> Vec<Effect> {
        let sender = &self.members[place];
        let Some(from) = sender.call else {
            return refuse(link, ErrorCode::NotInCall);
        };
        if !signal.is_within_limits() {
            return refuse(link, ErrorCode::SignalTooLong);
        }
        let meant = |stay: Option<Stay>| stay.is_some_and(|stay| stay.leg == leg);
        let found = self
            .members
            .iter()
            .position(|m| m.person.id == *to && meant(m.call));
        let Some(target) = found.filter(|target| *target != place) else {
            return refuse(link, ErrorCode::NoSuchPerson);
        };
        // Descriptions and candidates hold addresses. The call runs through the SFU, so
        // nothing is lost.
        let target_stay = self.members[target].call;
        let target_hides = target_stay.is_some_and(|stay| self.hides_address(stay));
        if target_hides || self.hides_address(from) {
            return refuse(link, ErrorCode::AddressesHidden);
        }
        let (from_id, from_leg) = (sender.person.id.clone(), from.leg);
        let (is_description, cost) = weight(&signal);
        let budget = &mut self.members[place].budget;
        if !budget.signal(to, is_description, cost, now.instant) {
            return refuse(link, ErrorCode::TooManyMessages);
        }
        if is_description {
            self.members[target].budget.is_answered(&from_id);
        }
        let Line::Up(target) = self.members[target].line else {
            return Vec::new();
        };
        let message = ServerMessage::Signal {
            from: from_id,
            leg: from_leg,
            signal,
        };
        vec![Effect::Relay {
            from: link,
            to: target,
            message,
        }]
    }
}

/// Whether a signal is a description, and how many bytes its receiver is told.
fn weight(signal: &Signal) -> (bool, usize) {
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
pub(super) fn refuse(link: LinkId, code: ErrorCode) -> Vec<Effect> {
    let message = refusal(code, None);
    vec![Effect::Send { link, message }]
}
