//! Choice of the transport to the server: WebSocket, or long-polling if the network blocks
//! WebSocket.
//!
//! Pure. The room controller reports each attempt, and asks for the transport of the next one
//! and for the time of the next upgrade.

use crate::protocol::CloseCode;
use std::time::Duration;

/// Consecutive failed attempts before the other transport is tried, once a connection was
/// live. A restarting server fails attempts, too.
const MAX_FAILURES: u32 = 2;
/// The delays between upgrade attempts to WebSocket while polling, in seconds, each times 0.5
/// to 1.5. The first is short, because a restarting server may have caused the polling.
const UPGRADE_WAITS_S: [f64; 5] = [5.0, 30.0, 60.0, 120.0, 300.0];

/// A transport to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportKind {
    /// WebSocket (RFC 6455).
    #[default]
    WebSocket,
    /// HTTP long-polling: requests that wait for frames.
    LongPoll,
}

/// The chosen transport, and the failures that led to it.
#[derive(Debug, Clone, Default)]
pub struct TransportChoice {
    /// Transport of this attempt, or of the next one.
    kind: TransportKind,
    /// Failed attempts since the connection was last live.
    failures: u32,
    /// Whether the connection was ever live.
    was_live: bool,
    /// Upgrade attempts since the last live WebSocket.
    upgrades: usize,
}

impl TransportChoice {
    /// Transport of this attempt, or of the next one.
    pub fn kind(&self) -> TransportKind {
        self.kind
    }

    /// The connection is live.
    pub fn on_live(&mut self) {
        self.failures = 0;
        self.was_live = true;
        if self.kind == TransportKind::WebSocket {
            self.upgrades = 0;
        }
    }

    /// An attempt ended with `code` before it was live. Returns whether the next attempt may
    /// start at once: the page itself has just loaded, so HTTP works.
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

    /// The delay until the next upgrade attempt; `None` with a WebSocket. `jitter` is random in
    /// 0..1.
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

    /// The device is online, possibly on another network, where WebSocket may work.
    pub fn on_online(&mut self) {
        self.upgrades = 0;
    }

    /// An upgrade attempt succeeded and the connection moves to it. If it fails, one failure
    /// leads back to polling, which worked before.
    pub fn on_upgraded(&mut self) {
        self.kind = TransportKind::WebSocket;
        self.failures = MAX_FAILURES - 1;
    }
}

/// Whether the server itself sent this close code, so the network does not block it.
fn is_from_server(code: u16) -> bool {
    code == CloseCode::Restarting.code() || (4000..5000).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transports of the next attempts, each of which fails with `code`.
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
            "a server that is down gets no immediate retry"
        );
        choice.on_live();
        assert_eq!(fails(&mut choice, 1006, 1), [WebSocket]);
    }

    #[test]
    fn a_lost_long_poll_is_followed_by_a_long_poll() {
        let mut choice = TransportChoice::default();
        choice.on_failed(1006);
        choice.on_live();
        // A lost live connection is no failed attempt: the next attempt polls.
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
        assert_eq!(choice.next_upgrade_in(0.5), None, "a WebSocket is in use");
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
            "the upgrade was live"
        );
    }
}
