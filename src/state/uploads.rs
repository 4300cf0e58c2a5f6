//! The files that a participant is about to send: their order, their states, the parts in which each
//! is uploaded, and what follows a failure.
//!
//! Pure. [`crate::browser`] holds the bytes, makes the requests that [`Uploads::step`] names, and
//! reports each outcome. The protocol is in docs/protocol.md, "Files".

use crate::protocol::{Attachment, ErrorCode, FileId, FileName, MAX_MESSAGE_FILES, MediaType};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most files that upload at once; the others wait.
pub const MAX_AT_ONCE: usize = 2;
/// Bytes of the first part. 256 KiB: the progress moves within a second at 2 Mbit/s.
const FIRST_PART_BYTES: u64 = 256 * 1024;
/// Bytes of the smallest part. 64 KiB: what the server writes at once.
const LEAST_PART_BYTES: u64 = 64 * 1024;
/// Bytes of the largest part. 1 MiB: what nginx takes without a setting of its own.
const MOST_PART_BYTES: u64 = 1024 * 1024;
/// A part that took less is followed by one of twice the size.
const QUICK_PART_MS: f64 = 600.0;
/// A part that took more is followed by one of half the size.
const SLOW_PART_MS: f64 = 3_000.0;
/// Failures in a row after which an upload is given up while the room is connected.
const MAX_FAILURES: u32 = 8;
/// Times that an upload begins again because the server has forgotten it.
const MAX_RESTARTS: u32 = 3;
/// Longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// Longest name that is kept, in characters; the server keeps 255 bytes.
const MAX_NAME_CHARS: usize = 255;

/// Number of an upload in this tab.
pub type UploadKey = u32;

/// Why a file is not uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadProblem {
    /// Larger than the server takes.
    TooLarge,
    /// The file has no bytes.
    Empty,
    /// The browser cannot read the file: a folder, or a file that was moved.
    Unreadable,
    /// The page was loaded again before the file had arrived.
    Gone,
    /// The room has reached its storage limit of files.
    RoomFull,
    /// The server has reached its storage limit of files.
    ServerFull,
    /// Too many uploads for a longer time.
    TooMany,
    /// The role may not send files.
    Role,
    /// The server keeps no files.
    Off,
    /// The connection fails again and again.
    Lost,
    /// The server refused it for another reason.
    Refused,
}

impl UploadProblem {
    /// Whether another attempt may succeed.
    pub const fn may_retry(self) -> bool {
        match self {
            Self::TooLarge | Self::Empty | Self::Gone | Self::Off => false,
            Self::Unreadable
            | Self::RoomFull
            | Self::ServerFull
            | Self::TooMany
            | Self::Role
            | Self::Lost
            | Self::Refused => true,
        }
    }

    /// The problem that a refusal means, if another attempt does not help at once.
    fn of(code: ErrorCode) -> Option<Self> {
        let problems = [
            (ErrorCode::FileTooLarge, Self::TooLarge),
            (ErrorCode::RoomStorageFull, Self::RoomFull),
            (ErrorCode::ServerStorageFull, Self::ServerFull),
            (ErrorCode::NotAllowed, Self::Role),
            (ErrorCode::FilesOff, Self::Off),
        ];
        let found = problems.into_iter().find(|(known, _)| *known == code);
        found.map(|(_, problem)| problem)
    }
}

/// Why chosen files were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// A message has at most this many files.
    TooMany,
    /// The role may not send files.
    Role,
    /// The server keeps no files.
    Off,
}

/// State of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The browser reads the file; a picture is encoded again.
    Preparing,
    /// Waits for another upload or for the connection.
    Waiting,
    /// Is being sent.
    Sending,
    /// The server has the whole file.
    Finished(FileId),
    /// The upload has ended for this reason.
    Failed(UploadProblem),
}

/// A file that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Number of the upload.
    pub key: UploadKey,
    /// Name of the file.
    pub name: String,
    /// Bytes of the file.
    pub size: u64,
    /// Address of a picture within this document.
    pub preview: Option<String>,
    /// Whether this is a picture that the browser could not encode again, so that it keeps what the
    /// camera stored.
    pub keeps_metadata: bool,
    /// State of the upload.
    pub stage: Stage,
    /// Id of the upload, once the server knows it.
    file: Option<FileId>,
    /// Bytes that the server has; `None` if the server has to be asked.
    offset: Option<u64>,
    /// Bytes of the next part.
    part_bytes: u64,
    /// Failures since bytes last arrived.
    failures: u32,
    /// Times that the upload began again.
    restarts: u32,
}

/// A file as the tab keeps it over a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUpload {
    /// Name of the file.
    name: String,
    /// Bytes of the file.
    size: u64,
    /// Id of the upload, once the server knows it.
    file: Option<FileId>,
}

