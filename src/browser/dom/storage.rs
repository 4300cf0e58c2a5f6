//! Storage on the device: cookies that the server reads, and per tab the identity in a room,
//! what lets the tab in, the unsent messages, and text and files of the composer. A device that refuses
//! storage is no error; the page then loses them on reload.

use crate::paths::base;
use crate::protocol::{HostKey, InviteToken, Nickname, RoomName, RoomPassword, SessionToken};
use crate::state::Position;
use crate::state::alert::AlertSettings;
use crate::state::emoji::SkinTone;
use crate::state::log::PendingMessage;
use crate::state::uploads::KeptUpload;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDocument, Storage};

/// Lifetime of cookies, in seconds: one year.
const COOKIE_MAX_AGE_S: u32 = 365 * 24 * 60 * 60;

/// Longest kept text of a composer, in bytes: more than a message may have.
const MAX_DRAFT_BYTES: usize = 32 * 1024;

/// The identity of this tab in a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The secret with which the tab resumes.
    pub session: SessionToken,
    /// The last nickname.
    pub nickname: Nickname,
}

/// The identity of this tab in a room before the reload.
pub fn identity(room: &RoomName) -> Option<Identity> {
    load(&key("identity", room))
}

/// Stores or removes the identity of this tab in a room.
pub fn set_identity(room: &RoomName, identity: Option<&Identity>) {
    store(&key("identity", room), identity);
}

/// The password that let this tab into a room before the reload.
pub fn password(room: &RoomName) -> Option<RoomPassword> {
    load(&key("password", room))
}

/// Stores or removes the password that let this tab into a room.
pub fn set_password(room: &RoomName, password: Option<&RoomPassword>) {
    store(&key("password", room), password);
}

/// The invite to a room whose link this tab followed.
pub fn invite(room: &RoomName) -> Option<InviteToken> {
    load(&key("invite", room))
}

/// Stores or removes the invite to a room.
pub fn set_invite(room: &RoomName, invite: Option<&InviteToken>) {
    store(&key("invite", room), invite);
}

/// The unsent messages of this tab before the reload.
pub fn pending(room: &RoomName) -> Vec<PendingMessage> {
    load(&key("outbox", room)).unwrap_or_default()
}

/// Stores the unsent messages.
pub fn set_pending(room: &RoomName, pending: &[PendingMessage]) {
    store(
        &key("outbox", room),
        (!pending.is_empty()).then_some(pending),
    );
}

/// The files of the composer of a room before the reload.
pub fn uploads(room: &RoomName) -> Vec<KeptUpload> {
    load(&key("files", room)).unwrap_or_default()
}

/// Stores what a reload keeps of the files of the composer.
pub fn set_uploads(room: &RoomName, kept: &[KeptUpload]) {
    store(&key("files", room), (!kept.is_empty()).then_some(kept));
}

/// The text in the composer of a room before the reload.
pub fn draft(room: &RoomName) -> Option<String> {
    load(&key("draft", room))
}

/// Stores the text in the composer; removes it if there is none, or if it is too long to keep.
pub fn set_draft(room: &RoomName, text: &str) {
    let is_kept = !text.is_empty() && text.len() <= MAX_DRAFT_BYTES;
    store(&key("draft", room), is_kept.then_some(text));
}

/// Whether this tab was in the call of a room when its previous document ended. Removes the
/// stored flag.
pub fn take_in_call(room: &RoomName) -> bool {
    let was: Option<bool> = load(&key("call", room));
    set_in_call(room, false);
    was.unwrap_or_default()
}

/// Stores or removes the flag that this tab is in the call of a room.
pub fn set_in_call(room: &RoomName, is: bool) {
    store(&key("call", room), is.then_some(&true));
}

/// The key of the choice to hide the address; present while it is hidden.
const HIDE_ADDRESS: &str = "noom:hide-address";

/// Whether the address is hidden on this device.
pub fn hide_address() -> bool {
    let chosen = local_storage().and_then(|storage| storage.get_item(HIDE_ADDRESS).ok()?);
    chosen.is_some()
}

