//! What a peer sends: its tracks and their simulcast layers.
//!
//! [`track`] holds the state of one track, [`layer_meter`] measures a layer's bitrate,
//! [`keyframes`] schedules keyframe requests, [`capture_clock`] maps capture times to our clock,
//! [`muted`] is the set of sources that a host muted.

pub mod capture_clock;
pub mod keyframes;
pub mod layer_meter;
pub mod muted;
pub mod track;
