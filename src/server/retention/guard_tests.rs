//! Properties of the decision about a sweep: no sequence of clock changes deletes a large share
//! before the operator could notice.

use super::*;
use proptest::prelude::*;
use std::time::Instant;

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;

fn every() -> Duration {
    Duration::from_secs(60 * 60)
}

/// A share that is large.
fn large() -> Share {
    let mut share = Share::default();
    share.add(500, 500);
    share
}

/// A wall clock and a monotonic clock, moved independently.
#[derive(Clone, Copy)]
struct Clocks(Moment);

impl Clocks {
    fn new() -> Self {
        Self(Moment {
            wall_ms: 1_000_000 * HOUR,
            monotonic: Instant::now(),
        })
    }

    fn go(&mut self, wall_ms: i64, ran_ms: i64) -> Moment {
        self.0.wall_ms += wall_ms;
        self.0.monotonic += Duration::from_millis(ran_ms.unsigned_abs());
        self.0
    }
}

/// A guard that has just swept in this process.
fn swept(now: Moment) -> SweepGuard {
    let mut guard = SweepGuard::new(SweepRecord::default(), every());
    guard.swept(now);
    guard
}

fn is_wait(decision: Decision) -> bool {
    matches!(decision, Decision::Wait { .. })
}

#[test]
fn a_steady_clock_sweeps_whatever_share_is_due() {
    let mut clocks = Clocks::new();
    let mut guard = swept(clocks.0);
    for _ in 0..100 {
        let now = clocks.go(HOUR, HOUR);
        assert_eq!(guard.decide(now, large(), None), Decision::Sweep);
        guard.swept(now);
    }
}

#[test]
fn a_clock_set_a_year_ahead_waits_a_day_by_both_clocks_and_says_once_that_it_begins() {
    let mut clocks = Clocks::new();
    let mut guard = swept(clocks.0);
    let now = clocks.go(365 * DAY, HOUR);
    let (doubt, begins) = (Doubt::ClockJumped, true);
    assert_eq!(
        guard.decide(now, Share::default(), None),
        Decision::Wait { doubt, begins }
    );
    for _ in 0..23 {
        let now = clocks.go(HOUR, HOUR);
        let begins = false;
        assert_eq!(
            guard.decide(now, large(), None),
            Decision::Wait { doubt, begins }
        );
    }
    let now = clocks.go(HOUR, HOUR);
    assert_eq!(guard.decide(now, large(), None), Decision::Sweep);
}

#[test]
fn a_clock_that_is_set_right_again_sweeps_at_once() {
    let mut clocks = Clocks::new();
    let mut guard = swept(clocks.0);
    assert!(is_wait(guard.decide(
        clocks.go(365 * DAY, HOUR),
        large(),
        None
    )));
    let now = clocks.go(-365 * DAY + HOUR, HOUR);
    assert_eq!(guard.decide(now, large(), None), Decision::Sweep);
}

#[test]
fn a_process_that_starts_with_a_wrong_clock_waits_and_one_that_was_off_overnight_does_not() {
    let mut clocks = Clocks::new();
    let before = clocks.0;
    for (gap, expected) in [
        (365 * DAY, true),
        (30 * DAY, true),
        (-2 * DAY, true),
        (10 * HOUR, false),
        (-HOUR, false),
    ] {
        let record = swept(before).record();
        let mut guard = SweepGuard::new(record, every());
        let mut later = clocks;
        let decision = guard.decide(later.go(gap, 0), Share::default(), None);
        assert_eq!(is_wait(decision), expected, "{gap}");
    }
    // The first sweep of a database waits only for a large share.
    let mut first = SweepGuard::new(SweepRecord::default(), every());
    assert!(is_wait(first.decide(clocks.go(0, 0), large(), None)));
    let mut first = SweepGuard::new(SweepRecord::default(), every());
    let decision = first.decide(clocks.0, Share::default(), None);
    assert_eq!(decision, Decision::Sweep);
}

#[test]
fn a_wait_continues_over_restarts_and_counts_only_the_time_the_server_ran() {
    let mut clocks = Clocks::new();
    let mut guard = swept(clocks.0);
    assert!(is_wait(guard.decide(
        clocks.go(40 * DAY, HOUR),
        large(),
        None
    )));
    for hour in 0..30 {
        if hour % 5 == 0 {
            guard = SweepGuard::new(guard.record(), every());
        }
        let decision = guard.decide(clocks.go(HOUR, HOUR), large(), None);
        // An hour with a restart does not count: one in five.
        assert_eq!(is_wait(decision), hour < 29, "{hour}");
    }
}

