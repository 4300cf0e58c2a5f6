//! Calls: how many packets a second of CPU time each server forwards, how late, and what a
//! connection costs.
//!
//! Each shape is played on every server in turn, freshly started, and that several times, so
//! that what else a machine does falls on all of them. What counts is the ratio of medians.
//!
//! * [`world`] a network of its own; [`drive`] the servers and how clients come in.
//! * [`engine`] the thread that is all clients, [`crew`] what it does; [`peer`] one of them,
//!   [`packet`] what it sends and gets; [`lanes`] their sockets; [`weather`] a bad network.
//! * [`traffic`] what is sent, [`vp8`] its pictures; [`stamp`], [`rtp`] how it is recognised;
//!   [`tally`] how it is counted.
//! * [`mirror`] the bare forwarder; [`bystanders`] a call that goes on while others attack.
//! * [`shape`] what is played, [`shapes`] all of it; [`play`] a run; [`extra`] what some of them do besides;
//!   [`outcome`] what came of it; [`table`] all of them.

mod bystanders;
mod crew;
mod drive;
mod engine;
mod extra;
mod lanes;
pub mod mirror;
mod outcome;
mod packet;
mod peer;
mod play;
mod rtp;
mod shape;
mod shapes;
mod stamp;
mod table;
mod tally;
mod traffic;
mod vp8;
mod weather;
pub mod world;

pub use bystanders::Call;
pub use drive::Scratch;

use crate::{Arguments, report};
use anyhow::Result;
use clap::Args;
use drive::Sfu;
use play::Times;
use shape::{Extra, Shape};
use shapes::{ALL, QUICK};
use std::time::Duration;

/// A part of it, for looking into one thing.
#[derive(Debug, Args)]
pub struct Choice {
    /// Only servers whose name begins so.
    #[arg(long)]
    only: Vec<String>,
    /// Only shapes whose title begins so: B1, "B2 10".
    #[arg(long)]
    shape: Option<String>,
    /// How often each is played.
    #[arg(long)]
    repeats: Option<usize>,
    /// How long a window is open, in seconds.
    #[arg(long)]
    seconds: Option<f64>,
    /// Packets of a frame that leave together.
    #[arg(long, default_value_t = 1)]
    burst: u32,
    /// Go on although a server cannot be played.
    #[arg(long)]
    lenient: bool,
    /// This is the start inside the network of its own.
    #[arg(long, hide = true)]
    pub inside: bool,
}

impl Default for Choice {
    /// Everything, as often as usual, each packet alone.
    fn default() -> Self {
        Self {
            only: Vec::new(),
            shape: None,
            repeats: None,
            seconds: None,
            burst: 1,
            lenient: false,
            inside: false,
        }
    }
}

impl Choice {
    /// How long things last.
    fn times(&self, quick: bool, shape: Shape) -> Times {
        let (settle, window) = match (quick, shape.extra) {
            (true, _) => (1.0, 5.0),
            (false, Extra::Soak) => (3.0, SOAK_SECONDS),
            (false, _) => (3.0, 20.0),
        };
        Times {
            settle: Duration::from_secs_f64(settle),
            window: Duration::from_secs_f64(self.seconds.unwrap_or(window)),
        }
    }

    /// Whether a server is played.
    fn plays(&self, sfu: Sfu) -> bool {
        let begins = |only: &String| sfu.name().starts_with(only.as_str());
        self.only.is_empty() || self.only.iter().any(begins)
    }

    /// The shapes that are played.
    fn shapes(&self, quick: bool) -> Vec<Shape> {
        let all = if quick { QUICK } else { ALL };
        let Some(wanted) = &self.shape else {
            // A soak is played by who asks for it.
            let short = all.iter().filter(|shape| shape.extra != Extra::Soak);
            return short.copied().collect();
        };
        let shapes = ALL
            .iter()
            .filter(|shape| shape.title().starts_with(wanted.as_str()));
        shapes.copied().collect()
    }
}

/// How often the shapes that the targets name are played.
const REPEATS: usize = 5;
/// How long a soak takes, in seconds.
const SOAK_SECONDS: f64 = 1_800.0;

/// Plays everything and reports it.
pub async fn run(arguments: &Arguments, choice: &Choice) -> Result<()> {
    let mut outcomes = Vec::new();
    for shape in choice.shapes(arguments.quick) {
        let usual = if shape.is_headline() && !arguments.quick {
            REPEATS
        } else {
            1
        };
        for _ in 0..choice.repeats.unwrap_or(usual) {
            let all = Sfu::ALL.into_iter().filter(|sfu| choice.plays(*sfu));
            for sfu in all.filter(|sfu| shape.suits(*sfu)) {
                match play::play(arguments, choice, sfu, shape).await {
                    Ok(outcome) => {
                        table::line(&outcome);
                        outcomes.push(outcome);
                    }
                    Err(error) if choice.lenient => {
                        println!("{:<16} {:<20} {error:#}", shape.title(), sfu.name());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    table::compare(&outcomes);
    report::write(&arguments.out, "media.json", &outcomes)
}
