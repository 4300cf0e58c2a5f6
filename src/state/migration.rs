//! Migration of media between browser to browser and the SFU: state of the SFU path.
//!
//! Pure: moments come in as milliseconds of a steady clock. The browser's migration
//! builds the ways and closes them, and asks here whether the one through the SFU is up.
//! Only what happens to the connection changes that: the server says every few minutes,
//! and after each lost line, which way media goes, and nothing need follow from it.

use crate::protocol::Mode;
use crate::state::call::LinkState;

/// How long somebody may take to arrive by the SFU once it is up, in milliseconds;
/// then they are played by it all the same.
pub const ARRIVAL_TIMEOUT_MS: f64 = 8_000.0;

/// The way through the SFU, for one browser.
#[derive(Debug, Default)]
pub struct SfuPath {
    /// Which way media goes, as was heard last.
    mode: Mode,
    /// How the connection is.
    link: LinkState,
    /// While it is up: since when people may be arriving by it.
    since_ms: Option<f64>,
}

impl SfuPath {
    /// A connection is being made where there was none.
    pub fn open(&mut self) {
        self.link = LinkState::Connecting;
        self.since_ms = None;
    }

    /// The connection is like this now.
    pub fn on_link_state(&mut self, link: LinkState, now_ms: f64) {
        self.link = link;
        self.since_ms = match link {
            LinkState::Connected => self.since_ms.or(Some(now_ms)),
            LinkState::Connecting | LinkState::Reconnecting => None,
        };
    }

    /// Media goes this way now, perhaps as before. Nobody has been arriving by a
    /// connection that was left over from an earlier move.
    pub fn on_mode(&mut self, mode: Mode, now_ms: f64) {
        if std::mem::replace(&mut self.mode, mode) != mode {
            self.since_ms = self.since_ms.map(|_| now_ms);
        }
    }

    /// How the connection is.
    pub fn link(&self) -> LinkState {
        self.link
    }

    /// How long people have had to arrive by it, in milliseconds; none while it is not up.
    pub fn up_for_ms(&self, now_ms: f64) -> Option<f64> {
        self.since_ms.map(|since_ms| now_ms - since_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way that came up at 1,000 ms.
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
