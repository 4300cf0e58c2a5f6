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
    BasePath,
    limits::{MAX_HEAD_BYTES, MIN_ANSWER_RATE, RESERVED_PER_ADDRESS, TCP_USER_TIMEOUT, Timing},
    log_throttle::{self, LogThrottle},
    metrics::HttpMetrics,
    net::{
        ClientStream, Permit, PermitError, PermitLimits, Permits, TrustedProxies,
        WriteTimeoutStream,
        h2_streams::{H2State, H2Stream, H2Streams, TrackedBody, set_host},
        sockets,
    },
};
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::ConnectInfo,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tower::ServiceExt;

/// Delay before the next `accept` after the process ran out of file descriptors. 100 ms: no event
/// reports a free descriptor.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// First byte of a TLS connection: a handshake record (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Concurrent streams of an HTTP/2 connection. 64: a page loads fewer files at once.
const H2_STREAMS: u32 = 64;
/// Bytes of a request or a WebSocket that may arrive on one HTTP/2 stream before they are read.
/// 16 KiB: with every stream unread, a connection holds 1 MiB, and none of them stops the others.
const H2_STREAM_WINDOW: u32 = 16 * 1024;
/// Bytes of a response that wait for one HTTP/2 stream.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// Interval at which an HTTP/2 connection is checked for idle time and overdue responses.
const H2_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Name of HTTP/2 in ALPN (RFC 9113, 3.2).
pub(in crate::server) const ALPN_H2: &[u8] = b"h2";
/// Name of HTTP/1.1 in ALPN (RFC 7301).
pub(in crate::server) const ALPN_HTTP1: &[u8] = b"http/1.1";
/// Name of the protocol that proves control of a name to a certificate authority (RFC 8737).
pub(in crate::server) const ALPN_ACME: &[u8] = b"acme-tls/1";

/// Whether the connection of a request is encrypted. An extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct IsEncrypted(pub bool);

/// TLS of a listener.
#[derive(Clone)]
pub(in crate::server) struct ListenerTls {
    /// Configuration of ordinary connections.
    pub config: Arc<ServerConfig>,
    /// Answers requests that arrive without TLS, such as `http://` typed for `https://`.
    pub plain: Router,
}

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
    /// Where the paths of requests begin.
    pub base_path: BasePath,
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

    /// Serves sockets that listen already, one or two. Returns `None` if there is no socket.
    ///
    /// # Errors
    /// A socket is not usable.
    pub fn inherited(sockets: Vec<std::net::TcpListener>) -> io::Result<Option<Self>> {
        let listener = |socket: std::net::TcpListener| {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        };
        let mut sockets = sockets.into_iter().map(listener);
        let Some(first) = sockets.next().transpose()? else {
            return Ok(None);
        };
        let second = sockets.next().transpose()?;
        Ok(Some(Self { first, second }))
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
    /// Where the paths of requests begin.
    base_path: BasePath,
    /// TLS; `None` if the listener is plain.
    tls: Option<ListenerTls>,
    /// Counts refused and reserved connections.
    metrics: HttpMetrics,
    timing: Timing,
    /// Turns true when the server stops.
    stopping: watch::Receiver<bool>,
    /// Each connection holds a clone. The channel closes when the last connection ends.
    alive: mpsc::Sender<()>,
}

/// Which requests of a connection are served.
#[derive(Clone)]
enum ConnectionClass {
    /// All requests, until the client closes the connection.
    Ordinary(Arc<Place>),
    /// One request, which is a health check or an upgrade.
    Reserved,
}

/// The place of a connection among the ordinary ones. A connection of HTTP/2 that carries WebSockets
/// alone has none, as a WebSocket of HTTP/1.1 has none.
struct Place {
    /// The permits of ordinary connections.
    permits: Permits,
    /// The address that the connection counts under.
    counted_ip: IpAddr,
    /// The permit; `None` while the connection carries WebSockets alone.
    held: Mutex<Option<Permit>>,
}

