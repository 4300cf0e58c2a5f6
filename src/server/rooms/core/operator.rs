//! What the operator of the server does in a room.

use super::{
    command::{Effect, Now},
    room::{ConnectionState, Room, broadcast},
};
use crate::protocol::{
    ChatText, CloseCode, Devices, Epoch, Mode, ParticipantId, Person, ServerMessage, SettingsChange,
};
use crate::server::authority::{AuthorityEvent, HostKeyHash};

/// A command of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorCommand {
    /// End the stay of everybody. The room opens again with the next join.
    Close,
    /// End the stay of one person.
    Remove(ParticipantId),
    /// Send an announcement to everybody.
    Announce(ChatText),
    /// Continue with an empty log of this epoch: the messages were deleted. Clients connect again
    /// and load a snapshot.
    Restart(Epoch),
    /// Give the room this host key, in place of the one that it has.
    SetHostKey(HostKeyHash),
}

/// How a person is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attendance {
    /// By a socket.
    Connected,
    /// Without a socket for a moment.
    Lost,
    /// Without a socket, while the SFU receives their media.
    MediaOnly,
}

/// A person as the operator sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendee {
    /// Id and current nickname.
    pub person: Person,
    /// How they are connected.
    pub attendance: Attendance,
    /// The devices that are on, while they are in the call.
    pub call: Option<Devices>,
}

impl Room {
    /// Runs a command of the operator. Nothing happens for a person who is not here.
    pub(super) fn handle_operator(&mut self, command: OperatorCommand, now: Now) -> Vec<Effect> {
        match command {
            OperatorCommand::Close => self.close(now),
            OperatorCommand::Remove(id) => self.remove(&id, now),
            OperatorCommand::Announce(text) => {
                vec![broadcast(ServerMessage::Announcement { text, from: None })]
            }
            OperatorCommand::Restart(epoch) => {
                self.epoch = epoch;
                self.close_sockets(CloseCode::Restarting)
            }
            OperatorCommand::SetHostKey(host_key) => self.set_host_key(host_key, now),
        }
    }

    /// Gives the room a host key. It is valid at once; the store makes it last. Who is here with the
    /// former key stays a host for this stay.
    fn set_host_key(&mut self, host_key: HostKeyHash, now: Now) -> Vec<Effect> {
        self.is_unclaimed = false;
        let opening = SettingsChange::default();
        let event = AuthorityEvent::Claim {
            host_key: host_key.clone(),
            opening,
        };
        let _ = self.authority.apply(&event, now.unix_ms);
        self.unstored_claim = Some((host_key, opening));
        let mut effects: Vec<Effect> = self.store_claim(now).into_iter().collect();
        effects.push(broadcast(ServerMessage::RoomChanged {
            seq: self.history.seq(),
            room: self.authority.settings(),
            by: None,
        }));
        effects.extend(self.update_host_presence(now));
        effects
    }

    /// Everybody here, as the operator sees them, and the topology of the call.
    pub fn attendees(&self) -> (Vec<Attendee>, Mode) {
        let attendees = self.members.iter().map(|member| Attendee {
            person: member.person.clone(),
            attendance: match member.connection_state {
                ConnectionState::Connected(_) => Attendance::Connected,
                ConnectionState::Lost(_) => Attendance::Lost,
                ConnectionState::MediaOnly(_) => Attendance::MediaOnly,
            },
            call: member.call.map(|session| session.devices),
        });
        (attendees.collect(), self.mode)
    }

    /// Ends the stay of everybody, and expects nobody back.
    pub(super) fn close(&mut self, now: Now) -> Vec<Effect> {
        // The sockets first: a closed one receives no `left` of the others.
        let mut effects = self.close_sockets(CloseCode::RoomClosed);
        while let Some(last) = self.members.len().checked_sub(1) {
            effects.extend(self.remove_member(last, false, now));
        }
        effects.extend(self.forget_away());
        effects
    }

    /// Ends the stay of one person.
    fn remove(&mut self, id: &ParticipantId, now: Now) -> Vec<Effect> {
        let Some(index) = self.index_of(id) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if let ConnectionState::Connected(connection) = self.members[index].connection_state {
            effects.push(Effect::Close {
                connection,
                code: CloseCode::Removed,
            });
        }
        effects.extend(self.remove_member(index, false, now));
        effects
    }

