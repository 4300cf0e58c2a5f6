//! What a room is told and what it wants done: the two sides of [`super::room::Room`].

use crate::server::rooms::RoomError;
use crate::{
    protocol::{
        ChatMessage, ChatText, CloseCode, Devices, Epoch, ErrorCode, Leg, MessageId, Nickname,
        ParticipantId, Person, Seq, ServerMessage, SessionToken, Signal, Wanted,
    },
    server::{
        sfu,
        store::{Appended, Change, Changed, Edit, NewMessage},
    },
};
use std::time::Instant;

/// One socket that has sent `join`; counted up by the process, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// One waiting plain-form post; counted up by the room's actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// The time, read once by the shell.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For what lasts a while.
    pub instant: Instant,
    /// For people: milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

/// Whoever comes in.
#[derive(Debug, Clone)]
pub struct Join {
    /// By which socket.
    pub connection: ConnectionId,
    /// The secret, handed back in `joined`.
    pub session: SessionToken,
    /// Derived from `session`.
    pub id: ParticipantId,
    /// What to be called.
    pub nickname: Nickname,
    /// What was seen last, where a former connection is resumed.
    pub seen: Option<(Epoch, Seq)>,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// On purpose: closed with 1000 or without a status. The person is gone.
    Left,
    /// Any other way. The person keeps their place for the grace time.
    Lost,
    /// Nothing was heard for too long. The person is gone.
    TimedOut,
}

/// What somebody in the room wants.
#[derive(Debug, Clone)]
pub enum RoomRequest {
    /// Say something.
    Chat {
        /// The id their client made.
        id: MessageId,
        /// What.
        text: ChatText,
        /// The message it answers.
        reply_to: Option<MessageId>,
    },
    /// Change a message that was said.
    Change {
        /// Which.
        id: MessageId,
        /// How.
        edit: Edit,
    },
    /// Tell the others that one is typing.
    Typing,
    /// Be called something else.
    Rename(Nickname),
    /// Enter the call.
    EnterCall {
        /// This stay's number.
        leg: Leg,
        /// What is on.
        devices: Devices,
        /// Whether no other client may learn this client's addresses.
        hide_address: bool,
    },
    /// Leave the call.
    LeaveCall,
    /// Tell what is on.
    Devices(Devices),
    /// Tell one person in the call something.
    Signal {
        /// Whom.
        to: ParticipantId,
        /// Which stay of theirs.
        leg: Leg,
        /// What.
        signal: Signal,
    },
    /// Offer one's connection to the SFU.
    Offer(sfu::Offer),
    /// End one's connection to the SFU.
    CloseMedia {
        /// Which.
        connection: u32,
    },
    /// Tell the SFU what is on the screen.
    Subscribe(Vec<Wanted>),
}

/// Who waits for a message to become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// A socket.
    Connection(ConnectionId),
    /// A plain form.
    Form(RequestId),
}

/// What a room is told.
#[derive(Debug, Clone)]
pub enum Command {
    /// Somebody comes in.
    Join(Join),
    /// A socket ended.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// How.
        departure: Departure,
    },
    /// Somebody in the room wants something.
    Member {
        /// By which socket.
        connection: ConnectionId,
        /// What.
        request: RoomRequest,
    },
    /// Somebody says something by a plain form.
    Post {
        /// Who waits.
        request_id: RequestId,
        /// Who says it.
        from: Person,
        /// The id made for it.
        id: MessageId,
        /// What.
        text: ChatText,
    },
    /// The store answered an [`Effect::Persist`].
    Stored {
        /// Who waits.
        requester: Requester,
        /// Which message.
        id: MessageId,
        /// The durable message, or why it was not stored.
        answer: Result<Appended, RoomError>,
    },
    /// The store answered an [`Effect::Change`].
    Changed {
        /// Who waits.
        connection: ConnectionId,
        /// What was asked for.
        change: Change,
        /// What became of it, or nothing where the store failed.
        answer: Option<Changed>,
    },
    /// These messages are not in the log any more; oldest first.
    Forget(Vec<Seq>),
    /// There are too many rooms whose people are all away: where this is one still, nobody
    /// is expected back any more.
    ForgetAway,
    /// The SFU says something.
    Media(sfu::Event),
    /// Time went on.
    Tick,
}

/// What a room wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store it and come back with [`Command::Stored`].
    Persist {
        /// Who waits.
        requester: Requester,
        /// What.
        message: NewMessage,
    },
    /// Store a change and come back with [`Command::Changed`].
    Change {
        /// Who waits.
        connection: ConnectionId,
        /// What.
        change: Change,
    },
    /// Tell one socket.
    Send {
        /// Which.
        connection: ConnectionId,
        /// What.
        message: ServerMessage,
    },
    /// Pass on to one socket what another one says, where there is room for it: else the other
    /// one is told so. Nobody is closed for what somebody else sends them.
    Relay {
        /// Whose doing it is.
        from: ConnectionId,
        /// To which.
        to: ConnectionId,
        /// What.
        message: ServerMessage,
    },
    /// Tell every socket in the room.
    Broadcast {
        /// What.
        message: ServerMessage,
        /// All but this one.
        except: Option<ConnectionId>,
    },
    /// Tell every other socket that has nothing waiting for it: what is not worth a
    /// place in a queue.
    SendIfIdle {
        /// What.
        message: ServerMessage,
        /// Whose doing it is.
        except: ConnectionId,
    },
    /// The join was refused; forget the socket.
    Refuse {
        /// Which.
        connection: ConnectionId,
        /// Why.
        code: ErrorCode,
    },
    /// Close a socket.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        code: CloseCode,
    },
    /// Answer a plain form.
    Answer {
        /// Which.
        request_id: RequestId,
        /// The durable message.
        answer: Result<ChatMessage, RoomError>,
    },
    /// Tell the SFU.
    Media(sfu::Command),
    /// The counts shown on the welcome page are different now.
    SummaryChanged,
}
