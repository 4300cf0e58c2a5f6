//! The part of Janus's WebSocket API that a video room needs: sessions, handles and transactions.

use crate::media::servers::signalling::SignallingSocket;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Name of the video room plugin.
const PLUGIN: &str = "janus.plugin.videoroom";

/// A session of a client.
pub struct Session {
    /// The WebSocket to the server.
    pub socket: SignallingSocket,
    /// The session id.
    pub id: Value,
    /// Number of transactions so far.
    transactions: u64,
}

impl Session {
    /// Opens a session.
    pub async fn open(port: u16) -> Result<Self> {
        let mut session = Self {
            socket: SignallingSocket::open(port, "/", Some("janus-protocol")).await?,
            id: Value::Null,
            transactions: 0,
        };
        let made = session.call(json!({"janus": "create"})).await?;
        session.id = made["data"]["id"].clone();
        Ok(session)
    }

    /// Attaches to the plugin, which creates a connection.
    pub async fn attach(&mut self) -> Result<Value> {
        let attach = json!({"janus": "attach", "plugin": PLUGIN, "session_id": self.id});
        Ok(self.call(attach).await?["data"]["id"].clone())
    }

    /// Sends a request to the plugin.
    pub async fn request(
        &mut self,
        handle: &Value,
        body: &Value,
        jsep: Option<&Value>,
    ) -> Result<Value> {
        let mut message = json!({
            "janus": "message", "session_id": self.id, "handle_id": handle, "body": body,
        });
        if let Some(jsep) = jsep {
            message["jsep"] = jsep.clone();
        }
        let answer = self.call(message).await?;
        match &answer["plugindata"]["data"]["error"] {
            Value::Null => Ok(answer),
            error => bail!("Janus says {error}"),
        }
    }

    /// The message that requests a layer of every video.
    pub fn layer_request(&self, handle: &Value, layer: u32) -> Value {
        let body = json!({"request": "configure", "streams": [
            {"mid": "1", "substream": layer, "temporal": 2},
        ]});
        json!({
            "janus": "message", "session_id": self.id, "handle_id": handle, "body": body,
            "transaction": "layer",
        })
    }

    /// Signals the end of candidates.
    pub async fn end_candidates(&mut self, handle: &Value) -> Result<()> {
        let message = json!({
            "janus": "trickle", "session_id": self.id, "handle_id": handle,
            "candidate": {"completed": true}, "transaction": "end of candidates",
        });
        self.socket.send(&message).await
    }

    /// Sends a message and waits for its answer, which follows the acknowledgement.
    async fn call(&mut self, mut message: Value) -> Result<Value> {
        self.transactions += 1;
        let transaction = self.transactions.to_string();
        message["transaction"] = json!(transaction);
        self.socket.send(&message).await?;
        let answer = |answer: &Value| {
            if answer["transaction"] != transaction.as_str() {
                return Ok(None);
            }
            match answer["janus"].as_str() {
                Some("ack") => Ok(None),
                Some("error") => bail!("Janus says {answer}"),
                _ => Ok(Some(answer.clone())),
            }
        };
        self.socket.wait_for(answer).await
    }
}

/// The SDP in an answer.
pub fn description(answer: &Value) -> Result<&str> {
    let sdp = answer["jsep"]["sdp"].as_str();
    sdp.with_context(|| format!("no description in {answer}"))
}
