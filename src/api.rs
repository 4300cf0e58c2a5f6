//! The server functions: the data that pages load, and the actions of plain forms.
//!
//! Each function is public API: it parses its arguments and returns only data that everybody may
//! see. Forms work without the script, so a refusal is an [`ApiError`] with the script, and a
//! redirect that keeps the typed text without it.

#[cfg(feature = "ssr")]
mod server;
#[cfg(feature = "ssr")]
pub use server::{device_of, plain_path};

use crate::protocol::{
    CallPerson, ChatMessage, ChatText, InviteToken, NameError, Nickname, Person, Pin, RoomName,
    RoomSummary, Seq, SessionToken,
};
use crate::state::Position;
use leptos::prelude::*;
use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// The cookie that remembers the nickname on this device.
pub const NICKNAME_COOKIE: &str = "noom_nickname";
/// The cookie that holds the chosen theme, `light` or `dark`.
pub const THEME_COOKIE: &str = "noom_theme";

/// A field of the welcome form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The field for the nickname.
    Nickname,
    /// The room name.
    Room,
}

/// Why a server function refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ApiError {
    /// A field of the form is invalid.
    #[error("{field:?} {problem}")]
    Invalid {
        /// The field whose text is invalid.
        field: Field,
        /// The rule that its text breaks.
        problem: NameError,
    },
    /// The server has as many open rooms as allowed.
    #[error("too many rooms")]
    TooManyRooms,
    /// The address is beyond a rate limit; a retry in a moment may succeed.
    #[error("too much at once")]
    TooMany,
    /// The search exceeded its time limit.
    #[error("the search took too long")]
    SearchTimedOut,
    /// Too many searches run at the same time.
    #[error("too many searches at once")]
    SearchBusy,
    /// The server cannot answer at the moment.
    #[error("not available just now")]
    Unavailable,
    /// The request could not be decoded.
    #[error("the request was not understood")]
    Request,
}

impl FromServerFnError for ApiError {
    type Encoder = JsonEncoding;

    /// Maps errors of the transport. Details stay in the server's log.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => Self::Request,
            ServerFnErrorErr::Registration(_)
            | ServerFnErrorErr::UnsupportedRequestMethod(_)
            | ServerFnErrorErr::Request(_)
            | ServerFnErrorErr::ServerError(_)
            | ServerFnErrorErr::MiddlewareError(_)
            | ServerFnErrorErr::Serialization(_)
            | ServerFnErrorErr::Response(_) => Self::Unavailable,
        }
    }
}

/// The initial data of the welcome page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WelcomeStart {
    /// The open rooms, fullest first.
    pub rooms: Vec<RoomSummary>,
    /// Whether the operator lists no rooms.
    #[serde(default)]
    pub unlisted: bool,
    /// The nickname this device remembers.
    pub nickname: Option<Nickname>,
}

/// The initial data of a room's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomStart {
    /// The name of the room.
    pub name: RoomName,
    /// Everybody in the room.
    pub people: Vec<Person>,
    /// The newest messages, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The pinned messages, in the order of pinning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Whether there are older messages.
    pub more: bool,
    /// Epoch and `seq` of the log; nothing for a room without an event and without people, and for
    /// one that is hidden from this device, which looks the same.
    pub position: Option<Position>,
    /// Everybody in the call.
    pub call: Vec<CallPerson>,
    /// The nickname of this device, for a tab that has none of its own.
    pub nickname: Nickname,
    /// Whether a page of this site started the navigation.
    pub own_navigation: bool,
    /// Whether the operator hides everybody's address.
    pub hide_addresses: bool,
    /// The largest file that a message may have, in bytes; 0 if the server keeps no files.
    pub max_file_bytes: u64,
    /// An open room whose name differs in letter case only, if this room was never used.
    pub other_case: Option<RoomName>,
    /// What the server keeps for the reader of a page without script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<Visit>,
}

