//! Live updates of the list of open rooms on the welcome page.

use crate::browser::dom::js::Listener;
use crate::browser::net::websocket::{Socket, TransportEvent};
use crate::protocol::{RoomName, RoomSummary, RoomsChanged};
use crate::state::connection;
use gloo_timers::callback::{Interval, Timeout};
use leptos::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

// The two frames it sends are literals, because the encoder of all messages would enlarge the
// module of the welcome page.
const WATCH: &str = r#"{"type":"watch_rooms"}"#;
const PING: &str = r#"{"type":"ping"}"#;

/// `rooms`, or with `gone` `rooms_changed`.
#[derive(serde::Deserialize)]
struct Told {
    /// All open rooms, or the changed ones.
    rooms: Vec<RoomSummary>,
    /// Rooms that left the list.
    gone: Option<Vec<RoomName>>,
}

/// Watches the open rooms until dropped.
pub struct Lobby {
    me: Weak<Self>,
    rooms: WriteSignal<Option<Vec<RoomSummary>>>,
    socket: RefCell<Option<Socket>>,
    attempts: Cell<u32>,
    retry: RefCell<Option<Timeout>>,
    ping: RefCell<Option<Interval>>,
    online: RefCell<Option<Listener>>,
}

impl Lobby {
    /// Starts watching. `rooms` receives the list at first and after each change.
    pub fn watch(rooms: WriteSignal<Option<Vec<RoomSummary>>>) -> Rc<Self> {
        let lobby = Rc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            rooms,
            socket: RefCell::default(),
            attempts: Cell::new(0),
            retry: RefCell::default(),
            ping: RefCell::default(),
            online: RefCell::default(),
        });
        lobby.connect();
        lobby.keep_alive();
        lobby
    }

    fn connect(&self) {
        let me = self.me.clone();
        let on_event = move |event| {
            if let Some(lobby) = me.upgrade() {
                lobby.on_event(event);
            }
        };
        self.socket.borrow_mut().take();
        let socket = Socket::open(on_event);
        *self.socket.borrow_mut() = socket;
    }

    fn send(&self, frame: &str) {
        if let Some(socket) = self.socket.borrow().as_ref() {
            socket.send(frame);
        }
    }

    fn on_event(&self, event: TransportEvent) {
        match event {
            TransportEvent::Open => self.send(WATCH),
            TransportEvent::Closed(_) | TransportEvent::Refused(_) => self.lost(),
            TransportEvent::Alive => {}
            // Decodes two messages only: the decoder of all messages would enlarge the module
            // of the welcome page.
            TransportEvent::Frame(frame) => {
                if let Ok(Told { rooms, gone }) = serde_json::from_str(&frame) {
                    self.attempts.set(0);
                    let _ = self.rooms.try_update(|list| match gone {
                        None => *list = Some(rooms),
                        Some(gone) => {
                            RoomsChanged { rooms, gone }.apply(list.get_or_insert_default());
                        }
                    });
                }
            }
        }
    }

    fn lost(&self) {
        self.socket.borrow_mut().take();
        let wait = connection::backoff(self.attempts.get(), js_sys::Math::random());
        self.attempts.set(self.attempts.get().saturating_add(1));
        let me = self.me.clone();
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        *self.retry.borrow_mut() = Some(Timeout::new(wait_ms, move || {
            if let Some(lobby) = me.upgrade() {
                lobby.connect();
            }
        }));
    }

    fn keep_alive(&self) {
        let me = self.me.clone();
        let every_ms = u32::try_from(connection::PING_INTERVAL.as_millis()).unwrap_or(u32::MAX);
        *self.ping.borrow_mut() = Some(Interval::new(every_ms, move || {
            if let Some(lobby) = me.upgrade() {
                lobby.send(PING);
            }
        }));
        let me = self.me.clone();
        *self.online.borrow_mut() = web_sys::window().map(|window| {
            Listener::new(&window, "online", move |_| {
                if let Some(lobby) = me.upgrade().filter(|lobby| lobby.socket.borrow().is_none()) {
                    lobby.connect();
                }
            })
        });
    }
}
