//! The browser's half: the only module that uses `web_sys`.
//!
//! * [`room`] runs one room: its connection, messages, timers and storage.
//! * [`net`] carries frames to the server: a WebSocket or long-polling.
//! * [`call`] runs the call: devices, peer connections, playback.
//! * [`peers`] exchanges files with other participants, browser to browser; a module of its own.
//! * [`dom`] wraps single features of the page: clipboard, clock, storage, title, ….
//! * [`lobby`] keeps the list of open rooms on the welcome page, [`unread`] the counts beside them.
//!
//! The pure state machines of [`crate::state`] make the decisions.

pub mod call;
pub mod dom;
pub mod lobby;
mod net;
pub mod peers;
mod room;
pub mod unread;

pub use net::fetch::text as fetch_text;
pub use room::RoomController;
