//! Life cycle of the process: open, listen, serve, stop.
//!
//! SIGHUP reloads certificates and addresses, which the server also checks periodically. The first
//! SIGTERM or SIGINT stops the server gracefully in less than 10 s, even with stuck clients; the
//! second one ends the process at once. Order of a stop: accept no connections, close every socket
//! with 1012, store the queued messages and checkpoint the write-ahead log.

use super::{
    BasePath,
    addresses::{self, AddressWatch, Advertised, machine_addresses},
    config::{Config, HttpListen},
    context::AppContext,
    empty_rooms,
    error::{self, ServeError},
    http::{
        MetricsToken, expire_uploads, machine_name, metrics_router, names_of_machine,
        redirect_router, router,
    },
    invitation,
    limits::{RESERVED_CONNECTIONS, STOP_TIMEOUT, Timing},
    load,
    metrics::HttpMetrics,
    net::{
        PermitLimits, TrustedProxies,
        listener::{ConnectionLimits, ListenerTls, Listeners, listen},
    },
    operator::print_link,
    retention,
    rooms::RoomPasswords,
    service_manager::{self, InheritedSockets},
    sfu::{Sfu, SfuOptions},
    store::Store,
    tls::{self, ServerTls, https_config},
    turn_relay::{self, TurnRelay},
};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// Part of [`STOP_TIMEOUT`] for sockets and requests; the rest is for the store.
const SOCKETS_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections to the metrics listener. 16: a collector has one or two.
const METRICS_CONNECTIONS: usize = 16;

/// A bound server that does not accept connections yet.
pub struct Server {
    /// Listeners of the HTTP address.
    listeners: Listeners,
    /// Listeners of plain HTTP beside TLS; `None` if off.
    http: Option<Listeners>,
    /// Listeners of the metrics address; `None` if metrics are off.
    metrics: Option<Listeners>,
    context: AppContext,
    /// Watches this machine's addresses.
    addresses: AddressWatch,
    /// The addresses offered for media and TURN.
    advertised: Vec<Advertised>,
    /// The TURN server; `None` if it is off.
    relay: Option<Arc<TurnRelay>>,
    /// Counts requests to reload certificates and addresses.
    reload: watch::Sender<u64>,
    /// Turns true when the server stops.
    stop: watch::Sender<bool>,
}

/// Serves until SIGTERM or SIGINT, on the sockets of the service manager if there are some. `pages`
/// is the runtime that renders pages.
///
/// # Errors
/// The server could not start; the error names the setting.
pub async fn serve(
    config: Config,
    pages: Handle,
    inherited: InheritedSockets,
) -> Result<(), ServeError> {
    // Without a handler, a SIGHUP during a long start would end the process.
    let hangup = signal(SignalKind::hangup())?;
    let server = Server::bind_on(inherited, config, Timing::default()).await?;
    let server = server.with_pages_on(pages);
    let scheme = match server.context.tls {
        Some(_) => "https",
        None => "http",
    };
    let base = &server.context.config.base_path;
    for address in server.listeners.addresses()? {
        tracing::info!(%address, "Noom listens on {scheme}://{address}{base}");
    }
    if let Some(ServerTls::SelfSigned(local)) = &server.context.tls {
        let machine = machine_addresses();
        invitation::print(server.address()?, base, &machine, &local.fingerprint());
    }
    reload_on_hangup(hangup, server.reload.clone());
    let profile = server.context.config.profile.name();
    tracing::info!(profile, "limits are those of --profile {profile}");
    if let Some(address) = server.metrics_address()? {
        tracing::info!(%address, "metrics are on http://{address}/metrics");
    }
    let stopped = stop_signal()?;
    service_manager::report_ready(&format!("{scheme}://{}", server.address()?));
    let store = server.context().store.clone();
    tokio::spawn(service_manager::feed_watchdog(store));
    let stopped = async {
        stopped.await;
        service_manager::report_stopping();
    };
    server.run(stopped).await
}

impl Server {
    /// Opens the store and binds the addresses.
    ///
    /// # Errors
    /// The store, an address or the certificate cannot be opened.
    pub async fn bind(config: Config, timing: Timing) -> Result<Self, ServeError> {
        Self::bind_on(InheritedSockets::default(), config, timing).await
    }

