//! The controller of the files that go from browser to browser: its connections, files and timers.

use super::bytes::{call, from_js, get, number, view};
use super::channel::ChannelEvent;
use super::peer::{Peer, PeerOwner};
use super::request::{Handler, Parts, Request};
use super::sink::{MAX_IN_MEMORY, Opened, Sink, settled};
use crate::browser::dom::clock::{now_ms, steady_ms};
use crate::browser::dom::files::Bytes;
use crate::protocol::{Action, ClientMessage, IceServer, ParticipantId, Signal, permit};
use crate::state::call::{CallState, CallStateStoreFields, LinkState};
use crate::state::negotiation::Event;
use crate::state::transfers::book::{Book, Task};
use crate::state::transfers::frame::{DATA_HEADER_BYTES, MAX_FRAME_BYTES, Reason, data_header};
use crate::state::transfers::incoming::Verdict;
use crate::state::transfers::{
    Direction, Ending, Stage, Target, TransferRow, Transfers, clean_name,
};
use crate::state::{RoomState, RoomStateStoreFields};
use gloo_timers::callback::Interval;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use wasm_bindgen::JsValue;

/// How often the list is redrawn while something moves, in milliseconds.
const SHOW_EVERY_MS: u32 = 250;
/// How long a connection without transfers stays open, in milliseconds.
const IDLE_MS: f64 = 30_000.0;
/// Age at which ICE servers are requested again, in milliseconds: TURN credentials last 5 min.
const ICE_SERVERS_LAST_MS: f64 = 120_000.0;
/// Most connections that are being opened at once. 8: a file to everybody in a full room stays within
/// the rate of signals.
const MAX_OPENING: usize = 8;
/// Most connections. 128: everybody in a full room, and some who have just left.
const MAX_CONNECTIONS: usize = 128;
/// How long a connection that does not open keeps others from opening, in milliseconds.
const OPENING_MS: f64 = 10_000.0;
/// Delay before a description is repeated that the server refused for its rate, in milliseconds.
const RETRY_MS: u32 = 1_500;
/// Most signals that wait for ICE servers.
const MAX_WAITING: usize = 1_000;
/// Messages a second that one participant may send beside the bytes of files. An acknowledgement is
/// due for each MiB, so that 1,000 are a gigabyte a second.
const MESSAGES_A_SECOND: f64 = 1_000.0;
/// Most such messages at once.
const MESSAGE_BURST: f64 = 2_000.0;

/// Loads this module, and starts the transfers of a tab in it.
///
/// # Errors
/// The module did not load.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn start(parts: Parts) -> Result<Handler, SplitLoaderError> {
    let peers = Peers::new(parts);
    Ok(Rc::new(move |request| peers.handle(request)))
}

/// Runs the transfers of one tab.
struct Peers {
    me: Weak<Self>,
    room: Store<RoomState>,
    call: Store<CallState>,
    shown: RwSignal<Transfers>,
    send: Rc<dyn Fn(ClientMessage)>,
    book: RefCell<Book>,
    peers: RefCell<HashMap<ParticipantId, Connection>>,
    /// The files that are sent, by row.
    files: RefCell<HashMap<u32, JsValue>>,
    /// Where received files go, by row.
    sinks: RefCell<HashMap<u32, Rc<Sink>>>,
    /// Rows whose file is being read.
    reading: RefCell<HashSet<u32>>,
    /// Rows whose offer is being accepted.
    accepting: RefCell<HashSet<u32>>,
    /// Participants who sent too many messages.
    flooders: RefCell<HashSet<ParticipantId>>,
    ice: RefCell<Ice>,
    timer: RefCell<Option<Interval>>,
}

/// A connection, and when it was used last, in milliseconds of the steady clock.
struct Connection {
    peer: Rc<Peer>,
    used_ms: Cell<f64>,
    /// Whether it waits until others have opened.
    waits: Cell<bool>,
    /// When it began to open, in milliseconds of the steady clock.
    opening_ms: Cell<f64>,
    /// Messages that may still come, and when that was counted.
    messages: Cell<(f64, f64)>,
}

/// The ICE servers of this participant.
#[derive(Default)]
struct Ice {
    servers: Vec<IceServer>,
    /// Whether the operator hides all addresses.
    relay_only: bool,
    /// When they came, in milliseconds of the steady clock.
    at_ms: Option<f64>,
    /// Whether they were requested.
    is_requested: bool,
    /// What waits for them.
    waiting: Vec<(ParticipantId, Event)>,
}

