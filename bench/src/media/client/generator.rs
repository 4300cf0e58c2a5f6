//! The load generator: the thread of all clients, from outside.
//!
//! Signalling runs elsewhere and controls the clients by [`LoadGenerator`].

use super::{
    client_loop::{ClientLoop, Command},
    context::ClientEvent,
    counters::Counters,
    peer::Peer,
};
use crate::media::net::{impairment::Impairment, socket_pool::SocketPool};
use anyhow::{Context, Result};
use std::{
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};

/// A handle to the thread of all clients. The thread ends when this is dropped.
pub struct LoadGenerator {
    /// Sends commands to the thread.
    commands: Sender<Command>,
    /// The sockets of all clients.
    pub sockets: Arc<SocketPool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl LoadGenerator {
    /// Starts the thread. There are about three events per client.
    pub fn start(impairment: Impairment) -> Result<(Self, mpsc::UnboundedReceiver<ClientEvent>)> {
        let sockets = Arc::new(SocketPool::open()?);
        let (commands, received) = channel();
        let (sender, events) = mpsc::unbounded_channel();
        let client_loop = ClientLoop::new(sockets.clone(), received, sender, impairment);
        let thread = std::thread::Builder::new().name("clients".to_owned());
        let thread = thread.spawn(|| client_loop.run()).context("the thread")?;
        let generator = Self {
            commands,
            sockets,
            thread: Some(thread),
        };
        Ok((generator, events))
    }

    /// Adds a client.
    pub fn add(&self, peer: Peer) {
        self.command(Command::Add(Box::new(peer)));
    }

    /// Removes a client.
    pub fn remove(&self, index: u32) {
        self.command(Command::Remove(index));
    }

    /// Opens a measurement window: all counters start from zero.
    pub fn reset_counters(&self) {
        self.command(Command::ResetCounters);
    }

    /// Returns the counters of the window.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn report(&self) -> Result<Counters> {
        let (answer, report) = oneshot::channel();
        self.command(Command::Report(answer));
        report.await.context("the clients' thread has ended")
    }

    /// Sends a command. A thread that has ended fails the next report.
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
