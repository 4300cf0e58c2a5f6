//! Looks at the figures of every connection while somebody wants to see them.

use crate::browser::call::controller::CallController;
use crate::browser::call::rtc::stats::{connection_stats, copies};
use crate::browser::dom::clock::steady_ms;
use crate::state::call::CallStateStoreFields;
use gloo_timers::callback::Interval;
use js_sys::{Array, JSON};
use leptos::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;
use web_sys::RtcPeerConnection;

/// Between two looks, in milliseconds.
const LOOK_EVERY_MS: u32 = 1_000;

/// The looks.
#[derive(Default)]
pub struct StatsPoller {
    look: RefCell<Option<Interval>>,
    looked_at: Cell<f64>,
}

impl CallController {
    /// Looks at the figures from now on, or not any more.
    pub fn watch_stats(&self, on: bool) {
        let me = self.me.clone();
        let look = on.then(|| {
            Interval::new(LOOK_EVERY_MS, move || {
                if let Some(controller) = me.upgrade() {
                    spawn_local(controller.poll_stats());
                }
            })
        });
        *self.figures.look.borrow_mut() = look;
        if let (true, Some(controller)) = (on, self.me.upgrade()) {
            spawn_local(controller.poll_stats());
        }
    }

    /// Copies everything the browser counts, as JSON.
    pub fn copy_stats(&self) {
        let connections = self.connections();
        spawn_local(async move {
            let all: Array = Array::new();
            for pc in connections {
                all.push(copies(&pc).await.as_ref());
            }
            let text = JSON::stringify_with_replacer_and_space(
                &all,
                &wasm_bindgen::JsValue::NULL,
                &2.into(),
            );
            if let Ok(text) = text {
                crate::browser::dom::clipboard::copy(String::from(text), || ());
            }
        });
    }

    async fn poll_stats(self: Rc<Self>) {
        let mut all = Vec::new();
        for pc in self.connections() {
            all.push(connection_stats(&pc).await);
        }
        let now = steady_ms();
        let passed = now - self.figures.looked_at.replace(now);
        let before = self.state.stats().get_untracked();
        let none = crate::state::statistics::ConnectionStats::default();
        let looked = all
            .into_iter()
            .enumerate()
            .map(|(place, figures)| figures.since(before.get(place).unwrap_or(&none), passed));
        self.state.stats().set(looked.collect());
    }

    fn connections(&self) -> Vec<RtcPeerConnection> {
        let sfu = self.sfu.borrow().as_ref().and_then(|sfu| sfu.pc());
        let peers = self.peers.borrow();
        let peers = peers.values().filter_map(|peer| peer.pc());
        sfu.into_iter().chain(peers).collect()
    }
}
