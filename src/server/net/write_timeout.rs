//! A TCP stream that is reset if its reader is too slow.
//!
//! A client that requests large responses and reads slowly would occupy its connection, and the
//! response in memory, without bound. A blocked write has a deadline. Written bytes extend the
//! deadline at the lowest rate allowed. The stream is reset at the deadline.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// A TCP stream whose writes fail if the reader reads nothing for the timeout.
pub struct WriteTimeoutStream {
    stream: TcpStream,
    /// How long a write may block while the reader reads nothing; `None` without a limit.
    timeout: Option<Duration>,
    /// Lowest rate at which the deadline is never reached.
    bytes_per_second: u32,
    /// Counts written bytes, if somebody asked for that.
    written: Option<Arc<AtomicU64>>,
    /// The time of the reset; `None` until a write of this response has blocked.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeoutStream {
    /// A stream without a blocked write.
    pub fn new(stream: TcpStream, timeout: Duration, bytes_per_second: u32) -> Self {
        Self {
            stream,
            timeout: Some(timeout),
            bytes_per_second,
            written: None,
            deadline: None,
        }
    }

    /// The stream without the timeout.
    pub fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// The stream below, for its options.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Counts the bytes that are written from now on.
    pub fn count_written(&mut self) -> Arc<AtomicU64> {
        self.written.get_or_insert_default().clone()
    }

    /// Removes the timeout where the stream cannot be taken out, as below TLS.
    pub fn remove_limit(&mut self) {
        self.timeout = None;
        self.deadline = None;
    }

    /// Sets, extends or checks the deadline after a write. Returns the result of the write, or an
    /// error at the deadline.
    fn account(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let (Some(count), Poll::Ready(Ok(bytes))) = (&self.written, &written) {
            count.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        let Some(timeout) = self.timeout else {
            return written;
        };
        let latest = Instant::now() + timeout;
        match &written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(deadline) = &mut self.deadline {
                    let bytes = u32::try_from(*bytes).unwrap_or(u32::MAX);
                    let earned = Duration::from_secs(1) * bytes / self.bytes_per_second.max(1);
                    let until = (deadline.deadline() + earned).min(latest);
                    deadline.as_mut().reset(until);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(sleep_until(latest)));
                if deadline.as_mut().poll(context).is_ready() {
                    // The kernel also discards the bytes it has buffered.
                    let _ = self.stream.set_zero_linger();
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        written
    }
}

impl AsyncRead for WriteTimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            // These bytes are the next request, so the previous response has been written.
            self.deadline = None;
        }
        read
    }
}

impl AsyncWrite for WriteTimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.account(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.account(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// More bytes than the buffers of both kernels hold.
    const ANSWER_BYTES: usize = 32 * 1024 * 1024;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.expect("connects"), server.expect("accepts").0)
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_reset() {
        let (client, server) = pair().await;
        let mut bounded = WriteTimeoutStream::new(server, Duration::from_millis(200), 1024);
        let written = bounded.write_all(&vec![0; ANSWER_BYTES]).await;
        let error = written.expect_err("the write fails");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_reader_that_takes_too_little_is_reset() {
        let (mut client, server) = pair().await;
        let timeout = Duration::from_millis(300);
        let mut bounded = WriteTimeoutStream::new(server, timeout, 1024 * 1024 * 1024);
        let slow_reader = tokio::spawn(async move {
            let mut buffer = vec![0; 256 * 1024];
            while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let written = bounded.write_all(&vec![0; 8 * ANSWER_BYTES]).await;
        assert_eq!(
            written.expect_err("the write fails").kind(),
            io::ErrorKind::TimedOut
        );
        drop(bounded);
        slow_reader.await.expect("ends");
    }

    #[tokio::test]
    async fn a_steady_reader_gets_the_whole_answer_however_long_it_takes() {
        let (mut client, server) = pair().await;
        let mut bounded = WriteTimeoutStream::new(server, Duration::from_millis(300), 1024);
        let reader = tokio::spawn(async move {
            let (mut buffer, mut read) = (vec![0; 1024 * 1024], 0);
            while read < ANSWER_BYTES {
                read += client.read(&mut buffer).await.expect("reads");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        bounded
            .write_all(&vec![0; ANSWER_BYTES])
            .await
            .expect("all is written");
        reader.await.expect("ends");
    }
}
