//! The call as one person sees it: who is in it, one's own devices, and how each
//! connection is. Plain data; [`CallState::apply`] takes in what the server says, the
//! browser's driver writes the rest.

use crate::protocol::{CallPerson, Devices, ErrorCode, Leg, ParticipantId, ServerMessage};
use reactive_stores::Store;
use std::collections::HashMap;

/// The call as one person sees it.
#[derive(Debug, Clone, Default, PartialEq, Store)]
pub struct CallState {
    /// Oneself, once the server has said so.
    pub me: Option<ParticipantId>,
    /// Everybody in the call, in order of arrival in the room, oneself included.
    pub people: Vec<CallPerson>,
    /// Whether one is in it oneself.
    pub stage: CallStage,
    /// What is on of one's own.
    pub devices: Devices,
    /// How the connection to each of the others is.
    pub links: HashMap<ParticipantId, Link>,
    /// Counts the changes of one's own picture.
    pub own_version: u32,
    /// What there is to choose from.
    pub choices: Choices,
    /// What is wrong with a device, at most one for each kind.
    pub problems: Vec<Problem>,
    /// What happened without anybody asking for it, until it is waved away.
    pub notice: Option<Notice>,
    /// One's own camera looks away from oneself: its picture is not mirrored.
    pub rear: bool,
}

/// Something that happened without anybody asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The device in use went away, another took its place.
    Replaced(DeviceKind),
    /// The chosen speaker went away, the default one plays.
    SpeakerReplaced,
    /// The browser plays nothing before the person touches the page.
    SoundBlocked,
}

/// Whether one is in the call oneself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallStage {
    /// Not asked for.
    #[default]
    Out,
    /// Asked for; the server has not answered.
    Entering,
    /// In it.
    In,
    /// It holds as many people as it may.
    Full,
}

/// The connection to somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// How it is.
    pub state: LinkState,
    /// Counts the changes of their stream.
    pub version: u32,
}

/// How a connection is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Not up yet.
    #[default]
    Connecting,
    /// Up.
    Connected,
    /// Was up, is being mended.
    Reconnecting,
}

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
}

/// A device to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChoice {
    /// The browser's id for it.
    pub id: String,
    /// What it is called; empty before a permission is given.
    pub label: String,
}

/// What there is to choose from, and what is chosen; an empty id is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Cameras.
    pub cameras: Vec<DeviceChoice>,
    /// Microphones.
    pub microphones: Vec<DeviceChoice>,
    /// Speakers.
    pub speakers: Vec<DeviceChoice>,
    /// The camera in use.
    pub camera: String,
    /// The microphone in use.
    pub microphone: String,
    /// The speaker in use.
    pub speaker: String,
    /// Whether this browser can play through another speaker.
    pub speaker_can_change: bool,
}

/// Something is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem {
    /// With which kind.
    pub kind: DeviceKind,
    /// What.
    pub cause: Cause,
}

/// Why a device cannot be used (W3C Media Capture 10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The person, or a policy, said no (`NotAllowedError`).
    Refused,
    /// The operating system said no.
    RefusedBySystem,
    /// There is none (`NotFoundError`).
    NotFound,
    /// Another application has it (`NotReadableError`).
    InUse,
    /// The chosen one is not there any more (`OverconstrainedError`).
    Gone,
    /// The browser does not answer; perhaps its question is still open.
    NoAnswer,
    /// The page is not secure: browsers give devices to HTTPS and localhost only.
    Insecure,
    /// Anything else.
    Unknown,
}

/// A tile of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Who.
    pub id: ParticipantId,
    /// Oneself.
    pub mine: bool,
    /// What they have switched on.
    pub devices: Devices,
    /// How the connection to them is; one's own is always up.
    pub link: Link,
}

impl CallState {
    /// Takes in what a message says of the call. True where anything changed.
    pub fn apply(&mut self, message: &ServerMessage) -> bool {
        match message {
            ServerMessage::Joined(joined) => {
                self.me = Some(joined.me.clone());
                self.people = joined.call.clone();
            }
            ServerMessage::Call { people, .. } => {
                self.people = people.clone();
                // An answer that comes after one has left again changes nothing.
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
            ServerMessage::Devices { id, devices } => self.switch(id, *devices),
            ServerMessage::Error {
                code: ErrorCode::CallFull,
                ..
            } if self.stage != CallStage::Out => {
                self.stage = CallStage::Full;
            }
            _ => return false,
        }
        true
    }

    fn enter(&mut self, person: &CallPerson) {
        match self.people.iter_mut().find(|known| known.id == person.id) {
            Some(known) => *known = person.clone(),
            None => self.people.push(person.clone()),
        }
    }

    fn leave(&mut self, id: &ParticipantId, leg: Option<Leg>) {
        let goes =
            |person: &CallPerson| person.id == *id && leg.is_none_or(|leg| leg == person.leg);
        self.people.retain(|person| !goes(person));
    }

    fn switch(&mut self, id: &ParticipantId, devices: Devices) {
        if let Some(person) = self.people.iter_mut().find(|person| person.id == *id) {
            person.devices = devices;
        }
    }

    /// The tiles of the stage, one's own first; none while one is not in the call.
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
            id: me.clone(),
            mine: true,
            devices: self.devices,
            link,
        };
        let others = self.people.iter().filter(|person| person.id != *me);
        let others = others.map(|person| Tile {
            id: person.id.clone(),
            mine: false,
            devices: person.devices,
            link: self.links.get(&person.id).copied().unwrap_or_default(),
        });
        std::iter::once(mine).chain(others).collect()
    }

    /// A device works again, or has a problem.
    pub fn set_problem(&mut self, kind: DeviceKind, cause: Option<Cause>) {
        self.problems.retain(|problem| problem.kind != kind);
        self.problems
            .extend(cause.map(|cause| Problem { kind, cause }));
    }
}

