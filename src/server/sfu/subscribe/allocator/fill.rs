//! Fills a bitrate budget: first the lowest layer of each video, then one step per round.

use super::{
    ALLOCATED_PERCENT, AUDIO_ONLY_BELOW_BPS, Allocation, RESUME_HEADROOM_PERCENT, SCREEN_BPS,
    layer_options::LayerOptions,
};

/// The level of each video in order of priority; 0 is paused.
pub type Levels = Vec<usize>;

/// The limits of one allocation.
#[derive(Debug)]
pub struct Budget {
    /// The bitrate to allocate, in bit/s; none if only audio is sent.
    bps: Option<u64>,
    /// The number of videos that need no headroom, because they are being sent.
    running: usize,
    /// The maximum number of videos.
    places: usize,
}

impl Budget {
    /// The budget for at most `places` videos, without headroom.
    pub fn without_headroom(estimate: u64, places: usize) -> Self {
        Self {
            bps: (estimate >= AUDIO_ONLY_BELOW_BPS).then(|| allocated(estimate)),
            running: places,
            places,
        }
    }

    /// The budget for any number of videos; those beyond `running` need headroom to resume.
    pub fn with_headroom(estimate: u64, running: usize) -> Self {
        let least = match running {
            0 => add_headroom(AUDIO_ONLY_BELOW_BPS),
            _ => AUDIO_ONLY_BELOW_BPS,
        };
        Self {
            bps: (estimate >= least).then(|| allocated(estimate)),
            running,
            places: usize::MAX,
        }
    }

    /// Whether the lowest layer of the video with index `count` fits beside the `spent` bit/s.
    fn admits(&self, count: usize, spent: u64, video: &LayerOptions) -> bool {
        let (Some(bps), lowest) = (self.bps, video.bps(1)) else {
            return false;
        };
        let sum = spent.saturating_add(lowest);
        let needed = if count < self.running {
            sum
        } else {
            add_headroom(sum)
        };
        let screen = count == 0 && video.is_screen() && lowest <= SCREEN_BPS;
        count < self.places && (needed <= bps || screen)
    }

    /// Whether a total bitrate in bit/s fits.
    fn allows(&self, bps: u64) -> bool {
        self.bps.is_some_and(|most| bps <= most)
    }
}

/// The levels that fit a budget, none above its cap. If one video is paused, all with a lower
/// priority are.
pub fn fill(videos: &[LayerOptions], caps: &[usize], budget: &Budget) -> Levels {
    let mut levels = vec![0; videos.len()];
    let mut spent = 0_u64;
    for (index, video) in videos.iter().enumerate() {
        if !budget.admits(index, spent, video) {
            return levels;
        }
        levels[index] = 1;
        spent = spent.saturating_add(video.bps(1));
    }
    let highest = caps.iter().copied().max().unwrap_or(0);
    for level in 2..=highest {
        for (index, video) in videos.iter().enumerate() {
            if levels[index] != level - 1 || caps[index].min(video.max_level()) < level {
                continue;
            }
            let improved = (spent - video.bps(level - 1)).saturating_add(video.bps(level));
            if budget.allows(improved) {
                levels[index] = level;
                spent = improved;
            }
        }
    }
    levels
}

/// Whether these levels are better: higher at the first difference, compared round by round
/// and in order of priority.
pub fn is_better(levels: &[usize], than: &[usize]) -> bool {
    let highest = levels.iter().chain(than).copied().max().unwrap_or(0);
    let rounds = 1..=highest;
    let mut differences = rounds.flat_map(|round| {
        let both = levels.iter().zip(than);
        both.map(move |(a, b)| (*a >= round, *b >= round))
    });
    differences
        .find(|(a, b)| a != b)
        .is_some_and(|(better, _)| better)
}

/// The allocation at these levels, in order of priority.
pub fn allocation(videos: &[LayerOptions], levels: &[usize]) -> Allocation {
    let both = || videos.iter().zip(levels);
    let sum = both()
        .map(|(video, level)| video.bps(*level))
        .fold(0, u64::saturating_add);
    let steps = both().filter(|(video, level)| **level < video.max_level());
    let cheapest = steps
        .map(|(video, level)| video.bps(level + 1) - video.bps(*level))
        .min();
    let desired = videos.iter().map(LayerOptions::desired_bps);
    Allocation {
        choices: both().map(|(video, level)| video.choice(*level)).collect(),
        chosen_bps: sum,
        minimum_bps: cheapest.map_or(0, |step| sum.saturating_add(step)),
        desired_bps: desired.fold(0, u64::saturating_add),
    }
}

/// The part of an estimate that is allocated, in bit/s.
fn allocated(estimate: u64) -> u64 {
    percent(estimate, ALLOCATED_PERCENT)
}

/// A bitrate plus the headroom that a resumed video needs.
fn add_headroom(bps: u64) -> u64 {
    percent(bps, 100 + RESUME_HEADROOM_PERCENT)
}

/// A percentage of a bitrate; saturates.
fn percent(bps: u64, percent: u64) -> u64 {
    bps.saturating_mul(percent) / 100
}
