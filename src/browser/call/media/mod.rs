//! One's own camera, microphone and screen, and whom they are sent to.
//!
//! Joining never waits for a device: the call is entered at once and the tracks are
//! handed to every sender when they come. Everything after that is `replaceTrack`.

mod questions;
mod switches;

use super::devices::Wish;
use super::local::{LocalTracks, Track, show_only};
use super::playback::{Playback, settle};
use crate::browser::js::Listener;
use crate::protocol::{ClientMessage, Devices, Leg, ParticipantId};
use crate::state::call::{CallStage, CallState, CallStateStoreFields};
use leptos::prelude::*;
use questions::Asked;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{HtmlMediaElement, MediaStream, MediaStreamTrack, RtcRtpSender};

/// One's own devices in the call.
pub struct Media {
    me: Weak<Self>,
    state: Store<CallState>,
    send: Rc<dyn Fn(ClientMessage)>,
    tracks: RefCell<LocalTracks>,
    /// What one sees of oneself.
    preview: MediaStream,
    /// Names what is sent as one stream, so that sound and picture stay in step.
    outgoing: MediaStream,
    playback: Rc<Playback>,
    /// By person and stay: a new stay may begin before the connection of the former
    /// one is quite gone.
    senders: RefCell<HashMap<(ParticipantId, Leg), (RtcRtpSender, RtcRtpSender)>>,
    camera_wish: RefCell<Wish>,
    microphone_wish: RefCell<Wish>,
    camera_asked: Asked,
    microphone_asked: Asked,
    /// What went away by itself and is being replaced.
    unplugged: Cell<Devices>,
    /// Counts the stays in the call: what was asked for in a former one is not wanted.
    stay: Cell<u32>,
}

impl Media {
    /// Nothing is asked for yet.
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            state,
            send,
            tracks: RefCell::default(),
            preview: MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into()),
            outgoing: MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into()),
            playback: Playback::new(state),
            senders: RefCell::default(),
            camera_wish: RefCell::default(),
            microphone_wish: RefCell::default(),
            camera_asked: Asked::default(),
            microphone_asked: Asked::default(),
            unplugged: Cell::default(),
            stay: Cell::new(0),
        })
    }

    /// What one sees of oneself.
    pub fn preview(&self) -> MediaStream {
        // Not `preview.clone()`: that is the browser's own, which copies the tracks.
        Clone::clone(&self.preview)
    }

    /// What sound and picture are sent as.
    pub fn outgoing(&self) -> MediaStream {
        // As with `preview`: the browser's own `clone` makes another stream.
        Clone::clone(&self.outgoing)
    }

    /// Plays a stream in an element; one's own is silent.
    pub fn play(&self, element: &HtmlMediaElement, stream: Option<&MediaStream>, mine: bool) {
        self.playback.play(element, stream, mine);
    }

    /// A stay begins: asks for what is wanted.
    pub fn start(&self, wanted: Devices) {
        self.stay.set(self.stay.get() + 1);
        self.state.devices().set(Devices::default());
        self.list_devices();
        if wanted.camera || wanted.microphone {
            self.spawn(move |media| async move { media.acquire(wanted).await });
        }
    }

    /// The stay ends: every device is freed.
    pub fn stop(&self) {
        self.stay.set(self.stay.get() + 1);
        self.camera_asked.no_more();
        self.microphone_asked.no_more();
        self.unplugged.set(Devices::default());
        self.playback.stop();
        *self.tracks.borrow_mut() = LocalTracks::default();
        self.senders.borrow_mut().clear();
        show_only(&self.preview, None);
        self.state.devices().set(Devices::default());
        self.state.notice().set(None);
    }

    /// Whether one is in the call or on the way in: nothing is asked for outside.
    fn is_staying(&self) -> bool {
        let stage = self.state.stage().get_untracked();
        matches!(stage, CallStage::Entering | CallStage::In)
    }

    /// Sends one's own tracks to somebody through these senders, also later ones.
    ///
    /// # Errors
    /// What the browser says; the connection is being replaced then.
    pub async fn send_through(
        &self,
        id: &ParticipantId,
        leg: Leg,
        audio: RtcRtpSender,
        video: RtcRtpSender,
    ) -> Result<(), JsValue> {
        let (sound, picture) = {
            let tracks = self.tracks.borrow();
            (tracks.sound().cloned(), tracks.picture().cloned())
        };
        let sent = [
            audio.replace_track(sound.as_ref()),
            video.replace_track(picture.as_ref()),
        ];
        let stay = (id.clone(), leg);
        self.senders.borrow_mut().insert(stay, (audio, video));
        for promise in sent {
            JsFuture::from(promise).await?;
        }
        Ok(())
    }

    /// Nothing is sent to this person any more.
    pub fn forget(&self, id: &ParticipantId, leg: Leg) {
        self.senders.borrow_mut().remove(&(id.clone(), leg));
    }

    fn spawn<F: Future<Output = ()> + 'static>(&self, task: impl FnOnce(Rc<Self>) -> F + 'static) {
        if let Some(media) = self.me.upgrade() {
            spawn_local(task(media));
        }
    }

    fn track(&self, track: MediaStreamTrack, on_end: impl Fn(&Self) + 'static) -> Track {
        let me = self.me.clone();
        let ended = Listener::new(&track, "ended", move |_| {
            if let Some(media) = me.upgrade() {
                on_end(&media);
            }
        });
        Track::new(track, ended)
    }

    /// Changes what is on, and tells the others.
    fn switch(&self, change: impl FnOnce(&mut Devices)) {
        let mut devices = self.state.devices().get_untracked();
        change(&mut devices);
        self.state.devices().set(devices);
        if self.is_staying() {
            (self.send)(ClientMessage::Devices { devices });
        }
    }

    /// Everybody gets the present picture.
    fn picture_changed(&self) {
        let picture = self.tracks.borrow().picture().cloned();
        show_only(&self.preview, picture.as_ref());
        self.state.own_version().update(|version| *version += 1);
        for (_, video) in self.senders.borrow().values() {
            settle(Ok(video.replace_track(picture.as_ref()).into()));
        }
    }

    /// Everybody gets the present sound.
    fn sound_changed(&self) {
        let sound = self.tracks.borrow().sound().cloned();
        for (audio, _) in self.senders.borrow().values() {
            settle(Ok(audio.replace_track(sound.as_ref()).into()));
        }
    }
}
