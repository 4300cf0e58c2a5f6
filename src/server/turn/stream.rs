//! One TCP or TLS connection: a stream of frames in each direction.
//!
//! One task reads and writes. Frames to the client wait in a bounded queue: a client that does
//! not read loses packets first, then its connection. The allocation ends with the connection.

use super::{
    client::{ClientWriter, FiveTuple},
    engine::{ArrivalTime, Engine},
    frame::{Malformed, stream_frame_size},
    options::{
        ALLOCATION_TIMEOUT, MAX_FRAME_BYTES, STREAM_IDLE_TIMEOUT, STREAM_QUEUE_FRAMES,
        WRITE_TIMEOUT,
    },
};
use bytes::{Bytes, BytesMut};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter},
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// Most frames written before a flush.
const WRITE_BATCH_FRAMES: usize = 32;
/// Time to write the last responses of a stream that ends. 1 s.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a connection until either side closes it.
///
/// # Cancel safety
/// When dropped the connection is closed; its allocation ends by the guard inside.
pub async fn serve<S>(engine: Arc<Engine>, stream: S, client: FiveTuple)
where
    S: AsyncRead + AsyncWrite,
{
    let (reader, writer) = tokio::io::split(stream);
    let (queue, frames) = mpsc::channel(STREAM_QUEUE_FRAMES);
    let guard = Guard { engine, client };
    let writing = write(writer, frames);
    tokio::pin!(writing);
    let ended = tokio::select! {
        () = read(&guard, reader, ClientWriter::Stream(queue)) => true,
        _ = &mut writing => false,
    };
    // The allocation holds a sender of the queue. The writer ends when no sender is left.
    drop(guard);
    if ended {
        let _ = timeout(FLUSH_TIMEOUT, writing).await;
    }
}

/// Ends the allocation of a connection when it is dropped.
struct Guard {
    /// The server that holds the allocation.
    engine: Arc<Engine>,
    /// The 5-tuple of the connection.
    client: FiveTuple,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.engine.end_allocation(&self.client);
    }
}

/// Handles frames until the stream ends, is idle or without an allocation for too long, or is
/// malformed.
async fn read(guard: &Guard, mut reader: impl AsyncRead + Unpin, writer: ClientWriter) {
    let mut buffer = BytesMut::with_capacity(MAX_FRAME_BYTES);
    let mut idle_deadline = Instant::now() + STREAM_IDLE_TIMEOUT;
    let mut allocation_deadline = Instant::now() + ALLOCATION_TIMEOUT;
    loop {
        let deadline = idle_deadline.min(allocation_deadline);
        match timeout_at(deadline, reader.read_buf(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => match read_frames(guard, &mut buffer, &writer) {
                Ok(0) => {}
                Ok(_) => idle_deadline = Instant::now() + STREAM_IDLE_TIMEOUT,
                Err(Malformed) => return,
            },
            Err(_) => {}
        }
        // The allocation is looked up at a deadline only. Its lifetime bounds the stream.
        let now = Instant::now();
        if now >= idle_deadline.min(allocation_deadline) {
            if !guard.engine.has_allocation(&guard.client) {
                return;
            }
            idle_deadline = now + STREAM_IDLE_TIMEOUT;
            allocation_deadline = now + ALLOCATION_TIMEOUT;
        }
    }
}

/// Handles the complete frames of the buffer; returns their number.
fn read_frames(
    guard: &Guard,
    buffer: &mut BytesMut,
    writer: &ClientWriter,
) -> Result<usize, Malformed> {
    let mut count = 0;
    while let Some(size) = stream_frame_size(buffer)? {
        if buffer.len() < size {
            buffer.reserve(size - buffer.len());
            break;
        }
        let frame = buffer.split_to(size);
        let from = (&guard.client, writer);
        if let Some(response) = guard.engine.on_frame(from, &frame, ArrivalTime::now())? {
            writer.send_or_count(response, &guard.engine.stats);
        }
        count += 1;
    }
    Ok(count)
}

/// Writes queued frames until the last sender is dropped or the client stops reading.
async fn write(
    writer: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    let mut batch = Vec::with_capacity(WRITE_BATCH_FRAMES);
    while frames.recv_many(&mut batch, WRITE_BATCH_FRAMES).await > 0 {
        timeout(WRITE_TIMEOUT, write_all(&mut writer, &mut batch)).await??;
    }
    timeout(WRITE_TIMEOUT, writer.shutdown()).await?
}

/// Writes a batch of frames and flushes.
async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    frames: &mut Vec<Bytes>,
) -> io::Result<()> {
    for frame in frames.drain(..) {
        writer.write_all(&frame).await?;
    }
    writer.flush().await
}
