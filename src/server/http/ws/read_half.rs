//! The reading half as the stream that tungstenite wants: what it reads comes from the line,
//! what it writes (answers to pings and to goodbyes) goes to the writer, in its turn.

use crate::server::rooms::Outbox;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::OwnedReadHalf,
};

/// The reading half of a line, and the way to its writer.
pub struct ReadHalf {
    /// What is read.
    half: OwnedReadHalf,
    /// What is answered.
    outbox: Outbox,
}

impl ReadHalf {
    /// Reads this half, answers there.
    pub fn new(half: OwnedReadHalf, outbox: Outbox) -> Self {
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
    /// Never waits: whoever asks for answers and does not read them is closed as too slow.
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
