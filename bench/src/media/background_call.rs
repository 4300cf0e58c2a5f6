//! A call of three that runs while the server is attacked.

use super::{
    client::{
        context::{ClientEvent, EventKind, Joins},
        generator::LoadGenerator,
    },
    net::impairment::Impairment,
    scenario::model::{Scenario, Stress},
    servers::{Load, Sfu, SignallingSockets},
};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

/// Three people who see and hear each other.
const SCENARIO: Scenario = Scenario {
    id: "call",
    rooms: 1,
    people: 3,
    publishers: 3,
    bitrate: 500_000,
    tiles: 2,
    stress: Stress::None,
};
/// Noom with transport-cc, as browsers negotiate it.
const NOOM: Sfu = Sfu::Noom { estimates: true };
/// Longest wait for the first packet of every client.
const FIRST_MEDIA_TIMEOUT: Duration = Duration::from_secs(15);
/// Fewest video frames in a window for its gaps to mean something.
const MIN_FRAMES: u64 = 100;

/// The call. It ends when this is dropped.
pub struct BackgroundCall {
    /// The thread of its clients.
    generator: LoadGenerator,
    /// Keeps the clients' signalling open.
    _sockets: SignallingSockets,
}

impl BackgroundCall {
    /// Lets three people join and waits until each receives media.
    ///
    /// # Errors
    /// A client cannot join, or receives no media.
    pub async fn start(server: &Server) -> Result<Self> {
        let (generator, mut events) = LoadGenerator::start(Impairment::default())?;
        let load = Load {
            generator: &generator,
            scenario: SCENARIO,
            burst: 1,
        };
        let sockets = NOOM.join_all(server, load, &mut Joins::new()).await?;
        timeout(FIRST_MEDIA_TIMEOUT, wait_for_media(&mut events))
            .await
            .context("a client receives no media")??;
        Ok(Self {
            generator,
            _sockets: sockets,
        })
    }

    /// Opens a measurement window.
    pub fn reset_counters(&self) {
        self.generator.reset_counters();
    }

    /// Returns the largest gap between two video frames of any stream at any client since the
    /// reset, in ms. A stream that has stopped counts until now.
    ///
    /// # Errors
    /// The clients have ended, or there were too few frames.
    pub async fn largest_gap_ms(&self) -> Result<f64> {
        let counters = self.generator.report().await?;
        let frames = counters.frame_gaps.len();
        ensure!(frames > MIN_FRAMES, "there were {frames} video frames");
        Ok(counters.frame_gaps.max() as f64 / 1_000.0)
    }
}

/// Waits until each client has received a media packet.
async fn wait_for_media(events: &mut UnboundedReceiver<ClientEvent>) -> Result<()> {
    let mut receiving = 0;
    while receiving < SCENARIO.everybody() {
        let event = events.recv().await.context("the clients have ended")?;
        receiving += u32::from(event.kind == EventKind::FirstMedia);
    }
    Ok(())
}
