//! Counters of the HTTP listeners.

use http::Version;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

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
    /// WebSockets opened, by the version of HTTP.
    websockets: Family<[(&'static str, &'static str); 1], Counter>,
}

impl HttpMetrics {
    /// Counts a WebSocket.
    pub fn websocket_opened(&self, version: Version) {
        self.websockets.get_or_create(&labels(version)).inc();
    }

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
        for version in [Version::HTTP_11, Version::HTTP_2] {
            drop(self.websockets.get_or_create(&labels(version)));
        }
        let help = "WebSockets opened, by the version of HTTP";
        registry.register("websockets", help, self.websockets.clone());
    }
}

/// The labels of the WebSockets of a version of HTTP.
fn labels(version: Version) -> [(&'static str, &'static str); 1] {
    let version = match version {
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    [("version", version)]
}
