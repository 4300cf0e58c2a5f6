//! Limiters made of a [`Rate`].

use crate::server::limits::Rate;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;

/// A limiter of this rate.
pub fn limiter(rate: Rate) -> DefaultDirectRateLimiter {
    let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(rate.per_second));
    RateLimiter::direct(quota.allow_burst(at_least_one(rate.burst)))
}
