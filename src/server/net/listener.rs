//! Accepts HTTP connections, bounds their number and their time, and ends them together.
//!
//! A task serves each connection with deadlines: [`Timing::head_timeout`] for the whole head of a
//! request and for an idle kept connection, [`Timing::write_timeout`] for a reader that does not
//! take the answer. The deadline of the body is a layer of the router. Connections of an address
//! beyond its limit are closed at once.
//!
//! When all ordinary connections are taken, a reserve still serves `/healthz`, `/readyz` and
//! upgrades. An address holds [`RESERVED_PER_ADDRESS`] of the reserve. Where all of it is taken,
//! the newest connection replaces the oldest: silent clients cannot hold the reserve, and one
//! address cannot take it from the others.

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

/// Delay before accepting again after the process ran out of file descriptors. No event reports
/// free ones.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Debug, Clone)]
pub(in crate::server) struct ConnectionLimits {
    /// In all, and from one address.
    pub permits: PermitLimits,
    /// Beyond these, for health and upgrades.
    pub reserved: usize,
    /// These have no limit of their own: behind them are many people, whose requests are
    /// counted by the address that is named.
    pub proxies: TrustedProxies,
}

/// The sockets that serve one address: loopback, and every address, are one of each family.
pub(in crate::server) struct Listeners {
    /// The address that was asked for.
    pub first: TcpListener,
    /// Its counterpart in the other family.
    second: Option<TcpListener>,
}

impl Listeners {
    /// Binds an address, and its counterpart where that is free. `setting` is named in the log
    /// where it is not.
    ///
    /// # Errors
    /// The address itself cannot be had.
    pub fn bind(setting: &'static str, address: SocketAddr) -> io::Result<Self> {
        let (first, second) = sockets::tcp_pair(setting, address)?;
        Ok(Self {
            first: TcpListener::from_std(first)?,
            second: second.map(TcpListener::from_std).transpose()?,
        })
    }

    /// Where they listen.
    ///
    /// # Errors
    /// The system does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let all = std::iter::once(&self.first).chain(&self.second);
        all.map(TcpListener::local_addr).collect()
    }

    /// The next connection of either.
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

/// Serves connections; a clone for each.
#[derive(Clone)]
struct ConnectionServer {
    /// Handles the requests.
    router: Router,
    /// Counts connections that are not served as ordinary ones.
    metrics: HttpMetrics,
    timing: Timing,
    /// Turns true when the server stops.
    stopping: watch::Receiver<bool>,
    /// A clone is held by each connection; the channel closes when the last connection ends.
    alive: mpsc::Sender<()>,
}

/// Which requests a connection is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionClass {
    /// Every request, until the client closes.
    Ordinary,
    /// Health and upgrades, one request.
    Reserved,
}

/// Accepts and serves until `stopping` turns true, then waits for the requests under way.
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

/// Accepts and serves for ever.
async fn accept_all(
    listeners: &Listeners,
    server: ConnectionServer,
    limits: ConnectionLimits,
) -> std::convert::Infallible {
    let permits = Permits::new(limits.permits);
    let mut reserve = Reserve::new(limits.reserved);
    loop {
        let (stream, peer) = accept(listeners).await;
        // An address without a limit of its own is bounded by the total.
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

/// The connections that are served although all ordinary places are taken.
struct Reserve {
    /// Places, in all and for one address.
    permits: Permits,
    /// The connections that hold one, the oldest first; at most as many as there are places.
    held: VecDeque<(Permit, AbortHandle)>,
}

impl Reserve {
    /// All places are free.
    fn new(total: usize) -> Self {
        Self {
            permits: Permits::new(PermitLimits {
                total,
                per_address: RESERVED_PER_ADDRESS,
            }),
            held: VecDeque::new(),
        }
    }

    /// A place for a connection of this address; where all are taken, the oldest connection
    /// is ended for it.
    ///
    /// # Errors
    /// The address holds as many as it may, or there is no reserve.
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

    /// Records the task that holds a permit.
    fn hold(&mut self, permit: Permit, task: AbortHandle) {
        self.held.push_back((permit, task));
    }
}

/// The next connection. One that broke while it waited is passed over.
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
    /// Serves one connection to its end, or until it becomes a socket.
    async fn serve(self, stream: TcpStream, peer: SocketAddr, class: ConnectionClass) {
        let _alive = self.alive.clone();
        if let Err(error) = self.requests(stream, peer, class).await {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// Answers requests. When the server stops, it finishes the current one.
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

/// Whether a request is one that places are kept free for: health, upgrades and the question why
/// one failed, without a body that could drip.
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

/// The connection ends with this response, unless it becomes a socket by it.
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
