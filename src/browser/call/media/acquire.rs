//! Requests for devices, their answers, and devices that appear and disappear.

use crate::browser::call::media::Media;
use crate::browser::call::media::devices;
use crate::protocol::{Devices, Source};
use crate::state::call::{CallStateStoreFields, Capture, Cause, DeviceKind, Notice};
use leptos::prelude::*;
use std::cell::Cell;
use std::rc::Rc;
use web_sys::MediaStreamTrack;

/// Requests to the browser for one kind of device. Only the result of the last one counts;
/// cancelling invalidates every result.
#[derive(Default)]
pub(super) struct PendingRequest {
    pub(super) generation: Cell<u32>,
    pub(super) pending: Cell<bool>,
}

impl PendingRequest {
    pub(super) fn start(&self) -> u32 {
        self.pending.set(true);
        self.generation.set(self.generation.get() + 1);
        self.generation.get()
    }

    pub(super) fn cancel(&self) {
        self.pending.set(false);
        self.generation.set(self.generation.get() + 1);
    }
}

impl Media {
    /// A device was connected or disconnected.
    pub fn devices_changed(&self) {
        self.spawn(|media| async move {
            media.list().await;
            media.replace_lost();
        });
    }

    /// Replaces devices in use that were disconnected.
    pub(super) fn replace_lost(&self) {
        let choices = self.state.choices().get_untracked();
        let (camera, microphone) = {
            let tracks = self.tracks.borrow();
            (tracks.camera.is_some(), tracks.microphone.is_some())
        };
        if camera && choices.has_lost(DeviceKind::Camera) {
            self.device_ended(DeviceKind::Camera);
        }
        if microphone && choices.has_lost(DeviceKind::Microphone) {
            self.device_ended(DeviceKind::Microphone);
        }
        if choices.has_lost_speaker() {
            self.choose_speaker(String::new());
            self.state.notice().set(Some(Notice::SpeakerReplaced));
        }
    }

    pub(super) fn request(&self, wanted: Devices) {
        self.spawn(move |media| async move { media.acquire(wanted).await });
    }

    /// Requests the wanted devices: together, so that the browser prompts once; if that fails,
    /// each alone, so that the available ones are used.
    pub(super) async fn acquire(self: Rc<Self>, wanted: Devices) {
        let camera = wanted
            .camera
            .then(|| self.camera_preference.borrow().clone());
        let microphone = wanted
            .microphone
            .then(|| self.microphone_preference.borrow().clone());
        let questions = [
            (DeviceKind::Microphone, wanted.microphone),
            (DeviceKind::Camera, wanted.camera),
        ];
        let questions = questions.into_iter().filter(|(_, wanted)| *wanted);
        let questions: Vec<_> = questions
            .map(|(kind, _)| (kind, self.request_of(kind).start()))
            .collect();
        let answered = Rc::new(Cell::new(false));
        self.report_if_unanswered(wanted, answered.clone());
        let together = devices::ask(camera.as_ref(), microphone.as_ref()).await;
        let alone = together.is_err() && questions.len() > 1;
        for (kind, question) in questions {
            let answer = match kind {
                // The request was cancelled: do not open the device.
                _ if alone && !self.is_open(kind, question) => continue,
                DeviceKind::Camera if alone => devices::ask(camera.as_ref(), None).await,
                DeviceKind::Microphone if alone => devices::ask(None, microphone.as_ref()).await,
                _ => together.clone(),
            };
            self.take(question, kind, answer);
        }
        answered.set(true);
        self.list().await;
    }

    pub(super) fn request_of(&self, kind: DeviceKind) -> &PendingRequest {
        match kind {
            DeviceKind::Camera => &self.camera_request,
            DeviceKind::Microphone => &self.microphone_request,
        }
    }

    /// Whether this request is the last one of its kind and not cancelled.
    pub(super) fn is_open(&self, kind: DeviceKind, question: u32) -> bool {
        let request = self.request_of(kind);
        request.pending.get() && request.generation.get() == question
    }

    /// Shows a problem if the browser takes long; a later result still counts.
    pub(super) fn report_if_unanswered(&self, wanted: Devices, answered: Rc<Cell<bool>>) {
        let stay = self.stay.get();
        self.spawn(move |media| async move {
            devices::answer_timeout().await;
            if !answered.get() && stay == media.stay.get() {
                let kind = if wanted.camera {
                    DeviceKind::Camera
                } else {
                    DeviceKind::Microphone
                };
                media.state.problems().update(|problems| {
                    problems.retain(|problem| problem.kind != kind);
                    problems.push(crate::state::call::Problem {
                        kind,
                        cause: Cause::NoAnswer,
                    });
                });
            }
        });
    }

    /// Uses the result of a request.
    pub(super) fn take(
        &self,
        question: u32,
        kind: DeviceKind,
        answer: Result<Vec<MediaStreamTrack>, Cause>,
    ) {
        let sort = match kind {
            DeviceKind::Camera => "video",
            DeviceKind::Microphone => "audio",
        };
        let found = answer.map(|tracks| tracks.into_iter().find(|track| track.kind() == sort));
        if !self.is_open(kind, question) {
            if let Ok(Some(track)) = found {
                track.stop();
            }
            return;
        }
        self.request_of(kind).pending.set(false);
        match found {
            Ok(Some(track)) => self.use_track(kind, track),
            Ok(None) => self.has_problem(kind, Some(Cause::NotFound)),
            // The chosen device is gone: use the default one.
            Err(Cause::Gone) if self.forget_choice(kind) => self.request(only(kind)),
            Err(cause) => {
                self.has_problem(kind, Some(cause));
                self.lost(kind);
            }
        }
    }

