//! What the device remembers: cookies the server reads too, and, for one tab, who
//! one is in a room and what has not been sent. A device that refuses to remember
//! is no error; the page then forgets on reload.

use crate::protocol::{Nickname, RoomName, SessionToken};
use crate::state::Position;
use crate::state::log::PendingMessage;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDocument, Storage};

/// How long cookies last, in seconds: a year.
const COOKIE_MAX_AGE_S: u32 = 365 * 24 * 60 * 60;

/// Who this tab is in a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The secret to come back with.
    pub session: SessionToken,
    /// What it was called.
    pub nickname: Nickname,
}

/// Who this tab was in a room before it was reloaded.
pub fn identity(room: &RoomName) -> Option<Identity> {
    load(&format!("noom:identity:{room}"))
}

/// Remembers who this tab is in a room, or forgets it.
pub fn set_identity(room: &RoomName, identity: Option<&Identity>) {
    store(&format!("noom:identity:{room}"), identity);
}

/// What this tab had not sent before it was reloaded.
pub fn pending(room: &RoomName) -> Vec<PendingMessage> {
    load(&format!("noom:outbox:{room}")).unwrap_or_default()
}

/// Remembers what has not been sent.
pub fn set_pending(room: &RoomName, pending: &[PendingMessage]) {
    store(
        &format!("noom:outbox:{room}"),
        (!pending.is_empty()).then_some(pending),
    );
}

/// Whether this tab was in the call of a room when its former document ended. Forgotten
/// as it is asked for.
pub fn take_in_call(room: &RoomName) -> bool {
    let was: Option<bool> = load(&in_call_key(room));
    set_in_call(room, false);
    was.unwrap_or_default()
}

/// Remembers that this tab is in the call of a room, or forgets it.
pub fn set_in_call(room: &RoomName, is: bool) {
    store(&in_call_key(room), is.then_some(&true));
}

fn in_call_key(room: &RoomName) -> String {
    format!("noom:call:{room}")
}

/// The key of the choice to hide one's address; it is there while one does.
const HIDE_ADDRESS: &str = "noom:hide-address";

/// Whether one hides one's address on this device.
pub fn hide_address() -> bool {
    let chosen = local_storage().and_then(|storage| storage.get_item(HIDE_ADDRESS).ok()?);
    chosen.is_some()
}

/// Remembers whether one hides one's address.
pub fn set_hide_address(hide: bool) {
    if let Some(storage) = local_storage() {
        let _ = match hide {
            true => storage.set_item(HIDE_ADDRESS, "1"),
            false => storage.remove_item(HIDE_ADDRESS),
        };
    }
}

/// How far one had read in a room on this device.
pub fn read(room: &RoomName) -> Option<Position> {
    let text = local_storage()?.get_item(&read_key(room)).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// Remembers how far one has read in a room.
pub fn set_read(room: &RoomName, position: &Position) {
    if let (Some(storage), Ok(text)) = (local_storage(), serde_json::to_string(position)) {
        let _ = storage.set_item(&read_key(room), &text);
    }
}

fn read_key(room: &RoomName) -> String {
    format!("noom:read:{room}")
}

fn local_storage() -> Option<Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}

/// Sets a cookie of this site for a year.
pub fn set_cookie(name: &str, value: &str) {
    let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    let document = web_sys::window().and_then(|window| window.document());
    let root = document
        .as_ref()
        .and_then(|document| document.document_element());
    // The server says whether its own cookies are of this kind: it reads no others then.
    let secure = root.is_some_and(|root| root.has_attribute("data-secure"));
    let (prefix, secure) = if secure {
        ("__Host-", "; Secure")
    } else {
        ("", "")
    };
    let cookie =
        format!("{prefix}{name}={value}; Path=/; Max-Age={COOKIE_MAX_AGE_S}; SameSite=Lax{secure}");
    if let Some(document) = document.and_then(|document| document.dyn_into::<HtmlDocument>().ok()) {
        let _ = document.set_cookie(&cookie);
    }
}

fn session_storage() -> Option<Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}

fn load<T: DeserializeOwned>(key: &str) -> Option<T> {
    let text = session_storage()?.get_item(key).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

fn store<T: Serialize + ?Sized>(key: &str, value: Option<&T>) {
    let Some(storage) = session_storage() else {
        return;
    };
    let text = value.and_then(|value| serde_json::to_string(value).ok());
    let _ = match text {
        Some(text) => storage.set_item(key, &text),
        None => storage.remove_item(key),
    };
}
