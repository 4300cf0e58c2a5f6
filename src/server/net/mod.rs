//! The network side of the server: listeners, clients' addresses and the limits of each address.
//!
//! * [`permits`] the limits of each network address: connections at once, requests over time.
//! * [`listener`] accepts HTTP connections.
//! * [`sockets`] binds listeners for both address families.
//! * [`forwarded`] finds the client behind trusted proxies.
//! * [`write_timeout`] resets a stream whose reader is too slow.
//!
//! Every limit per address goes through this folder. `127.0.0.1` and `::1` themselves have no
//! limit of their own: a proxy for everybody may be behind them.

pub mod forwarded;
pub mod listener;
pub mod permits;
pub mod sockets;
pub mod write_timeout;

pub use forwarded::{ClientAddress, TrustedProxies};
pub use permits::{
    AddressRateLimiter, AddressRateLimits, KeyedRateLimiter, Network, Permit, PermitError,
    PermitLimits, Permits, RequestKind, RequestRateLimiter, RequestRateLimits, is_exempt, site,
    stored_bytes, subscriber,
};
pub use write_timeout::WriteTimeoutStream;
