//! Somebody in one room of a Noom who says something now and then.

use super::clients::{Line, come_in};
use crate::{protocol::Dialect, server::Server};
use anyhow::{Result, bail};
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// One person.
pub struct Guest {
    /// Their line.
    line: Line,
    /// Their room.
    room: String,
}

impl Guest {
    /// Comes into a room.
    pub async fn join(server: &Server, room: &str) -> Result<Self> {
        let line = come_in(server.port, Dialect::Noom, room, "person 0").await?;
        Ok(Self {
            line,
            room: room.to_owned(),
        })
    }

    /// Says something and waits until it is acknowledged.
    pub async fn says(&mut self, text: &str) -> Result<()> {
        let frame = Dialect::Noom.message(&self.room, text);
        self.line.send(Message::text(frame)).await?;
        while let Some(frame) = self.line.next().await {
            if let Message::Text(frame) = frame?
                && frame.starts_with(r#"{"type":"chat""#)
            {
                return Ok(());
            }
        }
        bail!("the server hung up")
    }
}