    /// Opens the store and binds the addresses for which no socket is inherited.
    ///
    /// # Errors
    /// The store, an address, an inherited socket or the certificate cannot be opened.
    pub async fn bind_on(
        inherited: InheritedSockets,
        config: Config,
        timing: Timing,
    ) -> Result<Self, ServeError> {
        let store =
            Store::open(&config.database(), &config.store).map_err(|error| ServeError::Store {
                directory: config.data_dir.display().to_string(),
                error,
            })?;
        let store = store.with_search_within(config.search_within);
        let address = config.listen;
        let listeners = match Listeners::inherited(inherited.http)? {
            Some(inherited) => inherited,
            None => Listeners::bind("--listen", address)
                .map_err(|error| ServeError::Listen { address, error })?,
        };
        let metrics = config.metrics_listen.map(bind_metrics).transpose()?;
        let http = config.http_listen.map(bind_http).transpose()?;
        let (http, unbound) = http.map_or((None, None), |bound| match bound {
            Ok(listeners) => (Some(listeners), None),
            Err(unbound) => (None, Some(unbound)),
        });
        let sfu = Sfu::start(&SfuOptions {
            listen: config.media_listen,
            shards: config.media_threads,
        })?;
        let mut addresses = AddressWatch::new(
            &config.media_ip,
            config.media_listen.ip(),
            sfu.families(),
            &config.media_interfaces,
        );
        let advertised = addresses.current().await;
        if advertised.is_empty() {
            tracing::warn!("no address can be offered for media and TURN yet");
        }
        sfu.set_addresses(&advertised);
        let tls = open_tls(&config)?;
        let metrics_token = read_metrics_token(&config)?;
        let (stop, stopping) = watch::channel(false);
        let context = AppContext::new(config, store, sfu, timing, stopping);
        let rates = context.request_rates.clone();
        let (config, sfu) = (&context.config, &context.sfu);
        let relay = turn_relay::start(config, sfu, &advertised, tls.as_ref(), rates).await?;
        let context = context.with(|shared| {
            shared.tls = tls;
            shared.metrics_token = metrics_token;
        });
        if let Some((address, error)) = unbound {
            context
                .doctor
                .keep_unbound("--http-listen", address, &error);
        }
        if let Some(relay) = &relay {
            context.rooms.set_relays(relay.clone());
        }
        Ok(Self {
            listeners,
            http,
            metrics,
            context,
            addresses,
            advertised,
            relay,
            reload: watch::channel(0).0,
            stop,
        })
    }

    /// The bound HTTP address; with port 0, the assigned port.
    ///
    /// # Errors
    /// The operating system does not return the address.
    pub fn address(&self) -> Result<SocketAddr, ServeError> {
        Ok(self.listeners.first.local_addr()?)
    }

    /// The bound metrics address; `None` if metrics are off.
    ///
    /// # Errors
    /// The operating system does not return the address.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>, ServeError> {
        let metrics = self.metrics.as_ref();
        let address = metrics.map(|listeners| listeners.first.local_addr());
        Ok(address.transpose()?)
    }

    /// Renders pages on another runtime, which must have several threads: on one thread a page can
    /// stall, because its data and its stream wake each other.
    pub fn with_pages_on(mut self, pages: Handle) -> Self {
        self.context = self.context.with(|shared| {
            shared.room_passwords = Arc::new(RoomPasswords::new(pages.clone()));
            shared.pages = pages;
        });
        self
    }

    /// The state of the server, for other code of the same process.
    pub fn context(&self) -> &AppContext {
        &self.context
    }

    /// Serves until `stopped` completes, then stops gracefully.
    ///
    /// # Errors
    /// None today; failures of accepting are logged and retried.
    pub async fn run(
        self,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Self {
            listeners,
            http,
            metrics,
            context,
            addresses,
            advertised,
            relay,
            reload,
            stop,
        } = self;
        watch_changes(&context, addresses, advertised, relay, &reload);
        let port = listeners.first.local_addr()?.port();
        let listener_tls = context.tls.as_ref().map(|tls| ListenerTls {
            config: https_config(tls.served()),
            plain: redirect_router(&context, port, tls.tokens().cloned()),
        });
        if let Some(tls) = context.tls.clone() {
            let has_http = http.is_some();
            tokio::spawn(tls.maintain(has_http, machine_addresses, reload.subscribe()));
        }
        let mut stopping = stop.subscribe();
        tokio::spawn(retention::run(context.clone()));
        tokio::spawn(empty_rooms::run(context.clone()));
        tokio::spawn(expire_uploads(context.clone()));
        if let Ok(address) = listeners.first.local_addr() {
            tokio::spawn(print_link::run(context.clone(), address));
        }
        tokio::spawn(load::watch(stop.subscribe()));
        tokio::spawn(async move {
            stopped.await;
            let _ = stop.send(true);
        });
        let serving = listen(
            listeners,
            (
                router(context.clone()),
                context.http_metrics.clone(),
                listener_tls.clone(),
            ),
            context.timing,
            connection_limits(&context.config),
            stopping.clone(),
        );
        let serving = tokio::spawn(serving);
        if let Some(metrics) = metrics {
            let router = metrics_router(context.clone());
            let limits = metrics_limits();
            tokio::spawn(listen(
                metrics,
                (router, HttpMetrics::default(), None),
                context.timing,
                limits,
                stopping.clone(),
            ));
        }
        if let (Some(http), Some(tls)) = (http, listener_tls) {
            tokio::spawn(listen(
                http,
                (tls.plain, HttpMetrics::default(), None),
                context.timing,
                connection_limits(&context.config),
                stopping.clone(),
            ));
        }
        let _ = stopping.wait_for(|stop| *stop).await;
        shut_down(&context, serving).await;
        Ok(())
    }
}

