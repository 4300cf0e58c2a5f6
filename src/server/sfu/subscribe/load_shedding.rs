//! Limits the number of videos per receiver when a room overloads its shard.
//!
//! A room stays on the shard that created it. On a busy shard the busiest room gets no
//! additional video; on an overloaded one it loses a quarter per step, lowest priority first.
//! Audio is never limited. When the load falls, videos return one by one.

use std::time::{Duration, Instant};

/// The shard load from which the busiest room gets no additional video. 0.6 of a core: above
/// it packets queue behind each other.
const FULL_LOAD: f64 = 0.6;
/// The shard load from which the busiest room gets fewer videos.
const OVERLOAD: f64 = 0.9;
/// The shard load below which the limit rises again.
const LIGHT_LOAD: f64 = 0.45;
/// Minimum interval between two decreases; the load is an average of the last second.
const DECREASE_INTERVAL: Duration = Duration::from_secs(2);
/// Minimum interval between two increases.
const INCREASE_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum number of videos per receiver of one room. The default has no limit.
#[derive(Debug, Default)]
pub struct VideoLimit {
    /// Videos per receiver; none while there is no limit.
    limit: Option<usize>,
    /// When the limit last changed.
    changed: Option<Instant>,
}

impl VideoLimit {
    /// The maximum number of videos per receiver; none without a limit.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Updates the limit. `load`: the shard's load, 0 to 1; `busiest`: no room of the shard
    /// forwards more; `shown`: the most videos that any receiver of the room gets. True if the
    /// limit changed.
    pub fn update(&mut self, load: f64, busiest: bool, shown: usize, now: Instant) -> bool {
        let most = match self.limit {
            _ if busiest && load >= OVERLOAD && self.is_unchanged_for(DECREASE_INTERVAL, now) => {
                Some((shown * 3 / 4).max(1))
            }
            None if busiest && load >= FULL_LOAD => Some(shown.max(1)),
            Some(most) if load < LIGHT_LOAD && self.is_unchanged_for(INCREASE_INTERVAL, now) => {
                // A limit that no receiver reaches is removed.
                (shown >= most).then_some(most + 1)
            }
            unchanged => unchanged,
        };
        let changes = most != self.limit;
        if changes {
            self.limit = most;
            self.changed = Some(now);
        }
        changes
    }

    /// Whether the limit has not changed for this long.
    fn is_unchanged_for(&self, time: Duration, now: Instant) -> bool {
        self.changed.is_none_or(|changed| now >= changed + time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_full_shard_caps_its_busiest_room_and_an_overloaded_one_lowers_the_cap() {
        let (mut limit, start) = (VideoLimit::default(), Instant::now());
        assert!(!limit.update(0.59, true, 12, start));
        assert!(!limit.update(0.95, false, 12, start), "another is busier");
        assert_eq!(limit.limit(), None);
        assert!(limit.update(0.7, true, 12, start));
        assert_eq!(limit.limit(), Some(12));
        for (second, most) in [
            (2, 9),
            (3, 9),
            (4, 6),
            (6, 4),
            (8, 3),
            (10, 2),
            (12, 1),
            (14, 1),
        ] {
            let shown = limit.limit().unwrap();
            limit.update(0.95, true, shown, start + seconds(second));
            assert_eq!(limit.limit(), Some(most), "after {second} s");
        }
    }

    #[test]
    fn videos_return_one_by_one_and_an_unreached_limit_is_removed() {
        let (mut limit, start) = (VideoLimit::default(), Instant::now());
        limit.update(0.95, true, 4, start);
        assert_eq!(limit.limit(), Some(3));
        assert!(!limit.update(0.5, true, 3, start + seconds(9)), "not light");
        assert!(limit.update(0.4, true, 3, start + seconds(9)));
        assert!(!limit.update(0.4, true, 4, start + seconds(13)), "too soon");
        assert!(limit.update(0.4, false, 4, start + seconds(14)));
        assert_eq!(limit.limit(), Some(5));
        assert!(limit.update(0.4, false, 4, start + seconds(19)));
        assert_eq!(limit.limit(), None);
    }

    proptest! {
        /// The limit is at least one and rises in steps of one.
        #[test]
        fn the_limit_stays_above_zero_and_rises_by_one(loads in prop::collection::vec((0.0..1.0_f64, 0_usize..40), 1..200)) {
            let (mut limit, start) = (VideoLimit::default(), Instant::now());
            for (second, (load, shown)) in loads.into_iter().enumerate() {
                let before = limit.limit();
                let shown = shown.min(before.unwrap_or(usize::MAX));
                limit.update(load, true, shown, start + seconds(second as u64));
                let most = limit.limit();
                prop_assert!(most != Some(0));
                if let (Some(before), Some(most)) = (before, most) {
                    prop_assert!(most <= before + 1);
                }
            }
        }
    }
}
