//! The connection of a client, plain or over TLS, and its two halves once it is a WebSocket.

use super::WriteTimeoutStream;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_rustls::server::TlsStream;

/// A connection over TLS.
type Tls = TlsStream<WriteTimeoutStream>;

/// A connection that carries requests.
pub enum ClientStream {
    /// A TCP connection without TLS.
    Plain(WriteTimeoutStream),
    /// A connection over TLS. Boxed: the state of TLS is large, and most connections have none.
    Tls(Box<Tls>),
}

impl ClientStream {
    /// The two halves. From here on the limits of the reader's queue replace the write timeout.
    pub fn split(self) -> (ClientReadHalf, ClientWriteHalf) {
        match self {
            Self::Plain(stream) => {
                let (read, write) = stream.into_inner().into_split();
                (ClientReadHalf::Plain(read), ClientWriteHalf::Plain(write))
            }
            Self::Tls(mut stream) => {
                stream.get_mut().0.remove_limit();
                let shared = SharedTls(Arc::new(Mutex::new(stream)));
                (
                    ClientReadHalf::Tls(shared.clone()),
                    ClientWriteHalf::Tls(shared),
                )
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A TLS connection that two tasks use, one for each direction. The lock is held for one poll.
#[derive(Clone)]
pub struct SharedTls(Arc<Mutex<Box<Tls>>>);

impl SharedTls {
    /// Polls the connection.
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Tls>) -> T) -> T {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        poll(Pin::new(&mut **stream))
    }
}

/// The half that reads.
pub enum ClientReadHalf {
    /// Of a connection without TLS.
    Plain(OwnedReadHalf),
    /// Of a connection over TLS.
    Tls(SharedTls),
}

impl AsyncRead for ClientReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_read(context, buffer),
            Self::Tls(shared) => shared.with(|stream| stream.poll_read(context, buffer)),
        }
    }
}

/// The half that writes.
pub enum ClientWriteHalf {
    /// Of a connection without TLS.
    Plain(OwnedWriteHalf),
    /// Of a connection over TLS.
    Tls(SharedTls),
}

impl ClientWriteHalf {
    /// Makes the kernel discard unsent bytes and reset the connection when it closes.
    pub fn set_zero_linger(&self) {
        let discard = |stream: &TcpStream| {
            let _ = stream.set_zero_linger();
        };
        match self {
            Self::Plain(half) => discard(half.as_ref()),
            Self::Tls(shared) => shared.with(|stream| discard(stream.get_ref().0.get_ref())),
        }
    }
}

impl AsyncWrite for ClientWriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write(context, bytes),
            Self::Tls(shared) => shared.with(|stream| stream.poll_write(context, bytes)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write_vectored(context, slices),
            Self::Tls(shared) => shared.with(|stream| stream.poll_write_vectored(context, slices)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_flush(context),
            Self::Tls(shared) => shared.with(|stream| stream.poll_flush(context)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_shutdown(context),
            Self::Tls(shared) => shared.with(|stream| stream.poll_shutdown(context)),
        }
    }
}
