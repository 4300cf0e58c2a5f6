//! Detection of blocked media.
//!
//! Pure: the monitor passes the state of each connection and the time, and receives what to
//! show and what to report to the server. Nothing is shown for a connection that connects
//! within [`BLOCKED_AFTER_MS`], for a participant who was connected and returns within
//! [`GONE_AFTER_MS`], or while the connection to the server is down, which the page shows
//! already.

use crate::protocol::{Obstacle, ParticipantId};
use std::collections::{HashMap, HashSet};

/// Time after which a connection that is not established counts as blocked, in milliseconds.
/// ICE over a slow relay takes 5 s.
pub const BLOCKED_AFTER_MS: f64 = 10_000.0;
/// Time after which an established connection to a participant that is down counts as blocked,
/// in milliseconds. A participant whose device sleeps leaves the call after 20 s.
pub const GONE_AFTER_MS: f64 = 25_000.0;
/// A longer interval between two checks means that the page was suspended, in milliseconds.
/// All timeouts then restart.
const SLEEP_GAP_MS: f64 = 5_000.0;

/// The other end of a connection of the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The server's SFU.
    Server,
    /// Another participant, browser to browser.
    Person(ParticipantId),
}

/// The state of a connection's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportState {
    /// ICE has no path (RFC 8445): no packets arrive.
    NoIcePath,
    /// ICE has a path, but the DTLS handshake is not complete (RFC 5764).
    NoDtls,
    /// ICE and DTLS are established.
    Connected,
}

/// The connections that are blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The browser has no `RTCPeerConnection`.
    NoWebRtc,
    /// The connection to the SFU is not established.
    Server {
        /// Whether ICE has a path and DTLS failed.
        dtls_failed: bool,
    },
    /// The connections to some participants are not established.
    People {
        /// The participants, in order of their ids.
        ids: Vec<ParticipantId>,
        /// Whether ICE has a path to all of them and DTLS failed.
        dtls_failed: bool,
    },
}

impl Blocked {
    /// The obstacle that is reported to the server.
    fn obstacle(&self) -> Obstacle {
        match self {
            Self::NoWebRtc => Obstacle::NoWebRtc,
            Self::Server { dtls_failed: false } => Obstacle::ServerIce,
            Self::Server { dtls_failed: true } => Obstacle::ServerDtls,
            Self::People {
                dtls_failed: false, ..
            } => Obstacle::PersonIce,
            Self::People {
                dtls_failed: true, ..
            } => Obstacle::PersonDtls,
        }
    }
}

/// A connection that is not established.
#[derive(Debug, Clone, Copy)]
struct Outage {
    /// Start of the outage, in milliseconds of the steady clock.
    since_ms: f64,
    /// Whether ICE had a path during the outage.
    had_ice_path: bool,
    /// Time after which the outage counts as blocked, in milliseconds.
    timeout_ms: f64,
}

/// The reachability of the connections of one leg.
#[derive(Debug, Default)]
pub struct Reachability {
    /// Connections that are not established.
    outages: HashMap<Endpoint, Outage>,
    /// Connections that have been established.
    ever_connected: HashSet<Endpoint>,
    /// Time of the last check, in milliseconds of the steady clock.
    checked_ms: Option<f64>,
    /// Obstacles reported during this leg, once each.
    reported: HashSet<Obstacle>,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReachabilityReport {
    /// The blocked connections to show.
    pub blocked: Option<Blocked>,
    /// The obstacle to report to the server.
    pub report: Option<Obstacle>,
}

impl Reachability {
    /// Checks the connections that carry media in the current mode. `live`: whether the
    /// connection to the server is up.
    pub fn check(
        &mut self,
        now_ms: f64,
        live: bool,
        connections: &[(Endpoint, TransportState)],
    ) -> ReachabilityReport {
        let before_ms = self.checked_ms.replace(now_ms);
        let slept = before_ms.is_some_and(|before_ms| now_ms - before_ms > SLEEP_GAP_MS);
        if slept || !live {
            self.outages.clear();
        }
        self.outages.retain(|endpoint, _| {
            let now = connections.iter().find(|(known, _)| known == endpoint);
            now.is_some_and(|(_, transport)| *transport != TransportState::Connected)
        });
        self.ever_connected
            .retain(|endpoint| connections.iter().any(|(known, _)| known == endpoint));
        for (endpoint, transport) in connections {
            if *transport == TransportState::Connected {
                self.ever_connected.insert(endpoint.clone());
                continue;
            }
            let timeout_ms = match endpoint {
                Endpoint::Person(_) if self.ever_connected.contains(endpoint) => GONE_AFTER_MS,
                Endpoint::Person(_) | Endpoint::Server => BLOCKED_AFTER_MS,
            };
            let outage = self.outages.entry(endpoint.clone()).or_insert(Outage {
                since_ms: now_ms,
                had_ice_path: false,
                timeout_ms,
            });
            outage.had_ice_path |= *transport == TransportState::NoDtls;
        }
        self.report(self.blocked(now_ms))
    }

    /// The report of a browser without `RTCPeerConnection`, which is shown at once.
    pub fn no_webrtc(&mut self) -> ReachabilityReport {
        self.report(Some(Blocked::NoWebRtc))
    }

    /// The blocked connections, with the obstacle if it was not reported yet.
    fn report(&mut self, blocked: Option<Blocked>) -> ReachabilityReport {
        let obstacle = blocked.as_ref().map(Blocked::obstacle);
        let report = obstacle.filter(|obstacle| self.reported.insert(*obstacle));
        ReachabilityReport { blocked, report }
    }

