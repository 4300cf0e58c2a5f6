//! A call of three that goes on while others attack the server.

use super::{
    Options,
    client::generator::{ClientEvent, EventKind, LoadGenerator},
    net::impairment::Impairment,
    run::Joins,
    scenario::model::{Scenario, Stress},
    servers::{self, Sfu, SignallingSockets},
};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

/// Three people who see and hear each other.
const SHAPE: Scenario = Scenario {
    id: "call",
    rooms: 1,
    people: 3,
    publishers: 3,
    bitrate: 500_000,
    tiles: 2,
    extra: Stress::None,
};
/// As browsers do it.
const NOOM: Sfu = Sfu::Noom { estimates: true };
/// Within which everybody has got a packet.
const FIRST_MEDIA_TIMEOUT: Duration = Duration::from_secs(15);

/// The call; it ends when dropped.
pub struct Call {
    /// The thread of its clients.
    generator: LoadGenerator,
    /// Their sockets.
    _lines: SignallingSockets,
}

impl Call {
    /// Brings three people in and waits until each of them receives media.
    ///
    /// # Errors
    /// Somebody is not let in, or receives nothing.
    pub async fn start(server: &Server) -> Result<Self> {
        let (generator, mut notes) = LoadGenerator::start(Impairment::default())?;
        let (options, mut entries) = (Options::default(), Joins::new());
        let lines =
            servers::connect(NOOM, server, &generator, SHAPE, &options, &mut entries).await?;
        timeout(FIRST_MEDIA_TIMEOUT, all_received_media(&mut notes))
            .await
            .context("somebody receives nothing")??;
        Ok(Self {
            generator,
            _lines: lines,
        })
    }

    /// Measures from here.
    pub fn mark(&self) {
        self.generator.mark();
    }

    /// The longest time between two pictures since the mark, of any stream at anybody, in ms;
    /// a stream that has stopped counts until now.
    ///
    /// # Errors
    /// The clients have ended, or no picture came at all.
    pub async fn longest_gap_ms(&self) -> Result<f64> {
        let counters = self.generator.report().await?;
        ensure!(
            counters.gaps.len() > 100,
            "there were {} pictures",
            counters.gaps.len()
        );
        Ok(counters.gaps.max() as f64 / 1_000.0)
    }
}

/// Waits until each client has got a packet.
async fn all_received_media(notes: &mut UnboundedReceiver<ClientEvent>) -> Result<()> {
    let mut heard = 0;
    while heard < SHAPE.everybody() {
        let note = notes.recv().await.context("the clients have ended")?;
        heard += u32::from(note.what == EventKind::FirstMedia);
    }
    Ok(())
}