#[test]
fn the_operator_confirms_the_clock_as_it_is_and_not_one_that_is_set_later() {
    let mut clocks = Clocks::new();
    let mut guard = swept(clocks.0);
    let now = clocks.go(365 * DAY, HOUR);
    let confirmed = Some(now.wall_ms);
    assert!(is_wait(guard.decide(now, large(), None)));
    assert_eq!(guard.decide(now, large(), confirmed), Decision::Sweep);
    let mut guard = swept(now);
    assert!(is_wait(guard.decide(
        clocks.go(365 * DAY, HOUR),
        large(),
        confirmed
    )));
}

#[test]
fn a_share_is_large_only_if_it_is_also_many_messages() {
    let share = |rooms: &[(u64, u64)]| {
        let mut share = Share::default();
        rooms
            .iter()
            .for_each(|(due, total)| share.add(*due, *total));
        share.is_large()
    };
    assert!(!share(&[(100, 100)]));
    assert!(share(&[(101, 101)]));
    assert!(!share(&[(1_000, 10_000)]));
    assert!(share(&[(1_001, 10_000)]));
    assert!(share(&[(200, 200), (0, 1_000_000)]), "one room");
    assert!(share(&[(90, 90), (90, 90)]), "all together");
    assert!(!share(&[(u64::MAX, u64::MAX), (0, u64::MAX)]) || share(&[(u64::MAX, u64::MAX)]));
}

/// The events between two decisions.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// How long the server ran, in milliseconds.
    ran: i64,
    /// By how much the wall clock was set, in milliseconds.
    set: i64,
    /// Whether the server restarts.
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let set = prop_oneof![
        6 => Just(0),
        1 => -400 * DAY..400 * DAY,
        1 => -3 * HOUR..3 * HOUR,
    ];
    let ran = prop_oneof![4 => Just(HOUR), 1 => 0..3 * DAY];
    (ran, set, prop::bool::weighted(0.1)).prop_map(|(ran, set, restart)| Step { ran, set, restart })
}

/// Whether the last steps add up to a day by both clocks.
fn has_day(steps: &[(i64, i64)]) -> bool {
    let sums = steps.iter().rev().scan((0, 0), |sum, (ran, wall)| {
        *sum = (sum.0 + ran, sum.1 + wall);
        Some(*sum)
    });
    sums.into_iter()
        .any(|(ran, wall)| ran >= WAIT_MS && wall >= WAIT_MS)
}

proptest! {
    #[test]
    fn a_large_share_is_deleted_only_with_a_steady_clock_or_after_a_day_by_both(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut clocks = Clocks::new();
        let mut guard = swept(clocks.0);
        // A reference model: by how much the clock was set since the last sweep, whether the server
        // was off since then, and how long both clocks have agreed.
        let (mut set, mut restarted, mut calm) = (0_i64, false, Vec::new());
        for Step { ran, set: by, restart } in steps {
            let now = clocks.go(ran + by, ran);
            set += by;
            restarted |= restart;
            let undisturbed = match restart {
                true => (-SLACK_MS..=JUMP_MS).contains(&(ran + by)),
                false => by.abs() <= SLACK_MS,
            };
            if undisturbed {
                calm.push((ran, ran + by));
            } else {
                calm.clear();
            }
            if restart {
                guard = SweepGuard::new(guard.record(), every());
            }
            match guard.decide(now, large(), None) {
                Decision::Sweep => {
                    let explained = !restarted && set.abs() <= SLACK_MS;
                    prop_assert!(explained || has_day(&calm), "{set} {calm:?}");
                    guard.swept(now);
                    (set, restarted) = (0, false);
                    calm.clear();
                }
                Decision::Wait { .. } => {}
            }
        }
    }

    #[test]
    fn a_sweep_runs_within_three_days_of_steady_clocks(
        steps in prop::collection::vec(step(), 0..50),
    ) {
        let mut clocks = Clocks::new();
        let mut guard = swept(clocks.0);
        for Step { ran, set, restart } in steps {
            let now = clocks.go(ran + set, ran);
            if restart {
                guard = SweepGuard::new(guard.record(), every());
            }
            if guard.decide(now, large(), None) == Decision::Sweep {
                guard.swept(now);
            }
        }
        let went = (0..72).any(|_| {
            guard.decide(clocks.go(HOUR, HOUR), large(), None) == Decision::Sweep
        });
        prop_assert!(went);
    }
}
