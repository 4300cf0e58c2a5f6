//! One connection to the room service, whichever way it goes.

use crate::browser::net::long_poll::Polling;
use crate::browser::net::websocket::{Heard, Socket};
use crate::state::transport::Way;

/// An open or opening connection; dropped, it closes to come back by another.
pub enum Link {
    /// A WebSocket.
    Socket(Socket),
    /// Long-polling.
    Polling(Polling),
}

impl Link {
    /// Opens a connection; `hear` is told what comes out of it. None where the browser
    /// refuses to.
    pub fn open(way: Way, hear: impl Fn(Heard) + Clone + 'static) -> Option<Self> {
        match way {
            Way::Socket => Socket::open(hear).map(Self::Socket),
            Way::Polling => Polling::open(hear).map(Self::Polling),
        }
    }

    /// Sends a frame. False where the connection is not open (any more).
    pub fn send(&self, frame: &str) -> bool {
        match self {
            Self::Socket(socket) => socket.send(frame),
            Self::Polling(polling) => polling.send(frame),
        }
    }

    /// Whether something that was sent may not have reached the server yet.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Polling(polling) => polling.is_busy(),
        }
    }

    /// Closes on purpose: the others are told at once.
    pub fn leave(self) {
        match self {
            Self::Socket(socket) => socket.leave(),
            Self::Polling(polling) => polling.leave(),
        }
    }
}
