//! What people report of media that does not get through: counted, logged, and noted in
//! `/readyz`, because the server itself sees nothing of packets that never come.

use super::{
    log_throttle::{HOURLY, LogThrottle},
    metrics::Labelled,
};
use crate::protocol::Obstacle;
use prometheus_client::registry::Registry;
use std::{
    borrow::Cow,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long `/readyz` notes a report. 1 h: an operator who checks now and then sees the note, and
/// it disappears once the firewall is corrected.
const NOTED_FOR: Duration = Duration::from_secs(60 * 60);

/// The reports of the server's clients.
#[derive(Debug, Default)]
pub struct BlockedMedia {
    /// Reports of clients that did not reach the server, for `/readyz`.
    of_server: Mutex<Reports>,
    /// Counts of all reports, by `obstacle`.
    counters: Labelled,
}

/// Recent reports of clients that did not reach the server.
#[derive(Debug, Default)]
struct Reports {
    /// Number of reports, each less than [`NOTED_FOR`] after the previous one.
    count: u64,
    /// Time of the last report.
    last: Option<Instant>,
}

impl Reports {
    /// Resets the count [`NOTED_FOR`] after the last report.
    fn expire(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now >= last + NOTED_FOR) {
            *self = Self::default();
        }
    }
}

impl BlockedMedia {
    /// Somebody reports this. A connection reports each obstacle once.
    pub fn report(&self, obstacle: Obstacle) {
        self.counters.get_or_create(&label(obstacle)).inc();
        warn(obstacle);
        if obstacle.is_of_server() {
            self.report_server_at(Instant::now());
        }
    }

    /// Adds the counters to a registry, also those of obstacles without a report.
    pub fn register(&self, registry: &mut Registry) {
        for obstacle in Obstacle::ALL {
            drop(self.counters.get_or_create(&label(obstacle)));
        }
        registry.register(
            "media_blocked",
            "Reports of calls whose media does not get through, by obstacle",
            self.counters.clone(),
        );
    }

    /// What `/readyz` notes, where something was reported within [`NOTED_FOR`].
    pub fn note(&self) -> Option<String> {
        self.note_at(Instant::now())
    }

    /// The server was not reached.
    fn report_server_at(&self, now: Instant) {
        let mut reports = self
            .of_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reports.expire(now);
        reports.count = reports.count.saturating_add(1);
        reports.last = Some(now);
    }

    /// What is noted at a moment.
    fn note_at(&self, now: Instant) -> Option<String> {
        let mut reports = self
            .of_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reports.expire(now);
        let minutes = now.saturating_duration_since(reports.last?).as_secs() / 60;
        Some(format!(
            "{} reports, the last one {minutes} min ago, of calls whose media does not reach the \
             server: are its media ports open for UDP and TCP, and is --media-ip right?",
            reports.count
        ))
    }
}

/// The label of an obstacle's counter.
fn label(obstacle: Obstacle) -> [(&'static str, Cow<'static, str>); 1] {
    [("obstacle", obstacle.name().into())]
}

/// One line an hour of each kind. What a browser lacks is nothing that an operator can mend.
fn warn(obstacle: Obstacle) {
    static SERVER: LogThrottle = LogThrottle::with_interval(HOURLY);
    static PEOPLE: LogThrottle = LogThrottle::with_interval(HOURLY);
    match obstacle {
        Obstacle::ServerIce | Obstacle::ServerDtls => {
            if let Some(count) = SERVER.record() {
                tracing::warn!(
                    obstacle = obstacle.name(),
                    count,
                    "the media of calls does not reach this server: are its media ports open for \
                     UDP and TCP, and is --media-ip right?"
                );
            }
        }
        Obstacle::PersonIce | Obstacle::PersonDtls => {
            if let Some(count) = PEOPLE.record() {
                tracing::warn!(
                    obstacle = obstacle.name(),
                    count,
                    "media does not get from browser to browser: is the relay reachable at \
                     --turn-listen?"
                );
            }
        }
        Obstacle::NoWebRtc => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_noted_with_their_number_for_an_hour_after_the_last_one() {
        let reports = BlockedMedia::default();
        let start = Instant::now();
        assert_eq!(reports.note_at(start), None);
        reports.report_server_at(start);
        reports.report_server_at(start + NOTED_FOR / 2);
        let note = reports.note_at(start + NOTED_FOR).expect("noted");
        assert!(
            note.starts_with("2 reports, the last one 30 min ago"),
            "{note}"
        );
        assert_eq!(reports.note_at(start + NOTED_FOR * 3 / 2), None);
        reports.report_server_at(start + NOTED_FOR * 2);
        let note = reports.note_at(start + NOTED_FOR * 2).expect("noted");
        assert!(note.starts_with("1 reports"), "{note}");
    }

    #[test]
    fn what_only_a_browser_lacks_is_not_noted() {
        let reports = BlockedMedia::default();
        reports.report(Obstacle::NoWebRtc);
        reports.report(Obstacle::PersonIce);
        assert_eq!(reports.note(), None);
        reports.report(Obstacle::ServerDtls);
        assert!(reports.note().is_some());
    }
}
