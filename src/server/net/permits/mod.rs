//! The limits of each network address.
//!
//! * [`networks`] the networks an address counts under: an IPv4 address, an IPv6 /64, and
//!   four times as loosely an IPv6 /48.
//! * [`connections`] bounds the connections of an address, and of all together.
//! * [`addresses`] bounds the rate of an address, in tables of fixed size.
//! * [`requests`] the rates of each kind of request.

pub mod addresses;
pub mod connections;
pub mod networks;
pub mod requests;

pub use addresses::{AddressRateLimiter, AddressRateLimits, KeyedRateLimiter};
pub use connections::{Permit, PermitError, PermitLimits, Permits};
pub use networks::{Network, is_exempt, site, subscriber};
pub use requests::{RequestKind, RequestRateLimiter, RequestRateLimits, stored_bytes};
