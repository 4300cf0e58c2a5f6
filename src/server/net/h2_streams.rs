//! What the streams of an HTTP/2 connection do, so that an idle or too slow client is closed.
//!
//! HTTP/2 has no head timeout in hyper, and a client that opens no flow-control window (RFC 9113,
//! 5.2) stops a response without stopping the TCP connection. So each response gets a deadline: the
//! write timeout, and for each piece that the client has made room for, the time of that piece at
//! the lowest allowed rate. The last piece waits inside h2 after the body has ended; meanwhile the bytes
//! that the connection writes show that the client reads.
//!
//! A stream may become a WebSocket (RFC 8441), which has deadlines of its own. One that ends while
//! the client does not take what was written leaves these bytes in the connection. The WebSockets of
//! a connection outlive a few such streams, or overdue responses, of a paused download for example; a
//! client with more of them is closed.

use crate::server::limits::MIN_ANSWER_RATE;
use axum::body::{Body, Bytes, HttpBody};
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// Bytes of a piece that goes to h2 at once. 16 KiB: the largest frame of a default client.
const PIECE_BYTES: usize = 16 * 1024;

/// WebSockets of one connection. 32 of 64 streams, so that pages are loaded beside them.
const MAX_SOCKETS: usize = 32;
/// WebSockets that may end with unread bytes, and overdue responses beside WebSockets, of one
/// connection. 4: each keeps some 100 KiB.
const MAX_UNREAD: usize = 4;

/// State of an HTTP/2 connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H2State {
    /// Requests are handled or responses are sent.
    Active,
    /// No stream was open for the idle timeout.
    Idle,
    /// A response was not read before its deadline; beside WebSockets, several were not.
    Overdue,
}

/// What a stream is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamUse {
    /// The request is handled.
    Request,
    /// The response is sent until the deadline.
    Response(Instant),
    /// It is a WebSocket.
    Socket,
}

/// The open streams of one connection.
#[derive(Debug, Clone)]
pub struct H2Streams(Arc<Mutex<Streams>>);

/// State behind the lock.
#[derive(Debug)]
struct Streams {
    /// The use of each stream.
    open: HashMap<u64, StreamUse>,
    /// Number of the next stream.
    next: u64,
    /// The last sign of life: a stream ended, bytes were written, or the connection began.
    active_at: Instant,
    /// Bytes that the connection had written at the last check.
    written: u64,
    /// WebSockets that ended with unread bytes.
    abandoned: usize,
}

impl Default for H2Streams {
    /// A connection without streams.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Streams {
            open: HashMap::new(),
            next: 0,
            active_at: Instant::now(),
            written: 0,
            abandoned: 0,
        })))
    }
}

impl H2Streams {
    /// Registers a stream until the guard is dropped.
    pub fn open(&self) -> H2Stream {
        let mut streams = self.lock();
        let id = streams.next;
        streams.next += 1;
        streams.open.insert(id, StreamUse::Request);
        H2Stream {
            streams: self.clone(),
            id,
        }
    }

    /// The state at `now`, when the connection has written this many bytes.
    pub fn state(&self, now: Instant, written: u64, idle_timeout: Duration) -> H2State {
        let mut streams = self.lock();
        if written != streams.written {
            streams.written = written;
            streams.active_at = now;
        }
        let is_overdue =
            |open: &&StreamUse| matches!(open, StreamUse::Response(deadline) if *deadline <= now);
        let overdue = streams.open.values().filter(is_overdue).count();
        let has_socket = streams.open.values().any(|open| *open == StreamUse::Socket);
        if streams.abandoned + overdue > MAX_UNREAD || (overdue > 0 && !has_socket) {
            return H2State::Overdue;
        }
        let silent = now.saturating_duration_since(streams.active_at);
        match streams.open.is_empty() && silent >= idle_timeout {
            true => H2State::Idle,
            false => H2State::Active,
        }
    }

