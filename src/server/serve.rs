//! The life of the process: open, listen, serve, stop.
//!
//! A stop is asked for once (SIGTERM, SIGINT) and takes less than 10 s even with stuck
//! clients; asked for twice, it is at once. Order of a stop: no new connections, every
//! socket is told 1012, the writer stores what is queued and folds its log in.

use super::{
    config::Config,
    context::AppContext,
    error::ServeError,
    http::{metrics_router, router},
    limits::{RESERVED_CONNECTIONS, STOP_WITHIN, Timing},
    listener::{ConnectionLimits, listen},
    load,
    net::{PermitLimits, TrustedProxies},
    relays, retention,
    sfu::{Sfu, SfuOptions},
    store::Store,
};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// Of [`STOP_WITHIN`], how long sockets and requests may take; the rest is the store's.
const SOCKETS_WITHIN: Duration = Duration::from_secs(4);

/// Connections to the listener for metrics. 16: a collector has one or two.
const METRICS_CONNECTIONS: usize = 16;

/// A server that listens and does not answer yet.
pub struct Server {
    /// Where connections come in.
    listener: TcpListener,
    /// Where the metrics are asked for, unless that is off.
    metrics: Option<TcpListener>,
    /// The state.
    context: AppContext,
    /// Says that it stops.
    stop: watch::Sender<bool>,
}

/// Serves until SIGTERM or SIGINT; `pages` are rendered on a runtime of their own.
///
/// # Errors
/// It could not start: the operator mends the setting named.
pub async fn serve(config: Config, pages: Handle) -> Result<(), ServeError> {
    let mut server = Server::bind(config, Timing::default()).await?;
    server.context = server.context.with(|shared| shared.pages = pages);
    let address = server.address()?;
    tracing::info!(%address, "Noom listens on http://{address}");
    if let Some(address) = server.metrics_address()? {
        tracing::info!(%address, "metrics are on http://{address}/metrics");
    }
    server.run(stop_signal()?).await
}

impl Server {
    /// Opens the store and the address.
    ///
    /// # Errors
    /// Either cannot be opened.
    pub async fn bind(config: Config, timing: Timing) -> Result<Self, ServeError> {
        let store =
            Store::open(&config.database(), &config.store).map_err(|error| ServeError::Store {
                directory: config.data_dir.display().to_string(),
                error,
            })?;
        let store = store.with_search_within(config.search_within);
        let address = config.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServeError::Listen { address, error })?;
        let metrics = match config.metrics_listen {
            Some(address) => Some(bind_metrics(address).await?),
            None => None,
        };
        let sfu = Sfu::start(&SfuOptions {
            listen: config.media_listen,
            advertised: config.media_ip.clone(),
            shards: config.media_threads,
        })?;
        let relays = relays::start(&config, &sfu).await?;
        let (stop, stopping) = watch::channel(false);
        let context = AppContext::new(config, store, sfu, timing, stopping);
        if let Some(relays) = relays {
            context.rooms.set_relays(relays);
        }
        Ok(Self {
            listener,
            metrics,
            context,
            stop,
        })
    }

    /// Where it listens; with port 0, the port it got.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn address(&self) -> Result<SocketAddr, ServeError> {
        Ok(self.listener.local_addr()?)
    }

    /// Where it answers for its metrics; nothing where that is off.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn metrics_address(&self) -> Result<Option<SocketAddr>, ServeError> {
        let address = self.metrics.as_ref().map(TcpListener::local_addr);
        Ok(address.transpose()?)
    }

    /// The state, for whoever lives in the same process.
    pub fn context(&self) -> &AppContext {
        &self.context
    }

    /// Serves until `stopped`, then stops gracefully.
    ///
    /// # Errors
    /// Accepting failed for good.
    pub async fn run(
        self,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Self {
            listener,
            metrics,
            context,
            stop,
        } = self;
        let mut stopping = stop.subscribe();
        tokio::spawn(retention::run(context.clone()));
        tokio::spawn(load::watch(stop.subscribe()));
        tokio::spawn(async move {
            stopped.await;
            let _ = stop.send(true);
        });
        let serving = listen(
            listener,
            router(context.clone()),
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
                router,
                context.timing,
                limits,
                stopping.clone(),
            ));
        }
        let _ = stopping.wait_for(|stop| *stop).await;
        shut_down(&context, serving).await;
        Ok(())
    }
}

/// Opens the listener for metrics.
async fn bind_metrics(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| ServeError::MetricsListen { address, error })
}

/// How many connections people have.
fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        permits: PermitLimits {
            total: config.max_connections,
            per_address: config.connections_per_address,
        },
        reserved: RESERVED_CONNECTIONS,
        proxies: config.trusted_proxies.clone(),
    }
}

/// How many connections those have who ask for metrics: a few, and none in reserve.
fn metrics_limits() -> ConnectionLimits {
    ConnectionLimits {
        permits: PermitLimits {
            total: METRICS_CONNECTIONS,
            per_address: METRICS_CONNECTIONS,
        },
        reserved: 0,
        proxies: TrustedProxies::default(),
    }
}

/// Takes everything down, in order, within [`STOP_WITHIN`].
async fn shut_down(context: &AppContext, mut serving: tokio::task::JoinHandle<()>) {
    tracing::info!(sockets = context.gauges.sockets(), "the server stops");
    let steps = async {
        context.rooms.close();
        let _ = timeout(SOCKETS_WITHIN, context.gauges.no_sockets()).await;
        if timeout(Duration::from_secs(1), &mut serving).await.is_err() {
            serving.abort();
        }
        context.store.close().await;
    };
    if timeout(STOP_WITHIN, steps).await.is_err() {
        tracing::warn!("the server stops without having waited for everything");
    }
}

/// Ends with the first SIGTERM or SIGINT; the second one ends the process.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("asked to stop a second time, ending at once");
            std::process::exit(1);
        });
    })
}

/// Waits for one of two signals.
async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
