//! The input and the output of [`super::room::Room`]: commands in, effects out.

use super::{lobby::VisitStatus, operator::OperatorCommand};
use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, CloseCode, Devices, Epoch, ErrorCode, HostKey,
        InviteDraft, InviteId, Leg, MessageId, Nickname, ParticipantId, Person, Role, Seq,
        ServerMessage, SessionToken, SettingsChange, Signal, Source, Wanted,
    },
    server::{
        identity::participant_id,
        net::Network,
        password_hasher::PasswordHash,
        rooms::RoomError,
        sfu,
        store::{Appended, Change, Changed, Edit, NewMessage, NewRecord, Recorded},
    },
};
use std::time::Instant;

/// A socket that has sent `join`. The process counts these ids up and uses none twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// A plain form that waits for its answer. The actor of the room counts these ids up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

/// The current time, read once for each command by the actor.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic time, for deadlines.
    pub instant: Instant,
    /// Wall-clock time, for timestamps: milliseconds since the Unix epoch.
    pub unix_ms: i64,
}

/// Somebody who asks to enter, by a socket or a page without script.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The secret of the person, returned to them in `joined`.
    pub session: SessionToken,
    /// The public id, derived from `session`.
    pub id: ParticipantId,
    /// The nickname the person asks for.
    pub nickname: Nickname,
    /// The host key that the client presents.
    pub host_key: Option<HostKey>,
    /// The invite that the client presents, which the server has signed for this room.
    pub invite: Option<InviteId>,
    /// What the client shows about the password of the room.
    pub password: ShownPassword,
    /// What the hosts read where the person waits in the lobby.
    pub line: Option<ChatText>,
    /// The network of the client; nothing for an address that is exempt from limits.
    pub network: Option<Network>,
}

impl Visitor {
    /// Somebody who presents nothing.
    pub fn new(session: SessionToken, nickname: Nickname) -> Self {
        Self {
            id: participant_id(&session),
            session,
            nickname,
            host_key: None,
            invite: None,
            password: ShownPassword::default(),
            line: None,
            network: None,
        }
    }
}

/// A request of a socket to enter the room.
#[derive(Debug, Clone)]
pub struct Join {
    /// The socket that asks.
    pub connection: ConnectionId,
    /// Who asks to enter.
    pub visitor: Visitor,
    /// Epoch and `seq` of the last event received, where a former connection is resumed.
    pub seen: Option<(Epoch, Seq)>,
    /// The key that a new room gets if the client presents none.
    pub fresh_key: HostKey,
    /// The settings of the room, if this join opens it.
    pub opening: SettingsChange,
}

/// What somebody who asks to enter shows about the password of the room. The password was verified
/// before the room sees the request, so the hash names the password that was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ShownPassword {
    /// They show no password.
    #[default]
    Nothing,
    /// A wrong one.
    Wrong,
    /// One that was not verified, because too many were tried.
    Unverified,
    /// The one of this hash.
    Of(PasswordHash),
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Closed on purpose, with 1000 or without a status. The person leaves at once.
    Left,
    /// Closed in any other way. The person stays in the room for the grace period.
    Lost,
    /// Silent for too long. The person leaves without a further grace period.
    TimedOut,
}

/// A request of a member, its texts parsed.
#[derive(Debug, Clone)]
pub enum RoomRequest {
    /// A request about the chat.
    Chat(ChatRequest),
    /// Take another nickname.
    Rename(Nickname),
    /// A request about the call.
    Call(CallRequest),
    /// A request about a direct connection.
    Direct(DirectRequest),
    /// A request of a host.
    Moderate(ModerationRequest),
}

