//! What one connection may send.

use crate::{
    protocol::ClientMessage,
    server::{
        limits::{ASK_RATE, FRAME_RATE, OFFER_RATE, SIGNAL_RATE, TALK_RATE},
        rooms::limiter,
    },
};
use governor::DefaultDirectRateLimiter;

/// The limiters of one connection.
pub struct Rates {
    /// Frames of any kind: more closes it.
    frames: DefaultDirectRateLimiter,
    /// What is said, edits included: more is refused.
    talk: DefaultDirectRateLimiter,
    /// Everything else one asks of the room: more is refused.
    asks: DefaultDirectRateLimiter,
    /// Call messages: more is refused.
    signals: DefaultDirectRateLimiter,
    /// Offers to the SFU: more is refused.
    offers: DefaultDirectRateLimiter,
}

impl Rates {
    /// Full buckets.
    pub fn new() -> Self {
        Self {
            frames: limiter(FRAME_RATE),
            talk: limiter(TALK_RATE),
            asks: limiter(ASK_RATE),
            signals: limiter(SIGNAL_RATE),
            offers: limiter(OFFER_RATE),
        }
    }

    /// Whether another frame may come at all.
    pub fn allow_frame(&self) -> bool {
        self.frames.check().is_ok()
    }

    /// Whether this message is within its limit.
    pub fn allow(&self, message: &ClientMessage) -> bool {
        match message {
            ClientMessage::Chat { .. } | ClientMessage::Edit { .. } => self.talk.check().is_ok(),
            ClientMessage::Nickname { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::React { .. }
            | ClientMessage::Typing
            | ClientMessage::History { .. }
            | ClientMessage::Watch
            | ClientMessage::Join { .. } => self.asks.check().is_ok(),
            ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::HangUp { .. }
            | ClientMessage::Intent { .. } => self.signals.check().is_ok(),
            ClientMessage::Offer(_) => self.offers.check().is_ok(),
            ClientMessage::Ping => true,
        }
    }
}
