//! The settings: flag > environment > TOML file > default.
//!
//! [`settings`] declares each setting once. [`Config::resolve`] is pure: it takes the three
//! layers and returns the settings, or the one line that says what is wrong.

mod flags;
mod ice;
mod layers;
mod retention;
mod settings;
mod spelling;
#[cfg(test)]
mod tests;
mod values;

pub use flags::Flags;
pub use layers::{ConfigError, FileLayer};
pub use retention::{Keep, Retention};
pub use spelling::{UnknownVariable, unknown_variables};
pub use values::{LogFormat, PublicUrl, TurnTls};

use crate::{
    protocol::IceServer,
    server::{
        addresses::{InterfaceFilter, MediaHost},
        net::{RequestRateLimits, TrustedProxies},
        store::StoreOptions,
    },
};
use layers::Layers;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Everything an operator may set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// HTTP and WebSocket address.
    pub listen: SocketAddr,
    /// Where the database is.
    pub data_dir: PathBuf,
    /// Who may read it, and how much it may hold.
    pub store: StoreOptions,
    /// The origin people use; nothing where it is derived from the request.
    pub public_url: Option<PublicUrl>,
    /// Largest call that runs browser to browser.
    pub p2p_max: u32,
    /// Whether every call runs through the SFU, so that nobody learns the address of another.
    pub hide_addresses: bool,
    /// People a call holds.
    pub call_capacity: usize,
    /// First media port, UDP and TCP.
    pub media_listen: SocketAddr,
    /// Addresses for ICE candidates; none where those of the interfaces are to be used.
    pub media_ip: Vec<MediaHost>,
    /// Which interfaces' addresses are used, where `media_ip` names none.
    pub media_interfaces: InterfaceFilter,
    /// Threads that pass media on.
    pub media_threads: usize,
    /// Where STUN and TURN are served; nothing when off.
    pub turn_listen: Option<SocketAddr>,
    /// TURN over TLS, where there is a certificate.
    pub turn_tls: Option<TurnTls>,
    /// STUN and TURN servers handed to browsers.
    pub ice_servers: Arc<[IceServer]>,
    /// The tracing filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// People a room holds.
    pub room_capacity: usize,
    /// Rooms open at once.
    pub max_rooms: usize,
    /// Proxies whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// Sockets from one address (or IPv6 /64), loopback excepted.
    pub sockets_per_address: usize,
    /// HTTP connections at once.
    pub max_connections: usize,
    /// HTTP connections from one address, loopback excepted.
    pub connections_per_address: usize,
    /// Polling connections from one address, loopback excepted.
    pub polls_per_address: usize,
    /// What one address may ask for over time, loopback excepted.
    pub request_rates: RequestRateLimits,
    /// Where metrics are answered; nothing when off.
    pub metrics_listen: Option<SocketAddr>,
    /// How long messages are kept.
    pub retention: Retention,
    /// Time a search may take.
    pub search_within: Duration,
}

impl Config {
    /// Reads the process's own flags, environment and file.
    ///
    /// # Errors
    /// The line to show the operator.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let env = |name: &str| std::env::var(name).ok();
        let path = flags
            .config
            .clone()
            .or_else(|| env(flags::CONFIG_VARIABLE).map(PathBuf::from));
        let file = match path {
            Some(path) => FileLayer::read(&path)?,
            None => FileLayer::default(),
        };
        Self::resolve(flags, &env, &file)
    }

    /// The settings out of the three layers.
    ///
    /// # Errors
    /// The line to show the operator: setting, value, and what is accepted.
    pub fn resolve(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        file: &FileLayer,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::new(flags, env, file);
        layers.refuse_other_adapters()?;
        Ok(Self {
            listen: layers.listen(env)?,
            data_dir: layers.data_dir(),
            store: layers.store()?,
            public_url: layers.public_url()?,
            p2p_max: layers.number("p2p-max", 0..=64, "people")?,
            hide_addresses: layers.boolean("hide-addresses")?,
            call_capacity: layers.number("call-capacity", 1..=2000, "people")?,
            media_listen: layers.address("media-listen")?,
            media_ip: layers.media_ip()?,
            media_interfaces: layers.media_interfaces()?,
            media_threads: layers.media_threads()?,
            turn_listen: layers.address_or_off("turn-listen")?,
            turn_tls: layers.turn_tls()?,
            ice_servers: layers.ice_servers()?,
            log: layers.log()?,
            log_format: layers.log_format()?,
            room_capacity: layers.number("room-capacity", 1..=2000, "people")?,
            max_rooms: layers.number("max-rooms", 1..=1_000_000, "rooms")?,
            trusted_proxies: layers.trusted_proxies()?,
            sockets_per_address: layers.number("sockets-per-address", 1..=20_000, "sockets")?,
            max_connections: layers.number("max-connections", 1..=1_000_000, "connections")?,
            connections_per_address: layers.number(
                "connections-per-address",
                1..=1_000_000,
                "connections",
            )?,
            polls_per_address: layers.number(
                "polls-per-address",
                1..=1_000,
                "polling connections",
            )?,
            request_rates: layers.address_rates()?,
            metrics_listen: layers.address_or_off("metrics-listen")?,
            retention: layers.retention(file)?,
            search_within: layers.search_within()?,
        })
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("noom.db")
    }
}
