//! Files on their way to the server: reads and encodes what was chosen, makes the requests that
//! [`crate::state::uploads`] names, and sends the message once they are there.

use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::files::{self, Bytes};
use crate::browser::dom::js::Listener;
use crate::browser::dom::{picture, storage};
use crate::browser::net::upload::Uploader;
use crate::browser::room::controller::{RoomController, millis};
use crate::protocol::{Action, Attachment, FileId, MessageId, ParticipantId, SessionToken};
use crate::state::RoomStateStoreFields;
use crate::state::connection::Phase;
use crate::state::pictures::{HEAD_BYTES, Preparation, preparation, renamed};
use crate::state::transfers::{Sharing, Target};
use crate::state::uploads::{
    Failure, KeptUpload, Next, Rejected, Step, Upload, UploadKey, UploadProblem, Uploads,
};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Weak;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, Event};

/// What this tab holds of files beside their states.
#[derive(Default)]
pub(super) struct UploadBytes {
    /// The bytes of each upload, as they are sent. Without a reload none is missing.
    bytes: RefCell<HashMap<UploadKey, Bytes>>,
    /// Aborts the requests of an upload.
    aborts: RefCell<HashMap<UploadKey, AbortController>>,
    /// The uploads of messages that the server has not confirmed.
    sent: RefCell<HashMap<MessageId, Vec<Upload>>>,
    /// Whether a file is being read. One at a time: a decoded picture may have 200 MB.
    prepares: Cell<bool>,
    /// What the tab has stored of the uploads.
    kept: RefCell<Vec<KeptUpload>>,
    /// Whether what is dragged began on this page.
    own_drag: Cell<bool>,
}

impl RoomController {
    /// Takes files for the next message, and starts to upload them.
    pub fn attach(&self, files: Vec<Bytes>) {
        if files.is_empty() {
            return;
        }
        let barrier = self.file_barrier();
        self.uploads.update(|uploads| {
            uploads.rejected = barrier;
            for file in files.into_iter().filter(|_| barrier.is_none()) {
                let Some(key) = uploads.add(&file.name(), file.size()) else {
                    break;
                };
                self.upload_bytes.bytes.borrow_mut().insert(key, file);
            }
        });
        self.prepare_next();
    }

    /// Why this participant can send no files.
    fn file_barrier(&self) -> Option<Rejected> {
        let standing = self.state.standing();
        let standing = standing.read_untracked();
        let may = |action| standing.may(action, None);
        if self.uploads.read_untracked().max_bytes == 0 {
            return Some(Rejected::Off);
        }
        let may = may(Action::ShareFiles) && may(Action::SendMessage);
        (!may).then_some(Rejected::Role)
    }

    /// Tries a failed upload again.
    pub fn retry_upload(&self, key: UploadKey) {
        self.uploads.update(|uploads| uploads.retry(key));
        self.prepare_next();
        self.run_uploads();
    }

    /// Removes a file from the message, and ends its upload.
    pub fn remove_upload(&self, key: UploadKey) {
        let removed = self.uploads.try_update(|uploads| uploads.remove(key));
        if let Some(upload) = removed.flatten() {
            self.forget(&upload);
            if let Some(file) = upload.file().cloned() {
                self.end_upload(file);
            }
        }
        self.run_uploads();
    }

    /// The room is left: nothing of its files stays.
    pub(super) fn drop_uploads(&self) {
        let max_bytes = self.uploads.read_untracked().max_bytes;
        let list = self.uploads.read_untracked().list.clone();
        for upload in &list {
            self.forget(upload);
        }
        for (_, uploads) in self.upload_bytes.sent.borrow_mut().drain() {
            uploads.iter().for_each(|upload| self.forget(upload));
        }
        self.uploads.set(Uploads::new(max_bytes));
        storage::set_uploads(&self.room, &[]);
    }

    /// Frees what this tab holds of an upload.
    fn forget(&self, upload: &Upload) {
        let held = &self.upload_bytes;
        if let Some(abort) = held.aborts.borrow_mut().remove(&upload.key) {
            abort.abort();
        }
        held.bytes.borrow_mut().remove(&upload.key);
        if let Some(preview) = &upload.preview {
            files::forget_address(preview);
        }
    }

