//! Bandwidth estimation: what the network path to a peer carries.
//!
//! [`estimate`] combines str0m's average and instant estimates, [`link`] raises the result to a
//! floor where the path is known to be good, [`base_rtt`] tells a long path from a queue,
//! [`congestion`] handles a sudden drop of capacity, [`loss`] detects lasting packet loss,
//! [`stats`] collects the statistics of one second.

pub mod base_rtt;
pub mod congestion;
pub mod estimate;
pub mod link;
pub mod loss;
pub mod stats;
