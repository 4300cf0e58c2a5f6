//! One connection to the room service, over either transport.

use crate::browser::net::long_poll::LongPoll;
use crate::browser::net::websocket::{Socket, TransportEvent};
use crate::state::transport::TransportKind;

/// An open or opening connection. Dropping it closes it in order to reconnect.
pub enum Transport {
    /// One WebSocket at `/ws`.
    WebSocket(Socket),
    /// HTTP requests at `/poll`.
    LongPoll(LongPoll),
}

impl Transport {
    /// Opens a connection; `on_event` receives its events. `None` if the browser refuses.
    pub fn open(
        kind: TransportKind,
        on_event: impl Fn(TransportEvent) + Clone + 'static,
    ) -> Option<Self> {
        match kind {
            TransportKind::WebSocket => Socket::open(on_event).map(Self::WebSocket),
            TransportKind::LongPoll => LongPoll::open(on_event).map(Self::LongPoll),
        }
    }

    /// Sends a frame. Returns false if the connection is not open.
    pub fn send(&self, frame: &str) -> bool {
        match self {
            Self::WebSocket(socket) => socket.send(frame),
            Self::LongPoll(polling) => polling.send(frame),
        }
    }

    /// Whether a sent frame may not have reached the server yet.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::WebSocket(_) => false,
            Self::LongPoll(polling) => polling.is_busy(),
        }
    }

    /// Leaves the room: the others are notified at once.
    pub fn leave(self) {
        match self {
            Self::WebSocket(socket) => socket.leave(),
            Self::LongPoll(polling) => polling.leave(),
        }
    }
}
