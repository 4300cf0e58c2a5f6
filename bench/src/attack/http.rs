//! HTTP requests and WebSockets from a chosen source address.

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
    tungstenite::{
        Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// Longest wait of an attacker for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a TCP connection from a source address.
///
/// # Errors
/// The server does not accept it within [`TIMEOUT`].
pub async fn connect(source: Ipv4Addr, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = timeout(TIMEOUT, socket.connect(target)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request unchanged and returns the status of the answer.
///
/// # Errors
/// There is no answer.
pub async fn status(source: Ipv4Addr, port: u16, request: &str) -> Result<u16> {
    let mut stream = connect(source, port).await?;
    stream.write_all(request.as_bytes()).await?;
    read_status(&mut stream).await
}

/// Reads the status line of an answer and returns its code.
///
/// # Errors
/// The connection ended, or no answer came within [`TIMEOUT`].
pub async fn read_status(stream: &mut TcpStream) -> Result<u16> {
    let mut head = [0; 16];
    timeout(TIMEOUT, stream.read_exact(&mut head)).await??;
    let line = String::from_utf8_lossy(&head);
    let code = line.split(' ').nth(1).context("no status line")?;
    Ok(code.parse()?)
}

/// A GET request for a path.
pub fn get(port: u16, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    )
}

/// A POST request without a body and without `Content-Type`.
pub fn empty_post(port: u16, path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// A POST request with an urlencoded form.
pub fn form(port: u16, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nAccept: text/html\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The headers of every request of an upload.
fn upload_headers(port: u16, session: &str) -> String {
    format!(
        "Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nTus-Resumable: 1.0.0\r\n\
         Noom-Session: {session}\r\nConnection: close\r\n"
    )
}

/// A request that begins an upload.
pub fn begin_upload(port: u16, room: &str, session: &str, length: usize) -> String {
    let (room, headers) = (room.replace(' ', "%20"), upload_headers(port, session));
    format!(
        "POST /uploads/{room} HTTP/1.1\r\n{headers}Upload-Length: {length}\r\n\
         Upload-Metadata: filename eC5iaW4=\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The head of a request that uploads a file from its start; `length` bytes have to follow.
pub fn part_of_upload(port: u16, path: &str, session: &str, length: usize) -> String {
    let headers = upload_headers(port, session);
    format!(
        "PATCH {path} HTTP/1.1\r\n{headers}Upload-Offset: 0\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends a request that begins an upload; returns the path of the upload, unless the server refuses it.
///
/// # Errors
/// There is no answer.
pub async fn upload_location(source: Ipv4Addr, port: u16, request: &str) -> Result<Option<String>> {
    let mut stream = connect(source, port).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut answer)).await??;
    let location = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("location").then_some(value)
    });
    Ok(location.map(|path| path.trim().to_owned()))
}

/// A WebSocket that speaks the room protocol.
pub struct RoomSocket(WebSocketStream<TcpStream>);

impl RoomSocket {
    /// Opens a WebSocket.
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
        Ok(Self(timeout(TIMEOUT, opening).await??.0))
    }

    /// Opens a WebSocket and joins a room; also returns the `joined` message.
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
        socket.send(&join).await?;
        let joined = socket.wait_for("joined").await?;
        Ok((socket, joined))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub async fn send(&mut self, message: &Value) -> Result<()> {
        self.send_text(message.to_string()).await
    }

    /// Sends an already serialized message.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub async fn send_text(&mut self, text: String) -> Result<()> {
        Ok(timeout(TIMEOUT, self.0.send(Message::text(text))).await??)
    }

    /// Waits for a message of a type.
    ///
    /// # Errors
    /// The server sends `error`, closes, or sends nothing within [`TIMEOUT`].
    pub async fn wait_for(&mut self, wanted: &str) -> Result<Value> {
        let waiting = async {
            loop {
                let frame = self.next().await?;
                match frame["type"].as_str() {
                    Some(kind) if kind == wanted => return Ok(frame),
                    Some("error") => bail!("the server says {frame}"),
                    _ => {}
                }
            }
        };
        timeout(TIMEOUT, waiting).await?
    }

    /// Returns the next message.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub async fn next(&mut self) -> Result<Value> {
        while let Some(message) = self.0.next().await {
            if let Message::Text(text) = message? {
                return Ok(serde_json::from_str(&text)?);
            }
        }
        bail!("the server closed the connection")
    }

    /// Reads the frames that have already arrived; returns the number of `error` messages.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub async fn drain(&mut self) -> Result<u64> {
        let mut refused = 0;
        while let Ok(frame) = timeout(Duration::from_millis(1), self.next()).await {
            refused += u64::from(frame?["type"] == "error");
        }
        Ok(refused)
    }

    /// Leaves the room and closes the connection.
    ///
    /// # Errors
    /// The server has closed the connection.
    pub async fn close(&mut self) -> Result<()> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        Ok(timeout(TIMEOUT, self.0.close(Some(frame))).await??)
    }

    /// Closes the connection with a TCP reset.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO));
    }
}
