//! What is said in a room: to the disk first, then to everybody, its author too.

use super::{
    RoomError,
    command::{Asker, Effect, Now},
    room::{Room, everybody},
};
use crate::{
    protocol::{ChatText, ErrorCode, MessageId, Person, ServerMessage},
    server::{
        error::refusal,
        limits::ROOM_PENDING,
        store::{Appended, NewMessage},
    },
};

impl Room {
    /// Somebody says something: to the disk first.
    pub(super) fn say(
        &mut self,
        asker: Asker,
        from: Person,
        id: MessageId,
        text: ChatText,
        now: Now,
    ) -> Vec<Effect> {
        if self.pending >= ROOM_PENDING {
            return vec![not_stored(asker, id)];
        }
        self.pending += 1;
        let at = now.unix_ms;
        let message = NewMessage { id, from, text, at };
        vec![Effect::Persist { asker, message }]
    }

    /// The store answered: everybody hears it, its author too. A message sent again is
    /// news to nobody but its asker.
    pub(super) fn stored(
        &mut self,
        asker: Asker,
        id: MessageId,
        answer: Option<Appended>,
    ) -> Vec<Effect> {
        self.pending = self.pending.saturating_sub(1);
        let Some(Appended { message, duplicate }) = answer else {
            return vec![not_stored(asker, id)];
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
fn not_stored(asker: Asker, id: MessageId) -> Effect {
    match asker {
        Asker::Link(link) => Effect::Send {
            link,
            message: refusal(ErrorCode::Unavailable, Some(id)),
        },
        Asker::Post(ticket) => Effect::Answer {
            ticket,
            answer: Err(RoomError::Unavailable),
        },
    }
}
