//! The statistics of one second of a connection.
//!
//! Without transport-wide congestion control, the receiver reports of a browser (RFC 3550
//! 6.4.2) are the only source of round-trip times and loss.

use std::time::{Duration, Instant};
use str0m::stats::{MediaEgressStats, PeerStats};

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// The statistics of the current window.
#[derive(Debug, Default)]
pub struct StatsWindow {
    /// When the window began; none before the first report.
    start: Option<Instant>,
    /// Ingress loss fractions: their sum and count.
    ingress_loss: (f64, u32),
    /// The longest round trip.
    rtt: Option<Duration>,
    /// The largest egress loss fraction.
    egress_loss: Option<f32>,
}

/// The statistics of a closed window.
#[derive(Debug, PartialEq)]
pub struct WindowStats {
    /// The average ingress loss fraction.
    pub ingress_loss: f64,
    /// The longest round trip.
    pub rtt: Option<Duration>,
    /// The largest egress loss fraction.
    pub egress_loss: Option<f32>,
}

impl StatsWindow {
    /// Records the statistics of the connection. Returns whether the window is over.
    pub fn on_peer_stats(&mut self, stats: &PeerStats) -> bool {
        if let Some(loss) = stats.ingress_loss_fraction {
            self.ingress_loss.0 += f64::from(loss);
            self.ingress_loss.1 += 1;
        }
        let start = *self.start.get_or_insert(stats.timestamp);
        stats.timestamp >= start + WINDOW
    }

    /// Records the statistics of one outgoing stream.
    pub fn on_media_stats(&mut self, stats: &MediaEgressStats) {
        self.rtt = self.rtt.max(stats.rtt);
        let loss = stats.loss.filter(|loss| loss.is_finite());
        self.egress_loss = match (self.egress_loss, loss) {
            (Some(before), Some(now)) => Some(before.max(now)),
            (before, now) => before.or(now),
        };
    }

    /// Closes the window and starts the next one at `now`.
    pub fn close(&mut self, now: Instant) -> WindowStats {
        let next = Self {
            start: Some(now),
            ..Self::default()
        };
        let closed = std::mem::replace(self, next);
        let (sum, count) = closed.ingress_loss;
        WindowStats {
            ingress_loss: sum / f64::from(count.max(1)),
            rtt: closed.rtt,
            egress_loss: closed.egress_loss,
        }
    }
}