impl Peers {
    /// A controller without transfers.
    fn new(parts: Parts) -> Rc<Self> {
        let Parts {
            room,
            call,
            shown,
            send,
        } = parts;
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            room,
            call,
            shown,
            send,
            book: RefCell::default(),
            peers: RefCell::default(),
            files: RefCell::default(),
            sinks: RefCell::default(),
            reading: RefCell::default(),
            accepting: RefCell::default(),
            flooders: RefCell::default(),
            ice: RefCell::default(),
            timer: RefCell::default(),
        })
    }

    /// Handles what the room asks.
    fn handle(&self, request: Request) {
        match request {
            // The module is loaded.
            Request::Prepare => {}
            Request::Offer(target, files) => self.offer(&target, files),
            Request::Accept(row) => self.accept(row),
            Request::Cancel(row) => self.end(row, Reason::Declined),
            Request::Dismiss(row) => self.dismiss(row),
            Request::Stop => self.stop(),
            Request::Signal(from, signal) => self.on_signal(&from, signal),
            Request::IceServers(servers, relay_only) => self.on_ice_servers(servers, relay_only),
            Request::Joined(here) => self.on_joined(&here),
            Request::Gone(id) => {
                self.flooders.borrow_mut().remove(&id);
                self.on_gone(&id);
            }
            Request::Refused => self.repeat_soon(),
        }
    }

    /// Offers files to others.
    fn offer(&self, target: &Target, files: Vec<Bytes>) {
        let here = self.room.people().read_untracked().here.clone();
        let me = self.room.people().read_untracked().me.clone();
        let others = here.into_iter().filter(|one| Some(&one.id) != me.as_ref());
        let others: Vec<_> = others
            .filter(|one| match target {
                Target::Person(id) => one.id == *id,
                Target::Everybody => true,
            })
            .collect();
        let mut problem = others.is_empty().then_some(Reason::Unknown);
        for file in files {
            let (name, size) = (clean_name(&file.name()), file.size());
            for person in &others {
                let about = (name.as_str(), size);
                let nickname = person.nickname.to_string();
                let offered =
                    self.book
                        .borrow_mut()
                        .offer(&person.id, &nickname, random_id(), about);
                match offered {
                    Ok(row) => {
                        self.files.borrow_mut().insert(row, file.value().clone());
                        self.say_offer(&person.id, row);
                    }
                    Err(reason) => problem = Some(reason),
                }
            }
        }
        self.shown.update(|shown| shown.problem = problem);
        self.show();
    }

    /// Sends a new offer on an open connection, or opens one.
    fn say_offer(&self, id: &ParticipantId, row: u32) {
        match self.peer(id).filter(|peer| peer.is_open()) {
            Some(peer) => {
                let offer = self.book.borrow_mut().offer_of(row);
                offer.into_iter().for_each(|message| peer.send(message));
            }
            None => self.connect(id),
        }
    }

    /// Accepts an offer. On a press: the browser may ask where to save the file.
    fn accept(&self, row: u32) {
        let about = self
            .book
            .borrow()
            .about(row)
            .map(|(id, name, size)| (id.clone(), name.as_str().to_owned(), size));
        let Some((id, name, size)) = about else {
            return;
        };
        if !self.accepting.borrow_mut().insert(row) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            let Some(free) = me.upgrade().map(|peers| peers.free_memory()) else {
                return;
            };
            let opened = Sink::open(&name, size, free).await;
            let Some(peers) = me.upgrade() else { return };
            peers.accepting.borrow_mut().remove(&row);
            match opened {
                Ok(Opened::Sink(sink)) => peers.accept_into(&id, row, sink).await,
                Ok(Opened::Dismissed) => {}
                Err(reason) => peers.end(row, reason),
            }
            peers.show();
        });
    }

    /// Memory that is left for files where the browser has no other place.
    fn free_memory(&self) -> u64 {
        let sinks = self.sinks.borrow();
        let used: u64 = sinks.values().map(|sink| sink.memory_bytes()).sum();
        MAX_IN_MEMORY.saturating_sub(used)
    }

    async fn accept_into(&self, id: &ParticipantId, row: u32, sink: Sink) {
        let accepted = self.book.borrow_mut().accept(row);
        let Some((_, message)) = accepted else {
            // It ended while the browser asked.
            return sink.delete(false).await;
        };
        self.sinks.borrow_mut().insert(row, Rc::new(sink));
        self.send_to(id, message);
    }

    /// Takes a row that has ended out of the list.
    fn dismiss(&self, row: u32) {
        self.book.borrow_mut().dismiss(row);
        self.free_forgotten();
        self.shown.update(|shown| shown.problem = None);
        self.show();
    }

    /// Ends everything: the participant leaves the room.
    fn stop(&self) {
        let rows = self.book.borrow_mut().rows(steady_ms());
        for row in rows.into_iter().filter(|row| !row.stage.is_ended()) {
            self.end(row.row, Reason::Unknown);
        }
        self.timer.borrow_mut().take();
        *self.book.borrow_mut() = Book::default();
        self.free_forgotten();
        let closed: Vec<_> = self.peers.borrow_mut().drain().collect();
        drop(closed);
        self.shown.set(Transfers::default());
    }

    fn peer(&self, id: &ParticipantId) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers.get(id).map(|connection| connection.peer.clone())
    }

    fn all_peers(&self) -> Vec<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers
            .values()
            .map(|connection| connection.peer.clone())
            .collect()
    }

    /// Opens a connection to a participant, at once or after others.
    fn connect(&self, id: &ParticipantId) {
        if self.add_peer(id) {
            let peers = self.peers.borrow();
            if let Some(connection) = peers.get(id) {
                connection.waits.set(true);
            }
        }
        self.open_waiting();
    }

    /// Adds a connection that is not open. False if there is one.
    fn add_peer(&self, id: &ParticipantId) -> bool {
        let me = self.room.people().read_untracked().me.clone();
        let peers = self.peers.borrow();
        let Some(me) = me.filter(|_| !peers.contains_key(id) && peers.len() < MAX_CONNECTIONS)
        else {
            return false;
        };
        drop(peers);
        let first = u32::try_from(now_ms() / 1_000).unwrap_or(1);
        let polite = me.as_str() < id.as_str();
        let owner: Weak<dyn PeerOwner> = self.me.clone();
        let connection = Connection {
            peer: Peer::new(id.clone(), polite, first, owner),
            used_ms: Cell::new(steady_ms()),
            waits: Cell::new(false),
            opening_ms: Cell::new(steady_ms()),
            messages: Cell::new((MESSAGE_BURST, steady_ms())),
        };
        self.peers.borrow_mut().insert(id.clone(), connection);
        self.start_timer();
        true
    }

    /// Opens connections that wait, a few at a time.
    fn open_waiting(&self) {
        let now = steady_ms();
        let peers = self.peers.borrow();
        let opening = peers.values().filter(|connection| {
            let is_late = now - connection.opening_ms.get() > OPENING_MS;
            !connection.waits.get() && !is_late && !connection.peer.is_open()
        });
        let free = MAX_OPENING.saturating_sub(opening.count());
        let waiting = peers
            .iter()
            .filter(|(_, connection)| connection.waits.get());
        let next: Vec<_> = waiting.map(|(id, _)| id.clone()).take(free).collect();
        for id in &next {
            if let Some(connection) = peers.get(id) {
                connection.waits.set(false);
                connection.opening_ms.set(now);
            }
        }
        drop(peers);
        next.into_iter()
            .for_each(|id| self.negotiate(id, Event::Start));
    }

    /// Passes an event to a negotiation, once there are ICE servers.
    fn negotiate(&self, id: ParticipantId, event: Event) {
        let mut ice = self.ice.borrow_mut();
        let is_fresh = ice
            .at_ms
            .is_some_and(|at_ms| steady_ms() - at_ms < ICE_SERVERS_LAST_MS);
        // What came before goes first.
        if is_fresh && ice.waiting.is_empty() {
            drop(ice);
            if let Some(peer) = self.peer(&id) {
                peer.handle(event);
            }
            return;
        }
        if ice.waiting.len() < MAX_WAITING {
            ice.waiting.push((id, event));
        }
        if !std::mem::replace(&mut ice.is_requested, true) {
            drop(ice);
            (self.send)(ClientMessage::IceServers);
        }
    }

    fn on_ice_servers(&self, servers: Vec<IceServer>, relay_only: bool) {
        let waiting = {
            let mut ice = self.ice.borrow_mut();
            let waiting = std::mem::take(&mut ice.waiting);
            *ice = Ice {
                servers,
                relay_only,
                at_ms: Some(steady_ms()),
                is_requested: false,
                waiting: Vec::new(),
            };
            waiting
        };
        for (id, event) in waiting {
            if let Some(peer) = self.peer(&id) {
                peer.handle(event);
            }
        }
        self.show();
    }

    /// Whether there is a relay, once the ICE servers are known.
    fn has_relay(&self) -> Option<bool> {
        let ice = self.ice.borrow();
        let mut urls = ice.servers.iter().flat_map(|server| &server.urls);
        let has = urls.any(|url| url.starts_with("turn:") || url.starts_with("turns:"));
        ice.at_ms.map(|_| has)
    }

    fn on_signal(&self, from: &ParticipantId, signal: Signal) {
        if self.flooders.borrow().contains(from) {
            return;
        }
        // Candidates follow the offer that they belong to.
        if matches!(signal, Signal::Offer { .. }) {
            self.add_peer(from);
        }
        if self.peer(from).is_some() {
            if let Some(connection) = self.peers.borrow().get(from) {
                connection.used_ms.set(steady_ms());
                connection.waits.set(false);
            }
            self.negotiate(from.clone(), Event::RemoteSignal(signal));
        }
    }

    fn on_joined(&self, here: &[ParticipantId]) {
        {
            let mut ice = self.ice.borrow_mut();
            ice.is_requested = false;
            ice.at_ms = None;
        }
        self.flooders.borrow_mut().retain(|id| here.contains(id));
        let known: Vec<_> = self.peers.borrow().keys().cloned().collect();
        for id in known {
            let is_here = here.contains(&id);
            match self.peer(&id) {
                // They may be away while the connection works on.
                Some(peer) if !is_here && !peer.is_open() => self.on_gone(&id),
                Some(_) => self.negotiate(id, Event::SignalingResumed),
                None => {}
            }
        }
    }

    fn repeat_soon(&self) {
        let me = self.me.clone();
        spawn_local(async move {
            TimeoutFuture::new(RETRY_MS).await;
            if let Some(peers) = me.upgrade() {
                for peer in peers.all_peers() {
                    if !peer.is_open() {
                        peer.handle(Event::SignalingResumed);
                    }
                }
                let waits = !peers.ice.borrow().waiting.is_empty();
                if waits {
                    (peers.send)(ClientMessage::IceServers);
                }
            }
        });
    }

    fn on_gone(&self, id: &ParticipantId) {
        let rows = self.book.borrow_mut().on_gone(id);
        rows.into_iter().for_each(|row| self.free(row));
        self.close(id);
        self.show();
    }

    fn close(&self, id: &ParticipantId) {
        let closed = self.peers.borrow_mut().remove(id);
        drop(closed);
        self.open_waiting();
    }

    /// The channel to a participant is open.
    fn on_open(&self, id: &ParticipantId) {
        let messages = self.book.borrow().on_open(id);
        if let Some(peer) = self.peer(id) {
            messages.into_iter().for_each(|message| peer.send(message));
        }
        self.open_waiting();
        self.show();
    }

    /// The channel to a participant is closed, or its connection is broken. One that is needed no
    /// more is not repaired.
    fn on_closed(&self, id: &ParticipantId) {
        if !self.book.borrow().is_busy_with(id) {
            // Not here: the connection itself calls this.
            let (me, id) = (self.me.clone(), id.clone());
            spawn_local(async move {
                if let Some(peers) = me.upgrade()
                    && !peers.book.borrow().is_busy_with(&id)
                {
                    peers.close(&id);
                }
            });
        }
        self.show_soon();
    }

    /// A message of a participant arrived. Not more is copied than a frame may have: Firefox takes
    /// messages of a gigabyte.
    fn on_channel_message(&self, id: &ParticipantId, buffer: &JsValue) {
        // Text has no length in bytes.
        let length = get(buffer, "byteLength").as_f64();
        let Some(length) = length.filter(|length| *length <= MAX_FRAME_BYTES as f64) else {
            return self.count_message(id);
        };
        let array = view(buffer, 0);
        if let Ok(bytes) = array.and_then(|array| from_js(&array, length as usize)) {
            self.on_frame(id, buffer, &bytes);
        }
    }

    /// Counts a message that stores nothing. Whoever sends too many is disconnected for the rest of
    /// their stay: each costs the page a redraw.
    fn count_message(&self, id: &ParticipantId) {
        let now = steady_ms();
        let is_flood = {
            let peers = self.peers.borrow();
            let Some(connection) = peers.get(id) else {
                return;
            };
            let (left, at_ms) = connection.messages.get();
            let left =
                (left + (now - at_ms) * MESSAGES_A_SECOND / 1_000.0).min(MESSAGE_BURST) - 1.0;
            connection.messages.set((left, now));
            left < 0.0
        };
        if is_flood {
            self.flooders.borrow_mut().insert(id.clone());
            self.on_gone(id);
        }
    }

    /// A message of a participant arrived: as the buffer of the browser and as a copy.
    fn on_frame(&self, id: &ParticipantId, buffer: &JsValue, bytes: &[u8]) {
        let may_share = {
            let standing = self.room.standing();
            let standing = standing.read_untracked();
            let powers = &standing.settings.powers;
            permit(standing.role_of(id), Action::ShareFiles, None, powers).is_ok()
        };
        let nickname = self.room.people().read_untracked().nickname(id).cloned();
        let nickname = nickname.map(|name| name.to_string()).unwrap_or_default();
        let outcome = self
            .book
            .borrow_mut()
            .on_message(id, &nickname, may_share, bytes);
        if let Some(connection) = self.peers.borrow().get(id) {
            connection.used_ms.set(steady_ms());
        }
        if let Some(reply) = outcome.reply {
            self.send_to(id, reply);
        }
        if !matches!(outcome.task, Some(Task::Store(_))) {
            self.count_message(id);
        }
        match outcome.task {
            Some(Task::ShowOffer(_)) => self.show(),
            Some(Task::Read(row)) => self.read(row),
            Some(Task::Store(row)) => self.store(row, buffer, bytes.len() - DATA_HEADER_BYTES),
            Some(Task::Check(row)) => self.write_on(row),
            Some(Task::Free(row)) => {
                self.free(row);
                self.show();
            }
            None => {}
        }
    }

    fn send_to(&self, id: &ParticipantId, message: Vec<u8>) {
        if let Some(peer) = self.peer(id) {
            peer.send(message);
        }
    }

    /// Ends a transfer from this side.
    fn end(&self, row: u32, reason: Reason) {
        let ended = self.book.borrow_mut().cancel(row, reason);
        if let Some((id, message)) = ended {
            self.send_to(&id, message);
        }
        self.free(row);
        self.show();
    }

    /// Sends on to a participant whose queue has room again.
    fn send_on(&self, id: &ParticipantId) {
        let rows = self.book.borrow().moving_to(id);
        rows.into_iter().for_each(|row| self.read(row));
    }

    /// Reads and sends a file as far as the receiver and the queue allow.
    fn read(&self, row: u32) {
        if !self.reading.borrow_mut().insert(row) {
            return;
        }
        let me = self.me.clone();
        spawn_local(async move {
            while let Some(peers) = me.upgrade()
                && peers.read_part(row).await
            {}
            if let Some(peers) = me.upgrade() {
                peers.reading.borrow_mut().remove(&row);
                peers.show_soon();
            }
        });
    }

    /// Reads and sends one part. Returns whether to go on.
    async fn read_part(&self, row: u32) -> bool {
        let next = {
            let mut book = self.book.borrow_mut();
            let id = book.about(row).map(|(id, _, _)| id.clone());
            let read = book.outgoing(row).and_then(|outgoing| outgoing.next_read());
            id.zip(Some(read))
        };
        let Some((id, read)) = next else {
            return false;
        };
        let Some(peer) = self.peer(&id) else {
            return false;
        };
        let Some(read) = read else {
            self.announce_end(row, &peer);
            return false;
        };
        if peer.room().is_none() {
            return false;
        }
        let file = self.files.borrow().get(&row).cloned().unwrap_or_default();
        let bytes = read_file(&file, read.offset, read.bytes).await;
        let Ok(bytes) = bytes else {
            self.end(row, Reason::NotRead);
            return false;
        };
        let Some(chunk) = peer.room() else {
            return false;
        };
        let id = {
            let mut book = self.book.borrow_mut();
            let outgoing = book.outgoing(row);
            outgoing.and_then(|outgoing| outgoing.on_read(read, &bytes).then_some(outgoing.id))
        };
        let Some(transfer) = id else {
            return true;
        };
        for (number, part) in bytes.chunks(chunk).enumerate() {
            let offset = read.offset + (number * chunk) as u64;
            let mut message = data_header(transfer, offset);
            message.extend_from_slice(part);
            peer.send(message);
        }
        self.announce_end(row, &peer);
        true
    }

    fn announce_end(&self, row: u32, peer: &Peer) {
        let mut book = self.book.borrow_mut();
        let end = book
            .outgoing(row)
            .and_then(|outgoing| outgoing.announce_end());
        if let Some(frame) = end {
            peer.send(frame.encode());
        }
    }

    /// Stores the content of a data frame.
    fn store(&self, row: u32, buffer: &JsValue, bytes: usize) {
        let sink = self.sinks.borrow().get(&row).cloned();
        let Some(sink) = sink else { return };
        if let Ok(view) = view(buffer, DATA_HEADER_BYTES)
            && sink.push(&view, bytes as u64)
        {
            self.write_on(row);
        }
    }

    /// Writes what is queued, then keeps the file if it is whole.
    fn write_on(&self, row: u32) {
        let sink = self.sinks.borrow().get(&row).cloned();
        let Some(sink) = sink else { return };
        let me = self.me.clone();
        spawn_local(async move {
            loop {
                let written = sink.write().await;
                let Some(peers) = me.upgrade() else { return };
                match written {
                    Ok(0) => return peers.keep_if_whole(row, &sink).await,
                    Ok(bytes) => peers.acknowledge(row, bytes),
                    Err(error) => {
                        leptos::logging::debug_warn!("a file was not stored: {error:?}");
                        return peers.end(row, Reason::NotStored);
                    }
                }
            }
        });
    }

    fn acknowledge(&self, row: u32, bytes: u64) {
        let (message, id) = {
            let mut book = self.book.borrow_mut();
            let message = book.on_stored(row, bytes);
            (message, book.about(row).map(|(id, _, _)| id.clone()))
        };
        if let (Some(message), Some(id)) = (message, id) {
            self.send_to(&id, message);
        }
    }

    /// Keeps the file if everything is stored and the hash is right; deletes it if the hash is wrong.
    async fn keep_if_whole(&self, row: u32, sink: &Sink) {
        let verdict = self.book.borrow_mut().verdict(row);
        match verdict {
            Some(Verdict::Keep) if sink.begin_keeping() => {}
            Some(Verdict::Keep) | None => return,
            Some(Verdict::Delete(reason)) => return self.end(row, reason),
        }
        if let Err(error) = sink.keep().await {
            leptos::logging::debug_warn!("a file was not kept: {error:?}");
            return self.end(row, Reason::NotStored);
        }
        let (message, id) = {
            let mut book = self.book.borrow_mut();
            let message = book.on_kept(row);
            (message, book.about(row).map(|(id, _, _)| id.clone()))
        };
        if let (Some(message), Some(id)) = (message, id) {
            self.send_to(&id, message);
        }
        self.free_forgotten();
        self.show();
    }

    /// Frees the file of a transfer that has ended without it.
    fn free(&self, row: u32) {
        self.files.borrow_mut().remove(&row);
        let stage = self.stage(row);
        if stage != Some(Stage::Ended(Ending::Done)) {
            self.delete(row, false);
        }
        self.free_forgotten();
    }

    fn stage(&self, row: u32) -> Option<Stage> {
        self.book.borrow().stage(row)
    }

    fn delete(&self, row: u32, is_kept: bool) {
        let sink = self.sinks.borrow_mut().remove(&row);
        if let Some(sink) = sink {
            spawn_local(async move { sink.delete(is_kept).await });
        }
    }

    /// Frees the files of rows that are not in the list any more.
    fn free_forgotten(&self) {
        let rows: Vec<_> = self.sinks.borrow().keys().copied().collect();
        for row in rows {
            if self.stage(row).is_none() {
                self.delete(row, true);
            }
        }
        let book = self.book.borrow();
        let mut files = self.files.borrow_mut();
        files.retain(|row, _| book.stage(*row).is_some_and(|stage| !stage.is_ended()));
    }

    /// Draws the list, after what runs now.
    fn show_soon(&self) {
        let me = self.me.clone();
        spawn_local(async move {
            if let Some(peers) = me.upgrade() {
                peers.show();
            }
        });
    }

    /// Draws the list.
    fn show(&self) {
        let mut rows = self.book.borrow_mut().rows(steady_ms());
        for row in &mut rows {
            row.is_connected = self.peer(&row.person).is_some_and(|peer| peer.is_open());
            let sink = self.sinks.borrow().get(&row.row).cloned();
            row.link = sink.and_then(|sink| sink.address());
        }
        let lacks_relay = self.has_relay() == Some(false);
        let is_active = rows.iter().any(|row| !row.stage.is_ended());
        self.shown.maybe_update(|shown| {
            let is_new = shown.rows != rows || shown.lacks_relay != lacks_relay;
            shown.noticed = newest_change(&shown.rows, &rows).or(shown.noticed);
            (shown.rows, shown.lacks_relay) = (rows, lacks_relay);
            is_new
        });
        if is_active {
            self.start_timer();
        }
    }

    fn start_timer(&self) {
        let mut timer = self.timer.borrow_mut();
        if timer.is_none() {
            let me = self.me.clone();
            *timer = Some(Interval::new(SHOW_EVERY_MS, move || {
                if let Some(peers) = me.upgrade() {
                    peers.on_tick();
                }
            }));
        }
    }

    fn on_tick(&self) {
        self.show();
        let now = steady_ms();
        let mut idle = Vec::new();
        for (id, connection) in &*self.peers.borrow() {
            if self.book.borrow().is_busy_with(id) {
                connection.used_ms.set(now);
            } else if now - connection.used_ms.get() > IDLE_MS {
                idle.push(id.clone());
            }
        }
        idle.iter().for_each(|id| self.close(id));
        self.open_waiting();
        let is_stale = self
            .ice
            .borrow()
            .at_ms
            .is_some_and(|at_ms| now - at_ms > ICE_SERVERS_LAST_MS);
        if self.peers.borrow().is_empty() {
            self.timer.borrow_mut().take();
        } else if is_stale && !std::mem::replace(&mut self.ice.borrow_mut().is_requested, true) {
            (self.send)(ClientMessage::IceServers);
        }
    }
}

