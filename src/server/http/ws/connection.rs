//! Reading one socket: what comes in, how long it may be silent, how it ends.
//!
//! One task reads, another writes ([`super::writer`]). Everything that is said to the
//! socket goes through its outbox, so this task never waits for a slow reader; a full
//! mailbox of the room makes it wait, which slows this socket only.

use super::{rates::Rates, writer};
use crate::{
    protocol::{CloseCode, MAX_FRAME_BYTES, RoomName},
    server::{
        context::AppContext,
        rooms::{Departure, Outbox, Seat, Summaries, outbox},
    },
};
use axum::extract::ws::{Message, WebSocket};
use futures::{FutureExt, StreamExt, future::FusedFuture, stream::SplitStream};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How a socket came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client, or the line.
    Theirs(Departure),
    /// We close it, and this is what it means for the room.
    Ours(CloseCode, Departure),
}

/// One socket.
pub(super) struct Connection {
    /// The state of the server.
    pub(super) context: AppContext,
    /// Whatever is said to the client.
    pub(super) outbox: Outbox,
    /// What it may send.
    pub(super) rates: Rates,
    /// Its place in a room, once it has joined.
    pub(super) seat: Option<(RoomName, Seat)>,
    /// The list of open rooms, while it watches.
    pub(super) watching: Option<watch::Receiver<Summaries>>,
    /// Frames that were no message.
    pub(super) protocol_errors: u32,
}

/// Serves a socket to its end.
pub async fn run(context: AppContext, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let (outbox, queue) = outbox();
    let timing = context.timing;
    let writing = tokio::spawn(writer::run(sink, queue, timing));
    let stop_writing = writing.abort_handle();
    let mut writing = writing.fuse();
    let mut connection = Connection::new(context, outbox);
    let read_first = tokio::select! {
        end = connection.read(&mut stream) => Some(end),
        _ = &mut writing => None,
    };
    let end = match read_first {
        Some(end) => end,
        // Nothing can be written any more, but a goodbye may wait to be read.
        None => timeout(timing.close_within, connection.read(&mut stream))
            .await
            .unwrap_or(End::Theirs(Departure::Lost)),
    };
    let (verdict, departure) = match end {
        End::Theirs(departure) => (None, departure),
        End::Ours(code, departure) => (Some(code), departure),
    };
    connection.leave(departure).await;
    if let Some(code) = verdict.filter(|_| !writing.is_terminated()) {
        connection.outbox.close(code);
        let _ = timeout(timing.close_within, &mut writing).await;
    }
    stop_writing.abort();
    // Read until the other side has closed too: closing over unread bytes would reset the
    // connection, and the reason for the close might be lost with it.
    let _ = timeout(timing.close_within, async {
        while stream.next().await.is_some() {}
    })
    .await;
}

impl Connection {
    /// A socket that has said nothing yet.
    fn new(context: AppContext, outbox: Outbox) -> Self {
        Self {
            context,
            outbox,
            rates: Rates::new(),
            seat: None,
            watching: None,
            protocol_errors: 0,
        }
    }

    /// Reads until the end. Only complete frames count as heard: a frame that comes one
    /// byte a second does not keep a socket alive.
    async fn read(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let timing = self.context.timing;
        let mut stopping = self.context.stopping.clone();
        let outbox = self.outbox.clone();
        let first_message_by = Instant::now() + timing.first_message_within;
        let mut heard = Instant::now();
        loop {
            let idle = self.seat.is_none() && self.watching.is_none();
            tokio::select! {
                frame = stream.next() => {
                    heard = Instant::now();
                    if let Err(end) = self.take(frame).await {
                        return end;
                    }
                }
                list = next_list(self.watching.as_mut()) => self.tell_rooms(&list),
                code = outbox.condemned() => return End::Ours(code, Departure::Lost),
                () = room_ended(self.seat.as_ref()) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = stop_asked(&mut stopping) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = sleep_until(heard + timing.dead_after) => {
                    return End::Ours(CloseCode::TooSlow, Departure::Dead);
                }
                () = sleep_until(first_message_by), if idle => {
                    return End::Ours(CloseCode::ProtocolBroken, Departure::Lost);
                }
            }
        }
    }

    /// Takes what the stream gave.
    async fn take(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let frame = match frame {
            None => return Err(End::Theirs(Departure::Lost)),
            Some(Err(error)) => return Err(broken(error)),
            Some(Ok(frame)) => frame,
        };
        if !self.rates.allow_frame() {
            return Err(End::Ours(CloseCode::TooManyMessages, Departure::Lost));
        }
        match frame {
            Message::Text(text) if text.len() > MAX_FRAME_BYTES => Err(too_large()),
            Message::Binary(bytes) if bytes.len() > MAX_FRAME_BYTES => Err(too_large()),
            Message::Text(text) => self.take_text(text.as_str()).await,
            Message::Binary(_) => Err(End::Ours(CloseCode::ProtocolBroken, Departure::Lost)),
            Message::Close(frame) => Err(End::Theirs(departure(frame.map(|frame| frame.code)))),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Gives the seat up.
    async fn leave(&mut self, how: Departure) {
        if let Some((_, seat)) = self.seat.take() {
            seat.leave(how).await;
        }
    }
}

/// What a close frame means: 1000 and none say that it was meant.
fn departure(code: Option<u16>) -> Departure {
    match code {
        None | Some(1000 | 1005) => Departure::Left,
        Some(_) => Departure::Lost,
    }
}

/// A frame beyond the limit.
fn too_large() -> End {
    End::Ours(CloseCode::FrameTooLarge, Departure::Lost)
}

/// What a broken stream means: too large, no protocol, or just a vanished line.
fn broken(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => too_large(),
        Some(Error::Utf8(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        Some(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            End::Theirs(Departure::Lost)
        }
        Some(Error::Protocol(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        _ => End::Theirs(Departure::Lost),
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
async fn room_ended(seat: Option<&(RoomName, Seat)>) {
    match seat {
        Some((_, seat)) => seat.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until the server stops.
async fn stop_asked(stopping: &mut watch::Receiver<bool>) {
    // The answer borrows the value and must not live on in the caller's `select!`.
    drop(stopping.wait_for(|stop| *stop).await);
}
