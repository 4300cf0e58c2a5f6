//! Connections: accepting them, how many there are, how long they may take, ending them
//! together.
//!
//! Each connection is served by a task with deadlines: [`Timing::head_within`] for the whole
//! head of a request (and for an idle kept connection), [`Timing::answer_within`] for a reader
//! who does not take the answer; the body's deadline is a layer of the router. An address has
//! so many connections, and further ones of it are closed at once.
//!
//! When all places are taken, a reserve still serves `/healthz`, `/readyz` and upgrades. Its
//! connections are bounded by a ring: the newest takes the place of the oldest, so that
//! nobody holds the reserve by saying nothing.

use super::{
    limits::{MAX_HEAD_BYTES, MIN_ANSWER_RATE, TCP_USER_TIMEOUT, Timing},
    metrics,
    net::{
        BoundedWrites, PermitError, PermitLimits, Permits, RareWarning, TrustedProxies, warning,
    },
};
use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::AbortHandle,
    time::sleep,
};
use tower::ServiceExt;

/// Before accepting again after the process ran out of files. No event tells when
/// there are some again.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// How many connections there may be, and whose.
#[derive(Debug, Clone)]
pub(super) struct ConnectionLimits {
    /// In all, and from one address.
    pub permits: PermitLimits,
    /// Beyond these, for health and upgrades.
    pub reserved: usize,
    /// These have no limit of their own: behind them are many people, whose requests are
    /// counted by the address that is named.
    pub proxies: TrustedProxies,
}

/// What every connection needs.
#[derive(Clone)]
struct Serving {
    /// Answers.
    router: Router,
    /// How long things may take.
    timing: Timing,
    /// Turns true when the server stops.
    stopping: watch::Receiver<bool>,
    /// Held by each connection; closed once nobody holds it any more.
    alive: mpsc::Sender<()>,
}

/// What a connection is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Everything.
    Ordinary,
    /// Health and upgrades, one request.
    Reserved,
}

/// Accepts and serves until `stopping` says so, then waits for what is under way.
pub(super) async fn listen(
    listener: TcpListener,
    router: Router,
    timing: Timing,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let (alive, mut all_gone) = mpsc::channel(1);
    let mut stop = stopping.clone();
    let serving = Serving {
        router,
        timing,
        stopping,
        alive,
    };
    tokio::select! {
        never = accept_all(&listener, serving, limits) => match never {},
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    let _ = all_gone.recv().await;
}

/// Accepts and serves for ever.
async fn accept_all(
    listener: &TcpListener,
    serving: Serving,
    limits: ConnectionLimits,
) -> std::convert::Infallible {
    let permits = Permits::new(limits.permits);
    let mut reserve: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (stream, peer) = accept(listener).await;
        // An address without a limit of its own is bounded by the total.
        let counted = match limits.proxies.contains(peer.ip()) {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => peer.ip(),
        };
        match permits.acquire(counted) {
            Ok(permit) => {
                let task = serving.clone().serve(stream, peer, Place::Ordinary);
                tokio::spawn(async move {
                    task.await;
                    drop(permit);
                });
            }
            Err(PermitError::OfAddress) => {
                metrics::CONNECTIONS_REFUSED.add(1);
                drop(stream);
            }
            Err(PermitError::InAll) => {
                metrics::CONNECTIONS_RESERVED.add(1);
                let task = serving.clone().serve(stream, peer, Place::Reserved);
                reserve.push_back(tokio::spawn(task).abort_handle());
                if reserve.len() > limits.reserved
                    && let Some(oldest) = reserve.pop_front()
                {
                    oldest.abort();
                }
            }
        }
    }
}

/// The next connection. One that broke while it waited is passed over.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                static FAILED: RareWarning = RareWarning::new();
                warning::failed(&FAILED, &error, "no connection can be accepted");
                sleep(OUT_OF_FILES).await;
            }
        }
    }
}

impl Serving {
    /// Serves one connection to its end, or until it becomes a socket.
    async fn serve(self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let _alive = self.alive.clone();
        if let Err(error) = self.requests(stream, peer, place).await {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// Answers requests; told to stop, it answers what it is at and no more.
    async fn requests(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
    ) -> hyper::Result<()> {
        tune(&stream);
        let Self {
            router,
            timing,
            mut stopping,
            ..
        } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = router.clone();
            async move {
                if place == Place::Ordinary {
                    return router.oneshot(request).await;
                }
                match is_for_the_reserve(&request) {
                    true => router.oneshot(request).await.map(close_after),
                    false => Ok(close_after(busy())),
                }
            }
        });
        let head_within = match place {
            Place::Ordinary => timing.head_within,
            Place::Reserved => timing.reserved_head_within,
        };
        let stream = BoundedWrites::new(stream, timing.answer_within, MIN_ANSWER_RATE);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_within)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

/// Whether a request is one that places are kept free for.
fn is_for_the_reserve<B>(request: &Request<B>) -> bool {
    match request.uri().path() {
        "/healthz" | "/readyz" => true,
        "/ws" => request.headers().contains_key(header::UPGRADE),
        _ => false,
    }
}

/// All ordinary places are taken.
fn busy() -> Response {
    let mut response = Response::new(Body::from("too many connections; try again in a moment"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The connection ends with this response, unless it becomes a socket by it.
fn close_after(mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Sets a fresh connection up: small frames leave at once, a vanished line is noticed.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
}
