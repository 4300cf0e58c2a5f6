//! What came of a run.
//!
//! * [`outcome`] the figures of one run; [`table`] all of them.

pub mod outcome;
pub mod table;
