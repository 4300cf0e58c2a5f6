//! Network addresses: which are listened on, and the limits of each, how many at once and how
//! often.
//!
//! * [`permits`] the limits of each network address: how many connections, how often.
//! * [`listener`] accepts HTTP connections.
//! * [`sockets`] listeners for both address families.
//! * [`forwarded`] whose request it is, through trusted proxies.
//! * [`write_timeout`] streams whose readers have to take what is written.
//!
//! Every limit per address goes through this folder. `127.0.0.1` and `::1` themselves have no
//! limit of their own: behind them is a proxy for everybody.

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