    /// Asks the server to forget an upload.
    fn end_upload(&self, file: FileId) {
        if let (Some(session), Ok(abort)) = (self.session_token(), AbortController::new()) {
            let uploader = self.uploader(session, &abort);
            spawn_local(async move { uploader.end(&file).await });
        }
    }

    fn session_token(&self) -> Option<SessionToken> {
        self.session.borrow().clone()
    }

    fn uploader(&self, session: SessionToken, abort: &AbortController) -> Uploader {
        Uploader {
            room: self.room.clone(),
            session,
            signal: abort.signal(),
        }
    }

    /// Restores the files of the composer after a reload.
    pub(super) fn restore_uploads(&self) {
        let kept = storage::uploads(&self.room);
        if !kept.is_empty() {
            self.uploads.update(|uploads| uploads.restore(kept));
        }
    }

    /// Reads the next file, unless one is being read.
    fn prepare_next(&self) {
        let next = self.uploads.read_untracked().unprepared();
        let Some(key) = next.filter(|_| !self.upload_bytes.prepares.get()) else {
            return;
        };
        let bytes = self.upload_bytes.bytes.borrow().get(&key).cloned();
        let Some(bytes) = bytes else {
            self.uploads
                .update(|uploads| uploads.fail(key, UploadProblem::Gone));
            return self.prepare_next();
        };
        self.upload_bytes.prepares.set(true);
        let me = self.me.clone();
        spawn_local(async move {
            let prepared = Prepared::of(&bytes).await;
            if let Some(controller) = me.upgrade() {
                controller.upload_bytes.prepares.set(false);
                controller.on_prepared(key, prepared);
                controller.prepare_next();
                controller.run_uploads();
            }
        });
    }

    /// A file was read.
    fn on_prepared(&self, key: UploadKey, prepared: Option<Prepared>) {
        // The file may have been removed meanwhile.
        if self.uploads.read_untracked().get(key).is_none() {
            return;
        }
        let Some(prepared) = prepared else {
            let unreadable = |uploads: &mut Uploads| uploads.fail(key, UploadProblem::Unreadable);
            return self.uploads.update(unreadable);
        };
        let Prepared {
            bytes,
            name,
            is_shown,
            keeps_metadata,
        } = prepared;
        let preview = is_shown.then(|| bytes.address()).flatten();
        let size = bytes.size();
        self.upload_bytes.bytes.borrow_mut().insert(key, bytes);
        self.uploads.update(|uploads| {
            uploads.on_picture(key, preview, keeps_metadata);
            uploads.on_prepared(key, &name, size);
        });
    }

    /// Starts the uploads that are due, if the room is connected; stores what a reload keeps.
    pub(super) fn run_uploads(&self) {
        self.keep_uploads();
        if self.phase() != Phase::Live || self.uploads.read_untracked().list.is_empty() {
            return;
        }
        let due = self.uploads.try_update(Uploads::start_due);
        for key in due.unwrap_or_default() {
            let (me, Ok(abort)) = (self.me.clone(), AbortController::new()) else {
                continue;
            };
            let mut aborts = self.upload_bytes.aborts.borrow_mut();
            aborts.insert(key, abort.clone());
            spawn_local(run(me, key, abort));
        }
    }

    fn keep_uploads(&self) {
        let kept = self.uploads.read_untracked().kept();
        let mut before = self.upload_bytes.kept.borrow_mut();
        if *before != kept {
            storage::set_uploads(&self.room, &kept);
            *before = kept;
        }
    }

    /// Takes the files for a message.
    pub(super) fn take_uploads(&self, id: MessageId) -> Vec<Attachment> {
        let taken = self.uploads.try_update(Uploads::take).unwrap_or_default();
        let files = taken.iter().filter_map(Upload::attachment).collect();
        if !taken.is_empty() {
            self.upload_bytes.sent.borrow_mut().insert(id, taken);
            self.keep_uploads();
        }
        files
    }

