//! `RTCPeerConnection` to any remote end.
//!
//! [`connector`] carries out what [`crate::state::negotiation`] decides; [`peer_connection`]
//! has the calls it makes; [`stats`] reads `getStats`.

pub mod connector;
pub mod peer_connection;
pub mod stats;
