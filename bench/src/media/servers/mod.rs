//! The servers under test, and how clients join them.
//!
//! * [`noom`] the room protocol. [`janus`] Janus with its video room plugin.
//! * [`baseline`] a bare forwarder, the physical limit.
//! * [`signalling`] the WebSockets of the clients.

pub mod baseline;
mod janus;
mod noom;
mod signalling;

pub use signalling::SignallingSockets;

use super::{
    client::{context::Joins, generator::LoadGenerator},
    scenario::model::{Scenario, Stress},
    traffic::srtp::Profile,
};
use crate::{
    Arguments,
    server::{Server, TempDir},
};
use anyhow::Result;
use baseline::{clients, forwarder::Variant};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// One of so many clients decrypts what it receives, where not all have to.
const DECRYPTING_SHARE: u32 = 10;
/// Concurrent joins, where the scenario sets no join rate.
const CONCURRENT_JOINS: usize = 16;

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sfu {
    /// The SFU of this repository.
    Noom {
        /// Whether clients negotiate transport-cc, so that the server estimates and paces.
        estimates: bool,
    },
    /// Janus with its video room plugin.
    Janus {
        /// Event loops; `None` is one thread per connection, the default.
        loops: Option<u32>,
    },
    /// The bare forwarder.
    Baseline(Variant, Profile),
}

/// The values that all clients of one run share.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// The thread of the clients.
    pub generator: &'a LoadGenerator,
    /// The scenario to run.
    pub scenario: Scenario,
    /// Packets of a frame that leave together.
    pub burst: u32,
}

impl Sfu {
    /// Every server, in the order of a round.
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

    /// The name in tables.
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

    /// Whether a scenario makes sense on this server.
    pub fn supports(self, scenario: &Scenario) -> bool {
        match self {
            // Broadcasts suffice to compare the ways to send and to encrypt.
            Self::Baseline(variant, profile) => {
                let is_main = variant != Variant::Sendmmsg && profile == Profile::Aes256;
                scenario.stress == Stress::None && (is_main || scenario.id == "B1")
            }
            // A rate limit needs a bandwidth estimate.
            Self::Noom { estimates: false } | Self::Janus { .. } => {
                scenario.impairment().cap_kbps == 0
            }
            Self::Noom { estimates: true } => true,
        }
    }

    /// Starts the server.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(
        self,
        arguments: &Arguments,
        load: Load<'_>,
        temp_dir: &TempDir,
    ) -> Result<Server> {
        match self {
            Self::Noom { .. } => noom::start(arguments, temp_dir).await,
            Self::Janus { loops } => janus::start(loops, temp_dir).await,
            Self::Baseline(variant, profile) => clients::start(variant, profile, load).await,
        }
    }

    /// Lets all clients join.
    ///
    /// # Errors
    /// A client cannot join.
    pub async fn join_all(
        self,
        server: &Server,
        load: Load<'_>,
        joins: &mut Joins,
    ) -> Result<SignallingSockets> {
        match self {
            Self::Noom { estimates } => noom::join_all(estimates, server, load, joins).await,
            Self::Janus { .. } => janus::join_all(server, load, joins).await,
            Self::Baseline(_, profile) => {
                clients::join_all(profile, server, load, joins);
                Ok(SignallingSockets::new())
            }
        }
    }

    /// Lets a visitor join who only receives, where the server supports that. A visitor's index is
    /// above every client's.
    ///
    /// # Errors
    /// The visitor cannot join.
    pub async fn join_visitor(
        self,
        server: &Server,
        load: Load<'_>,
        index: u32,
    ) -> Result<SignallingSockets> {
        match self {
            Self::Noom { estimates } => noom::join_visitor(estimates, server, load, index).await,
            Self::Janus { .. } | Self::Baseline(..) => Ok(SignallingSockets::new()),
        }
    }

    /// The clients that receive media, in order.
    pub fn receivers(self, scenario: Scenario) -> Vec<u32> {
        let receives = |person: &u32| scenario.publishers > 1 || !scenario.publishes(*person);
        let people = (0..scenario.everybody()).filter(receives);
        match self {
            Self::Janus { .. } => people
                .map(|person| janus::receiver(scenario, person))
                .collect(),
            Self::Noom { .. } | Self::Baseline(..) => people.collect(),
        }
    }
}

/// Whether a client decrypts what it receives.
fn decrypts(person: u32, all: bool) -> bool {
    all || person % DECRYPTING_SHARE == 1
}

/// Waits for the turn of the client at `place`, where the scenario sets a join rate.
async fn wait_for_turn(scenario: Scenario, began: Instant, place: u32) {
    if let Some(rate) = scenario.joins_per_second() {
        sleep_until(began + Duration::from_secs(place.into()) / rate).await;
    }
}

/// Number of concurrent joins: unlimited, where the scenario sets a join rate.
fn concurrent_joins(scenario: Scenario) -> usize {
    match scenario.joins_per_second() {
        Some(_) => scenario.everybody() as usize,
        None => CONCURRENT_JOINS,
    }
}
