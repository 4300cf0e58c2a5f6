//! The clients: WebRTC endpoints that share one thread.
//!
//! * [`generator`] the thread from outside, [`client_loop`] from inside.
//! * [`peer`] one client; [`context`] its socket pool and counters.
//! * [`endpoint`] its SDP; [`packet`] its media packets.
//! * [`counters`] the counters.

pub mod client_loop;
pub mod context;
pub mod counters;
pub mod endpoint;
pub mod generator;
pub mod packet;
pub mod peer;
