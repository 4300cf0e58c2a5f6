//! The limits of each network address.
//!
//! * [`networks`] maps an address to the networks it counts under: an IPv4 address, or an IPv6 /64
//!   and, with four times the limit, an IPv6 /48.
//! * [`connections`] limits the connections of an address, and of all addresses together.
//! * [`addresses`] limits the rate of an address, in tables of fixed size.
//! * [`requests`] declares the rate of each kind of request.

pub mod addresses;
pub mod connections;
pub mod networks;
pub mod requests;

pub use addresses::{AddressRateLimiter, AddressRateLimits, Exhausted, KeyedRateLimiter};
pub use connections::{Permit, PermitError, PermitLimits, Permits};
pub use networks::{Network, ban_network, is_exempt, site, subscriber};
pub use requests::{
    KindRate, RequestKind, RequestRateLimiter, RequestRateLimits, TotalRateLimits, stored_bytes,
};