impl Choices {
    /// The camera after the one in use, going round; none where there is no other.
    pub fn next_camera(&self) -> Option<&str> {
        let place = self.cameras.iter().position(|c| c.id == self.camera);
        let next = place.map_or(0, |place| (place + 1) % self.cameras.len().max(1));
        let next = self.cameras.get(next)?;
        (next.id != self.camera).then_some(next.id.as_str())
    }

    /// Whether the device in use is in the list no more. An empty list tells nothing:
    /// browsers keep it back until a permission is given.
    pub fn has_lost(&self, kind: DeviceKind) -> bool {
        let (list, chosen) = match kind {
            DeviceKind::Camera => (&self.cameras, &self.camera),
            DeviceKind::Microphone => (&self.microphones, &self.microphone),
        };
        is_missing(list, chosen)
    }

    /// Whether the chosen speaker is in the list no more.
    pub fn has_lost_speaker(&self) -> bool {
        is_missing(&self.speakers, &self.speaker)
    }
}

fn is_missing(list: &[DeviceChoice], chosen: &str) -> bool {
    let known = list.iter().any(|device| !device.id.is_empty());
    known && !chosen.is_empty() && list.iter().all(|device| device.id != chosen)
}

/// What a failed `getUserMedia` means, by the name and text of its `DOMException`.
pub fn cause_of(name: &str, text: &str) -> Cause {
    match name {
        "NotAllowedError" | "SecurityError" if text.contains("system") => Cause::RefusedBySystem,
        "NotAllowedError" | "SecurityError" => Cause::Refused,
        "NotFoundError" => Cause::NotFound,
        "NotReadableError" | "AbortError" => Cause::InUse,
        "OverconstrainedError" => Cause::Gone,
        "TypeError" => Cause::Insecure,
        _ => Cause::Unknown,
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
    fn ones_own_tile_comes_first_and_there_are_none_outside_the_call() {
        assert_eq!(names(&in_call()), ["p_Ann", "p_Ben"]);
        let outside = CallState {
            people: vec![person("Ben", 1)],
            ..CallState::default()
        };
        assert!(outside.tiles().is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_leaving_does_not_bring_one_back() {
        let mut state = in_call();
        state.stage = CallStage::Out;
        let people = vec![person("Ben", 1), person("Ann", 2)];
        state.apply(&ServerMessage::Call {
            people,
            ice_servers: vec![],
        });
        state.apply(&ServerMessage::Error {
            code: ErrorCode::CallFull,
            message: String::new(),
            id: None,
        });
        assert_eq!(state.stage, CallStage::Out);
        assert_eq!(state.people.len(), 2, "the room still sees who talks");
    }

    #[test]
    fn a_tile_goes_with_its_leg_and_not_with_a_former_one() {
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
    fn whoever_leaves_the_room_leaves_the_call() {
        let mut state = in_call();
        let nickname = crate::protocol::Nickname::parse("Ben").expect("valid");
        let gone = Person {
            id: id("Ben"),
            nickname,
        };
        state.apply(&ServerMessage::Left {
            person: gone,
            count: 1,
            away: false,
        });
        assert_eq!(names(&state), ["p_Ann"]);
    }

    #[test]
    fn others_switches_show_at_once() {
        let mut state = in_call();
        let devices = Devices {
            microphone: true,
            camera: false,
            screen: false,
        };
        state.apply(&ServerMessage::Devices {
            id: id("Ben"),
            devices,
        });
        assert_eq!(state.tiles()[1].devices, devices);
    }

    #[test]
    fn each_device_error_has_its_own_meaning() {
        assert_eq!(
            cause_of("NotAllowedError", "Permission denied"),
            Cause::Refused
        );
        assert_eq!(
            cause_of("NotAllowedError", "Permission denied by system"),
            Cause::RefusedBySystem
        );
        assert_eq!(cause_of("NotFoundError", ""), Cause::NotFound);
        assert_eq!(cause_of("NotReadableError", ""), Cause::InUse);
        assert_eq!(cause_of("OverconstrainedError", ""), Cause::Gone);
        assert_eq!(cause_of("Whatever", ""), Cause::Unknown);
    }

    fn choices(ids: &[&str], camera: &str) -> Choices {
        let device = |id: &&str| DeviceChoice {
            id: (*id).to_owned(),
            label: String::new(),
        };
        Choices {
            cameras: ids.iter().map(device).collect(),
            camera: camera.to_owned(),
            ..Choices::default()
        }
    }

    #[test]
    fn the_next_camera_goes_round_and_is_never_the_same() {
        assert_eq!(choices(&["a", "b"], "a").next_camera(), Some("b"));
        assert_eq!(choices(&["a", "b"], "b").next_camera(), Some("a"));
        assert_eq!(choices(&["a", "b"], "gone").next_camera(), Some("a"));
        assert_eq!(choices(&["a"], "a").next_camera(), None);
        assert_eq!(choices(&[], "a").next_camera(), None);
    }

    #[test]
    fn a_device_is_lost_when_the_list_knows_others_only() {
        assert!(choices(&["b"], "a").has_lost(DeviceKind::Camera));
        assert!(!choices(&["a", "b"], "a").has_lost(DeviceKind::Camera));
        assert!(!choices(&[""], "a").has_lost(DeviceKind::Camera), "no ids");
        assert!(!choices(&["b"], "").has_lost(DeviceKind::Camera), "none");
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
