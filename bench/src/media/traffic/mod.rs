//! The packets of publishers.
//!
//! * [`flow`] an endless stream of packets; [`vp8`] its payload.
//! * [`stamp`] the identity of a packet and its time of sending.
//! * [`rtp`] the header, [`srtp`] encryption with keys that both sides know.

pub mod flow;
pub mod rtp;
pub mod srtp;
pub mod stamp;
pub mod vp8;
