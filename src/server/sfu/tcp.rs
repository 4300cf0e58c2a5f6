//! ICE over TCP (RFC 6544): for networks that let no UDP through. Each frame is preceded
//! by its length in two bytes (RFC 4571).

use crate::server::limits::{MEDIA_TCP_QUEUE_BYTES, MEDIA_TCP_STREAMS};
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long a stream may be silent before it has proved whom it belongs to, and after.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Bytes read from one stream in one turn, so that one does not starve the others.
const READ_BYTES: usize = 64 * 1024;

/// The listener and its streams.
pub struct Tcp {
    /// Where they come in.
    listener: TcpListener,
    /// By token.
    streams: HashMap<Token, Stream>,
    /// By the address they come from.
    tokens: HashMap<SocketAddr, Token>,
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
}

impl Tcp {
    /// Binds the port; streams get tokens from `first` up.
    ///
    /// # Errors
    /// The port is taken or not ours to take.
    pub fn bind(address: SocketAddr, first: usize) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
            streams: HashMap::new(),
            tokens: HashMap::new(),
            next: first,
        })
    }

    /// The listener, to be watched.
    pub fn listener(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    /// Takes in whoever waits. Beyond [`MEDIA_TCP_STREAMS`] they are turned away.
    pub fn accept(&mut self, registry: &Registry, now: Instant) {
        while let Ok((mut socket, source)) = self.listener.accept() {
            let token = Token(self.next);
            let known = self.streams.len() < MEDIA_TCP_STREAMS;
            let watched = known
                && registry
                    .register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)
                    .is_ok();
            let (true, Ok(local)) = (watched, socket.local_addr()) else {
                continue;
            };
            let _ = socket.set_nodelay(true);
            self.next += 1;
            let source = super::udp::canonical(source);
            self.tokens.insert(source, token);
            let stream = Stream {
                socket,
                source,
                local,
                partial: Vec::new(),
                queue: Vec::new(),
                heard: now,
            };
            self.streams.insert(token, stream);
        }
    }

    /// Reads what has come on a stream; `take` is told each frame with its source and
    /// the local address. A stream that ends or breaks the framing is dropped.
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
        let open = stream.flush() && stream.read(now, |frame| take(source, local, frame));
        if !open {
            self.drop_stream(token);
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

    /// Drops whoever has been silent for too long.
    pub fn sweep(&mut self, now: Instant) {
        let silent = self.streams.iter();
        let silent = silent.filter(|(_, stream)| now > stream.heard + SILENT_FOR);
        let silent: Vec<_> = silent.map(|(token, _)| *token).collect();
        silent.into_iter().for_each(|token| self.drop_stream(token));
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

impl Stream {
    /// Reads until nothing more is there; false where the stream is over.
    fn read(&mut self, now: Instant, mut take: impl FnMut(&[u8])) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.heard = now;
                    self.partial.extend_from_slice(&buffer[..read]);
                    let taken = frames(&self.partial, &mut take);
                    self.partial.drain(..taken);
                    // A frame holds at most 64 KiB, so no more than that can be partial.
                    if self.partial.len() > READ_BYTES + 2 {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_come_whole_however_the_stream_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cuts in prop::collection::vec(1_usize..50, 1..200),
        ) {
            let mut stream = Vec::new();
            for frame in &sent {
                stream.extend_from_slice(&(frame.len() as u16).to_be_bytes());
                stream.extend_from_slice(frame);
            }
            let (mut partial, mut got, mut rest) = (Vec::new(), Vec::new(), &stream[..]);
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = later;
                partial.extend_from_slice(piece);
                let taken = frames(&partial, &mut |frame: &[u8]| got.push(frame.to_vec()));
                partial.drain(..taken);
            }
            prop_assert_eq!(got, sent);
        }
    }
}