impl Place {
    /// Takes the place for a request, unless the connection has it.
    ///
    /// # Errors
    /// There are as many ordinary connections as there may be.
    fn take(&self) -> Result<(), PermitError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(self.permits.acquire(self.counted_ip)?);
        }
        Ok(())
    }

    /// Gives the place back.
    fn release(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = None;
    }
}

/// Accepts and serves connections until `stopping` turns true, then waits for the current
/// requests.
pub(in crate::server) async fn listen(
    listeners: Listeners,
    (router, metrics, tls): (Router, HttpMetrics, Option<ListenerTls>),
    timing: Timing,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let (alive, mut all_ended) = mpsc::channel(1);
    let mut stop = stopping.clone();
    let server = ConnectionServer {
        router,
        base_path: limits.base_path.clone(),
        tls,
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
                let place = Arc::new(Place {
                    permits: permits.clone(),
                    counted_ip,
                    held: Mutex::new(Some(permit)),
                });
                let class = ConnectionClass::Ordinary(place);
                tokio::spawn(server.clone().serve(stream, peer, class));
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
        set_socket_options(&stream);
        let head_timeout = match class {
            ConnectionClass::Ordinary(_) => self.timing.head_timeout,
            ConnectionClass::Reserved => self.timing.reserved_head_timeout,
        };
        let connection = Connection {
            peer,
            class,
            encrypted: false,
            router: self.router.clone(),
            base_path: self.base_path.clone(),
        };
        let ended = match &self.tls {
            None => {
                let stream = ClientStream::Left(self.limited(stream));
                self.serve_http1(stream, connection, head_timeout).await
            }
            Some(tls) => {
                let tls = tls.clone();
                self.serve_encrypted(stream, &tls, connection, head_timeout)
                    .await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// The stream with its write timeout.
    fn limited(&self, stream: TcpStream) -> WriteTimeoutStream {
        WriteTimeoutStream::new(stream, self.timing.write_timeout, MIN_ANSWER_RATE)
    }

    /// Performs the TLS handshake within the time of a head, and serves what the client chose. A
    /// client that speaks plain HTTP gets the answers of [`ListenerTls::plain`].
    async fn serve_encrypted(
        self,
        stream: TcpStream,
        tls: &ListenerTls,
        connection: Connection,
        head_timeout: Duration,
    ) -> Result<(), ConnectionError> {
        let mut first = [0];
        if timeout(head_timeout, stream.peek(&mut first)).await?? == 0 {
            return Ok(());
        }
        if first != [TLS_HANDSHAKE] {
            let stream = ClientStream::Left(self.limited(stream));
            let connection = Connection {
                router: tls.plain.clone(),
                ..connection
            };
            return self.serve_http1(stream, connection, head_timeout).await;
        }
        let stream = self.limited(stream);
        let config = match &connection.class {
            ConnectionClass::Ordinary(_) => tls.config.clone(),
            ConnectionClass::Reserved => without_h2(&tls.config),
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let mut stream = timeout(head_timeout, handshake).await??;
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let connection = Connection {
            encrypted: true,
            ..connection
        };
        match protocol.as_deref() {
            // The handshake alone proves control of the name.
            Some(ALPN_ACME) => Ok(stream.shutdown().await?),
            Some(ALPN_H2) => {
                let written = stream.get_mut().0.count_written();
                let stream = ClientStream::Right(Box::new(stream));
                self.serve_http2(stream, written, connection, head_timeout)
                    .await
            }
            Some(_) | None => {
                let stream = ClientStream::Right(Box::new(stream));
                self.serve_http1(stream, connection, head_timeout).await
            }
        }
    }

    /// Answers requests of HTTP/1.1. When the server stops, it finishes the current one.
    async fn serve_http1(
        mut self,
        stream: ClientStream,
        connection: Connection,
        head_timeout: Duration,
    ) -> Result<(), ConnectionError> {
        let service = service_fn(move |request| {
            let connection = connection.clone();
            async move { connection.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            _ = self.stopping.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        Ok(connection.await?)
    }

    /// Answers requests of HTTP/2, until the client is idle or does not read a response in time.
    /// `written` counts the bytes that `stream` writes. When the server stops, it finishes the current ones.
    async fn serve_http2(
        mut self,
        stream: ClientStream,
        written: Arc<AtomicU64>,
        connection: Connection,
        idle_timeout: Duration,
    ) -> Result<(), ConnectionError> {
        let streams = H2Streams::default();
        let write_timeout = self.timing.write_timeout;
        let (opened, class) = (streams.clone(), connection.class.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let connection = connection.clone();
            let stream = Arc::new(opened.open());
            async move {
                let uri = request.uri().clone();
                set_host(request.headers_mut(), &uri);
                request.extensions_mut().insert(stream.clone());
                let answer = connection.answer(request).await;
                answer.map(|response| tracked(response, stream, write_timeout))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(H2_STREAMS)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .initial_connection_window_size(H2_STREAMS * H2_STREAM_WINDOW)
            .enable_connect_protocol()
            .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .max_send_buf_size(H2_SEND_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let mut checks = interval(H2_CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return Ok(ended?),
                _ = self.stopping.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = checks.tick() => {
                    if let ConnectionClass::Ordinary(place) = &class
                        && streams.has_sockets_only()
                    {
                        place.release();
                    }
                    let written = written.load(Ordering::Relaxed);
                    match streams.state(Instant::now(), written, idle_timeout) {
                        H2State::Active => {}
                        H2State::Idle if !stopping => {
                            stopping = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        // The client did not close after GOAWAY either.
                        H2State::Idle | H2State::Overdue => return Ok(()),
                    }
                }
            }
        }
    }
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    /// The client was too slow with its handshake.
    #[error("the handshake took too long")]
    Slow(#[from] tokio::time::error::Elapsed),
    /// The connection or its TLS failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The client or hyper broke the protocol.
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// What the requests of one connection have in common.
#[derive(Clone)]
struct Connection {
    /// The other end.
    peer: SocketAddr,
    /// Which requests are served.
    class: ConnectionClass,
    /// Whether TLS protects it.
    encrypted: bool,
    /// Handles the requests.
    router: Router,
    /// Where the paths of requests begin.
    base_path: BasePath,
}

impl Connection {
    /// Answers one request.
    async fn answer(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response, std::convert::Infallible> {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(self.peer));
        extensions.insert(IsEncrypted(self.encrypted));
        let is_reserved = uses_reserve(&request, &self.base_path);
        match self.class {
            ConnectionClass::Ordinary(place) => {
                if !is_reserved && let Err(refusal) = place.take() {
                    return Ok(refusal.into_response());
                }
                self.router.oneshot(request).await
            }
            ConnectionClass::Reserved if is_reserved => {
                let answer = self.router.oneshot(request).await;
                answer.map(with_connection_close)
            }
            ConnectionClass::Reserved => {
                Ok(with_connection_close(PermitError::Total.into_response()))
            }
        }
    }
}

/// A TLS configuration that offers HTTP/1.1 alone: a reserved connection serves one request.
fn without_h2(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.retain(|name| name != ALPN_H2);
    Arc::new(config)
}

/// A response whose stream has a deadline.
fn tracked(response: Response, stream: Arc<H2Stream>, write_timeout: Duration) -> Response {
    stream.set_deadline(Instant::now() + write_timeout);
    response.map(|body| Body::new(TrackedBody::new(body, stream)))
}

/// Whether a reserved connection serves this request: a health check, an upgrade, or the check why
/// an upgrade failed. The request must have no body, because a body could arrive slowly.
pub(in crate::server) fn uses_reserve(
    request: &Request<impl HttpBody>,
    base_path: &BasePath,
) -> bool {
    if !request.body().is_end_stream() {
        return false;
    }
    let path = request.uri().path();
    match base_path.strip(path).unwrap_or(path) {
        "/healthz" | "/readyz" => true,
        "/ws" => {
            matches!(*request.method(), Method::POST | Method::CONNECT)
                || request.headers().contains_key(header::UPGRADE)
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
