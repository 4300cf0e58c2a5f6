//! Choice of the transport to the server: a WebSocket, or long-polling where a network blocks
//! that.
//!
//! Pure. The room controller reports each attempt, and asks for the transport of the next one
//! and for the time of the next upgrade.

use crate::protocol::CloseCode;
use std::time::Duration;

/// Attempts in a row that fail before the other way is tried, once a line was live: a
/// server that restarts fails them too.
const MAX_FAILURES: u32 = 2;
/// The waits between trials of a WebSocket while polling, in seconds, each times 0.5 to
/// 1.5. The first is short for those whom a restarting server has led here.
const UPGRADE_WAITS_S: [f64; 5] = [5.0, 30.0, 60.0, 120.0, 300.0];

/// A way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportKind {
    /// WebSocket (RFC 6455).
    #[default]
    WebSocket,
    /// Requests that wait for what is said.
    LongPoll,
}

/// The chosen transport, and the failures that led to it.
#[derive(Debug, Clone, Default)]
pub struct TransportChoice {
    /// Transport of this attempt, or of the next one.
    kind: TransportKind,
    /// Attempts that failed since the line was last live.
    failures: u32,
    /// Whether the line was ever live.
    was_live: bool,
    /// Trials of a WebSocket since the last one that got through.
    upgrades: usize,
}

impl TransportChoice {
    /// Transport of this attempt, or of the next one.
    pub fn kind(&self) -> TransportKind {
        self.kind
    }

    /// The line is live.
    pub fn on_live(&mut self) {
        self.failures = 0;
        self.was_live = true;
        if self.kind == TransportKind::WebSocket {
            self.upgrades = 0;
        }
    }

    /// An attempt ended with `code` before the line was live. True where the next one
    /// need not wait: the page has just come by HTTP, so that works.
    pub fn on_failed(&mut self, code: u16) -> bool {
        if is_from_server(code) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let at_once = !self.was_live && self.failures == 1;
        self.kind = match self.kind {
            TransportKind::LongPoll => TransportKind::WebSocket,
            TransportKind::WebSocket if at_once || self.failures >= MAX_FAILURES => {
                TransportKind::LongPoll
            }
            TransportKind::WebSocket => TransportKind::WebSocket,
        };
        at_once
    }

    /// When to try a WebSocket beside the polling; `jitter` is random in 0..1. Nothing
    /// where one is in use.
    pub fn next_upgrade_in(&mut self, jitter: f64) -> Option<Duration> {
        if self.kind == TransportKind::WebSocket {
            return None;
        }
        let step = UPGRADE_WAITS_S[self.upgrades.min(UPGRADE_WAITS_S.len() - 1)];
        self.upgrades = self.upgrades.saturating_add(1);
        Some(Duration::from_secs_f64(
            step * (0.5 + jitter.clamp(0.0, 1.0)),
        ))
    }

    /// The device is on a network, perhaps another one: what was learnt of the former one
    /// says little.
    pub fn on_online(&mut self) {
        self.upgrades = 0;
    }

    /// A trial got through: the line moves over. If that fails, it was polling that
    /// worked, so one failure leads back.
    pub fn on_upgraded(&mut self) {
        self.kind = TransportKind::WebSocket;
        self.failures = MAX_FAILURES - 1;
    }
}

/// Whether the server itself gave this code: then the way to it is open.
fn is_from_server(code: u16) -> bool {
    code == CloseCode::Restarting.code() || (4000..5000).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ways of the next attempts, each of which fails with `code`.
    fn fails(choice: &mut TransportChoice, code: u16, times: usize) -> Vec<TransportKind> {
        let fail = |_| {
            choice.on_failed(code);
            choice.kind()
        };
        (0..times).map(fail).collect()
    }

    #[test]
    fn a_page_whose_first_socket_fails_polls_at_once() {
        let mut choice = TransportChoice::default();
        assert_eq!(choice.kind(), TransportKind::WebSocket);
        assert!(choice.on_failed(1006));
        assert_eq!(choice.kind(), TransportKind::LongPoll);
        choice.on_live();
        assert_eq!(choice.kind(), TransportKind::LongPoll);
    }

    #[test]
    fn two_failed_sockets_after_a_live_connection_lead_to_polling_and_back() {
        use TransportKind::{LongPoll, WebSocket};
        let mut choice = TransportChoice::default();
        choice.on_live();
        let next = fails(&mut choice, 1006, 6);
        assert_eq!(
            next,
            [
                WebSocket, LongPoll, WebSocket, LongPoll, WebSocket, LongPoll
            ]
        );
        assert!(
            !choice.on_failed(1006),
            "a server that is away is not stormed"
        );
        choice.on_live();
        assert_eq!(fails(&mut choice, 1006, 1), [WebSocket]);
    }

    #[test]
    fn a_lost_long_poll_is_followed_by_a_long_poll() {
        let mut choice = TransportChoice::default();
        choice.on_failed(1006);
        choice.on_live();
        // Its loss while live is nothing to report; the next attempt polls.
        assert_eq!(choice.kind(), TransportKind::LongPoll);
        assert_eq!(
            fails(&mut choice, 1006, 2),
            [TransportKind::WebSocket, TransportKind::LongPoll]
        );
    }

    #[test]
    fn close_codes_of_the_server_do_not_count_as_blocked() {
        let mut choice = TransportChoice::default();
        for code in [1012, 4400, 4408, 4409, 4429] {
            assert_eq!(
                fails(&mut choice, code, 5),
                [TransportKind::WebSocket; 5],
                "{code}"
            );
        }
        assert!(choice.on_failed(1006));
    }

    #[test]
    fn upgrade_attempts_become_rare_and_restart_on_another_network() {
        let mut choice = TransportChoice::default();
        assert_eq!(choice.next_upgrade_in(0.5), None, "there is a socket");
        choice.on_failed(1006);
        choice.on_live();
        let mut waits = |count: usize| {
            let waits = (0..count).filter_map(|_| choice.next_upgrade_in(0.5));
            waits.map(|wait| wait.as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), [5, 30, 60, 120, 300, 300, 300]);
        choice.on_online();
        assert_eq!(
            choice.next_upgrade_in(0.0),
            Some(Duration::from_millis(2_500))
        );
        assert_eq!(choice.next_upgrade_in(1.0), Some(Duration::from_secs(45)));
    }

    #[test]
    fn a_failed_upgrade_returns_to_polling_at_the_first_failure() {
        let mut choice = TransportChoice::default();
        choice.on_failed(1006);
        choice.on_live();
        choice.on_upgraded();
        assert_eq!(
            (choice.kind(), choice.next_upgrade_in(0.5)),
            (TransportKind::WebSocket, None)
        );
        assert_eq!(fails(&mut choice, 1006, 1), [TransportKind::LongPoll]);
        choice.on_live();
        choice.on_upgraded();
        choice.on_live();
        assert_eq!(
            fails(&mut choice, 1006, 1),
            [TransportKind::WebSocket],
            "it worked"
        );
    }
}
