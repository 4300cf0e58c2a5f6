//! Accepts HTTP connections, limits their number and duration, and stops them gracefully.
//!
//! A task serves each connection with deadlines. [`Timing::head_timeout`] bounds the head of a
//! request and the idle time of a kept-alive connection. [`Timing::write_timeout`] bounds a
//! response whose reader reads nothing. A layer of the router bounds the body. Connections of an
//! address beyond its limit are closed at once.
//!
//! When the limit of ordinary connections is reached, reserved connections still serve `/healthz`,
//! `/readyz` and upgrades, [`RESERVED_PER_ADDRESS`] of them for one address. When the reserve is
//! full, the newest connection replaces the oldest. Silent clients therefore cannot occupy the
//! reserve, and one address cannot exhaust it.

use crate::server::{
    limits::{MAX_HEAD_BYTES, MIN_ANSWER_RATE, RESERVED_PER_ADDRESS, TCP_USER_TIMEOUT, Timing},
    log_throttle::{self, LogThrottle},
    metrics::HttpMetrics,
    net::{
        Permit, PermitError, PermitLimits, Permits, TrustedProxies, WriteTimeoutStream, sockets,
    },
};
use axum::{
    Router,
    body::HttpBody,
    extract::ConnectInfo,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::VecDeque,
    io,
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

/// Delay before the next `accept` after the process ran out of file descriptors. 100 ms: no event
/// reports a free descriptor.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Debug, Clone)]
pub(in crate::server) struct ConnectionLimits {
    /// Ordinary connections in total, and from one address.
    pub permits: PermitLimits,
    /// Further connections in total, for health checks and upgrades.
    pub reserved: usize,
    /// Proxies without a limit per address, because each serves many clients. Their requests are
    /// counted by the address that the proxy names.
    pub proxies: TrustedProxies,
}

/// The sockets that serve one address. Loopback and the unspecified address need one socket of
/// each family.
pub(in crate::server) struct Listeners {
    /// The socket of the configured address.
    pub first: TcpListener,
    /// The socket of the counterpart in the other family.
    second: Option<TcpListener>,
}

impl Listeners {
    /// Binds an address and its counterpart in the other family. If the counterpart cannot be
    /// bound, a log line names `setting`.
    ///
    /// # Errors
    /// The address itself cannot be bound.
    pub fn bind(setting: &'static str, address: SocketAddr) -> io::Result<Self> {
        let (first, second) = sockets::tcp_pair(setting, address)?;
        Ok(Self {
            first: TcpListener::from_std(first)?,
            second: second.map(TcpListener::from_std).transpose()?,
        })
    }

    /// The listening addresses.
    ///
    /// # Errors
    /// The operating system does not return them.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let all = std::iter::once(&self.first).chain(&self.second);
        all.map(TcpListener::local_addr).collect()
    }

    /// Accepts the next connection of either socket.
    ///
    /// # Cancel safety
    /// No connection is lost when dropped.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = match &self.second {
            None => self.first.accept().await?,
            Some(second) => tokio::select! {
                accepted = self.first.accept() => accepted?,
                accepted = second.accept() => accepted?,
            },
        };
        Ok((stream, sockets::canonical(peer)))
    }
}

/// Serves connections. Each connection has a clone.
#[derive(Clone)]
struct ConnectionServer {
    /// Handles the requests.
    router: Router,
    /// Counts refused and reserved connections.
    metrics: HttpMetrics,
    timing: Timing,
    /// Turns true when the server stops.
    stopping: watch::Receiver<bool>,
    /// Each connection holds a clone. The channel closes when the last connection ends.
    alive: mpsc::Sender<()>,
}

/// Which requests of a connection are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionClass {
    /// All requests, until the client closes the connection.
    Ordinary,
    /// One request, which is a health check or an upgrade.
    Reserved,
}

