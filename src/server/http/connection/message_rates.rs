//! What one connection may send.

use crate::{
    protocol::ClientMessage,
    server::{
        limits::{CHAT_RATE, FRAME_BYTES_RATE, FRAME_RATE, OFFER_RATE, REQUEST_RATE, SIGNAL_RATE},
        token_bucket::TokenBucket,
    },
};
use std::time::{Duration, Instant};

/// The limiters of one connection.
pub struct MessageRates {
    /// Frames of any kind: more closes it.
    frames: TokenBucket,
    /// Bytes of frames: more is read later.
    bytes: TokenBucket,
    /// What is said, edits included: more is refused.
    chat: TokenBucket,
    /// Everything else one asks of the room: more is refused.
    requests: TokenBucket,
    /// Call messages: more is refused.
    signals: TokenBucket,
    /// Offers to the SFU: more is refused.
    offers: TokenBucket,
}

impl MessageRates {
    /// Full buckets.
    pub fn new() -> Self {
        Self {
            frames: TokenBucket::new(FRAME_RATE),
            bytes: TokenBucket::new(FRAME_BYTES_RATE),
            chat: TokenBucket::new(CHAT_RATE),
            requests: TokenBucket::new(REQUEST_RATE),
            signals: TokenBucket::new(SIGNAL_RATE),
            offers: TokenBucket::new(OFFER_RATE),
        }
    }

    /// Whether another frame may come at all.
    pub fn allow_frame(&mut self) -> bool {
        self.frames.try_take(1, Instant::now())
    }

    /// How long to wait before a frame of so many bytes is looked at; not at all where the
    /// limit lets it pass, which is then paid. A frame is smaller than the burst.
    pub fn delay_before(&mut self, bytes: usize) -> Option<Duration> {
        self.bytes.take_or_wait(bytes, Instant::now()).err()
    }

    /// Whether this message is within its limit.
    pub fn allow(&mut self, message: &ClientMessage) -> bool {
        let now = Instant::now();
        match message {
            ClientMessage::Chat { .. } | ClientMessage::Edit { .. } => self.chat.try_take(1, now),
            ClientMessage::Nickname { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::React { .. }
            | ClientMessage::Typing
            | ClientMessage::History { .. }
            | ClientMessage::WatchRooms
            | ClientMessage::MediaBlocked { .. }
            | ClientMessage::Join { .. } => self.requests.try_take(1, now),
            ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::CloseMedia { .. }
            | ClientMessage::Subscribe { .. } => self.signals.try_take(1, now),
            ClientMessage::Offer(_) => self.offers.try_take(1, now),
            ClientMessage::Ping => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_much_is_read_more_slowly_and_loses_nothing() {
        let mut rates = MessageRates::new();
        let frame = 64 * 1024;
        let at_once = (0..1000).find(|_| rates.delay_before(frame).is_some());
        assert!((32..40).contains(&at_once.expect("a pause")));
        let pause = rates.delay_before(frame).expect("a pause");
        assert!(pause <= Duration::from_millis(250), "{pause:?}");
        assert_eq!(rates.delay_before(0), None);
    }
}
