//! ICE over TCP (RFC 6544), for networks that block UDP. A two-byte length precedes each
//! datagram (RFC 4571).

use super::datagram::ReceivedDatagram;
use crate::server::{
    limits::{MEDIA_TCP_QUEUE_BYTES, MEDIA_TCP_STREAMS, MEDIA_TCP_STREAMS_OF_ADDRESS},
    net::{
        Permit, PermitLimits, Permits,
        sockets::{self, Families},
    },
};
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use std::{
    collections::HashMap,
    io::{self, Read as _, Write},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use str0m::net::Protocol;

/// Silence after which a stream is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream may belong to no peer. 10 s: a browser's first frame is a connectivity check.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read from one stream in one poll, so that it does not starve the others.
const MAX_READ_BYTES: usize = 64 * 1024;
/// The longest frame with its length, in bytes.
const MAX_FRAME_BYTES: usize = 2 + u16::MAX as usize;

/// The listener and its streams.
pub struct TcpTransport {
    /// Accepts streams; nonblocking.
    listener: TcpListener,
    /// The streams by their token.
    streams: HashMap<Token, Stream>,
    /// The token of each remote address.
    tokens: HashMap<SocketAddr, Token>,
    /// Limits streams, in all and per address.
    permits: Permits,
    /// Streams that may hold more than one poll reads.
    unread: Vec<Token>,
    /// The token of the next stream.
    next_token: usize,
}

/// An accepted connection and its framing buffers.
struct Stream {
    /// The accepted, nonblocking TCP socket.
    socket: TcpStream,
    /// The remote address.
    source: SocketAddr,
    /// The address of this machine that it came to.
    local_ip: IpAddr,
    /// The start of an incomplete frame.
    read_buffer: Vec<u8>,
    /// Bytes to write.
    write_buffer: Vec<u8>,
    /// When bytes arrived last.
    last_received: Instant,
    /// When the stream was last known to belong to a peer; at first, when it was accepted.
    last_verified: Instant,
    /// Held for as long as the stream lives.
    _permit: Permit,
}

impl TcpTransport {
    /// Binds the port; streams get tokens from `first` up.
    ///
    /// # Errors
    /// The port is in use or not permitted.
    pub fn bind(address: SocketAddr, families: Families, first: usize) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(sockets::tcp(address, families)?),
            streams: HashMap::new(),
            tokens: HashMap::new(),
            permits: Permits::new(PermitLimits {
                total: MEDIA_TCP_STREAMS,
                per_address: MEDIA_TCP_STREAMS_OF_ADDRESS,
            }),
            unread: Vec::new(),
            next_token: first,
        })
    }

    /// The listener, to be registered with a poll.
    pub fn listener(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    /// Accepts the waiting streams. Beyond [`MEDIA_TCP_STREAMS`] in all and
    /// [`MEDIA_TCP_STREAMS_OF_ADDRESS`] they are closed.
    pub fn accept(&mut self, registry: &Registry, now: Instant) {
        while let Ok((mut socket, source)) = self.listener.accept() {
            let token = Token(self.next_token);
            let source = sockets::canonical(source);
            let Ok(permit) = self.permits.acquire(source.ip()) else {
                continue;
            };
            let watched = registry
                .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
                .is_ok();
            let (true, Ok(local)) = (watched, socket.local_addr()) else {
                continue;
            };
            let _ = socket.set_nodelay(true);
            self.next_token += 1;
            self.tokens.insert(source, token);
            let stream = Stream {
                socket,
                source,
                local_ip: local.ip().to_canonical(),
                read_buffer: Vec::new(),
                write_buffer: Vec::new(),
                last_received: now,
                last_verified: now,
                _permit: permit,
            };
            self.streams.insert(token, stream);
        }
    }

    /// Takes the streams to read again although the poll reports nothing about them.
    pub fn unread(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.unread)
    }

    /// Whether there are such streams.
    pub fn is_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Flushes and reads a stream, [`MAX_READ_BYTES`] at most, and passes each frame to `take`. A
    /// stream that ended is dropped.
    pub fn on_ready(
        &mut self,
        token: Token,
        now: Instant,
        mut take: impl FnMut(ReceivedDatagram<'_>),
    ) {
        let Some(stream) = self.streams.get_mut(&token) else {
            return;
        };
        let (source, local_ip) = (stream.source, Some(stream.local_ip));
        let read = match stream.flush() {
            true => stream.read(now, |bytes| {
                take(ReceivedDatagram {
                    proto: Protocol::Tcp,
                    is_relayed: false,
                    source,
                    local_ip,
                    bytes,
                });
            }),
            false => ReadOutcome::Closed,
        };
        match read {
            ReadOutcome::Drained => {}
            ReadOutcome::Partial if self.unread.contains(&token) => {}
            ReadOutcome::Partial => self.unread.push(token),
            ReadOutcome::Closed => self.close(token),
        }
    }

    /// Sends a frame. With a full write buffer the frame is lost.
    pub fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Some(token) = self.tokens.get(&to).copied() else {
            return;
        };
        let open = self
            .streams
            .get_mut(&token)
            .is_some_and(|stream| stream.send(bytes));
        if !open {
            self.close(token);
        }
    }

    /// Closes streams that are idle or that belong to no peer. `is_known`: whether the stream of a
    /// remote address belongs to a peer.
    pub fn sweep(&mut self, now: Instant, is_known: impl Fn(SocketAddr) -> bool) {
        for stream in self.streams.values_mut() {
            if is_known(stream.source) {
                stream.last_verified = now;
            }
        }
        let over = |stream: &Stream| {
            now > stream.last_received + IDLE_TIMEOUT || now > stream.last_verified + VERIFY_TIMEOUT
        };
        let streams = self.streams.iter().filter(|(_, stream)| over(stream));
        let streams: Vec<_> = streams.map(|(token, _)| *token).collect();
        streams.into_iter().for_each(|token| self.close(token));
    }

    /// Closes a stream.
    fn close(&mut self, token: Token) {
        if let Some(stream) = self.streams.remove(&token)
            && self.tokens.get(&stream.source) == Some(&token)
        {
            self.tokens.remove(&stream.source);
        }
    }
}

