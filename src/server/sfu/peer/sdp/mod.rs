//! Every reading and editing of an SDP.
//!
//! [`offer`] parses an offer on a thread of its own, [`msid`] names the streams of receiving
//! media sections so that a browser plays audio and video in sync.

pub mod msid;
pub mod offer;
