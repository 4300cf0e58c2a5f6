//! Allocations after a change of estimate, priority, size or live layers.

use super::*;

#[test]
fn downgrades_apply_at_once_and_upgrades_after_two_seconds() {
    let wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(110, 2_000_000, &wanted), [Some(2)]);
    assert_eq!(allocator.ticks(1, 600_000, &wanted), [Some(1)], "at once");
    assert_eq!(allocator.ticks(19, 2_000_000, &wanted), [Some(1)]);
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(2)]);
}

#[test]
fn one_low_estimate_delays_an_upgrade() {
    let wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(1, 300_000, &wanted);
    assert_eq!(allocator.ticks(2, 2_000_000, &wanted), [Some(0)]);
    // The estimate falls between two ticks and recovers at the next.
    allocator.0.allocate(
        allocator.1 + Duration::from_millis(50),
        Some(400_000),
        &wanted,
    );
    assert_eq!(allocator.ticks(2, 2_000_000, &wanted), [Some(0)]);
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(2)]);
}

#[test]
fn the_lowest_priority_is_paused_first_and_audio_remains() {
    let wanted = [
        camera(1, Priority::Visible, 180),
        camera(2, Priority::Speaker, 180),
        camera(3, Priority::Visible, 180),
    ];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(1, 500_000, &wanted), [Some(0); 3]);
    assert_eq!(
        allocator.ticks(1, 450_000, &wanted),
        [Some(0), Some(0), None]
    );
    assert_eq!(allocator.ticks(1, 300_000, &wanted), [None, Some(0), None]);
    assert_eq!(allocator.ticks(1, 79_999, &wanted), [None; 3]);
    let shares = allocator.tick(79_999, &wanted);
    assert!(
        shares
            .choices
            .iter()
            .all(|choice| choice.desired_layer == Some(0))
    );
}

#[test]
fn a_paused_video_needs_headroom_to_resume() {
    let wanted = [
        camera(1, Priority::Visible, 180),
        camera(2, Priority::Visible, 180),
    ];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(1, 330_000, &wanted);
    assert_eq!(allocator.ticks(1, 300_000, &wanted), [Some(0), None]);
    // 300,000 fit into 95 % of 320,000, but not with a tenth to spare.
    assert_eq!(allocator.ticks(100, 320_000, &wanted), [Some(0), None]);
    assert_eq!(allocator.ticks(3, 348_000, &wanted), [Some(0), Some(0)]);
}

#[test]
fn a_shared_screen_may_exceed_the_estimate() {
    let wanted = [camera(1, Priority::Pinned, 180), screen(2, 480_000)];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(10, 200_000, &wanted), [None, Some(0)]);
    assert_eq!(
        allocator.ticks(1, 70_000, &wanted),
        [None, None],
        "but not below the audio-only limit"
    );
    let large = [screen(2, 600_000)];
    assert_eq!(ClockedAllocator::new().ticks(10, 200_000, &large), [None]);
}

#[test]
fn a_raised_priority_takes_the_bandwidth_of_the_lowest() {
    let mut wanted = [
        camera(1, Priority::Visible, 180),
        camera(2, Priority::Visible, 180),
        camera(3, Priority::Visible, 180),
    ];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(1, 500_000, &wanted);
    assert_eq!(
        allocator.ticks(1, 400_000, &wanted),
        [Some(0), Some(0), None]
    );
    wanted[2].priority = Priority::Speaker;
    assert_eq!(
        allocator.ticks(1, 400_000, &wanted),
        [Some(0), None, Some(0)]
    );
}

#[test]
fn a_pinned_participant_gets_the_high_layer_of_another() {
    let mut wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 720),
    ];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(10, 2_200_000, &wanted), [Some(2), Some(1)]);
    wanted[1].priority = Priority::Pinned;
    assert_eq!(allocator.ticks(1, 2_200_000, &wanted), [Some(1), Some(2)]);
}

#[test]
fn a_swap_of_the_high_layer_delays_upgrades() {
    let mut wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 720),
    ];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(10, 2_200_000, &wanted);
    wanted[1].priority = Priority::Pinned;
    assert_eq!(allocator.ticks(1, 2_200_000, &wanted), [Some(1), Some(2)]);
    assert_eq!(allocator.ticks(19, 4_000_000, &wanted), [Some(1), Some(2)]);
    assert_eq!(allocator.ticks(1, 4_000_000, &wanted), [Some(2), Some(2)]);
}

#[test]
fn a_new_video_gets_the_high_layer_at_once_at_a_high_estimate() {
    let wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 720),
    ];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(10, 4_000_000, &wanted[..1]);
    assert_eq!(allocator.ticks(1, 4_000_000, &wanted), [Some(2), Some(2)]);
}

#[test]
fn a_resized_tile_changes_its_layer_without_delay() {
    let mut wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(10, 2_000_000, &wanted), [Some(2)]);
    wanted[0].height = 100;
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(0)]);
    wanted[0].height = 720;
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(2)]);
}

#[test]
fn a_video_that_becomes_live_is_sent_only_if_it_fits() {
    let mut wanted = [
        camera(1, Priority::Visible, 180),
        camera(2, Priority::Visible, 180),
    ];
    wanted[1].layers = [None; 3];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(
        allocator.ticks(5, 200_000, &wanted),
        [Some(0), Some(0)],
        "waiting costs nothing"
    );
    wanted[1].layers = wanted[0].layers;
    assert_eq!(allocator.ticks(1, 200_000, &wanted), [Some(0), None]);
}

#[test]
fn an_oscillating_estimate_causes_few_switches() {
    let wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    let (mut before, mut switches) = (None, 0);
    // One minute: 2 s above the bitrate that f needs, 1 s below.
    for tick in 0..600 {
        let estimate = if tick % 30 < 20 { 1_650_000 } else { 1_500_000 };
        let layers = layers(&allocator.tick(estimate, &wanted));
        switches += usize::from(before.is_some_and(|before| before != layers));
        before = Some(layers);
    }
    assert!(switches <= 14, "{switches} switches in a minute");
}

#[test]
fn extreme_requests_do_not_panic() {
    let huge = Some(LayerRate {
        height: u32::MAX,
        bps: u64::MAX,
    });
    let mut wanted = [
        camera(1, Priority::Screen, u32::MAX),
        camera(1, Priority::Screen, 0),
    ];
    wanted[0].layers = [huge, None, huge];
    wanted[1].layers = [huge; 3];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(5, u64::MAX, &wanted);
    allocator.ticks(5, 0, &wanted);
    allocator.ticks(5, u64::MAX, &[]);
    allocator.0.allocate(allocator.1, None, &wanted);
}
