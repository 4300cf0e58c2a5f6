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
    Choice, client::generator::Engine, run::Entries, scenario::model::Shape, traffic::srtp::Profile,
};
use crate::{Arguments, server::Server};
use anyhow::Result;
use baseline::{clients, forwarder::Variant};
pub use signalling::Lines;

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
    Mirror(Variant, Profile),
}

impl Sfu {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 8] = [
        Self::Noom { estimates: false },
        Self::Janus { loops: None },
        Self::Janus { loops: Some(1) },
        Self::Noom { estimates: true },
        Self::Mirror(Variant::Sendto, Profile::Aes256),
        Self::Mirror(Variant::Sendto, Profile::Aes128),
        Self::Mirror(Variant::Sendmmsg, Profile::Aes256),
        Self::Mirror(Variant::Gso, Profile::Aes256),
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noom { estimates: false } => "noom",
            Self::Noom { estimates: true } => "noom, estimating",
            Self::Janus { loops: None } => "janus",
            Self::Janus { loops: Some(_) } => "janus, 1 loop",
            Self::Mirror(Variant::Sendto, Profile::Aes256) => "mirror sendto",
            Self::Mirror(Variant::Sendto, Profile::Aes128) => "mirror sendto aes128",
            Self::Mirror(Variant::Sendmmsg, _) => "mirror sendmmsg",
            Self::Mirror(Variant::Gso, _) => "mirror gso",
        }
    }

    /// Starts it.
    pub async fn start(
        self,
        arguments: &Arguments,
        shape: Shape,
        engine: &Engine,
        scratch: &Scratch,
    ) -> Result<Server> {
        match self {
            Self::Noom { .. } => noom::start(arguments, scratch).await,
            Self::Janus { loops } => janus::start(loops, scratch).await,
            Self::Mirror(variant, profile) => clients::start(variant, profile, shape, engine).await,
        }
    }
}

/// Brings everybody in.
pub async fn connect(
    sfu: Sfu,
    server: &Server,
    engine: &Engine,
    shape: Shape,
    choice: &Choice,
    entries: &mut Entries,
) -> Result<Lines> {
    match sfu {
        Sfu::Noom { estimates } => {
            noom::connect(estimates, server, engine, shape, choice, entries).await
        }
        Sfu::Janus { .. } => janus::connect(server, engine, shape, choice, entries).await,
        Sfu::Mirror(_, profile) => {
            clients::connect(profile, server, engine, shape, choice, entries);
            Ok(Lines::none())
        }
    }
}

/// The clients that should hear something, in order.
pub fn listeners(sfu: Sfu, shape: Shape) -> Vec<u32> {
    let everybody = 0..shape.everybody();
    let listens = |person: &u32| shape.publishers > 1 || !shape.publishes(*person);
    let people = everybody.filter(listens);
    match sfu {
        Sfu::Janus { .. } => people.map(|person| janus::ear(shape, person)).collect(),
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
    engine: &Engine,
    shape: Shape,
    choice: &Choice,
    number: u32,
) -> Result<Lines> {
    match sfu {
        Sfu::Noom { estimates } => {
            noom::visit(estimates, server, engine, shape, choice, number).await
        }
        _ => Ok(Lines::none()),
    }
}

/// Waits until it is the turn of the one with that place, where so many come in a second.
async fn turn(shape: Shape, began: Instant, place: u32) {
    if let Some(rate) = shape.joins_a_second() {
        sleep_until(began + Duration::from_secs(place.into()) / rate).await;
    }
}

/// How many come in at a time: as many as are due, where so many come in a second.
fn at_once(shape: Shape) -> usize {
    match shape.joins_a_second() {
        Some(_) => shape.everybody() as usize,
        None => AT_ONCE,
    }
}

/// A folder that is deleted when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
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

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
