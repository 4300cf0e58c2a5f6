//! One's own camera, microphone and screen, and whom they are sent to.
//!
//! Joining never waits for a device: the call is entered at once and the tracks are
//! handed to every sender when they come. Everything after that is `replaceTrack`.

use super::devices::{self, Wish};
use super::local::{LocalTracks, Track, show_only};
use crate::browser::js::Listener;
use crate::protocol::{ClientMessage, Devices, ParticipantId};
use crate::state::call::{CallState, CallStateStoreFields, Cause, DeviceKind};
use leptos::prelude::*;
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
    senders: RefCell<HashMap<ParticipantId, (RtcRtpSender, RtcRtpSender)>>,
    camera_wish: RefCell<Wish>,
    microphone_wish: RefCell<Wish>,
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
            senders: RefCell::default(),
            camera_wish: RefCell::default(),
            microphone_wish: RefCell::default(),
            stay: Cell::new(0),
        })
    }

    /// What one sees of oneself.
    pub fn preview(&self) -> MediaStream {
        // Not `preview.clone()`: that is the browser's own, which copies the tracks.
        Clone::clone(&self.preview)
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
        *self.tracks.borrow_mut() = LocalTracks::default();
        self.senders.borrow_mut().clear();
        show_only(&self.preview, None);
        self.state.devices().set(Devices::default());
    }

    /// Mutes or unmutes; asks for a microphone where there is none.
    pub fn toggle_microphone(&self) {
        let tracks = self.tracks.borrow();
        match tracks.sound() {
            Some(sound) => {
                sound.set_enabled(!sound.enabled());
                let on = sound.enabled();
                drop(tracks);
                self.switch(|devices| devices.microphone = on);
            }
            None => self.want(Devices {
                microphone: true,
                ..Devices::default()
            }),
        }
    }

    /// Switches the camera off, light included, or on.
    pub fn toggle_camera(&self) {
        if self.tracks.borrow().camera.is_some() {
            self.tracks.borrow_mut().camera = None;
            self.switch(|devices| devices.camera = false);
            self.picture_changed();
        } else {
            self.want(Devices {
                camera: true,
                ..Devices::default()
            });
        }
    }

    /// Shares the screen in place of the camera, or stops sharing it.
    pub fn toggle_screen(&self) {
        if self.tracks.borrow().screen.is_some() {
            self.end_screen();
            return;
        }
        self.spawn(|media| async move {
            let stay = media.stay.get();
            let Ok(tracks) = devices::ask_screen().await else {
                return;
            };
            let Some(track) = tracks.into_iter().next() else {
                return;
            };
            if stay != media.stay.get() {
                track.stop();
                return;
            }
            // Text stays sharp where motion may suffer (W3C MST Content Hints).
            let _ = js_sys::Reflect::set(&track, &"contentHint".into(), &"detail".into());
            let screen = media.track(track, |media| media.end_screen());
            media.tracks.borrow_mut().screen = Some(screen);
            media.switch(|devices| devices.screen = true);
            media.picture_changed();
        });
    }

    fn end_screen(&self) {
        self.tracks.borrow_mut().screen = None;
        self.switch(|devices| devices.screen = false);
        self.picture_changed();
    }

    /// Uses another camera; one that is off stays off.
    pub fn choose_camera(&self, device_id: String) {
        *self.camera_wish.borrow_mut() = Wish {
            device_id: device_id.clone(),
            rear: false,
        };
        self.state
            .choices()
            .update(|choices| choices.camera = device_id);
        self.renew_camera();
    }

    /// Changes between the front and the rear camera.
    pub fn flip_camera(&self) {
        let rear = !self.camera_wish.borrow().rear;
        *self.camera_wish.borrow_mut() = Wish {
            device_id: String::new(),
            rear,
        };
        self.renew_camera();
    }

    fn renew_camera(&self) {
        if self.tracks.borrow().camera.is_some() {
            // Some phones cannot open the second camera before the first is closed.
            self.tracks.borrow_mut().camera = None;
            self.want(Devices {
                camera: true,
                ..Devices::default()
            });
        }
    }

    /// Uses another microphone; one that is muted stays muted.
    pub fn choose_microphone(&self, device_id: String) {
        *self.microphone_wish.borrow_mut() = Wish {
            device_id: device_id.clone(),
            rear: false,
        };
        self.state
            .choices()
            .update(|choices| choices.microphone = device_id);
        if self.tracks.borrow().microphone.is_some() {
            self.want(Devices {
                microphone: true,
                ..Devices::default()
            });
        }
    }

    /// Plays the others through another speaker.
    pub fn choose_speaker(&self, device_id: String) {
        self.state
            .choices()
            .update(|choices| choices.speaker = device_id);
        // Every element is attached anew and takes the speaker with it.
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
            screen: false,
        });
    }

    /// A device was plugged in or pulled out.
    pub fn devices_changed(&self) {
        self.list_devices();
    }

    /// Sends one's own tracks to somebody through these senders, also later ones.
    ///
    /// # Errors
    /// What the browser says; the connection is being replaced then.
    pub async fn send_through(
        &self,
        id: &ParticipantId,
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
        self.senders.borrow_mut().insert(id.clone(), (audio, video));
        for promise in sent {
            JsFuture::from(promise).await?;
        }
        Ok(())
    }

    /// Nothing is sent to this person any more.
    pub fn forget(&self, id: &ParticipantId) {
        self.senders.borrow_mut().remove(id);
    }

    /// Plays a stream in an element; one's own is silent.
    pub fn play(&self, element: &HtmlMediaElement, stream: Option<&MediaStream>, mine: bool) {
        if element.src_object().as_ref() != stream {
            element.set_src_object(stream);
        }
        element.set_muted(mine);
        let speaker = self.state.choices().read_untracked().speaker.clone();
        if !mine && !speaker.is_empty() {
            let set = js_sys::Reflect::get(element, &"setSinkId".into()).ok();
            if let Some(set) = set.and_then(|set| set.dyn_into::<js_sys::Function>().ok()) {
                settle(set.call1(element, &speaker.into()));
            }
        }
        settle(element.play().map(Into::into));
    }

    fn want(&self, wanted: Devices) {
        self.spawn(move |media| async move { media.acquire(wanted).await });
    }

    fn spawn<F: Future<Output = ()> + 'static>(&self, task: impl FnOnce(Rc<Self>) -> F + 'static) {
        if let Some(media) = self.me.upgrade() {
            spawn_local(task(media));
        }
    }

    /// Asks for what is wanted: together, so that the browser asks once; where that
    /// fails, each alone, so that one joins with what there is.
    async fn acquire(self: Rc<Self>, wanted: Devices) {
        let (camera, microphone) = (
            self.camera_wish.borrow().clone(),
            self.microphone_wish.borrow().clone(),
        );
        let camera = wanted.camera.then_some(camera);
        let microphone = wanted.microphone.then_some(microphone);
        let answered = Rc::new(Cell::new(false));
        self.say_if_unanswered(wanted, answered.clone());
        let stay = self.stay.get();
        let both = camera.is_some() && microphone.is_some();
        let together = devices::ask(camera.as_ref(), microphone.as_ref()).await;
        match together {
            Err(_) if both => {
                self.take(
                    stay,
                    DeviceKind::Microphone,
                    devices::ask(None, microphone.as_ref()).await,
                );
                self.take(
                    stay,
                    DeviceKind::Camera,
                    devices::ask(camera.as_ref(), None).await,
                );
            }
            answer => {
                let kinds = [
                    (wanted.camera, DeviceKind::Camera),
                    (wanted.microphone, DeviceKind::Microphone),
                ];
                for (_, kind) in kinds.into_iter().filter(|(wanted, _)| *wanted) {
                    self.take(stay, kind, answer.clone());
                }
            }
        }
        answered.set(true);
        self.list_devices();
    }

    /// Says so where the browser takes long; the answer still counts when it comes.
    fn say_if_unanswered(&self, wanted: Devices, answered: Rc<Cell<bool>>) {
        let stay = self.stay.get();
        self.spawn(move |media| async move {
            devices::patience().await;
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

    /// Puts an answer of the browser to use.
    fn take(&self, stay: u32, kind: DeviceKind, answer: Result<Vec<MediaStreamTrack>, Cause>) {
        let sort = match kind {
            DeviceKind::Camera => "video",
            DeviceKind::Microphone => "audio",
        };
        let found = answer.map(|tracks| tracks.into_iter().find(|track| track.kind() == sort));
        if stay != self.stay.get() {
            if let Ok(Some(track)) = found {
                track.stop();
            }
            return;
        }
        match found {
            Ok(Some(track)) => self.use_track(kind, track),
            Ok(None) => self.has_problem(kind, Some(Cause::NotFound)),
            // The chosen one is gone: any other will do.
            Err(Cause::Gone) if self.forget_choice(kind) => self.want(only(kind)),
            Err(cause) => {
                self.has_problem(kind, Some(cause));
                self.lost(kind);
            }
        }
    }

    fn use_track(&self, kind: DeviceKind, track: MediaStreamTrack) {
        let device_id = devices::device_of(&track);
        self.has_problem(kind, None);
        match kind {
            DeviceKind::Camera => {
                let camera = self.track(track, |media| media.device_ended(DeviceKind::Camera));
                self.tracks.borrow_mut().camera = Some(camera);
                self.state
                    .choices()
                    .update(|choices| choices.camera = device_id);
                self.switch(|devices| devices.camera = true);
                self.picture_changed();
            }
            DeviceKind::Microphone => {
                let muted = self
                    .tracks
                    .borrow()
                    .sound()
                    .is_some_and(|sound| !sound.enabled());
                track.set_enabled(!muted);
                let microphone =
                    self.track(track, |media| media.device_ended(DeviceKind::Microphone));
                self.tracks.borrow_mut().microphone = Some(microphone);
                self.state
                    .choices()
                    .update(|choices| choices.microphone = device_id);
                self.switch(|devices| devices.microphone = !muted);
                self.sound_changed();
            }
        }
    }

    /// A device that ended by itself was pulled out: another takes its place.
    fn device_ended(&self, kind: DeviceKind) {
        self.forget_choice(kind);
        self.want(only(kind));
    }

    fn forget_choice(&self, kind: DeviceKind) -> bool {
        let wish = match kind {
            DeviceKind::Camera => &self.camera_wish,
            DeviceKind::Microphone => &self.microphone_wish,
        };
        !std::mem::take(&mut wish.borrow_mut().device_id).is_empty()
    }

    /// There is no such device any more.
    fn lost(&self, kind: DeviceKind) {
        match kind {
            DeviceKind::Camera => {
                self.tracks.borrow_mut().camera = None;
                self.switch(|devices| devices.camera = false);
                self.picture_changed();
            }
            DeviceKind::Microphone if self.tracks.borrow().sound().is_some_and(is_live) => {}
            DeviceKind::Microphone => {
                self.tracks.borrow_mut().microphone = None;
                self.switch(|devices| devices.microphone = false);
                self.sound_changed();
            }
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

    fn has_problem(&self, kind: DeviceKind, cause: Option<Cause>) {
        self.state.update(|state| state.set_problem(kind, cause));
    }

    /// Changes what is on, and tells the others.
    fn switch(&self, change: impl FnOnce(&mut Devices)) {
        let mut devices = self.state.devices().get_untracked();
        change(&mut devices);
        self.state.devices().set(devices);
        (self.send)(ClientMessage::Devices { devices });
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

    fn list_devices(&self) {
        self.spawn(|media| async move {
            let [cameras, microphones, speakers] = devices::list().await;
            media.state.choices().update(|choices| {
                choices.cameras = cameras;
                choices.microphones = microphones;
                choices.speakers = speakers;
                choices.speaker_can_change = devices::speaker_can_change();
            });
        });
    }
}

fn is_live(track: &MediaStreamTrack) -> bool {
    track.ready_state() == web_sys::MediaStreamTrackState::Live
}

fn only(kind: DeviceKind) -> Devices {
    let (camera, microphone) = (kind == DeviceKind::Camera, kind == DeviceKind::Microphone);
    Devices {
        camera,
        microphone,
        screen: false,
    }
}

/// Waits for a promise whose failure changes nothing: a closing connection, or a
/// browser that plays only after a first tap.
fn settle(promise: Result<JsValue, JsValue>) {
    let promise = promise
        .ok()
        .and_then(|value| value.dyn_into::<js_sys::Promise>().ok());
    if let Some(promise) = promise {
        spawn_local(async move {
            let _ = JsFuture::from(promise).await;
        });
    }
}
