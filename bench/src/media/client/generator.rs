//! The thread that is all clients: it sends what is due, takes in what has come, and looks at
//! the clocks. Nothing in it waits for anything else.
//!
//! Whoever signals for the clients runs elsewhere and talks to it by [`Engine`].

use super::{client_loop::Crew, counters::Tally, peer::Peer};
use crate::media::net::{
    impairment::{Sky, Way, Weather},
    socket_pool::Lanes,
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
    Report(oneshot::Sender<Tally>),
    /// All go.
    Stop,
}

/// What happened to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// ICE and DTLS are done.
    Connected,
    /// The first media packet came.
    Heard,
    /// The first packet of another simulcast layer came.
    Layer(u8),
    /// The connection is over.
    Ended,
}

/// What happened to whom and when.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// The client.
    pub index: u32,
    /// What happened.
    pub what: What,
    /// When.
    pub at: Instant,
}

/// What a client has around it.
pub struct Surroundings<'a> {
    /// The sockets.
    pub lanes: &'a Lanes,
    /// What is between the sockets and the client.
    pub sky: &'a mut Sky,
    /// What is counted.
    pub tally: &'a mut Tally,
    /// Where notes go.
    pub notes: &'a mpsc::UnboundedSender<Note>,
    /// The time.
    pub now: Instant,
}

impl Surroundings<'_> {
    /// Sends a datagram of a client, through whatever weather there is.
    pub fn send(&mut self, client: u32, to: SocketAddr, bytes: &[u8]) {
        if !self.sky.hold(Way::Up, client, to, bytes, self.now) {
            self.lanes.send(client, to, bytes);
        }
    }

    /// Tells whoever started the client.
    pub fn note(&self, index: u32, what: What) {
        let at = self.now;
        // Nobody listens when it is over.
        let _ = self.notes.send(Note { index, what, at });
    }
}

/// All clients, from outside.
pub struct Engine {
    /// Where commands go.
    commands: Sender<Command>,
    /// The sockets.
    pub lanes: Arc<Lanes>,
    /// The thread.
    thread: Option<JoinHandle<Result<()>>>,
}

impl Engine {
    /// Starts the thread. Notes are as many as clients, times three.
    pub fn start(weather: Weather) -> Result<(Self, mpsc::UnboundedReceiver<Note>)> {
        let lanes = Arc::new(Lanes::open()?);
        let (commands, orders) = channel();
        let (notes, heard) = mpsc::unbounded_channel();
        let crew = Crew::new(lanes.clone(), orders, notes, weather);
        let thread = std::thread::Builder::new().name("clients".to_owned());
        let thread = thread.spawn(|| crew.run()).context("the thread")?;
        let engine = Self {
            commands,
            lanes,
            thread: Some(thread),
        };
        Ok((engine, heard))
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
    pub async fn report(&self) -> Result<Tally> {
        let (answer, report) = oneshot::channel();
        self.command(Command::Report(answer));
        report.await.context("the clients' thread has ended")
    }

    /// Tells the thread. Whether it still lives is seen at the next report.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.command(Command::Stop);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the clients' thread: {error:#}");
        }
    }
}
