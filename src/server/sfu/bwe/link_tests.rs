use super::*;
use proptest::prelude::*;

const STEP: Demand = Demand {
    sent: 700_000,
    has_video: true,
    next: Some(1_200_000),
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_good_link_is_probed_with_the_next_layer_after_one_sample() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    assert_eq!(link.floor(start), 0, "nothing is known yet");
    link.on_stats(start, 10.0, 0.0, 800_000);
    assert_eq!(link.floor(start), 1_200_000);
    assert!(!link.needs_padding(start));
    link.set_demand(Demand {
        sent: 1_200_000,
        has_video: true,
        next: None,
    });
    link.on_stats(start + seconds(1), 10.0, 0.0, 800_000);
    assert_eq!(
        link.floor(start),
        1_200_000,
        "what it carries, it goes on carrying"
    );
}

#[test]
fn losses_without_a_queue_keep_the_floor() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    for second in 0..4 {
        link.on_stats(start + seconds(second), 20.0, 0.0, 100_000);
    }
    // One in three of few packets, and the estimate falls.
    link.on_stats(start + seconds(4), 25.0, 0.34, 40_000);
    assert_eq!(link.budget(40_000, start + seconds(4)), LOSSY_LINK_BPS);
    link.on_stats(start + seconds(5), 25.0, 0.05, 40_000);
    assert_eq!(link.budget(40_000, start + seconds(5)), LOSSY_LINK_BPS);
    // Most of it for two seconds: it is narrow.
    link.on_stats(start + seconds(6), 25.0, 0.8, 40_000);
    assert_eq!(link.budget(40_000, start + seconds(6)), 40_000);
}

#[test]
fn each_failed_probe_doubles_the_backoff() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    let mut at = 0;
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        link.on_stats(start + seconds(at), 10.0, 0.0, 800_000);
        assert_eq!(link.floor(start), 1_200_000);
        link.on_stats(start + seconds(at + 1), 400.0, 0.1, 800_000);
        assert_eq!(link.floor(start), 0);
        let failed = at + 1;
        for second in failed + 1..failed + pause {
            link.on_stats(start + seconds(second), 10.0, 0.0, 800_000);
            assert!(link.floor(start) <= GOOD_LINK_BPS, "not tried again yet");
            let rests = seconds(second - failed) < PADDING_REST;
            assert_eq!(link.needs_padding(start + seconds(second)), !rests);
        }
        at = failed + pause;
    }
}

#[test]
fn a_successful_probe_resets_the_backoff() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    let at = |second| start + seconds(second);
    let fails = |link: &mut LinkEstimator, second| {
        link.on_stats(at(second), 10.0, 0.0, 800_000);
        link.on_stats(at(second + 1), 400.0, 0.1, 800_000);
        (2..).find(|later| {
            link.on_stats(at(second + later), 10.0, 0.0, 800_000);
            link.floor(start) > GOOD_LINK_BPS
        })
    };
    assert_eq!(fails(&mut link, 0), Some(11));
    assert_eq!(fails(&mut link, 20), Some(21), "after twice as long");
    for second in 50..55 {
        link.on_stats(at(second), 10.0, 0.0, 800_000);
    }
    assert_eq!(fails(&mut link, 55), Some(11));
}

#[test]
fn a_link_that_was_bad_without_a_probe_is_probed_after_three_good_samples() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    link.on_stats(start, 400.0, 0.0, 800_000);
    let floors = [1, 2, 3].map(|second| {
        link.on_stats(start + seconds(second), 10.0, 0.0, 800_000);
        link.floor(start)
    });
    assert_eq!(floors, [LOSSY_LINK_BPS, LOSSY_LINK_BPS, 1_200_000]);
}

