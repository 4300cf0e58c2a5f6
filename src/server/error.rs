//! Texts of refusals, and the errors that end the process.

use crate::{
    protocol::{ErrorCode, MessageId, ServerMessage},
    server::{
        config::ConfigError,
        net::{Exhausted, RequestKind},
        sfu::SfuError,
        store::StoreError,
        tls::{CertificateError, TlsError},
        turn::TurnError,
    },
};

/// An error that keeps the server from starting or ends it. Each names the setting to correct.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error("--data-dir (NOOM_DATA_DIR): \"{directory}\" cannot be used: {error}")]
    Store {
        /// The configured data directory.
        directory: String,
        /// The underlying error.
        error: StoreError,
    },
    /// The HTTP address cannot be bound.
    #[error("--listen (NOOM_LISTEN): {address} cannot be used: {error}{}", hint(*address, error))]
    Listen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The address of plain HTTP cannot be bound.
    #[error(
        "--http-listen (NOOM_HTTP_LISTEN): {address} cannot be used: {error}{}",
        hint(*address, error)
    )]
    HttpListen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// A socket of the service manager cannot be served.
    #[error("LISTEN_FDS: the inherited socket {number} cannot be used: {error}")]
    InheritedSocket {
        /// The number of the socket, from 0.
        number: usize,
        /// Why it cannot be served.
        error: std::io::Error,
    },
    /// The certificate of the HTTP address cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The metrics address cannot be bound.
    #[error("--metrics-listen (NOOM_METRICS_LISTEN): {address} cannot be used: {error}")]
    MetricsListen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The file with the token of metrics cannot be used.
    #[error("--metrics-token-file (NOOM_METRICS_TOKEN_FILE): \"{path}\" cannot be used: {error}")]
    MetricsToken {
        /// The configured path.
        path: String,
        /// Why it cannot be used.
        error: std::io::Error,
    },
    /// The SFU cannot start.
    #[error(transparent)]
    Sfu(#[from] SfuError),
    /// The STUN and TURN server cannot start.
    #[error("--turn-listen (NOOM_TURN_LISTEN): {0}")]
    Turn(#[from] TurnError),
    /// The certificate of TURN over TLS cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Another error of the operating system.
    #[error("the server failed: {0}")]
    Io(#[from] std::io::Error),
}

/// What the operator can do about an address that cannot be bound; empty if that is clear.
pub fn hint(address: std::net::SocketAddr, error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "; ports below 1024 need a right: setcap cap_net_bind_service=+ep noom, or \
             AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit"
        }
        _ => "",
    }
}

/// An `error` message: the code for programs, and a sentence for users.
pub fn refusal(code: ErrorCode, id: Option<MessageId>) -> ServerMessage {
    ServerMessage::Error {
        code,
        message: sentence(code).to_owned(),
        id,
    }
}

/// The code of a refusal by a rate, and by whose rate it is.
pub const fn refusal_of_rate(kind: RequestKind, limit: Exhausted) -> ErrorCode {
    match (kind, limit) {
        (RequestKind::Join | RequestKind::NewRoom, _) => ErrorCode::TooManyJoins,
        (RequestKind::NewName, _) => ErrorCode::TooManyNewRooms,
        (RequestKind::DayBytes, Exhausted::Address) => ErrorCode::AddressStorageFull,
        (RequestKind::DayBytes, Exhausted::Total) => ErrorCode::ServerStorageFull,
        (
            RequestKind::Post
            | RequestKind::ChatBytes
            | RequestKind::Search
            | RequestKind::Page
            | RequestKind::History
            | RequestKind::Offer
            | RequestKind::Check
            | RequestKind::Export
            | RequestKind::RelayBytes
            | RequestKind::Download,
            _,
        ) => ErrorCode::TooManyMessages,
        (RequestKind::Upload | RequestKind::UploadBytes, _) => ErrorCode::TooManyUploads,
    }
}

/// The sentence of a code for users. It never repeats input of the client.
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
        ErrorCode::TooManyNewRooms => {
            "Too many new rooms were opened; use one that has messages, or try again later."
        }
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
        ErrorCode::AddressStorageFull => {
            "Your address has written as much as it may in a day; try again later."
        }
        ErrorCode::ServerStorageFull => "The server has no space for more messages now.",
        ErrorCode::Unavailable => "The room is not available now; try again.",
        ErrorCode::NotAllowed => "Your role in this room does not allow this.",
        ErrorCode::RoomLocked => "The room is locked; ask a host to let you in.",
        ErrorCode::Banned => "A host keeps you out of this room.",
        ErrorCode::BadText => "The text is empty, too long, or holds control characters.",
        ErrorCode::TooManyEntries => "The room keeps as many roles, bans or invites as it may.",
        ErrorCode::PasswordRequired => "This room has a password.",
        ErrorCode::WrongPassword => "This is not the password of the room.",
        ErrorCode::TooManyGuesses => "Too many passwords were tried; try again later.",
        ErrorCode::InviteRequired => "Only people with an invite enter this room.",
        ErrorCode::BadInvite => "This invite is not valid any more; ask for another one.",
        ErrorCode::InviteExpired => "This invite has expired; ask for another one.",
        ErrorCode::InviteUsedUp => "This invite was used as often as it may be.",
        ErrorCode::NotOpen => "The room is not open at this time.",
        ErrorCode::LobbyFull => "As many people wait for this room as may; try again later.",
        ErrorCode::WaitedTooLong => "Nobody let you in; ask again if you like.",
        ErrorCode::TurnedAway => "A host turned you away a moment ago.",
        ErrorCode::BadSetting => "This setting has a value that is not possible.",
        ErrorCode::FilesOff => "This server keeps no files.",
        ErrorCode::FileTooLarge => "The file is empty, or larger than this server keeps.",
        ErrorCode::NoSuchFile => "This upload is not finished, or not there any more.",
        ErrorCode::TooManyFiles => "A message holds at most 10 files.",
        ErrorCode::TooManyUploads => "Too many uploads at once; try again in a moment.",
    }
}