/// Stores whether the address is hidden.
pub fn set_hide_address(hide: bool) {
    if let Some(storage) = local_storage() {
        let _ = match hide {
            true => storage.set_item(HIDE_ADDRESS, "1"),
            false => storage.remove_item(HIDE_ADDRESS),
        };
    }
}

/// The key of the choice to hear who comes to the lobby; present while it is heard.
const LOBBY_SOUND: &str = "noom:lobby-sound";

/// Whether this device plays a sound when somebody comes to the lobby.
pub fn lobby_sound() -> bool {
    let chosen = local_storage().and_then(|storage| storage.get_item(LOBBY_SOUND).ok()?);
    chosen.is_some()
}

/// Stores whether this device plays a sound when somebody comes to the lobby.
pub fn set_lobby_sound(on: bool) {
    if let Some(storage) = local_storage() {
        let _ = match on {
            true => storage.set_item(LOBBY_SOUND, "1"),
            false => storage.remove_item(LOBBY_SOUND),
        };
    }
}

/// The key of what this device does about new messages.
const ALERTS: &str = "noom:alerts";

/// What this device does about new messages.
pub fn alert_settings() -> AlertSettings {
    let text = local_storage().and_then(|storage| storage.get_item(ALERTS).ok()?);
    AlertSettings::of_text(&text.unwrap_or_default())
}

/// Stores what this device does about new messages.
pub fn set_alert_settings(settings: AlertSettings) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(ALERTS, &settings.to_text());
    }
}

/// The key of the skin tone of emoji.
const SKIN_TONE: &str = "noom:skin-tone";

/// The skin tone in which this device offers emoji.
pub fn skin_tone() -> SkinTone {
    let text = local_storage().and_then(|storage| storage.get_item(SKIN_TONE).ok()?);
    SkinTone::of_number(&text.unwrap_or_default())
}

/// Stores the skin tone in which this device offers emoji.
pub fn set_skin_tone(tone: SkinTone) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(SKIN_TONE, &tone.number().to_string());
    }
}

/// The stored read position in a room.
pub fn read(room: &RoomName) -> Option<Position> {
    let text = local_storage()?
        .get_item(&key("read", room))
        .ok()
        .flatten()?;
    serde_json::from_str(&text).ok()
}

/// Stores the read position in a room.
pub fn set_read(room: &RoomName, position: &Position) {
    if let (Some(storage), Ok(text)) = (local_storage(), serde_json::to_string(position)) {
        let _ = storage.set_item(&key("read", room), &text);
    }
}

/// The key of a stored value of a room. Servers below other paths of this origin have other keys.
fn key(kind: &str, room: &RoomName) -> String {
    format!("noom{}:{kind}:{room}", base())
}

/// The host key of a room that this device keeps.
pub fn host_key(room: &RoomName) -> Option<HostKey> {
    let text = local_storage()?
        .get_item(&key("host", room))
        .ok()
        .flatten()?;
    HostKey::parse(&text).ok()
}

/// Keeps the host key of a room on this device.
pub fn set_host_key(room: &RoomName, host_key: &HostKey) {
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(&key("host", room), host_key.expose());
    }
}

fn local_storage() -> Option<Storage> {
    web_sys::window()?.local_storage().ok().flatten()
}

/// Sets a cookie of this site for one year.
pub fn set_cookie(name: &str, value: &str) {
    let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    let document = web_sys::window().and_then(|window| window.document());
    let root = document
        .as_ref()
        .and_then(|document| document.document_element());
    // `data-secure`: the server reads cookies with the `Secure` attribute only.
    let secure = root.is_some_and(|root| root.has_attribute("data-secure"));
    // The prefix demands the path `/` (RFC 6265bis, section 4.1.3.2).
    let (prefix, path, secure) = if secure {
        ("__Host-", "", "; Secure")
    } else {
        ("", base(), "")
    };
    let cookie = format!(
        "{prefix}{name}={value}; Path={path}/; Max-Age={COOKIE_MAX_AGE_S}; SameSite=Lax{secure}"
    );
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
