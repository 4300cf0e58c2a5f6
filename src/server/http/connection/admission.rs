//! Admission of room connections: limits per address and in total, for both transports together.

use crate::server::{
    context::AppContext,
    http::health::SocketGuard,
    log_throttle::{self, LogThrottle},
    net::{ClientAddress, Permit, PermitError, PermitLimits, Permits},
};
use http::{HeaderMap, header};

/// Logs refusals at most once a minute.
static REFUSED: LogThrottle = LogThrottle::new();

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket (RFC 6455).
    WebSocket,
    /// HTTP long polling.
    LongPoll,
}

/// The permits of room connections.
#[derive(Clone)]
pub struct ConnectionPermits {
    /// Permits of all connections.
    sockets: Permits,
    /// Additional permits of polling connections.
    polls: Permits,
}

/// The permits of one connection, held until the connection has ended.
pub struct ConnectionPermit {
    /// Counts the connection among those of its address.
    _socket: Permit,
    /// Counts a polling connection among the polling connections of its address.
    _poll: Option<Permit>,
    /// Delays the end of a graceful stop.
    _guard: SocketGuard,
}

impl ConnectionPermits {
    /// Permits of which none is held. A polling connection needs one of each kind.
    pub fn new(sockets: PermitLimits, polls: PermitLimits) -> Self {
        Self {
            sockets: Permits::new(sockets),
            polls: Permits::new(polls),
        }
    }

    /// Acquires the permits of a connection over this transport.
    fn acquire(
        &self,
        client: ClientAddress,
        transport: Transport,
    ) -> Result<(Permit, Option<Permit>), PermitError> {
        let socket = self.sockets.acquire(client.0)?;
        let poll = match transport {
            Transport::WebSocket => None,
            Transport::LongPoll => Some(self.polls.acquire(client.0)?),
        };
        Ok((socket, poll))
    }
}

/// Admits a connection. `headers` of its request are logged with a refusal.
///
/// # Errors
/// The refusal to answer; the client tries again later.
pub fn admit(
    context: &AppContext,
    client: ClientAddress,
    headers: &HeaderMap,
    transport: Transport,
) -> Result<ConnectionPermit, PermitError> {
    let permits = context.connection_permits.acquire(client, transport);
    let (_socket, _poll) = permits.inspect_err(|refusal| log_refusal(*refusal, headers))?;
    let _guard = context.open_sockets.clone().enter();
    Ok(ConnectionPermit {
        _socket,
        _poll,
        _guard,
    })
}

/// Logs that a connection was refused.
fn log_refusal(refusal: PermitError, headers: &HeaderMap) {
    let Some(count) = REFUSED.record() else {
        return;
    };
    let origin = log_throttle::printable(headers.get(header::ORIGIN));
    let host = log_throttle::printable(headers.get(header::HOST));
    let limit = match refusal {
        PermitError::PerAddress => "--sockets-per-address or --polls-per-address",
        PermitError::Total => "of the server",
    };
    tracing::warn!(
        origin,
        host,
        count,
        limit,
        "connections were refused, because there were as many as the limit allows"
    );
}
