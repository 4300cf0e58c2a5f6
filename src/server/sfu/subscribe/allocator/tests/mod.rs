//! Helpers for the allocator tests: requests, and an allocator with a simulated clock.

mod changes;
mod choices;
mod properties;

use super::*;
use std::time::Duration;

/// The height in px and bitrate in bit/s of the layers q, h and f of a camera.
const CAMERA: [(u32, u64); 3] = [(180, 150_000), (360, 500_000), (720, 1_500_000)];

/// A camera whose three layers are live.
fn camera(key: u32, priority: Priority, height: u32) -> VideoRequest {
    VideoRequest {
        key,
        priority,
        height,
        layers: CAMERA.map(|(height, bps)| Some(LayerRate { height, bps })),
        single: false,
    }
}

/// A shared screen without simulcast.
fn screen(key: u32, bps: u64) -> VideoRequest {
    VideoRequest {
        key,
        priority: Priority::Screen,
        height: 1_080,
        layers: [Some(LayerRate { height: 1_080, bps }), None, None],
        single: true,
    }
}

/// An allocator and its clock, which advances by 100 ms per tick.
struct ClockedAllocator(Allocator, Instant);

impl ClockedAllocator {
    /// An allocator without a previous allocation.
    fn new() -> Self {
        Self(Allocator::default(), Instant::now())
    }

    /// Advances the clock by one tick of 100 ms and allocates.
    fn tick(&mut self, estimate: u64, wanted: &[VideoRequest]) -> Allocation {
        self.1 += Duration::from_millis(100);
        self.0.allocate(self.1, Some(estimate), wanted)
    }

    /// Runs `count` ticks and returns the layers of the last.
    fn ticks(
        &mut self,
        count: usize,
        estimate: u64,
        wanted: &[VideoRequest],
    ) -> Vec<Option<usize>> {
        let last = (0..count).map(|_| self.tick(estimate, wanted)).last();
        layers(&last.expect("a tick at least"))
    }
}

/// The layers chosen.
fn layers(shares: &Allocation) -> Vec<Option<usize>> {
    shares.choices.iter().map(|choice| choice.layer).collect()
}
