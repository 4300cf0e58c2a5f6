//! The writer of one socket: it writes the queue, the pings and the close frame.

use crate::{
    protocol::CloseCode,
    server::{
        limits::Timing,
        net::ClientWriteHalf,
        rooms::{Frames, OutboxReader, wait_for_close_code},
    },
};
use bytes::{Buf, Bytes};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, MissedTickBehavior, error::Elapsed, interval_at, timeout},
};
use tungstenite::protocol::{CloseFrame, frame::Frame};

/// Most queue entries in one write. 8: entries queue up only while a write blocks.
const MAX_WRITE_BATCH: usize = 8;
/// A ping frame without a payload (RFC 6455 section 5.5.2).
const PING: Bytes = Bytes::from_static(b"\x89\x00");

/// Writes the queue, the pings and the close frame. Then ends the writing direction, so that the
/// client sees a complete stream. A stream that does not accept the close frame in time is reset.
pub async fn run(mut stream: ClientWriteHalf, queue: OutboxReader, timing: Timing) {
    match write_queue(&mut stream, queue, timing).await {
        // Reset the stream: the client reconnects at once, and the kernel does not retransmit for
        // minutes.
        Err(_) => stream.set_zero_linger(),
        Ok(()) => drop(timeout(timing.close_timeout, stream.shutdown()).await),
    }
}

/// Writes queued frames and pings until the outbox has a close code or the connection breaks.
/// Then writes the close frame, even while a write is blocked.
///
/// # Errors
/// The stream does not accept the close frame in time.
async fn write_queue(
    stream: &mut ClientWriteHalf,
    mut queue: OutboxReader,
    timing: Timing,
) -> Result<(), Elapsed> {
    let mut close_code = queue.close_code();
    let mut pings = interval_at(Instant::now() + timing.ping_interval, timing.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unwritten = VecDeque::new();
    let writing = async {
        let mut taken = Vec::new();
        loop {
            tokio::select! {
                count = queue.next_many(&mut taken, MAX_WRITE_BATCH) => if count == 0 { return },
                _ = pings.tick() => unwritten.push_back(PING),
            }
            let size = taken.iter().map(Frames::size).sum();
            unwritten.extend(taken.drain(..).map(|frames| frames.bytes()));
            if write_all(stream, &mut unwritten).await.is_err() {
                return;
            }
            queue.written(size);
        }
    };
    let code = tokio::select! {
        biased;
        code = wait_for_close_code(&mut close_code) => code,
        () = writing => return Ok(()),
    };
    if code == CloseCode::TooSlow {
        // Finish the partly written frame only, so that the close frame follows a whole frame.
        unwritten.truncate(1);
    } else {
        while let Some(frames) = queue.ready() {
            unwritten.push_back(frames.bytes());
        }
    }
    unwritten.push_back(close_frame(code));
    let close_frame = write_all(stream, &mut unwritten);
    // An error means that there is nobody to write to.
    timeout(timing.close_timeout, close_frame).await.map(drop)
}

/// Writes all bytes, as many at once as the socket accepts.
///
/// # Cancel safety
/// Unwritten bytes stay in `unwritten`, including the rest of a partly written frame.
async fn write_all(
    stream: &mut ClientWriteHalf,
    unwritten: &mut VecDeque<Bytes>,
) -> io::Result<()> {
    while !unwritten.is_empty() {
        let mut slices = [IoSlice::new(&[]); MAX_WRITE_BATCH];
        let count = unwritten.len().min(MAX_WRITE_BATCH);
        for (slice, bytes) in slices.iter_mut().zip(unwritten.iter()) {
            *slice = IoSlice::new(bytes);
        }
        let written = stream.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        advance(unwritten, written);
    }
    // TLS may hold a record that the kernel did not accept.
    stream.flush().await
}

/// Removes the written bytes from the front.
fn advance(unwritten: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = unwritten.front_mut() {
        let part = written.min(first.len());
        first.advance(part);
        written -= part;
        if first.has_remaining() {
            return;
        }
        unwritten.pop_front();
    }
}

/// Encodes the close frame of a code.
fn close_frame(code: CloseCode) -> Bytes {
    let frame = Frame::close(Some(CloseFrame {
        code: code.code().into(),
        reason: code.reason().into(),
    }));
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing into memory does not fail.
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_partly_written_frame_stays_queued() {
        let parts = [&b"abc"[..], b"de", b"", b"f"];
        let all = || parts.map(Bytes::from_static).into();
        for written in 0..=6 {
            let mut unwritten: VecDeque<Bytes> = all();
            advance(&mut unwritten, written);
            let left: Vec<u8> = unwritten.into_iter().flatten().collect();
            assert_eq!(left, b"abcdef"[written..]);
        }
    }

    #[test]
    fn a_close_frame_is_whole_and_has_its_code() {
        let bytes = close_frame(CloseCode::Restarting);
        assert_eq!(bytes[0], 0x88);
        assert_eq!(bytes[2..4], 1012u16.to_be_bytes());
    }
}
