//! The link that lets its holder into a room: `/room/{name}#invite={token}`.
//!
//! As with a host link, the page removes the token from its address at once.

use crate::browser::dom::address::{room_link, room_of_address, take_from_fragment};
use crate::protocol::{InviteToken, RoomName};
use std::cell::RefCell;

/// The start of the fragment.
const FRAGMENT: &str = "#invite=";

thread_local! {
    /// The invite of the link that opened this page, and its room, until the room takes it.
    static TAKEN: RefCell<Option<(RoomName, InviteToken)>> = const { RefCell::new(None) };
}

/// Removes an invite from the address of the page, and keeps it for [`taken`].
pub fn take() {
    if let Some(name) = room_of_address()
        && let Some(token) = take_from_address()
    {
        TAKEN.set(Some((name, token)));
    }
}

/// The invite that [`take`] removed from the address of this room. Forgets any invite.
pub fn taken(room: &RoomName) -> Option<InviteToken> {
    let (name, token) = TAKEN.take()?;
    (name == *room).then_some(token)
}

/// Removes an invite from the address of the page. `None` if there is no valid one.
pub fn take_from_address() -> Option<InviteToken> {
    InviteToken::parse(&take_from_fragment(FRAGMENT)?).ok()
}

/// The link that lets its holder into `room`.
pub fn of(room: &RoomName, token: &InviteToken) -> Option<String> {
    room_link(room, FRAGMENT, token.expose())
}