/// How reading a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum ReadOutcome {
    /// Nothing is left to read.
    Drained,
    /// The limit of one poll is reached.
    Partial,
    /// The stream ended.
    Closed,
}

impl Stream {
    /// Reads until nothing is left or [`MAX_READ_BYTES`] are reached.
    fn read(&mut self, now: Instant, mut take: impl FnMut(&[u8])) -> ReadOutcome {
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        while total < MAX_READ_BYTES {
            match self.socket.read(&mut buffer) {
                Ok(0) => return ReadOutcome::Closed,
                Ok(read) => {
                    total += read;
                    self.last_received = now;
                    self.read_buffer.extend_from_slice(&buffer[..read]);
                    let taken = take_frames(&self.read_buffer, &mut take);
                    self.read_buffer.drain(..taken);
                    debug_assert!(self.read_buffer.len() < MAX_FRAME_BYTES);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return ReadOutcome::Drained;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return ReadOutcome::Closed,
            }
        }
        ReadOutcome::Partial
    }

    /// Queues a frame and flushes. Returns false where the stream ended.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let Ok(length) = u16::try_from(bytes.len()) else {
            return true;
        };
        if self.write_buffer.len() + bytes.len() > MEDIA_TCP_QUEUE_BYTES {
            return true;
        }
        self.write_buffer.extend_from_slice(&length.to_be_bytes());
        self.write_buffer.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what the socket accepts. Returns false where the stream ended.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        let open = loop {
            if written == self.write_buffer.len() {
                break true;
            }
            match self.socket.write(&self.write_buffer[written..]) {
                Ok(0) => break false,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        self.write_buffer.drain(..written);
        open
    }
}

/// Passes every complete frame at the start of `bytes` to `take` (RFC 4571 2). Returns how many
/// bytes they were.
fn take_frames(bytes: &[u8], take: &mut impl FnMut(&[u8])) -> usize {
    let mut start = 0;
    while let Some(head) = bytes.get(start..start + 2) {
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let Some(frame) = bytes.get(start + 2..start + 2 + length) else {
            break;
        };
        take(frame);
        start += 2 + length;
    }
    start
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
