//! Uploads that no message has yet: received in parts, resumed by offset, and bounded.
//!
//! Each upload is a file in the directory of incoming files. Its bytes are hashed as they arrive, so
//! a finished upload is read only once more, at its start. One request writes at a time; a later one
//! takes over, because the server may not know yet that the former connection is lost. Uploads are
//! forgotten by a restart, and the directory is emptied then.

use super::sniff::{HEAD_BYTES, Sniffed, sniff};
use crate::{
    protocol::{FileId, FileName, ParticipantId, RoomName},
    server::{disk, net::Network},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex as Gate, OwnedMutexGuard, watch},
    task::spawn_blocking,
};

/// Most uploads of one participant. 20: the files of two messages.
const MAX_OF_PERSON: usize = 20;
/// Most uploads of one network. 100: a class behind one address.
const MAX_OF_NETWORK: usize = 100;
/// Most uploads of all together.
const MAX_UPLOADS: usize = 1_000;
/// Most bytes of the uploads of one network, as declared: 1 GiB.
const MAX_BYTES_OF_NETWORK: u64 = 1024 * 1024 * 1024;
/// Most bytes of all uploads, as declared: 4 GiB.
const MAX_BYTES: u64 = 4 * MAX_BYTES_OF_NETWORK;
/// Bytes that are collected before they are written. 64 KiB: a write costs a change of threads.
const BUFFER_BYTES: usize = 64 * 1024;

/// The SHA-256 of the content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash in hexadecimal: the name of the content on the disk.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Parses a name of content on the disk.
    pub fn parse(hex: &str) -> Option<Self> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != 64 || !hex.bytes().all(is_hex) {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok();
        let mut hash = [0; 32];
        for (at, place) in hash.iter_mut().enumerate() {
            *place = byte(at)?;
        }
        Some(Self(hash))
    }
}

/// Limits of uploads that the operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of one file; 0 is no files at all.
    pub max_file_bytes: u64,
    /// Bytes of the disk that stay free.
    pub disk_reserve: u64,
}

/// An upload that begins.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The participant who uploads.
    pub owner: ParticipantId,
    /// The room to which the file is sent.
    pub room: RoomName,
    /// The network of the owner; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
    /// The name of the file.
    pub name: FileName,
    /// Size of the file in bytes.
    pub length: u64,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadProgress {
    /// Bytes that have arrived.
    pub offset: u64,
    /// Bytes of the whole file.
    pub length: u64,
}

/// A finished upload. Its file stays in the directory of incoming files while this lives.
#[derive(Debug, Clone)]
pub struct UploadedFile {
    /// Id of the upload and of the file that it becomes.
    pub id: FileId,
    /// The name of the file.
    pub name: FileName,
    /// Size in bytes.
    pub size: u64,
    /// The SHA-256 of the content.
    pub hash: ContentHash,
    /// What the first bytes say.
    pub sniffed: Sniffed,
    /// The file with the content, which is on the disk.
    incoming: Arc<Incoming>,
}

impl UploadedFile {
    /// The path of the content.
    pub fn path(&self) -> &Path {
        &self.incoming.path
    }

    /// A finished upload of this content, in a directory.
    #[cfg(test)]
    pub fn of(directory: &Path, name: &str, content: &[u8]) -> Self {
        let id = super::new_file_id();
        let path = directory.join(id.as_str());
        fs::write(&path, content).expect("written");
        Self {
            id,
            name: FileName::clean(name),
            size: content.len() as u64,
            hash: ContentHash(Sha256::digest(content).into()),
            sniffed: sniff(content),
            incoming: Arc::new(Incoming { path }),
        }
    }
}

