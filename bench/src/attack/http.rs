//! Requests and sockets from a source address of one's own.

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// How long a stranger waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A TCP connection from this address.
///
/// # Errors
/// The server does not accept it in time.
pub async fn connect(source: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = timeout(PATIENCE, socket.connect(target)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request as it is and gives the status of the answer.
///
/// # Errors
/// There is no answer.
pub async fn status(source: Ipv4Addr, port: u16, request: &str) -> Result<u16> {
    let mut stream = connect(source, port).await?;
    stream.write_all(request.as_bytes()).await?;
    read_status(&mut stream).await
}

/// Reads the status line of an answer.
///
/// # Errors
/// The connection ended, or nothing came in time.
pub async fn read_status(stream: &mut TcpStream) -> Result<u16> {
    let mut head = [0; 16];
    timeout(PATIENCE, stream.read_exact(&mut head)).await??;
    let line = String::from_utf8_lossy(&head);
    let code = line.split(' ').nth(1).context("no status line")?;
    Ok(code.parse()?)
}

/// A GET of this path.
pub fn get(port: u16, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    )
}

/// A plain form.
pub fn form(port: u16, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nAccept: text/html\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// A socket of the room protocol.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn open(source: Ipv4Addr, port: u16) -> Result<Self> {
        let tcp = connect(source, port).await?;
        let url = format!("ws://127.0.0.1:{port}/ws");
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0);
        let opening = client_async_with_config(url, tcp, Some(config));
        Ok(Self(timeout(PATIENCE, opening).await??.0))
    }

    /// Opens one and joins a room. Gives the answer `joined`, too.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn join(
        source: Ipv4Addr,
        port: u16,
        room: &str,
        nickname: &str,
    ) -> Result<(Self, Value)> {
        let mut socket = Self::open(source, port).await?;
        let join = serde_json::json!({"type": "join", "room": room, "nickname": nickname});
        socket.say(&join).await?;
        let joined = socket.hear("joined").await?;
        Ok((socket, joined))
    }

    /// Says something.
    ///
    /// # Errors
    /// The server has hung up.
    pub async fn say(&mut self, words: &Value) -> Result<()> {
        self.say_text(words.to_string()).await
    }

    /// Says what was written down before.
    ///
    /// # Errors
    /// The server has hung up.
    pub async fn say_text(&mut self, text: String) -> Result<()> {
        Ok(timeout(PATIENCE, self.0.send(Message::text(text))).await??)
    }

    /// Waits for a message of this type.
    ///
    /// # Errors
    /// The server says `error`, hangs up, or says nothing in time.
    pub async fn hear(&mut self, wanted: &str) -> Result<Value> {
        let hearing = async {
            loop {
                let frame = self.next().await?;
                match frame["type"].as_str() {
                    Some(kind) if kind == wanted => return Ok(frame),
                    Some("error") => bail!("the server says {frame}"),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, hearing).await?
    }

    /// The next message.
    ///
    /// # Errors
    /// The server has hung up.
    pub async fn next(&mut self) -> Result<Value> {
        while let Some(message) = self.0.next().await {
            if let Message::Text(text) = message? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
        bail!("the server hung up")
    }

    /// Takes in what is there already; how many refusals that were.
    ///
    /// # Errors
    /// The server has hung up.
    pub async fn drain(&mut self) -> Result<u64> {
        let mut refused = 0;
        while let Ok(frame) = timeout(Duration::from_millis(1), self.next()).await {
            refused += u64::from(frame?["type"] == "error");
        }
        Ok(refused)
    }

    /// Ends the connection by a reset, as a stranger who does not care.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO));
    }
}