/// The next request of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begin the upload.
    Begin,
    /// Ask how many bytes the server has.
    Ask(FileId),
    /// Send the bytes from `from` to before `to`.
    Send {
        /// Id of the upload.
        file: FileId,
        /// The first byte.
        from: u64,
        /// The byte after the last one.
        to: u64,
    },
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request or its answer was lost.
    Lost,
    /// The server or a proxy refused it.
    Refused {
        /// The status of the answer.
        status: u16,
        /// The code of the refusal, if the server gave one.
        code: Option<ErrorCode>,
        /// Seconds after which another attempt is welcome.
        retry_after_s: Option<u32>,
    },
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next step follows after this delay.
    After(Duration),
    /// The upload has ended, or waits until the room is connected.
    Stop,
}

/// Whether a message can be sent with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// There are no files.
    NoFiles,
    /// Some files are still on their way.
    Busy,
    /// Some files will not arrive.
    Failed,
    /// Every file has arrived.
    Ready,
}

/// The files of the message in the composer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uploads {
    /// The files, in the order in which they were chosen.
    pub list: Vec<Upload>,
    /// Most bytes of a file; 0 if the server keeps no files.
    pub max_bytes: u64,
    /// Whether the message is sent as soon as its files have arrived.
    pub sends: bool,
    /// Why files were not taken, until others are chosen.
    pub rejected: Option<Rejected>,
    /// Whether files are being dragged over the page.
    pub dragged: bool,
    /// The text of a message that came back to the composer, until the composer has it.
    pub returned: Option<String>,
    /// Uploads made so far; numbers the next one.
    made: UploadKey,
}

