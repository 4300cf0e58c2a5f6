//! Divides the bandwidth of one receiver among the videos on its screen.
//!
//! In order of priority each video gets its lowest layer, then one layer more per round while
//! the budget lasts ([`fill`]). Downgrades apply at once. Upgrades must fit for a while
//! ([`hysteresis`]), because each costs a keyframe and a visible change. [`layer_options`]
//! lists the layers that a video can get.
//!
//! No I/O: the caller runs it every 100 ms, and when the estimate falls or the screen changes.
//! Audio is always sent; the caller subtracts its rate from the estimate.

mod fill;
mod hysteresis;
mod layer_options;
#[cfg(test)]
mod tests;

use fill::{Budget, Levels};
use hysteresis::UpgradeHysteresis;
use layer_options::LayerOptions;
use std::time::Instant;

/// The estimate below which only audio is sent, in bit/s. 80 kbit/s does not carry the
/// smallest video and audio.
pub const AUDIO_ONLY_BELOW_BPS: u64 = 80_000;
/// The share of the estimate that is allocated, in percent.
pub const ALLOCATED_PERCENT: u64 = 95;
/// The spare bandwidth that a paused video needs to resume, in percent.
pub const RESUME_HEADROOM_PERCENT: u64 = 10;
/// The largest bitrate at which the lowest layer of a shared screen is sent although it does
/// not fit the budget, in bit/s. A frozen screen cannot be read.
pub const SCREEN_BPS: u64 = 500_000;

/// The order in which videos get bandwidth; the last variant comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A participant on the receiver's screen.
    Visible,
    /// The dominant speaker.
    Speaker,
    /// A participant that this receiver has pinned.
    Pinned,
    /// A shared screen.
    Screen,
}

/// The measured height and bitrate of a live layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRate {
    /// The height in px; 0 if unknown.
    pub height: u32,
    /// The bitrate in bit/s.
    pub bps: u64,
}

/// A video that the receiver displays.
#[derive(Debug, Clone)]
pub struct VideoRequest {
    /// Identifies the video; chosen by the caller, unique per call.
    pub key: u32,
    /// The priority; the order of the list decides between equals.
    pub priority: Priority,
    /// The displayed height in px.
    pub height: u32,
    /// The layers, lowest first; none for a layer that is not live.
    pub layers: [Option<LayerRate>; 3],
    /// Whether the track is not simulcast: the first layer is the only one.
    pub single: bool,
}

/// The layer that one video gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The key of the `VideoRequest` that this answers.
    pub key: u32,
    /// The layer to send; none while paused. The lowest if no layer is live, which costs
    /// nothing until packets arrive.
    pub layer: Option<usize>,
    /// The layer that the displayed size asks for, even if it does not fit or is not live.
    pub desired_layer: Option<usize>,
}

/// The layers of one receiver's videos and their bitrates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// One choice per request, in the order of the requests.
    pub choices: Vec<Choice>,
    /// The bitrate of the chosen layers, in bit/s.
    pub chosen_bps: u64,
    /// The bitrate of the chosen layers and the cheapest upgrade, in bit/s: what probing aims
    /// at. 0 if there is no upgrade.
    pub minimum_bps: u64,
    /// The bitrate of all desired layers, in bit/s.
    pub desired_bps: u64,
}

/// The choice for one video in the previous allocation.
#[derive(Debug, Clone, Copy)]
struct PreviousChoice {
    /// The key of the `VideoRequest` that was answered.
    key: u32,
    /// The layer that was chosen.
    layer: Option<usize>,
}

/// Allocates the bandwidth of one receiver. The default has no previous allocation.
#[derive(Debug, Default)]
pub struct Allocator {
    /// The choices of the previous allocation.
    previous: Vec<PreviousChoice>,
    /// Decides when an upgrade is allowed.
    hysteresis: UpgradeHysteresis,
}

impl Allocator {
    /// Chooses the layers. `estimate_bps`: the available bandwidth; without an estimate every
    /// video gets its desired layer.
    pub fn allocate(
        &mut self,
        now: Instant,
        estimate_bps: Option<u64>,
        requests: &[VideoRequest],
    ) -> Allocation {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(requests[*index].priority));
        let videos: Vec<LayerOptions> = order
            .iter()
            .map(|index| LayerOptions::of(&requests[*index]))
            .collect();
        let levels = match estimate_bps {
            None => {
                self.hysteresis = UpgradeHysteresis::default();
                videos.iter().map(LayerOptions::max_level).collect()
            }
            Some(estimate) => self.choose(now, estimate, &videos),
        };
        self.remember(&videos, &levels);
        let mut shares = fill::allocation(&videos, &levels);
        // From the order of priority back to the order of the requests.
        let mut places: Vec<_> = order.into_iter().zip(shares.choices).collect();
        places.sort_unstable_by_key(|(index, _)| *index);
        shares.choices = places.into_iter().map(|(_, choice)| choice).collect();
        shares
    }

    /// The level of each video: downgrades at once, upgrades after [`UpgradeHysteresis`].
    fn choose(&mut self, now: Instant, estimate: u64, videos: &[LayerOptions]) -> Levels {
        self.hysteresis.observe(now, estimate);
        let before: Vec<Option<usize>> = videos
            .iter()
            .map(|video| self.level_before(video))
            .collect();
        let least = self.levels_without_upgrade(estimate, videos, &before);
        if before
            .iter()
            .zip(&least)
            .any(|(before, now)| before.is_some_and(|level| *now < level))
        {
            self.hysteresis.on_downgrade(now);
        }
        let more = self.hysteresis.sustained_estimate(now).map(|steady| {
            let running = least.iter().filter(|level| **level > 0).count();
            let budget = Budget::with_headroom(steady, running);
            let most: Levels = videos.iter().map(LayerOptions::max_level).collect();
            fill::fill(videos, &most, &budget)
        });
        let Some(more) = more.filter(|more| fill::is_better(more, &least)) else {
            return least;
        };
        self.hysteresis.on_upgrade(
            now,
            more.iter().zip(&least).any(|(more, least)| more < least),
        );
        more
    }

    /// The previous levels as far as they still fit, none of them raised. A new video may take
    /// the bandwidth of one with a lower priority.
    fn levels_without_upgrade(
        &self,
        estimate: u64,
        videos: &[LayerOptions],
        before: &[Option<usize>],
    ) -> Levels {
        let places = before.iter().filter(|level| **level != Some(0)).count();
        let caps: Levels = before
            .iter()
            .map(|level| level.unwrap_or(1).max(1))
            .collect();
        fill::fill(videos, &caps, &Budget::without_headroom(estimate, places))
    }

    /// The previous level of a video in terms of its current steps: 0 if it was paused, none
    /// if it is new.
    fn level_before(&self, video: &LayerOptions) -> Option<usize> {
        let held = self.previous.iter().find(|held| held.key == video.key())?;
        Some(held.layer.map_or(0, |layer| video.level_of(layer)))
    }

    /// Stores the choices; videos that are no longer requested are dropped.
    fn remember(&mut self, videos: &[LayerOptions], levels: &[usize]) {
        let held = videos
            .iter()
            .zip(levels)
            .map(|(video, level)| PreviousChoice {
                key: video.key(),
                layer: video.layer_at(*level),
            });
        self.previous = held.collect();
    }
}