    /// Closes the socket of everybody with this code.
    fn close_sockets(&self, code: CloseCode) -> Vec<Effect> {
        let sockets = self.members.iter().filter_map(|member| {
            let ConnectionState::Connected(connection) = member.connection_state else {
                return None;
            };
            Some(Effect::Close { connection, code })
        });
        sockets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Nickname, RoomName, SettingsChange};
    use crate::server::{
        authority::{Authority, new_host_key},
        identity::{new_session_token, participant_id},
        invites::InviteKey,
        rooms::{
            RoomRules,
            core::{
                command::{Command, ConnectionId, Departure, Join, Visitor},
                history::History,
            },
        },
    };
    use std::time::{Duration, Instant};

    fn now() -> Now {
        Now {
            instant: Instant::now(),
            unix_ms: 0,
        }
    }

    /// A room with this many people, and their ids.
    fn room_of(people: u64) -> (Room, Vec<ParticipantId>) {
        let rules = RoomRules {
            capacity: 9,
            call_capacity: 9,
            p2p_max: 2,
            hide_addresses: false,
            move_back_after: Duration::from_secs(5),
            grace: Duration::from_secs(5),
            away: Duration::from_secs(115),
            empty_within: Duration::from_secs(10),
            started: Instant::now(),
            ice_servers: [].into(),
            invite_key: InviteKey::new([7; 32]),
            claim_rooms: false,
        };
        let name = RoomName::parse("team").expect("valid");
        let epoch = Epoch::parse("e").expect("valid");
        let mut room = Room::new(
            name,
            epoch,
            History::default(),
            Some(Authority::default()),
            rules,
        );
        let ids = (1..=people).map(|connection| {
            let session = new_session_token();
            let id = participant_id(&session);
            let join = Join {
                connection: ConnectionId(connection),
                visitor: Visitor::new(session, Nickname::parse("Ann").expect("valid")),
                seen: None,
                fresh_key: new_host_key(),
                opening: SettingsChange::default(),
            };
            room.handle(Command::Join(join), now());
            id
        });
        let ids = ids.collect();
        (room, ids)
    }

    /// The sockets that the effects close, with their codes.
    fn closed(effects: &[Effect]) -> Vec<(u64, CloseCode)> {
        let closed = effects.iter().filter_map(|effect| match effect {
            Effect::Close { connection, code } => Some((connection.0, *code)),
            _ => None,
        });
        closed.collect()
    }

    #[test]
    fn a_closed_room_closes_every_socket_first_and_expects_nobody_back() {
        let (mut room, _) = room_of(3);
        let lost = Command::Disconnected {
            connection: ConnectionId(2),
            departure: Departure::Lost,
        };
        room.handle(lost, now());
        let effects = room.handle(Command::Operator(OperatorCommand::Close), now());
        let code = CloseCode::RoomClosed;
        assert_eq!(closed(&effects), [(1, code), (3, code)]);
        assert!(matches!(effects[1], Effect::Close { .. }), "{effects:?}");
        assert!(room.is_idle());
        let again = room.handle(Command::Operator(OperatorCommand::Close), now());
        assert_eq!(again, []);
    }

    #[test]
    fn only_the_named_person_is_removed() {
        let (mut room, ids) = room_of(2);
        let remove = Command::Operator(OperatorCommand::Remove(ids[0].clone()));
        let effects = room.handle(remove.clone(), now());
        assert_eq!(closed(&effects), [(1, CloseCode::Removed)]);
        let people: Vec<_> = room.people().into_iter().map(|person| person.id).collect();
        assert_eq!(people, ids[1..]);
        assert_eq!(room.handle(remove, now()), [], "nobody of this id is here");
    }

    #[test]
    fn a_restarted_room_has_another_epoch_and_keeps_its_people() {
        let (mut room, _) = room_of(2);
        let epoch = Epoch::parse("other").expect("valid");
        let restart = Command::Operator(OperatorCommand::Restart(epoch.clone()));
        let effects = room.handle(restart, now());
        let code = CloseCode::Restarting;
        assert_eq!(closed(&effects), [(1, code), (2, code)]);
        assert_eq!(room.snapshot().epoch, epoch);
        assert_eq!(room.summary().people, 2);
    }
}
