//! Counters of the HTTP listeners.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counters of the HTTP listeners of one server. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub struct HttpMetrics {
    /// HTTP requests received, including refused ones.
    pub requests: Counter,
    /// HTTP requests answered with 403, 408, 421 or 429.
    pub requests_refused: Counter,
    /// Connections closed at once because of the limit of their address or of the reserve.
    pub connections_refused: Counter,
    /// Connections served from the reserve because the limit of ordinary connections is reached.
    pub connections_reserved: Counter,
}

impl HttpMetrics {
    /// Adds the counters to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("http");
        for (name, help, counter) in [
            ("requests", "HTTP requests", &self.requests),
            (
                "requests_refused",
                "HTTP requests refused by origin, host name, time or rate",
                &self.requests_refused,
            ),
            (
                "connections_refused",
                "HTTP connections closed at once, too many from their address",
                &self.connections_refused,
            ),
            (
                "connections_reserved",
                "HTTP connections served health and upgrades only, too many in all",
                &self.connections_reserved,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}
