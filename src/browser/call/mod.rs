//! The call in the browser: one's own devices, and a peer connection to each of the
//! others.
//!
//! [`CallDriver`] is told what the server says and what the person wants. What to
//! negotiate is decided in [`crate::state::negotiation`]; [`peer`] carries it out.
//! [`media`] owns cameras and microphones; [`devices`] asks the browser for them;
//! [`playback`] plays what the others send.

mod devices;
mod driver;
mod local;
mod media;
mod peer;
mod playback;

pub use driver::CallDriver;
pub use media::Media;
