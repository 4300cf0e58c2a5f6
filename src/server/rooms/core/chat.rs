//! What is said in a room: to the disk first, then to everybody, its author too.

use super::{
    command::{Asker, Effect, LinkId},
    history::json_bytes,
    room::{Room, change_cost, everybody},
};
use crate::server::rooms::RoomError;
use crate::{
    protocol::{ErrorCode, MessageId, ServerMessage},
    server::{
        error::refusal,
        limits::ROOM_PENDING,
        store::{Appended, Change, Changed, NewMessage, What},
    },
};

impl Room {
    /// Somebody says something: to the disk first.
    pub(super) fn say(&mut self, asker: Asker, message: NewMessage) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_stored(asker, message.id, RoomError::Unavailable)];
        }
        self.pending += 1;
        vec![Effect::Persist { asker, message }]
    }

    /// Somebody changes what was said: to the disk first, too.
    pub(super) fn change(&mut self, link: LinkId, change: Change) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_changed(link, change.id)];
        }
        self.pending += 1;
        vec![Effect::Change { link, change }]
    }

    /// The store answered a change: everybody hears it. One that changes nothing is news
    /// to nobody but its asker.
    pub(super) fn changed(
        &mut self,
        link: LinkId,
        change: Change,
        answer: Option<Changed>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        self.settle(link, &change, answer.as_ref());
        let Change { id, by, what, .. } = change;
        match answer {
            None => vec![not_changed(link, id)],
            Some(Changed::Refused(code)) => vec![Effect::Send {
                link,
                message: refusal(code, Some(id)),
            }],
            Some(Changed::Same(message)) => vec![Effect::Send {
                link,
                message: ServerMessage::Changed {
                    seq: message.changed,
                    message,
                },
            }],
            Some(Changed::Done(message)) => {
                let seq = message.changed;
                self.recent.change(message.clone());
                let told = match what {
                    // The change alone: the message may be five hundred times as long.
                    What::React { emoji, on } => ServerMessage::Reaction {
                        seq,
                        id,
                        emoji,
                        from: by,
                        on,
                    },
                    What::Edit(_) | What::Delete => ServerMessage::Changed { seq, message },
                };
                vec![everybody(told)]
            }
        }
    }

    /// Gives back what a change was expected to cost, and did not.
    fn settle(&mut self, link: LinkId, change: &Change, answer: Option<&Changed>) {
        let expected = change_cost(&change.what);
        let spent = match (answer, &change.what) {
            (Some(Changed::Done(message)), What::Edit(_)) => json_bytes(message),
            (Some(Changed::Done(_)), What::Delete | What::React { .. }) => expected,
            (Some(Changed::Same(_) | Changed::Refused(_)) | None, _) => 0,
        };
        let rest = expected.saturating_sub(spent);
        self.fanout.give(rest);
        if let Some(member) = self.by_link(link) {
            member.budget.unsay(rest);
        }
    }

    /// The store answered: everybody hears it, its author too. A message sent again is
    /// news to nobody but its asker.
    pub(super) fn stored(
        &mut self,
        asker: Asker,
        id: MessageId,
        answer: Result<Appended, RoomError>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        let Appended { message, duplicate } = match answer {
            Ok(appended) => appended,
            Err(error) => return vec![not_stored(asker, id, error)],
        };
        let chat = ServerMessage::Chat(message.clone());
        let told = match asker {
            Asker::Post(ticket) => Some(Effect::Answer {
                ticket,
                answer: Ok(message.clone()),
            }),
            Asker::Link(link) if duplicate => Some(Effect::Send {
                link,
                message: chat.clone(),
            }),
            Asker::Link(_) => None,
        };
        let news = (!duplicate).then(|| {
            self.recent.push(message);
            everybody(chat)
        });
        news.into_iter().chain(told).collect()
    }
}

/// Refuses a message that could not be stored.
fn not_stored(asker: Asker, id: MessageId, error: RoomError) -> Effect {
    match asker {
        Asker::Link(link) => Effect::Send {
            link,
            message: refusal(error.code(), Some(id)),
        },
        Asker::Post(ticket) => Effect::Answer {
            ticket,
            answer: Err(error),
        },
    }
}

/// Refuses a change that could not be stored.
fn not_changed(link: LinkId, id: MessageId) -> Effect {
    Effect::Send {
        link,
        message: refusal(ErrorCode::Unavailable, Some(id)),
    }
}
