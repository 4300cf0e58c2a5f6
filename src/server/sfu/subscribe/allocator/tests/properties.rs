//! Properties that hold for any estimates and any requests.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// The bitrate of the chosen layers, in bit/s.
fn sum(shares: &Allocation, wanted: &[VideoRequest]) -> u64 {
    let both = shares.choices.iter().zip(wanted);
    both.map(|(choice, wanted)| {
        choice
            .layer
            .and_then(|l| wanted.layers[l])
            .map_or(0, |l| l.bps)
    })
    .sum()
}

/// One to nine requests with arbitrary layers.
fn pictures() -> impl Strategy<Value = Vec<VideoRequest>> {
    let layer = prop::option::weighted(
        0.8,
        (
            prop::sample::select(vec![0, 180, 360, 720]),
            20_000_u64..3_000_000,
        ),
    );
    let layer = layer.prop_map(|layer| layer.map(|(height, bps)| LayerRate { height, bps }));
    let priority = prop::sample::select(vec![
        Priority::Visible,
        Priority::Visible,
        Priority::Speaker,
        Priority::Pinned,
        Priority::Screen,
    ]);
    let picture = (
        priority,
        0_u32..1_100,
        [layer.clone(), layer.clone(), layer],
        any::<bool>(),
    );
    prop::collection::vec(picture, 1..10).prop_map(|pictures| {
        let pictures = pictures.into_iter().enumerate();
        let wanted = |(key, (priority, height, layers, single)): (usize, _)| VideoRequest {
            key: key as u32,
            priority,
            height,
            layers,
            single,
        };
        pictures.map(wanted).collect()
    })
}

/// Asserts the properties of every allocation.
fn assert_sound(shares: &Allocation, estimate: u64, wanted: &[VideoRequest]) {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(wanted[*index].priority));
    let running: Vec<bool> = order
        .iter()
        .map(|i| shares.choices[*i].layer.is_some())
        .collect();
    assert!(
        running.windows(2).all(|two| two[0] || !two[1]),
        "a higher one is paused"
    );
    let first = &wanted[order[0]];
    let excepted =
        first.priority == Priority::Screen && running.iter().filter(|r| **r).count() >= 1;
    let sum = sum(shares, wanted);
    let most = u128::from(estimate) * 95 / 100;
    let lowest_screen = excepted && sum <= SCREEN_BPS;
    assert!(
        u128::from(sum) <= most || lowest_screen,
        "{sum} of {estimate}"
    );
    for (choice, wanted) in shares.choices.iter().zip(wanted) {
        assert_eq!(choice.key, wanted.key);
        let any_live = wanted.layers.iter().any(Option::is_some);
        let layer = choice.layer.and_then(|layer| wanted.layers[layer]);
        assert!(
            choice.layer.is_none() || layer.is_some() || !any_live,
            "only what is live"
        );
    }
}

proptest! {
    /// Every allocation fits the estimate and respects the priorities.
    #[test]
    fn an_allocation_fits_and_respects_priorities(
        scenes in prop::collection::vec((pictures(), prop::collection::vec(0_u64..6_000_000, 1..20)), 1..8),
    ) {
        let mut allocator = ClockedAllocator::new();
        for (wanted, estimates) in scenes {
            for estimate in estimates {
                let shares = allocator.tick(estimate, &wanted);
                assert_sound(&shares, estimate, &wanted);
            }
        }
    }

    /// A noisy estimate does not cause flapping: an upgrade follows a downgrade after two
    /// seconds at the earliest, so each video switches only a few times per minute.
    #[test]
    fn a_noisy_estimate_causes_few_switches(
        wanted in pictures(),
        base in 100_000_u64..5_000_000,
        noise in prop::collection::vec(70_u64..130, 600),
    ) {
        let mut allocator = ClockedAllocator::new();
        let mut before: HashMap<u32, Option<usize>> = HashMap::new();
        let (mut switches, mut lowered) = (0, None);
        for (tick, noise) in noise.into_iter().enumerate() {
            let shares = allocator.tick(base * noise / 100, &wanted);
            let mut fell = false;
            let mut rose = false;
            for choice in &shares.choices {
                let old = before.insert(choice.key, choice.layer);
                let Some(old) = old.filter(|old| *old != choice.layer) else { continue };
                switches += 1;
                fell |= choice.layer < old;
                rose |= choice.layer > old;
            }
            // A swap upgrades one video and downgrades another in the same tick.
            prop_assert!(!rose || lowered.is_none_or(|at| tick - at >= 20), "up soon after down");
            if fell {
                lowered = Some(tick);
            }
        }
        // Downgrades are followed by a delay of 2, 4, 8 or 16 s, or of 2 s again after 10 s without
        // one: a minute holds at most nine. Between two of them a video falls and rises through
        // its layers once.
        let steps = wanted.iter().map(|video| video.layers.iter().flatten().count().max(1));
        let most = 9 * 2 * steps.sum::<usize>();
        prop_assert!(switches <= most, "{switches} switches of {most}");
    }

    /// At a steady estimate the layers are final after six seconds.
    #[test]
    fn a_steady_estimate_leads_to_stable_layers(wanted in pictures(), estimate in 80_000_u64..8_000_000) {
        let mut allocator = ClockedAllocator::new();
        let settled = allocator.ticks(60, estimate, &wanted);
        for _ in 0..200 {
            prop_assert_eq!(&layers(&allocator.tick(estimate, &wanted)), &settled);
        }
    }
}
