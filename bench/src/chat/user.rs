//! One user of Noom in one room.

use super::clients::{Socket, join_room};
use crate::{protocol::Protocol, server::Server};
use anyhow::{Result, bail};
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// A client of Noom that has joined a room.
pub struct ChatUser {
    socket: Socket,
    room: String,
}

impl ChatUser {
    /// Joins a room.
    pub async fn join(server: &Server, room: &str) -> Result<Self> {
        let socket = join_room(server.port, Protocol::Noom, room, "person 0").await?;
        Ok(Self {
            socket,
            room: room.to_owned(),
        })
    }

    /// Sends a message and waits for its acknowledgement.
    pub async fn send_chat(&mut self, text: &str) -> Result<()> {
        let frame = Protocol::Noom.message(&self.room, text);
        self.socket.send(Message::text(frame)).await?;
        while let Some(frame) = self.socket.next().await {
            if let Message::Text(frame) = frame?
                && frame.starts_with(r#"{"type":"chat""#)
            {
                return Ok(());
            }
        }
        bail!("the server closed the connection")
    }
}
