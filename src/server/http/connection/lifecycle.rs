//! The life of one connection: inbound frames, deadlines, disconnection.
//!
//! All frames to the client go through its outbox, so this task never waits for a slow reader. The
//! task waits while the mailbox of the room is full, which delays this connection only. The
//! transports `ws::socket` and `long_poll::task` read and write.

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

/// How a connection ended, with the departure that its room sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// The client closed the connection, or the network lost it.
    ByClient(Departure),
    /// The server closes the connection with this code.
    ByServer(CloseCode, Departure),
}

/// An inbound item of a transport.
pub enum Inbound {
    /// A text frame.
    Text(Utf8Bytes),
    /// A ping, a pong or an empty request: keeps the connection alive.
    KeepAlive,
    /// A close frame, a lost connection or a violation of the transport's rules.
    Disconnected(Disconnect),
}

/// The receiving side of a transport.
pub trait InboundSource {
    /// The next item. The call confirms that the previous item has been processed.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    fn next(&mut self) -> impl Future<Output = Inbound> + Send;
}

/// A client's connection to the room protocol, over either transport.
pub struct Connection {
    /// The state of the server.
    pub(super) context: AppContext,
    /// The address that the connection counts under.
    pub(super) client: ClientAddress,
    /// The queue of frames to the client.
    pub(super) outbox: Outbox,
    /// Rate limits of inbound messages.
    pub(super) rates: MessageRates,
    /// The room, once the client has joined one.
    pub(super) membership: Option<(RoomName, Membership)>,
    /// The list of open rooms, while the client watches it.
    pub(super) watching: Option<watch::Receiver<Summaries>>,
    /// The number of the last list that was sent.
    pub(super) sent_rooms: Option<u64>,
    /// Malformed frames so far; too many close the connection.
    pub(super) protocol_errors: u32,
    /// Which obstacles to media the client has reported, in the order of [`Obstacle::ALL`].
    pub(super) reported_obstacles: [bool; Obstacle::ALL.len()],
}

impl Connection {
    /// A connection before its first frame.
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

    /// Processes inbound items until the connection ends. Only a complete frame resets the
    /// deadline, so a frame of one byte a second does not keep a connection alive.
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

    /// Processes one inbound item.
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
            // Boxed, so that an idle connection does not reserve the space of the dispatch.
            Inbound::Text(text) => Box::pin(self.on_text(text.as_str())).await,
            Inbound::KeepAlive | Inbound::Disconnected(_) => Ok(()),
        }
    }

    /// Leaves the room. Returns the close code if the server closes the connection.
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
    /// The client sent a frame beyond [`MAX_FRAME_BYTES`].
    pub const TOO_LARGE: Self = Self::ByServer(CloseCode::FrameTooLarge, Departure::Lost);
}

/// The departure for a close code (RFC 6455 section 7.4). 1000 and no code are deliberate.
pub fn departure_of(code: Option<u16>) -> Departure {
    match code {
        None | Some(1000 | 1005) => Departure::Left,
        Some(_) => Departure::Lost,
    }
}

/// The next list of open rooms. Pending for ever if the connection does not watch the list.
async fn next_room_list(watching: Option<&mut watch::Receiver<Summaries>>) -> Summaries {
    if let Some(rooms) = watching
        && rooms.changed().await.is_ok()
    {
        return rooms.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Waits until the room of the connection ends. Pending for ever without a room.
async fn room_ended(membership: Option<&(RoomName, Membership)>) {
    match membership {
        Some((_, membership)) => membership.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until the server stops.
async fn shutdown_requested(stopping: &mut watch::Receiver<bool>) {
    // The result borrows the channel and must not outlive this line in the caller's `select!`.
    drop(stopping.wait_for(|stop| *stop).await);
}
