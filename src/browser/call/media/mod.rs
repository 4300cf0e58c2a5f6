//! One's own camera, microphone and screen, and whom they are sent to.
//!
//! Joining never waits for a device: the call is entered at once and the tracks are
//! handed to every sender when they come. Everything after that is `replaceTrack`.

mod acquire;
mod controls;
pub mod devices;
pub mod encodings;
pub mod local_tracks;
mod playback;

use crate::browser::call::media::devices::DevicePreference;
use crate::browser::call::media::local_tracks::{LocalTracks, Track, show_only};
use crate::browser::call::media::playback::{Playback, settle};
use crate::browser::dom::js::Listener;
use crate::protocol::{ClientMessage, Devices, Leg, ParticipantId, Source};
use crate::state::call::{CallStage, CallState, CallStateStoreFields, DeviceKind};
use acquire::PendingRequest;
use encodings::fit;
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{HtmlMediaElement, MediaStream, MediaStreamTrack, RtcRtpSender};

/// A connection by which one's own tracks are sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To one person, and which stay of theirs: a new stay may begin before the connection
    /// of the former one is quite gone.
    Person(ParticipantId, Leg),
    /// To the SFU.
    Sfu,
}

/// One's own devices in the call.
pub struct Media {
    me: Weak<Self>,
    state: Store<CallState>,
    send: Rc<dyn Fn(ClientMessage)>,
    tracks: RefCell<LocalTracks>,
    /// What one sees of oneself.
    preview: MediaStream,
    /// What one sees of one's own shared screen.
    own_screen: MediaStream,
    /// Name what is sent as streams, so that sound and picture stay in step: voice with
    /// face, screen with its sound.
    outgoing: [MediaStream; 2],
    playback: Rc<Playback>,
    /// Of each connection, one a source.
    senders: RefCell<HashMap<Destination, Vec<RtcRtpSender>>>,
    camera_preference: RefCell<DevicePreference>,
    microphone_preference: RefCell<DevicePreference>,
    camera_request: PendingRequest,
    microphone_request: PendingRequest,
    /// What went away by itself and is being replaced.
    unplugged: Cell<Devices>,
    /// What the system holds back: it is on, and gives nothing.
    held: Cell<Devices>,
    /// Counts the stays in the call: what was asked for in a former one is not wanted.
    stay: Cell<u32>,
}

impl Media {
    /// Nothing is asked for yet.
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        let empty = || MediaStream::new().unwrap_or_else(|_| JsValue::NULL.unchecked_into());
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            state,
            send,
            tracks: RefCell::default(),
            preview: empty(),
            own_screen: empty(),
            outgoing: [empty(), empty()],
            playback: Playback::new(state),
            senders: RefCell::default(),
            camera_preference: RefCell::default(),
            microphone_preference: RefCell::default(),
            camera_request: PendingRequest::default(),
            microphone_request: PendingRequest::default(),
            unplugged: Cell::default(),
            held: Cell::default(),
            stay: Cell::new(0),
        })
    }

    /// What one sees of oneself, or of one's own shared screen.
    pub fn preview(&self, source: Source) -> MediaStream {
        let stream = match source {
            Source::Screen | Source::ScreenAudio => &self.own_screen,
            Source::Microphone | Source::Camera => &self.preview,
        };
        // Not `stream.clone()`: that is the browser's own, which copies the tracks.
        Clone::clone(stream)
    }

    /// What a source is sent as.
    pub fn outgoing(&self, source: Source) -> MediaStream {
        let screen = matches!(source, Source::Screen | Source::ScreenAudio);
        // As with `preview`: the browser's own `clone` makes another stream.
        Clone::clone(&self.outgoing[usize::from(screen)])
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
        self.camera_request.cancel();
        self.microphone_request.cancel();
        self.unplugged.set(Devices::default());
        self.held.set(Devices::default());
        self.playback.stop();
        *self.tracks.borrow_mut() = LocalTracks::default();
        self.senders.borrow_mut().clear();
        show_only(&self.preview, None);
        show_only(&self.own_screen, None);
        self.state.devices().set(Devices::default());
        self.state.notice().set(None);
    }

    /// Whether one is in the call or on the way in: nothing is asked for outside.
    fn is_staying(&self) -> bool {
        let stage = self.state.stage().get_untracked();
        matches!(stage, CallStage::Entering | CallStage::In)
    }

    /// Sends one's own tracks by these senders, one a source in the order of
    /// [`Source::ALL`], also later ones.
    ///
    /// # Errors
    /// The `DOMException` of the browser; the negotiation then replaces the connection.
    pub async fn send_through(
        &self,
        destination: Destination,
        senders: Vec<RtcRtpSender>,
    ) -> Result<(), JsValue> {
        let sent: Vec<_> = {
            let tracks = self.tracks.borrow();
            let each = senders.iter().zip(Source::ALL);
            each.map(|(sender, source)| sender.replace_track(tracks.of(source)))
                .collect()
        };
        self.senders.borrow_mut().insert(destination, senders);
        for promise in sent {
            JsFuture::from(promise).await?;
        }
        self.fit_layers();
        Ok(())
    }

    /// Nothing is sent by this connection any more.
    pub fn forget(&self, destination: &Destination) {
        self.senders.borrow_mut().remove(destination);
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
        Track::new(track, vec![ended])
    }

    /// The track of a camera or a microphone, which the system may hold back: by a switch of the
    /// keyboard or the headset, by a call of the phone, by a lid that is closed.
    fn device_track(&self, kind: DeviceKind, track: MediaStreamTrack) -> Track {
        self.set_held(kind, track.muted());
        let listen = |event, muted| {
            let me = self.me.clone();
            Listener::new(&track, event, move |_| {
                if let Some(media) = me.upgrade() {
                    media.set_held(kind, muted);
                    media.tell_held(kind);
                }
            })
        };
        let held = [listen("mute", true), listen("unmute", false)];
        let mut device = self.track(track, move |media| media.device_ended(kind));
        device.listeners.extend(held);
        device
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

    /// Everybody gets what a source sends now.
    fn source_changed(&self, source: Source) {
        let track = self.tracks.borrow().of(source).cloned();
        if source.is_video() {
            show_only(&self.preview(source), track.as_ref());
            self.state.own_version().update(|version| *version += 1);
        }
        let place = Source::ALL.iter().position(|other| *other == source);
        for senders in self.senders.borrow().values() {
            if let Some(sender) = place.and_then(|place| senders.get(place)) {
                settle(Ok(sender.replace_track(track.as_ref()).into()));
            }
        }
        if source == Source::Camera {
            self.fit_layers();
        }
    }

    /// The layers that go to the SFU fit the camera there is.
    fn fit_layers(&self) {
        let place = Source::ALL.iter().position(|s| *s == Source::Camera);
        let tracks = self.tracks.borrow();
        let senders = self.senders.borrow();
        let sender = senders.get(&Destination::Sfu).zip(place);
        let sender = sender.and_then(|(senders, place)| senders.get(place));
        if let (Some(sender), Some(camera)) = (sender, tracks.of(Source::Camera)) {
            fit(sender, camera);
        }
    }
}
