//! How good the lines to others are while the call goes browser to browser: through the
//! server, the server says.

use crate::browser::call::controller::CallController;
use crate::browser::call::rtc::stats::connection_stats;
use crate::protocol::{Mode, ParticipantId, quality::QualityMeter};
use crate::state::call::CallStateStoreFields;
use crate::state::statistics::ConnectionStats;
use gloo_timers::callback::Interval;
use leptos::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// Between two looks, in milliseconds.
const LOOK_EVERY_MS: u32 = 1_000;

/// The lines, and what was seen of each last.
#[derive(Default)]
pub struct QualityMonitor {
    look: RefCell<Option<Interval>>,
    seen: RefCell<HashMap<ParticipantId, (QualityMeter, ConnectionStats)>>,
}

impl QualityMonitor {
    /// Looks no more.
    pub fn stop(&self) {
        *self.look.borrow_mut() = None;
        self.seen.borrow_mut().clear();
    }
}

impl CallController {
    /// Looks at the lines from now on.
    pub(super) fn watch_lines(&self) {
        let me = self.me.clone();
        self.lines.look.borrow_mut().get_or_insert_with(|| {
            Interval::new(LOOK_EVERY_MS, move || {
                if let Some(controller) = me.upgrade() {
                    spawn_local(controller.look_at_lines());
                }
            })
        });
    }

    async fn look_at_lines(self: Rc<Self>) {
        if !self.is_by_peers() {
            return self.lines.seen.borrow_mut().clear();
        }
        let peers: Vec<_> = {
            let peers = self.peers.borrow();
            let mut seen = self.lines.seen.borrow_mut();
            seen.retain(|id, _| peers.contains_key(id));
            let connected = peers
                .iter()
                .filter_map(|(id, p)| Some((id.clone(), p.pc()?)));
            connected.collect()
        };
        for (id, pc) in peers {
            let now = connection_stats(&pc).await;
            if !self.is_by_peers() {
                return;
            }
            let quality = {
                let mut seen = self.lines.seen.borrow_mut();
                let (meter, before) = seen.entry(id.clone()).or_default();
                let [rtt_ms, loss, jitter_ms] = now.line_since(before);
                *before = now;
                meter.sample(rtt_ms, loss, jitter_ms)
            };
            if let Some(quality) = quality {
                self.state.qualities().update(|qualities| {
                    qualities.insert(id, quality);
                });
            }
        }
    }

    /// Whether the call goes browser to browser.
    fn is_by_peers(&self) -> bool {
        self.state.mode().get_untracked() == Mode::P2p
    }
}
