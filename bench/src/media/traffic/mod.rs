//! What publishers send.
//!
//! * [`flow`] an endless stream of packets; [`vp8`] its payload.
//! * [`stamp`] what identifies a packet and tells its age.
//! * [`rtp`] the header, [`srtp`] encryption with keys that both sides know.

pub mod flow;
pub mod rtp;
pub mod srtp;
pub mod stamp;
pub mod vp8;