#[test]
fn a_drop_of_capacity_is_detected_at_the_second_long_round_trip() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    link.on_stats(start, 10.0, 0.0, 800_000);
    for rtt in [400.0, 10.0, 700.0] {
        link.on_rtt_sample(start + seconds(1), rtt, 300_000);
        assert_eq!(link.floor(start), 1_200_000, "one alone");
    }
    link.on_rtt_sample(start + seconds(1), 900.0, 700_000);
    assert_eq!(link.floor(start), 1_200_000, "a busy receiver");
    assert!(!link.is_draining(start + seconds(1)));
    link.on_rtt_sample(start + seconds(1), 900.0, 260_000);
    assert!(
        link.is_draining(start + seconds(1)),
        "what queued up gets through"
    );
    assert!(!link.is_draining(start + seconds(2)));
    let budget = |second, estimate| link.budget(estimate, start + seconds(second));
    assert_eq!(budget(2, 100_000), 260_000, "next to nothing is sent");
    assert_eq!(budget(2, 700_000), 700_000, "it carries that much again");
    assert_eq!(budget(4, 100_000), 100_000);
    assert!(link.needs_padding(start + seconds(5)), "the try has failed");
}

#[test]
fn a_link_is_not_probed_for_a_while_after_a_drop_of_capacity() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    link.set_demand(STEP);
    link.on_stats(start, 10.0, 0.0, 2_000_000);
    link.on_rtt_sample(start, 400.0, 1_900_000);
    link.on_rtt_sample(start, 400.0, 260_000);
    let floors: Vec<u64> = (1..=10)
        .map(|second| {
            let now = start + seconds(second);
            link.on_stats(now, 10.0, 0.0, 260_000);
            link.floor(now)
        })
        .collect();
    assert_eq!(floors[..9], [LOSSY_LINK_BPS; 9]);
    assert_eq!(floors[9], 1_200_000, "the next step is tried");
}

#[test]
fn a_lossy_link_with_a_short_round_trip_keeps_a_low_layer() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    for (rtt, loss, floor) in [
        (20.0, 0.1, LOSSY_LINK_BPS),
        (20.0, 0.6, LOSSY_LINK_BPS),
        (20.0, 0.6, 0),
        (400.0, 0.0, 0),
        (400.0, 0.1, 0),
    ] {
        link.on_stats(start, rtt, loss, 0);
        assert_eq!(link.floor(start), floor, "{rtt} ms, {loss}");
        assert!(link.needs_padding(start + PADDING_REST));
    }
}

#[test]
fn a_link_with_a_long_base_rtt_keeps_a_low_layer() {
    let (mut link, start) = (LinkEstimator::default(), Instant::now());
    let mut floors = Vec::new();
    for look in 1..=16_u32 {
        let now = start + Duration::from_millis(250) * look;
        link.on_rtt_sample(now, 400.0, 20_000);
        if look % 4 == 0 {
            link.on_stats(now, 400.0, 0.05, 20_000);
            floors.push(link.floor(now));
        }
    }
    assert_eq!(floors, [0, 0, LOSSY_LINK_BPS, LOSSY_LINK_BPS]);
    link.on_stats(start + seconds(5), 700.0, 0.05, 20_000);
    link.on_rtt_sample(start + seconds(5), 700.0, 20_000);
    assert_eq!(link.floor(start + seconds(5)), LOSSY_LINK_BPS, "one alone");
    for look in 1..=4_u32 {
        link.on_rtt_sample(
            start + seconds(5) + Duration::from_millis(250) * look,
            700.0,
            20_000,
        );
    }
    link.on_stats(start + seconds(6), 700.0, 0.05, 20_000);
    assert_eq!(link.floor(start + seconds(6)), 0, "something queues up");
}

proptest! {
    #[test]
    fn the_floor_is_at_most_one_step_above_the_sent_bitrate(
        measures in prop::collection::vec((0.0..1_000.0_f64, 0.0..1.0_f64, 0_u64..4_000_000), 1..80),
    ) {
        let (mut link, start) = (LinkEstimator::default(), Instant::now());
        for (second, (rtt, loss, sent)) in measures.into_iter().enumerate() {
            let next = sent.is_multiple_of(2).then_some(sent + 100_000);
            link.set_demand(Demand { sent, has_video: true, next });
            link.on_stats(start + seconds(second as u64), rtt, loss, sent / 2);
            prop_assert!(link.floor(start) <= (sent + 100_000).max(GOOD_LINK_BPS));
        }
    }
}
