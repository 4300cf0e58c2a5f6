//! The call as one participant sees it: participants, devices and connections. Plain data:
//! [`CallState::apply`] applies the server's messages, the call controller writes the rest.

use crate::protocol::{
    CallPerson, Devices, ErrorCode, Leg, Mode, ParticipantId, Quality, ServerMessage, Source,
};
pub use crate::state::devices::{
    Capture, Cause, Choices, DeviceChoice, DeviceKind, Notice, Problem, cause_of,
};
use crate::state::reachability::Blocked;
use crate::state::statistics::ConnectionStats;
use reactive_stores::Store;
use std::collections::HashMap;

/// The call as one participant sees it.
#[derive(Debug, Clone, Default, PartialEq, Store)]
pub struct CallState {
    /// Id of this participant; `None` before the room is joined.
    pub me: Option<ParticipantId>,
    /// The participants in the call, in order of arrival in the room.
    pub people: Vec<CallPerson>,
    /// Whether this participant is in the call.
    pub stage: CallStage,
    /// This participant's devices that are on.
    pub devices: Devices,
    /// The connection to each other participant.
    pub links: HashMap<ParticipantId, Link>,
    /// Counts the changes of this participant's own video.
    pub own_version: u32,
    /// The topology of the call's media.
    pub mode: Mode,
    /// The audio slots (`mid`) and the participant in each.
    pub voices: Vec<(String, ParticipantId)>,
    /// Videos that the SFU paused for lack of bandwidth.
    pub paused: Vec<(ParticipantId, Source)>,
    /// Counts the changes of slots.
    pub slots_version: u32,
    /// Participants who speak now.
    pub speaking: Vec<ParticipantId>,
    /// Recent dominant speakers except this participant, the latest first.
    pub recent_speakers: Vec<ParticipantId>,
    /// The last announced rating of each participant's connection.
    pub qualities: HashMap<ParticipantId, Quality>,
    /// The pinned participant.
    pub pinned: Option<ParticipantId>,
    /// Statistics of the connections, while the settings show them.
    pub stats: Vec<ConnectionStats>,
    /// Devices to choose from, and those chosen.
    pub choices: Choices,
    /// Problems of devices, at most one for each kind.
    pub problems: Vec<Problem>,
    /// The last device event that the user did not cause, until it is dismissed.
    pub notice: Option<Notice>,
    /// The reason why media does not arrive, if it does not.
    pub blocked: Option<Blocked>,
    /// Whether this participant hides their address: the call then runs through the SFU.
    pub hide_address: bool,
    /// Whether the server hides the addresses of all participants.
    pub server_hides: bool,
    /// Whether the rear camera is in use: its preview is not mirrored.
    pub rear: bool,
}

/// Number of recent dominant speakers that stay visible.
const MAX_RECENT_SPEAKERS: usize = 3;

/// Whether this participant is in the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallStage {
    /// Outside the call.
    #[default]
    Out,
    /// `enter_call` is sent; the server has not replied.
    Entering,
    /// The server has confirmed `enter_call`.
    In,
    /// The call is full.
    Full,
}

/// The connection to another participant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// State of the connection.
    pub state: LinkState,
    /// Counts the changes of the participant's stream.
    pub version: u32,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Not established yet.
    #[default]
    Connecting,
    /// The connection is established.
    Connected,
    /// Lost after it was established; the negotiation repairs it.
    Reconnecting,
}

/// A tile of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Id of the participant.
    pub id: ParticipantId,
    /// Whether this is this participant's own tile.
    pub mine: bool,
    /// The participant's devices that are on.
    pub devices: Devices,
    /// The connection to the participant; always `Connected` for the own tile.
    pub link: Link,
    /// Whether the participant speaks now.
    pub speaking: bool,
    /// Whether the participant is a recent dominant speaker, which keeps the tile visible.
    pub recently_dominant: bool,
    /// Rating of the participant's connection.
    pub quality: Quality,
    /// Whether the SFU paused the video for lack of bandwidth.
    pub paused: bool,
    /// Whether the participant is pinned.
    pub pinned: bool,
}

/// A shared screen on the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Id of the participant.
    pub id: ParticipantId,
    /// Whether this participant shares it.
    pub mine: bool,
    /// Counts the changes of its stream.
    pub version: u32,
    /// Whether the SFU paused it for lack of bandwidth.
    pub paused: bool,
}

