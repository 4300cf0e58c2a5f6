//! The network side of the server: listeners, clients' addresses and the limits of each address.
//!
//! * [`permits`] limits the connections and the request rates of each network address.
//! * [`listener`] accepts HTTP connections.
//! * [`sockets`] binds listeners for both address families.
//! * [`forwarded`] finds the client behind trusted proxies.
//! * [`client_stream`] a connection, plain or over TLS.
//! * [`h2_streams`] what the streams of an HTTP/2 connection do, and whether it is too slow.
//! * [`write_timeout`] resets a stream whose reader is too slow.
//!
//! This folder holds every limit per address. `127.0.0.1` and `::1` are exempt from these limits,
//! because a proxy for all clients may use them.

pub mod client_stream;
pub mod forwarded;
pub mod h2_streams;
pub mod listener;
pub mod permits;
pub mod sockets;
pub mod write_timeout;

pub use client_stream::{ClientReadHalf, ClientStream, ClientWriteHalf, split, split_h2};
pub use forwarded::{ClientAddress, TrustedProxies};
pub use h2_streams::H2Stream;
pub use permits::{
    AddressRateLimiter, AddressRateLimits, Exhausted, KeyedRateLimiter, KindRate, Network, Permit,
    PermitError, PermitLimits, Permits, RequestKind, RequestRateLimiter, RequestRateLimits,
    TotalRateLimits, ban_network, is_exempt, site, stored_bytes, subscriber,
};
pub use write_timeout::WriteTimeoutStream;
