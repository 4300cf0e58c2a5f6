//! Which servers are measured, and how each is started.

use crate::{protocol::Protocol, server::Server};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process,
};

/// Somewhere in memory, for a store without a disk.
const MEMORY: &str = "/dev/shm";

/// A server to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// Noom, durable, on the disk of this machine.
    Noom,
    /// The same, with its database in memory: what the disk costs is what this saves.
    NoomInMemory,
    /// Express and Socket.IO, as the course builds it.
    SocketIo,
    /// Bare `ws` in Node.
    Ws,
    /// socketioxide on axum.
    Socketioxide,
}

impl Implementation {
    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noom => "noom",
            Self::NoomInMemory => "noom, in memory",
            Self::SocketIo => "socket.io",
            Self::Ws => "ws",
            Self::Socketioxide => "socketioxide",
        }
    }

    /// How it is spoken to.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Noom | Self::NoomInMemory => Protocol::Noom,
            Self::SocketIo | Self::Socketioxide => Protocol::SocketIo,
            Self::Ws => Protocol::Ws,
        }
    }

    /// Starts it.
    pub async fn start(self, noom: &Path) -> Result<RunningServer> {
        let data = match self {
            Self::Noom => Some(PathBuf::from("target")),
            Self::NoomInMemory => Some(PathBuf::from(MEMORY)),
            _ => None,
        };
        let data = data.map(|folder| TempDir(folder.join(format!("noom-bench-{}", process::id()))));
        let server = match (self, &data) {
            (_, Some(data)) => start_noom(noom, &data.0).await?,
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

/// A server that runs, with its data.
pub struct RunningServer {
    /// The process.
    pub server: Server,
    /// Deleted when dropped.
    _data: Option<TempDir>,
}

/// A folder that is deleted when dropped.
struct TempDir(PathBuf);

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Noom with the settings that ten thousand connections and rooms of a thousand ask for;
/// everything else is as it comes.
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

/// A peer in `bench/peers/`.
pub async fn start_node(file: &str) -> Result<Server> {
    Server::start("node", &[format!("bench/peers/{file}")]).await
}

/// A peer that was built with this program and lies beside it.
async fn start_sibling(name: &str) -> Result<Server> {
    let program = std::env::current_exe()?.with_file_name(name);
    Server::start(&program.to_string_lossy(), &[]).await
}
