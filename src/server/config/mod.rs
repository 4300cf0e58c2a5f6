//! Settings of the operator, in this order of precedence: flag, environment, TOML file, profile,
//! default.
//!
//! [`settings`] declares each setting once. [`Config::resolve`] is pure: it takes the three layers
//! and returns the checked settings, or a one-line error.

mod flags;
mod ice;
mod layers;
mod print;
mod retention;
mod settings;
mod spelling;
#[cfg(test)]
mod tests;
mod values;

pub use flags::Flags;
pub use layers::{ConfigError, FileLayer};
pub use retention::{Retention, RetentionLimits};
pub use spelling::{UnknownVariable, unknown_variables};
pub use values::{HttpListen, LogFormat, PublicUrl, TurnTls};

use crate::{
    protocol::IceServer,
    server::{
        BasePath,
        addresses::{InterfaceFilter, MediaHost},
        net::{RequestRateLimits, TotalRateLimits, TrustedProxies},
        profile::Profile,
        store::StoreOptions,
        tls::{CertificateName, TlsMode},
    },
};
use layers::Layers;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// The value of an environment variable.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// All settings of the operator, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which limits apply where no setting gives them.
    pub profile: Profile,
    /// HTTP and WebSocket address.
    pub listen: SocketAddr,
    /// Directory of the database.
    pub data_dir: PathBuf,
    /// Access rights of the database, and its quota.
    pub store: StoreOptions,
    /// The public origin; `None` derives it from each request.
    pub public_url: Option<PublicUrl>,
    /// Where the site begins on its host.
    pub base_path: BasePath,
    /// Names of this server that are in its certificate, in lower case.
    pub domains: Vec<String>,
    /// TLS of the HTTP address; `None` if it is plain.
    pub tls: Option<TlsMode>,
    /// Plain HTTP beside TLS; `None` if off.
    pub http_listen: Option<HttpListen>,
    /// Largest call that runs browser to browser, in participants.
    pub p2p_max: u32,
    /// Whether every call runs through the SFU, which hides participants' addresses from each
    /// other.
    pub hide_addresses: bool,
    /// Capacity of a call, in participants.
    pub call_capacity: usize,
    /// First media port, UDP and TCP.
    pub media_listen: SocketAddr,
    /// Addresses for ICE candidates; if empty, those of the interfaces.
    pub media_ip: Vec<MediaHost>,
    /// The interfaces whose addresses are used if `media_ip` is empty.
    pub media_interfaces: InterfaceFilter,
    /// Number of media threads (SFU shards).
    pub media_threads: usize,
    /// Address of STUN and TURN; `None` if off.
    pub turn_listen: Option<SocketAddr>,
    /// TURN over TLS; `None` without a certificate.
    pub turn_tls: Option<TurnTls>,
    /// STUN and TURN servers that browsers receive in addition.
    pub ice_servers: Arc<[IceServer]>,
    /// The tracing filter.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Capacity of a room, in members.
    pub room_capacity: usize,
    /// Rooms open at once.
    pub max_rooms: usize,
    /// Whether anybody may see which rooms are open.
    pub list_rooms: bool,
    /// Whether a stored room without a host gives its key to the next who enters.
    pub claim_rooms: bool,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Sockets from one address (or IPv6 /64), loopback excepted.
    pub sockets_per_address: usize,
    /// HTTP connections at once.
    pub max_connections: usize,
    /// HTTP connections from one address, loopback excepted.
    pub connections_per_address: usize,
    /// Polling connections from one address, loopback excepted.
    pub polls_per_address: usize,
    /// Request rates of one address, loopback excepted.
    pub request_rates: RequestRateLimits,
    /// Request rates of all addresses together.
    pub total_rates: TotalRateLimits,
    /// Address of the metrics listener; `None` if off.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with the token by which metrics are read at the HTTP address; `None` if they are not.
    pub metrics_token_file: Option<PathBuf>,
    /// Retention of messages.
    pub retention: Retention,
    /// How long a room without messages is kept; `None` is for ever.
    pub forget_empty_rooms: Option<Duration>,
    /// Time limit of a search.
    pub search_within: Duration,
}

impl Config {
    /// Reads the flags, environment and file of this process.
    ///
    /// # Errors
    /// A one-line error for the operator.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::resolve(flags, &variable, &FileLayer::of(flags)?)
    }

    /// The settings of this process as a file of settings, each with its origin behind it. Secrets
    /// are masked.
    ///
    /// # Errors
    /// A one-line error for the operator, as [`Self::load`] has it.
    pub fn print(flags: &Flags) -> Result<String, ConfigError> {
        let file = FileLayer::of(flags)?;
        let config = Self::resolve(flags, &variable, &file)?;
        print::text(&config, flags, &variable, &file)
    }

    /// Resolves the settings from the three layers.
    ///
    /// # Errors
    /// A one-line error for the operator: setting, value, and what is accepted.
    pub fn resolve(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        file: &FileLayer,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::new(flags, env, file)?;
        layers.refuse_other_adapters()?;
        let domains = layers.domains()?;
        let tls = layers.tls(&domains)?;
        Ok(Self {
            profile: layers.profile,
            listen: layers.listen(env, tls.as_ref())?,
            data_dir: layers.data_dir(),
            store: layers.store()?,
            public_url: layers.public_url()?,
            base_path: layers.base_path()?,
            http_listen: layers.http_listen(tls.as_ref())?,
            p2p_max: layers.number("p2p-max", 0..=64, "people")?,
            hide_addresses: layers.boolean("hide-addresses")?,
            call_capacity: layers.number("call-capacity", 1..=2000, "people")?,
            media_listen: layers.address("media-listen")?,
            media_ip: layers.media_ip()?,
            media_interfaces: layers.media_interfaces()?,
            media_threads: layers.media_threads()?,
            turn_listen: layers.address_or_off("turn-listen")?,
            turn_tls: layers.turn_tls(tls.as_ref())?,
            ice_servers: layers.ice_servers()?,
            log: layers.log()?,
            log_format: layers.log_format()?,
            room_capacity: layers.number("room-capacity", 1..=2000, "people")?,
            max_rooms: layers.number("max-rooms", 1..=1_000_000, "rooms")?,
            list_rooms: layers.on_or_off("list-rooms")?,
            claim_rooms: layers.on_or_off("claim-rooms")?,
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
            total_rates: layers.total_rates()?,
            metrics_listen: layers.address_or_off("metrics-listen")?,
            metrics_token_file: layers.path("metrics-token-file"),
            retention: layers.retention(file)?,
            forget_empty_rooms: layers.forget_empty_rooms()?,
            search_within: layers.search_within()?,
            domains,
            tls,
        })
    }

    /// Whether browsers are told to come back by TLS only (HSTS, RFC 6797): for a name that has a
    /// certificate of a public authority, not for addresses and not for a local authority.
    pub fn has_strict_transport(&self) -> bool {
        let public = self.public_url.as_ref();
        let is_name = |url: &PublicUrl| {
            let host = url.host().trim_matches(['[', ']']);
            url.is_https() && host.parse::<std::net::IpAddr>().is_err()
        };
        match &self.tls {
            Some(TlsMode::SelfSigned) => false,
            Some(TlsMode::Acme(options)) => {
                let mut names = options.names.iter();
                names.all(|name| matches!(name, CertificateName::Dns(_)))
            }
            Some(TlsMode::Files(_)) | None => public.is_some_and(is_name),
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.data_dir.join("noom.db")
    }
}
