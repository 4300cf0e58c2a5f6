//! Rate limits of the messages of one connection.

use crate::{
    protocol::ClientMessage,
    server::{
        limits::{CHAT_RATE, FRAME_BYTES_RATE, FRAME_RATE, OFFER_RATE, REQUEST_RATE, SIGNAL_RATE},
        token_bucket::TokenBucket,
    },
};
use std::time::{Duration, Instant};

/// The token buckets of one connection.
pub struct MessageRates {
    /// Frames of any kind. An excess closes the connection.
    frames: TokenBucket,
    /// Bytes of frames. An excess is read later.
    bytes: TokenBucket,
    /// Chat messages and edits. An excess is refused.
    chat: TokenBucket,
    /// Other requests to the room. An excess is refused.
    requests: TokenBucket,
    /// Call messages. An excess is refused.
    signals: TokenBucket,
    /// Offers to the SFU. An excess is refused.
    offers: TokenBucket,
}

impl MessageRates {
    /// Limits whose buckets are full.
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

    /// Whether another frame is within the limit.
    pub fn allow_frame(&mut self) -> bool {
        self.frames.try_take(1, Instant::now())
    }

    /// The delay before a frame of this many bytes may be processed. `None` if the frame is within
    /// the limit; its bytes are charged. A frame is smaller than the burst.
    pub fn delay_before(&mut self, bytes: usize) -> Option<Duration> {
        self.bytes.take_or_wait(bytes, Instant::now()).err()
    }

    /// Whether this message is within its limit.
    pub fn allow(&mut self, message: &ClientMessage) -> bool {
        let now = Instant::now();
        match message {
            ClientMessage::Chat(_) | ClientMessage::Edit { .. } => self.chat.try_take(1, now),
            ClientMessage::Nickname { .. }
            | ClientMessage::Delete { .. }
            | ClientMessage::React { .. }
            | ClientMessage::Pin { .. }
            | ClientMessage::Typing
            | ClientMessage::History { .. }
            | ClientMessage::WatchRooms
            | ClientMessage::MediaBlocked { .. }
            | ClientMessage::Mute { .. }
            | ClientMessage::AskToUnmute { .. }
            | ClientMessage::Rename { .. }
            | ClientMessage::SetRole { .. }
            | ClientMessage::Remove { .. }
            | ClientMessage::Ban { .. }
            | ClientMessage::LiftBan { .. }
            | ClientMessage::Bans
            | ClientMessage::ClearMessages
            | ClientMessage::Announce { .. }
            | ClientMessage::SetRoom { .. }
            | ClientMessage::SetPassword { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::CreateInvite(_)
            | ClientMessage::Invites
            | ClientMessage::RevokeInvite { .. }
            | ClientMessage::EndMeeting
            | ClientMessage::Join(_) => self.requests.try_take(1, now),
            ClientMessage::EnterCall { .. }
            | ClientMessage::LeaveCall
            | ClientMessage::Devices { .. }
            | ClientMessage::Signal { .. }
            | ClientMessage::IceServers
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
    fn a_fast_sender_is_read_more_slowly_and_loses_no_frame() {
        let mut rates = MessageRates::new();
        let frame = 64 * 1024;
        let at_once = (0..1000).find(|_| rates.delay_before(frame).is_some());
        assert!((32..40).contains(&at_once.expect("a pause")));
        let pause = rates.delay_before(frame).expect("a pause");
        assert!(pause <= Duration::from_millis(250), "{pause:?}");
        assert_eq!(rates.delay_before(0), None);
    }
}