impl PeerOwner for Peers {
    fn signal(&self, to: &ParticipantId, signal: Signal) {
        (self.send)(ClientMessage::Signal {
            to: to.clone(),
            leg: None,
            signal,
        });
    }

    fn ice_servers(&self) -> Vec<IceServer> {
        self.ice.borrow().servers.clone()
    }

    fn relay_only(&self) -> bool {
        self.ice.borrow().relay_only || self.call.hide_address().get_untracked()
    }

    fn on_channel(&self, id: &ParticipantId, event: ChannelEvent) {
        match event {
            ChannelEvent::Open => self.on_open(id),
            ChannelEvent::Closed => {
                self.on_closed(id);
                if self.book.borrow().is_busy_with(id)
                    && let Some(peer) = self.peer(id)
                {
                    peer.replace();
                }
            }
            ChannelEvent::Drained => self.send_on(id),
            ChannelEvent::Message(buffer) => self.on_channel_message(id, &buffer),
        }
    }

    fn on_link(&self, id: &ParticipantId, state: LinkState) {
        match state {
            LinkState::Reconnecting => self.on_closed(id),
            LinkState::Connecting | LinkState::Connected => self.show_soon(),
        }
    }
}

/// The row that began or ended last, for those who do not see the list.
fn newest_change(before: &[TransferRow], after: &[TransferRow]) -> Option<u32> {
    let changed = after.iter().rev().find(|row| {
        let known = before.iter().find(|known| known.row == row.row);
        match known {
            Some(known) => known.stage != row.stage && row.stage.is_ended(),
            None => row.direction == Direction::Incoming,
        }
    });
    changed.map(|row| row.row)
}

/// A part of a file.
async fn read_file(file: &JsValue, offset: u64, bytes: u64) -> Result<Vec<u8>, JsValue> {
    let (from, to) = (offset as f64, (offset + bytes) as f64);
    let part = call(file, "slice", &[&from.into(), &to.into()])?;
    let buffer = settled(call(&part, "arrayBuffer", &[])).await?;
    // A file that has become shorter is another file.
    if number(&buffer, "byteLength") != bytes as f64 {
        return Err(JsValue::UNDEFINED);
    }
    from_js(&view(&buffer, 0)?, usize::try_from(bytes).unwrap_or(0))
}

fn random_id() -> u64 {
    let part = || (js_sys::Math::random() * f64::from(u32::MAX)) as u64;
    (part() << 32) | part()
}
