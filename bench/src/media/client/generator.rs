//! The thread that is all clients: it sends what is due, takes in what has come, and looks at
//! the clocks. Nothing in it waits for anything else.
//!
//! Whoever signals for the clients runs elsewhere and talks to it by [`LoadGenerator`].

use super::{client_loop::ClientLoop, counters::Counters, peer::Peer};
use crate::media::net::{
    impairment::{Direction, Impairment, NetworkEmulator},
    socket_pool::SocketPool,
};
use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
    time::Instant,
};
use tokio::sync::{mpsc, oneshot};

/// What clients are told.
pub enum Command {
    /// Here is another one.
    Add(Box<Peer>),
    /// It goes.
    Remove(u32),
    /// A window opens.
    Mark,
    /// The window is over: what came of it?
    Report(oneshot::Sender<Counters>),
    /// All go.
    Stop,
}

/// What happened to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// ICE and DTLS are done.
    Connected,
    /// The first media packet came.
    FirstMedia,
    /// The first packet of another simulcast layer came.
    LayerChanged(u8),
    /// The connection is over.
    Closed,
}

/// What happened to whom and when.
#[derive(Debug, Clone, Copy)]
pub struct ClientEvent {
    /// The client.
    pub index: u32,
    /// What happened.
    pub what: EventKind,
    /// When.
    pub at: Instant,
}

/// What a client has context it.
pub struct ClientContext<'a> {
    /// The sockets.
    pub lanes: &'a SocketPool,
    /// What is between the sockets and the client.
    pub emulator: &'a mut NetworkEmulator,
    /// What is counted.
    pub counters: &'a mut Counters,
    /// Where notes go.
    pub notes: &'a mpsc::UnboundedSender<ClientEvent>,
    /// The time.
    pub now: Instant,
}

impl ClientContext<'_> {
    /// Sends a datagram of a client, through whatever impairment there is.
    pub fn send(&mut self, client: u32, to: SocketAddr, bytes: &[u8]) {
        if !self
            .emulator
            .hold(Direction::Up, client, to, bytes, self.now)
        {
            self.lanes.send(client, to, bytes);
        }
    }

    /// Tells whoever started the client.
    pub fn note(&self, index: u32, what: EventKind) {
        let at = self.now;
        // Nobody listens when it is over.
        let _ = self.notes.send(ClientEvent { index, what, at });
    }
}

/// All clients, from outside.
pub struct LoadGenerator {
    /// Where commands go.
    commands: Sender<Command>,
    /// The sockets.
    pub lanes: Arc<SocketPool>,
    /// The thread.
    thread: Option<JoinHandle<Result<()>>>,
}

impl LoadGenerator {
    /// Starts the thread. Notes are as many as clients, times three.
    pub fn start(impairment: Impairment) -> Result<(Self, mpsc::UnboundedReceiver<ClientEvent>)> {
        let lanes = Arc::new(SocketPool::open()?);
        let (commands, orders) = channel();
        let (notes, heard) = mpsc::unbounded_channel();
        let client_loop = ClientLoop::new(lanes.clone(), orders, notes, impairment);
        let thread = std::thread::Builder::new().name("clients".to_owned());
        let thread = thread.spawn(|| client_loop.run()).context("the thread")?;
        let generator = Self {
            commands,
            lanes,
            thread: Some(thread),
        };
        Ok((generator, heard))
    }

    /// Adds a client.
    pub fn add(&self, peer: Peer) {
        self.command(Command::Add(Box::new(peer)));
    }

    /// Removes one.
    pub fn remove(&self, index: u32) {
        self.command(Command::Remove(index));
    }

    /// Opens a window.
    pub fn mark(&self) {
        self.command(Command::Mark);
    }

    /// Closes it.
    pub async fn report(&self) -> Result<Counters> {
        let (answer, report) = oneshot::channel();
        self.command(Command::Report(answer));
        report.await.context("the clients' thread has ended")
    }

    /// Tells the thread. Whether it still lives is seen at the next report.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Drop for LoadGenerator {
    fn drop(&mut self) {
        self.command(Command::Stop);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the clients' thread: {error:#}");
        }
    }
}