/// A file in the directory of incoming files, deleted with its last user.
#[derive(Debug)]
struct Incoming {
    /// The path of the file, which may not exist yet.
    path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Why an upload is refused or ended.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such upload of this participant in this room.
    #[error("there is no such upload")]
    NotFound,
    /// The request continues at another offset than the upload has.
    #[error("the upload is at {0}")]
    WrongOffset(u64),
    /// The file is empty or too large, or more bytes came than were declared.
    #[error("the file is too large")]
    TooLarge,
    /// Too many uploads, or bytes of uploads.
    #[error("too many uploads")]
    TooMany,
    /// The disk has only its reserve free.
    #[error("the disk is full")]
    NoSpace,
    /// Another request continues the upload.
    #[error("another request continues the upload")]
    Interrupted,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// All uploads. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Uploads(Arc<Shared>);

/// The state that all handles share.
#[derive(Debug)]
struct Shared {
    /// The directory of incoming files.
    directory: PathBuf,
    /// The operator's limits.
    limits: UploadLimits,
    /// The uploads by their ids. Locked for a few lines only.
    table: Mutex<HashMap<FileId, Entry>>,
}

/// An upload in the table.
#[derive(Debug)]
struct Entry {
    /// Who uploads what.
    new: NewUpload,
    /// When its last bytes came.
    touched: Instant,
    /// Hash and type, once it is finished.
    finished: Option<(ContentHash, Sniffed)>,
    /// The received bytes.
    content: Arc<Content>,
}

/// The received bytes of an upload.
#[derive(Debug)]
struct Content {
    /// The file on the disk.
    incoming: Arc<Incoming>,
    /// Held by the request that writes.
    gate: Arc<Gate<()>>,
    /// Changes when another request takes over.
    takeover: watch::Sender<u64>,
    /// The end of what was written. Locked by threads that may block.
    end: Mutex<End>,
}

/// The end of the written part of an upload.
#[derive(Debug, Default)]
struct End {
    /// The hash of what was written.
    hasher: Sha256,
    /// Bytes that are in the file.
    offset: u64,
}

impl Uploads {
    /// Opens the directory of incoming files, and deletes what a former process left there.
    ///
    /// # Errors
    /// The directory cannot be made or emptied.
    pub fn open(directory: &Path, limits: UploadLimits) -> io::Result<Self> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if limits.max_file_bytes > 0 {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        Ok(Self(Arc::new(Shared {
            directory: directory.to_owned(),
            limits,
            table: Mutex::default(),
        })))
    }

    /// The operator's limits.
    pub fn limits(&self) -> UploadLimits {
        self.0.limits
    }

    /// The number of uploads that no message has yet.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// The file is too large, there are too many uploads, or the disk is full.
    pub fn begin(&self, new: NewUpload, now: Instant) -> Result<FileId, UploadError> {
        let Shared {
            directory, limits, ..
        } = &*self.0;
        if !(1..=limits.max_file_bytes).contains(&new.length) {
            return Err(UploadError::TooLarge);
        }
        let free = disk::free_bytes(directory)?;
        let mut table = self.0.lock();
        let of_person = table.values().filter(|it| it.new.owner == new.owner);
        let (mut near, mut near_bytes, mut bytes) = (0, new.length, new.length);
        for entry in table.values() {
            bytes = bytes.saturating_add(entry.new.length);
            if new.network.is_some() && entry.new.network == new.network {
                near += 1;
                near_bytes = near_bytes.saturating_add(entry.new.length);
            }
        }
        if of_person.count() >= MAX_OF_PERSON
            || near >= MAX_OF_NETWORK
            || table.len() >= MAX_UPLOADS
            || new.network.is_some() && near_bytes > MAX_BYTES_OF_NETWORK.max(new.length)
            || bytes > MAX_BYTES.max(new.length)
        {
            return Err(UploadError::TooMany);
        }
        // Counts bytes of other uploads that are on the disk already twice, which refuses early.
        if free < bytes.saturating_add(limits.disk_reserve) {
            return Err(UploadError::NoSpace);
        }
        let id = super::new_file_id();
        let path = directory.join(id.as_str());
        let content = Content {
            incoming: Arc::new(Incoming { path }),
            gate: Arc::default(),
            takeover: watch::channel(0).0,
            end: Mutex::default(),
        };
        let entry = Entry {
            new,
            touched: now,
            finished: None,
            content: Arc::new(content),
        };
        table.insert(id.clone(), entry);
        Ok(id)
    }

