//! Hosts and devices: requests of a host, and devices that a host switches off.

use crate::browser::dom::{host_link, storage};
use crate::browser::room::controller::RoomController;
use crate::protocol::{ClientMessage, Devices, ErrorCode, Joined, ParticipantId, Role, Source};
use crate::state::RoomStateStoreFields;
use crate::state::connection::Phase;
use crate::state::standing::{SwitchedOff, both, devices_of};
use leptos::prelude::*;

impl RoomController {
    /// Sends a request of a host. Without a connection the request is not done, and the page says so.
    pub fn moderate(&self, request: ClientMessage) {
        let is_sent = self.phase() == Phase::Live && self.send(&request);
        let refused = (!is_sent).then_some(ErrorCode::Unavailable);
        self.state.standing().maybe_update(|standing| {
            std::mem::replace(&mut standing.refused, refused) != standing.refused
        });
    }

    /// Switches the microphone on or off. What a host or the room does not allow stays off.
    pub fn toggle_microphone(&self) {
        if self.may_toggle(Source::Microphone) {
            self.media().toggle_microphone();
        }
    }

    /// Switches the camera on or off. What a host or the room does not allow stays off.
    pub fn toggle_camera(&self) {
        if self.may_toggle(Source::Camera) {
            self.media().toggle_camera();
        }
    }

    /// Shares the screen or stops sharing it. What a host or the room does not allow stays off.
    pub fn toggle_screen(&self) {
        if self.may_toggle(Source::Screen) {
            self.media().toggle_screen();
        }
    }

    /// Whether a source may be switched. One that is switched on is no longer muted by a host.
    fn may_toggle(&self, source: Source) -> bool {
        if self.media().is_on(source) {
            return true;
        }
        let standing = self.state.standing();
        if standing.read_untracked().restriction(source).is_some() {
            return false;
        }
        standing.update(|standing| {
            standing.unmute(|muted| devices_of(&[muted]) == devices_of(&[source]))
        });
        self.media().release(source);
        true
    }

    /// Switches off what must not be on. Returns the devices that were on.
    pub(super) fn hold_off(&self) -> Devices {
        let held = self.state.standing().read_untracked().held_off();
        self.media().hold_off(held)
    }

    /// A host switched sources of this participant off.
    pub(super) fn on_muted(&self, sources: &[Source], by: Option<&ParticipantId>) {
        let devices = both(self.hold_off(), devices_of(sources));
        if devices != Devices::default() {
            let by = by.cloned();
            self.state
                .standing()
                .update(|standing| standing.switched_off = Some(SwitchedOff { devices, by }));
        }
    }

    /// The server refused something: a device that was switched on is off again.
    pub(super) fn on_not_allowed(&self) {
        let devices = self.media().take_unmuted();
        if devices != Devices::default() {
            self.state
                .standing()
                .update(|standing| standing.on_unmute_refused(devices));
            self.hold_off();
        }
    }

    /// Keeps the key that made this participant a host; forgets one from a link that did not.
    pub(super) fn on_role_known(&self, joined: &Joined) {
        let shown = self.host_key.borrow_mut().take();
        let kept = storage::host_key(&self.room);
        match (&joined.host_key, shown) {
            (Some(key), _) => storage::set_host_key(&self.room, key),
            (None, Some(key)) if joined.role == Role::Host => {
                storage::set_host_key(&self.room, &key);
            }
            // The key of the link is wrong: the one that this device keeps may be right.
            (None, Some(key)) if kept.is_some_and(|kept| kept != key) => self.connect(),
            (None, _) => {}
        }
    }

    /// The address got a host link while the room is open: joins again with its key.
    pub(super) fn on_host_link(&self) {
        if let Some(key) = host_link::take_from_address() {
            *self.host_key.borrow_mut() = Some(key);
            self.connect();
        }
    }
}