/// Watches addresses and certificates until `reload` is dropped.
fn watch_changes(
    context: &AppContext,
    addresses: AddressWatch,
    advertised: Vec<Advertised>,
    relay: Option<Arc<TurnRelay>>,
    reload: &watch::Sender<u64>,
) {
    if let Some(found) = relay.as_ref().and_then(|relay| relay.certificate()) {
        tokio::spawn(tls::watch(found.clone(), reload.subscribe()));
    }
    let sfu = context.sfu.clone();
    let on_change = move |addresses: &[Advertised]| {
        if let Some(relay) = &relay {
            relay.advertise(addresses);
        }
        sfu.set_addresses(addresses)
    };
    let changes = context.address_changes.clone();
    let reload = reload.subscribe();
    tokio::spawn(addresses::watch(
        addresses, advertised, reload, changes, on_change,
    ));
}

/// Opens the certificate of the HTTP listener. Returns `None` without TLS.
fn open_tls(config: &Config) -> Result<Option<ServerTls>, ServeError> {
    let Some(mode) = &config.tls else {
        return Ok(None);
    };
    let names = names_of_machine(&machine_name());
    let tls = ServerTls::open(mode, &config.data_dir, names, &machine_addresses())?;
    Ok(Some(tls))
}

/// Reads the token of metrics. Returns `None` if there is none.
fn read_metrics_token(config: &Config) -> Result<Option<Arc<MetricsToken>>, ServeError> {
    let Some(path) = &config.metrics_token_file else {
        return Ok(None);
    };
    let read = MetricsToken::read(path).map_err(|error| ServeError::MetricsToken {
        path: path.display().to_string(),
        error,
    });
    Ok(Some(Arc::new(read?)))
}

/// An address that is not served, and why.
type Unbound = (SocketAddr, std::io::Error);

/// Opens the listener for plain HTTP beside TLS. Returns the reason if the default address is taken:
/// the authority can still reach the server by TLS.
fn bind_http(listen: HttpListen) -> Result<Result<Listeners, Unbound>, ServeError> {
    let address = listen.address;
    match Listeners::bind("--http-listen", address) {
        Ok(listeners) => Ok(Ok(listeners)),
        Err(error) if listen.is_default => {
            let hint = error::hint(address, &error);
            tracing::warn!(
                "{address} cannot be used: {error}{hint}; http:// addresses do not lead here, and \
                 the certificate is ordered by port 443 alone"
            );
            Ok(Err((address, error)))
        }
        Err(error) => Err(ServeError::HttpListen { address, error }),
    }
}

/// Opens the listener for metrics.
fn bind_metrics(address: SocketAddr) -> Result<Listeners, ServeError> {
    let bound = Listeners::bind("--metrics-listen", address);
    bound.map_err(|error| ServeError::MetricsListen { address, error })
}

/// Reloads certificates and addresses on each SIGHUP.
fn reload_on_hangup(mut hangup: Signal, reload: watch::Sender<u64>) {
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: reloading certificates and addresses");
            reload.send_modify(|count| *count = count.wrapping_add(1));
        }
    });
}

/// Limits of the HTTP listeners.
fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        permits: PermitLimits {
            total: config.max_connections,
            per_address: config.connections_per_address,
        },
        reserved: RESERVED_CONNECTIONS,
        proxies: config.trusted_proxies.clone(),
        base_path: config.base_path.clone(),
    }
}

/// Limits of the metrics listener: few connections and no reserve.
fn metrics_limits() -> ConnectionLimits {
    ConnectionLimits {
        permits: PermitLimits {
            total: METRICS_CONNECTIONS,
            per_address: METRICS_CONNECTIONS,
        },
        reserved: 0,
        proxies: TrustedProxies::default(),
        base_path: BasePath::default(),
    }
}

/// Stops rooms, sockets and the store in this order, within [`STOP_TIMEOUT`].
async fn shut_down(context: &AppContext, mut serving: tokio::task::JoinHandle<()>) {
    tracing::info!(sockets = context.open_sockets.count(), "the server stops");
    let steps = async {
        context.rooms.close();
        let _ = timeout(SOCKETS_TIMEOUT, context.open_sockets.wait_for_none()).await;
        if timeout(Duration::from_secs(1), &mut serving).await.is_err() {
            serving.abort();
        }
        context.store.close().await;
    };
    if timeout(STOP_TIMEOUT, steps).await.is_err() {
        tracing::warn!("the graceful stop took too long");
    }
}

/// Completes with the first SIGTERM or SIGINT; the second one ends the process.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either_signal(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either_signal(&mut terminate, &mut interrupt).await;
            tracing::warn!("second signal to stop: the process ends at once");
            std::process::exit(1);
        });
    })
}

/// Waits for one of two signals.
async fn either_signal(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