    /// How far an upload of this participant is. Ends the request that writes to it.
    ///
    /// # Errors
    /// [`UploadError::NotFound`].
    pub async fn progress(
        &self,
        id: &FileId,
        owner: &ParticipantId,
        room: &RoomName,
    ) -> Result<UploadProgress, UploadError> {
        let writing = self.take_over(id, owner, room).await?;
        Ok(UploadProgress {
            offset: writing.offset,
            length: writing.length,
        })
    }

    /// Continues an upload of this participant at an offset, in place of the request that writes to
    /// it now.
    ///
    /// # Errors
    /// [`UploadError::NotFound`] and [`UploadError::WrongOffset`].
    pub async fn resume(
        &self,
        id: &FileId,
        owner: &ParticipantId,
        room: &RoomName,
        offset: u64,
    ) -> Result<Writing, UploadError> {
        let writing = self.take_over(id, owner, room).await?;
        match writing.offset == offset {
            true => Ok(writing),
            false => Err(UploadError::WrongOffset(writing.offset)),
        }
    }

    /// Waits until no other request writes to an upload.
    async fn take_over(
        &self,
        id: &FileId,
        owner: &ParticipantId,
        room: &RoomName,
    ) -> Result<Writing, UploadError> {
        let (content, length) = {
            let table = self.0.lock();
            let entry = table.get(id).filter(|entry| entry.is_of(owner, room));
            let entry = entry.ok_or(UploadError::NotFound)?;
            (entry.content.clone(), entry.new.length)
        };
        content
            .takeover
            .send_modify(|count| *count = count.wrapping_add(1));
        // What is sent from now on is another takeover.
        let interrupted = content.takeover.subscribe();
        let gate = content.gate.clone().lock_owned().await;
        let locked = content.clone();
        let offset = spawn_blocking(move || locked.lock().offset);
        let offset = offset.await.map_err(io::Error::other)?;
        Ok(Writing {
            uploads: self.clone(),
            id: id.clone(),
            content,
            length,
            offset,
            buffer: Vec::new(),
            interrupted,
            _gate: gate,
        })
    }

    /// Ends an upload of this participant, finished or not. Returns whether there was one.
    pub fn end(&self, id: &FileId, owner: &ParticipantId, room: &RoomName) -> bool {
        let mut table = self.0.lock();
        let is_known = table.get(id).is_some_and(|entry| entry.is_of(owner, room));
        let ended = is_known.then(|| table.remove(id)).flatten();
        drop(table);
        let Some(entry) = ended else { return false };
        entry.content.takeover.send_modify(|count| *count += 1);
        true
    }

    /// The finished uploads of these ids, if all of them are of this participant in this room.
    pub fn finished(
        &self,
        ids: &[FileId],
        owner: &ParticipantId,
        room: &RoomName,
    ) -> Option<Vec<UploadedFile>> {
        let table = self.0.lock();
        let file = |id: &FileId| {
            let entry = table.get(id).filter(|entry| entry.is_of(owner, room))?;
            let (hash, sniffed) = entry.finished?;
            Some(UploadedFile {
                id: id.clone(),
                name: entry.new.name.clone(),
                size: entry.new.length,
                hash,
                sniffed,
                incoming: entry.content.incoming.clone(),
            })
        };
        ids.iter().map(file).collect()
    }

    /// Forgets uploads that a message has now.
    pub fn forget(&self, ids: &[FileId]) {
        let mut table = self.0.lock();
        let forgotten: Vec<_> = ids.iter().filter_map(|id| table.remove(id)).collect();
        drop(table);
        // Deletes their files, outside of the lock.
        drop(forgotten);
    }

    /// Forgets uploads of which nothing came for `lasts`.
    pub fn expire(&self, now: Instant, lasts: Duration) {
        let is_over = |entry: &Entry| now.saturating_duration_since(entry.touched) >= lasts;
        let expired: Vec<_> = {
            let mut table = self.0.lock();
            table.extract_if(|_, entry| is_over(entry)).collect()
        };
        for (_, entry) in expired {
            entry.content.takeover.send_modify(|count| *count += 1);
        }
    }
}

impl Entry {
    /// Whether the upload is of this participant in this room.
    fn is_of(&self, owner: &ParticipantId, room: &RoomName) -> bool {
        self.new.owner == *owner && self.new.room == *room
    }
}

impl Shared {
    /// Locks the table. A poisoned lock is usable: each change is one step.
    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Locks the end. A poisoned lock is usable: the offset changes last.
    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends bytes to the file. After a failure the next write is at the same offset.
    fn write(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut end = self.lock();
        // Opened for each part: an upload may wait for an hour, and there are many.
        open(&self.incoming.path)?.write_all_at(bytes, end.offset)?;
        end.hasher.update(bytes);
        end.offset += bytes.len() as u64;
        Ok(end.offset)
    }

