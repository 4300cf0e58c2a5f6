//! Cameras, microphones and speakers: available devices, their state and their problems.

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Video input (`videoinput`).
    Camera,
    /// Audio input (`audioinput`).
    Microphone,
}

impl DeviceKind {
    /// The other kind.
    pub fn other(self) -> Self {
        match self {
            Self::Camera => Self::Microphone,
            Self::Microphone => Self::Camera,
        }
    }
}

/// A device that the user can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChoice {
    /// The `deviceId` of the browser.
    pub id: String,
    /// The label of the browser; empty before permission is granted.
    pub label: String,
}

/// The state of a capture device of this participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// Whether the user has switched it on.
    pub wanted: bool,
    /// Whether its track is muted by the system (W3C Media Capture 4.3.1).
    pub muted: bool,
}

impl Capture {
    /// Whether the track delivers media. Announced to the others.
    pub fn delivers(self) -> bool {
        self.wanted && !self.muted
    }

    /// Whether the device is on, but muted by the system.
    pub fn is_muted(self) -> bool {
        self.wanted && self.muted
    }

    /// The notice to show for this device of `kind` after the notice `before`. `other` is the
    /// device of the other kind. A notice of blocked sound has priority, because a tap resolves it.
    pub fn notice(self, kind: DeviceKind, other: Self, before: Option<Notice>) -> Option<Notice> {
        match (self.is_muted(), before) {
            (true, Some(Notice::SoundBlocked)) => before,
            (true, _) => Some(Notice::Muted(kind)),
            (false, Some(Notice::Muted(shown))) if shown == kind => {
                other.is_muted().then_some(Notice::Muted(kind.other()))
            }
            (false, before) => before,
        }
    }
}

/// A device event that the user did not cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The device in use was disconnected and another one replaced it.
    Replaced(DeviceKind),
    /// The system muted a device that is on.
    Muted(DeviceKind),
    /// The chosen speaker was disconnected and the default one replaced it.
    SpeakerReplaced,
    /// The autoplay policy blocks sound until the user interacts with the page.
    SoundBlocked,
}

/// The available devices and the chosen ones. An empty id is the default device.
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
    /// Whether this browser can select an audio output (`setSinkId`).
    pub speaker_can_change: bool,
    /// Whether this browser lacks `getDisplayMedia`, as on phones.
    pub screen_cannot_be_shared: bool,
}

/// A problem with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The kind of the device.
    pub kind: DeviceKind,
    /// Why the device cannot be used.
    pub cause: Cause,
}

/// Why a device cannot be used (W3C Media Capture 10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The user or a permissions policy denied access (`NotAllowedError`).
    Refused,
    /// The operating system denied access.
    RefusedBySystem,
    /// There is no device of this kind (`NotFoundError`).
    NotFound,
    /// Another application uses the device (`NotReadableError`).
    InUse,
    /// The chosen device is no longer connected (`OverconstrainedError`).
    Gone,
    /// The browser has not replied; its permission prompt may still be open.
    NoAnswer,
    /// The page is not a secure context (HTTPS or localhost).
    Insecure,
    /// Any other error of the browser.
    Unknown,
}

impl Choices {
    /// The camera after the one in use, cyclically; `None` if there is no other.
    pub fn next_camera(&self) -> Option<&str> {
        let place = self.cameras.iter().position(|c| c.id == self.camera);
        let next = place.map_or(0, |place| (place + 1) % self.cameras.len().max(1));
        let next = self.cameras.get(next)?;
        (next.id != self.camera).then_some(next.id.as_str())
    }

    /// Whether the device in use has left the list. False for a list without ids: browsers hide
    /// them until permission is granted.
    pub fn has_lost(&self, kind: DeviceKind) -> bool {
        let (list, chosen) = match kind {
            DeviceKind::Camera => (&self.cameras, &self.camera),
            DeviceKind::Microphone => (&self.microphones, &self.microphone),
        };
        is_missing(list, chosen)
    }

    /// Whether the chosen speaker has left the list.
    pub fn has_lost_speaker(&self) -> bool {
        is_missing(&self.speakers, &self.speaker)
    }
}

fn is_missing(list: &[DeviceChoice], chosen: &str) -> bool {
    let known = list.iter().any(|device| !device.id.is_empty());
    known && !chosen.is_empty() && list.iter().all(|device| device.id != chosen)
}

/// The cause of a failed `getUserMedia`, from the name and message of its `DOMException`.
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
    fn a_device_muted_by_the_system_is_announced_as_off_until_it_is_unmuted() {
        let kind = DeviceKind::Microphone;
        let capture = |wanted, muted| Capture { wanted, muted };
        let on = capture(true, false);
        let notice = capture(true, true).notice(kind, on, None);
        assert_eq!(
            (capture(true, true).delivers(), notice),
            (false, Some(Notice::Muted(kind)))
        );
        let unmuted = capture(true, false);
        assert_eq!(
            (unmuted.delivers(), unmuted.notice(kind, on, notice)),
            (true, None)
        );
        // A device that is off gets no notice and does not switch itself on.
        let off = capture(false, true);
        assert_eq!(
            (off.delivers(), off.notice(kind, on, notice)),
            (false, None)
        );
        assert!(!capture(false, false).delivers());
        // A notice about another device stays.
        let other = Some(Notice::Muted(DeviceKind::Camera));
        assert_eq!(unmuted.notice(kind, on, other), other);
    }

    #[test]
    fn a_device_that_stays_muted_keeps_its_notice() {
        let (camera, microphone) = (DeviceKind::Camera, DeviceKind::Microphone);
        let muted = Capture {
            wanted: true,
            muted: true,
        };
        let unmuted = Capture {
            muted: false,
            ..muted
        };
        let both = muted.notice(camera, muted, Some(Notice::Muted(microphone)));
        assert_eq!(both, Some(Notice::Muted(camera)));
        assert_eq!(
            unmuted.notice(camera, muted, both),
            Some(Notice::Muted(microphone))
        );
        // The notice of blocked sound stays.
        let blocked = Some(Notice::SoundBlocked);
        assert_eq!(muted.notice(camera, unmuted, blocked), blocked);
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
