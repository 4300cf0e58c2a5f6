//! A call of three that goes on while others attack the server.

use super::{
    Choice,
    client::generator::{Engine, Note, What},
    net::impairment::Weather,
    run::Entries,
    scenario::model::{Extra, Shape},
    servers::{self, Lines, Sfu},
};
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

/// Three people who see and hear each other.
const SHAPE: Shape = Shape {
    id: "call",
    rooms: 1,
    people: 3,
    publishers: 3,
    bitrate: 500_000,
    tiles: 2,
    extra: Extra::Nothing,
};
/// As browsers do it.
const NOOM: Sfu = Sfu::Noom { estimates: true };
/// Within which everybody has got a packet.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// The call; it ends when dropped.
pub struct Call {
    /// The thread of its clients.
    engine: Engine,
    /// Their sockets.
    _lines: Lines,
}

impl Call {
    /// Brings three people in and waits until each of them receives media.
    ///
    /// # Errors
    /// Somebody is not let in, or receives nothing.
    pub async fn start(server: &Server) -> Result<Self> {
        let (engine, mut notes) = Engine::start(Weather::default())?;
        let (choice, mut entries) = (Choice::default(), Entries::new());
        let lines = servers::connect(NOOM, server, &engine, SHAPE, &choice, &mut entries).await?;
        timeout(HEARD_WITHIN, everybody_heard(&mut notes))
            .await
            .context("somebody receives nothing")??;
        Ok(Self {
            engine,
            _lines: lines,
        })
    }

    /// Measures from here.
    pub fn mark(&self) {
        self.engine.mark();
    }

    /// The longest time between two pictures since the mark, of any stream at anybody, in ms;
    /// a stream that has stopped counts until now.
    ///
    /// # Errors
    /// The clients have ended, or no picture came at all.
    pub async fn longest_gap_ms(&self) -> Result<f64> {
        let tally = self.engine.report().await?;
        ensure!(
            tally.gaps.len() > 100,
            "there were {} pictures",
            tally.gaps.len()
        );
        Ok(tally.gaps.max() as f64 / 1_000.0)
    }
}

/// Waits until each client has got a packet.
async fn everybody_heard(notes: &mut UnboundedReceiver<Note>) -> Result<()> {
    let mut heard = 0;
    while heard < SHAPE.everybody() {
        let note = notes.recv().await.context("the clients have ended")?;
        heard += u32::from(note.what == What::Heard);
    }
    Ok(())
}