impl Uploads {
    /// No files yet, on a server that takes files of this size.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            ..Self::default()
        }
    }

    /// Adds a file; `None` if the message has as many as it may.
    pub fn add(&mut self, name: &str, size: u64) -> Option<UploadKey> {
        if self.list.len() >= MAX_MESSAGE_FILES {
            self.rejected = Some(Rejected::TooMany);
            return None;
        }
        let upload = self.upload(name, size, Stage::Preparing);
        let key = upload.key;
        self.list.push(upload);
        Some(key)
    }

    fn upload(&mut self, name: &str, size: u64, stage: Stage) -> Upload {
        self.made = self.made.wrapping_add(1);
        Upload {
            key: self.made,
            name: name.chars().take(MAX_NAME_CHARS).collect(),
            size,
            preview: None,
            keeps_metadata: false,
            stage,
            file: None,
            offset: None,
            part_bytes: FIRST_PART_BYTES,
            failures: 0,
            restarts: 0,
        }
    }

    /// An upload by its number.
    pub fn get(&self, key: UploadKey) -> Option<&Upload> {
        self.list.iter().find(|upload| upload.key == key)
    }

    fn get_mut(&mut self, key: UploadKey) -> Option<&mut Upload> {
        self.list.iter_mut().find(|upload| upload.key == key)
    }

    /// The first file that is to be read.
    pub fn unprepared(&self) -> Option<UploadKey> {
        let is_unread = |upload: &&Upload| upload.stage == Stage::Preparing;
        self.list.iter().find(is_unread).map(|upload| upload.key)
    }

    /// The browser has read a file: this is what it sends.
    pub fn on_prepared(&mut self, key: UploadKey, name: &str, size: u64) {
        let max_bytes = self.max_bytes;
        if let Some(upload) = self.get_mut(key) {
            upload.name = name.chars().take(MAX_NAME_CHARS).collect();
            upload.size = size;
            upload.stage = match size {
                0 => Stage::Failed(UploadProblem::Empty),
                size if size > max_bytes => Stage::Failed(UploadProblem::TooLarge),
                _ => Stage::Waiting,
            };
        }
    }

    /// What is shown of a picture.
    pub fn on_picture(&mut self, key: UploadKey, preview: Option<String>, keeps_metadata: bool) {
        if let Some(upload) = self.get_mut(key) {
            upload.preview = preview;
            upload.keeps_metadata = keeps_metadata;
        }
    }

    /// An upload ends for this reason.
    pub fn fail(&mut self, key: UploadKey, problem: UploadProblem) {
        if let Some(upload) = self.get_mut(key) {
            upload.stage = Stage::Failed(problem);
        }
    }

    /// The room is connected: starts as many uploads as may be sent at once. Returns those that start.
    pub fn start_due(&mut self) -> Vec<UploadKey> {
        let count = |uploads: &Self| {
            let is_sent = |upload: &&Upload| upload.stage == Stage::Sending;
            uploads.list.iter().filter(is_sent).count()
        };
        let free = MAX_AT_ONCE.saturating_sub(count(self));
        let waiting = self.list.iter_mut();
        let waiting = waiting.filter(|upload| upload.stage == Stage::Waiting);
        let start = |upload: &mut Upload| {
            upload.stage = Stage::Sending;
            upload.key
        };
        waiting.take(free).map(start).collect()
    }

    /// The next request of an upload that is being sent.
    pub fn step(&self, key: UploadKey) -> Option<Step> {
        let upload = self.get(key).filter(|it| it.stage == Stage::Sending)?;
        let Some(file) = upload.file.clone() else {
            return Some(Step::Begin);
        };
        Some(match upload.offset {
            None => Step::Ask(file),
            Some(from) => Step::Send {
                file,
                from,
                to: (from + upload.part_bytes).min(upload.size),
            },
        })
    }

    /// The server has begun an upload.
    pub fn on_begun(&mut self, key: UploadKey, file: FileId) {
        if let Some(upload) = self.get_mut(key) {
            upload.file = Some(file);
            upload.offset = Some(0);
        }
    }

    /// The server has this many bytes; the request took `took_ms`.
    pub fn on_offset(&mut self, key: UploadKey, offset: u64, took_ms: f64) {
        let Some(upload) = self.get_mut(key) else {
            return;
        };
        if upload.offset.is_some_and(|before| before < offset) {
            upload.failures = 0;
            upload.part_bytes = match took_ms {
                took if took < QUICK_PART_MS => (upload.part_bytes * 2).min(MOST_PART_BYTES),
                took if took > SLOW_PART_MS => (upload.part_bytes / 2).max(LEAST_PART_BYTES),
                _ => upload.part_bytes,
            };
        }
        upload.offset = Some(offset.min(upload.size));
        if let (Some(file), true) = (&upload.file, offset >= upload.size) {
            upload.stage = Stage::Finished(file.clone());
        }
    }

    /// A request failed. `is_live`: whether the room is connected; `jitter`: from 0 to 1.
    pub fn on_failure(
        &mut self,
        key: UploadKey,
        failure: Failure,
        is_live: bool,
        jitter: f64,
    ) -> Next {
        let Some(upload) = self.get_mut(key).filter(|it| it.stage == Stage::Sending) else {
            return Next::Stop;
        };
        let (code, retry_after_s) = match failure {
            Failure::Lost => (None, None),
            Failure::Refused {
                code,
                retry_after_s,
                ..
            } => (code, retry_after_s),
        };
        // Whatever happened, the server knows how far the upload is.
        upload.offset = None;
        if let Some(problem) = code.and_then(UploadProblem::of) {
            upload.stage = Stage::Failed(problem);
            return Next::Stop;
        }
        if code == Some(ErrorCode::NoSuchFile) {
            if upload.restarts >= MAX_RESTARTS {
                upload.stage = Stage::Failed(UploadProblem::Refused);
                return Next::Stop;
            }
            upload.restarts += 1;
            upload.file = None;
            return Next::After(Duration::ZERO);
        }
        // Without the room's connection nobody is in the room: the upload continues with it.
        if !is_live {
            upload.failures = 0;
            upload.stage = Stage::Waiting;
            return Next::Stop;
        }
        upload.failures += 1;
        upload.part_bytes = (upload.part_bytes / 2).max(LEAST_PART_BYTES);
        let is_final = match failure {
            Failure::Lost => false,
            Failure::Refused { status, code, .. } => {
                // The offset was wrong, or another request continues: to be asked again.
                let may_continue = matches!(status, 403 | 408 | 409 | 429 | 500..);
                !may_continue || (code.is_none() && status < 500)
            }
        };
        if is_final || upload.failures > MAX_FAILURES {
            upload.stage = Stage::Failed(match (failure, code) {
                (_, Some(ErrorCode::TooManyUploads)) => UploadProblem::TooMany,
                (Failure::Lost, _) => UploadProblem::Lost,
                _ => UploadProblem::Refused,
            });
            return Next::Stop;
        }
        Next::After(delay(upload.failures, retry_after_s, jitter))
    }

    /// Tries a failed upload again, from the first request. Whether its file must be read again.
    pub fn retry(&mut self, key: UploadKey) {
        let Some(upload) = self.get_mut(key) else {
            return;
        };
        if let Stage::Failed(problem) = upload.stage
            && problem.may_retry()
        {
            upload.stage = match problem {
                UploadProblem::Unreadable => Stage::Preparing,
                _ => Stage::Waiting,
            };
            (upload.failures, upload.restarts) = (0, 0);
            upload.offset = None;
        }
    }

    /// Removes a file. Returns it, and with it what is to be ended.
    pub fn remove(&mut self, key: UploadKey) -> Option<Upload> {
        let place = self.list.iter().position(|upload| upload.key == key)?;
        let removed = self.list.remove(place);
        self.rejected = None;
        self.sends &= !self.list.is_empty();
        Some(removed)
    }

    /// Whether the message can be sent.
    pub fn readiness(&self) -> Readiness {
        let any = |is: fn(&Stage) -> bool| self.list.iter().any(|upload| is(&upload.stage));
        if self.list.is_empty() {
            return Readiness::NoFiles;
        }
        if any(|stage| matches!(stage, Stage::Failed(_))) {
            return Readiness::Failed;
        }
        match any(|stage| !matches!(stage, Stage::Finished(_))) {
            true => Readiness::Busy,
            false => Readiness::Ready,
        }
    }

    /// The number of files that have arrived, and of all.
    pub fn counts(&self) -> (usize, usize) {
        let is_here = |upload: &&Upload| matches!(upload.stage, Stage::Finished(_));
        (self.list.iter().filter(is_here).count(), self.list.len())
    }

    /// Takes the files for a message, if every one has arrived.
    pub fn take(&mut self) -> Vec<Upload> {
        self.sends = false;
        self.rejected = None;
        match self.readiness() {
            Readiness::Ready => std::mem::take(&mut self.list),
            Readiness::NoFiles | Readiness::Busy | Readiness::Failed => Vec::new(),
        }
    }

    /// A message whose uploads the server has forgotten comes back: its files are uploaded again.
    pub fn put_back(&mut self, text: String, uploads: Vec<Upload>) {
        let uploads = uploads.into_iter().map(|upload| Upload {
            stage: Stage::Waiting,
            file: None,
            offset: None,
            failures: 0,
            restarts: 0,
            ..upload
        });
        self.list.extend(uploads);
        self.returned = Some(text);
    }

    /// A message comes back whose bytes this tab has lost: its files are named.
    pub fn put_back_names(&mut self, text: String, files: &[Attachment]) {
        for file in files {
            let gone = Stage::Failed(UploadProblem::Gone);
            let upload = self.upload(file.name.as_str(), file.size, gone);
            self.list.push(upload);
        }
        self.returned = Some(text);
    }

    /// What the tab keeps over a reload.
    pub fn kept(&self) -> Vec<KeptUpload> {
        let kept = |upload: &Upload| KeptUpload {
            name: upload.name.clone(),
            size: upload.size,
            file: upload.file.clone(),
        };
        self.list.iter().map(kept).collect()
    }

    /// Restores the files after a reload, which loses the bytes of those that had not arrived.
    pub fn restore(&mut self, kept: Vec<KeptUpload>) {
        for kept in kept.into_iter().take(MAX_MESSAGE_FILES) {
            let stage = match kept.file {
                Some(_) => Stage::Waiting,
                None => Stage::Failed(UploadProblem::Gone),
            };
            let mut upload = self.upload(&kept.name, kept.size, stage);
            upload.file = kept.file;
            self.list.push(upload);
        }
    }
}

