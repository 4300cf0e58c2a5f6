//! What is played.
//!
//! * [`model`] how many people, who sends what, who sees whom.
//! * [`catalogue`] all scenarios.

pub mod catalogue;
pub mod model;
