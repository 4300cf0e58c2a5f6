//! What a peer receives: the tracks and layers that its down tracks carry.
//!
//! [`down_track`] is one outgoing stream, [`assign`] picks the down track for a new
//! subscription, [`allocator`] divides the bandwidth among video, [`load_shedding`] limits
//! video on a busy shard, [`rtx_policy`] decides how long packets are kept for retransmission.

pub mod allocator;
pub mod assign;
pub mod down_track;
pub mod load_shedding;
pub mod rtx_policy;