    /// Messages were confirmed or discarded: frees their files.
    pub(super) fn forget_sent_uploads(&self, is_pending: impl Fn(MessageId) -> bool) {
        let mut sent = self.upload_bytes.sent.borrow_mut();
        for (_, uploads) in sent.extract_if(|id, _| !is_pending(*id)) {
            uploads.iter().for_each(|upload| self.forget(upload));
        }
    }

    /// The server has forgotten the uploads of a message: it comes back to the composer. Returns
    /// whether it did.
    pub(super) fn take_back(&self, id: MessageId) -> bool {
        let log = self.state.log();
        let pending = {
            let log = log.read_untracked();
            log.pending.iter().find(|it| it.draft.id == id).cloned()
        };
        let Some(pending) = pending.filter(|pending| pending.lost_files()) else {
            return false;
        };
        let text = pending.draft.text.to_string();
        let sent = self.upload_bytes.sent.borrow_mut().remove(&id);
        self.uploads.update(|uploads| match sent {
            Some(sent) => uploads.put_back(text, sent),
            None => uploads.put_back_names(text, &pending.files),
        });
        log.update(|log| log.discard(id));
        self.run_uploads();
        true
    }

    /// Takes files that are dropped anywhere on the page, and shows that it does.
    pub(super) fn listen_for_drops(&self, listeners: &mut Vec<Listener>) {
        let Some(window) = web_sys::window() else {
            return;
        };
        for name in [
            "dragstart",
            "dragend",
            "dragenter",
            "dragover",
            "dragleave",
            "drop",
        ] {
            let me = self.me.clone();
            listeners.push(Listener::new(&window, name, move |event| {
                if let Some(controller) = me.upgrade() {
                    controller.on_drag(name, &event);
                }
            }));
        }
    }

    fn on_drag(&self, name: &str, event: &Event) {
        let own = &self.upload_bytes.own_drag;
        match name {
            "dragstart" => return own.set(true),
            "dragend" => return own.set(false),
            _ => {}
        }
        if own.get() || !files::are_dragged(event) {
            return;
        }
        if name != "dragleave" {
            // Otherwise the browser opens the file in place of the page.
            event.prevent_default();
        }
        let over = match name {
            "dragleave" => !files::leaves_page(event),
            "drop" => false,
            _ => true,
        };
        if self.uploads.read_untracked().dragged != over {
            self.uploads.update(|uploads| uploads.dragged = over);
        }
        if name == "drop" {
            let dropped = files::dropped(event);
            match self.share_target(event) {
                Some(target) => self.share(target, dropped),
                None => self.attach(dropped),
            }
        }
    }
}

impl RoomController {
    /// To whom dropped files go directly: to the target of the open dialog, or to the participant on
    /// whom they were dropped. `None` if they are for a message.
    fn share_target(&self, event: &Event) -> Option<Target> {
        let sharing = self.transfers.with_untracked(|shown| shown.sharing.clone());
        if let Some(Sharing { target, .. }) = sharing {
            return Some(target);
        }
        let id = dropped_on(event, "data-person")?;
        let id = ParticipantId::parse(&id).ok()?;
        let people = self.state.people();
        let people = people.read_untracked();
        let is_other = people.nickname(&id).is_some() && !people.is_me(&id);
        let may = self
            .state
            .standing()
            .read_untracked()
            .may(Action::ShareFiles, None);
        (is_other && may).then_some(Target::Person(id))
    }

    /// Offers files directly, and closes the dialog that chooses some.
    fn share(&self, target: Target, files: Vec<Bytes>) {
        self.transfers
            .maybe_update(|shown| shown.sharing.take().is_some());
        self.peers.offer(target, files);
    }
}

/// An attribute of the nearest element around that on which files were dropped.
fn dropped_on(event: &Event, attribute: &str) -> Option<String> {
    let element: web_sys::Element = event.target()?.dyn_into().ok()?;
    let around = element.closest(&format!("[{attribute}]")).ok()??;
    around.get_attribute(attribute)
}

