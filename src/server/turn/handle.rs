//! The handle to the TURN server, which starts it, issues credentials and stops it.

use super::{
    client::FiveTuple,
    credentials::Credentials,
    engine::{ArrivalTime, Engine},
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

/// Attempts to find a port that is free for both UDP and TCP, if the system chooses the port.
const MAX_BIND_ATTEMPTS: usize = 16;

/// A handle to the TURN server; cheap to clone. The server stops when the last handle is dropped.
#[derive(Clone)]
pub struct Turn {
    /// Shared by all handles.
    inner: Arc<Inner>,
}

/// The state behind all handles.
struct Inner {
    /// The server without its sockets.
    engine: Arc<Engine>,
    /// The TCP connections.
    streams: Permits,
    /// The listening address of UDP and TCP.
    address: SocketAddr,
    /// The address families of these listeners.
    families: Families,
    /// The listening address of TLS.
    tls_address: Option<SocketAddr>,
    /// Turns true when the server stops. Each task holds a receiver until it has ended.
    stopping: watch::Sender<bool>,
}

impl Turn {
    /// Binds the sockets and starts the tasks.
    ///
    /// # Errors
    /// See [`TurnError`]; the operator corrects the setting that the error names.
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
        let context = ListenerContext {
            engine: engine.clone(),
            streams: Permits::new(PermitLimits {
                total: MAX_STREAMS,
                per_address: MAX_STREAMS_PER_ADDRESS,
            }),
            stopping: stopping.subscribe(),
        };
        let inner = Inner {
            engine,
            streams: context.streams.clone(),
            address,
            families,
            tls_address: tls.as_ref().map(|(_, _, address)| *address),
            stopping,
        };
        let tls = tls.map(|(listener, acceptor, _)| (listener, acceptor));
        spawn((udp, tcp), tls, context);
        tracing::info!(%address, "TURN is served at {address}");
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The listening address of UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// The listening address of TLS, unless TLS is off.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.inner.tls_address
    }

    /// The addresses among `addresses` of a served family. If the listeners are bound to one
    /// address, that address only.
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

    /// The external addresses, the best first.
    pub fn external(&self) -> Vec<IpAddr> {
        self.inner.engine.external.current()
    }

    /// Replaces the external addresses. Existing allocations keep their relayed addresses.
    pub fn set_external(&self, addresses: Vec<IpAddr>) {
        self.inner.engine.external.replace(addresses);
    }

    /// Issues credentials to a user in a room's call. The credentials allow new allocations for
    /// five minutes, or until [`Self::end_session`]. An existing allocation is refreshed with the
    /// credentials that made it. Returns `None` if the table of call sessions is full.
    pub fn credentials(&self, user: &str, room: &str) -> Option<Credentials> {
        self.inner
            .engine
            .credentials(user, room, ArrivalTime::now())
    }

    /// A sender for packets of the SFU to clients.
    pub fn relay(&self) -> RelaySender {
        RelaySender::new(&self.inner.engine)
    }

    /// Ends the call session of a user who left a room's call. Its allocations end and its
    /// credentials become invalid.
    pub fn end_session(&self, user: &str, room: &str) {
        self.inner.engine.allocations().end_session(user, room);
    }

    /// A snapshot of the counters.
    pub fn stats(&self) -> TurnStats {
        let allocations = self.inner.engine.allocations().count(Instant::now());
        let streams = self.inner.streams.count();
        self.inner.engine.stats.snapshot(allocations, streams)
    }

    /// Closes every connection, ends every allocation and waits for the tasks.
    ///
    /// # Cancel safety
    /// The server stops even if the future is dropped; only the wait ends early.
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
            .by_client(client, ArrivalTime::now().instant)
            .is_some()
    }

    /// Ends the allocation of a client whose connection closed.
    pub(super) fn end_allocation(&self, client: &FiveTuple) {
        self.allocations().remove(client);
    }
}

/// Spawns a task for each listener, and the sweep.
fn spawn(
    (udp, tcp): (Udp, TcpListener),
    tls: Option<(TcpListener, TlsAcceptor)>,
    context: ListenerContext,
) {
    tokio::spawn(udp.serve(context.engine.clone(), context.stopping.clone()));
    tokio::spawn(sweep(context.engine.clone(), context.stopping.clone()));
    if let Some((listener, acceptor)) = tls {
        tokio::spawn(tcp::serve(listener, Some(acceptor), context.clone()));
    }
    tokio::spawn(tcp::serve(tcp, None, context));
}

/// Removes expired state every [`SWEEP_INTERVAL`].
async fn sweep(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            _ = ticks.tick() => engine.allocations().sweep(Instant::now()),
        }
    }
}

/// Binds the same port for UDP and TCP.
fn bind(listen: SocketAddr) -> Result<(Udp, TcpListener, SocketAddr, Families), TurnError> {
    let mut tries = MAX_BIND_ATTEMPTS;
    loop {
        tries -= 1;
        match sockets::bind("--turn-listen", listen, bind_once) {
            Ok(((udp, tcp, address), families)) => return Ok((udp, tcp, address, families)),
            // The UDP port that the system chose is not free for TCP, so try another port.
            Err(_) if listen.port() == 0 && tries > 0 => {}
            Err(source) => return Err(bind_error(listen, source)),
        }
    }
}

/// Binds a port for UDP, then the same port for TCP.
fn bind_once(listen: SocketAddr, families: Families) -> io::Result<(Udp, TcpListener, SocketAddr)> {
    let udp = Udp::bind(listen, families)?;
    let address = udp.address()?;
    let tcp = TcpListener::from_std(sockets::tcp(address, families)?)?;
    Ok((udp, tcp, address))
}

/// Binds the TLS listener.
fn bind_tls(
    address: SocketAddr,
    config: Arc<ServerConfig>,
) -> Result<(TcpListener, TlsAcceptor, SocketAddr), TurnError> {
    let bound = sockets::bind("--turn-tls-listen", address, sockets::tcp)
        .and_then(|(listener, _)| TcpListener::from_std(listener))
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = bound.map_err(|source| bind_error(address, source))?;
    Ok((listener, TlsAcceptor::from(config), bound))
}

/// The error of a port that cannot be bound.
fn bind_error(address: SocketAddr, source: io::Error) -> TurnError {
    TurnError::Bind { address, source }
}

#[cfg(test)]
impl Turn {
    /// The server without its sockets.
    pub fn engine(&self) -> Arc<Engine> {
        self.inner.engine.clone()
    }
}
