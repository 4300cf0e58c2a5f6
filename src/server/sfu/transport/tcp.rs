//! ICE over TCP (RFC 6544): for networks that let no UDP through. Each frame is preceded
//! by its length in two bytes (RFC 4571).

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
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long a stream may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream may belong to no connection, whatever comes on it: a browser's first frame is
/// the connectivity check that proves whose it is. 10 s.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read from one stream in one turn, so that one does not starve the others.
const MAX_READ_BYTES: usize = 64 * 1024;
/// The longest frame with its length.
const MAX_FRAME_BYTES: usize = 2 + u16::MAX as usize;

/// The listener and its streams.
pub struct TcpTransport {
    /// Where they come in.
    listener: TcpListener,
    /// By token.
    streams: HashMap<Token, Stream>,
    /// By the address they come from.
    tokens: HashMap<SocketAddr, Token>,
    /// How many there may be.
    permits: Permits,
    /// Streams that may hold more than was read in their turn.
    unread: Vec<Token>,
    /// The next token.
    next_token: usize,
}

/// One connection.
struct Stream {
    /// The socket.
    socket: TcpStream,
    /// From where.
    source: SocketAddr,
    /// At which address of this machine.
    local: SocketAddr,
    /// The start of a frame whose end has not come.
    read_buffer: Vec<u8>,
    /// What the socket could not take yet.
    write_buffer: Vec<u8>,
    /// When something came last.
    last_received: Instant,
    /// When it was last known whose it is; at first, when it came in.
    last_verified: Instant,
    /// Its place among the streams.
    _permit: Permit,
}

impl TcpTransport {
    /// Binds the port; streams get tokens from `first` up.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
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

    /// The listener, to be watched.
    pub fn listener(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    /// Takes in whoever waits. Beyond [`MEDIA_TCP_STREAMS`] in all and
    /// [`MEDIA_TCP_STREAMS_OF_ADDRESS`] they are turned away.
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
                local,
                read_buffer: Vec::new(),
                write_buffer: Vec::new(),
                last_received: now,
                last_verified: now,
                _permit: permit,
            };
            self.streams.insert(token, stream);
        }
    }

    /// Streams that are to be read again, though nothing new is said of them.
    pub fn unread(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.unread)
    }

    /// Whether there are any.
    pub fn is_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads what has come on a stream, [`MAX_READ_BYTES`] at most; `take` is told each frame
    /// with its source and the local address. A stream that ends is dropped.
    pub fn on_ready(
        &mut self,
        token: Token,
        now: Instant,
        mut take: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let Some(stream) = self.streams.get_mut(&token) else {
            return;
        };
        let (source, local) = (stream.source, stream.local);
        let read = match stream.flush() {
            true => stream.read(now, |frame| take(source, local, frame)),
            false => ReadOutcome::Closed,
        };
        match read {
            ReadOutcome::Drained => {}
            ReadOutcome::Partial if self.unread.contains(&token) => {}
            ReadOutcome::Partial => self.unread.push(token),
            ReadOutcome::Closed => self.close(token),
        }
    }

    /// Sends a frame; where the stream cannot take it, it is lost, as on the way.
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

    /// Drops whoever has been silent for too long, and what has been nobody's for too long.
    /// `is_known` says whether a stream from there is some connection's.
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

    /// Ends a stream.
    fn close(&mut self, token: Token) {
        if let Some(stream) = self.streams.remove(&token)
            && self.tokens.get(&stream.source) == Some(&token)
        {
            self.tokens.remove(&stream.source);
        }
    }
}

/// What was read of a stream.
#[derive(Debug, PartialEq, Eq)]
enum ReadOutcome {
    /// All that is there.
    Drained,
    /// As much as one turn may take.
    Partial,
    /// It is over.
    Closed,
}

impl Stream {
    /// Reads until nothing more is there, or enough for one turn.
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

    /// Queues a frame and writes what the socket takes.
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

    /// Writes what the socket takes; false where the stream is over.
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

/// Tells every whole frame at the start of `bytes` (RFC 4571 2); answers how many bytes
/// they were.
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
