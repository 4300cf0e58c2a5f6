//! Writing one socket: its queue, the pings, and the last word.

use crate::{
    protocol::CloseCode,
    server::{
        limits::Timing,
        rooms::{OutboxReader, wait_for_verdict},
    },
};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures::{SinkExt, stream::SplitSink};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The writing half.
type Sink = SplitSink<WebSocket, Message>;

/// Writes what is queued, and pings, until the socket is condemned or broken. A frame
/// that cannot be written does not keep the verdict from being carried out.
pub async fn run(mut sink: Sink, mut queue: OutboxReader, timing: Timing) {
    let mut verdict = queue.verdict();
    let mut pings = interval_at(Instant::now() + timing.ping_every, timing.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let writing = async {
        loop {
            let next = tokio::select! {
                frame = queue.next() => frame.map(Message::Text),
                _ = pings.tick() => Some(Message::Ping(Bytes::new())),
            };
            let Some(message) = next else { return };
            let size = size(&message);
            if sink.send(message).await.is_err() {
                return;
            }
            queue.written(size);
        }
    };
    let code = tokio::select! {
        biased;
        code = wait_for_verdict(&mut verdict) => code,
        () = writing => return,
    };
    let _ = timeout(
        timing.close_within,
        say_goodbye(&mut sink, &mut queue, code),
    )
    .await;
}

/// How much of the queue's allowance a message takes.
fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        _ => 0,
    }
}

/// What is queued already, then why it is over. Who reads too slowly gets the reason only.
async fn say_goodbye(sink: &mut Sink, queue: &mut OutboxReader, code: CloseCode) {
    while code != CloseCode::TooSlow
        && let Some(frame) = queue.ready()
    {
        if sink.feed(Message::Text(frame)).await.is_err() {
            return;
        }
    }
    let close = CloseFrame {
        code: code.code(),
        reason: Utf8Bytes::from_static(code.reason()),
    };
    let _ = sink.send(Message::Close(Some(close))).await;
}
