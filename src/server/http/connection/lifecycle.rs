//! The course of one connection: what comes in, how long it may be silent, how it ends.
//!
//! Everything that is said to the client goes through its outbox, so this never waits for
//! a slow reader; a full mailbox of the room makes it wait, which slows this connection
//! only. The transport reads and writes: `ws::socket` and `long_poll::task`.

use super::message_rates::MessageRates;
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
pub enum Disconnect {
    /// The client, or the line.
    ByClient(Departure),
    /// We close it, and this is what it means for the room.
    ByServer(CloseCode, Departure),
}

/// What comes in.
pub enum Inbound {
    /// A text frame.
    Text(Utf8Bytes),
    /// A sign of life that says nothing.
    KeepAlive,
    /// The end, by a goodbye, a broken line or a broken rule of the transport.
    Disconnected(Disconnect),
}

/// Where a connection hears from.
pub trait InboundSource {
    /// The next thing heard. Asked again, what was heard before has been taken in.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    fn next(&mut self) -> impl Future<Output = Inbound> + Send;
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
    pub(super) rates: MessageRates,
    /// Its place in a room, once it has joined.
    pub(super) membership: Option<(RoomName, Membership)>,
    /// The list of open rooms, while it watches.
    pub(super) watching: Option<watch::Receiver<Summaries>>,
    /// The number of the list it was told last.
    pub(super) sent_rooms: Option<u64>,
    /// Frames that were no message.
    pub(super) protocol_errors: u32,
    /// Which obstacles to media it has reported, in the order of [`Obstacle::ALL`].
    pub(super) reported_obstacles: [bool; Obstacle::ALL.len()],
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(context: AppContext, outbox: Outbox, client: ClientAddress) -> Self {
        Self {
            context,
            client,
            outbox,
            rates: MessageRates::new(),
            membership: None,
            watching: None,
            sent_rooms: None,
            protocol_errors: 0,
            reported_obstacles: Default::default(),
        }
    }

    /// Listens until the end. Only what is complete counts as heard: a frame that comes
    /// one byte a second does not keep a connection alive.
    pub async fn run(&mut self, source: &mut impl InboundSource) -> Disconnect {
        let timing = self.context.timing;
        let mut stopping = self.context.stopping.clone();
        let outbox = self.outbox.clone();
        let first_message_by = Instant::now() + timing.first_message_timeout;
        let mut last_inbound = Instant::now();
        loop {
            let idle = self.membership.is_none() && self.watching.is_none();
            tokio::select! {
                inbound = source.next() => {
                    last_inbound = Instant::now();
                    if let Err(end) = self.on_inbound(inbound).await {
                        return end;
                    }
                }
                list = next_room_list(self.watching.as_mut()) => self.send_rooms(&list),
                code = outbox.closed() => return Disconnect::ByServer(code, Departure::Lost),
                () = room_ended(self.membership.as_ref()) => {
                    return Disconnect::ByServer(CloseCode::Restarting, Departure::Lost);
                }
                () = shutdown_requested(&mut stopping) => {
                    return Disconnect::ByServer(CloseCode::Restarting, Departure::Lost);
                }
                () = sleep_until(last_inbound + timing.dead_after) => {
                    return Disconnect::ByServer(CloseCode::TooSlow, Departure::TimedOut);
                }
                () = sleep_until(first_message_by), if idle => {
                    return Disconnect::ByServer(CloseCode::ProtocolBroken, Departure::Lost);
                }
            }
        }
    }

    /// Takes in what was heard.
    async fn on_inbound(&mut self, inbound: Inbound) -> Result<(), Disconnect> {
        if let Inbound::Disconnected(end) = inbound {
            return Err(end);
        }
        if !self.rates.allow_frame() {
            return Err(Disconnect::ByServer(
                CloseCode::TooManyMessages,
                Departure::Lost,
            ));
        }
        match inbound {
            Inbound::Text(text) if text.len() > MAX_FRAME_BYTES => Err(Disconnect::TOO_LARGE),
            // In a box: what answering needs is not kept by those who say nothing.
            Inbound::Text(text) => Box::pin(self.on_text(text.as_str())).await,
            Inbound::KeepAlive | Inbound::Disconnected(_) => Ok(()),
        }
    }

    /// Gives the place in the room up; answers the code to close with, if we close.
    pub async fn leave(&mut self, end: Disconnect) -> Option<CloseCode> {
        let (code, departure) = match end {
            Disconnect::ByClient(departure) => (None, departure),
            Disconnect::ByServer(code, departure) => (Some(code), departure),
        };
        if let Some((_, membership)) = self.membership.take() {
            membership.leave(departure).await;
        }
        code
    }
}

impl Disconnect {
    /// A frame beyond the limit.
    pub const TOO_LARGE: Self = Self::ByServer(CloseCode::FrameTooLarge, Departure::Lost);
}

/// What the code of a goodbye means: 1000 and none say that it was meant.
pub fn departure_of(code: Option<u16>) -> Departure {
    match code {
        None | Some(1000 | 1005) => Departure::Left,
        Some(_) => Departure::Lost,
    }
}

/// The next list of open rooms; never for whoever does not watch.
async fn next_room_list(watching: Option<&mut watch::Receiver<Summaries>>) -> Summaries {
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
async fn shutdown_requested(stopping: &mut watch::Receiver<bool>) {
    // The answer borrows the value and must not live on in the caller's `select!`.
    drop(stopping.wait_for(|stop| *stop).await);
}
