//! The registry of open rooms: finds their actors, starts and retires them.
//!
//! The map of names is behind a `std` mutex, held for a few lines and never over an `.await`. An
//! actor removes its own name under that lock before it drops its mailbox. A later look-up of the
//! name starts another actor, and a message to the dropped mailbox is sent again.
//!
//! Two limits bound the map. Occupied rooms, and rooms about to be entered, are at most
//! `max_rooms`. Vacant rooms, whose people are all away, are at most `max_rooms`, too: beyond that,
//! the room that has been vacant for longest forgets its away people and retires.

use super::{
    handle::RoomHandle,
    media::RoomMedia,
    message::RoomMessage,
    summaries::{Summaries, publish},
    task::{self, ForgetReply},
};
use crate::server::rooms::{
    RoomError,
    core::command::{Command, ConnectionId},
    core::room::{RoomRules, Visibility},
};
use crate::{
    protocol::{
        ErrorCode, HISTORY_PAGE, IceServer, InviteId, InviteToken, MAX_HISTORY_PAGE, ParticipantId,
        RoomName, RoomSummary,
    },
    server::{
        limits::{POST_RATE, ROOM_MAILBOX},
        metrics::RoomMetrics,
        net::KeyedRateLimiter,
        sfu::Sfu,
        store::{Store, StoreError},
    },
};
use prometheus_client::registry::Registry;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, oneshot, watch},
};

/// What a person relays. Each use has credentials of its own, so that leaving the call does not
/// break the transfer of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayUse {
    /// The media of the call.
    Call,
    /// Direct connections to others in the room.
    Direct,
}

/// A TURN relay of this server, for people behind a firewall.
pub trait Relays: Send + Sync {
    /// ICE servers with credentials for one person in a room.
    fn servers(&self, room: &RoomName, id: &ParticipantId, usage: RelayUse) -> Vec<IceServer>;
    /// Revokes the credentials of a person for this use, and ends what is relayed by them.
    fn forget(&self, room: &RoomName, id: &ParticipantId, usage: RelayUse);
    /// Registers the relay's counters for a scrape.
    fn register_metrics(&self, registry: &mut Registry);
}

/// A handle to the registry. Cloning is cheap.
#[derive(Clone)]
pub struct Rooms {
    /// The registry, shared by all handles and all actors.
    pub(super) inner: Arc<RoomRegistry>,
}

/// The state of the registry.
pub(super) struct RoomRegistry {
    /// The open rooms. Locked for a few lines only.
    pub(super) open: Mutex<OpenRooms>,
    /// The logs of all rooms.
    pub(super) store: Store,
    /// The operator's settings.
    pub(super) rules: RoomRules,
    /// Limit of occupied rooms, and of vacant ones.
    max_rooms: usize,
    /// Rate limit of plain forms for each room. It outlives the room's actor.
    pub(super) post_rates: KeyedRateLimiter,
    /// The list for the welcome page.
    pub(super) summaries: watch::Sender<Summaries>,
    /// Forwards the media that does not go browser to browser.
    sfu: Sfu,
    /// The relay of this server, if it has one. Set once, after the start.
    relays: OnceLock<Arc<dyn Relays>>,
    /// Wakes the task that publishes the list.
    changed: Arc<Notify>,
    /// Counts sockets and actors: no number is used twice.
    numbers: AtomicU64,
    /// Messages stored since the start, for `/metrics`.
    pub(super) messages: AtomicU64,
    /// Runs the actors, whichever runtime opens the room.
    runtime: Handle,
    /// Counts joins, refusals and frames.
    metrics: RoomMetrics,
}

/// The open rooms, protected by one lock.
#[derive(Default)]
pub(super) struct OpenRooms {
    /// Every open room, by name.
    pub(super) rooms: HashMap<RoomName, RoomEntry>,
    /// The vacant rooms, by a number that grows: the longest vacant one is first.
    vacant: BTreeMap<u64, RoomName>,
    /// Whether the server stops: no actor is started any more.
    closed: bool,
}

/// One open room.
pub(super) struct RoomEntry {
    /// The number of the actor; a later actor of the same name has another one.
    key: u64,
    /// The mailbox of the actor.
    pub(super) mailbox: mpsc::Sender<RoomMessage>,
    /// The counts for the welcome page, from the first member on.
    pub(super) summary: Option<RoomSummary>,
    /// Whether the welcome page may show the room.
    pub(super) is_listed: bool,
    /// Who may see the room. Until its first member enters, the store decides.
    pub(super) visibility: Visibility,
    /// Its key in [`OpenRooms::vacant`], while it is vacant.
    vacant: Option<u64>,
}

