//! The link that makes its holder a host: `/room/{name}#host={key}`.
//!
//! The page removes the key from its address at once.

use crate::browser::dom::address::{room_link, room_of_address, take_from_fragment};
use crate::browser::dom::storage;
use crate::protocol::{HostKey, RoomName};
use std::cell::RefCell;

/// The start of the fragment.
const FRAGMENT: &str = "#host=";

thread_local! {
    /// The key of the link that opened this page, and its room, until the room takes it.
    static TAKEN: RefCell<Option<(RoomName, HostKey)>> = const { RefCell::new(None) };
}

/// Removes a host key from the address of the page, and keeps it for [`taken`].
pub fn take() {
    if let Some(name) = room_of_address()
        && let Some(key) = take_from_address()
    {
        TAKEN.set(Some((name, key)));
    }
}

/// The key that [`take`] removed from the address of this room. Forgets any key.
pub fn taken(room: &RoomName) -> Option<HostKey> {
    let (name, key) = TAKEN.take()?;
    (name == *room).then_some(key)
}

/// A key of 128 random bits for a room that may have none yet. `None` in a browser without `Crypto`.
pub fn draw() -> Option<HostKey> {
    let crypto = web_sys::window()?.crypto().ok()?;
    let mut bytes = [0; 16];
    crypto.get_random_values_with_u8_array(&mut bytes).ok()?;
    HostKey::parse(&format!("{:032x}", u128::from_be_bytes(bytes))).ok()
}

/// Removes a host key from the address of the page. `None` if there is no valid one.
pub fn take_from_address() -> Option<HostKey> {
    HostKey::parse(&take_from_fragment(FRAGMENT)?).ok()
}

/// The link that makes its holder a host of `room`, if this device keeps the key.
pub fn of(room: &RoomName) -> Option<String> {
    let key = storage::host_key(room)?;
    room_link(room, FRAGMENT, key.expose())
}
