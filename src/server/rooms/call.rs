//! The call of a room: who is in it, and the routing between them.
//!
//! The server keeps the list and stamps `from`; it never looks into a description. A
//! signal passes only from somebody in the call to exactly the stay it names.

use super::{
    command::{Effect, Intent, LinkId},
    room::{Line, Room, everybody, others},
};
use crate::{
    protocol::{CallPerson, Devices, ErrorCode, Leg, ParticipantId, ServerMessage, Signal},
    server::error::refusal,
};

impl Room {
    /// Everybody in the call, in order of arrival in the room.
    pub(super) fn call(&self) -> Vec<CallPerson> {
        let in_call = self.members.iter().filter_map(|member| {
            let (leg, devices) = member.call?;
            let id = member.person.id.clone();
            Some(CallPerson { id, leg, devices })
        });
        in_call.collect()
    }

    /// What somebody wants of the call; chat and nickname are not its matter.
    pub(super) fn intend_in_call(
        &mut self,
        place: usize,
        link: LinkId,
        intent: Intent,
    ) -> Vec<Effect> {
        match intent {
            Intent::EnterCall { leg, devices } => self.enter_call(place, link, leg, devices),
            Intent::LeaveCall => self.leave_call(place),
            Intent::Devices(devices) => self.switch(place, link, devices),
            Intent::Signal { to, leg, signal } => self.route(place, link, &to, leg, signal),
            _ => Vec::new(),
        }
    }

    /// Enters, or goes on with the same leg. Another leg ends the former stay first.
    fn enter_call(
        &mut self,
        place: usize,
        link: LinkId,
        leg: Leg,
        devices: Devices,
    ) -> Vec<Effect> {
        let former = self.members[place].call;
        if former.is_none() && self.call().len() >= self.rules.call_capacity {
            return refuse(link, ErrorCode::CallFull);
        }
        let mut effects = Vec::new();
        if former.is_some_and(|(stay, _)| stay != leg) {
            effects.extend(self.hang_up(place, false));
        }
        self.members[place].call = Some((leg, devices));
        effects.push(self.call_answer(link));
        if former != Some((leg, devices)) {
            let id = self.members[place].person.id.clone();
            let person = CallPerson { id, leg, devices };
            effects.push(others(link, ServerMessage::CallEntered { person }));
        }
        if former.is_none() {
            effects.push(Effect::SummaryChanged);
        }
        effects
    }

    /// The answer to `enter_call`.
    fn call_answer(&self, link: LinkId) -> Effect {
        let message = ServerMessage::Call {
            people: self.call(),
            ice_servers: self.rules.ice_servers.to_vec(),
        };
        Effect::Send { link, message }
    }

    /// Leaves the call; nothing for whoever is not in it.
    fn leave_call(&mut self, place: usize) -> Vec<Effect> {
        let Some(left) = self.hang_up(place, false) else {
            return Vec::new();
        };
        vec![left, Effect::SummaryChanged]
    }

    /// Ends the stay of whoever is in the call; `away` where only their line is down.
    pub(super) fn hang_up(&mut self, place: usize, away: bool) -> Option<Effect> {
        let member = &mut self.members[place];
        let (leg, _) = member.call.take()?;
        let id = member.person.id.clone();
        Some(everybody(ServerMessage::CallLeft { id, leg, away }))
    }

    /// Tells the others what is on now.
    fn switch(&mut self, place: usize, link: LinkId, devices: Devices) -> Vec<Effect> {
        let member = &mut self.members[place];
        let Some((leg, _)) = member.call else {
            return refuse(link, ErrorCode::NotInCall);
        };
        member.call = Some((leg, devices));
        let id = member.person.id.clone();
        vec![others(link, ServerMessage::Devices { id, devices })]
    }

    /// Passes a signal on, stamped with whom it is from. Somebody whose line is broken
    /// just now misses it: both sides negotiate anew when they are back.
    fn route(
        &self,
        place: usize,
        link: LinkId,
        to: &ParticipantId,
        leg: Leg,
        signal: Signal,
    ) -> Vec<Effect> {
        let sender = &self.members[place];
        let Some((from_leg, _)) = sender.call else {
            return refuse(link, ErrorCode::NotInCall);
        };
        if !signal.is_within_limits() {
            return refuse(link, ErrorCode::SignalTooLong);
        }
        let meant = |stay: Option<(Leg, Devices)>| stay.is_some_and(|(stay, _)| stay == leg);
        let found = self
            .members
            .iter()
            .find(|m| m.person.id == *to && meant(m.call));
        let Some(target) = found.filter(|target| target.person.id != sender.person.id) else {
            return refuse(link, ErrorCode::NoSuchPerson);
        };
        let Line::Up(target) = target.line else {
            return Vec::new();
        };
        let message = ServerMessage::Signal {
            from: sender.person.id.clone(),
            leg: from_leg,
            signal,
        };
        vec![Effect::Send {
            link: target,
            message,
        }]
    }
}

/// Refuses something that is no chat message.
fn refuse(link: LinkId, code: ErrorCode) -> Vec<Effect> {
    let message = refusal(code, None);
    vec![Effect::Send { link, message }]
}