    pub(super) fn use_track(&self, kind: DeviceKind, track: MediaStreamTrack) {
        let device_id = devices::device_of(&track);
        self.has_problem(kind, None);
        if self.was_unplugged(kind) {
            self.state.notice().set(Some(Notice::Replaced(kind)));
        }
        match kind {
            DeviceKind::Camera => {
                let rear = devices::facing_of(&track).as_deref() == Some("environment");
                self.state.rear().set(rear);
                let camera = self.device_track(kind, track);
                self.tracks.borrow_mut().camera = Some(camera);
                self.state
                    .choices()
                    .update(|choices| choices.camera = device_id);
                self.source_changed(Source::Camera);
            }
            DeviceKind::Microphone => {
                let muted = self
                    .tracks
                    .borrow()
                    .of(Source::Microphone)
                    .is_some_and(|sound| !sound.enabled());
                track.set_enabled(!muted && !self.held_off.get().microphone);
                let microphone = self.device_track(kind, track);
                self.tracks.borrow_mut().microphone = Some(microphone);
                self.state
                    .choices()
                    .update(|choices| choices.microphone = device_id);
                self.source_changed(Source::Microphone);
            }
        }
        self.announce_device(kind);
    }

    /// Records that the system muted or unmuted a device.
    pub(super) fn set_muted(&self, kind: DeviceKind, is_muted: bool) {
        let mut muted = self.muted.get();
        *flag(&mut muted, kind) = is_muted;
        self.muted.set(muted);
    }

    /// Announces the state of a device to the others and updates the notice.
    pub(super) fn announce_device(&self, kind: DeviceKind) {
        let capture = self.capture(kind);
        let other = self.capture(kind.other());
        self.switch(|devices| *flag(devices, kind) = capture.delivers());
        self.state.notice().maybe_update(|notice| {
            let before = *notice;
            *notice = capture.notice(kind, other, before);
            *notice != before
        });
    }

    /// The current state of a device.
    fn capture(&self, kind: DeviceKind) -> Capture {
        let mut muted = self.muted.get();
        Capture {
            wanted: self.is_wanted(kind),
            muted: *flag(&mut muted, kind),
        }
    }

    /// Whether the user has a device on, muted by the system or not.
    fn is_wanted(&self, kind: DeviceKind) -> bool {
        let tracks = self.tracks.borrow();
        match kind {
            DeviceKind::Camera => tracks.camera.is_some(),
            DeviceKind::Microphone => {
                let sound = tracks.of(Source::Microphone);
                sound.is_some_and(MediaStreamTrack::enabled)
            }
        }
    }

    /// The track of a device ended: it was disconnected and is replaced.
    pub(super) fn device_ended(&self, kind: DeviceKind) {
        self.forget_choice(kind);
        let mut unplugged = self.unplugged.get();
        *flag(&mut unplugged, kind) = true;
        self.unplugged.set(unplugged);
        self.request(only(kind));
    }

    /// Whether the device of this kind was disconnected. Resets the flag.
    pub(super) fn was_unplugged(&self, kind: DeviceKind) -> bool {
        let mut unplugged = self.unplugged.get();
        let was = std::mem::take(flag(&mut unplugged, kind));
        self.unplugged.set(unplugged);
        was
    }

    pub(super) fn forget_choice(&self, kind: DeviceKind) -> bool {
        let preference = match kind {
            DeviceKind::Camera => &self.camera_preference,
            DeviceKind::Microphone => &self.microphone_preference,
        };
        !std::mem::take(&mut preference.borrow_mut().device_id).is_empty()
    }

    /// No device of this kind is left.
    pub(super) fn lost(&self, kind: DeviceKind) {
        self.was_unplugged(kind);
        match kind {
            DeviceKind::Camera => self.drop_camera(),
            DeviceKind::Microphone
                if self
                    .tracks
                    .borrow()
                    .of(Source::Microphone)
                    .is_some_and(is_live) => {}
            DeviceKind::Microphone => {
                self.tracks.borrow_mut().microphone = None;
                self.set_muted(kind, false);
                self.announce_device(kind);
                self.source_changed(Source::Microphone);
            }
        }
    }

    pub(super) fn has_problem(&self, kind: DeviceKind, cause: Option<Cause>) {
        self.state.update(|state| state.set_problem(kind, cause));
    }

    pub(super) fn list_devices(&self) {
        self.spawn(|media| async move { media.list().await });
    }

    pub(super) async fn list(&self) {
        let [cameras, microphones, speakers] = devices::list().await;
        self.state.choices().update(|choices| {
            choices.cameras = cameras;
            choices.microphones = microphones;
            choices.speakers = speakers;
            choices.speaker_can_change = devices::speaker_can_change();
            choices.screen_cannot_be_shared = !devices::screen_can_be_shared();
        });
    }
}

fn is_live(track: &MediaStreamTrack) -> bool {
    track.ready_state() == web_sys::MediaStreamTrackState::Live
}

pub(super) fn only(kind: DeviceKind) -> Devices {
    let (camera, microphone) = (kind == DeviceKind::Camera, kind == DeviceKind::Microphone);
    Devices {
        camera,
        microphone,
        ..Devices::default()
    }
}

pub(super) fn flag(devices: &mut Devices, kind: DeviceKind) -> &mut bool {
    match kind {
        DeviceKind::Camera => &mut devices.camera,
        DeviceKind::Microphone => &mut devices.microphone,
    }
}
