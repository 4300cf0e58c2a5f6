//! [`AppContext`]: the state of the router, and the Leptos context of pages and server functions.

use super::{
    blocked_media::BlockedMedia,
    check::Tickets,
    config::Config,
    doctor::Doctor,
    http::{Assets, ConnectionPermits, MetricsToken, OpenSockets, PollRegistry, Readiness},
    limits::{
        MAX_EXPORTING, MAX_EXPORTING_OF_ADDRESS, MAX_POLLS, MAX_SOCKETS, MAX_UPLOADING,
        MAX_UPLOADING_OF_ADDRESS, Timing,
    },
    metrics::{Counter, HttpMetrics},
    net::{PermitLimits, Permits, RequestRateLimiter},
    operator::Operator,
    retention::SweepStatus,
    rooms::{RoomPasswords, RoomRules, Rooms},
    sfu::Sfu,
    store::Store,
    tls::ServerTls,
    visits::Visits,
};
use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use std::{ops::Deref, sync::Arc};
use tokio::{runtime::Handle, sync::watch};

/// A handle to the state of the server. Cloning copies one pointer, because the router clones its
/// state for every layer and every request.
#[derive(Clone)]
pub struct AppContext {
    /// The state. [`AppContext::with`] copies it before a change.
    shared: Arc<Shared>,
}

/// The state of the server.
#[derive(Clone)]
pub struct Shared {
    /// Options of the Leptos renderer.
    pub leptos: LeptosOptions,
    /// The operator's settings.
    pub config: Arc<Config>,
    /// The registry of rooms.
    pub rooms: Rooms,
    /// The media server. A handle; the SFU runs on threads of its own.
    pub sfu: Sfu,
    /// The message store. A handle; one thread writes, several read.
    pub store: Store,
    /// The files the pages load.
    pub assets: &'static Assets,
    /// Counters of the HTTP listeners.
    pub http_metrics: HttpMetrics,
    /// How often the addresses offered for media and TURN changed since the start.
    pub address_changes: Counter,
    /// Counts open sockets.
    pub open_sockets: Arc<OpenSockets>,
    /// Limits sockets and polling connections, by address.
    pub connection_permits: ConnectionPermits,
    /// Limits concurrent requests through trusted proxies, by address.
    pub request_permits: Permits,
    /// Limits requests that upload, by address.
    pub upload_permits: Permits,
    /// Limits exports of rooms, by address.
    pub export_permits: Permits,
    /// Rate limits of each address, and of all together.
    pub request_rates: Arc<RequestRateLimiter>,
    /// The open long-polling connections.
    pub polls: PollRegistry,
    /// The last result of the check whether messages can be stored.
    pub readiness: Readiness,
    /// Whether a sweep of old messages waits.
    pub sweeps: SweepStatus,
    /// The certificate of the HTTP listener; `None` without TLS.
    pub tls: Option<ServerTls>,
    /// The secret by which metrics are read over a network; `None` if they are not.
    pub metrics_token: Option<Arc<MetricsToken>>,
    /// Reports of clients whose media does not get through.
    pub blocked_media: Arc<BlockedMedia>,
    /// The tests at `/check` that run.
    pub checks: Arc<Tickets>,
    /// The account of the operator, and the state of its pages.
    pub operator: Arc<Operator>,
    /// The state of the operator's checks.
    pub doctor: Arc<Doctor>,
    /// Timeouts and intervals.
    pub timing: Timing,
    /// Verifies the passwords of rooms.
    pub room_passwords: Arc<RoomPasswords>,
    /// What is kept for people without script.
    pub visits: Arc<Visits>,
    /// The runtime that renders pages.
    pub pages: Handle,
    /// Turns true when the server stops.
    pub stopping: watch::Receiver<bool>,
}

impl AppContext {
    /// The state of a new server. Needs a Tokio runtime: rooms run on it, and pages are rendered on
    /// it unless [`Shared::pages`] is replaced.
    pub fn new(
        config: Config,
        store: Store,
        sfu: Sfu,
        timing: Timing,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let rules = RoomRules {
            capacity: config.room_capacity,
            call_capacity: config.call_capacity,
            p2p_max: config.p2p_max as usize,
            hide_addresses: config.hide_addresses,
            move_back_after: timing.move_back_after,
            grace: timing.grace,
            away: timing.away,
            empty_within: timing.empty_room_timeout,
            started: std::time::Instant::now(),
            ice_servers: config.ice_servers.clone(),
            invite_key: store.invite_key(),
            claim_rooms: config.claim_rooms,
        };
        let rooms = Rooms::new(
            store.clone(),
            sfu.clone(),
            rules,
            config.max_rooms,
            config.list_rooms.then_some(timing.summaries_interval),
        );
        let shared = Shared {
            leptos: leptos_options(&config),
            rooms,
            sfu,
            store,
            assets: Assets::embedded(),
            http_metrics: HttpMetrics::default(),
            address_changes: Counter::default(),
            open_sockets: Arc::default(),
            connection_permits: ConnectionPermits::new(
                PermitLimits {
                    total: MAX_SOCKETS,
                    per_address: config.sockets_per_address,
                },
                PermitLimits {
                    total: MAX_POLLS,
                    per_address: config.polls_per_address,
                },
            ),
            request_permits: Permits::new(PermitLimits {
                total: config.max_connections,
                per_address: config.connections_per_address,
            }),
            upload_permits: Permits::new(PermitLimits {
                total: MAX_UPLOADING,
                per_address: MAX_UPLOADING_OF_ADDRESS,
            }),
            export_permits: Permits::new(PermitLimits {
                total: MAX_EXPORTING,
                per_address: MAX_EXPORTING_OF_ADDRESS,
            }),
            request_rates: Arc::new(RequestRateLimiter::new(
                config.request_rates,
                config.total_rates,
            )),
            polls: PollRegistry::default(),
            readiness: Readiness::default(),
            sweeps: SweepStatus::default(),
            tls: None,
            metrics_token: None,
            blocked_media: Arc::default(),
            checks: Arc::default(),
            operator: Arc::default(),
            doctor: Arc::default(),
            timing,
            room_passwords: Arc::new(RoomPasswords::new(Handle::current())),
            visits: Arc::default(),
            pages: Handle::current(),
            stopping,
            config: Arc::new(config),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A changed copy of the state. Other handles keep theirs.
    pub fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl Deref for AppContext {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// Leptos extracts its options from the router's state.
impl FromRef<AppContext> for LeptosOptions {
    fn from_ref(context: &AppContext) -> Self {
        context.leptos.clone()
    }
}

/// Where Leptos finds its files and, under `cargo leptos watch`, the live reload.
fn leptos_options(config: &Config) -> LeptosOptions {
    let reload_port = std::env::var("LEPTOS_RELOAD_PORT").ok();
    let reload_port = reload_port.and_then(|port| port.parse().ok());
    LeptosOptions::builder()
        .output_name("noom")
        .site_root("target/site")
        .site_pkg_dir("pkg")
        .site_addr(config.listen)
        .reload_port(reload_port.unwrap_or(3001))
        .build()
}
