//! The signalling of a client: JSON over a WebSocket.

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

/// Longest wait for an answer of a server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The WebSocket of a client that is joining.
pub struct SignallingSocket(WebSocketStream<TcpStream>);

impl SignallingSocket {
    /// Opens a WebSocket.
    pub async fn open(port: u16, path: &str, protocol: Option<&str>) -> Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        let uri: Uri = format!("ws://127.0.0.1:{port}{path}").parse()?;
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(protocol) = protocol {
            request = request.with_sub_protocol(protocol);
        }
        // Small buffers: there may be thousands of sockets.
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, tcp, Some(config)).await?;
        Ok(Self(socket))
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// Waits for the message that `select` accepts.
    ///
    /// # Errors
    /// `select` fails, the server closes, or sends no such message within [`ANSWER_TIMEOUT`].
    pub async fn wait_for<T>(&mut self, select: impl Fn(&Value) -> Result<Option<T>>) -> Result<T> {
        let waiting = async {
            while let Some(message) = self.0.next().await {
                let Message::Text(text) = message? else {
                    continue;
                };
                if let Some(answer) = select(&serde_json::from_str(&text)?)? {
                    return Ok(answer);
                }
            }
            bail!("the server closed the connection")
        };
        timeout(ANSWER_TIMEOUT, waiting)
            .await
            .context("the server does not answer")?
    }

    /// Sends queued messages and discards received ones until either side ends.
    async fn keep_open(mut self, mut queue: UnboundedReceiver<Value>) -> Result<()> {
        loop {
            tokio::select! {
                message = self.0.next() => match message {
                    Some(message) => drop(message?),
                    None => return Ok(()),
                },
                queued = queue.recv() => match queued {
                    Some(queued) => self.send(&queued).await?,
                    None => return Ok(()),
                },
            }
        }
    }
}

/// The WebSockets of all joined clients. They close when this is dropped.
pub struct SignallingSockets {
    /// The tasks that keep them open.
    tasks: Vec<AbortHandle>,
    /// Queues of messages to send, by client.
    queues: BTreeMap<u32, UnboundedSender<Value>>,
    /// The sending client, and its requests for the smallest and the largest layer; by the client
    /// that receives the video.
    layer_requests: BTreeMap<u32, (u32, [Value; 2])>,
}

impl SignallingSockets {
    /// A set without sockets.
    pub fn new() -> Self {
        Self {
            tasks: Vec::new(),
            queues: BTreeMap::new(),
            layer_requests: BTreeMap::new(),
        }
    }

    /// Keeps a socket open.
    pub fn keep(&mut self, person: u32, socket: SignallingSocket) {
        let (sender, queue) = unbounded_channel();
        let task = spawn_local(async move {
            if let Err(error) = socket.keep_open(queue).await {
                eprintln!("signalling of client {person}: {error:#}");
            }
        });
        self.tasks.push(task.abort_handle());
        self.queues.insert(person, sender);
    }

    /// Stores the requests of a client for the smallest and the largest layer.
    pub fn set_layer_requests(&mut self, receiver: u32, person: u32, requests: [Value; 2]) {
        self.layer_requests.insert(receiver, (person, requests));
    }

    /// The clients that can switch layers.
    pub fn layer_receivers(&self) -> Vec<u32> {
        self.layer_requests.keys().copied().collect()
    }

    /// Requests the largest or the smallest layer.
    pub fn request_layer(&self, receiver: u32, largest: bool) {
        if let Some((person, requests)) = self.layer_requests.get(&receiver) {
            self.send(*person, requests[usize::from(largest)].clone());
        }
    }

    /// Sends a message of a client.
    pub fn send(&self, person: u32, message: Value) {
        if let Some(queue) = self.queues.get(&person) {
            // A closed socket shows as missing media.
            let _ = queue.send(message);
        }
    }
}

impl Drop for SignallingSockets {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
