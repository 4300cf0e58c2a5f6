//! Allocations after a change of estimate, priority, size or live layers.

use super::*;

#[test]
fn less_happens_at_once_and_more_after_two_seconds() {
    let wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(110, 2_000_000, &wanted), [Some(2)]);
    assert_eq!(allocator.ticks(1, 600_000, &wanted), [Some(1)], "at once");
    assert_eq!(allocator.ticks(19, 2_000_000, &wanted), [Some(1)]);
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(2)]);
}

#[test]
fn one_low_estimate_makes_more_wait() {
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
fn pictures_are_paused_from_the_tail_and_sound_alone_is_left() {
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
fn a_paused_picture_needs_something_to_spare() {
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
fn a_shared_screen_may_take_more_than_there_is() {
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
fn whoever_moves_up_takes_the_place_of_whoever_is_last() {
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
fn whoever_is_pinned_gets_the_large_layer_of_somebody_else() {
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
fn after_a_large_layer_has_moved_the_line_rests() {
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
fn a_new_picture_on_a_line_known_to_be_wide_is_sharp_at_once() {
    let wanted = [
        camera(1, Priority::Visible, 720),
        camera(2, Priority::Visible, 720),
    ];
    let mut allocator = ClockedAllocator::new();
    allocator.ticks(10, 4_000_000, &wanted[..1]);
    assert_eq!(allocator.ticks(1, 4_000_000, &wanted), [Some(2), Some(2)]);
}

#[test]
fn a_smaller_tile_takes_less_at_once_and_more_again_without_a_wait() {
    let mut wanted = [camera(1, Priority::Visible, 720)];
    let mut allocator = ClockedAllocator::new();
    assert_eq!(allocator.ticks(10, 2_000_000, &wanted), [Some(2)]);
    wanted[0].height = 100;
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(0)]);
    wanted[0].height = 720;
    assert_eq!(allocator.ticks(1, 2_000_000, &wanted), [Some(2)]);
}

#[test]
fn a_picture_that_comes_to_life_is_let_in_only_where_it_fits() {
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
fn an_estimate_that_swings_around_a_step_makes_fewer_and_fewer_switches() {
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
