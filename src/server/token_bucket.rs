//! The token bucket behind every rate limit, as the generic cell rate algorithm (ITU-T I.371).
//!
//! The state of a bucket is one number: the time at which the bucket is full again if no
//! tokens are taken. A cost moves that time forward, a refund moves it back, and a cost that would
//! move it further than a full bucket takes to fill is refused. [`TokenBucket`] is for one owner,
//! [`SharedBucket`] for threads that share a table. Pure: callers pass the time as `now`.

use super::limits::Rate;
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Nanoseconds in a second.
const NANOS_PER_SECOND: f64 = 1_000_000_000.0;
/// What [`nanos`] returns for [`EPOCH`]. 146 years: tests use times before the first bucket.
const EPOCH_NANOS: u64 = 1 << 62;

/// The moment from which nanoseconds are counted: the first use of a bucket.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A moment in nanoseconds.
fn nanos(now: Instant) -> u64 {
    let whole = |passed: Duration| u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
    match now.checked_duration_since(*EPOCH) {
        Some(after) => EPOCH_NANOS.saturating_add(whole(after)),
        None => EPOCH_NANOS.saturating_sub(whole(*EPOCH - now)),
    }
}

/// The rate and the size of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Nanoseconds in which one token comes in.
    nanos_per_token: f64,
    /// Tokens that a full bucket holds.
    burst: f64,
}

impl From<Rate> for Quota {
    /// At least one token a second, and one at once.
    fn from(rate: Rate) -> Self {
        Self::new(
            f64::from(rate.per_second.max(1)),
            f64::from(rate.burst.max(1)),
        )
    }
}

impl Quota {
    /// Tokens a second, more than 0, and at once.
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self {
            nanos_per_token: NANOS_PER_SECOND / per_second,
            burst,
        }
    }

    /// The same quota for `share` times as many clients.
    pub fn scaled(self, share: f64) -> Self {
        Self {
            nanos_per_token: self.nanos_per_token / share,
            burst: self.burst * share,
        }
    }

    /// Nanoseconds in which this many tokens come in, rounded up.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and no cost is negative"
    )]
    fn nanos(&self, tokens: f64) -> u64 {
        (tokens * self.nanos_per_token).ceil() as u64
    }

    /// How long a bucket that is full again at `full_at` lacks `cost` tokens beyond `reserve`.
    /// A cost above what the bucket holds beyond the reserve counts as all of that.
    fn missing(&self, full_at: u64, cost: f64, reserve: f64, now: u64) -> u64 {
        let needed = self.nanos(cost.min(self.burst - reserve) + reserve);
        let latest = now.saturating_add(self.nanos(self.burst));
        full_at
            .max(now)
            .saturating_add(needed)
            .saturating_sub(latest)
    }
}

/// A token bucket of one owner. It may be in debt: the cost of a change is known only when it is
/// stored.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    /// Its rate and its size.
    quota: Quota,
    /// When it is full again, in nanoseconds; in the past, it is full.
    full_at: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(quota: impl Into<Quota>) -> Self {
        Self {
            quota: quota.into(),
            full_at: 0,
        }
    }

    /// Whether it holds `cost` tokens beyond `reserve`.
    pub fn has(&mut self, cost: usize, reserve: usize, now: Instant) -> bool {
        let now = nanos(now);
        self.full_at = self.full_at.max(now);
        let (cost, reserve) = (cost as f64, reserve as f64);
        self.quota.missing(self.full_at, cost, reserve, now) == 0
    }

    /// Takes `cost` tokens, whether they are there or not. Follows a call of [`Self::has`].
    pub fn take(&mut self, cost: usize) {
        let cost = self.quota.nanos(cost as f64);
        self.full_at = self.full_at.saturating_add(cost);
    }

    /// Takes `cost` tokens if they are there.
    pub fn try_take(&mut self, cost: usize, now: Instant) -> bool {
        let has = self.has(cost, 0, now);
        if has {
            self.take(cost);
        }
        has
    }

    /// Takes `cost` tokens, or returns how long to wait for them.
    ///
    /// # Errors
    /// The time after which the bucket holds them.
    pub fn take_or_wait(&mut self, cost: usize, now: Instant) -> Result<(), Duration> {
        let cost = cost as f64;
        let at = nanos(now);
        self.full_at = self.full_at.max(at);
        match self.quota.missing(self.full_at, cost, 0.0, at) {
            0 => {
                self.full_at = self.full_at.saturating_add(self.quota.nanos(cost));
                Ok(())
            }
            missing => Err(Duration::from_nanos(missing)),
        }
    }

    /// Puts `cost` tokens back; a bucket never holds more than its burst.
    pub fn refund(&mut self, cost: usize) {
        let cost = self.quota.nanos(cost as f64);
        self.full_at = self.full_at.saturating_sub(cost);
    }

    /// Makes a bucket in debt an empty one.
    pub fn forgive_debt(&mut self, now: Instant) {
        let empty = nanos(now).saturating_add(self.quota.nanos(self.quota.burst));
        self.full_at = self.full_at.min(empty);
    }
}

