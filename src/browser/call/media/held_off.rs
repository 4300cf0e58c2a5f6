//! Devices that a host switched off, or that the room does not allow to this participant.

use crate::browser::call::media::Media;
use crate::protocol::{Devices, Source};
use crate::state::call::{CallStateStoreFields, DeviceKind};
use crate::state::standing::both;
use leptos::prelude::*;

/// The device of a source.
fn flag(devices: &mut Devices, source: Source) -> &mut bool {
    match source {
        Source::Microphone => &mut devices.microphone,
        Source::Camera => &mut devices.camera,
        Source::Screen | Source::ScreenAudio => &mut devices.screen,
    }
}

impl Media {
    /// Switches these devices off, and keeps those off that a pending request will bring. Returns
    /// the devices that were on.
    pub fn hold_off(&self, held: Devices) -> Devices {
        self.held_off.set(held);
        let were_on = both(held, self.state.devices().get_untracked());
        if held.microphone {
            let sound = self.tracks.borrow().of(Source::Microphone).cloned();
            if let Some(sound) = sound.filter(web_sys::MediaStreamTrack::enabled) {
                sound.set_enabled(false);
                self.announce_device(DeviceKind::Microphone);
            }
        }
        if held.camera {
            self.camera_request.cancel();
            if self.tracks.borrow().camera.is_some() {
                self.was_unplugged(DeviceKind::Camera);
                self.drop_camera();
            }
        }
        if held.screen && self.tracks.borrow().screen.is_some() {
            self.end_screen();
        }
        were_on
    }

    /// Whether the device of a source is on.
    pub fn is_on(&self, source: Source) -> bool {
        *flag(&mut self.state.devices().get_untracked(), source)
    }

    /// The user switches a device on. One that a host holds off is announced as unmuted.
    pub fn release(&self, source: Source) {
        let (mut held, mut unmuting) = (self.held_off.get(), self.unmuting.get());
        *flag(&mut unmuting, source) |= std::mem::take(flag(&mut held, source));
        self.held_off.set(held);
        self.unmuting.set(unmuting);
    }

    /// What the user switched on last although a host had held it off. Resets it.
    pub fn take_unmuted(&self) -> Devices {
        self.unmuted.take()
    }
}
