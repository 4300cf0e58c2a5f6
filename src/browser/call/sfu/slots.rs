//! The slots of the connection to the SFU, and the streams that the page plays.

use crate::browser::call::media::local_tracks::show_only;
use crate::browser::call::rtc::peer_connection::transceivers;
use crate::protocol::{ParticipantId, Slot, Source};
use crate::state::call::{CallState, CallStateStoreFields};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::RefCell;
use std::collections::HashMap;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MediaStream, MediaStreamTrack, RtcPeerConnection};

/// Content of the slots of one connection.
pub struct Slots {
    state: Store<CallState>,
    /// The last announcement of each slot, by `mid`.
    slots: RefCell<HashMap<String, Slot>>,
    /// The stream of each video that was ever attached.
    streams: RefCell<HashMap<(ParticipantId, Source), MediaStream>>,
    /// The stream of each audio slot.
    voices: RefCell<HashMap<String, MediaStream>>,
}

impl Slots {
    /// All slots are free.
    pub fn new(state: Store<CallState>) -> Self {
        Self {
            state,
            slots: RefCell::default(),
            streams: RefCell::default(),
            voices: RefCell::default(),
        }
    }

    /// Applies changed slots.
    pub fn take(&self, pc: &RtcPeerConnection, changed: &[Slot]) {
        for slot in changed {
            let before = self
                .slots
                .borrow_mut()
                .insert(slot.mid.clone(), slot.clone());
            for slot in before.iter().chain([slot]) {
                self.renew(pc, slot);
            }
        }
        self.show();
    }

    /// Frees all slots, for a new connection.
    pub fn clear(&self) {
        self.slots.borrow_mut().clear();
        self.voices.borrow_mut().clear();
        for stream in self.streams.borrow().values() {
            show_only(stream, None);
        }
        self.show();
    }

    /// The stream of a participant's source.
    pub fn stream(&self, id: &ParticipantId, source: Source) -> MediaStream {
        let mut streams = self.streams.borrow_mut();
        let stream = streams.entry((id.clone(), source)).or_insert_with(empty);
        // Not `stream.clone()`, which is `MediaStream.clone` and copies the tracks.
        Clone::clone(stream)
    }

    /// The stream of an audio slot.
    pub fn voice(&self, pc: &RtcPeerConnection, mid: &str) -> Option<MediaStream> {
        let track = track_of(pc, mid)?;
        let mut voices = self.voices.borrow_mut();
        let stream = voices.entry(mid.to_owned()).or_insert_with(empty);
        if stream.get_tracks().length() == 0 {
            stream.add_track(&track);
        }
        Some(Clone::clone(stream))
    }

    /// The `mid` of the slot that carries a participant's source.
    pub fn mid_of(&self, id: &ParticipantId, source: Source) -> Option<String> {
        let slots = self.slots.borrow();
        let carries = |slot: &&Slot| slot.id.as_ref() == Some(id) && slot.source == Some(source);
        slots.values().find(carries).map(|slot| slot.mid.clone())
    }

    /// Puts the track of a slot into the stream of its participant.
    fn renew(&self, pc: &RtcPeerConnection, slot: &Slot) {
        let (Some(id), Some(source)) = (&slot.id, slot.source) else {
            return;
        };
        if source.is_video() {
            let mid = self.mid_of(id, source);
            let track = mid.and_then(|mid| track_of(pc, &mid));
            show_only(&self.stream(id, source), track.as_ref());
        }
    }

    /// Writes the slots to the state, which redraws the page.
    fn show(&self) {
        let slots = self.slots.borrow();
        let (mut voices, mut paused) = (Vec::new(), Vec::new());
        for slot in slots.values() {
            let (Some(id), Some(source)) = (&slot.id, slot.source) else {
                continue;
            };
            match source.is_video() {
                true if slot.paused => paused.push((id.clone(), source)),
                true => {}
                false => voices.push((slot.mid.clone(), id.clone())),
            }
        }
        voices.sort();
        paused.sort();
        self.state.voices().set(voices);
        self.state.paused().set(paused);
        self.state.slots_version().update(|version| *version += 1);
    }
}

fn empty() -> MediaStream {
    MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into())
}

/// The received track of a media description.
fn track_of(pc: &RtcPeerConnection, mid: &str) -> Option<MediaStreamTrack> {
    let all = transceivers(pc);
    let found = all.iter().find(|t| t.mid().as_deref() == Some(mid))?;
    Some(found.receiver().track())
}
