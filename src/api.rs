//! The server functions: what pages load and what plain forms do.
//!
//! Each is public API: it parses what it is given, answers with what everybody may
//! see and nothing else. Forms work without the script, so a refusal either comes
//! back as [`ApiError`] (script) or as a redirect that keeps what was typed (none).

#[cfg(feature = "ssr")]
mod server;
#[cfg(feature = "ssr")]
pub use server::plain_path;

use crate::protocol::{
    CallPerson, ChatMessage, NameError, Nickname, Person, RoomName, RoomSummary, Seq,
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

/// Which field of the welcome form was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The nickname.
    Nickname,
    /// The room name.
    Room,
}

/// Why a server function refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ApiError {
    /// A field holds what it may not.
    #[error("{field:?} {problem}")]
    Invalid {
        /// Which.
        field: Field,
        /// Why.
        problem: NameError,
    },
    /// The server keeps as many rooms as it may.
    #[error("too many rooms")]
    TooManyRooms,
    /// More of it than one address may ask for; try again in a moment.
    #[error("too much at once")]
    TooMany,
    /// A search took longer than the server allows.
    #[error("the search took too long")]
    SearchTimedOut,
    /// More people search than the server has time for.
    #[error("too many searches at once")]
    SearchBusy,
    /// The server could not do it just now.
    #[error("not available just now")]
    Unavailable,
    /// The request did not arrive in one piece.
    #[error("the request was not understood")]
    Request,
}

impl FromServerFnError for ApiError {
    type Encoder = JsonEncoding;

    /// Details stay in the server's log; the page only learns that it failed.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => Self::Request,
            _ => Self::Unavailable,
        }
    }
}

/// What the welcome page starts with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WelcomeStart {
    /// The open rooms, fullest first.
    pub rooms: Vec<RoomSummary>,
    /// The nickname this device remembers.
    pub nickname: Option<Nickname>,
}

/// A room as its page starts with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomStart {
    /// Its name.
    pub name: RoomName,
    /// Who is in it.
    pub people: Vec<Person>,
    /// The newest messages, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Whether there are older ones.
    pub more: bool,
    /// Where its log stands; none where nobody has been here yet.
    pub position: Option<Position>,
    /// Who is in the call.
    pub call: Vec<CallPerson>,
    /// What to be called here unless the tab knows better.
    pub nickname: Nickname,
    /// Whether a page of this site led the browser to the document.
    pub own_navigation: bool,
    /// Whether the server hides everybody's address.
    pub hide_addresses: bool,
    /// An open room of this name in other letter case, where nobody has been in this one.
    pub other_case: Option<RoomName>,
}

/// Some messages of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundMessages {
    /// Which.
    pub messages: Vec<ChatMessage>,
    /// Whether there are more.
    pub more: bool,
}

/// A value as JSON text. Only the room's own wasm module can decode what is in it; the
/// welcome page, which shares the code that loads it, stays small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed(String);

impl Packed {
    #[cfg(feature = "ssr")]
    fn pack(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).unwrap_or_default())
    }

    /// What was packed.
    ///
    /// # Errors
    /// [`ApiError::Request`] where it comes from another version of the server.
    pub fn unpack<T: serde::de::DeserializeOwned>(self) -> Result<T, ApiError> {
        serde_json::from_str(&self.0).map_err(|_| ApiError::Request)
    }
}

/// What the welcome page starts with.
#[server(endpoint = "welcome")]
pub async fn welcome() -> Result<WelcomeStart, ApiError> {
    let rooms = server::context().rooms.summaries().to_vec();
    Ok(WelcomeStart {
        rooms,
        nickname: server::remembered_nickname(),
    })
}

/// Leads into a room; that makes none yet. An empty nickname means to come as a guest. A refusal is an answer like any other, not a fault.
#[server(endpoint = "join_room")]
pub async fn join_room(
    /// What to be called, as typed.
    nickname: String,
    /// Which room, as typed.
    room: String,
    /// There where the form is on a page whose script failed.
    #[server(default)]
    plain: Option<String>,
) -> Result<Option<ApiError>, ApiError> {
    let lead = |path| leptos_axum::redirect(&server::answer_path(path, plain.is_some()));
    match server::enter(&nickname, &room) {
        Ok(name) => {
            lead(name.path());
            Ok(None)
        }
        Err(error) if server::is_plain_form() => {
            lead(server::back_to_welcome(&nickname, &room, &error));
            Ok(None)
        }
        Err(error) => Ok(Some(error)),
    }
}

/// What the page of a room starts with.
///
/// # Errors
/// [`ApiError::Invalid`] where `room` is no room name.
#[server(endpoint = "load_room")]
pub async fn load_room(
    /// Its name, as the address has it.
    room: String,
) -> Result<Packed, ApiError> {
    server::room_start(&room)
        .await
        .map(|start| Packed::pack(&start))
}

/// The newest messages of a room that hold every one of these words, newest first; parts
/// of words count. A [`FoundMessages`].
///
/// # Errors
/// [`ApiError::Invalid`] where `room` is no room name.
#[server(endpoint = "find_messages")]
pub async fn find_messages(
    /// In which room.
    room: String,
    /// What to look for.
    words: String,
    /// Only messages before this one.
    before: Option<Seq>,
) -> Result<Packed, ApiError> {
    server::find(&room, &words, before)
        .await
        .map(|found| Packed::pack(&found))
}

/// A message of a room and those around it, oldest first. A [`FoundMessages`].
///
/// # Errors
/// [`ApiError::Invalid`] where `room` is no room name.
#[server(endpoint = "messages_around")]
pub async fn messages_around(
    /// In which room.
    room: String,
    /// Which message.
    seq: Seq,
) -> Result<Packed, ApiError> {
    server::around(&room, seq)
        .await
        .map(|found| Packed::pack(&found))
}

/// Posts a message by a plain form and leads back to the room.
#[server(endpoint = "post_message")]
pub async fn post_message(
    /// Where to say it.
    room: String,
    /// What to say, as typed.
    text: String,
    /// There where the form is on a page whose script failed.
    #[server(default)]
    plain: Option<String>,
) -> Result<(), ApiError> {
    let path = server::post(&room, &text).await?;
    leptos_axum::redirect(&server::answer_path(path, plain.is_some()));
    Ok(())
}
