//! Counters of one server, for `/metrics`.
//!
//! Each subsystem creates its own set of counters. A clone of a set points to the same atomic
//! numbers, so counting takes no lock, and two servers in one process share no counters. A scrape
//! adds the sets, and gauges such as the number of rooms, to a registry. The names follow the
//! conventions of Prometheus: unit last, `_total` on counters. `docs/operating.md` lists them.

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

/// Counters with one label. A look-up takes a read lock.
pub type Labelled<M = Counter> = Family<[(&'static str, Cow<'static, str>); 1], M>;
