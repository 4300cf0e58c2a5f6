//! Counters of one server, for `/metrics`.
//!
//! Each subsystem makes its own set and holds clones of it where it counts: a clone is a
//! pointer to the same atomic numbers, so counting takes no lock, and two servers of one
//! process share nothing. A scrape puts the sets into a [`Registry`] and adds what can be
//! looked up, such as the number of rooms. The names follow Prometheus: unit last, `_total`
//! on counters. `docs/operating.md` lists all of them.

mod http;
mod media;
mod rooms;
mod store;

pub use http::HttpMetrics;
pub use media::{DownTrackCounts, ForwardedLayer, IcePath, MediaMetrics};
pub use prometheus_client::metrics::counter::Counter;
pub use rooms::RoomMetrics;
pub use store::StoreMetrics;

use prometheus_client::metrics::family::Family;
use std::borrow::Cow;

/// Counters that differ in the value of one label. Looking one up takes a read lock.
pub type Labelled<M = Counter> = Family<[(&'static str, Cow<'static, str>); 1], M>;