impl CallState {
    /// Applies a message of the server. Returns whether anything may have changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => {
                self.me = Some(joined.me.clone());
                self.set_people(&joined.call);
            }
            ServerMessage::Call { people, mode, .. } => {
                self.set_people(people);
                self.mode = *mode;
                // A reply that arrives after `leave_call` changes nothing.
                if self.stage == CallStage::Entering {
                    self.stage = CallStage::In;
                }
            }
            ServerMessage::CallEntered { person } => self.enter(person),
            ServerMessage::CallLeft { id, leg, .. } => self.leave(id, Some(*leg)),
            ServerMessage::Left {
                person,
                away: false,
                ..
            }
            | ServerMessage::Gone { person } => self.leave(&person.id, None),
            ServerMessage::Devices { id, devices } => self.set_devices(id, *devices),
            ServerMessage::MediaMode { mode } => self.mode = *mode,
            ServerMessage::Speakers { loudest, dominant } => {
                self.speaking = loudest.iter().map(|speaker| speaker.id.clone()).collect();
                self.on_dominant_speaker(dominant.as_ref());
            }
            ServerMessage::Qualities { people } => {
                let ratings = people.iter().map(|p| (p.id.clone(), p.quality));
                self.qualities.extend(ratings);
            }
            ServerMessage::Error {
                code: ErrorCode::CallFull,
                ..
            } if self.stage != CallStage::Out => {
                self.stage = CallStage::Full;
            }
            ServerMessage::Rooms(_)
            | ServerMessage::RoomsChanged(_)
            | ServerMessage::Chat(_)
            | ServerMessage::Changed { .. }
            | ServerMessage::Reaction { .. }
            | ServerMessage::Typing { .. }
            | ServerMessage::Entered { .. }
            | ServerMessage::Renamed { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Announcement { .. }
            | ServerMessage::RoleChanged { .. }
            | ServerMessage::RoomChanged { .. }
            | ServerMessage::Muted { .. }
            | ServerMessage::AskedToUnmute { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Bans { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Denied { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::Window { .. }
            | ServerMessage::Hosts { .. }
            | ServerMessage::Invites { .. }
            | ServerMessage::History { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::MediaClosed { .. }
            | ServerMessage::Slots { .. }
            | ServerMessage::Layers { .. }
            | ServerMessage::Codec { .. }
            | ServerMessage::Signal { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Error { .. }
            | ServerMessage::Pong => return false,
        }
        true
    }

    /// Replaces the list of participants.
    fn set_people(&mut self, people: &[CallPerson]) {
        self.people = people.to_vec();
        let here = |id: &ParticipantId| people.iter().any(|person| person.id == *id);
        self.recent_speakers.retain(here);
    }

    fn enter(&mut self, person: &CallPerson) {
        match self.people.iter_mut().find(|known| known.id == person.id) {
            Some(known) => *known = person.clone(),
            None => self.people.push(person.clone()),
        }
    }

    fn leave(&mut self, id: &ParticipantId, leg: Option<Leg>) {
        let has_left =
            |person: &CallPerson| person.id == *id && leg.is_none_or(|leg| leg == person.leg);
        self.people.retain(|person| !has_left(person));
        if !self.people.iter().any(|person| person.id == *id) {
            self.speaking.retain(|speaking| speaking != id);
            self.recent_speakers.retain(|before| before != id);
            self.qualities.remove(id);
            self.pinned.take_if(|pinned| pinned == id);
        }
    }

    /// Moves the dominant speaker to the front of the recent ones.
    fn on_dominant_speaker(&mut self, id: Option<&ParticipantId>) {
        let Some(id) = id.filter(|id| self.me.as_ref() != Some(id)) else {
            return;
        };
        self.recent_speakers.retain(|before| before != id);
        self.recent_speakers.insert(0, id.clone());
        self.recent_speakers.truncate(MAX_RECENT_SPEAKERS);
    }

    fn set_devices(&mut self, id: &ParticipantId, devices: Devices) {
        if let Some(person) = self.people.iter_mut().find(|person| person.id == *id) {
            person.devices = devices;
        }
    }

    /// Whether a source of a participant is on, by the list of the server. A source that is off
    /// must not be played: its participant may be muted by a host and go on sending.
    pub fn is_on(&self, id: &ParticipantId, source: Source) -> bool {
        let person = self.people.iter().find(|person| person.id == *id);
        person.is_some_and(|person| match source {
            Source::Microphone => person.devices.microphone,
            Source::Camera => person.devices.camera,
            Source::Screen | Source::ScreenAudio => person.devices.screen,
        })
    }

    /// The tiles of the stage, the own tile first; empty outside the call.
    pub fn tiles(&self) -> Vec<Tile> {
        let Some(me) = &self.me else { return vec![] };
        if self.stage != CallStage::In {
            return vec![];
        }
        let link = Link {
            state: LinkState::Connected,
            version: self.own_version,
        };
        let mine = Tile {
            mine: true,
            ..self.tile(me, self.devices, link)
        };
        let others = self.people.iter().filter(|person| person.id != *me);
        let others = others.map(|person| {
            let link = self.links.get(&person.id).copied().unwrap_or_default();
            self.tile(&person.id, person.devices, link)
        });
        std::iter::once(mine).chain(others).collect()
    }

    /// The tile of one participant.
    fn tile(&self, id: &ParticipantId, devices: Devices, link: Link) -> Tile {
        Tile {
            id: id.clone(),
            mine: false,
            devices,
            link: Link {
                version: link.version.wrapping_add(self.slots_version),
                ..link
            },
            speaking: self.speaking.contains(id),
            recently_dominant: self.recent_speakers.contains(id),
            quality: self.qualities.get(id).copied().unwrap_or_default(),
            paused: self.is_paused(id, Source::Camera),
            pinned: self.pinned.as_ref() == Some(id),
        }
    }

    /// The shared screens, the own screen last; empty outside the call.
    pub fn screens(&self) -> Vec<Screen> {
        let Some(me) = self.me.as_ref().filter(|_| self.stage == CallStage::In) else {
            return vec![];
        };
        let sharing = self
            .people
            .iter()
            .filter(|p| p.id != *me && p.devices.screen);
        let others = sharing.map(|person| {
            let link = self.links.get(&person.id).copied().unwrap_or_default();
            Screen {
                id: person.id.clone(),
                mine: false,
                version: link.version.wrapping_add(self.slots_version),
                paused: self.is_paused(&person.id, Source::Screen),
            }
        });
        let mine = self.devices.screen.then(|| Screen {
            id: me.clone(),
            mine: true,
            version: self.own_version,
            paused: false,
        });
        others.chain(mine).collect()
    }

    fn is_paused(&self, id: &ParticipantId, source: Source) -> bool {
        let wanted = |(paused, what): &(ParticipantId, Source)| paused == id && *what == source;
        self.paused.iter().any(wanted)
    }

    /// Sets or clears the problem of a device.
    pub fn set_problem(&mut self, kind: DeviceKind, cause: Option<Cause>) {
        self.problems.retain(|problem| problem.kind != kind);
        self.problems
            .extend(cause.map(|cause| Problem { kind, cause }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Person;

    fn id(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("p_{name}")).expect("valid")
    }

    fn person(name: &str, leg: Leg) -> CallPerson {
        CallPerson {
            id: id(name),
            leg,
            devices: Devices::default(),
        }
    }

    fn in_call() -> CallState {
        let mut state = CallState {
            me: Some(id("Ann")),
            stage: CallStage::Entering,
            ..CallState::default()
        };
        let people = vec![person("Ben", 1), person("Ann", 2)];
        state.apply(&ServerMessage::Call {
            people,
            ice_servers: vec![],
            mode: Mode::P2p,
            connection: None,
        });
        state
    }

    fn names(state: &CallState) -> Vec<String> {
        state
            .tiles()
            .into_iter()
            .map(|tile| tile.id.to_string())
            .collect()
    }

    #[test]
    fn the_own_tile_comes_first_and_there_are_no_tiles_outside_the_call() {
        assert_eq!(names(&in_call()), ["p_Ann", "p_Ben"]);
        let outside = CallState {
            people: vec![person("Ben", 1)],
            ..CallState::default()
        };
        assert!(outside.tiles().is_empty());
    }

    #[test]
    fn a_reply_that_arrives_after_leaving_does_not_reenter_the_call() {
        let mut state = in_call();
        state.stage = CallStage::Out;
        let people = vec![person("Ben", 1), person("Ann", 2)];
        state.apply(&ServerMessage::Call {
            people,
            ice_servers: vec![],
            mode: Mode::P2p,
            connection: None,
        });
        state.apply(&ServerMessage::Error {
            code: ErrorCode::CallFull,
            message: String::new(),
            id: None,
        });
        assert_eq!(state.stage, CallStage::Out);
        assert_eq!(
            state.people.len(),
            2,
            "the room still lists the participants of the call"
        );
    }

    #[test]
    fn a_tile_ends_with_its_own_leg_only() {
        let mut state = in_call();
        state.apply(&ServerMessage::CallEntered {
            person: person("Ben", 9),
        });
        state.apply(&ServerMessage::CallLeft {
            id: id("Ben"),
            leg: 1,
            away: false,
        });
        assert_eq!(names(&state), ["p_Ann", "p_Ben"]);
        state.apply(&ServerMessage::CallLeft {
            id: id("Ben"),
            leg: 9,
            away: false,
        });
        assert_eq!(names(&state), ["p_Ann"]);
    }

    #[test]
    fn leaving_the_room_leaves_the_call() {
        let mut state = in_call();
        let nickname = crate::protocol::Nickname::parse("Ben").expect("valid");
        let gone = Person::new(id("Ben"), nickname);
        state.apply(&ServerMessage::Left {
            person: gone,
            count: 1,
            away: false,
        });
        assert_eq!(names(&state), ["p_Ann"]);
    }

    #[test]
    fn others_device_changes_show_at_once() {
        let mut state = in_call();
        let devices = Devices {
            microphone: true,
            ..Devices::default()
        };
        state.apply(&ServerMessage::Devices {
            id: id("Ben"),
            devices,
        });
        assert_eq!(state.tiles()[1].devices, devices);
    }

    #[test]
    fn a_source_is_played_only_while_the_server_lists_it_as_on() {
        let mut state = in_call();
        let on = |state: &CallState, name: &str| {
            let is_on = |source: &Source| state.is_on(&id(name), *source);
            Source::ALL.into_iter().filter(is_on).collect::<Vec<_>>()
        };
        let devices = |microphone, camera, screen| Devices {
            microphone,
            camera,
            screen,
        };
        for (devices, expected) in [
            (devices(false, false, false), vec![]),
            (devices(true, false, false), vec![Source::Microphone]),
            (devices(false, true, false), vec![Source::Camera]),
            (
                devices(false, false, true),
                vec![Source::Screen, Source::ScreenAudio],
            ),
            (devices(true, true, true), Source::ALL.to_vec()),
        ] {
            let ben = id("Ben");
            state.apply(&ServerMessage::Devices { id: ben, devices });
            assert_eq!(on(&state, "Ben"), expected, "{devices:?}");
            let entered = CallPerson {
                devices,
                ..person("Cem", 7)
            };
            state.apply(&ServerMessage::CallEntered { person: entered });
            assert_eq!(on(&state, "Cem"), expected, "{devices:?}");
        }
        assert_eq!(on(&state, "Eve"), [], "who is not in the call");
    }

    #[test]
    fn the_last_three_dominant_speakers_are_marked() {
        let mut state = in_call();
        for name in ["Cem", "Dan", "Eve"] {
            state.apply(&ServerMessage::CallEntered {
                person: person(name, 3),
            });
        }
        let recent = |state: &mut CallState, dominant: Option<&str>| {
            state.apply(&ServerMessage::Speakers {
                loudest: vec![],
                dominant: dominant.map(id),
            });
            let tiles = state
                .tiles()
                .into_iter()
                .filter(|tile| tile.recently_dominant);
            tiles.map(|tile| tile.id.to_string()).collect::<Vec<_>>()
        };
        recent(&mut state, Some("Ben"));
        recent(&mut state, Some("Ann"));
        recent(&mut state, Some("Cem"));
        assert_eq!(
            recent(&mut state, None),
            ["p_Ben", "p_Cem"],
            "without this participant"
        );
        recent(&mut state, Some("Dan"));
        recent(&mut state, Some("Ben"));
        let three = recent(&mut state, Some("Eve"));
        assert_eq!(three, ["p_Ben", "p_Dan", "p_Eve"]);
        state.apply(&ServerMessage::CallLeft {
            id: id("Dan"),
            leg: 3,
            away: false,
        });
        assert_eq!(recent(&mut state, None), ["p_Ben", "p_Eve"]);
    }

    #[test]
    fn a_problem_replaces_the_one_before_it() {
        let mut state = in_call();
        state.set_problem(DeviceKind::Camera, Some(Cause::Refused));
        state.set_problem(DeviceKind::Camera, Some(Cause::InUse));
        assert_eq!(state.problems.len(), 1);
        state.set_problem(DeviceKind::Camera, None);
        assert!(state.problems.is_empty());
    }
}
