//! Which rooms are open: finds them, makes them, lets them go.
//!
//! The map of names is behind a `std` mutex held for a few lines and never over an
//! `.await`. A room takes its own name down under that lock before it drops its mailbox,
//! so whoever finds the name later gets a new room, and whoever had found it knocks again.
//!
//! Two limits bound the map. Rooms with somebody in them, or about to be entered, are at most
//! `max_rooms`. Rooms whose people are all away do not count there; there are as many of them
//! again, and one more makes the one that has been so for the longest time give its people up.

use super::{
    handle::RoomHandle,
    message::RoomMessage,
    summaries::{Summaries, publish},
    task,
};
use crate::server::rooms::{
    RoomError, RoomSnapshot,
    core::command::{Command, ConnectionId},
    core::room::RoomRules,
};
use crate::{
    protocol::{HISTORY_PAGE, IceServer, MAX_HISTORY_PAGE, ParticipantId, RoomName, RoomSummary},
    server::{
        limits::{POST_RATE, ROOM_MAILBOX},
        metrics::RoomMetrics,
        net::KeyedRateLimiter,
        sfu::{self, MediaHandle, Sfu},
        store::Store,
    },
};
use prometheus_client::registry::Registry;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
};

/// Lets people reach each other, and the SFU, from behind a firewall.
pub trait Relays: Send + Sync {
    /// ICE servers for somebody in a room's call, with credentials of their own.
    fn servers(&self, room: &RoomName, id: &ParticipantId) -> Vec<IceServer>;
    /// Somebody has left a room's call: nothing is relayed for them any more.
    fn forget(&self, room: &RoomName, id: &ParticipantId);
    /// Adds its counters to the registry of a scrape.
    fn register_metrics(&self, registry: &mut Registry);
}

/// A handle to the registry; cloning it is cheap.
#[derive(Clone)]
pub struct Rooms {
    /// Shared by all handles and all actors.
    pub(super) inner: Arc<Inner>,
}

/// The registry.
pub(super) struct Inner {
    /// The rooms by name. Locked for a few lines only.
    pub(super) open: Mutex<Open>,
    /// Where the logs are.
    pub(super) store: Store,
    /// What the operator set.
    pub(super) rules: RoomRules,
    /// How many rooms may be open at once, those whose people are all away not counted.
    max_rooms: usize,
    /// Limits what comes into each room by plain forms; outlives the room's actor.
    pub(super) post_rates: KeyedRateLimiter,
    /// The list for the welcome page.
    pub(super) summaries: watch::Sender<Summaries>,
    /// Where media goes that does not go browser to browser.
    sfu: Sfu,
    /// The relay of this server, where it has one.
    relays: OnceLock<Arc<dyn Relays>>,
    /// Wakes the task that publishes the list.
    changed: Arc<Notify>,
    /// Counts sockets and actors: never the same number twice.
    numbers: AtomicU64,
    /// Messages stored since the start, for `/metrics`.
    pub(super) messages: AtomicU64,
    /// Where rooms live, whoever opens them.
    runtime: Handle,
    /// Counts joins, refusals and frames.
    metrics: RoomMetrics,
}

/// What the lock protects.
#[derive(Default)]
pub(super) struct Open {
    /// The rooms by name.
    pub(super) rooms: HashMap<RoomName, Entry>,
    /// Those of them whose people are all away, longest so first, by a number that grows.
    vacant: BTreeMap<u64, RoomName>,
    /// The server stops: no room is made any more.
    closed: bool,
}

/// One open room.
pub(super) struct Entry {
    /// Which actor of this name.
    key: u64,
    /// How it is reached.
    pub(super) mailbox: mpsc::Sender<RoomMessage>,
    /// What the welcome page shows.
    pub(super) summary: Option<RoomSummary>,
    /// Its number in [`Open::vacant`], where it is there.
    vacant: Option<u64>,
}

impl Open {
    /// Rooms that count against the limit.
    fn occupied(&self) -> usize {
        self.rooms.len().saturating_sub(self.vacant.len())
    }

    /// Takes a room's name down.
    fn remove(&mut self, name: &RoomName) {
        let number = self.rooms.remove(name).and_then(|entry| entry.vacant);
        if let Some(number) = number {
            self.vacant.remove(&number);
        }
    }
}

/// Sums over all rooms, for `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rooms with somebody in them.
    pub rooms: u64,
    /// People in rooms.
    pub people: u64,
    /// People in calls.
    pub in_call: u64,
    /// Messages stored since the start.
    pub messages: u64,
}

