//! Lines of all widths, and what is made of them.

mod changes;
mod choices;
mod properties;

use super::*;
use std::time::Duration;

/// What q, h and f of a camera take here.
const CAMERA: [(u32, u64); 3] = [(180, 150_000), (360, 500_000), (720, 1_500_000)];

/// A camera with all its layers.
fn camera(key: u32, priority: Priority, height: u32) -> VideoRequest {
    VideoRequest {
        key,
        priority,
        height,
        layers: CAMERA.map(|(height, bps)| Some(LayerRate { height, bps })),
        single: false,
    }
}

/// A shared screen of one layer.
fn screen(key: u32, bps: u64) -> VideoRequest {
    VideoRequest {
        key,
        priority: Priority::Screen,
        height: 1_080,
        layers: [Some(LayerRate { height: 1_080, bps }), None, None],
        single: true,
    }
}

/// A line, and its clock: a tick each 100 ms.
struct Line(Allocator, Instant);

impl Line {
    /// A line that nothing was shared out of.
    fn new() -> Self {
        Self(Allocator::default(), Instant::now())
    }

    /// Advances the clock by one tick of 100 ms and allocates.
    fn tick(&mut self, estimate: u64, wanted: &[VideoRequest]) -> Allocation {
        self.1 += Duration::from_millis(100);
        self.0.allocate(self.1, Some(estimate), wanted)
    }

    /// As many ticks; the layers of the last.
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
