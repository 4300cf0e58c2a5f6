//! One WebSocket: a task reads, another writes ([`super::writer`]).

use super::{read_half::ReadHalf, writer};
use crate::{
    protocol::{CloseCode, MAX_FRAME_BYTES},
    server::{
        context::AppContext,
        http::connection::{Connection, Disconnect, Inbound, InboundSource, departure_of},
        limits::Timing,
        net::{
            ClientAddress, ClientReadHalf, ClientStream, ClientWriteHalf, H2Stream, split, split_h2,
        },
        rooms::{Departure, Outbox, outbox},
    },
};
use futures::{
    FutureExt, StreamExt,
    future::{Fuse, FusedFuture},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::{
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tokio_tungstenite::WebSocketStream;
use tungstenite::{
    Error, Message,
    error::ProtocolError,
    protocol::{Role, WebSocketConfig},
};

/// Most bytes of a frame that tungstenite reads. Twice the limit of the protocol: a slightly larger
/// frame is read, and its socket is closed with 4413.
const MAX_TRANSPORT_FRAME_BYTES: usize = 2 * MAX_FRAME_BYTES;
/// Size of the read buffer. 1 KiB: most frames are smaller, most sockets are idle, and larger
/// frames need several reads.
const READ_BUFFER_BYTES: usize = 1024;

/// The stream of inbound frames.
type Stream = WebSocketStream<ReadHalf>;

/// An open WebSocket.
///
/// There are thousands of sockets and most are idle, so an idle one holds little memory. Closing
/// allocates its future when it runs.
pub struct Socket {
    /// The room protocol on this socket.
    connection: Connection,
    stream: Stream,
    outbox: Outbox,
    /// The writer task.
    writer_task: Fuse<JoinHandle<()>>,
    /// Aborts the writer.
    abort_writer: AbortHandle,
    /// Deadlines and intervals.
    timing: Timing,
}

impl Socket {
    /// Takes over the connection of an upgraded request, or its stream of HTTP/2. `None` if the
    /// connection is not one of the listener.
    pub async fn open(
        context: AppContext,
        upgraded: Upgraded,
        stream: Option<Arc<H2Stream>>,
        client: ClientAddress,
    ) -> Option<Self> {
        let (read_half, write_half, buffered) = split_upgraded(upgraded, stream)?;
        let (outbox, queue) = outbox(context.rooms.metrics().clone());
        let read_half = ReadHalf::new(read_half, outbox.clone());
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_TRANSPORT_FRAME_BYTES))
            .max_frame_size(Some(MAX_TRANSPORT_FRAME_BYTES))
            .read_buffer_size(READ_BUFFER_BYTES)
            // The read half queues the writes of tungstenite, so a buffer would only delay them.
            .write_buffer_size(0);
        let timing = context.timing;
        let writer_task = tokio::spawn(writer::run(write_half, queue, timing));
        Some(Self {
            connection: Connection::new(context, outbox.clone(), client),
            stream: Stream::from_partially_read(read_half, buffered, Role::Server, Some(config))
                .await,
            outbox,
            abort_writer: writer_task.abort_handle(),
            writer_task: writer_task.fuse(),
            timing,
        })
    }

    /// Serves the socket until it ends.
    pub async fn serve(mut self) {
        let end = tokio::select! {
            end = self.connection.run(&mut self.stream) => Some(end),
            _ = &mut self.writer_task => None,
        };
        Box::pin(self.close(end)).await;
    }

    /// Leaves the room and closes the connection. `end` is `None` if the writer failed.
    async fn close(mut self, end: Option<Disconnect>) {
        let close_timeout = self.timing.close_timeout;
        let end = match end {
            Some(end) => end,
            // A close frame may still be unread.
            None => timeout(close_timeout, self.connection.run(&mut self.stream))
                .await
                .unwrap_or(Disconnect::ByClient(Departure::Lost)),
        };
        let close_code = self.connection.leave(end).await;
        if let Some(code) = close_code.filter(|_| !self.writer_task.is_terminated()) {
            self.outbox.close(code);
            let _ = timeout(close_timeout, &mut self.writer_task).await;
        }
        // Read until the client closes, too. Closing with unread bytes would reset the connection,
        // and the client might lose the close frame.
        let _ = timeout(close_timeout, async {
            while StreamExt::next(&mut self.stream).await.is_some() {}
        })
        .await;
        // The writer ends when its queue has no sender and is written, including the response to a
        // close frame.
        drop((self.connection, self.outbox, self.stream));
        if !self.writer_task.is_terminated()
            && timeout(close_timeout, &mut self.writer_task).await.is_err()
        {
            self.abort_writer.abort();
        }
    }
}

/// Returns the halves of the connection, and the bytes that were read with the request. Drops the
/// buffer of the request, which is larger than the rest of a socket.
fn split_upgraded(
    upgraded: Upgraded,
    stream: Option<Arc<H2Stream>>,
) -> Option<(ClientReadHalf, ClientWriteHalf, Vec<u8>)> {
    if let Some(stream) = stream {
        let (reading, writing) = split_h2(upgraded, stream);
        return Some((reading, writing, Vec::new()));
    }
    let parts = upgraded.downcast::<TokioIo<ClientStream>>().ok()?;
    let (reading, writing) = split(parts.io.into_inner());
    Some((reading, writing, parts.read_buf.to_vec()))
}

impl InboundSource for Stream {
    async fn next(&mut self) -> Inbound {
        match StreamExt::next(self).await {
            None => Inbound::Disconnected(Disconnect::ByClient(Departure::Lost)),
            Some(Err(error)) => Inbound::Disconnected(disconnect_of_error(&error)),
            Some(Ok(frame)) => inbound_of(frame),
        }
    }
}

/// Converts a frame to an inbound item.
fn inbound_of(frame: Message) -> Inbound {
    match frame {
        Message::Text(text) => Inbound::Text(text),
        Message::Binary(bytes) if bytes.len() > MAX_FRAME_BYTES => {
            Inbound::Disconnected(Disconnect::TOO_LARGE)
        }
        Message::Binary(_) => Inbound::Disconnected(Disconnect::ByServer(
            CloseCode::ProtocolBroken,
            Departure::Lost,
        )),
        Message::Close(frame) => Inbound::Disconnected(Disconnect::ByClient(departure_of(
            frame.map(|frame| u16::from(frame.code)),
        ))),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Inbound::KeepAlive,
    }
}

/// Converts a read error: frame too large, protocol violation, or lost connection.
fn disconnect_of_error(error: &Error) -> Disconnect {
    match error {
        Error::Capacity(_) => Disconnect::TOO_LARGE,
        Error::Utf8(_) => Disconnect::ByServer(CloseCode::ProtocolBroken, Departure::Lost),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Disconnect::ByClient(Departure::Lost)
        }
        Error::Protocol(_) => Disconnect::ByServer(CloseCode::ProtocolBroken, Departure::Lost),
        _ => Disconnect::ByClient(Departure::Lost),
    }
}
