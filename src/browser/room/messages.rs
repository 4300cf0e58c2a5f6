//! Sending chat messages, edits and reactions.

use crate::browser::dom::clock::steady_ms;
use crate::browser::dom::storage;
use crate::browser::room::controller::{RoomController, millis};
use crate::protocol::{
    ChatDraft, ChatText, ClientMessage, Emoji, MessageId, ParticipantId, TYPING_EVERY_MS,
    TYPING_LASTS_MS,
};
use crate::state::RoomStateStoreFields;
use crate::state::connection::Phase;
use gloo_timers::callback::Timeout;
use leptos::prelude::*;
use std::time::Duration;

/// Size of a requested page of older messages.
const OLDER_PAGE: u32 = 50;
/// Delay before the outbox is polled again while messages wait.
const OUTBOX_PAUSE: Duration = Duration::from_millis(300);

impl RoomController {
    /// Sends a message with the files that have arrived: it is shown as pending until the server
    /// confirms it.
    pub fn send_chat(
        &self,
        text: ChatText,
        reply_to: Option<MessageId>,
        mentions: Vec<ParticipantId>,
    ) {
        let id = MessageId(uuid::Uuid::now_v7());
        let files = self.take_uploads(id);
        if text.as_str().is_empty() && files.is_empty() {
            return;
        }
        let draft = ChatDraft {
            id,
            text,
            reply_to,
            files: files.iter().map(|file| file.id.clone()).collect(),
            mentions,
        };
        self.state.log().update(|log| log.send(draft, files));
        let newest = self.state.log().read_untracked().newest();
        self.state
            .read_marker()
            .update(|marker| marker.on_sent(newest));
        self.typing_sent_ms.set(f64::NEG_INFINITY);
        self.pending_changed();
    }

    /// Edits a message of this participant.
    pub fn edit(&self, id: MessageId, text: ChatText) {
        let text = text.to_string();
        self.send(&ClientMessage::Edit { id, text });
    }

    /// Deletes a message of this participant.
    pub fn delete(&self, id: MessageId) {
        self.send(&ClientMessage::Delete { id });
    }

    /// Adds or removes a reaction.
    pub fn react(&self, id: MessageId, emoji: Emoji, on: bool) {
        let emoji = emoji.into();
        self.send(&ClientMessage::React { id, emoji, on });
    }

    /// Pins a message, or unpins it.
    pub fn pin_message(&self, id: MessageId, on: bool) {
        self.send(&ClientMessage::Pin { id, on });
    }

    /// Announces that this participant is typing, at most once in [`TYPING_EVERY_MS`].
    pub fn typing(&self) {
        let now = steady_ms();
        if now - self.typing_sent_ms.get() >= f64::from(TYPING_EVERY_MS)
            && self.phase() == Phase::Live
        {
            self.typing_sent_ms.set(now);
            self.send(&ClientMessage::Typing);
        }
    }

    /// Sends a refused message again. One whose files the server has forgotten comes back to the
    /// composer.
    pub fn retry(&self, id: MessageId) {
        if self.take_back(id) {
            return self.pending_changed();
        }
        self.outbox.borrow_mut().on_rate_limited(id);
        self.state.log().update(|log| log.retry(id));
        self.pending_changed();
    }

    /// Discards a refused message.
    pub fn discard(&self, id: MessageId) {
        self.state.log().update(|log| log.discard(id));
        self.pending_changed();
    }

    /// Asks for older messages.
    pub fn load_older(&self) {
        let oldest = self.state.log().read_untracked().oldest();
        if let Some(before) = oldest.filter(|oldest| self.requested_before.get() != Some(*oldest)) {
            let asked = self.send(&ClientMessage::History {
                before,
                limit: Some(OLDER_PAGE),
            });
            self.requested_before.set(asked.then_some(before));
        }
    }

    /// Removes a typing participant after [`TYPING_LASTS_MS`].
    pub(super) fn forget_typing_later(&self, id: &ParticipantId) {
        let (me, who) = (self.me.clone(), id.clone());
        let stop = Timeout::new(TYPING_LASTS_MS, move || {
            if let Some(controller) = me.upgrade() {
                controller
                    .state
                    .typing()
                    .maybe_update(|typing| typing.stop(&who));
                let over = controller.timers.borrow_mut().typing.remove(&who);
                drop(over);
            }
        });
        let former = self.timers.borrow_mut().typing.insert(id.clone(), stop);
        drop(former);
    }

    /// Sends what the outbox allows, and the rest later.
    pub(super) fn pending_changed(&self) {
        let pending = self.state.log().read_untracked().pending.clone();
        storage::set_pending(&self.room, &pending);
        self.forget_sent_uploads(|id| pending.iter().any(|pending| pending.draft.id == id));
        if self.phase() != Phase::Live {
            return;
        }
        let (due, more) = self.outbox.borrow_mut().due(&pending, steady_ms());
        for message in &due {
            self.send(message);
        }
        let me = self.me.clone();
        self.timers.borrow_mut().outbox = more.then(|| {
            Timeout::new(millis(OUTBOX_PAUSE), move || {
                if let Some(controller) = me.upgrade() {
                    controller.pending_changed();
                }
            })
        });
    }
}
