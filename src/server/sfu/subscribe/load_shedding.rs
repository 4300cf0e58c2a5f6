//! How many pictures each person of a room gets at most, where the room outgrows its shard.
//!
//! A room stays on the shard it began on. Where that has too much to do, its busiest room
//! gets no more pictures, and then fewer: a quarter less each time, the least important
//! first. Voices always go. When the shard is quiet again they come back one by one.

use std::time::{Duration, Instant};

/// The load of a shard from which on its busiest room gets no more pictures: six tenths of a
/// core, as packets wait for each other beyond.
const FULL_LOAD: f64 = 0.6;
/// The load from which on it gets fewer.
const OVERLOAD: f64 = 0.9;
/// The load below which it may get more again.
const LIGHT_LOAD: f64 = 0.45;
/// Between two steps down: the load is known for the second before.
const DECREASE_INTERVAL: Duration = Duration::from_secs(2);
/// Between two steps up.
const INCREASE_INTERVAL: Duration = Duration::from_secs(5);

/// The most pictures each person of one room gets. The default has no limit.
#[derive(Debug, Default)]
pub struct VideoLimit {
    /// How many; none where there is no limit.
    limit: Option<usize>,
    /// When that changed last.
    changed: Option<Instant>,
}

impl VideoLimit {
    /// How many pictures anybody may get; none for any number.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Takes in how busy the shard was, from 0 to 1, and the most pictures that anybody of
    /// the room gets. `busiest`: no room of the shard has more to forward. True where the
    /// limit changed.
    pub fn update(&mut self, load: f64, busiest: bool, shown: usize, now: Instant) -> bool {
        let most = match self.limit {
            _ if busiest && load >= OVERLOAD && self.is_unchanged_for(DECREASE_INTERVAL, now) => {
                Some((shown * 3 / 4).max(1))
            }
            None if busiest && load >= FULL_LOAD => Some(shown.max(1)),
            Some(most) if load < LIGHT_LOAD && self.is_unchanged_for(INCREASE_INTERVAL, now) => {
                // Where it is not reached it is in nobody's way.
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

    /// Whether nothing changed for this long.
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
    fn a_full_shard_gives_its_busiest_room_no_more_and_an_overloaded_one_less() {
        let (mut ceiling, start) = (VideoLimit::default(), Instant::now());
        assert!(!ceiling.update(0.59, true, 12, start));
        assert!(!ceiling.update(0.95, false, 12, start), "another is busier");
        assert_eq!(ceiling.limit(), None);
        assert!(ceiling.update(0.7, true, 12, start));
        assert_eq!(ceiling.limit(), Some(12));
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
            let shown = ceiling.limit().unwrap();
            ceiling.update(0.95, true, shown, start + seconds(second));
            assert_eq!(ceiling.limit(), Some(most), "after {second} s");
        }
    }

    #[test]
    fn pictures_come_back_one_by_one_and_the_limit_goes_where_nobody_reaches_it() {
        let (mut ceiling, start) = (VideoLimit::default(), Instant::now());
        ceiling.update(0.95, true, 4, start);
        assert_eq!(ceiling.limit(), Some(3));
        assert!(
            !ceiling.update(0.5, true, 3, start + seconds(9)),
            "not light"
        );
        assert!(ceiling.update(0.4, true, 3, start + seconds(9)));
        assert!(
            !ceiling.update(0.4, true, 4, start + seconds(13)),
            "too soon"
        );
        assert!(ceiling.update(0.4, false, 4, start + seconds(14)));
        assert_eq!(ceiling.limit(), Some(5));
        assert!(ceiling.update(0.4, false, 4, start + seconds(19)));
        assert_eq!(ceiling.limit(), None);
    }

    proptest! {
        /// Everybody may have one, and steps up are single.
        #[test]
        fn it_moves_with_care(loads in prop::collection::vec((0.0..1.0_f64, 0_usize..40), 1..200)) {
            let (mut ceiling, start) = (VideoLimit::default(), Instant::now());
            for (second, (load, shown)) in loads.into_iter().enumerate() {
                let before = ceiling.limit();
                let shown = shown.min(before.unwrap_or(usize::MAX));
                ceiling.update(load, true, shown, start + seconds(second as u64));
                let most = ceiling.limit();
                prop_assert!(most != Some(0));
                if let (Some(before), Some(most)) = (before, most) {
                    prop_assert!(most <= before + 1);
                }
            }
        }
    }
}
