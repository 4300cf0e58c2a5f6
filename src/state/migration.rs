//! Migration of media between browser to browser and the SFU: state of the SFU connection.
//!
//! Pure: times are milliseconds of a steady clock. The browser's migration opens and closes
//! the connections and asks here how long the SFU connection has been up. Only events of the
//! connection change that: the server repeats the mode every few minutes and after each
//! reconnect, and a repeated mode changes nothing.

use crate::protocol::Mode;
use crate::state::call::LinkState;

/// How long a participant's media may take to arrive through the SFU once it is connected, in
/// milliseconds. After that the participant is played from the SFU in any case.
pub const ARRIVAL_TIMEOUT_MS: f64 = 8_000.0;

/// The connection to the SFU, for one browser.
#[derive(Debug, Default)]
pub struct SfuPath {
    /// The mode that the server announced last.
    mode: Mode,
    /// State of the connection.
    link: LinkState,
    /// While connected: since when media may arrive, in milliseconds of the steady clock.
    since_ms: Option<f64>,
}

impl SfuPath {
    /// A new connection is opened.
    pub fn open(&mut self) {
        self.link = LinkState::Connecting;
        self.since_ms = None;
    }

    /// The state of the connection changed.
    pub fn on_link_state(&mut self, link: LinkState, now_ms: f64) {
        self.link = link;
        self.since_ms = match link {
            LinkState::Connected => self.since_ms.or(Some(now_ms)),
            LinkState::Connecting | LinkState::Reconnecting => None,
        };
    }

    /// The server announced the mode, possibly the same one. After a change the arrival timeout
    /// restarts, because no media was routed through a connection left open from an earlier
    /// migration.
    pub fn on_mode(&mut self, mode: Mode, now_ms: f64) {
        if std::mem::replace(&mut self.mode, mode) != mode {
            self.since_ms = self.since_ms.map(|_| now_ms);
        }
    }

    /// State of the connection.
    pub fn link(&self) -> LinkState {
        self.link
    }

    /// How long media has had to arrive, in milliseconds; `None` while not connected.
    pub fn up_for_ms(&self, now_ms: f64) -> Option<f64> {
        self.since_ms.map(|since_ms| now_ms - since_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that connected at 1,000 ms.
    fn up() -> SfuPath {
        let mut path = SfuPath::default();
        path.on_mode(Mode::Sfu, 0.0);
        path.open();
        path.on_link_state(LinkState::Connecting, 10.0);
        assert_eq!(path.up_for_ms(500.0), None);
        path.on_link_state(LinkState::Connected, 1_000.0);
        path
    }

    #[test]
    fn repeated_modes_keep_a_connection_up() {
        let mut path = up();
        for renewal in 1..=3 {
            path.on_mode(Mode::Sfu, f64::from(renewal) * 120_000.0);
        }
        assert_eq!(path.link(), LinkState::Connected);
        assert_eq!(path.up_for_ms(721_000.0), Some(720_000.0));
    }

    #[test]
    fn a_new_sfu_connection_is_down_until_it_reports_connected() {
        let mut path = up();
        path.open();
        assert_eq!(path.link(), LinkState::Connecting);
        assert_eq!(path.up_for_ms(2_000.0), None);
    }

    #[test]
    fn a_repeated_mode_keeps_a_connection_reconnecting() {
        let mut path = up();
        path.on_link_state(LinkState::Reconnecting, 2_000.0);
        path.on_mode(Mode::Sfu, 3_000.0);
        assert_eq!(path.link(), LinkState::Reconnecting);
        assert_eq!(path.up_for_ms(3_000.0), None);
        path.on_link_state(LinkState::Connected, 4_000.0);
        assert_eq!(path.up_for_ms(5_000.0), Some(1_000.0));
    }

    #[test]
    fn returning_to_an_open_sfu_connection_restarts_the_arrival_timeout() {
        let mut path = up();
        path.on_mode(Mode::P2p, 60_000.0);
        path.on_mode(Mode::Sfu, 61_000.0);
        assert_eq!(path.link(), LinkState::Connected);
        assert_eq!(path.up_for_ms(61_500.0), Some(500.0));
    }
}
