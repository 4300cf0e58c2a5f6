//! The one place where a refusal gets its sentence, and what can stop the process.

use crate::{
    protocol::{ErrorCode, MessageId, ServerMessage},
    server::{config::ConfigError, sfu::SfuError, store::StoreError, turn::TurnError},
};

/// Why the server did not start or stopped by itself. The operator mends it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error("--data-dir (NOOM_DATA_DIR): \"{directory}\" cannot be used: {error}")]
    Store {
        /// Where it was looked for.
        directory: String,
        /// The underlying error.
        error: StoreError,
    },
    /// The address cannot be listened on.
    #[error("--listen (NOOM_LISTEN): {address} cannot be used: {error}")]
    Listen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The address of the metrics cannot be listened on.
    #[error("--metrics-listen (NOOM_METRICS_LISTEN): {address} cannot be used: {error}")]
    MetricsListen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Media cannot be passed on.
    #[error(transparent)]
    Sfu(#[from] SfuError),
    /// STUN and TURN cannot be served.
    #[error("--turn-listen (NOOM_TURN_LISTEN): {0}")]
    Turn(#[from] TurnError),
    /// The certificate of TURN over TLS cannot be used.
    #[error("{setting}: \"{file}\" cannot be used: {error}")]
    Certificate {
        /// Which setting named it.
        setting: &'static str,
        /// Path of the certificate or key, as configured.
        file: String,
        /// The reason, as a clause for the operator.
        error: String,
    },
    /// The operating system refused something else.
    #[error("the server failed: {0}")]
    Io(#[from] std::io::Error),
}

/// An `error` message: the code for programs and its sentence for people.
pub fn refusal(code: ErrorCode, id: Option<MessageId>) -> ServerMessage {
    ServerMessage::Error {
        code,
        message: sentence(code).to_owned(),
        id,
    }
}

/// A code as it is on the wire.
pub fn code_name(code: ErrorCode) -> String {
    let json = serde_json::to_value(code).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// What a code says to people. Never holds what the client sent.
pub const fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadMessage => "This is not a message of the room protocol.",
        ErrorCode::UnknownType => "The server does not know this type of message.",
        ErrorCode::NotJoined => "Join a room first.",
        ErrorCode::AlreadyJoined => "This connection has joined a room already.",
        ErrorCode::BadRoomName => "A room name has 1 to 64 characters, no control characters.",
        ErrorCode::BadNickname => "A nickname has 1 to 32 characters, no control characters.",
        ErrorCode::MessageEmpty => "The message is empty.",
        ErrorCode::MessageTooLong => "The message is longer than 4000 characters.",
        ErrorCode::MessageNotAllowed => "The message holds control characters.",
        ErrorCode::NoSuchMessage => "This message is not in the room any more.",
        ErrorCode::NotYours => "Only its author can change a message.",
        ErrorCode::BadEmoji => "A reaction is one emoji.",
        ErrorCode::TooManyReactions => "This message has as many reactions as it can hold.",
        ErrorCode::TooManyMessages => "Too many messages at once; send this one again later.",
        ErrorCode::TooManyJoins => "Too many joins from your address; try again in a moment.",
        ErrorCode::RoomFull => "The room is full.",
        ErrorCode::CallFull => "The call is full.",
        ErrorCode::TooManyRooms => "The server keeps as many rooms as it may.",
        ErrorCode::NotInCall => "Enter the call first.",
        ErrorCode::NoSuchPerson => "This person is not in the call any more.",
        ErrorCode::Busy => "This person cannot take more just now; send this again later.",
        ErrorCode::AddressesHidden => "Addresses are hidden in this call.",
        ErrorCode::SignalTooLong => "The description or candidate is too long.",
        ErrorCode::BadOffer => "The offer makes no sense to the server.",
        ErrorCode::RoomStorageFull => {
            "The room holds as much as it may; delete something, or use another room."
        }
        ErrorCode::ServerStorageFull => "The server has no space for more messages now.",
        ErrorCode::Unavailable => "The room is not available now; try again.",
    }
}