/// What the server keeps for the reader of a page without script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// What has become of the request to enter; nothing for somebody who is in or has not asked.
    pub wait: Option<Wait>,
    /// The message that the room refused.
    pub text: Option<ChatText>,
}

/// What has become of a request to enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// The person waits in the lobby.
    Waiting {
        /// The place, from 1.
        place: u32,
        /// Whether anybody is here who can admit them.
        host_here: bool,
    },
    /// A host turned the person away, for this reason.
    TurnedAway(Option<ChatText>),
    /// Nobody admitted the person in time, or the server has restarted.
    Ended,
}

/// Highest number of unread messages of a room that is counted.
pub const MAX_UNREAD: u32 = 100;

/// Highest number of read positions in a request.
pub const MAX_READS: usize = 50;

/// The read position of a device in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPosition {
    /// The room that was read.
    pub room: RoomName,
    /// The newest message that was seen.
    pub position: Position,
}

/// A part of a room's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMessages {
    /// The messages, in the order of the function that returns them.
    pub messages: Vec<ChatMessage>,
    /// Whether there are more of them.
    pub more: bool,
}

/// A value as JSON text. The code that decodes it is in the room's wasm module only, so that the
/// module of the welcome page stays small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed(String);

impl Packed {
    #[cfg(feature = "ssr")]
    fn pack(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).unwrap_or_default())
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// [`ApiError::Request`] if another version of the server encoded it.
    pub fn unpack<T: serde::de::DeserializeOwned>(self) -> Result<T, ApiError> {
        serde_json::from_str(&self.0).map_err(|_| ApiError::Request)
    }
}

/// Loads the initial data of the welcome page.
#[server(endpoint = "welcome")]
pub async fn welcome() -> Result<WelcomeStart, ApiError> {
    let context = server::context();
    Ok(WelcomeStart {
        rooms: context.rooms.summaries().to_vec(),
        unlisted: !context.config.list_rooms,
        nickname: server::remembered_nickname(),
    })
}

/// Counts the messages that came to rooms of the list after the read positions of a device. Returns a
/// number for each position, in their order, at most [`MAX_UNREAD`]; 0 where the room is not in the list,
/// is hidden from the author of the request, or has another log by now.
///
/// # Errors
/// [`ApiError::Request`] if `reads` is no JSON array of [`ReadPosition`], or has more than [`MAX_READS`].
#[server(endpoint = "unread")]
pub async fn unread(
    /// The read positions, as JSON.
    reads: String,
) -> Result<Vec<u32>, ApiError> {
    server::unread(&reads).await
}

/// Validates the welcome form and redirects to the room, which is not opened yet. An empty nickname
/// makes a guest, and an empty name of a private room a name that nobody guesses. A refusal is a
/// value, so that the status of the response is 200.
#[server(endpoint = "join_room")]
pub async fn join_room(
    /// The nickname as typed.
    nickname: String,
    /// The room name as typed.
    room: String,
    /// Present if the button for a private room was pressed.
    #[server(default)]
    private: Option<String>,
    /// Present if the form is on a page whose script failed.
    #[server(default)]
    plain: Option<String>,
) -> Result<Option<ApiError>, ApiError> {
    let lead = |path| leptos_axum::redirect(&server::answer_path(path, plain.is_some()));
    match server::join_room(&nickname, &room, private.is_some()) {
        Ok(path) => {
            lead(path);
            Ok(None)
        }
        Err(error) if server::is_plain_form() => {
            lead(server::back_to_welcome(&nickname, &room, &error));
            Ok(None)
        }
        Err(error) => Ok(Some(error)),
    }
}

/// Loads the initial data of a room's page.
///
/// # Errors
/// [`ApiError::Invalid`] if `room` is no room name.
#[server(endpoint = "load_room")]
pub async fn load_room(
    /// The room name in the address of the page.
    room: String,
) -> Result<Packed, ApiError> {
    server::room_start(&room)
        .await
        .map(|start| Packed::pack(&start))
}