    /// Makes the whole file durable. Returns its hash and what it is.
    fn finish(&self) -> io::Result<(ContentHash, Sniffed)> {
        let end = self.lock();
        let file = open(&self.incoming.path)?;
        file.sync_all()?;
        let length = end.offset.min(HEAD_BYTES as u64);
        let mut head = vec![0; usize::try_from(length).unwrap_or(HEAD_BYTES)];
        file.read_exact_at(&mut head, 0)?;
        let hash = end.hasher.clone().finalize();
        Ok((ContentHash(hash.into()), sniff(&head)))
    }
}

/// Opens the file of an upload to read and write, and creates it for its owner only.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}

/// The right to write to an upload, until it is dropped or another request takes over. Bytes that
/// were not flushed are lost with it.
pub struct Writing {
    /// The table of uploads.
    uploads: Uploads,
    /// Id of this upload.
    id: FileId,
    /// The received bytes.
    content: Arc<Content>,
    /// Bytes of the whole file.
    length: u64,
    /// Bytes that are in the file.
    offset: u64,
    /// Bytes that are not written yet.
    buffer: Vec<u8>,
    /// Changes when another request takes over.
    interrupted: watch::Receiver<u64>,
    /// Lets one request write at a time.
    _gate: OwnedMutexGuard<()>,
}

impl Writing {
    /// Bytes that were received, written or not.
    pub fn received(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Bytes that are still missing.
    pub fn missing(&self) -> u64 {
        self.length.saturating_sub(self.received())
    }

    /// Waits until another request takes over, or the upload ends.
    pub async fn interrupted(&mut self) {
        let _ = self.interrupted.changed().await;
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes than were declared, of which none is kept; or the disk failed.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), UploadError> {
        if bytes.len() as u64 > self.missing() {
            return Err(UploadError::TooLarge);
        }
        while !bytes.is_empty() {
            let space = BUFFER_BYTES - self.buffer.len();
            let part = bytes.split_to(space.min(bytes.len()));
            self.buffer.extend_from_slice(&part);
            if self.buffer.len() == BUFFER_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Ends the file with the last byte that was received: its length was a bound.
    ///
    /// # Errors
    /// Nothing was received, or the disk failed.
    pub async fn close(mut self) -> Result<(), UploadError> {
        let length = self.received();
        if length == 0 {
            return Err(UploadError::TooLarge);
        }
        self.length = length;
        if let Some(entry) = self.uploads.0.lock().get_mut(&self.id) {
            entry.new.length = length;
        }
        self.flush().await.map(drop)
    }

    /// Writes what was received, and finishes the upload with its last byte. Returns the bytes
    /// written.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn flush(&mut self) -> Result<u64, UploadError> {
        let bytes = std::mem::take(&mut self.buffer);
        if bytes.is_empty() && self.missing() > 0 {
            return Ok(self.offset);
        }
        let (content, length) = (self.content.clone(), self.length);
        let (uploads, id) = (self.uploads.clone(), self.id.clone());
        // A thread ends its work although the request is dropped meanwhile.
        let write = spawn_blocking(move || {
            let offset = content.write(&bytes)?;
            let finished = (offset == length).then(|| content.finish()).transpose()?;
            let mut table = uploads.0.lock();
            if let Some(entry) = table.get_mut(&id) {
                entry.touched = Instant::now();
                entry.finished = entry.finished.or(finished);
            }
            Ok(offset)
        });
        let written: io::Result<u64> = write.await.map_err(io::Error::other)?;
        self.offset = written.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => UploadError::NoSpace,
            _ => UploadError::Disk(error),
        })?;
        Ok(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        files::sniff,
        identity::{new_session_token, participant_id},
        net::ban_network,
    };

    const MIB: u64 = 1024 * 1024;

    /// Uploads of at most a mebibyte in a directory of their own.
    fn uploads() -> (tempfile::TempDir, Uploads) {
        let home = tempfile::tempdir().expect("tempdir");
        let limits = UploadLimits {
            max_file_bytes: MIB,
            disk_reserve: 0,
        };
        let uploads = Uploads::open(&home.path().join("incoming"), limits).expect("opens");
        (home, uploads)
    }

    fn room() -> RoomName {
        RoomName::parse("team").expect("valid")
    }

    fn somebody() -> ParticipantId {
        participant_id(&new_session_token())
    }

    fn new(owner: &ParticipantId, length: u64) -> NewUpload {
        NewUpload {
            owner: owner.clone(),
            room: room(),
            network: None,
            name: FileName::clean("a.txt"),
            length,
        }
    }

    /// The number of files in the directory.
    fn files(uploads: &Uploads) -> usize {
        fs::read_dir(&uploads.0.directory).expect("read").count()
    }

    #[tokio::test]
    async fn a_file_of_unknown_length_ends_with_its_last_byte() {
        let (_home, uploads) = uploads();
        let owner = somebody();
        for size in [1, BUFFER_BYTES, BUFFER_BYTES + 5, MIB as usize] {
            let id = uploads
                .begin(new(&owner, MIB), Instant::now())
                .expect("begins");
            let writing = uploads.resume(&id, &owner, &room(), 0).await;
            let mut writing = writing.expect("resumes");
            writing.push(vec![7; size].into()).await.expect("taken");
            writing.close().await.expect("closes");
            let ids = [id.clone()];
            let finished = uploads.finished(&ids, &owner, &room()).expect("finished");
            assert_eq!(finished[0].size, size as u64);
            assert_eq!(finished[0].hash.0[..], Sha256::digest(vec![7; size])[..]);
            drop(finished);
            uploads.end(&id, &owner, &room());
        }
        let id = uploads
            .begin(new(&owner, MIB), Instant::now())
            .expect("begins");
        let writing = uploads.resume(&id, &owner, &room(), 0).await;
        assert!(writing.expect("resumes").close().await.is_err());
    }

    #[tokio::test]
    async fn an_upload_in_parts_has_the_hash_of_the_whole_and_is_finished_with_its_last_byte() {
        let (_home, uploads) = uploads();
        let ann = somebody();
        let content = [sniff::png(7, 5), vec![9; 200_000]].concat();
        let begun = new(&ann, content.len() as u64);
        let id = uploads.begin(begun, Instant::now()).expect("begun");
        let mut offset = 0;
        for part in content.chunks(70_001) {
            assert!(
                uploads
                    .finished(std::slice::from_ref(&id), &ann, &room())
                    .is_none()
            );
            let writing = uploads.resume(&id, &ann, &room(), offset).await;
            let mut writing = writing.expect("at its offset");
            writing
                .push(Bytes::copy_from_slice(part))
                .await
                .expect("taken");
            offset = writing.flush().await.expect("written");
        }
        let files = uploads.finished(std::slice::from_ref(&id), &ann, &room());
        let [file] = &files.expect("finished")[..] else {
            panic!("one file");
        };
        assert_eq!(file.hash.0[..], Sha256::digest(&content)[..]);
        assert_eq!(file.sniffed.pixels, Some((7, 5)));
        assert_eq!(fs::read(file.path()).expect("read"), content);
        assert_eq!(ContentHash::parse(&file.hash.hex()), Some(file.hash));
        let path = file.path().to_owned();
        uploads.forget(&[id]);
        assert!(path.exists(), "somebody uses it");
    }

    #[tokio::test]
    async fn a_wrong_offset_too_many_bytes_and_another_person_are_refused() {
        let (_home, uploads) = uploads();
        let (ann, ben) = (somebody(), somebody());
        let id = uploads.begin(new(&ann, 5), Instant::now()).expect("begun");
        let resumed = uploads.resume(&id, &ann, &room(), 1).await.err();
        assert!(matches!(resumed, Some(UploadError::WrongOffset(0))));
        let other = RoomName::parse("other").expect("valid");
        for (who, room) in [(&ben, &room()), (&ann, &other)] {
            let found = uploads.progress(&id, who, room).await.err();
            assert!(matches!(found, Some(UploadError::NotFound)));
            assert!(!uploads.end(&id, who, room));
        }
        let mut writing = uploads.resume(&id, &ann, &room(), 0).await.expect("at 0");
        writing
            .push(Bytes::from_static(b"abc"))
            .await
            .expect("taken");
        let more = writing.push(Bytes::from_static(b"def")).await;
        assert!(matches!(more, Err(UploadError::TooLarge)));
        assert_eq!(writing.flush().await.expect("written"), 3);
        drop(writing);
        let progress = uploads.progress(&id, &ann, &room()).await.expect("known");
        assert_eq!((progress.offset, progress.length), (3, 5));
        assert_eq!(files(&uploads), 1);
        assert!(uploads.end(&id, &ann, &room()));
        assert_eq!((files(&uploads), uploads.count()), (0, 0));
    }

    #[tokio::test]
    async fn a_later_request_takes_over_and_what_was_written_stays() {
        let (_home, uploads) = uploads();
        let ann = somebody();
        let id = uploads.begin(new(&ann, 9), Instant::now()).expect("begun");
        let mut first = uploads.resume(&id, &ann, &room(), 0).await.expect("at 0");
        first.push(Bytes::from_static(b"abc")).await.expect("taken");
        first.flush().await.expect("written");
        let room = room();
        let (second, ()) = tokio::join!(uploads.resume(&id, &ann, &room, 3), async {
            first.interrupted().await;
            drop(first);
        });
        let mut second = second.expect("at 3");
        let (progress, ()) = tokio::join!(uploads.progress(&id, &ann, &room), async {
            second.interrupted().await;
            drop(second);
        });
        assert_eq!(progress.expect("known").offset, 3);
    }

    #[tokio::test]
    async fn uploads_are_bounded_for_a_person_a_network_and_in_all_and_expire() {
        let (_home, uploads) = uploads();
        let start = Instant::now();
        for length in [0, MIB + 1] {
            let begun = uploads.begin(new(&somebody(), length), start);
            assert!(matches!(begun, Err(UploadError::TooLarge)));
        }
        let ann = somebody();
        for _ in 0..MAX_OF_PERSON {
            uploads.begin(new(&ann, 1), start).expect("begun");
        }
        let more = uploads.begin(new(&ann, 1), start);
        assert!(matches!(more, Err(UploadError::TooMany)));
        let near = || NewUpload {
            network: ban_network([192, 0, 2, 7].into()),
            ..new(&somebody(), 1)
        };
        for _ in 0..MAX_OF_NETWORK {
            uploads.begin(near(), start).expect("begun");
        }
        assert!(matches!(
            uploads.begin(near(), start),
            Err(UploadError::TooMany)
        ));
        while uploads.count() < MAX_UPLOADS {
            uploads.begin(new(&somebody(), 1), start).expect("begun");
        }
        let full = uploads.begin(new(&somebody(), 1), start);
        assert!(matches!(full, Err(UploadError::TooMany)));
        let hour = Duration::from_secs(60 * 60);
        uploads.expire(start + hour - Duration::from_millis(1), hour);
        assert_eq!(uploads.count(), MAX_UPLOADS);
        uploads.expire(start + hour, hour);
        assert_eq!((uploads.count(), files(&uploads)), (0, 0));
    }

    #[tokio::test]
    async fn a_start_removes_what_a_killed_process_left() {
        let (home, uploads) = uploads();
        let left = uploads.0.directory.join("f_left");
        fs::write(&left, "half a file").expect("written");
        let limits = uploads.limits();
        let again = Uploads::open(&home.path().join("incoming"), limits).expect("opens");
        assert!(!left.exists());
        assert_eq!(files(&again), 0);
        let full = UploadLimits {
            disk_reserve: u64::MAX,
            ..limits
        };
        let full = Uploads::open(&home.path().join("incoming"), full).expect("opens");
        let refused = full.begin(new(&somebody(), 1), Instant::now());
        assert!(matches!(refused, Err(UploadError::NoSpace)));
    }
}
