//! One's own camera, microphone and screen, and whom they are sent to.
//!
//! Joining never waits for a device: the call is entered at once and the tracks are
//! handed to every sender when they come. Everything after that is `replaceTrack`.

use super::devices::{self, Wish};
use super::local::{LocalTracks, Track, show_only};
use super::playback::{Playback, settle};
use crate::browser::js::Listener;
use crate::protocol::{ClientMessage, Devices, Leg, ParticipantId};
use crate::state::call::{CallStage, CallState, CallStateStoreFields, Cause, DeviceKind, Notice};
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

/// The questions put to the browser for one kind of device. Only the answer to the
/// last one counts; asking no more makes every answer count for nothing.
#[derive(Default)]
struct Asked {
    times: Cell<u32>,
    open: Cell<bool>,
}

impl Asked {
    fn again(&self) -> u32 {
        self.open.set(true);
        self.times.set(self.times.get() + 1);
        self.times.get()
    }

    fn no_more(&self) {
        self.open.set(false);
        self.times.set(self.times.get() + 1);
    }
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

    /// Mutes or unmutes; asks for a microphone where there is none. While the browser
    /// has not answered yet it is on its way already.
    pub fn toggle_microphone(&self) {
        if !self.is_staying() {
            return;
        }
        let sound = self.tracks.borrow().sound().cloned();
        match sound {
            Some(sound) => {
                sound.set_enabled(!sound.enabled());
                self.switch(|devices| devices.microphone = sound.enabled());
            }
            None if self.microphone_asked.open.get() => {}
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
            self.camera_asked.no_more();
            self.was_unplugged(DeviceKind::Camera);
            self.tracks.borrow_mut().camera = None;
            self.switch(|devices| devices.camera = false);
            self.picture_changed();
        } else if !self.camera_asked.open.get() {
            self.want(only(DeviceKind::Camera));
        }
    }

    /// Whether one is in the call or on the way in: nothing is asked for outside.
    fn is_staying(&self) -> bool {
        let stage = self.state.stage().get_untracked();
        matches!(stage, CallStage::Entering | CallStage::In)
    }

    /// Shares the screen in place of the camera, or stops sharing it.
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

    fn turn_camera(&self) {
        let rear = !self.camera_wish.borrow().rear;
        *self.camera_wish.borrow_mut() = Wish {
            device_id: String::new(),
            rear,
        };
        self.renew_camera();
    }

    fn renew_camera(&self) {
        if self.tracks.borrow().camera.is_some() || self.camera_asked.open.get() {
            // Some phones cannot open the second camera before the first is closed.
            self.tracks.borrow_mut().camera = None;
            self.want(only(DeviceKind::Camera));
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
        if self.tracks.borrow().microphone.is_some() || self.microphone_asked.open.get() {
            self.want(only(DeviceKind::Microphone));
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
        self.spawn(|media| async move {
            media.list().await;
            media.replace_lost();
        });
    }

    /// Whatever is in use and has gone is replaced by another.
    fn replace_lost(&self) {
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
        let camera = wanted.camera.then(|| self.camera_wish.borrow().clone());
        let microphone = wanted
            .microphone
            .then(|| self.microphone_wish.borrow().clone());
        let questions = [
            (DeviceKind::Microphone, wanted.microphone),
            (DeviceKind::Camera, wanted.camera),
        ];
        let questions = questions.into_iter().filter(|(_, wanted)| *wanted);
        let questions: Vec<_> = questions
            .map(|(kind, _)| (kind, self.asked(kind).again()))
            .collect();
        let answered = Rc::new(Cell::new(false));
        self.say_if_unanswered(wanted, answered.clone());
        let together = devices::ask(camera.as_ref(), microphone.as_ref()).await;
        let alone = together.is_err() && questions.len() > 1;
        for (kind, question) in questions {
            let answer = match kind {
                // Nobody waits for it any more: the light need not flash.
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

    fn asked(&self, kind: DeviceKind) -> &Asked {
        match kind {
            DeviceKind::Camera => &self.camera_asked,
            DeviceKind::Microphone => &self.microphone_asked,
        }
    }

    /// Whether this question is the last one and still wants an answer.
    fn is_open(&self, kind: DeviceKind, question: u32) -> bool {
        let asked = self.asked(kind);
        asked.open.get() && asked.times.get() == question
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
    fn take(&self, question: u32, kind: DeviceKind, answer: Result<Vec<MediaStreamTrack>, Cause>) {
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
        self.asked(kind).open.set(false);
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
        if self.was_unplugged(kind) {
            self.state.notice().set(Some(Notice::Replaced(kind)));
        }
        match kind {
            DeviceKind::Camera => {
                let rear = devices::facing_of(&track).as_deref() == Some("environment");
                self.state.rear().set(rear);
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
        let mut unplugged = self.unplugged.get();
        *flag(&mut unplugged, kind) = true;
        self.unplugged.set(unplugged);
        self.want(only(kind));
    }

    /// Whether this kind went away by itself; asked once.
    fn was_unplugged(&self, kind: DeviceKind) -> bool {
        let mut unplugged = self.unplugged.get();
        let was = std::mem::take(flag(&mut unplugged, kind));
        self.unplugged.set(unplugged);
        was
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
        self.was_unplugged(kind);
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

    fn list_devices(&self) {
        self.spawn(|media| async move { media.list().await });
    }

    async fn list(&self) {
        let [cameras, microphones, speakers] = devices::list().await;
        self.state.choices().update(|choices| {
            choices.cameras = cameras;
            choices.microphones = microphones;
            choices.speakers = speakers;
            choices.speaker_can_change = devices::speaker_can_change();
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

fn flag(devices: &mut Devices, kind: DeviceKind) -> &mut bool {
    match kind {
        DeviceKind::Camera => &mut devices.camera,
        DeviceKind::Microphone => &mut devices.microphone,
    }
}
