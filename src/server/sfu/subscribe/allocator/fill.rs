//! Fills a budget: the lowest of everybody first, then a step each, round by round.

use super::{
    ALLOCATED_PERCENT, AUDIO_ONLY_BELOW_BPS, Allocation, RESUME_HEADROOM_PERCENT, SCREEN_BPS,
    layer_options::LayerOptions,
};

/// The level of each wish, in order of priority; 0 is paused.
pub type Levels = Vec<usize>;

/// What may be chosen.
#[derive(Debug)]
pub struct Budget {
    /// Bits a second to share out; none where only sound goes.
    bps: Option<u64>,
    /// How many pictures need nothing to spare.
    running: usize,
    /// How many may run at all.
    places: usize,
}

impl Budget {
    /// For the pictures that run already, and no others.
    pub fn without_headroom(estimate: u64, places: usize) -> Self {
        Self {
            bps: (estimate >= AUDIO_ONLY_BELOW_BPS).then(|| allocated(estimate)),
            running: places,
            places,
        }
    }

    /// For as many as fit; those beyond `running` come back, and need something to spare.
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

    /// Whether the lowest layer of another picture fits, as number `count` from 0, on top
    /// of what is spent.
    fn admits(&self, count: usize, spent: u64, wish: &LayerOptions) -> bool {
        let (Some(bps), lowest) = (self.bps, wish.bps(1)) else {
            return false;
        };
        let sum = spent.saturating_add(lowest);
        let needed = if count < self.running {
            sum
        } else {
            add_headroom(sum)
        };
        let screen = count == 0 && wish.is_screen() && lowest <= SCREEN_BPS;
        count < self.places && (needed <= bps || screen)
    }

    /// Whether this much may be spent.
    fn allows(&self, bps: u64) -> bool {
        self.bps.is_some_and(|most| bps <= most)
    }
}

/// The levels that fit a budget, none above its cap. Whoever is paused, all after them are.
pub fn fill(wishes: &[LayerOptions], caps: &[usize], budget: &Budget) -> Levels {
    let mut levels = vec![0; wishes.len()];
    let mut spent = 0_u64;
    for (index, wish) in wishes.iter().enumerate() {
        if !budget.admits(index, spent, wish) {
            return levels;
        }
        levels[index] = 1;
        spent = spent.saturating_add(wish.bps(1));
    }
    let highest = caps.iter().copied().max().unwrap_or(0);
    for level in 2..=highest {
        for (index, wish) in wishes.iter().enumerate() {
            if levels[index] != level - 1 || caps[index].min(wish.max_level()) < level {
                continue;
            }
            let improved = (spent - wish.bps(level - 1)).saturating_add(wish.bps(level));
            if budget.allows(improved) {
                levels[index] = level;
                spent = improved;
            }
        }
    }
    levels
}

/// Whether these levels are better: at the first difference, round by round and in order
/// of priority, they are higher.
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

/// The shares at these levels, in order of priority.
pub fn allocation(wishes: &[LayerOptions], levels: &[usize]) -> Allocation {
    let both = || wishes.iter().zip(levels);
    let sum = both()
        .map(|(wish, level)| wish.bps(*level))
        .fold(0, u64::saturating_add);
    let steps = both().filter(|(wish, level)| **level < wish.max_level());
    let cheapest = steps
        .map(|(wish, level)| wish.bps(level + 1) - wish.bps(*level))
        .min();
    let desired = wishes.iter().map(LayerOptions::desired_bps);
    Allocation {
        choices: both().map(|(wish, level)| wish.choice(*level)).collect(),
        chosen_bps: sum,
        minimum_bps: cheapest.map_or(0, |step| sum.saturating_add(step)),
        desired_bps: desired.fold(0, u64::saturating_add),
    }
}

/// What of an estimate is shared out.
fn allocated(estimate: u64) -> u64 {
    percent(estimate, ALLOCATED_PERCENT)
}

/// What is needed for this much to leave something to spare.
fn add_headroom(bps: u64) -> u64 {
    percent(bps, 100 + RESUME_HEADROOM_PERCENT)
}

/// So many percent.
fn percent(bps: u64, percent: u64) -> u64 {
    bps.saturating_mul(percent) / 100
}
