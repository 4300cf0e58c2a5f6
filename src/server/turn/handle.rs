//! The server as the rest of the process holds it.

use super::{
    client::FiveTuple,
    credentials::Credentials,
    engine::{Engine, Moment},
    local_peer::{LocalPeer, RelaySender},
    options::{MAX_STREAMS, MAX_STREAMS_PER_ADDRESS, SWEEP_INTERVAL, TurnError, TurnOptions},
    stats::TurnStats,
    tcp::{self, ListenerContext, stopped},
    udp::Udp,
};
use crate::server::net::{
    PermitLimits, Permits,
    sockets::{self, Families},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// Tries for a free port that is free for UDP and TCP alike.
const MAX_BIND_ATTEMPTS: usize = 16;

/// The TURN server; cloning it is cheap. It stops when the last handle is dropped.
#[derive(Clone)]
pub struct Turn {
    /// Shared by all handles.
    inner: Arc<Inner>,
}

/// What all handles share.
struct Inner {
    /// The server without its sockets.
    engine: Arc<Engine>,
    /// The TCP connections.
    streams: Permits,
    /// Where UDP and TCP are served.
    address: SocketAddr,
    /// The address families these serve.
    families: Families,
    /// Where TLS is.
    tls_address: Option<SocketAddr>,
    /// Tells every task to end; each holds a receiver until it did.
    stopping: watch::Sender<bool>,
}

impl Turn {
    /// Starts to serve.
    ///
    /// # Errors
    /// See [`TurnError`]; the operator mends the setting named.
    pub async fn start(
        options: TurnOptions,
        local_peer: Arc<dyn LocalPeer>,
    ) -> Result<Self, TurnError> {
        options.check()?;
        let (udp, tcp, address, families) = bind(options.listen)?;
        let tls = match &options.tls {
            Some((address, config)) => Some(bind_tls(*address, config.clone())?),
            None => None,
        };
        let engine = Arc::new(Engine::new(&options, local_peer, Instant::now()));
        let stopping = watch::Sender::new(false);
        let host = ListenerContext {
            engine: engine.clone(),
            streams: Permits::new(PermitLimits {
                total: MAX_STREAMS,
                per_address: MAX_STREAMS_PER_ADDRESS,
            }),
            stopping: stopping.subscribe(),
        };
        let inner = Inner {
            engine,
            streams: host.streams.clone(),
            address,
            families,
            tls_address: tls.as_ref().map(|(_, _, address)| *address),
            stopping,
        };
        let tls = tls.map(|(listener, acceptor, _)| (listener, acceptor));
        spawn((udp, tcp), tls, host);
        tracing::info!(%address, "TURN is served at {address}");
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Where UDP and TCP are served.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Where TLS is served, if it is.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.inner.tls_address
    }

    /// The addresses among these by which UDP and TCP are reached: those of the families that
    /// are served, or the one that is bound.
    pub fn reachable(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let bound = self.inner.address.ip().to_canonical();
        if !bound.is_unspecified() {
            return vec![bound];
        }
        let served = addresses
            .iter()
            .filter(|ip| self.inner.families.serve(**ip));
        served.copied().collect()
    }

    /// The addresses relay addresses are made of, the best first.
    pub fn external(&self) -> Vec<IpAddr> {
        self.inner.engine.external.current()
    }

    /// Relay addresses are made of these from now on; allocations keep the ones they have.
    pub fn set_external(&self, addresses: Vec<IpAddr>) {
        self.inner.engine.external.replace(addresses);
    }

    /// Credentials for a user in a room's call. They start allocations for five minutes, and
    /// none once the user was forgotten; an allocation goes on with those it was made with. None
    /// where more people are in calls than can be remembered.
    pub fn credentials(&self, user: &str, room: &str) -> Option<Credentials> {
        self.inner.engine.credentials(user, room, Moment::now())
    }

    /// The SFU's way to clients.
    pub fn relay(&self) -> RelaySender {
        RelaySender::new(&self.inner.engine)
    }

    /// Ends the stay of a user who left a room's call: their allocations end, and their
    /// credentials are of no use any more.
    pub fn end_session(&self, user: &str, room: &str) {
        self.inner.engine.allocations().end_session(user, room);
    }

    /// A look at the counters.
    pub fn stats(&self) -> TurnStats {
        let allocations = self.inner.engine.allocations().count(Instant::now());
        let streams = self.inner.streams.count();
        self.inner.engine.stats.snapshot(allocations, streams)
    }

    /// Stops: every connection is closed, every allocation ends.
    ///
    /// # Cancel safety
    /// When dropped it stops all the same; nobody waits for it then.
    pub async fn stop(&self) {
        self.inner.stopping.send_replace(true);
        self.inner.stopping.closed().await;
        self.inner.engine.allocations().clear();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        self.engine.allocations().clear();
    }
}

impl Engine {
    /// Whether this client has an allocation.
    pub(super) fn has_allocation(&self, client: &FiveTuple) -> bool {
        self.allocations()
            .by_client(client, Moment::now().instant)
            .is_some()
    }

    /// Ends the allocation of a client that is gone.
    pub(super) fn end_allocation(&self, client: &FiveTuple) {
        self.allocations().remove(client);
    }
}

/// Starts the tasks.
fn spawn(
    (udp, tcp): (Udp, TcpListener),
    tls: Option<(TcpListener, TlsAcceptor)>,
    host: ListenerContext,
) {
    tokio::spawn(udp.serve(host.engine.clone(), host.stopping.clone()));
    tokio::spawn(sweep(host.engine.clone(), host.stopping.clone()));
    if let Some((listener, acceptor)) = tls {
        tokio::spawn(tcp::serve(listener, Some(acceptor), host.clone()));
    }
    tokio::spawn(tcp::serve(tcp, None, host));
}

/// Forgets what has expired, from time to time.
async fn sweep(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            _ = ticks.tick() => engine.allocations().sweep(Instant::now()),
        }
    }
}

