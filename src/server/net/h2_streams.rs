//! What the streams of an HTTP/2 connection do, so that an idle or too slow client is closed.
//!
//! HTTP/2 has no head timeout in hyper, and a client that opens no flow-control window (RFC 9113,
//! 5.2) stops a response without stopping the TCP connection. So each response gets a deadline: the
//! write timeout, and the time for its length at the lowest allowed rate.

use axum::body::{Body, Bytes, HttpBody};
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// State of an HTTP/2 connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H2State {
    /// Requests are handled or responses are sent.
    Active,
    /// No stream was open for the idle timeout.
    Idle,
    /// A response was not read before its deadline.
    Overdue,
}

/// The open streams of one connection.
#[derive(Debug, Clone)]
pub struct H2Streams(Arc<Mutex<Streams>>);

/// State behind the lock.
#[derive(Debug)]
struct Streams {
    /// Deadline of the response of each stream; `None` while the request is handled.
    open: HashMap<u64, Option<Instant>>,
    /// Number of the next stream.
    next: u64,
    /// When the last stream ended, or when the connection began.
    idle_since: Instant,
}

impl Default for H2Streams {
    /// A connection without streams.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Streams {
            open: HashMap::new(),
            next: 0,
            idle_since: Instant::now(),
        })))
    }
}

impl H2Streams {
    /// Registers a stream until the guard is dropped.
    pub fn open(&self) -> H2Stream {
        let mut streams = self.lock();
        let id = streams.next;
        streams.next += 1;
        streams.open.insert(id, None);
        H2Stream {
            streams: self.clone(),
            id,
        }
    }

    /// The state at `now`.
    pub fn state(&self, now: Instant, idle_timeout: Duration) -> H2State {
        let streams = self.lock();
        if streams.open.is_empty() {
            let idle = now.saturating_duration_since(streams.idle_since) >= idle_timeout;
            return if idle { H2State::Idle } else { H2State::Active };
        }
        let mut deadlines = streams.open.values().flatten();
        match deadlines.any(|deadline| *deadline <= now) {
            true => H2State::Overdue,
            false => H2State::Active,
        }
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
    /// Sets the deadline of the response.
    pub fn set_deadline(&self, deadline: Instant) {
        self.streams.lock().open.insert(self.id, Some(deadline));
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        streams.open.remove(&self.id);
        streams.idle_since = Instant::now();
    }
}

/// The body of a response that keeps its stream open until it is sent or dropped.
pub struct TrackedBody {
    body: Body,
    /// Ends with the body.
    _stream: H2Stream,
}

impl TrackedBody {
    /// A body of `stream`.
    pub fn new(body: Body, stream: H2Stream) -> Self {
        Self {
            body,
            _stream: stream,
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
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Active);
        let stream = streams.open();
        tokio::time::advance(IDLE * 2).await;
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Active);
        drop(stream);
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Active);
        tokio::time::advance(IDLE).await;
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_beyond_its_deadline_is_overdue_until_its_body_is_dropped() {
        let streams = H2Streams::default();
        let stream = streams.open();
        stream.set_deadline(Instant::now() + IDLE);
        let body = TrackedBody::new(Body::from("text"), stream);
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Active);
        tokio::time::advance(IDLE).await;
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Overdue);
        drop(body);
        assert_eq!(streams.state(Instant::now(), IDLE), H2State::Active);
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
