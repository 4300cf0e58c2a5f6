//! Invites: the key that signs their links.

mod key;

pub use key::{InviteKey, new_invite_id};
