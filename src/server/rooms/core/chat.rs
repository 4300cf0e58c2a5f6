//! Chat: a message is stored first, then sent to everybody including its author.

use super::{
    budget::json_len,
    command::{ChatRequest, ConnectionId, Effect, Now, RequestId, Requester},
    history::json_bytes,
    room::{Room, broadcast},
};
use crate::{
    protocol::{
        ChatDraft, ErrorCode, MAX_FRAME_BYTES, MAX_MENTIONS, Mention, MessageId, Person,
        ServerMessage,
        text::{self, MAX_MARKS_BYTES},
    },
    server::{
        error::refusal,
        limits::{ATTACHMENT_BYTES, ENVELOPE_BYTES, MENTION_BYTES, REACTIONS_BYTES, ROOM_PENDING},
        net::Network,
        rooms::RoomError,
        store::{Appended, Change, Changed, Edit, NewMessage},
    },
};
use std::time::Duration;

/// Minimum interval between two `typing` broadcasts on behalf of one member.
const TYPING_INTERVAL: Duration = Duration::from_secs(1);

impl Room {
    /// Dispatches a request about the chat.
    pub(super) fn handle_chat(
        &mut self,
        index: usize,
        connection: ConnectionId,
        request: ChatRequest,
        now: Now,
    ) -> Vec<Effect> {
        match request {
            ChatRequest::Send(draft) => {
                let mentions = self.mentions(&draft);
                let cost = draft_cost(&draft) + mentions.len() * MENTION_BYTES;
                if !self.try_spend(index, cost, now) {
                    return vec![refuse_message(
                        connection,
                        draft.id,
                        ErrorCode::TooManyMessages,
                    )];
                }
                let (from, at) = (self.members[index].person.clone(), now.unix_ms);
                let message = NewMessage {
                    draft,
                    from,
                    at,
                    mentions,
                };
                self.append(Requester::Connection(connection), message)
            }
            ChatRequest::Change { id, edit } => {
                if !self.try_spend(index, edit_cost(&edit), now) {
                    return vec![refuse_message(connection, id, ErrorCode::TooManyMessages)];
                }
                let (by, at) = (self.members[index].person.id.clone(), now.unix_ms);
                let moderates = edit == Edit::Delete && self.may_delete_others(index, &id);
                let change = Change {
                    id,
                    by,
                    at,
                    edit,
                    moderates,
                };
                self.change(connection, change)
            }
            ChatRequest::Typing => self.typing(index, connection, now),
        }
    }

    /// Stores a message of a plain form, which spends the room's budget only.
    pub(super) fn post(
        &mut self,
        request_id: RequestId,
        (from, network): (Person, Option<Network>),
        draft: ChatDraft,
        now: Now,
    ) -> Vec<Effect> {
        let shares = !draft.files.is_empty();
        if let Err(error) = self.authorize_post(&from.id, network, shares, now) {
            let result = Err(error);
            return vec![Effect::AnswerForm { request_id, result }];
        }
        let mentions = self.mentions(&draft);
        let cost = draft_cost(&draft) + mentions.len() * MENTION_BYTES;
        if !self.broadcast_budget.try_take(cost, now.instant) {
            let result = Err(RoomError::TooManyMessages);
            return vec![Effect::AnswerForm { request_id, result }];
        }
        let at = now.unix_ms;
        let message = NewMessage {
            draft,
            from,
            at,
            mentions,
        };
        self.append(Requester::Form(request_id), message)
    }

    /// The people of the room whom a message mentions.
    fn mentions(&self, draft: &ChatDraft) -> Vec<Mention> {
        let text = draft.text.as_str();
        if !text.contains('@') {
            return Vec::new();
        }
        let people = self.members.iter().map(|member| &member.person);
        text::mentions::find(text, &text::marks(text), &draft.mentions, people)
    }

    /// Takes bytes from a member's budget and the room's, if both have them.
    fn try_spend(&mut self, index: usize, cost: usize, now: Now) -> bool {
        let budget = &mut self.members[index].budget;
        budget.try_broadcast(&mut self.broadcast_budget, cost, now.instant)
    }

    /// Sends `typing` to the others, at most once in [`TYPING_INTERVAL`].
    fn typing(&mut self, index: usize, connection: ConnectionId, now: Now) -> Vec<Effect> {
        let member = &mut self.members[index];
        let is_recent = |at| now.instant < at + TYPING_INTERVAL;
        if member.typing_sent_at.is_some_and(is_recent) {
            return Vec::new();
        }
        member.typing_sent_at = Some(now.instant);
        let id = member.person.id.clone();
        vec![Effect::SendIfIdle {
            message: ServerMessage::Typing { id },
            except: connection,
        }]
    }