impl Rooms {
    /// An empty registry; starts the task that publishes the list of open rooms.
    pub fn new(
        store: Store,
        sfu: Sfu,
        rules: RoomRules,
        max_rooms: usize,
        publish_every: Duration,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            open: Mutex::default(),
            store,
            sfu,
            relays: OnceLock::new(),
            rules,
            max_rooms,
            post_rates: KeyedRateLimiter::new(POST_RATE),
            summaries: watch::channel(Summaries::empty()).0,
            changed: changed.clone(),
            numbers: AtomicU64::new(1),
            messages: AtomicU64::new(0),
            runtime: Handle::current(),
            metrics: RoomMetrics::default(),
        });
        tokio::spawn(publish(Arc::downgrade(&inner), changed, publish_every));
        Self { inner }
    }

    /// The counters of all rooms.
    pub fn metrics(&self) -> &RoomMetrics {
        &self.inner.metrics
    }

    /// The open rooms, fullest first; at most 100.
    pub fn summaries(&self) -> Arc<[RoomSummary]> {
        self.inner.summaries.borrow().rooms.clone()
    }

    /// The open rooms, and every change of them.
    pub fn watch(&self) -> watch::Receiver<Summaries> {
        self.inner.summaries.subscribe()
    }

    /// A handle to any room. Makes no room: that is done by whoever joins or posts.
    ///
    /// # Errors
    /// What a join would be refused with just now: [`RoomError::TooManyRooms`], or
    /// [`RoomError::Unavailable`] while the server stops.
    pub fn open(&self, name: &RoomName) -> Result<RoomHandle, RoomError> {
        let open = self.lock();
        if !open.rooms.contains_key(name) {
            self.has_place(&open)?;
        }
        drop(open);
        Ok(RoomHandle::new(self.clone(), name.clone()))
    }

    /// Whether a room has an actor just now: joining it starts none.
    pub fn is_open(&self, name: &RoomName) -> bool {
        self.lock().rooms.contains_key(name)
    }

    /// How many rooms have an actor, those whose people are all away included.
    pub fn count(&self) -> usize {
        self.lock().rooms.len()
    }

    /// Finds a room in memory or in the store, and makes none. A store that cannot be
    /// read counts as not knowing the room.
    pub async fn find(&self, name: &RoomName) -> Option<RoomHandle> {
        let open = self.lock().rooms.contains_key(name);
        let known = open || matches!(self.inner.store.head(name).await, Ok(Some(_)));
        known.then(|| RoomHandle::new(self.clone(), name.clone()))
    }

    /// Any room as a page shows it; one that nobody has heard of, or that cannot be read
    /// just now, is empty.
    pub async fn snapshot(&self, name: &RoomName) -> RoomSnapshot {
        let read = self.try_snapshot(name).await;
        read.unwrap_or_else(|_| self.new_room(name).snapshot())
    }

    /// Sums over all rooms.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            messages: self.inner.messages.load(Ordering::Relaxed),
            ..Totals::default()
        };
        for summary in self
            .lock()
            .rooms
            .values()
            .filter_map(|e| e.summary.as_ref())
        {
            totals.rooms += u64::from(summary.people > 0);
            totals.people += u64::from(summary.people);
            totals.in_call += u64::from(summary.in_call);
        }
        totals
    }

    /// From now on people get this relay beside the operator's ICE servers.
    pub fn set_relays(&self, relays: Arc<dyn Relays>) {
        let _ = self.inner.relays.set(relays);
    }

    /// The relay of this server, where it has one.
    pub fn relays(&self) -> Option<&Arc<dyn Relays>> {
        self.inner.relays.get()
    }

    /// Opens the media of a room.
    pub(super) fn open_media(&self) -> (MediaHandle, mpsc::Receiver<sfu::Event>) {
        self.inner.sfu.open_room()
    }

    /// Lets every room go; none is made any more. Rooms end with their last socket.
    pub fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        open.rooms.clear();
        open.vacant.clear();
    }

    /// Starts an actor that nobody sends anything to, as somebody does who ends in between.
    #[cfg(test)]
    pub fn start_for_nobody(&self, name: &RoomName) {
        self.mailbox(name).expect("opens");
    }

    /// Makes a room fail as by a bug.
    #[cfg(test)]
    pub async fn fail(&self, name: &RoomName) {
        let mailbox = self.mailbox(name).expect("opens");
        drop(mailbox.send(RoomMessage::Fail).await);
    }

    /// Any room as a page shows it.
    pub(super) async fn try_snapshot(&self, name: &RoomName) -> Result<RoomSnapshot, RoomError> {
        let mailbox = self
            .lock()
            .rooms
            .get(name)
            .map(|entry| entry.mailbox.clone());
        if let Some(mailbox) = mailbox {
            let (answer, answered) = tokio::sync::oneshot::channel();
            let _ = mailbox.send(RoomMessage::Snapshot(answer)).await;
            if let Ok(snapshot) = answered.await {
                return Ok(snapshot);
            }
        }
        let room = self.load(name).await;
        room.map(|room| room.snapshot())
            .map_err(|_| RoomError::Unavailable)
    }

    /// The actor of this name, made where there is none.
    pub(super) fn mailbox(&self, name: &RoomName) -> Result<mpsc::Sender<RoomMessage>, RoomError> {
        let mut open = self.lock();
        if let Some(entry) = open.rooms.get(name) {
            return Ok(entry.mailbox.clone());
        }
        self.has_place(&open)?;
        let entry = self.start(name);
        let mailbox = entry.mailbox.clone();
        open.rooms.insert(name.clone(), entry);
        Ok(mailbox)
    }

    /// Whether one more room may be made.
    fn has_place(&self, open: &Open) -> Result<(), RoomError> {
        if open.closed {
            return Err(RoomError::Unavailable);
        }
        match open.occupied() < self.inner.max_rooms {
            true => Ok(()),
            false => Err(RoomError::TooManyRooms),
        }
    }

    /// Starts an actor and the task that watches over it.
    fn start(&self, name: &RoomName) -> Entry {
        let (mailbox, messages) = mpsc::channel(ROOM_MAILBOX);
        let key = self.next_number();
        let runtime = &self.inner.runtime;
        let actor = runtime.spawn(task::run(self.clone(), name.clone(), key, messages));
        let (rooms, name) = (self.clone(), name.clone());
        runtime.spawn(async move {
            // A bug in one room ends that room; its sockets come back to a new one.
            if let Err(error) = actor.await {
                tracing::error!(room = %name, %error, "a room failed and was let go");
                rooms.retire(&name, key);
            }
        });
        Entry {
            key,
            mailbox,
            summary: None,
            vacant: None,
        }
    }

    /// Takes a room's name down, unless it belongs to a later one by now.
    pub(super) fn retire(&self, name: &RoomName, key: u64) {
        let mut open = self.lock();
        if open.rooms.get(name).is_some_and(|entry| entry.key == key) {
            open.remove(name);
            drop(open);
            self.inner.changed.notify_one();
        }
    }

    /// Takes in what the welcome page shows of a room, and whether its people are all away.
    pub(super) fn summarise(&self, key: u64, summary: &RoomSummary) {
        let since = self.next_number();
        let mut open = self.lock();
        let Open { rooms, vacant, .. } = &mut *open;
        let Some(entry) = rooms.get_mut(&summary.name).filter(|e| e.key == key) else {
            return;
        };
        entry.summary = Some(summary.clone());
        match (summary.people, entry.vacant) {
            (0, None) => {
                entry.vacant = Some(since);
                vacant.insert(since, summary.name.clone());
            }
            (1.., Some(number)) => {
                entry.vacant = None;
                vacant.remove(&number);
            }
            (0, Some(_)) | (1.., None) => {}
        }
        let longest = self.too_many_vacant(&mut open);
        drop(open);
        if let Some(mailbox) = longest {
            // A full mailbox has somebody about to come in.
            let _ = mailbox.try_send(RoomMessage::Command(Command::ForgetAway));
        }
        self.inner.changed.notify_one();
    }

    /// The room whose people have been away for the longest time, where there are too many
    /// such rooms. It counts until it has retired, so it is asked once.
    fn too_many_vacant(&self, open: &mut Open) -> Option<mpsc::Sender<RoomMessage>> {
        if open.vacant.len() <= self.inner.max_rooms {
            return None;
        }
        let (_, name) = open.vacant.pop_first()?;
        let entry = open.rooms.get_mut(&name)?;
        entry.vacant = None;
        Some(entry.mailbox.clone())
    }

    /// A number for a socket.
    pub(super) fn next_connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_number())
    }

    /// A number nobody has had.
    fn next_number(&self) -> u64 {
        self.inner.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The map; a poisoned lock is fine, each change of it is one step.
    pub(super) fn lock(&self) -> MutexGuard<'_, Open> {
        self.inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

const _: () = assert!(
    HISTORY_PAGE <= MAX_HISTORY_PAGE,
    "a newcomer's page is kept"
);
