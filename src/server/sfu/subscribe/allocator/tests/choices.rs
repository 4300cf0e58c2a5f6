//! Allocations at a constant estimate.

use super::*;

#[test]
fn without_an_estimate_every_video_gets_its_desired_layer() {
    let wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 360),
        camera(3, Priority::Visible, 90),
    ];
    let shares = Allocator::default().allocate(Instant::now(), None, &wanted);
    assert_eq!(layers(&shares), [Some(2), Some(1), Some(0)]);
    assert_eq!(shares.desired_bps, 2_150_000);
    assert_eq!(shares.minimum_bps, 0);
}

#[test]
fn the_desired_layer_is_the_smallest_of_sufficient_height() {
    let wanted_at = |height: u32, layers: [u32; 3]| {
        let mut wanted = camera(1, Priority::Visible, height);
        wanted.layers = layers.map(|height| Some(LayerRate { height, bps: 1 }));
        let shares = Allocator::default().allocate(Instant::now(), None, &[wanted]);
        shares.choices[0].desired_layer.expect("wanted")
    };
    for (height, expected) in [
        (0, 0),
        (180, 0),
        (240, 0),
        (241, 1),
        (480, 1),
        (481, 2),
        (4_000, 2),
    ] {
        assert_eq!(wanted_at(height, [180, 360, 720]), expected, "{height}");
    }
    for (height, expected) in [(180, 0), (181, 1), (360, 1), (361, 2), (2_000, 2)] {
        assert_eq!(wanted_at(height, [0, 0, 0]), expected, "{height}");
    }
    assert_eq!(wanted_at(500, [270, 540, 1_080]), 1);
}

#[test]
fn a_layer_that_is_not_live_is_replaced_by_the_next_lower_or_else_higher_one() {
    let chosen = |live: [bool; 3], height: u32| {
        let mut wanted = camera(1, Priority::Visible, height);
        for (layer, live) in wanted.layers.iter_mut().zip(live) {
            *layer = layer.filter(|_| live);
        }
        let shares = Allocator::default().allocate(Instant::now(), None, &[wanted]);
        let choice = shares.choices[0];
        (choice.layer, choice.desired_layer, shares.desired_bps)
    };
    assert_eq!(
        chosen([true, true, false], 720),
        (Some(1), Some(2), 500_000)
    );
    assert_eq!(
        chosen([true, false, false], 720),
        (Some(0), Some(2), 150_000)
    );
    assert_eq!(
        chosen([false, true, true], 100),
        (Some(1), Some(0), 500_000)
    );
    assert_eq!(
        chosen([false; 3], 720),
        (Some(0), Some(2), 1_500_000),
        "waits for any"
    );
}

#[test]
fn lowest_layers_come_first_and_upgrades_follow_in_rounds() {
    let wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Pinned, 720),
        camera(3, Priority::Visible, 720),
    ];
    // Three lowest layers, then one step more per case.
    for (bps, expected) in [
        (450_000, [Some(0); 3]),
        (800_000, [Some(0), Some(1), Some(0)]),
        (1_150_000, [Some(1), Some(1), Some(0)]),
        (1_500_000, [Some(1); 3]),
        (2_500_000, [Some(1), Some(2), Some(1)]),
        (4_500_000, [Some(2); 3]),
    ] {
        let mut allocator = ClockedAllocator::new();
        // 1 kbit/s more, because percentages are rounded down.
        let estimate = bps * 100 / 95 + 1_000;
        assert_eq!(
            allocator.ticks(1, estimate, &wanted),
            [Some(0); 3],
            "the lowest at once"
        );
        assert_eq!(
            allocator.ticks(2, estimate, &wanted),
            expected,
            "the rest at the third tick"
        );
        assert_eq!(allocator.ticks(100, estimate, &wanted), expected);
    }
}

#[test]
fn an_allocation_reports_the_next_upgrade_and_the_desired_bitrate() {
    let wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 360),
    ];
    let mut allocator = ClockedAllocator::new();
    let shares = allocator.tick(330_000, &wanted);
    assert_eq!(layers(&shares), [Some(0), Some(0)]);
    assert_eq!(shares.minimum_bps, 300_000 + 350_000);
    assert_eq!(shares.desired_bps, 2_000_000);
    allocator.ticks(5, 3_000_000, &wanted);
    assert_eq!(
        allocator.tick(3_000_000, &wanted).minimum_bps,
        0,
        "there is no more"
    );
}
