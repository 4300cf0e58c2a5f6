//! Every reading and editing of an SDP.
//!
//! [`offer`] parses an offer on a blocking thread. [`msid`] names the streams of receiving media
//! sections, so that a browser plays audio and video in sync. [`red`] reads which sections take
//! redundant audio, [`twcc`] negotiates transport-wide congestion control, [`dtx`] asks for
//! discontinuous transmission.

pub mod dtx;
pub mod msid;
pub mod offer;
pub mod red;
pub mod twcc;
