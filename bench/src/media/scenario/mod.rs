//! The scenarios of the measurement.
//!
//! * [`model`] the people of a scenario, their media and subscriptions.
//! * [`catalogue`] all scenarios.

pub mod catalogue;
pub mod model;
