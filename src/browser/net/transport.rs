//! One connection to the room service, by either transport.

use crate::browser::net::long_poll::LongPoll;
use crate::browser::net::websocket::{Socket, TransportEvent};
use crate::state::transport::TransportKind;

/// An open or opening connection. Dropping it announces that another follows.
pub enum Transport {
    /// One WebSocket at `/ws`.
    WebSocket(Socket),
    /// HTTP requests at `/poll`.
    LongPoll(LongPoll),
}

impl Transport {
    /// Opens a connection; `on_event` gets its events. None if the browser
    /// refuses to.
    pub fn open(
        kind: TransportKind,
        on_event: impl Fn(TransportEvent) + Clone + 'static,
    ) -> Option<Self> {
        match kind {
            TransportKind::WebSocket => Socket::open(on_event).map(Self::WebSocket),
            TransportKind::LongPoll => LongPoll::open(on_event).map(Self::LongPoll),
        }
    }

    /// Sends a frame. False where the connection is not open (any more).
    pub fn send(&self, frame: &str) -> bool {
        match self {
            Self::WebSocket(socket) => socket.send(frame),
            Self::LongPoll(polling) => polling.send(frame),
        }
    }

    /// Whether something that was sent may not have reached the server yet.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::WebSocket(_) => false,
            Self::LongPoll(polling) => polling.is_busy(),
        }
    }

    /// Closes on purpose: the others learn of it at once.
    pub fn leave(self) {
        match self {
            Self::WebSocket(socket) => socket.leave(),
            Self::LongPoll(polling) => polling.leave(),
        }
    }
}