/// A request of a host, its texts parsed.
#[derive(Debug, Clone)]
pub enum ModerationRequest {
    /// Switch a source off.
    Mute {
        /// The participant; everybody of a lower role if absent.
        who: Option<ParticipantId>,
        /// The source; the audio of a screen goes with the screen.
        source: Source,
    },
    /// Ask a participant to switch the microphone on.
    AskToUnmute(ParticipantId),
    /// Change the nickname of a participant.
    Rename {
        /// The participant whom it concerns.
        who: ParticipantId,
        /// The new nickname.
        nickname: Nickname,
    },
    /// Give a participant a role.
    SetRole {
        /// The participant, who need not be here.
        who: ParticipantId,
        /// The new role.
        role: Role,
    },
    /// End the stay of a participant.
    Remove {
        /// The participant whom it concerns.
        who: ParticipantId,
        /// What the participant reads.
        reason: Option<ChatText>,
    },
    /// End the stay of a participant and keep them out.
    Ban {
        /// The participant whom it concerns.
        who: ParticipantId,
        /// What the participant reads.
        reason: Option<ChatText>,
        /// Whether the network of the participant is kept out, too.
        address: bool,
    },
    /// Let a banned participant in again.
    LiftBan(ParticipantId),
    /// List the bans.
    ListBans,
    /// Delete every message of the room.
    ClearMessages,
    /// Announce something to everybody here.
    Announce(ChatText),
    /// Change the settings of the room.
    SetRoom(SettingsChange),
    /// Give the room the password of this hash, or none.
    SetPassword(Option<PasswordHash>),
    /// Admit somebody from the lobby; everybody if absent.
    Admit(Option<ParticipantId>),
    /// Turn somebody in the lobby away.
    Deny {
        /// The person whom it concerns; everybody if absent.
        who: Option<ParticipantId>,
        /// What the person reads.
        reason: Option<ChatText>,
    },
    /// Make an invite.
    CreateInvite {
        /// Id of the new invite.
        id: InviteId,
        /// What the invite gives.
        draft: InviteDraft<Nickname>,
    },
    /// List the invites.
    ListInvites,
    /// Revoke an invite.
    RevokeInvite(InviteId),
    /// End the stay of everybody.
    EndMeeting,
}

/// A request of a member about the chat.
#[derive(Debug, Clone)]
pub enum ChatRequest {
    /// Store a message and send it to everybody.
    Send(ChatDraft),
    /// Edit, delete or react to a stored message.
    Change {
        /// The message to change.
        id: MessageId,
        /// What to do with the message.
        edit: Edit,
    },
    /// Show the others that this member types.
    Typing,
}

/// A request of a member about the call.
#[derive(Debug, Clone)]
pub enum CallRequest {
    /// Enter the call.
    Enter {
        /// The number of this session in the call, drawn by the client.
        leg: Leg,
        /// The devices that are on.
        devices: Devices,
        /// Whether no other client may learn this client's addresses.
        hide_address: bool,
    },
    /// Leave the call and stay in the room.
    Leave,
    /// Switch devices on or off.
    SetDevices {
        /// The devices that are on.
        devices: Devices,
        /// Whether that includes those that a host has switched off.
        unmute: bool,
    },
    /// Send a description or a candidate to one person in the call.
    Signal {
        /// The receiver, who is in the same call.
        to: ParticipantId,
        /// The receiver's session in the call.
        leg: Leg,
        /// The description or candidate.
        signal: Signal,
    },
    /// Offer a connection to the SFU.
    Offer(sfu::Offer),
    /// Close the connection to the SFU and stay in the call.
    CloseMedia {
        /// The client's number of that connection.
        connection: u32,
    },
    /// Replace the list of tracks that the SFU forwards to this member.
    Subscribe(Vec<Wanted>),
}

/// A request of a member about the direct connection to another member, which carries files.
#[derive(Debug, Clone)]
pub enum DirectRequest {
    /// Send a description or a candidate to one person in the room.
    Signal {
        /// The receiver of the signal.
        to: ParticipantId,
        /// The description or candidate.
        signal: Signal,
    },
    /// Ask for the ICE servers.
    IceServers,
}

/// The participant who asked for a change of the authority of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderator {
    /// The socket, which receives an error.
    pub connection: ConnectionId,
    /// Id of the participant.
    pub id: ParticipantId,
}

/// Where the result of storing a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// A socket, which receives the stored message or an error.
    Connection(ConnectionId),
    /// A plain form.
    Form(RequestId),
}

