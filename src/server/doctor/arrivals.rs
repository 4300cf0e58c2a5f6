//! How requests of the checks come to this server, through whatever is in between.

use super::facts::Arrival;
use http::HeaderValue;
use std::sync::{Mutex, PoisonError};

/// The header that marks a request of the checks.
pub const HEADER: &str = "noom-doctor";

/// The request that is under way, by its mark, and how it came.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<Option<(String, Option<Arrival>)>>);

impl Arrivals {
    /// Expects a request. Returns its mark, which is drawn at random.
    pub fn expect(&self) -> String {
        let mark = format!("{:032x}", rand::random::<u128>());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark.clone(), None));
        mark
    }

    /// Records how a request with this mark came, if it is expected.
    pub fn record(&self, mark: &HeaderValue, arrival: Arrival) {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, came)) = expected.as_mut()
            && mark.as_bytes() == known.as_bytes()
        {
            *came = Some(arrival);
        }
    }

    /// How the request came; `None` if it did not. No request is expected any more.
    pub fn take(&self) -> Option<Arrival> {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        expected.take().and_then(|(_, came)| came)
    }
}
