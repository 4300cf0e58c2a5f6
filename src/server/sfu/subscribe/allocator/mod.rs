//! How one person's line is shared out among the pictures on their screen.
//!
//! Everybody gets their lowest layer first, in order of priority; then one step each, in
//! rounds, while it fits ([`fill`]). Less happens at once; more only after it fitted for a
//! while ([`hysteresis`]), because each step costs a keyframe and a flicker. What a picture
//! could carry is worked out in [`layer_options`].
//!
//! Pure: driven each 100 ms, and whenever the estimate falls or the screen changes. Sound
//! is not shared out: it always goes, and its rate is the caller's to take off first.

mod fill;
mod hysteresis;
mod layer_options;
#[cfg(test)]
mod tests;

use fill::{Budget, Levels};
use hysteresis::UpgradeHysteresis;
use layer_options::LayerOptions;
use std::time::Instant;

/// Below this only sound goes. 80 kbit/s: the smallest picture with sound does not fit.
pub const AUDIO_ONLY_BELOW_BPS: u64 = 80_000;
/// Of an estimate, how much is shared out, in percent.
pub const ALLOCATED_PERCENT: u64 = 95;
/// What must be to spare for a paused picture to come back, in percent.
pub const RESUME_HEADROOM_PERCENT: u64 = 10;
/// How much the lowest layer of a shared screen may take beyond the estimate's share:
/// reading is why people share it.
pub const SCREEN_BPS: u64 = 500_000;

/// What comes first when the line is narrow; the last is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody on the screen.
    Visible,
    /// Whoever has the floor.
    Speaker,
    /// A participant that this receiver has pinned.
    Pinned,
    /// A shared screen.
    Screen,
}

/// What a live layer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRate {
    /// How tall its picture is; 0 where that is not known.
    pub height: u32,
    /// Its rate in bit/s.
    pub bps: u64,
}

/// A picture that somebody wants.
#[derive(Debug, Clone)]
pub struct VideoRequest {
    /// The caller's name for it, no two alike.
    pub key: u32,
    /// How much it matters; among equals the order of the list counts.
    pub priority: Priority,
    /// How tall it is shown, in px.
    pub height: u32,
    /// Its layers, lowest first; none where one is not live.
    pub layers: [Option<LayerRate>; 3],
    /// Whether the first layer is the only one there ever is.
    pub single: bool,
}

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The key of the `VideoRequest` that this answers.
    pub key: u32,
    /// The layer to send; none while it is paused. Where no layer is live it is the lowest,
    /// which costs nothing until it comes.
    pub layer: Option<usize>,
    /// The layer its size asks for, whether or not it fits or is live.
    pub desired_layer: Option<usize>,
}

/// The shares of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// What becomes of each picture, in the order they were asked for.
    pub choices: Vec<Choice>,
    /// What is chosen, in bit/s.
    pub chosen_bps: u64,
    /// What is chosen and the cheapest next step, in bit/s: what the estimator is to hold the
    /// line at. 0 where there is no next step.
    pub minimum_bps: u64,
    /// What everything wanted would take, in bit/s.
    pub desired_bps: u64,
}

/// The state of a picture between two looks.
#[derive(Debug, Clone, Copy)]
struct PreviousChoice {
    /// The key of the `VideoRequest` that was answered.
    key: u32,
    /// The layer that was chosen.
    layer: Option<usize>,
}

/// Shares out one person's line. The default has chosen nothing yet.
#[derive(Debug, Default)]
pub struct Allocator {
    /// What was chosen for each picture of the last look.
    previous: Vec<PreviousChoice>,
    /// When more may be chosen.
    hysteresis: UpgradeHysteresis,
}

impl Allocator {
    /// Shares the line out. `estimate_bps`: what it carries; none where nobody knows, and
    /// then everybody gets what they want.
    pub fn allocate(
        &mut self,
        now: Instant,
        estimate_bps: Option<u64>,
        wanted: &[VideoRequest],
    ) -> Allocation {
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(wanted[*index].priority));
        let wishes: Vec<LayerOptions> = order
            .iter()
            .map(|index| LayerOptions::of(&wanted[*index]))
            .collect();
        let levels = match estimate_bps {
            None => {
                self.hysteresis = UpgradeHysteresis::default();
                wishes.iter().map(LayerOptions::max_level).collect()
            }
            Some(estimate) => self.choose(now, estimate, &wishes),
        };
        self.remember(&wishes, &levels);
        let mut shares = fill::allocation(&wishes, &levels);
        // Back from the order of priority to the order of the list.
        let mut places: Vec<_> = order.into_iter().zip(shares.choices).collect();
        places.sort_unstable_by_key(|(index, _)| *index);
        shares.choices = places.into_iter().map(|(_, choice)| choice).collect();
        shares
    }

    /// The level of each wish: less at once, more with patience.
    fn choose(&mut self, now: Instant, estimate: u64, wishes: &[LayerOptions]) -> Levels {
        self.hysteresis.observe(now, estimate);
        let before: Vec<Option<usize>> =
            wishes.iter().map(|wish| self.level_before(wish)).collect();
        let least = self.levels_without_upgrade(estimate, wishes, &before);
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
            let most: Levels = wishes.iter().map(LayerOptions::max_level).collect();
            fill::fill(wishes, &most, &budget)
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

    /// What of the levels before still fits, no level higher. Whoever is new takes a place,
    /// and places go by priority.
    fn levels_without_upgrade(
        &self,
        estimate: u64,
        wishes: &[LayerOptions],
        before: &[Option<usize>],
    ) -> Levels {
        let places = before.iter().filter(|level| **level != Some(0)).count();
        let caps: Levels = before
            .iter()
            .map(|level| level.unwrap_or(1).max(1))
            .collect();
        fill::fill(wishes, &caps, &Budget::without_headroom(estimate, places))
    }

    /// The level a wish had, among the steps that it has now: 0 where it was paused, none
    /// where it is new.
    fn level_before(&self, wish: &LayerOptions) -> Option<usize> {
        let held = self.previous.iter().find(|held| held.key == wish.key())?;
        Some(held.layer.map_or(0, |layer| wish.level_of(layer)))
    }

    /// Remembers what was chosen; what is not wanted any more is forgotten.
    fn remember(&mut self, wishes: &[LayerOptions], levels: &[usize]) {
        let held = wishes
            .iter()
            .zip(levels)
            .map(|(wish, level)| PreviousChoice {
                key: wish.key(),
                layer: wish.layer_at(*level),
            });
        self.previous = held.collect();
    }
}
