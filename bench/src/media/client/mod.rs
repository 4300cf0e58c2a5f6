//! The clients: WebRTC endpoints that share one thread.
//!
//! * [`generator`] the thread from outside, [`client_loop`] from inside.
//! * [`peer`] one client; [`endpoint`] its SDP; [`packet`] what it sends and receives.
//! * [`counters`] what is counted.

pub mod client_loop;
pub mod counters;
pub mod endpoint;
pub mod generator;
pub mod packet;
pub mod peer;