/// Accepts and serves connections until `stopping` turns true, then waits for the current
/// requests.
pub(in crate::server) async fn listen(
    listeners: Listeners,
    (router, metrics): (Router, HttpMetrics),
    timing: Timing,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let (alive, mut all_ended) = mpsc::channel(1);
    let mut stop = stopping.clone();
    let server = ConnectionServer {
        router,
        metrics,
        timing,
        stopping,
        alive,
    };
    tokio::select! {
        never = accept_all(&listeners, server, limits) => match never {},
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(listeners);
    let _ = all_ended.recv().await;
}

/// Accepts and serves connections for ever.
async fn accept_all(
    listeners: &Listeners,
    server: ConnectionServer,
    limits: ConnectionLimits,
) -> std::convert::Infallible {
    let permits = Permits::new(limits.permits);
    let mut reserve = Reserve::new(limits.reserved);
    loop {
        let (stream, peer) = accept(listeners).await;
        // Loopback is exempt from the limit per address and counts towards the total.
        let counted_ip = match limits.proxies.contains(peer.ip()) {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => peer.ip(),
        };
        match permits.acquire(counted_ip) {
            Ok(permit) => {
                let task = server
                    .clone()
                    .serve(stream, peer, ConnectionClass::Ordinary);
                tokio::spawn(async move {
                    task.await;
                    drop(permit);
                });
            }
            Err(PermitError::PerAddress) => {
                server.metrics.connections_refused.inc();
                drop(stream);
            }
            Err(PermitError::Total) => match reserve.acquire(counted_ip) {
                Ok(permit) => {
                    server.metrics.connections_reserved.inc();
                    let task = server
                        .clone()
                        .serve(stream, peer, ConnectionClass::Reserved);
                    reserve.hold(permit, tokio::spawn(task).abort_handle());
                }
                Err(_) => {
                    server.metrics.connections_refused.inc();
                    drop(stream);
                }
            },
        }
    }
}

/// The connections that are served beyond the limit of ordinary connections.
struct Reserve {
    /// The permits of the reserve, in total and for one address.
    permits: Permits,
    /// The permits that are held, each with its task, the oldest first.
    held: VecDeque<(Permit, AbortHandle)>,
}

impl Reserve {
    /// A reserve of `total` free permits.
    fn new(total: usize) -> Self {
        Self {
            permits: Permits::new(PermitLimits {
                total,
                per_address: RESERVED_PER_ADDRESS,
            }),
            held: VecDeque::new(),
        }
    }

    /// Acquires a permit for a connection of this address. Aborts the oldest connection if all
    /// permits are held.
    ///
    /// # Errors
    /// The address has reached its limit, or there is no reserve.
    fn acquire(&mut self, counted_ip: IpAddr) -> Result<Permit, PermitError> {
        self.held.retain(|(_, task)| !task.is_finished());
        match self.permits.acquire(counted_ip) {
            Ok(permit) => Ok(permit),
            Err(PermitError::PerAddress) => Err(PermitError::PerAddress),
            Err(PermitError::Total) => {
                let (permit, oldest) = self.held.pop_front().ok_or(PermitError::Total)?;
                oldest.abort();
                drop(permit);
                self.permits.acquire(counted_ip)
            }
        }
    }

    /// Holds a permit until its task ends.
    fn hold(&mut self, permit: Permit, task: AbortHandle) {
        self.held.push_back((permit, task));
    }
}

/// Accepts the next connection. Connections that broke in the queue are skipped.
async fn accept(listeners: &Listeners) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    loop {
        match listeners.accept().await {
            Ok(accepted) => return accepted,
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                static FAILED: LogThrottle = LogThrottle::new();
                log_throttle::error(&FAILED, &error, "no connection can be accepted");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

impl ConnectionServer {
    /// Serves one connection until it ends or is upgraded.
    async fn serve(self, stream: TcpStream, peer: SocketAddr, class: ConnectionClass) {
        let _alive = self.alive.clone();
        if let Err(error) = self.requests(stream, peer, class).await {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// Answers the requests of a connection. After a stop of the server, only the current request
    /// is finished.
    async fn requests(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        class: ConnectionClass,
    ) -> hyper::Result<()> {
        set_socket_options(&stream);
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
                if class == ConnectionClass::Ordinary {
                    return router.oneshot(request).await;
                }
                match uses_reserve(&request) {
                    true => router.oneshot(request).await.map(with_connection_close),
                    false => Ok(with_connection_close(PermitError::Total.into_response())),
                }
            }
        });
        let head_timeout = match class {
            ConnectionClass::Ordinary => timing.head_timeout,
            ConnectionClass::Reserved => timing.reserved_head_timeout,
        };
        let stream = WriteTimeoutStream::new(stream, timing.write_timeout, MIN_ANSWER_RATE);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
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

/// Whether a reserved connection serves this request: a health check, an upgrade, or the check why
/// an upgrade failed. The request must have no body, because a body could arrive slowly.
pub(in crate::server) fn uses_reserve(request: &Request<impl HttpBody>) -> bool {
    if !request.body().is_end_stream() {
        return false;
    }
    match request.uri().path() {
        "/healthz" | "/readyz" => true,
        "/ws" => {
            request.method() == Method::POST || request.headers().contains_key(header::UPGRADE)
        }
        _ => false,
    }
}

/// Closes the connection after this response, unless the response is an upgrade.
fn with_connection_close(mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Disables Nagle's algorithm and bounds the time without acknowledgement (`TCP_USER_TIMEOUT`).
fn set_socket_options(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
}