/// The input of a room.
#[derive(Debug, Clone)]
pub enum Command {
    /// A socket asks to enter.
    Join(Join),
    /// A socket ended.
    Disconnected {
        /// The socket that ended.
        connection: ConnectionId,
        /// How it ended.
        departure: Departure,
    },
    /// A member asks for something.
    Member {
        /// The member's socket.
        connection: ConnectionId,
        /// The request, its texts already parsed.
        request: RoomRequest,
    },
    /// A plain form posts a message.
    Post {
        /// The form, which waits for [`Effect::AnswerForm`].
        request_id: RequestId,
        /// The author, who need not be in the room.
        from: Person,
        /// The network of the author; nothing for an address that is exempt from limits.
        network: Option<Network>,
        /// The message, its text already parsed.
        draft: ChatDraft,
    },
    /// The result of an [`Effect::Record`].
    Recorded {
        /// Who asked for the change; nobody for a host key or the use of an invite.
        by: Option<Moderator>,
        /// The change as the store received it.
        record: NewRecord,
        /// The outcome, or why nothing was stored.
        result: Result<Recorded, RoomError>,
    },
    /// The result of an [`Effect::Append`].
    Stored {
        /// Where the result goes.
        requester: Requester,
        /// The id of the message.
        id: MessageId,
        /// The durable message, or why it was not stored.
        result: Result<Appended, RoomError>,
    },
    /// The result of an [`Effect::Change`].
    Changed {
        /// The socket that asked for the change.
        connection: ConnectionId,
        /// The change as the store received it.
        change: Change,
        /// The outcome; nothing if the store failed.
        outcome: Option<Changed>,
    },
    /// The retention deleted these messages from the log; in ascending order.
    Deleted(Vec<Seq>),
    /// The operator of the server asks for something.
    Operator(OperatorCommand),
    /// Remove all away people if the room has no members: the server has too many vacant rooms.
    ForgetAway,
    /// An event of the SFU.
    Media(sfu::Event),
    /// A deadline of [`super::room::Room::next_deadline`] may have passed.
    Tick,
}

/// The output of a room. The actor runs effects in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Append a message to the log and return [`Command::Stored`].
    Append {
        /// Where the result goes.
        requester: Requester,
        /// The message with its author and the time it arrived.
        message: NewMessage,
    },
    /// Change a stored message and return [`Command::Changed`].
    Change {
        /// The socket that asked for the change.
        connection: ConnectionId,
        /// The change with its author and the time it arrived.
        change: Change,
    },
    /// Change the authority of the room and return [`Command::Recorded`].
    Record {
        /// Who asked for the change; nobody for a host key or the use of an invite.
        by: Option<Moderator>,
        /// The change with the time it arrived.
        record: NewRecord,
    },
    /// Delete every message of the room, beside other work. A failure is reported to the socket.
    ClearMessages {
        /// The socket that asked for it.
        connection: ConnectionId,
    },
    /// Send a message to one socket.
    Send {
        /// The socket that receives the message.
        connection: ConnectionId,
        /// The message, encoded by the actor.
        message: ServerMessage,
    },
    /// Forward a message from one socket to another if its queue has space. If it has none, the
    /// message is refused to the sender: no socket is closed because of what others send.
    Relay {
        /// The sender's socket, which receives `busy` if the queue is full.
        from: ConnectionId,
        /// The receiver's socket.
        to: ConnectionId,
        /// The message, encoded by the actor.
        message: ServerMessage,
    },
    /// Send a message to every socket in the room.
    Broadcast {
        /// The message, encoded once for all sockets.
        message: ServerMessage,
        /// A socket that does not receive it.
        except: Option<ConnectionId>,
    },
    /// Send a message to every other socket whose queue is empty. For messages that a client can
    /// miss.
    SendIfIdle {
        /// The message, encoded once for all sockets.
        message: ServerMessage,
        /// The socket that caused it and does not receive it.
        except: ConnectionId,
    },
    /// Keep a socket apart from the others: broadcasts are not for it until [`Effect::Release`].
    Hold {
        /// The socket of somebody who is not in the room yet.
        connection: ConnectionId,
    },
    /// The socket takes part in the room from now on.
    Release {
        /// The socket of somebody who has entered.
        connection: ConnectionId,
    },
    /// Refuse a join and forget its socket.
    RefuseJoin {
        /// The socket that asked.
        connection: ConnectionId,
        /// The error that the client receives.
        code: ErrorCode,
    },
    /// Close a socket.
    Close {
        /// The socket to close.
        connection: ConnectionId,
        /// The code of the close frame.
        code: CloseCode,
    },
    /// Answer a plain form.
    AnswerForm {
        /// The form that waits.
        request_id: RequestId,
        /// The durable message, or why it was not stored.
        result: Result<ChatMessage, RoomError>,
    },
    /// Answer the requests to enter of somebody with a page without script, if any of them waits
    /// for its commit.
    AnswerVisit {
        /// The person who asked.
        id: ParticipantId,
        /// What they learn, or why they may not enter.
        result: Result<VisitStatus, ErrorCode>,
    },
    /// Send a command to the SFU.
    Media(sfu::Command),
    /// Publish the counts of this room for the welcome page.
    SummaryChanged,
}