/// Searches a room for messages that contain every one of these words, also as parts of words.
/// Returns [`FoundMessages`], newest first.
///
/// # Errors
/// [`ApiError::Invalid`] if `room` is no room name.
#[server(endpoint = "find_messages")]
pub async fn find_messages(
    /// The room name.
    room: String,
    /// The words as typed.
    words: String,
    /// Return older messages than this one only.
    before: Option<Seq>,
    /// The session of a participant, for a hidden room.
    #[server(default)]
    session: Option<SessionToken>,
) -> Result<Packed, ApiError> {
    server::find_messages(&room, &words, before, session)
        .await
        .map(|found| Packed::pack(&found))
}

/// Loads a message of a room and those around it. Returns [`FoundMessages`], oldest first.
///
/// # Errors
/// [`ApiError::Invalid`] if `room` is no room name.
#[server(endpoint = "messages_around")]
pub async fn messages_around(
    /// The room name.
    room: String,
    /// The message in the middle.
    seq: Seq,
    /// The session of a participant, for a hidden room.
    #[server(default)]
    session: Option<SessionToken>,
) -> Result<Packed, ApiError> {
    server::messages_around(&room, seq, session)
        .await
        .map(|found| Packed::pack(&found))
}

/// Draws the link of an invite as a QR code. Returns the text of an SVG document.
///
/// # Errors
/// [`ApiError::Request`] if this server did not sign the token for this room. Whether the room exists,
/// and whether the invite is revoked, makes no difference.
#[server(endpoint = "invite_code")]
pub async fn invite_code(
    /// The room name.
    room: String,
    /// What the link of the invite holds.
    token: InviteToken,
) -> Result<Packed, ApiError> {
    server::invite_code(&room, &token).map(|drawn| Packed::pack(&drawn))
}

/// Writes a calendar file with one event that holds the link of an invite. Returns its text.
///
/// # Errors
/// As [`invite_code`], and [`ApiError::Request`] for an impossible time.
#[server(endpoint = "invite_calendar")]
pub async fn invite_calendar(
    /// The room name.
    room: String,
    /// What the link of the invite holds.
    token: InviteToken,
    /// When the meeting starts, in milliseconds since the Unix epoch.
    starts: i64,
    /// When it ends; later than `starts`, by a year at most.
    ends: i64,
) -> Result<Packed, ApiError> {
    server::invite_calendar(&room, &token, starts, ends).map(|file| Packed::pack(&file))
}

/// Posts a message by a plain form and redirects to the room. Where the author has to ask to enter
/// first, the page offers that and keeps the message.
#[server(endpoint = "post_message")]
pub async fn post_message(
    /// The room name.
    room: String,
    /// The text as typed.
    text: String,
    /// Present if the message opens a private room.
    #[server(default)]
    private: Option<String>,
    /// Present if the form is on a page whose script failed.
    #[server(default)]
    plain: Option<String>,
) -> Result<(), ApiError> {
    let path = server::post_message(&room, &text, private.is_some(), plain.is_some()).await?;
    leptos_axum::redirect(&path);
    Ok(())
}

/// Asks to enter a room by a plain form and redirects to the page of the room without script, which
/// shows the room, the wait, or why the room refuses.
#[server(endpoint = "enter_room")]
pub async fn enter_room(
    /// The room name.
    room: String,
    /// The nickname as typed; the one of the device if empty.
    #[server(default)]
    nickname: String,
    /// The password of the room as typed.
    #[server(default)]
    password: String,
    /// The invite as typed: a link or what it holds.
    #[server(default)]
    invite: String,
    /// What the hosts read, as typed.
    #[server(default)]
    line: String,
) -> Result<(), ApiError> {
    let shown = server::TypedEntry {
        nickname,
        password,
        invite,
        line,
    };
    let path = server::enter_room(&room, shown).await?;
    leptos_axum::redirect(&plain_path(path));
    Ok(())
}
