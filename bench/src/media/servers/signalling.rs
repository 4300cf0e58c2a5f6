//! The way of one client to its server: JSON over a WebSocket.

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, spawn_local},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{ClientRequestBuilder, Message, http::Uri, protocol::WebSocketConfig},
};

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A line on which somebody waits for answers.
pub struct SignallingSocket(WebSocketStream<TcpStream>);

impl SignallingSocket {
    /// Opens one.
    pub async fn open(port: u16, path: &str, protocol: Option<&str>) -> Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let uri: Uri = format!("ws://127.0.0.1:{port}{path}").parse()?;
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(protocol) = protocol {
            request = request.with_sub_protocol(protocol);
        }
        // Small buffers: there may be thousands of these.
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, tcp, Some(config)).await?;
        Ok(Self(socket))
    }

    /// Says something.
    pub async fn say(&mut self, words: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(words.to_string())).await?)
    }

    /// Waits for what `wanted` takes; an error of it is an answer, too.
    pub async fn hear<T>(&mut self, wanted: impl Fn(&Value) -> Result<Option<T>>) -> Result<T> {
        let hearing = async {
            while let Some(message) = self.0.next().await {
                let Message::Text(text) = message? else {
                    continue;
                };
                if let Some(answer) = wanted(&serde_json::from_str(&text)?)? {
                    return Ok(answer);
                }
            }
            bail!("the server hung up")
        };
        timeout(ANSWER_WITHIN, hearing)
            .await
            .context("the server does not answer")?
    }

    /// Goes on saying what it is given and hearing whatever comes.
    async fn go_on(mut self, mut words: UnboundedReceiver<Value>) -> Result<()> {
        loop {
            tokio::select! {
                message = self.0.next() => match message {
                    Some(message) => drop(message?),
                    None => return Ok(()),
                },
                said = words.recv() => match said {
                    Some(said) => self.say(&said).await?,
                    None => return Ok(()),
                },
            }
        }
    }
}

/// The lines of everybody who is in, on which nobody waits for anything any more.
pub struct SignallingSockets {
    /// The tasks that keep them alive.
    tasks: Vec<AbortHandle>,
    /// The way to each.
    voices: BTreeMap<u32, UnboundedSender<Value>>,
    /// What watchers say to see the smallest layer and the largest, by the number of the
    /// connection on which they see, with their own.
    requests: BTreeMap<u32, (u32, [Value; 2])>,
}

impl SignallingSockets {
    /// None yet.
    pub fn none() -> Self {
        Self {
            tasks: Vec::new(),
            voices: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    /// Keeps a line.
    pub fn keep(&mut self, person: u32, line: SignallingSocket) {
        let (voice, words) = unbounded_channel();
        let task = spawn_local(async move {
            if let Err(error) = line.go_on(words).await {
                eprintln!("the line of client {person}: {error:#}");
            }
        });
        self.tasks.push(task.abort_handle());
        self.voices.insert(person, voice);
    }

    /// Notes what somebody says to see the smallest layer and the largest.
    pub fn prepare(&mut self, ear: u32, person: u32, requests: [Value; 2]) {
        self.requests.insert(ear, (person, requests));
    }

    /// Those who can switch.
    pub fn watchers(&self) -> Vec<u32> {
        self.requests.keys().copied().collect()
    }

    /// Lets somebody switch.
    pub fn wish(&self, ear: u32, large: bool) {
        if let Some((person, requests)) = self.requests.get(&ear) {
            self.say(*person, requests[usize::from(large)].clone());
        }
    }

    /// Says something for somebody.
    pub fn say(&self, person: u32, words: Value) {
        if let Some(voice) = self.voices.get(&person) {
            let _ = voice.send(words);
        }
    }
}

impl Drop for SignallingSockets {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
