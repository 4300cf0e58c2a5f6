//! The outbox: paces chat messages to the server's rate limit.
//!
//! A token bucket slightly below the server's limit (5 a second, bursts of 40), with time as
//! an argument. After a reconnect every unconfirmed message is due again; the server
//! deduplicates by message id.

use crate::protocol::{ClientMessage, MessageId};
use crate::state::log::PendingMessage;
use std::collections::HashSet;

/// Capacity of the token bucket, in messages.
const BURST: f64 = 30.0;
/// Refill of the token bucket, in messages per second.
const PER_SECOND: f64 = 4.0;

/// The messages sent on the current socket, and the token bucket.
#[derive(Debug)]
pub struct Outbox {
    sent: HashSet<MessageId>,
    tokens: f64,
    at_ms: f64,
}

impl Outbox {
    /// An outbox for a new socket, at `now_ms` of a steady clock.
    pub fn new(now_ms: f64) -> Self {
        Self {
            sent: HashSet::new(),
            tokens: BURST,
            at_ms: now_ms,
        }
    }

    /// The server refused the message with `too_many_messages`: it is due again.
    pub fn on_rate_limited(&mut self, id: MessageId) {
        self.sent.remove(&id);
        self.tokens = 0.0;
    }

    /// The messages to send now, and whether more wait for tokens.
    pub fn due(&mut self, pending: &[PendingMessage], now_ms: f64) -> (Vec<ClientMessage>, bool) {
        let passed_s = ((now_ms - self.at_ms) / 1_000.0).max(0.0);
        self.tokens = (self.tokens + passed_s * PER_SECOND).min(BURST);
        self.at_ms = now_ms;
        self.sent
            .retain(|id| pending.iter().any(|p| p.draft.id == *id));
        let mut due = Vec::new();
        for message in pending.iter().filter(|p| p.refused.is_none()) {
            let draft = &message.draft;
            if self.sent.contains(&draft.id) {
                continue;
            }
            if self.tokens < 1.0 {
                return (due, true);
            }
            self.tokens -= 1.0;
            self.sent.insert(draft.id);
            due.push(draft.into());
        }
        (due, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ChatDraft, ChatText};

    fn pending(count: u128) -> Vec<PendingMessage> {
        let text = ChatText::parse("hello").expect("valid");
        (0..count)
            .map(|n| PendingMessage {
                draft: ChatDraft {
                    id: MessageId(uuid::Uuid::from_u128(n)),
                    text: text.clone(),
                    reply_to: None,
                    files: Vec::new(),
                    mentions: Vec::new(),
                },
                refused: None,
                files: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn many_messages_are_sent_in_order_within_the_rate_limit() {
        let (mut outbox, waiting) = (Outbox::new(0.0), pending(50));
        let mut sent = 0;
        for second in 0..10_u32 {
            let (due, _) = outbox.due(&waiting, f64::from(second) * 1_000.0);
            for message in due {
                let expected = MessageId(uuid::Uuid::from_u128(sent));
                assert!(
                    matches!(message, ClientMessage::Chat(ChatDraft { id, .. }) if id == expected)
                );
                sent += 1;
            }
            assert!(sent <= 30 + 4 * u128::from(second));
        }
        assert_eq!(sent, 50);
    }

    #[test]
    fn the_outbox_sends_a_message_once_unless_it_was_refused() {
        let (mut outbox, waiting) = (Outbox::new(0.0), pending(1));
        assert_eq!(outbox.due(&waiting, 0.0).0.len(), 1);
        assert_eq!(outbox.due(&waiting, 9_000.0).0.len(), 0);
        outbox.on_rate_limited(waiting[0].draft.id);
        assert_eq!(outbox.due(&waiting, 9_000.0), (vec![], true));
        assert_eq!(outbox.due(&waiting, 9_300.0).0.len(), 1);
    }
}