impl Upload {
    /// Id of the upload, once the server knows it.
    pub fn file(&self) -> Option<&FileId> {
        self.file.as_ref()
    }

    /// Bytes that the server has, as far as this page knows.
    pub fn sent(&self) -> u64 {
        match self.stage {
            Stage::Finished(_) => self.size,
            _ => self.offset.unwrap_or_default(),
        }
    }

    /// The part of the file that the server has, in thousandths.
    pub fn thousandths(&self) -> u64 {
        self.sent() * 1_000 / self.size.max(1)
    }

    /// The file as a pending message shows it; `None` before it has arrived.
    pub fn attachment(&self) -> Option<Attachment> {
        let Stage::Finished(id) = &self.stage else {
            return None;
        };
        Some(Attachment {
            id: id.clone(),
            name: FileName::from_stored(&self.name),
            size: self.size,
            media_type: MediaType::Binary,
            width: None,
            height: None,
            url: String::new(),
        })
    }
}

/// The delay after this many failures in a row: twice as long each time, and at least what the server
/// asks for.
fn delay(failures: u32, retry_after_s: Option<u32>, jitter: f64) -> Duration {
    let doubled = Duration::from_millis(500 << failures.min(6));
    let asked = Duration::from_secs(retry_after_s.unwrap_or_default().into());
    let spread = 0.75 + jitter.clamp(0.0, 1.0) / 2.0;
    doubled.mul_f64(spread).max(asked).min(MAX_DELAY)
}

/// A name in base64 (RFC 4648), as `Upload-Metadata` carries it.
pub fn base64(name: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(name.len().div_ceil(3) * 4);
    for three in name.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for letter in 0..4_usize {
            let index = (bits >> (18 - 6 * letter)) & 63;
            text.push(match letter <= three.len() {
                true => char::from(LETTERS[index as usize]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
