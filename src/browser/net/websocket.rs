//! One WebSocket to the room service of this site.

use crate::browser::dom::js::Listener;
use crate::paths::address;
use crate::state::connection::Refused;
use wasm_bindgen::JsCast;
use web_sys::{CloseEvent, Event, EventTarget, MessageEvent, WebSocket};

/// Close code of a socket that is replaced by a new one (RFC 6455 7.4.2, application range).
pub const RECONNECTING: u16 = 3000;

/// An event of a transport.
pub enum TransportEvent {
    /// The connection is open.
    Open,
    /// A frame of the server, not decoded.
    Frame(String),
    /// A response of the server without a frame.
    Alive,
    /// The connection closed with this code (RFC 6455 7.4).
    Closed(u16),
    /// The connection was refused. Never reported by a WebSocket.
    Refused(Refused),
}

/// An open or opening socket. Dropping it closes it; no further event is reported.
pub struct Socket {
    socket: WebSocket,
    listeners: Vec<Listener>,
}

impl Socket {
    /// Opens a socket; `on_event` receives its events. `None` if the browser refuses.
    pub fn open(on_event: impl Fn(TransportEvent) + Clone + 'static) -> Option<Self> {
        let origin = web_sys::window()?.location().origin().ok()?;
        // From `http` to `ws`, and from `https` to `wss`.
        let origin = origin.strip_prefix("http")?;
        let socket = WebSocket::new(&["ws", origin, &address("/ws")].concat()).ok()?;
        let listeners = listen(&socket, on_event);
        Some(Self { socket, listeners })
    }

    /// Sends a frame. Returns false if the socket is not open.
    pub fn send(&self, frame: &str) -> bool {
        self.socket.ready_state() == WebSocket::OPEN && self.socket.send_with_str(frame).is_ok()
    }
}

impl Socket {
    /// Leaves the room: the others are notified at once.
    pub fn leave(mut self) {
        self.close(1000);
    }

    fn close(&mut self, code: u16) {
        self.listeners.clear();
        let _ = self.socket.close_with_code(code);
    }
}

impl Drop for Socket {
    /// Closes in order to reconnect: the server keeps the membership for a while.
    fn drop(&mut self) {
        self.close(RECONNECTING);
    }
}

fn listen(
    socket: &WebSocket,
    on_event: impl Fn(TransportEvent) + Clone + 'static,
) -> Vec<Listener> {
    let target: &EventTarget = socket;
    let (on_open, on_message, on_close) = (on_event.clone(), on_event.clone(), on_event);
    vec![
        Listener::new(target, "open", move |_| on_open(TransportEvent::Open)),
        Listener::new(target, "message", move |event| {
            on_message(TransportEvent::Frame(frame(&event)))
        }),
        Listener::new(target, "close", move |event: Event| {
            let code = event.dyn_ref::<CloseEvent>().map_or(1006, CloseEvent::code);
            on_close(TransportEvent::Closed(code));
        }),
    ]
}

/// The text of a frame; the server sends no other kind.
fn frame(event: &Event) -> String {
    let text = event
        .dyn_ref::<MessageEvent>()
        .and_then(|event| event.data().as_string());
    text.unwrap_or_default()
}
