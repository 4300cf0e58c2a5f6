//! Network addresses: which are listened on, and the limits of each, how many at once and how
//! often.
//!
//! * [`networks`] the networks an address counts under: an IPv4 address, an IPv6 /64, and
//!   four times as loosely an IPv6 /48.
//! * [`permits`] how many connections an address holds at once, and how many all hold.
//! * [`rates`] how much an address may ask for over time, in tables of fixed size.
//! * [`request_rates`] the rates of everything a client asks for, by kind.
//! * [`sockets`] listeners for both address families.
//! * [`client`] whose request it is, through trusted proxies.
//! * [`bounded_writes`] streams whose readers have to take what is written.
//! * [`warning`] log lines that strangers can cause.
//!
//! Every limit per address goes through this folder. `127.0.0.1` and `::1` themselves have no
//! limit of their own: behind them is a proxy for everybody.

pub mod bounded_writes;
pub mod client;
pub mod networks;
pub mod permits;
pub mod rates;
pub mod request_rates;
pub mod sockets;
pub mod warning;

pub use bounded_writes::BoundedWrites;
pub use client::{ClientAddress, TrustedProxies};
pub use networks::{Network, is_exempt, site, subscriber};
pub use permits::{Permit, PermitError, PermitLimits, Permits};
pub use rates::{AddressRateLimits, AddressRates, KeyRates};
pub use request_rates::{RequestKind, RequestRateLimits, RequestRates, stored_bytes};
pub use warning::RareWarning;
