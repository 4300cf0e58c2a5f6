//! Janus's own protocol, as far as a video room needs it: sessions, handles, questions.

use crate::media::servers::signalling::SignallingSocket;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The plugin.
const PLUGIN: &str = "janus.plugin.videoroom";

/// A session of somebody.
pub struct Session {
    /// The way to the server.
    pub line: SignallingSocket,
    /// Its id.
    pub id: Value,
    /// Counts questions.
    asked: u64,
}

impl Session {
    /// Opens one.
    pub async fn open(port: u16) -> Result<Self> {
        let mut session = Self {
            line: SignallingSocket::open(port, "/", Some("janus-protocol")).await?,
            id: Value::Null,
            asked: 0,
        };
        let made = session.call(json!({"janus": "create"})).await?;
        session.id = made["data"]["id"].clone();
        Ok(session)
    }

    /// Attaches to the plugin: a connection.
    pub async fn attach(&mut self) -> Result<Value> {
        let attach = json!({"janus": "attach", "plugin": PLUGIN, "session_id": self.id});
        Ok(self.call(attach).await?["data"]["id"].clone())
    }

    /// Asks the plugin something.
    pub async fn ask(
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

    /// What is said to see a layer of every picture.
    pub fn layer(&self, handle: &Value, layer: u32) -> Value {
        let body = json!({"request": "configure", "streams": [
            {"mid": "1", "substream": layer, "temporal": 2},
        ]});
        json!({
            "janus": "message", "session_id": self.id, "handle_id": handle, "body": body,
            "transaction": "layer",
        })
    }

    /// Says that there are no further candidates.
    pub async fn gathered(&mut self, handle: &Value) -> Result<()> {
        let message = json!({
            "janus": "trickle", "session_id": self.id, "handle_id": handle,
            "candidate": {"completed": true}, "transaction": "gathered",
        });
        self.line.say(&message).await
    }

    /// Says something and waits for the answer, which is not the acknowledgement.
    async fn call(&mut self, mut message: Value) -> Result<Value> {
        self.asked += 1;
        let transaction = self.asked.to_string();
        message["transaction"] = json!(transaction);
        self.line.say(&message).await?;
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
        self.line.hear(answer).await
    }
}

/// The description that came with an answer.
pub fn description(answer: &Value) -> Result<&str> {
    let sdp = answer["jsep"]["sdp"].as_str();
    sdp.with_context(|| format!("no description in {answer}"))
}
