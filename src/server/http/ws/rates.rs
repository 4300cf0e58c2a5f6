//! What one socket may send.

use crate::{
    protocol::ClientMessage,
    server::{
        limits::{FRAME_RATE, SIGNAL_RATE, TALK_RATE},
        rooms::limiter,
    },
};
use governor::DefaultDirectRateLimiter;

/// The limiters of one socket.
pub struct Rates {
    /// Frames of any kind: more closes the socket.
    frames: DefaultDirectRateLimiter,
    /// Chat, nickname, history and join: more is refused.
    talk: DefaultDirectRateLimiter,
    /// Call messages: more is refused.
    signals: DefaultDirectRateLimiter,
}

impl Rates {
    /// Full buckets.
    pub fn new() -> Self {
        Self {
            frames: limiter(FRAME_RATE),
            talk: limiter(TALK_RATE),
            signals: limiter(SIGNAL_RATE),
        }
    }

    /// Whether another frame may come at all.
    pub fn allow_frame(&self) -> bool {
        self.frames.check().is_ok()
    }

    /// Whether this message is within its limit.
    pub fn allow(&self, message: &ClientMessage) -> bool {
        match message {
            ClientMessage::Chat { .. }
            | ClientMessage::Nickname { .. }
            | ClientMessage::History { .. }
            | ClientMessage::Join { .. } => self.talk.check().is_ok(),
            ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. } => self.signals.check().is_ok(),
            ClientMessage::Watch | ClientMessage::Ping => true,
        }
    }
}
