//! One connection to the room service, whichever way it goes.

use crate::browser::net::long_poll::LongPoll;
use crate::browser::net::websocket::{Socket, TransportEvent};
use crate::state::transport::TransportKind;

/// An open or opening connection; dropped, it closes to come back by another.
pub enum Transport {
    /// A WebSocket.
    WebSocket(Socket),
    /// Long-polling.
    LongPoll(LongPoll),
}

impl Transport {
    /// Opens a connection; `hear` is told what comes out of it. None where the browser
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

    /// Closes on purpose: the others are told at once.
    pub fn leave(self) {
        match self {
            Self::WebSocket(socket) => socket.leave(),
            Self::LongPoll(polling) => polling.leave(),
        }
    }
}
