//! Polls the statistics of every connection while the settings show them.

use crate::browser::call::connections::Connections;
use crate::browser::call::rtc::stats::{connection_stats, copies};
use crate::browser::dom::clipboard;
use crate::browser::dom::clock::steady_ms;
use crate::state::call::CallStateStoreFields;
use crate::state::statistics::ConnectionStats;
use gloo_timers::callback::Interval;
use js_sys::{Array, JSON};
use leptos::prelude::*;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use wasm_bindgen_futures::spawn_local;

/// Interval of the polls, in milliseconds.
const POLL_INTERVAL_MS: u32 = 1_000;

/// Polls from `watch(true)` to `watch(false)`.
pub struct StatsPoller {
    me: Weak<Self>,
    connections: Rc<Connections>,
    timer: RefCell<Option<Interval>>,
    polled_ms: Cell<f64>,
}

impl StatsPoller {
    /// Polls nothing yet.
    pub fn new(connections: Rc<Connections>) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            connections,
            timer: RefCell::default(),
            polled_ms: Cell::default(),
        })
    }

    /// Starts polling, at once and then every second, or stops it.
    pub fn watch(&self, on: bool) {
        let me = self.me.clone();
        *self.timer.borrow_mut() = on.then(|| {
            Interval::new(POLL_INTERVAL_MS, move || {
                if let Some(poller) = me.upgrade() {
                    spawn_local(poller.poll());
                }
            })
        });
        if let (true, Some(poller)) = (on, self.me.upgrade()) {
            spawn_local(poller.poll());
        }
    }

    /// Copies every report of `getStats` as JSON.
    pub fn copy(&self) {
        let connections = self.connections.all();
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
                clipboard::copy(String::from(text), || ());
            }
        });
    }

    async fn poll(self: Rc<Self>) {
        let mut all = Vec::new();
        for pc in self.connections.all() {
            all.push(connection_stats(&pc).await);
        }
        let now = steady_ms();
        let passed = now - self.polled_ms.replace(now);
        let state = self.connections.context.state;
        let before = state.stats().get_untracked();
        let none = ConnectionStats::default();
        let rated = all
            .into_iter()
            .enumerate()
            .map(|(index, stats)| stats.since(before.get(index).unwrap_or(&none), passed));
        state.stats().set(rated.collect());
    }
}
