//! The local camera, microphone and screen, and the connections that send them.
//!
//! Joining never waits for a device: the call is entered at once, and each track is passed to
//! every sender when it is available. All later changes are `replaceTrack`.

mod acquire;
mod controls;
pub mod devices;
pub mod encodings;
mod held_off;
pub mod local_tracks;
mod playback;

use crate::browser::call::media::devices::DevicePreference;
use crate::browser::call::media::local_tracks::{LocalTracks, Track, show_only};
use crate::browser::call::media::playback::{Playback, settle};
use crate::browser::dom::js::Listener;
use crate::protocol::{ClientMessage, Devices, Leg, ParticipantId, Source};
use crate::state::call::{CallStage, CallState, CallStateStoreFields, DeviceKind};
use crate::state::standing::both;
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

/// A connection that sends the local tracks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To one leg of a participant: a new leg may begin before the connection of the previous
    /// one is closed.
    Person(ParticipantId, Leg),
    /// To the SFU.
    Sfu,
}

/// The local devices in the call.
pub struct Media {
    me: Weak<Self>,
    state: Store<CallState>,
    send: Rc<dyn Fn(ClientMessage)>,
    tracks: RefCell<LocalTracks>,
    /// The preview of the camera.
    preview: MediaStream,
    /// The preview of the shared screen.
    own_screen: MediaStream,
    /// The streams of the sent tracks, which receivers play in sync: camera with microphone,
    /// screen with its audio.
    outgoing: [MediaStream; 2],
    playback: Rc<Playback>,
    /// The senders of each connection, one per source.
    senders: RefCell<HashMap<Destination, Vec<RtcRtpSender>>>,
    camera_preference: RefCell<DevicePreference>,
    microphone_preference: RefCell<DevicePreference>,
    camera_request: PendingRequest,
    microphone_request: PendingRequest,
    /// Devices that were disconnected and are being replaced.
    unplugged: Cell<Devices>,
    /// Devices whose track is muted by the system.
    muted: Cell<Devices>,
    /// Devices that a host holds off: they stay off until the user switches them on.
    held_off: Cell<Devices>,
    /// Devices that a host had held off, and that the user switches on.
    unmuting: Cell<Devices>,
    /// Those of `unmuting` that the server was told last.
    unmuted: Cell<Devices>,
    /// Counts the legs: the result of a request of an earlier leg is dropped.
    stay: Cell<u32>,
}

impl Media {
    /// No device is requested yet.
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
            muted: Cell::default(),
            held_off: Cell::default(),
            unmuting: Cell::default(),
            unmuted: Cell::default(),
            stay: Cell::new(0),
        })
    }

    /// The preview of the camera or of the shared screen.
    pub fn preview(&self, source: Source) -> MediaStream {
        let stream = match source {
            Source::Screen | Source::ScreenAudio => &self.own_screen,
            Source::Microphone | Source::Camera => &self.preview,
        };
        // Not `stream.clone()`, which is `MediaStream.clone` and copies the tracks.
        Clone::clone(stream)
    }

    /// The stream that a source is sent in.
    pub fn outgoing(&self, source: Source) -> MediaStream {
        let screen = matches!(source, Source::Screen | Source::ScreenAudio);
        // Not `MediaStream.clone`, see `preview`.
        Clone::clone(&self.outgoing[usize::from(screen)])
    }

    /// Plays a stream in an element; the own stream is silent.
    pub fn play(&self, element: &HtmlMediaElement, stream: Option<&MediaStream>, mine: bool) {
        self.playback.play(element, stream, mine);
    }

    /// Starts a leg: requests the wanted devices.
    pub fn start(&self, wanted: Devices) {
        self.stay.set(self.stay.get() + 1);
        self.state.devices().set(Devices::default());
        self.list_devices();
        if wanted.camera || wanted.microphone {
            self.spawn(move |media| async move { media.acquire(wanted).await });
        }
    }

    /// Ends the leg: frees every device.
    pub fn stop(&self) {
        self.stay.set(self.stay.get() + 1);
        self.camera_request.cancel();
        self.microphone_request.cancel();
        self.unplugged.set(Devices::default());
        self.muted.set(Devices::default());
        self.unmuting.set(Devices::default());
        self.unmuted.set(Devices::default());
        self.playback.stop();
        *self.tracks.borrow_mut() = LocalTracks::default();
        self.senders.borrow_mut().clear();
        show_only(&self.preview, None);
        show_only(&self.own_screen, None);
        self.state.devices().set(Devices::default());
        self.state.notice().set(None);
    }

    /// Whether this participant is in the call or entering it. No device is requested outside.
    fn is_staying(&self) -> bool {
        let stage = self.state.stage().get_untracked();
        matches!(stage, CallStage::Entering | CallStage::In)
    }

    /// Sends the local tracks, now and after each change, by these senders: one per source in
    /// the order of [`Source::ALL`].
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

    /// Removes the senders of a closed connection.
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

    /// The track of a camera or a microphone, which the system may mute: by a key, a headset
    /// button, a phone call or a closed lid.
    fn device_track(&self, kind: DeviceKind, track: MediaStreamTrack) -> Track {
        self.set_muted(kind, track.muted());
        let listen = |event, muted| {
            let me = self.me.clone();
            Listener::new(&track, event, move |_| {
                if let Some(media) = me.upgrade() {
                    media.set_muted(kind, muted);
                    media.announce_device(kind);
                }
            })
        };
        let mute_listeners = [listen("mute", true), listen("unmute", false)];
        let mut device = self.track(track, move |media| media.device_ended(kind));
        device.listeners.extend(mute_listeners);
        device
    }

    /// Changes the devices that are on, and announces them.
    fn switch(&self, change: impl FnOnce(&mut Devices)) {
        let mut devices = self.state.devices().get_untracked();
        change(&mut devices);
        self.state.devices().set(devices);
        if self.is_staying() {
            let unmuted = both(self.unmuting.get(), devices);
            let unmute = unmuted != Devices::default();
            if unmute {
                self.unmuting.set(Devices::default());
                self.unmuted.set(unmuted);
            }
            (self.send)(ClientMessage::Devices { devices, unmute });
        }
    }

    /// Replaces the track of a source on every connection.
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

    /// Scales the layers that are sent to the SFU to the camera's resolution.
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
