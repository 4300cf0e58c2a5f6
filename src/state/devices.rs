//! Cameras, microphones and speakers: what there is to choose from, and what is wrong.

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Video input (`videoinput`).
    Camera,
    /// Audio input (`audioinput`).
    Microphone,
}

impl DeviceKind {
    /// The kind that this one is not.
    pub fn other(self) -> Self {
        match self {
            Self::Camera => Self::Microphone,
            Self::Microphone => Self::Camera,
        }
    }
}

/// A device to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChoice {
    /// The browser's id for it.
    pub id: String,
    /// What it is called; empty before a permission is given.
    pub label: String,
}

/// What a device of one's own gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// The person has it on.
    pub wanted: bool,
    /// The system holds it back (the `mute` event of W3C Media Capture 4.3.1).
    pub held: bool,
}

impl Capture {
    /// Whether the others receive it; announced to them.
    pub fn gives(self) -> bool {
        self.wanted && !self.held
    }

    /// Whether it is on, and the system holds it back.
    pub fn is_held_back(self) -> bool {
        self.wanted && self.held
    }

    /// The notice to show for this device of `kind` after the notice `before`; `other` is the
    /// device of the other kind. Blocked sound comes first: a press starts it.
    pub fn notice(self, kind: DeviceKind, other: Self, before: Option<Notice>) -> Option<Notice> {
        match (self.is_held_back(), before) {
            (true, Some(Notice::SoundBlocked)) => before,
            (true, _) => Some(Notice::Held(kind)),
            (false, Some(Notice::Held(told))) if told == kind => {
                other.is_held_back().then_some(Notice::Held(kind.other()))
            }
            (false, before) => before,
        }
    }
}

/// Something that happened without anybody asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The device in use went away, another took its place.
    Replaced(DeviceKind),
    /// The system holds the device back, which is on.
    Held(DeviceKind),
    /// The chosen speaker went away, the default one plays.
    SpeakerReplaced,
    /// The browser plays nothing before the person touches the page.
    SoundBlocked,
}

/// What there is to choose from, and what is chosen; an empty id is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Cameras that the browser lists.
    pub cameras: Vec<DeviceChoice>,
    /// Microphones that the browser lists.
    pub microphones: Vec<DeviceChoice>,
    /// Speakers that the browser lists.
    pub speakers: Vec<DeviceChoice>,
    /// The camera in use.
    pub camera: String,
    /// The microphone in use.
    pub microphone: String,
    /// The speaker in use.
    pub speaker: String,
    /// Whether this browser can play through another speaker.
    pub speaker_can_change: bool,
    /// Whether this browser shares no screens, as on phones.
    pub screen_cannot_be_shared: bool,
}

/// Something is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem {
    /// With which kind.
    pub kind: DeviceKind,
    /// Why the device cannot be used.
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
    /// The browser gives no known reason.
    Unknown,
}

impl Choices {
    /// The camera after the one in use, cyclically; none if there is only one.
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

    #[test]
    fn a_device_muted_by_the_system_is_off_for_others_and_returns_by_itself() {
        let kind = DeviceKind::Microphone;
        let held = |wanted, held| Capture { wanted, held };
        let on = held(true, false);
        let told = held(true, true).notice(kind, on, None);
        assert_eq!(
            (held(true, true).gives(), told),
            (false, Some(Notice::Held(kind)))
        );
        let back = held(true, false);
        assert_eq!((back.gives(), back.notice(kind, on, told)), (true, None));
        // A device that is off gets no notice and does not switch itself on.
        let off = held(false, true);
        assert_eq!((off.gives(), off.notice(kind, on, told)), (false, None));
        assert!(!held(false, false).gives());
        // What is said of something else stays.
        let other = Some(Notice::Held(DeviceKind::Camera));
        assert_eq!(back.notice(kind, on, other), other);
    }

    #[test]
    fn a_device_that_stays_held_back_keeps_its_notice() {
        let (camera, microphone) = (DeviceKind::Camera, DeviceKind::Microphone);
        let held = Capture {
            wanted: true,
            held: true,
        };
        let back = Capture {
            held: false,
            ..held
        };
        let both = held.notice(camera, held, Some(Notice::Held(microphone)));
        assert_eq!(both, Some(Notice::Held(camera)));
        assert_eq!(
            back.notice(camera, held, both),
            Some(Notice::Held(microphone))
        );
        // The notice of blocked sound stays.
        let blocked = Some(Notice::SoundBlocked);
        assert_eq!(held.notice(camera, back, blocked), blocked);
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
}
