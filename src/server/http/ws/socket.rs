//! One WebSocket: a task reads, another writes ([`super::writer`]).

use super::writer;
use crate::{
    protocol::{CloseCode, MAX_FRAME_BYTES},
    server::{
        context::AppContext,
        http::connection::{Connection, End, Heard, Incoming, departure},
        rooms::{Departure, outbox},
    },
};
use axum::extract::ws::{Message, WebSocket};
use futures::{FutureExt, StreamExt, future::FusedFuture, stream::SplitStream};
use tokio::time::timeout;

/// Serves a socket to its end.
pub async fn run(context: AppContext, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let (outbox, queue) = outbox();
    let timing = context.timing;
    let writing = tokio::spawn(writer::run(sink, queue, timing));
    let stop_writing = writing.abort_handle();
    let mut writing = writing.fuse();
    let mut connection = Connection::new(context, outbox.clone());
    let read_first = tokio::select! {
        end = connection.run(&mut stream) => Some(end),
        _ = &mut writing => None,
    };
    let end = match read_first {
        Some(end) => end,
        // Nothing can be written any more, but a goodbye may wait to be read.
        None => timeout(timing.close_within, connection.run(&mut stream))
            .await
            .unwrap_or(End::Theirs(Departure::Lost)),
    };
    let verdict = connection.leave(end).await;
    if let Some(code) = verdict.filter(|_| !writing.is_terminated()) {
        outbox.close(code);
        let _ = timeout(timing.close_within, &mut writing).await;
    }
    stop_writing.abort();
    // Read until the other side has closed too: closing over unread bytes would reset the
    // connection, and the reason for the close might be lost with it.
    let _ = timeout(timing.close_within, async {
        while StreamExt::next(&mut stream).await.is_some() {}
    })
    .await;
}

impl Incoming for SplitStream<WebSocket> {
    async fn next(&mut self) -> Heard {
        match StreamExt::next(self).await {
            None => Heard::Ended(End::Theirs(Departure::Lost)),
            Some(Err(error)) => Heard::Ended(broken(error)),
            Some(Ok(frame)) => heard(frame),
        }
    }
}

/// What a frame says.
fn heard(frame: Message) -> Heard {
    match frame {
        Message::Text(text) => Heard::Text(text),
        Message::Binary(bytes) if bytes.len() > MAX_FRAME_BYTES => Heard::Ended(End::TOO_LARGE),
        Message::Binary(_) => Heard::Ended(End::Ours(CloseCode::ProtocolBroken, Departure::Lost)),
        Message::Close(frame) => {
            Heard::Ended(End::Theirs(departure(frame.map(|frame| frame.code))))
        }
        Message::Ping(_) | Message::Pong(_) => Heard::Life,
    }
}

/// What a broken stream means: too large, no protocol, or just a vanished line.
fn broken(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => End::TOO_LARGE,
        Some(Error::Utf8(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        Some(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            End::Theirs(Departure::Lost)
        }
        Some(Error::Protocol(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        _ => End::Theirs(Departure::Lost),
    }
}