/// A file as it is sent.
struct Prepared {
    /// The bytes of the file.
    bytes: Bytes,
    /// The name of the file.
    name: String,
    /// Whether the page shows a picture of it.
    is_shown: bool,
    /// Whether the file is a picture that keeps what a camera stored in it.
    keeps_metadata: bool,
}

impl Prepared {
    /// Reads a file, and encodes a picture again. `None` if the browser cannot read the file.
    async fn of(file: &Bytes) -> Option<Self> {
        let head = file.head(HEAD_BYTES).await?;
        let kept = |keeps_metadata| Self {
            bytes: file.clone(),
            name: file.name(),
            is_shown: file.media_type() == "image/gif",
            keeps_metadata,
        };
        match preparation(&head, &file.media_type()) {
            Preparation::Keep { is_picture } => Some(kept(is_picture)),
            Preparation::Encode(encoding) => match picture::encoded(file, encoding).await {
                None => Some(kept(true)),
                Some((bytes, media_type)) => Some(Self {
                    bytes,
                    name: renamed(&file.name(), media_type),
                    is_shown: true,
                    keeps_metadata: false,
                }),
            },
        }
    }
}

/// Uploads one file: makes its requests one after the other.
async fn run(me: Weak<RoomController>, key: UploadKey, abort: AbortController) {
    loop {
        let Some(controller) = me.upgrade() else {
            return;
        };
        let upload = controller.uploads.read_untracked().get(key).cloned();
        let step = controller.uploads.read_untracked().step(key);
        let (Some(upload), Some(step), Some(session)) = (upload, step, controller.session_token())
        else {
            break;
        };
        let bytes = controller.upload_bytes.bytes.borrow().get(&key).cloned();
        let uploader = controller.uploader(session, &abort);
        drop(controller);
        let started = steady_ms();
        let outcome = request(&uploader, step, &upload, bytes).await;
        let Some(controller) = me.upgrade() else {
            return;
        };
        // Removed: another upload has its place.
        if abort.signal().aborted() {
            break;
        }
        let uploads = controller.uploads;
        let failure = match outcome {
            Some(Outcome::Begun(Ok(file))) => {
                uploads.update(|uploads| uploads.on_begun(key, file));
                controller.keep_uploads();
                continue;
            }
            Some(Outcome::At(Ok(offset))) => {
                let took = steady_ms() - started;
                uploads.update(|uploads| uploads.on_offset(key, offset, took));
                continue;
            }
            Some(Outcome::Begun(Err(failure)) | Outcome::At(Err(failure))) => failure,
            // A reload has lost the bytes.
            None => {
                uploads.update(|uploads| uploads.fail(key, UploadProblem::Gone));
                break;
            }
        };
        let is_live = controller.phase() == Phase::Live;
        let jitter = js_sys::Math::random();
        let next = uploads.try_update(|uploads| uploads.on_failure(key, failure, is_live, jitter));
        drop(controller);
        match next {
            Some(Next::After(delay)) => TimeoutFuture::new(millis(delay)).await,
            Some(Next::Stop) | None => break,
        }
    }
    if let Some(controller) = me.upgrade() {
        let is_own = |known: &AbortController| known == &abort;
        let mut aborts = controller.upload_bytes.aborts.borrow_mut();
        if aborts.get(&key).is_some_and(is_own) {
            aborts.remove(&key);
        }
        drop(aborts);
        controller.run_uploads();
    }
}

/// What came of a request.
enum Outcome {
    /// The upload was to begin.
    Begun(Result<FileId, Failure>),
    /// The server was to say how many bytes it has.
    At(Result<u64, Failure>),
}

/// Makes the next request of an upload. `None` if its bytes are needed and this tab has none.
async fn request(
    uploader: &Uploader,
    step: Step,
    upload: &Upload,
    bytes: Option<Bytes>,
) -> Option<Outcome> {
    Some(match step {
        Step::Ask(file) => Outcome::At(uploader.ask(&file).await),
        Step::Begin => {
            bytes?;
            Outcome::Begun(uploader.begin(&upload.name, upload.size).await)
        }
        Step::Send { file, from, to } => {
            let part = bytes?.part(from, to)?;
            Outcome::At(uploader.send(&file, from, &part).await)
        }
    })
}