impl OpenRooms {
    /// The number of rooms that count as occupied.
    fn occupied(&self) -> usize {
        self.rooms.len().saturating_sub(self.vacant.len())
    }

    /// Removes a room.
    fn remove(&mut self, name: &RoomName) {
        let number = self.rooms.remove(name).and_then(|entry| entry.vacant);
        if let Some(number) = number {
            self.vacant.remove(&number);
        }
    }
}

/// Totals over all rooms, for `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rooms with at least one member.
    pub rooms: u64,
    /// People in rooms.
    pub people: u64,
    /// People in calls.
    pub in_call: u64,
    /// Messages stored since the start.
    pub messages: u64,
}

impl Rooms {
    /// An empty registry. Starts the task that publishes the list of open rooms, at most once in
    /// `publish_every`; without it the list stays empty for everybody.
    pub fn new(
        store: Store,
        sfu: Sfu,
        rules: RoomRules,
        max_rooms: usize,
        publish_every: Option<Duration>,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let inner = Arc::new(RoomRegistry {
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
        if let Some(publish_every) = publish_every {
            tokio::spawn(publish(Arc::downgrade(&inner), changed, publish_every));
        }
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

    /// A watch on the list of open rooms.
    pub fn watch(&self) -> watch::Receiver<Summaries> {
        self.inner.summaries.subscribe()
    }

    /// A handle to any room. Starts no actor: a join or a post does.
    ///
    /// # Errors
    /// [`RoomError::TooManyRooms`] if the room is not open and no further room may open, or
    /// [`RoomError::Unavailable`] while the server stops.
    pub fn open(&self, name: &RoomName) -> Result<RoomHandle, RoomError> {
        let open = self.lock();
        if !open.rooms.contains_key(name) {
            self.check_capacity(&open)?;
        }
        drop(open);
        Ok(RoomHandle::new(self.clone(), name.clone()))
    }

    /// Whether a room has an actor, so that a join starts none.
    pub fn is_open(&self, name: &RoomName) -> bool {
        self.lock().rooms.contains_key(name)
    }

    /// Whether nothing was ever said in a room and nobody is there. A room that cannot be read from
    /// the store is not new.
    pub async fn is_new(&self, name: &RoomName) -> bool {
        !self.is_open(name) && matches!(self.inner.store.head(name).await, Ok(None))
    }

    /// The number of actors, vacant rooms included.
    pub fn count(&self) -> usize {
        self.lock().rooms.len()
    }

    /// Finds a room in memory or in the store. Starts no actor. A room that cannot be read from the
    /// store counts as not found.
    pub async fn find(&self, name: &RoomName) -> Option<RoomHandle> {
        let open = self.lock().rooms.contains_key(name);
        let known = open || matches!(self.inner.store.head(name).await, Ok(Some(_)));
        known.then(|| RoomHandle::new(self.clone(), name.clone()))
    }

    /// The invite that a token names, if the server has signed it for this room.
    ///
    /// # Errors
    /// [`ErrorCode::BadInvite`] for any other token.
    pub fn verify_invite(
        &self,
        name: &RoomName,
        token: &InviteToken,
    ) -> Result<InviteId, ErrorCode> {
        let known = self.inner.rules.invite_key.verify(name, token);
        known.ok_or(ErrorCode::BadInvite)
    }

    /// Totals over all rooms.
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

    /// Adds this relay to the operator's ICE servers.
    pub fn set_relays(&self, relays: Arc<dyn Relays>) {
        let _ = self.inner.relays.set(relays);
    }

    /// The relay of this server, if it has one.
    pub fn relays(&self) -> Option<&Arc<dyn Relays>> {
        self.inner.relays.get()
    }

    /// Opens a room at the SFU; nothing while the SFU is overloaded.
    pub(super) fn open_media(&self) -> Option<RoomMedia> {
        self.inner.sfu.open_room().map(RoomMedia::new)
    }

    /// Drops every mailbox and starts no actor any more. Actors end with their last socket.
    pub fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        open.rooms.clear();
        open.vacant.clear();
    }

    /// Starts an actor without a message, like a sender that ends before it sends one.
    #[cfg(test)]
    pub fn start_without_message(&self, name: &RoomName) {
        self.mailbox(name).expect("opens");
    }

    /// Makes a room's actor panic.
    #[cfg(test)]
    pub async fn fail(&self, name: &RoomName) {
        let mailbox = self.mailbox(name).expect("opens");
        drop(mailbox.send(RoomMessage::Fail).await);
    }

    /// The mailbox of the actor of this name, which is started if there is none.
    pub(super) fn mailbox(&self, name: &RoomName) -> Result<mpsc::Sender<RoomMessage>, RoomError> {
        let mut open = self.lock();
        if let Some(entry) = open.rooms.get(name) {
            return Ok(entry.mailbox.clone());
        }
        self.check_capacity(&open)?;
        let entry = self.start(name, None);
        let mailbox = entry.mailbox.clone();
        open.rooms.insert(name.clone(), entry);
        Ok(mailbox)
    }

    /// Checks that one more actor may be started.
    fn check_capacity(&self, open: &OpenRooms) -> Result<(), RoomError> {
        if open.closed {
            return Err(RoomError::Unavailable);
        }
        match open.occupied() < self.inner.max_rooms {
            true => Ok(()),
            false => Err(RoomError::TooManyRooms),
        }
    }

    /// Deletes the row of a stored room without messages, unless the room is open. Whoever enters
    /// meanwhile waits for it. Returns whether there was a row.
    ///
    /// # Errors
    /// The store failed; a retry is safe.
    pub async fn forget(&self, name: &RoomName) -> Result<bool, StoreError> {
        let (reply, replied) = oneshot::channel();
        {
            let mut open = self.lock();
            if open.closed || open.rooms.contains_key(name) {
                return Ok(false);
            }
            let entry = self.start(name, Some(reply));
            open.rooms.insert(name.clone(), entry);
        }
        replied.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Starts an actor, and a task that waits for its end. The actor first forgets the room where
    /// `forget` waits for that.
    fn start(&self, name: &RoomName, forget: Option<ForgetReply>) -> RoomEntry {
        let (mailbox, messages) = mpsc::channel(ROOM_MAILBOX);
        let key = self.next_number();
        let runtime = &self.inner.runtime;
        let actor = task::run(self.clone(), name.clone(), key, messages, forget);
        let actor = runtime.spawn(actor);
        let (rooms, name) = (self.clone(), name.clone());
        runtime.spawn(async move {
            // A panic ends this room only; its sockets reconnect to another actor.
            if let Err(error) = actor.await {
                tracing::error!(room = %name, %error, "the actor of a room failed and was removed");
                rooms.retire(&name, key);
            }
        });
        RoomEntry {
            key,
            mailbox,
            summary: None,
            is_listed: true,
            visibility: Visibility::Inside(HashSet::new()),
            vacant: None,
        }
    }

    /// Removes a room, unless a later actor has its name.
    pub(super) fn retire(&self, name: &RoomName, key: u64) {
        let mut open = self.lock();
        if open.rooms.get(name).is_some_and(|entry| entry.key == key) {
            open.remove(name);
            drop(open);
            self.inner.changed.notify_one();
        }
    }

    /// Stores the counts of a room, whether it is vacant, whether the welcome page shows it, and who
    /// may see it.
    pub(super) fn update_summary(
        &self,
        key: u64,
        summary: &RoomSummary,
        is_listed: bool,
        visibility: Visibility,
    ) {
        let since = self.next_number();
        let mut open = self.lock();
        let OpenRooms { rooms, vacant, .. } = &mut *open;
        let Some(entry) = rooms.get_mut(&summary.name).filter(|e| e.key == key) else {
            return;
        };
        entry.summary = Some(summary.clone());
        entry.is_listed = is_listed;
        entry.visibility = visibility;
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
        let longest = self.excess_vacant(&mut open);
        drop(open);
        if let Some(mailbox) = longest {
            // A full mailbox holds a join: the room is about to be occupied.
            let _ = mailbox.try_send(RoomMessage::Command(Command::ForgetAway));
        }
        self.inner.changed.notify_one();
    }

    /// The mailbox of the longest vacant room, if there are too many vacant rooms. The room counts
    /// as occupied from now until it has retired, so it gets only one [`Command::ForgetAway`].
    fn excess_vacant(&self, open: &mut OpenRooms) -> Option<mpsc::Sender<RoomMessage>> {
        if open.vacant.len() <= self.inner.max_rooms {
            return None;
        }
        let (_, name) = open.vacant.pop_first()?;
        let entry = open.rooms.get_mut(&name)?;
        entry.vacant = None;
        Some(entry.mailbox.clone())
    }

    /// The id of a new socket.
    pub(super) fn next_connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_number())
    }

    /// A number that was not used before.
    fn next_number(&self) -> u64 {
        self.inner.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The open rooms. A poisoned lock is usable: each change of the map is one step.
    pub(super) fn lock(&self) -> MutexGuard<'_, OpenRooms> {
        self.inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

const _: () = assert!(
    HISTORY_PAGE <= MAX_HISTORY_PAGE,
    "the history of a room must hold the page that a join returns"
);
