//! The chat and page servers under test, and how each is started.

use crate::{
    protocol::Protocol,
    server::{Server, TempDir},
};
use anyhow::Result;
use std::path::Path;

/// A directory in memory.
const MEMORY: &str = "/dev/shm";

/// A server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// Noom with its database on disk.
    Noom,
    /// Noom with its database in memory, which shows the cost of the disk.
    NoomInMemory,
    /// Express and Socket.IO: `bench/peers/socketio.mjs`.
    SocketIo,
    /// Bare `ws` in Node.
    Ws,
    /// socketioxide on axum.
    Socketioxide,
}

impl Implementation {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noom => "noom",
            Self::NoomInMemory => "noom, in memory",
            Self::SocketIo => "socket.io",
            Self::Ws => "ws",
            Self::Socketioxide => "socketioxide",
        }
    }

    /// The protocol of its sockets.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Noom | Self::NoomInMemory => Protocol::Noom,
            Self::SocketIo | Self::Socketioxide => Protocol::SocketIo,
            Self::Ws => Protocol::Ws,
        }
    }

    /// Starts the server.
    pub async fn start(self, noom: &Path) -> Result<RunningServer> {
        let data = match self {
            Self::Noom => Some("target"),
            Self::NoomInMemory => Some(MEMORY),
            Self::SocketIo | Self::Ws | Self::Socketioxide => None,
        };
        let data = data.map(|parent| TempDir::within(Path::new(parent), "chat"));
        let server = match (self, &data) {
            (_, Some(data)) => start_noom(noom, data.path()).await?,
            (Self::SocketIo, _) => start_node("socketio.mjs").await?,
            (Self::Ws, _) => start_node("ws.mjs").await?,
            _ => start_sibling("noom-bench-socketioxide").await?,
        };
        Ok(RunningServer {
            server,
            _data: data,
        })
    }
}

/// A running server with its data directory.
pub struct RunningServer {
    /// The server's process, killed when dropped.
    pub server: Server,
    /// Deleted when dropped.
    _data: Option<TempDir>,
}

/// Starts Noom with limits for ten thousand connections and rooms of a thousand; other settings are
/// the defaults.
pub async fn start_noom(noom: &Path, data: &Path) -> Result<Server> {
    let arguments = [
        "--listen",
        "127.0.0.1:{port}",
        "--data-dir",
        &data.to_string_lossy(),
        "--room-capacity",
        "2000",
        "--max-rooms",
        "20000",
        "--media-listen",
        "127.0.0.1:0",
        "--turn-listen",
        "off",
        "--metrics-listen",
        "off",
        "--log",
        "warn",
    ];
    let arguments = arguments.map(str::to_owned);
    Server::start(&noom.to_string_lossy(), &arguments).await
}

/// Starts a Node.js server in `bench/peers/`.
pub async fn start_node(file: &str) -> Result<Server> {
    Server::start("node", &[format!("bench/peers/{file}")]).await
}

/// Starts a server binary that was built next to this program.
async fn start_sibling(name: &str) -> Result<Server> {
    let program = std::env::current_exe()?.with_file_name(name);
    Server::start(&program.to_string_lossy(), &[]).await
}
