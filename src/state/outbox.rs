//! What is on its way to the server, sent no faster than the server takes it.
//!
//! A token bucket a little below the contract's limit (5 a second, bursts of 40),
//! with time as an argument. Everything not confirmed is due again after the line
//! was lost; the server knows each message by its id and keeps one of each.

use crate::protocol::{ClientMessage, MessageId};
use crate::state::log::PendingMessage;
use std::collections::HashSet;

/// Messages that may go at once.
const BURST: f64 = 30.0;
/// Messages a second after that.
const PER_SECOND: f64 = 4.0;

/// Which pending messages were handed to the present socket, and how many more may go.
#[derive(Debug)]
pub struct Outbox {
    handed_over: HashSet<MessageId>,
    tokens: f64,
    at_ms: f64,
}

impl Outbox {
    /// An outbox for a new socket, at `now_ms` of any steady clock.
    pub fn new(now_ms: f64) -> Self {
        Self {
            handed_over: HashSet::new(),
            tokens: BURST,
            at_ms: now_ms,
        }
    }

    /// The server refused this one for being one too many: it is due again.
    pub fn hand_back(&mut self, id: MessageId) {
        self.handed_over.remove(&id);
        self.tokens = 0.0;
    }

    /// What to send now, and whether more is waiting for its turn.
    pub fn due(&mut self, pending: &[PendingMessage], now_ms: f64) -> (Vec<ClientMessage>, bool) {
        let passed_s = ((now_ms - self.at_ms) / 1_000.0).max(0.0);
        self.tokens = (self.tokens + passed_s * PER_SECOND).min(BURST);
        self.at_ms = now_ms;
        self.handed_over
            .retain(|id| pending.iter().any(|p| p.draft.id == *id));
        let mut due = Vec::new();
        for message in pending.iter().filter(|p| p.refused.is_none()) {
            let draft = &message.draft;
            if self.handed_over.contains(&draft.id) {
                continue;
            }
            if self.tokens < 1.0 {
                return (due, true);
            }
            self.tokens -= 1.0;
            self.handed_over.insert(draft.id);
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
                },
                refused: None,
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
        outbox.hand_back(waiting[0].draft.id);
        assert_eq!(outbox.due(&waiting, 9_000.0), (vec![], true));
        assert_eq!(outbox.due(&waiting, 9_300.0).0.len(), 1);
    }
}
