//! The browser's side: the only place that names `web_sys`.
//!
//! * [`room`] runs one room: its connection, messages, timers and what the device remembers.
//! * [`net`] carries frames to the server: a WebSocket or long-polling.
//! * [`call`] runs the call: devices, peer connections, playback.
//! * [`dom`] wraps single features of the page: clipboard, clock, storage, title, ….
//! * [`lobby`] keeps the list of open rooms on the welcome page.
//!
//! What to do is decided by the pure machines in [`crate::state`].

pub mod call;
pub mod dom;
pub mod lobby;
mod net;
mod room;

pub use room::RoomController;
