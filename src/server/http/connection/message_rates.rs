//! What one connection may send.

use crate::{
    protocol::ClientMessage,
    server::{
        limits::{CHAT_RATE, FRAME_BYTES_RATE, FRAME_RATE, OFFER_RATE, REQUEST_RATE, SIGNAL_RATE},
        rooms::limiter,
    },
};
use governor::{DefaultDirectRateLimiter, clock::Clock};
use std::{num::NonZeroU32, time::Duration};

/// The limiters of one connection.
pub struct MessageRates {
    /// Frames of any kind: more closes it.
    frames: DefaultDirectRateLimiter,
    /// Bytes of frames: more is read later.
    bytes: DefaultDirectRateLimiter,
    /// What is said, edits included: more is refused.
    chat: DefaultDirectRateLimiter,
    /// Everything else one asks of the room: more is refused.
    requests: DefaultDirectRateLimiter,
    /// Call messages: more is refused.
    signals: DefaultDirectRateLimiter,
    /// Offers to the SFU: more is refused.
    offers: DefaultDirectRateLimiter,
}

impl MessageRates {
    /// Full buckets.
    pub fn new() -> Self {
        Self {
            frames: limiter(FRAME_RATE),
            bytes: limiter(FRAME_BYTES_RATE),
            chat: limiter(CHAT_RATE),
            requests: limiter(REQUEST_RATE),
            signals: limiter(SIGNAL_RATE),
            offers: limiter(OFFER_RATE),
        }
    }

    /// Whether another frame may come at all.
    pub fn allow_frame(&self) -> bool {
        self.frames.check().is_ok()
    }

    /// How long to wait before a frame of so many bytes is looked at; not at all where the
    /// limit lets it pass, which is then paid. A frame is smaller than the burst.
    pub fn delay_before(&self, bytes: usize) -> Option<Duration> {
        let bytes = u32::try_from(bytes).ok().and_then(NonZeroU32::new)?;
        let too_early = self.bytes.check_n(bytes).ok()?.err()?;
        Some(too_early.wait_time_from(self.bytes.clock().now()))
    }

    /// Whether this message is within its limit.
    pub fn allow(&self, message: &ClientMessage) -> bool {
        match message {
            ClientMessage::Chat { .. } | ClientMessage::Edit { .. } => self.chat.check().is_ok(),
            ClientMessage::Nickname { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::React { .. }
            | ClientMessage::Typing
            | ClientMessage::History { .. }
            | ClientMessage::WatchRooms
            | ClientMessage::MediaBlocked { .. }
            | ClientMessage::Join { .. } => self.requests.check().is_ok(),
            ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::CloseMedia { .. }
            | ClientMessage::Subscribe { .. } => self.signals.check().is_ok(),
            ClientMessage::Offer(_) => self.offers.check().is_ok(),
            ClientMessage::Ping => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_much_is_read_more_slowly_and_loses_nothing() {
        let rates = MessageRates::new();
        let frame = 64 * 1024;
        let at_once = (0..1000).find(|_| rates.delay_before(frame).is_some());
        assert!((32..40).contains(&at_once.expect("a pause")));
        let pause = rates.delay_before(frame).expect("a pause");
        assert!(pause <= Duration::from_millis(250), "{pause:?}");
        assert_eq!(rates.delay_before(0), None);
    }
}
