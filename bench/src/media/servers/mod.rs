//! The servers that are measured, and how clients come in.
//!
//! * [`baseline`] the bare forwarder, which knows its clients beforehand.
//! * [`noom`] ours: the room protocol.
//! * [`janus`] Janus with its video room.
//! * [`signalling`] the way to the server.

pub mod baseline;
mod janus;
mod noom;
mod signalling;

use super::{
    Options, client::generator::LoadGenerator, run::Joins, scenario::model::Scenario,
    traffic::srtp::Profile,
};
use crate::{Arguments, server::Server};
use anyhow::Result;
use baseline::{clients, forwarder::Variant};
pub use signalling::SignallingSockets;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// One of how many clients opens what it receives, where not all have to.
const SAMPLED: u32 = 10;

/// People who come in at a time.
const AT_ONCE: usize = 16;

/// A server to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sfu {
    /// Ours.
    Noom {
        /// Whether clients negotiate transport-cc, so that it estimates and paces.
        estimates: bool,
    },
    /// Janus.
    Janus {
        /// Event loops; nothing leaves a thread to each connection, as installed.
        loops: Option<u32>,
    },
    /// The bare forwarder.
    Baseline(Variant, Profile),
}

impl Sfu {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 8] = [
        Self::Noom { estimates: false },
        Self::Janus { loops: None },
        Self::Janus { loops: Some(1) },
        Self::Noom { estimates: true },
        Self::Baseline(Variant::Sendto, Profile::Aes256),
        Self::Baseline(Variant::Sendto, Profile::Aes128),
        Self::Baseline(Variant::Sendmmsg, Profile::Aes256),
        Self::Baseline(Variant::Gso, Profile::Aes256),
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noom { estimates: false } => "noom",
            Self::Noom { estimates: true } => "noom, estimating",
            Self::Janus { loops: None } => "janus",
            Self::Janus { loops: Some(_) } => "janus, 1 loop",
            Self::Baseline(Variant::Sendto, Profile::Aes256) => "baseline sendto",
            Self::Baseline(Variant::Sendto, Profile::Aes128) => "baseline sendto aes128",
            Self::Baseline(Variant::Sendmmsg, _) => "baseline sendmmsg",
            Self::Baseline(Variant::Gso, _) => "baseline gso",
        }
    }

    /// Starts it.
    pub async fn start(
        self,
        arguments: &Arguments,
        scenario: Scenario,
        generator: &LoadGenerator,
        temp_dir: &TempDir,
    ) -> Result<Server> {
        match self {
            Self::Noom { .. } => noom::start(arguments, temp_dir).await,
            Self::Janus { loops } => janus::start(loops, temp_dir).await,
            Self::Baseline(variant, profile) => {
                clients::start(variant, profile, scenario, generator).await
            }
        }
    }
}

/// Brings everybody in.
pub async fn connect(
    sfu: Sfu,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    entries: &mut Joins,
) -> Result<SignallingSockets> {
    match sfu {
        Sfu::Noom { estimates } => {
            noom::connect(estimates, server, generator, scenario, options, entries).await
        }
        Sfu::Janus { .. } => janus::connect(server, generator, scenario, options, entries).await,
        Sfu::Baseline(_, profile) => {
            clients::connect(profile, server, generator, scenario, options, entries);
            Ok(SignallingSockets::none())
        }
    }
}

/// The clients that should hear something, in order.
pub fn listeners(sfu: Sfu, scenario: Scenario) -> Vec<u32> {
    let everybody = 0..scenario.everybody();
    let listens = |person: &u32| scenario.publishers > 1 || !scenario.publishes(*person);
    let people = everybody.filter(listens);
    match sfu {
        Sfu::Janus { .. } => people.map(|person| janus::ear(scenario, person)).collect(),
        _ => people.collect(),
    }
}

/// Whether a client opens what it receives.
fn samples(person: u32, all: bool) -> bool {
    all || person % SAMPLED == 1
}

/// Lets somebody come who only listens, where that can be done. They are in nobody's way: their
/// number is above everybody's.
pub async fn visit(
    sfu: Sfu,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    number: u32,
) -> Result<SignallingSockets> {
    match sfu {
        Sfu::Noom { estimates } => {
            noom::visit(estimates, server, generator, scenario, options, number).await
        }
        _ => Ok(SignallingSockets::none()),
    }
}

/// Waits until it is the turn of the one with that place, where so many come in a second.
async fn turn(scenario: Scenario, began: Instant, place: u32) {
    if let Some(rate) = scenario.joins_a_second() {
        sleep_until(began + Duration::from_secs(place.into()) / rate).await;
    }
}

/// How many come in at a time: as many as are due, where so many come in a second.
fn at_once(scenario: Scenario) -> usize {
    match scenario.joins_a_second() {
        Some(_) => scenario.everybody() as usize,
        None => AT_ONCE,
    }
}

/// A folder that is deleted when dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A name for one; it is made by whoever needs it.
    pub fn new() -> Self {
        let name = format!("noom-bench-media-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
