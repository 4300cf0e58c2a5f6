//! One TCP or TLS connection: frames one after the other, both ways.
//!
//! Reading and writing are two halves of one task. What the client is sent waits in a bounded
//! queue; a client that does not read loses packets, then its connection. With the connection
//! its allocation ends.

use super::{
    client::{Client, Path},
    engine::{Engine, Moment},
    frame::{Malformed, size_in_stream},
    options::{ALLOCATE_WITHIN, MAX_FRAME_BYTES, STREAM_PATIENCE, STREAM_QUEUE, WRITE_PATIENCE},
};
use bytes::{Bytes, BytesMut};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// Frames written before the stream is flushed.
const GATHERED: usize = 32;
/// Time for the last answers of a stream that ends. 1 s.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a connection until one of the two ends has enough.
///
/// # Cancel safety
/// When dropped the connection is closed; its allocation ends by the guard inside.
pub async fn serve<S>(engine: Arc<Engine>, stream: S, client: Client)
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = tokio::io::split(stream);
    let (queue, frames) = mpsc::channel(STREAM_QUEUE);
    let guard = Guard { engine, client };
    let writing = write(writer, frames);
    tokio::pin!(writing);
    let ended = tokio::select! {
        () = read(&guard, reader, Path::Stream(queue)) => true,
        _ = &mut writing => false,
    };
    // The allocation holds an end of the queue: without it the writer finishes.
    drop(guard);
    if ended {
        let _ = timeout(FAREWELL, writing).await;
    }
}

/// Ends the allocation with the connection, however that ends.
struct Guard {
    /// The server.
    engine: Arc<Engine>,
    /// The connection's client.
    client: Client,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.engine.end(&self.client);
    }
}

/// Takes in frames until the stream ends, is silent for too long, has no allocation for too long
/// or brings garbage.
async fn read(guard: &Guard, mut reader: impl AsyncRead + Unpin, path: Path) {
    let mut buffer = BytesMut::with_capacity(MAX_FRAME_BYTES);
    let mut speaks_by = Instant::now() + STREAM_PATIENCE;
    let mut allocates_by = Instant::now() + ALLOCATE_WITHIN;
    loop {
        let deadline = speaks_by.min(allocates_by);
        match timeout_at(deadline, reader.read_buf(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => match take_frames(guard, &mut buffer, &path) {
                Ok(0) => {}
                Ok(_) => speaks_by = Instant::now() + STREAM_PATIENCE,
                Err(Malformed) => return,
            },
            Err(_) => {}
        }
        // Asked only when it matters. An allocation has its own end of life.
        let now = Instant::now();
        if now >= speaks_by.min(allocates_by) {
            if !guard.engine.has_allocation(&guard.client) {
                return;
            }
            speaks_by = now + STREAM_PATIENCE;
            allocates_by = now + ALLOCATE_WITHIN;
        }
    }
}

/// Takes in the frames that are there, and counts them.
fn take_frames(guard: &Guard, buffer: &mut BytesMut, path: &Path) -> Result<usize, Malformed> {
    let mut taken = 0;
    while let Some(size) = size_in_stream(buffer)? {
        if buffer.len() < size {
            buffer.reserve(size - buffer.len());
            break;
        }
        let frame = buffer.split_to(size);
        let from = (&guard.client, path);
        if let Some(answer) = guard.engine.handle(from, &frame, Moment::now())? {
            path.send_counted(answer, &guard.engine.stats);
        }
        taken += 1;
    }
    Ok(taken)
}

/// Writes what is queued until nobody can queue any more, or the client stopped reading.
async fn write(
    writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    let mut gathered = Vec::with_capacity(GATHERED);
    while frames.recv_many(&mut gathered, GATHERED).await > 0 {
        timeout(WRITE_PATIENCE, write_all(&mut writer, &mut gathered)).await??;
    }
    timeout(WRITE_PATIENCE, writer.shutdown()).await?
}

/// Writes some frames and flushes.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    frames: &mut Vec<Bytes>,
) -> io::Result<()> {
    for frame in frames.drain(..) {
        writer.write_all(&frame).await?;
    }
    writer.flush().await
}
