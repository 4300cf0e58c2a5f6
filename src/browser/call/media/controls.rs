//! Switches and choices of the person while in the call.

use crate::browser::call::media::devices::{self, DevicePreference};
use crate::browser::call::media::{Media, acquire::only};
use crate::protocol::{Devices, Source};
use crate::state::call::{CallStateStoreFields, DeviceKind};
use leptos::prelude::*;

impl Media {
    /// Mutes or unmutes; asks for a microphone where there is none. While the browser
    /// has not answered yet it is on its way already.
    pub fn toggle_microphone(&self) {
        if !self.is_staying() {
            return;
        }
        let sound = self.tracks.borrow().of(Source::Microphone).cloned();
        match sound {
            Some(sound) => {
                // A microphone muted by the system shows as off: a press means on.
                let held = self.held.get().microphone;
                sound.set_enabled(held || !sound.enabled());
                self.tell_held(DeviceKind::Microphone);
            }
            None if self.microphone_request.pending.get() => {}
            None => self.want(only(DeviceKind::Microphone)),
        }
    }

    /// Switches the camera off, light included, or on. Off also while another camera is
    /// about to take its place.
    pub fn toggle_camera(&self) {
        if !self.is_staying() {
            return;
        }
        if self.state.devices().read_untracked().camera {
            self.camera_request.cancel();
            self.was_unplugged(DeviceKind::Camera);
            self.drop_camera();
        } else if self.held.get().camera && self.tracks.borrow().camera.is_some() {
            // It is on, and comes back when the system lets it.
            self.tell_held(DeviceKind::Camera);
        } else if !self.camera_request.pending.get() {
            self.want(only(DeviceKind::Camera));
        }
    }

    /// Switches off for good what the system holds back: it does not come back by itself.
    pub fn keep_off(&self, kind: DeviceKind) {
        match kind {
            DeviceKind::Camera => self.drop_camera(),
            DeviceKind::Microphone => {
                let sound = self.tracks.borrow().of(Source::Microphone).cloned();
                if let Some(sound) = sound {
                    sound.set_enabled(false);
                }
                self.tell_held(kind);
            }
        }
    }

    /// Switches the camera off, its light included.
    pub(super) fn drop_camera(&self) {
        self.tracks.borrow_mut().camera = None;
        self.set_held(DeviceKind::Camera, false);
        self.tell_held(DeviceKind::Camera);
        self.source_changed(Source::Camera);
    }

    /// Shares the screen beside the camera, with its sound where the browser gives that,
    /// or stops sharing it.
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
            if stay != media.stay.get() {
                tracks.iter().for_each(web_sys::MediaStreamTrack::stop);
                return;
            }
            media.share(tracks);
        });
    }

    /// Shares what the browser gave.
    fn share(&self, given: Vec<web_sys::MediaStreamTrack>) {
        let (mut screen, mut audio) = (None, None);
        for track in given {
            if track.kind() == "audio" {
                audio = Some(self.track(track, Self::end_screen_audio));
            } else {
                // Text stays sharp where motion may suffer (W3C MST Content Hints).
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

    /// Uses another camera; one that is off stays off.
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

    /// Changes between the front and the rear camera; where cameras do not say which
    /// way they look, to the next one.
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
            self.want(only(DeviceKind::Camera));
        }
    }

    /// Uses another microphone; one that is muted stays muted.
    pub fn choose_microphone(&self, device_id: String) {
        *self.microphone_preference.borrow_mut() = DevicePreference {
            device_id: device_id.clone(),
            rear: false,
        };
        self.state
            .choices()
            .update(|choices| choices.microphone = device_id);
        if self.tracks.borrow().microphone.is_some() || self.microphone_request.pending.get() {
            self.want(only(DeviceKind::Microphone));
        }
    }

    /// Plays the others through another speaker.
    pub fn choose_speaker(&self, device_id: String) {
        self.state
            .choices()
            .update(|choices| choices.speaker = device_id);
        // Every element is attached again and then uses the chosen speaker.
        self.state.links().update(|links| {
            links.values_mut().for_each(|link| link.version += 1);
        });
    }

    /// Asks again for what had a problem.
    pub fn retry_devices(&self) {
        let problems = self.state.problems().get_untracked();
        let has = |kind| problems.iter().any(|problem| problem.kind == kind);
        let (camera, microphone) = (has(DeviceKind::Camera), has(DeviceKind::Microphone));
        self.want(Devices {
            camera,
            microphone,
            ..Devices::default()
        });
    }
}
