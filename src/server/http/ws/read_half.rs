//! The read half of a socket as the duplex stream that tungstenite needs. Reads use the connection;
//! writes (pongs and close frames) go to the queue of the writer.

use crate::server::{net::ClientReadHalf, rooms::Outbox};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The read half of a connection, and the queue of its writer.
pub struct ReadHalf {
    half: ClientReadHalf,
    /// The queue of the writer.
    outbox: Outbox,
}

impl ReadHalf {
    /// A stream that reads from `half` and writes to `outbox`.
    pub fn new(half: ClientReadHalf, outbox: Outbox) -> Self {
        Self { half, outbox }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_read(context, buffer)
    }
}

impl AsyncWrite for ReadHalf {
    /// Never blocks. A full outbox closes the connection as too slow.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outbox.send_transport(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