/// Takes the same port for UDP and TCP.
fn bind(listen: SocketAddr) -> Result<(Udp, TcpListener, SocketAddr, Families), TurnError> {
    let mut tries = MAX_BIND_ATTEMPTS;
    loop {
        tries -= 1;
        match sockets::bind("--turn-listen", listen, bind_once) {
            Ok(((udp, tcp, address), families)) => return Ok((udp, tcp, address, families)),
            // A free port for UDP may be taken for TCP: another one then.
            Err(_) if listen.port() == 0 && tries > 0 => {}
            Err(source) => return Err(refused(listen, source)),
        }
    }
}

/// Takes a port for UDP, then for TCP.
fn bind_once(listen: SocketAddr, families: Families) -> io::Result<(Udp, TcpListener, SocketAddr)> {
    let udp = Udp::bind(listen, families)?;
    let address = udp.address()?;
    let tcp = TcpListener::from_std(sockets::tcp(address, families)?)?;
    Ok((udp, tcp, address))
}

/// Takes the port of TLS.
fn bind_tls(
    address: SocketAddr,
    config: Arc<ServerConfig>,
) -> Result<(TcpListener, TlsAcceptor, SocketAddr), TurnError> {
    let bound = sockets::bind("--turn-tls-listen", address, sockets::tcp)
        .and_then(|(listener, _)| TcpListener::from_std(listener))
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = bound.map_err(|source| refused(address, source))?;
    Ok((listener, TlsAcceptor::from(config), bound))
}

/// The refusal of a port.
fn refused(address: SocketAddr, source: io::Error) -> TurnError {
    TurnError::Bind { address, source }
}

#[cfg(test)]
impl Turn {
    /// The server without its sockets.
    pub fn engine(&self) -> Arc<Engine> {
        self.inner.engine.clone()
    }
}