/// A token bucket that threads share without a lock. Its quota belongs to the table it is in.
#[derive(Debug, Default)]
pub struct SharedBucket {
    /// As in [`TokenBucket`].
    full_at: AtomicU64,
}

impl SharedBucket {
    /// Takes `cost` tokens if they are there. A cost above the burst takes the whole burst.
    pub fn try_take(&self, quota: &Quota, cost: u32, now: Instant) -> bool {
        let now = nanos(now);
        let cost = f64::from(cost).min(quota.burst);
        let taken = |full_at: u64| {
            let allowed = quota.missing(full_at, cost, 0.0, now) == 0;
            allowed.then(|| full_at.max(now).saturating_add(quota.nanos(cost)))
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// Puts back what [`Self::try_take`] took for the same cost.
    pub fn refund(&self, quota: &Quota, cost: u32) {
        let cost = quota.nanos(f64::from(cost).min(quota.burst));
        let refunded = |full_at: u64| Some(full_at.saturating_sub(cost));
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refunded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 5,
    };

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_its_rate_after_that() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(RATE);
        let taken = (0..100).filter(|_| bucket.try_take(1, start)).count();
        assert_eq!(taken, 5);
        let later = start + Duration::from_millis(300);
        let taken = (0..100).filter(|_| bucket.try_take(1, later)).count();
        assert_eq!(taken, 3);
        let much_later = start + Duration::from_secs(3600);
        let taken = (0..100).filter(|_| bucket.try_take(1, much_later)).count();
        assert_eq!(taken, 5, "a bucket holds no more than its burst");
    }

    #[test]
    fn times_before_the_first_bucket_count_like_any_other() {
        let start = Instant::now() - Duration::from_secs(60);
        let mut bucket = TokenBucket::new(RATE);
        assert!(bucket.try_take(5, start) && !bucket.try_take(1, start));
        assert!(bucket.try_take(1, start + Duration::from_millis(100)));
    }

    #[test]
    fn a_cost_above_the_burst_needs_a_full_bucket_and_leaves_a_debt() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(RATE);
        assert!(bucket.try_take(10, start));
        assert!(!bucket.try_take(1, start + Duration::from_millis(500)));
        assert!(bucket.try_take(1, start + Duration::from_millis(600)));
        bucket.take(10);
        bucket.forgive_debt(start + Duration::from_millis(600));
        assert!(bucket.try_take(1, start + Duration::from_millis(700)));
    }

    #[test]
    fn a_reserve_is_left_and_a_refund_is_there_again() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(RATE);
        assert!(bucket.has(3, 2, start));
        bucket.take(3);
        assert!(!bucket.has(1, 2, start) && bucket.has(2, 0, start));
        bucket.refund(1);
        assert!(bucket.has(1, 2, start) && !bucket.has(2, 2, start));
        bucket.refund(100);
        assert!(bucket.has(5, 0, start));
        bucket.take(5);
        assert!(!bucket.has(1, 0, start), "a refund never exceeds the burst");
    }

    #[test]
    fn the_wait_is_over_exactly_when_the_tokens_are_there() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(RATE);
        assert_eq!(bucket.take_or_wait(5, start), Ok(()));
        let wait = bucket.take_or_wait(2, start).expect_err("empty");
        assert_eq!(wait, Duration::from_millis(200));
        let early = start + wait - Duration::from_nanos(1);
        assert!(bucket.take_or_wait(2, early).is_err());
        assert_eq!(bucket.take_or_wait(2, start + wait), Ok(()));
    }

    #[test]
    fn a_shared_bucket_counts_as_one_of_a_single_owner_does() {
        let start = Instant::now();
        let (shared, quota) = (SharedBucket::default(), Quota::from(RATE));
        let mut owned = TokenBucket::new(RATE);
        for step in 0..1000 {
            let now = start + Duration::from_millis(step * 37);
            let cost = u32::try_from(step % 4).expect("small");
            let taken = shared.try_take(&quota, cost, now);
            assert_eq!(taken, owned.try_take(cost as usize, now), "step {step}");
            if taken && step % 7 == 0 {
                shared.refund(&quota, cost);
                owned.refund(cost as usize);
            }
        }
    }
}
