//! What a picture could carry: the layers up to the one that its size asks for.

use super::{Choice, Priority, VideoRequest};

/// Of the height shown, how much a layer must have, in percent: a picture stretched by a
/// third still looks sharp.
const ENOUGH_PERCENT: u64 = 75;
/// How tall a picture a layer serves whose height is not known, in px: q, h, and f for all.
const SERVES: [u32; 3] = [180, 360, u32::MAX];
/// What layers usually take, in bit/s: for pictures of which nothing is live yet.
const USUAL_BPS: [u64; 3] = [150_000, 500_000, 1_500_000];

/// One step of a picture.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The layer it leads to.
    layer: usize,
    /// What that takes, in bit/s. Never less than the step below: rates are noisy.
    bps: u64,
}

/// A picture and its steps. Level 0 is paused, level 1 the first step, and so on.
#[derive(Debug)]
pub struct LayerOptions {
    /// The caller's name for it.
    key: u32,
    /// How much it matters.
    priority: Priority,
    /// The layer its size asks for.
    desired_layer: usize,
    /// Its steps, lowest first; one at least.
    steps: Vec<Step>,
    /// What it would take to have all that is wanted, in bit/s.
    desired_bps: u64,
}

impl LayerOptions {
    /// What is wanted, as steps.
    pub fn of(wanted: &VideoRequest) -> Self {
        let layer = wanted_layer(wanted);
        let live = |layers: std::ops::RangeInclusive<usize>| {
            let layers = layers.filter_map(|layer| Some((layer, wanted.layers[layer]?.bps)));
            layers.collect::<Vec<_>>()
        };
        let mut layers = live(0..=layer);
        if layers.is_empty() {
            // What is larger than wanted is better than nothing.
            layers = live(layer..=2);
            layers.truncate(1);
        }
        let usual = USUAL_BPS[layer];
        let desired_bps = layers.last().map_or(usual, |(_, bps)| *bps);
        if layers.is_empty() {
            layers.push((0, 0));
        }
        Self {
            key: wanted.key,
            priority: wanted.priority,
            desired_layer: layer,
            steps: rising(&layers),
            desired_bps,
        }
    }

    /// The caller's name for it.
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Whether it is a shared screen.
    pub fn is_screen(&self) -> bool {
        self.priority == Priority::Screen
    }

    /// Its highest level.
    pub fn max_level(&self) -> usize {
        self.steps.len()
    }

    /// What a level takes, in bit/s.
    pub fn bps(&self, level: usize) -> u64 {
        level.checked_sub(1).map_or(0, |step| self.steps[step].bps)
    }

    /// What all that is wanted takes, in bit/s.
    pub fn desired_bps(&self) -> u64 {
        self.desired_bps
    }

    /// The layer of a level; none for 0.
    pub fn layer_at(&self, level: usize) -> Option<usize> {
        Some(self.steps[level.checked_sub(1)?].layer)
    }

    /// The highest level that needs no higher layer than this; the first at least.
    pub fn level_of(&self, layer: usize) -> usize {
        let reached = self.steps.iter().filter(|step| step.layer <= layer).count();
        reached.max(1)
    }

    /// What becomes of it at a level.
    pub fn choice(&self, level: usize) -> Choice {
        Choice {
            key: self.key,
            layer: self.layer_at(level),
            desired_layer: Some(self.desired_layer),
        }
    }
}

/// The smallest layer that is tall enough.
fn wanted_layer(wanted: &VideoRequest) -> usize {
    if wanted.single {
        return 0;
    }
    let enough = |layer: &usize| match wanted.layers[*layer] {
        Some(rate) if rate.height > 0 => {
            u64::from(rate.height) * 100 >= u64::from(wanted.height) * ENOUGH_PERCENT
        }
        _ => SERVES[*layer] >= wanted.height,
    };
    (0..3).find(enough).unwrap_or(2)
}

/// Steps that never take less than the one below.
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
