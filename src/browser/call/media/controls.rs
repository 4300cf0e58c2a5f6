//! The user's device controls during the call.

use crate::browser::call::media::devices::{self, DevicePreference};
use crate::browser::call::media::{Media, acquire::only};
use crate::protocol::{Devices, Source};
use crate::state::call::{CallStateStoreFields, DeviceKind};
use leptos::prelude::*;

impl Media {
    /// Mutes or unmutes the microphone; requests one if there is none, unless a request is
    /// pending.
    pub fn toggle_microphone(&self) {
        if !self.is_staying() {
            return;
        }
        let sound = self.tracks.borrow().of(Source::Microphone).cloned();
        match sound {
            Some(sound) => {
                // A microphone muted by the system is shown as off: a press switches it on.
                let muted = self.muted.get().microphone;
                sound.set_enabled(muted || !sound.enabled());
                self.announce_device(DeviceKind::Microphone);
            }
            None if self.microphone_request.pending.get() => {}
            None => self.request(only(DeviceKind::Microphone)),
        }
    }

    /// Switches the camera on or off. Off stops the track and cancels a pending request.
    pub fn toggle_camera(&self) {
        if !self.is_staying() {
            return;
        }
        if self.state.devices().read_untracked().camera {
            self.camera_request.cancel();
            self.was_unplugged(DeviceKind::Camera);
            self.drop_camera();
        } else if self.muted.get().camera && self.tracks.borrow().camera.is_some() {
            // The camera is on and resumes when the system unmutes it.
            self.announce_device(DeviceKind::Camera);
        } else if !self.camera_request.pending.get() {
            self.request(only(DeviceKind::Camera));
        }
    }

    /// Switches off a device that the system muted, so that it does not resume by itself.
    pub fn keep_off(&self, kind: DeviceKind) {
        match kind {
            DeviceKind::Camera => self.drop_camera(),
            DeviceKind::Microphone => {
                let sound = self.tracks.borrow().of(Source::Microphone).cloned();
                if let Some(sound) = sound {
                    sound.set_enabled(false);
                }
                self.announce_device(kind);
            }
        }
    }

    /// Stops the camera's track.
    pub(super) fn drop_camera(&self) {
        self.tracks.borrow_mut().camera = None;
        self.set_muted(DeviceKind::Camera, false);
        self.announce_device(DeviceKind::Camera);
        self.source_changed(Source::Camera);
    }

    /// Shares the screen beside the camera, with its audio if the browser provides it, or stops
    /// sharing.
    pub fn toggle_screen(&self) {
        if !self.is_staying() {
            return;
        }
        if self.tracks.borrow().screen.is_some() {
            self.end_screen();
            return;
        }
        self.spawn(|media| async move {
            let stay = media.stay.get();
            let Ok(tracks) = devices::ask_screen().await else {
                return;
            };
            if stay != media.stay.get() || media.held_off.get().screen {
                tracks.iter().for_each(web_sys::MediaStreamTrack::stop);
                return;
            }
            media.share(tracks);
        });
    }

    /// Shares the tracks of `getDisplayMedia`.
    fn share(&self, given: Vec<web_sys::MediaStreamTrack>) {
        let (mut screen, mut audio) = (None, None);
        for track in given {
            if track.kind() == "audio" {
                audio = Some(self.track(track, Self::end_screen_audio));
            } else {
                // Prefer resolution over frame rate, for text (W3C MST Content Hints).
                let _ = js_sys::Reflect::set(&track, &"contentHint".into(), &"detail".into());
                screen = Some(self.track(track, Self::end_screen));
            }
        }
        {
            let mut tracks = self.tracks.borrow_mut();
            (tracks.screen, tracks.screen_audio) = (screen, audio);
        }
        self.switch(|devices| devices.screen = true);
        self.source_changed(Source::Screen);
        self.source_changed(Source::ScreenAudio);
    }

    fn end_screen_audio(&self) {
        self.tracks.borrow_mut().screen_audio = None;
        self.source_changed(Source::ScreenAudio);
    }

    pub(super) fn end_screen(&self) {
        self.tracks.borrow_mut().screen = None;
        self.end_screen_audio();
        self.switch(|devices| devices.screen = false);
        self.source_changed(Source::Screen);
    }

    /// Selects another camera; a camera that is off stays off.
    pub fn choose_camera(&self, device_id: String) {
        *self.camera_preference.borrow_mut() = DevicePreference {
            device_id: device_id.clone(),
            rear: false,
        };
        self.state
            .choices()
            .update(|choices| choices.camera = device_id);
        self.reopen_camera();
    }

    /// Switches between the front and the rear camera, or to the next camera if they report no
    /// facing mode.
    pub fn flip_camera(&self) {
        let facing = self
            .tracks
            .borrow()
            .camera
            .as_ref()
            .and_then(|camera| devices::facing_of(&camera.track));
        let choices = self.state.choices().get_untracked();
        match (facing, choices.next_camera()) {
            (None, Some(next)) => self.choose_camera(next.to_owned()),
            _ => self.turn_camera(),
        }
    }

    pub(super) fn turn_camera(&self) {
        let rear = !self.camera_preference.borrow().rear;
        *self.camera_preference.borrow_mut() = DevicePreference {
            device_id: String::new(),
            rear,
        };
        self.reopen_camera();
    }

    pub(super) fn reopen_camera(&self) {
        if self.tracks.borrow().camera.is_some() || self.camera_request.pending.get() {
            // Some phones cannot open the second camera before the first is closed.
            self.tracks.borrow_mut().camera = None;
            self.request(only(DeviceKind::Camera));
        }
    }

    /// Selects another microphone; a muted one stays muted.
    pub fn choose_microphone(&self, device_id: String) {
        *self.microphone_preference.borrow_mut() = DevicePreference {
            device_id: device_id.clone(),
            rear: false,
        };
        self.state
            .choices()
            .update(|choices| choices.microphone = device_id);
        if self.tracks.borrow().microphone.is_some() || self.microphone_request.pending.get() {
            self.request(only(DeviceKind::Microphone));
        }
    }

    /// Selects another speaker.
    pub fn choose_speaker(&self, device_id: String) {
        self.state
            .choices()
            .update(|choices| choices.speaker = device_id);
        // Increments the versions, so that every element is attached again with the new speaker.
        self.state.links().update(|links| {
            links.values_mut().for_each(|link| link.version += 1);
        });
    }

    /// Requests the devices that had a problem again.
    pub fn retry_devices(&self) {
        let problems = self.state.problems().get_untracked();
        let has = |kind| problems.iter().any(|problem| problem.kind == kind);
        let (camera, microphone) = (has(DeviceKind::Camera), has(DeviceKind::Microphone));
        self.request(Devices {
            camera,
            microphone,
            ..Devices::default()
        });
    }
}
