//! Invites: the key that signs their links, and what holds a link: a QR code, a calendar file.

mod key;
mod link;

pub use key::{InviteKey, new_invite_id};
pub use link::{MeetingTime, calendar_file, invite_link, qr_code};
