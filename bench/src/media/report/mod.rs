//! Results of runs.
//!
//! * [`outcome`] one run; [`table`] printing runs and comparing servers.

pub mod outcome;
pub mod table;
