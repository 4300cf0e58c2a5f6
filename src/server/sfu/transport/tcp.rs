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
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How long a stream may belong to no connection, whatever comes on it: a browser's first frame is
/// the connectivity check that proves whose it is. 10 s.
const PROVES_WITHIN: Duration = Duration::from_secs(10);
/// Bytes read from one stream in one turn, so that one does not starve the others.
const READ_BYTES: usize = 64 * 1024;
/// The longest frame with its length.
const LONGEST_FRAME: usize = 2 + u16::MAX as usize;

/// The listener and its streams.
pub struct Tcp {
    /// Where they come in.
    listener: TcpListener,
    /// By token.
    streams: HashMap<Token, Stream>,
    /// By the address they come from.
    tokens: HashMap<SocketAddr, Token>,
    /// How many there may be.
    places: Permits,
    /// Streams that may hold more than was read in their turn.
    unread: Vec<Token>,
    /// The next token.
    next: usize,
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
    partial: Vec<u8>,
    /// What the socket could not take yet.
    queue: Vec<u8>,
    /// When something came last.
    heard: Instant,
    /// When it was last known whose it is; at first, when it came in.
    known: Instant,
    /// Its place among the streams.
    _permit: Permit,
}

impl Tcp {
    /// Binds the port; streams get tokens from `first` up.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn bind(address: SocketAddr, families: Families, first: usize) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::from_std(sockets::tcp(address, families)?),
            streams: HashMap::new(),
            tokens: HashMap::new(),
            places: Permits::new(PermitLimits {
                total: MEDIA_TCP_STREAMS,
                per_address: MEDIA_TCP_STREAMS_OF_ADDRESS,
            }),
            unread: Vec::new(),
            next: first,
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
            let token = Token(self.next);
            let source = sockets::canonical(source);
            let Ok(permit) = self.places.acquire(source.ip()) else {
                continue;
            };
            let watched = registry
                .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
                .is_ok();
            let (true, Ok(local)) = (watched, socket.local_addr()) else {
                continue;
            };
            let _ = socket.set_nodelay(true);
            self.next += 1;
            self.tokens.insert(source, token);
            let stream = Stream {
                socket,
                source,
                local,
                partial: Vec::new(),
                queue: Vec::new(),
                heard: now,
                known: now,
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

    /// Reads what has come on a stream, [`READ_BYTES`] at most; `take` is told each frame
    /// with its source and the local address. A stream that ends is dropped.
    pub fn ready(
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
            false => Read::Over,
        };
        match read {
            Read::All => {}
            Read::Part if self.unread.contains(&token) => {}
            Read::Part => self.unread.push(token),
            Read::Over => self.drop_stream(token),
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
            self.drop_stream(token);
        }
    }

    /// Drops whoever has been silent for too long, and what has been nobody's for too long.
    /// `is_known` says whether a stream from there is some connection's.
    pub fn sweep(&mut self, now: Instant, is_known: impl Fn(SocketAddr) -> bool) {
        for stream in self.streams.values_mut() {
            if is_known(stream.source) {
                stream.known = now;
            }
        }
        let over =
            |stream: &Stream| now > stream.heard + SILENT_FOR || now > stream.known + PROVES_WITHIN;
        let streams = self.streams.iter().filter(|(_, stream)| over(stream));
        let streams: Vec<_> = streams.map(|(token, _)| *token).collect();
        streams
            .into_iter()
            .for_each(|token| self.drop_stream(token));
    }

    /// Ends a stream.
    fn drop_stream(&mut self, token: Token) {
        if let Some(stream) = self.streams.remove(&token)
            && self.tokens.get(&stream.source) == Some(&token)
        {
            self.tokens.remove(&stream.source);
        }
    }
}

/// What was read of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// All that is there.
    All,
    /// As much as one turn may take.
    Part,
    /// It is over.
    Over,
}

impl Stream {
    /// Reads until nothing more is there, or enough for one turn.
    fn read(&mut self, now: Instant, mut take: impl FnMut(&[u8])) -> Read {
        let mut buffer = [0; 16 * 1024];
        let mut total = 0;
        while total < READ_BYTES {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Read::Over,
                Ok(read) => {
                    total += read;
                    self.heard = now;
                    self.partial.extend_from_slice(&buffer[..read]);
                    let taken = frames(&self.partial, &mut take);
                    self.partial.drain(..taken);
                    debug_assert!(self.partial.len() < LONGEST_FRAME);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::All,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Read::Over,
            }
        }
        Read::Part
    }

    /// Queues a frame and writes what the socket takes.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let Ok(length) = u16::try_from(bytes.len()) else {
            return true;
        };
        if self.queue.len() + bytes.len() > MEDIA_TCP_QUEUE_BYTES {
            return true;
        }
        self.queue.extend_from_slice(&length.to_be_bytes());
        self.queue.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what the socket takes; false where the stream is over.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        let open = loop {
            if written == self.queue.len() {
                break true;
            }
            match self.socket.write(&self.queue[written..]) {
                Ok(0) => break false,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        self.queue.drain(..written);
        open
    }
}

/// Tells every whole frame at the start of `bytes` (RFC 4571 2); answers how many bytes
/// they were.
fn frames(bytes: &[u8], take: &mut impl FnMut(&[u8])) -> usize {
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