    /// The connections whose outage exceeds its timeout.
    fn blocked(&self, now_ms: f64) -> Option<Blocked> {
        let late = |outage: &Outage| now_ms - outage.since_ms >= outage.timeout_ms;
        let mut dtls_failed = true;
        let mut ids = Vec::new();
        for (endpoint, outage) in self.outages.iter().filter(|(_, outage)| late(outage)) {
            match endpoint {
                Endpoint::Server => {
                    let dtls_failed = outage.had_ice_path;
                    return Some(Blocked::Server { dtls_failed });
                }
                Endpoint::Person(id) => {
                    dtls_failed &= outage.had_ice_path;
                    ids.push(id.clone());
                }
            }
        }
        ids.sort();
        (!ids.is_empty()).then_some(Blocked::People { ids, dtls_failed })
    }
}

#[cfg(test)]
mod tests {
    use super::TransportState::{Connected, NoDtls, NoIcePath};
    use super::*;

    fn id(name: &str) -> ParticipantId {
        ParticipantId::parse(&format!("p_{name}")).expect("valid")
    }

    fn person(name: &str) -> Endpoint {
        Endpoint::Person(id(name))
    }

    /// Checks once per second; returns the last result and all reports.
    fn check(
        reach: &mut Reachability,
        seconds: std::ops::RangeInclusive<u32>,
        connections: &[(Endpoint, TransportState)],
    ) -> (Option<Blocked>, Vec<Obstacle>) {
        let (mut blocked, mut reports) = (None, Vec::new());
        for second in seconds {
            let result = reach.check(f64::from(second) * 1_000.0, true, connections);
            blocked = result.blocked;
            reports.extend(result.report);
        }
        (blocked, reports)
    }

    #[test]
    fn an_unreachable_server_is_shown_after_ten_seconds_and_reported_once() {
        let mut reach = Reachability::default();
        let server = [(Endpoint::Server, NoIcePath)];
        assert_eq!(check(&mut reach, 0..=9, &server), (None, vec![]));
        let blocked = Some(Blocked::Server { dtls_failed: false });
        let (shown, reports) = check(&mut reach, 10..=60, &server);
        assert_eq!((shown, reports), (blocked, vec![Obstacle::ServerIce]));
        // Once connected, nothing is shown. Another outage is shown after ten seconds and not
        // reported again.
        let up = [(Endpoint::Server, Connected)];
        assert_eq!(check(&mut reach, 61..=61, &up), (None, vec![]));
        assert_eq!(check(&mut reach, 62..=71, &server), (None, vec![]));
        let (shown, reports) = check(&mut reach, 72..=80, &server);
        assert_eq!((shown.is_some(), reports), (true, vec![]));
    }

    #[test]
    fn reachable_people_are_not_listed_as_blocked() {
        let mut reach = Reachability::default();
        let people = [
            (person("Cem"), NoIcePath),
            (person("Ann"), Connected),
            (person("Ben"), NoDtls),
        ];
        let (shown, reports) = check(&mut reach, 0..=10, &people);
        let ids = vec![id("Ben"), id("Cem")];
        assert_eq!(
            shown,
            Some(Blocked::People {
                ids,
                dtls_failed: false
            })
        );
        assert_eq!(reports, [Obstacle::PersonIce]);
        // Cem left and Dan has just joined.
        let people = [(person("Ben"), NoDtls), (person("Dan"), NoIcePath)];
        let (shown, _) = check(&mut reach, 11..=12, &people);
        let ids = vec![id("Ben")];
        assert_eq!(
            shown,
            Some(Blocked::People {
                ids,
                dtls_failed: true
            })
        );
    }

    #[test]
    fn a_sleeping_device_is_not_reported_as_blocked() {
        let mut reach = Reachability::default();
        check(&mut reach, 0..=5, &[(person("Ann"), Connected)]);
        let asleep = [(person("Ann"), NoIcePath)];
        assert_eq!(check(&mut reach, 6..=30, &asleep), (None, vec![]));
        // The participant left and re-entered: a new connection that is not established.
        check(&mut reach, 31..=31, &[]);
        assert_eq!(check(&mut reach, 32..=41, &asleep), (None, vec![]));
        assert!(check(&mut reach, 42..=42, &asleep).0.is_some());
    }

    #[test]
    fn a_failed_dtls_handshake_is_not_reported_as_a_failed_ice_path() {
        let mut reach = Reachability::default();
        check(&mut reach, 0..=4, &[(Endpoint::Server, NoDtls)]);
        let (shown, reports) = check(&mut reach, 5..=12, &[(Endpoint::Server, NoIcePath)]);
        assert_eq!(shown, Some(Blocked::Server { dtls_failed: true }));
        assert_eq!(reports, [Obstacle::ServerDtls]);
    }

    #[test]
    fn nothing_is_reported_after_sleep_or_while_the_room_is_disconnected() {
        let mut reach = Reachability::default();
        let server = [(Endpoint::Server, NoIcePath)];
        check(&mut reach, 0..=5, &server);
        assert_eq!(
            reach.check(60_000.0, true, &server),
            ReachabilityReport::default()
        );
        for second in 61..=90 {
            let down = reach.check(f64::from(second) * 1_000.0, false, &server);
            assert_eq!(down, ReachabilityReport::default());
        }
        assert_eq!(check(&mut reach, 91..=99, &server), (None, vec![]));
        assert!(check(&mut reach, 100..=101, &server).0.is_some());
    }

    #[test]
    fn a_browser_without_webrtc_is_reported_at_once() {
        let mut reach = Reachability::default();
        let first = reach.no_webrtc();
        assert_eq!(first.blocked, Some(Blocked::NoWebRtc));
        assert_eq!(first.report, Some(Obstacle::NoWebRtc));
        assert_eq!(reach.no_webrtc().report, None);
    }
}
