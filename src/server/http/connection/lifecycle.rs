//! The course of one connection: what comes in, how long it may be silent, how it ends.
//!
//! Everything that is said to the client goes through its outbox, so this never waits for
//! a slow reader; a full mailbox of the room makes it wait, which slows this connection
//! only. The transport reads and writes: `ws::socket` and `long_poll::task`.

use super::message_rates::Rates;
use crate::{
    protocol::{CloseCode, MAX_FRAME_BYTES, Obstacle, RoomName},
    server::{
        context::AppContext,
        net::ClientAddress,
        rooms::{Departure, Membership, Outbox, Summaries},
    },
};
use std::future::Future;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tungstenite::Utf8Bytes;

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client, or the line.
    Theirs(Departure),
    /// We close it, and this is what it means for the room.
    Ours(CloseCode, Departure),
}

/// What comes in.
pub enum Heard {
    /// A text frame.
    Text(Utf8Bytes),
    /// A sign of life that says nothing.
    Life,
    /// The end, by a goodbye, a broken line or a broken rule of the transport.
    Ended(End),
}

/// Where a connection hears from.
pub trait Incoming {
    /// The next thing heard. Asked again, what was heard before has been taken in.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    fn next(&mut self) -> impl Future<Output = Heard> + Send;
}

/// One connection.
pub struct Connection {
    /// The state of the server.
    pub(super) context: AppContext,
    /// Whose connection it is.
    pub(super) client: ClientAddress,
    /// Whatever is said to the client.
    pub(super) outbox: Outbox,
    /// What it may send.
    pub(super) rates: Rates,
    /// Its place in a room, once it has joined.
    pub(super) membership: Option<(RoomName, Membership)>,
    /// The list of open rooms, while it watches.
    pub(super) watching: Option<watch::Receiver<Summaries>>,
    /// The number of the list it was told last.
    pub(super) told_rooms: Option<u64>,
    /// Frames that were no message.
    pub(super) protocol_errors: u32,
    /// Which obstacles to media it has reported, in the order of [`Obstacle::ALL`].
    pub(super) reported: [bool; Obstacle::ALL.len()],
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(context: AppContext, outbox: Outbox, client: ClientAddress) -> Self {
        Self {
            context,
            client,
            outbox,
            rates: Rates::new(),
            membership: None,
            watching: None,
            told_rooms: None,
            protocol_errors: 0,
            reported: Default::default(),
        }
    }

    /// Listens until the end. Only what is complete counts as heard: a frame that comes
    /// one byte a second does not keep a connection alive.
    pub async fn run(&mut self, incoming: &mut impl Incoming) -> End {
        let timing = self.context.timing;
        let mut stopping = self.context.stopping.clone();
        let outbox = self.outbox.clone();
        let first_message_by = Instant::now() + timing.first_message_within;
        let mut heard_at = Instant::now();
        loop {
            let idle = self.membership.is_none() && self.watching.is_none();
            tokio::select! {
                heard = incoming.next() => {
                    heard_at = Instant::now();
                    if let Err(end) = self.take(heard).await {
                        return end;
                    }
                }
                list = next_list(self.watching.as_mut()) => self.tell_rooms(&list),
                code = outbox.closed() => return End::Ours(code, Departure::Lost),
                () = room_ended(self.membership.as_ref()) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = stop_asked(&mut stopping) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = sleep_until(heard_at + timing.dead_after) => {
                    return End::Ours(CloseCode::TooSlow, Departure::TimedOut);
                }
                () = sleep_until(first_message_by), if idle => {
                    return End::Ours(CloseCode::ProtocolBroken, Departure::Lost);
                }
            }
        }
    }

    /// Takes in what was heard.
    async fn take(&mut self, heard: Heard) -> Result<(), End> {
        if let Heard::Ended(end) = heard {
            return Err(end);
        }
        if !self.rates.allow_frame() {
            return Err(End::Ours(CloseCode::TooManyMessages, Departure::Lost));
        }
        match heard {
            Heard::Text(text) if text.len() > MAX_FRAME_BYTES => Err(End::TOO_LARGE),
            // In a box: what answering needs is not kept by those who say nothing.
            Heard::Text(text) => Box::pin(self.take_text(text.as_str())).await,
            Heard::Life | Heard::Ended(_) => Ok(()),
        }
    }

    /// Gives the place in the room up; answers the code to close with, if we close.
    pub async fn leave(&mut self, end: End) -> Option<CloseCode> {
        let (code, departure) = match end {
            End::Theirs(departure) => (None, departure),
            End::Ours(code, departure) => (Some(code), departure),
        };
        if let Some((_, membership)) = self.membership.take() {
            membership.leave(departure).await;
        }
        code
    }
}

impl End {
    /// A frame beyond the limit.
    pub const TOO_LARGE: Self = Self::Ours(CloseCode::FrameTooLarge, Departure::Lost);
}

/// What the code of a goodbye means: 1000 and none say that it was meant.
pub fn departure(code: Option<u16>) -> Departure {
    match code {
        None | Some(1000 | 1005) => Departure::Left,
        Some(_) => Departure::Lost,
    }
}

/// The next list of open rooms; never for whoever does not watch.
async fn next_list(watching: Option<&mut watch::Receiver<Summaries>>) -> Summaries {
    if let Some(rooms) = watching
        && rooms.changed().await.is_ok()
    {
        return rooms.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Waits for the end of the room one is in.
async fn room_ended(membership: Option<&(RoomName, Membership)>) {
    match membership {
        Some((_, membership)) => membership.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until the server stops.
async fn stop_asked(stopping: &mut watch::Receiver<bool>) {
    // The answer borrows the value and must not live on in the caller's `select!`.
    drop(stopping.wait_for(|stop| *stop).await);
}