    /// Hands a message to the store, unless the store is too far behind.
    fn append(&mut self, requester: Requester, message: NewMessage) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_stored(
                requester,
                message.draft.id,
                RoomError::Unavailable,
            )];
        }
        self.pending += 1;
        vec![Effect::Append { requester, message }]
    }

    /// Hands a change to the store, unless the store is too far behind.
    fn change(&mut self, connection: ConnectionId, change: Change) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![refuse_message(
                connection,
                change.id,
                ErrorCode::Unavailable,
            )];
        }
        self.pending += 1;
        vec![Effect::Change { connection, change }]
    }

    /// Sends a stored change to everybody. A change without an effect is confirmed to its
    /// requester only.
    pub(super) fn on_changed(
        &mut self,
        connection: ConnectionId,
        change: Change,
        outcome: Option<Changed>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        self.refund_edit(connection, &change, outcome.as_ref());
        let Change { id, by, edit, .. } = change;
        match outcome {
            None => vec![refuse_message(connection, id, ErrorCode::Unavailable)],
            Some(Changed::Refused(code)) => vec![refuse_message(connection, id, code)],
            Some(Changed::Unchanged(message)) => vec![Effect::Send {
                connection,
                message: ServerMessage::Changed {
                    seq: message.changed,
                    message,
                },
            }],
            Some(Changed::Applied(message)) => {
                let seq = message.changed;
                self.history.apply_change(message.clone());
                vec![broadcast(match edit {
                    // The reaction alone: the message may be five hundred times as long.
                    Edit::React { emoji, on } => ServerMessage::Reaction {
                        seq,
                        id,
                        emoji,
                        from: by,
                        on,
                    },
                    Edit::Text(_) | Edit::Delete | Edit::Pin(_) => {
                        ServerMessage::Changed { seq, message }
                    }
                })]
            }
        }
    }

    /// Refunds the part of the expected cost of a change that was not spent.
    fn refund_edit(
        &mut self,
        connection: ConnectionId,
        change: &Change,
        outcome: Option<&Changed>,
    ) {
        let expected = edit_cost(&change.edit);
        let spent = match (outcome, &change.edit) {
            (Some(Changed::Applied(message)), Edit::Text(_) | Edit::Pin(_)) => json_bytes(message),
            (Some(Changed::Applied(_)), Edit::Delete | Edit::React { .. }) => expected,
            (Some(Changed::Unchanged(_) | Changed::Refused(_)) | None, _) => 0,
        };
        let unspent = expected.saturating_sub(spent);
        self.broadcast_budget.refund(unspent);
        if let Some(member) = self.member_by_connection(connection) {
            member.budget.refund_message(unspent);
        }
    }

    /// Sends a stored message to everybody, its author included: that copy is the
    /// acknowledgement. A duplicate is confirmed to its requester only.
    pub(super) fn on_stored(
        &mut self,
        requester: Requester,
        id: MessageId,
        result: Result<Appended, RoomError>,
        now: Now,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        let Appended { message, duplicate } = match result {
            Ok(appended) => appended,
            Err(error) => return vec![not_stored(requester, id, error)],
        };
        let stored_key = self.store_claim(now);
        let chat = ServerMessage::Chat(message.clone());
        let confirmation = match requester {
            Requester::Form(request_id) => Some(Effect::AnswerForm {
                request_id,
                result: Ok(message.clone()),
            }),
            Requester::Connection(connection) if duplicate => Some(Effect::Send {
                connection,
                message: chat.clone(),
            }),
            Requester::Connection(_) => None,
        };
        let announcement = (!duplicate).then(|| {
            self.history.push(message);
            broadcast(chat)
        });
        let effects = announcement.into_iter().chain(confirmation);
        effects.chain(stored_key).collect()
    }
}

/// Bytes that a text and its marks cost each receiver.
fn text_cost(text: &str) -> usize {
    let marks = match text::marks(text) {
        marks if marks.is_empty() => 0,
        marks => serde_json::to_string(&marks).map_or(MAX_MARKS_BYTES, |json| json.len()),
    };
    json_len(text) + marks + ENVELOPE_BYTES
}

/// Bytes that a message costs each receiver, at most.
fn draft_cost(draft: &ChatDraft) -> usize {
    text_cost(draft.text.as_str()) + draft.files.len() * ATTACHMENT_BYTES
}

/// Bytes that a change costs each receiver, at most. An edit is sent together with the reactions
/// of the message, whose size is known only once the edit is stored.
fn edit_cost(edit: &Edit) -> usize {
    match edit {
        Edit::Text(text) => {
            text_cost(text.as_str()) + MAX_MENTIONS * MENTION_BYTES + REACTIONS_BYTES
        }
        // The message, which only the store knows.
        Edit::Pin(_) => MAX_FRAME_BYTES,
        Edit::Delete | Edit::React { .. } => ENVELOPE_BYTES,
    }
}

/// Reports that a message was not stored.
fn not_stored(requester: Requester, id: MessageId, error: RoomError) -> Effect {
    match requester {
        Requester::Connection(connection) => refuse_message(connection, id, error.code()),
        Requester::Form(request_id) => Effect::AnswerForm {
            request_id,
            result: Err(error),
        },
    }
}

/// Refuses a message, or a change of it, by its id.
fn refuse_message(connection: ConnectionId, id: MessageId, code: ErrorCode) -> Effect {
    Effect::Send {
        connection,
        message: refusal(code, Some(id)),
    }
}
