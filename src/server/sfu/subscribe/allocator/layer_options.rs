//! The layers that a video can get: the live ones up to the layer that its size asks for.

use super::{Choice, Priority, VideoRequest};

/// The height that a layer needs, in percent of the displayed height. 75: a video scaled up
/// by a third still looks sharp.
const ENOUGH_PERCENT: u64 = 75;
/// The displayed height up to which a layer of unknown height suffices, in px: q, h, f.
const SERVES: [u32; 3] = [180, 360, u32::MAX];
/// The usual bitrate per layer in bit/s, for videos without a live layer.
const USUAL_BPS: [u64; 3] = [150_000, 500_000, 1_500_000];

/// One level of a video above paused.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The layer that is sent at this level.
    layer: usize,
    /// The bitrate in bit/s; at least that of the step below, because measured rates are noisy.
    bps: u64,
}

/// A video and its steps. Level 0 is paused, level 1 is the first step, and so on.
#[derive(Debug)]
pub struct LayerOptions {
    /// The caller's name for it.
    key: u32,
    /// The priority of the request.
    priority: Priority,
    /// The layer that the displayed size asks for.
    desired_layer: usize,
    /// The steps, lowest first; at least one.
    steps: Vec<Step>,
    /// The bitrate of the desired layer, in bit/s; that of the highest live layer below it, if
    /// the desired one is not live.
    desired_bps: u64,
}

impl LayerOptions {
    /// Lists the steps of a request.
    pub fn of(request: &VideoRequest) -> Self {
        let layer = desired_layer(request);
        let live = |layers: std::ops::RangeInclusive<usize>| {
            let layers = layers.filter_map(|layer| Some((layer, request.layers[layer]?.bps)));
            layers.collect::<Vec<_>>()
        };
        let mut layers = live(0..=layer);
        if layers.is_empty() {
            // A larger layer than desired is better than none.
            layers = live(layer..=2);
            layers.truncate(1);
        }
        let usual = USUAL_BPS[layer];
        let desired_bps = layers.last().map_or(usual, |(_, bps)| *bps);
        if layers.is_empty() {
            layers.push((0, 0));
        }
        Self {
            key: request.key,
            priority: request.priority,
            desired_layer: layer,
            steps: rising(&layers),
            desired_bps,
        }
    }

    /// The caller's name for it.
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Whether the video is a shared screen.
    pub fn is_screen(&self) -> bool {
        self.priority == Priority::Screen
    }

    /// The highest level.
    pub fn max_level(&self) -> usize {
        self.steps.len()
    }

    /// The bitrate of a level, in bit/s; 0 for level 0.
    pub fn bps(&self, level: usize) -> u64 {
        level.checked_sub(1).map_or(0, |step| self.steps[step].bps)
    }

    /// The bitrate of the desired layer, in bit/s.
    pub fn desired_bps(&self) -> u64 {
        self.desired_bps
    }

    /// The layer of a level; none for 0.
    pub fn layer_at(&self, level: usize) -> Option<usize> {
        Some(self.steps[level.checked_sub(1)?].layer)
    }

    /// The highest level whose layer is not above this one; at least 1.
    pub fn level_of(&self, layer: usize) -> usize {
        let reached = self.steps.iter().filter(|step| step.layer <= layer).count();
        reached.max(1)
    }

    /// The choice that corresponds to a level.
    pub fn choice(&self, level: usize) -> Choice {
        Choice {
            key: self.key,
            layer: self.layer_at(level),
            desired_layer: Some(self.desired_layer),
        }
    }
}

/// The smallest layer whose height suffices for the displayed height.
fn desired_layer(request: &VideoRequest) -> usize {
    if request.single {
        return 0;
    }
    let enough = |layer: &usize| match request.layers[*layer] {
        Some(rate) if rate.height > 0 => {
            u64::from(rate.height) * 100 >= u64::from(request.height) * ENOUGH_PERCENT
        }
        _ => SERVES[*layer] >= request.height,
    };
    (0..3).find(enough).unwrap_or(2)
}

/// Steps whose bitrates never decrease.
fn rising(layers: &[(usize, u64)]) -> Vec<Step> {
    let mut most = 0;
    let steps = layers.iter().map(|(layer, bps)| {
        most = most.max(*bps);
        Step {
            layer: *layer,
            bps: most,
        }
    });
    steps.collect()
}
