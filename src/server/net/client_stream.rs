//! The connection of a client, plain or over TLS, and the two halves of a WebSocket, which is such
//! a connection or a stream of HTTP/2.

use super::{WriteTimeoutStream, h2_streams::H2Stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::OwnedWriteHalf,
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// A connection over TLS. Boxed: the state of TLS is large, and most connections have none.
type Tls = Box<TlsStream<WriteTimeoutStream>>;

/// A connection that carries requests: TCP without TLS, or TLS.
pub type ClientStream = Either<WriteTimeoutStream, Tls>;

/// The half that reads.
pub type ClientReadHalf = Box<dyn AsyncRead + Send + Unpin>;

/// The half that writes.
pub type ClientWriteHalf = Box<dyn WriteHalf>;

/// What the writer of a WebSocket needs beyond writing.
pub trait WriteHalf: AsyncWrite + Send + Unpin {
    /// Makes the kernel discard unsent bytes and reset the connection when it closes. A stream of
    /// HTTP/2 is reset anyway when it is dropped before its shutdown.
    fn set_zero_linger(&self);
}

/// The two halves of a connection. From here on the limits of the reader's queue replace the write
/// timeout.
pub fn split(stream: ClientStream) -> (ClientReadHalf, ClientWriteHalf) {
    match stream {
        Either::Left(stream) => {
            let (read, write) = stream.into_inner().into_split();
            (Box::new(read), Box::new(write))
        }
        Either::Right(mut stream) => {
            stream.get_mut().0.remove_limit();
            let shared = Shared(Arc::new(Mutex::new(stream)));
            (Box::new(shared.clone()), Box::new(shared))
        }
    }
}

/// The two halves of a stream of HTTP/2.
pub fn split_h2(upgraded: Upgraded, stream: Arc<H2Stream>) -> (ClientReadHalf, ClientWriteHalf) {
    let tunnel = H2Tunnel {
        io: TokioIo::new(upgraded),
        stream,
        ended: false,
    };
    let shared = Shared(Arc::new(Mutex::new(tunnel)));
    (Box::new(shared.clone()), Box::new(shared))
}

/// A WebSocket on a stream of HTTP/2 (RFC 8441).
struct H2Tunnel {
    io: TokioIo<Upgraded>,
    /// Its entry among the streams of the connection.
    stream: Arc<H2Stream>,
    /// Whether everything was written, or the client reset the stream.
    ended: bool,
}

impl Drop for H2Tunnel {
    fn drop(&mut self) {
        if !self.ended {
            self.stream.abandon();
        }
    }
}

impl AsyncRead for H2Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for H2Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.ended |= matches!(written, Poll::Ready(Err(_)));
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.io).poll_shutdown(context);
        self.ended |= ended.is_ready();
        ended
    }
}

impl WriteHalf for Shared<H2Tunnel> {
    fn set_zero_linger(&self) {}
}

impl WriteHalf for OwnedWriteHalf {
    fn set_zero_linger(&self) {
        let _ = self.as_ref().set_zero_linger();
    }
}

/// A connection that two tasks use, one for each direction. The lock is held for one poll.
struct Shared<S>(Arc<Mutex<S>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Unpin> Shared<S> {
    /// Polls the connection.
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut S>) -> T) -> T {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        poll(Pin::new(&mut *stream))
    }
}

impl WriteHalf for Shared<Tls> {
    fn set_zero_linger(&self) {
        self.with(|stream| {
            let _ = stream.get_ref().0.get_ref().set_zero_linger();
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Shared<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Shared<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.with(|stream| stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}