    /// Whether the open streams, one or more, are all WebSockets.
    pub fn has_sockets_only(&self) -> bool {
        let streams = self.lock();
        let mut open = streams.open.values();
        !streams.open.is_empty() && open.all(|open| *open == StreamUse::Socket)
    }

    /// Locks the streams.
    fn lock(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open stream; dropping it ends it.
#[derive(Debug)]
pub struct H2Stream {
    streams: H2Streams,
    /// Number of the stream within its connection.
    id: u64,
}

impl H2Stream {
    /// Sets the deadline of the response. A WebSocket has none.
    pub fn set_deadline(&self, deadline: Instant) {
        let mut streams = self.streams.lock();
        if let Some(open @ StreamUse::Request) = streams.open.get_mut(&self.id) {
            *open = StreamUse::Response(deadline);
        }
    }

    /// Makes the stream a WebSocket; false if the connection has as many as it may.
    pub fn become_socket(&self) -> bool {
        let mut streams = self.streams.lock();
        let sockets = streams.open.values();
        let sockets = sockets.filter(|open| **open == StreamUse::Socket);
        let allowed = sockets.count() < MAX_SOCKETS;
        if allowed {
            streams.open.insert(self.id, StreamUse::Socket);
        }
        allowed
    }

    /// Counts a WebSocket that ends with unread bytes.
    pub fn abandon(&self) {
        self.streams.lock().abandoned += 1;
    }

    /// Moves the deadline of the response by the time for this many bytes at the lowest rate.
    fn extend_deadline(&self, bytes: usize) {
        let time = Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(MIN_ANSWER_RATE));
        let mut streams = self.streams.lock();
        if let Some(StreamUse::Response(deadline)) = streams.open.get_mut(&self.id) {
            *deadline += time;
        }
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        streams.open.remove(&self.id);
        streams.active_at = Instant::now();
    }
}

/// The body of a response that keeps its stream open until it is sent or dropped. It passes small
/// pieces on, because hyper hands a piece of any size to h2 as soon as the client has room for one
/// byte.
pub struct TrackedBody {
    body: Body,
    /// The rest of a large piece.
    rest: Bytes,
    /// Bytes of the last piece, until the next one is asked for.
    handed: usize,
    /// Ends with the body.
    stream: Arc<H2Stream>,
}

impl TrackedBody {
    /// A body of `stream`.
    pub fn new(body: Body, stream: Arc<H2Stream>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            handed: 0,
            stream,
        }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        // The client has made room behind the piece before.
        let taken = std::mem::replace(&mut self.handed, length);
        self.stream.extend_deadline(taken);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Copies the authority of an HTTP/2 request into `Host`, which handlers read (RFC 9113, 8.3.1).
pub fn set_host(headers: &mut HeaderMap, uri: &http::Uri) {
    if headers.contains_key(http::header::HOST) {
        return;
    }
    let authority = uri.authority().map(|authority| authority.as_str());
    let value = authority.and_then(|authority| authority.parse().ok());
    if let Some(value) = value {
        headers.insert(http::header::HOST, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_after_the_timeout_without_streams() {
        let streams = H2Streams::default();
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        let stream = streams.open();
        tokio::time::advance(IDLE * 2).await;
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        drop(stream);
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        tokio::time::advance(IDLE).await;
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_beyond_its_deadline_is_overdue_until_its_body_is_dropped() {
        let streams = H2Streams::default();
        let stream = streams.open();
        stream.set_deadline(Instant::now() + IDLE);
        let body = TrackedBody::new(Body::from("text"), Arc::new(stream));
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        tokio::time::advance(IDLE).await;
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Overdue);
        drop(body);
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_writes_is_not_idle_after_its_last_stream() {
        let streams = H2Streams::default();
        for second in 1..=20 {
            tokio::time::advance(IDLE / 4).await;
            let state = streams.state(Instant::now(), second * 1024, IDLE);
            assert_eq!(state, H2State::Active);
        }
        tokio::time::advance(IDLE).await;
        assert_eq!(
            streams.state(Instant::now(), 20 * 1024, IDLE),
            H2State::Idle
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_passes_in_small_pieces_that_each_move_the_deadline() {
        use http_body_util::BodyExt;
        let streams = H2Streams::default();
        let stream = streams.open();
        let start = Instant::now();
        stream.set_deadline(start + IDLE);
        let whole = Body::from(vec![7; 3 * PIECE_BYTES + 1]);
        let mut body = TrackedBody::new(whole, Arc::new(stream));
        assert_eq!(body.size_hint().exact(), Some(3 * PIECE_BYTES as u64 + 1));
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let frame = body.frame().await.expect("a frame").expect("data");
            sizes.push(frame.into_data().expect("data").len());
            assert!(!body.is_end_stream());
        }
        assert_eq!(sizes, [PIECE_BYTES; 3]);
        // The client made room behind two of them: 32 KiB at 1 KiB a second.
        let at = |seconds| start + IDLE + Duration::from_secs(seconds);
        assert_eq!(streams.state(at(31), 0, IDLE), H2State::Active);
        assert_eq!(streams.state(at(32), 0, IDLE), H2State::Overdue);
        let last = body.frame().await.expect("a frame").expect("data");
        assert_eq!(last.into_data().expect("data").len(), 1);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_websocket_has_no_deadline_and_keeps_its_connection() {
        let streams = H2Streams::default();
        assert!(!streams.has_sockets_only(), "no stream");
        let (socket, page) = (streams.open(), streams.open());
        assert!(socket.become_socket());
        socket.set_deadline(Instant::now());
        tokio::time::advance(IDLE * 100).await;
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        assert!(!streams.has_sockets_only(), "a page is loaded");
        drop(page);
        assert!(streams.has_sockets_only());
        drop(socket);
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        tokio::time::advance(IDLE).await;
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn four_overdue_responses_do_not_end_the_websockets_beside_them() {
        let streams = H2Streams::default();
        let socket = streams.open();
        assert!(socket.become_socket());
        let mut overdue = Vec::new();
        for _ in 0..MAX_UNREAD {
            let page = streams.open();
            page.set_deadline(Instant::now());
            overdue.push(page);
        }
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        streams.open().abandon();
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Overdue);
        overdue.pop();
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Active);
        drop(socket);
        let state = streams.state(Instant::now(), 0, IDLE);
        assert_eq!(state, H2State::Overdue, "nothing else is open");
    }

    #[tokio::test]
    async fn a_connection_has_thirty_two_websockets_and_its_place_comes_back() {
        let streams = H2Streams::default();
        let mut sockets: Vec<_> = (0..MAX_SOCKETS).map(|_| streams.open()).collect();
        assert!(sockets.iter().all(H2Stream::become_socket));
        let next = streams.open();
        assert!(!next.become_socket());
        sockets.pop();
        assert!(next.become_socket());
    }

    #[tokio::test]
    async fn a_client_that_leaves_five_websockets_unread_is_overdue() {
        let streams = H2Streams::default();
        for number in 0..=MAX_UNREAD {
            let state = streams.state(Instant::now(), 0, IDLE);
            assert_eq!(state, H2State::Active, "{number}");
            streams.open().abandon();
        }
        assert_eq!(streams.state(Instant::now(), 0, IDLE), H2State::Overdue);
    }

    #[test]
    fn the_authority_becomes_the_host_unless_the_request_names_one() {
        let uri: http::Uri = "https://meet.org:8443/".parse().expect("a target");
        let mut headers = HeaderMap::new();
        set_host(&mut headers, &uri);
        assert_eq!(headers["host"], "meet.org:8443");
        set_host(
            &mut headers,
            &"https://evil.org/".parse().expect("a target"),
        );
        assert_eq!(headers["host"], "meet.org:8443");
    }
}
