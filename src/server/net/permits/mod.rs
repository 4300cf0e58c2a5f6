//! The limits of each network address.
//!
//! * [`networks`] the networks an address counts under: an IPv4 address, an IPv6 /64, and
//!   four times as loosely an IPv6 /48.
//! * [`connections`] how many connections an address holds at once, and how many all hold.
//! * [`addresses`] how much an address may ask for over time, in tables of fixed size.
//! * [`requests`] the rates of everything a client asks for, by kind.

pub mod addresses;
pub mod connections;
pub mod networks;
pub mod requests;

pub use addresses::{AddressRateLimiter, AddressRateLimits, KeyedRateLimiter};
pub use connections::{Permit, PermitError, PermitLimits, Permits};
pub use networks::{Network, is_exempt, site, subscriber};
pub use requests::{RequestKind, RequestRateLimiter, RequestRateLimits, stored_bytes};
