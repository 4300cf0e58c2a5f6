//! What is said in a room: to the disk first, then to everybody, its author too.

use super::{
    command::{ConnectionId, Effect, Requester},
    history::json_bytes,
    room::{Room, broadcast, edit_cost},
};
use crate::server::rooms::RoomError;
use crate::{
    protocol::{ErrorCode, MessageId, ServerMessage},
    server::{
        error::refusal,
        limits::ROOM_PENDING,
        store::{Appended, Change, Changed, Edit, NewMessage},
    },
};

impl Room {
    /// Somebody says something: to the disk first.
    pub(super) fn store_message(
        &mut self,
        requester: Requester,
        message: NewMessage,
    ) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_stored(requester, message.id, RoomError::Unavailable)];
        }
        self.pending += 1;
        vec![Effect::Persist { requester, message }]
    }

    /// Somebody changes what was said: to the disk first, too.
    pub(super) fn change(&mut self, connection: ConnectionId, change: Change) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_changed(connection, change.id)];
        }
        self.pending += 1;
        vec![Effect::Change { connection, change }]
    }

    /// The store answered a change: everybody hears it. One that changes nothing is news
    /// to nobody but its asker.
    pub(super) fn on_changed(
        &mut self,
        connection: ConnectionId,
        change: Change,
        answer: Option<Changed>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        self.refund_edit(connection, &change, answer.as_ref());
        let Change { id, by, edit, .. } = change;
        match answer {
            None => vec![not_changed(connection, id)],
            Some(Changed::Refused(code)) => vec![Effect::Send {
                connection,
                message: refusal(code, Some(id)),
            }],
            Some(Changed::Same(message)) => vec![Effect::Send {
                connection,
                message: ServerMessage::Changed {
                    seq: message.changed,
                    message,
                },
            }],
            Some(Changed::Done(message)) => {
                let seq = message.changed;
                self.history.apply_change(message.clone());
                let told = match edit {
                    // The change alone: the message may be five hundred times as long.
                    Edit::React { emoji, on } => ServerMessage::Reaction {
                        seq,
                        id,
                        emoji,
                        from: by,
                        on,
                    },
                    Edit::Text(_) | Edit::Delete => ServerMessage::Changed { seq, message },
                };
                vec![broadcast(told)]
            }
        }
    }

    /// Gives back what a change was expected to cost, and did not.
    fn refund_edit(&mut self, connection: ConnectionId, change: &Change, answer: Option<&Changed>) {
        let expected = edit_cost(&change.edit);
        let spent = match (answer, &change.edit) {
            (Some(Changed::Done(message)), Edit::Text(_)) => json_bytes(message),
            (Some(Changed::Done(_)), Edit::Delete | Edit::React { .. }) => expected,
            (Some(Changed::Same(_) | Changed::Refused(_)) | None, _) => 0,
        };
        let rest = expected.saturating_sub(spent);
        self.broadcast_budget.refund(rest);
        if let Some(member) = self.member_by_connection(connection) {
            member.budget.refund_message(rest);
        }
    }

    /// The store answered: everybody hears it, its author too. A message sent again is
    /// news to nobody but its asker.
    pub(super) fn on_stored(
        &mut self,
        requester: Requester,
        id: MessageId,
        answer: Result<Appended, RoomError>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        let Appended { message, duplicate } = match answer {
            Ok(appended) => appended,
            Err(error) => return vec![not_stored(requester, id, error)],
        };
        let chat = ServerMessage::Chat(message.clone());
        let told = match requester {
            Requester::Form(request_id) => Some(Effect::Answer {
                request_id,
                answer: Ok(message.clone()),
            }),
            Requester::Connection(connection) if duplicate => Some(Effect::Send {
                connection,
                message: chat.clone(),
            }),
            Requester::Connection(_) => None,
        };
        let news = (!duplicate).then(|| {
            self.history.push(message);
            broadcast(chat)
        });
        news.into_iter().chain(told).collect()
    }
}

/// Refuses a message that could not be stored.
fn not_stored(requester: Requester, id: MessageId, error: RoomError) -> Effect {
    match requester {
        Requester::Connection(connection) => Effect::Send {
            connection,
            message: refusal(error.code(), Some(id)),
        },
        Requester::Form(request_id) => Effect::Answer {
            request_id,
            answer: Err(error),
        },
    }
}

/// Refuses a change that could not be stored.
fn not_changed(connection: ConnectionId, id: MessageId) -> Effect {
    Effect::Send {
        connection,
        message: refusal(ErrorCode::Unavailable, Some(id)),
    }
}
