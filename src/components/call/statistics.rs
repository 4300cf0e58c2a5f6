//! Statistics of the connections.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::state::statistics::{ConnectionStats, StreamStats};
use crate::words;
use leptos::ev::Event;
use leptos::prelude::*;

/// A part of the settings that polls the statistics while it is open.
#[component]
pub fn ConnectionStatistics() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let open = RwSignal::new(false);
    let figures = Memo::new(move |_| session.call.stats().get());
    let none = Memo::new(move |_| figures.read().is_empty());
    let toggled = move |event: Event| {
        let now = !open.get_untracked();
        let _ = event;
        open.set(now);
        session.watch_stats(now);
    };
    on_cleanup(move || session.watch_stats(false));
    view! {
        <details class="stats" on:toggle=toggled>
            <summary class="stats__title">{words!(i18n, call.connection)}</summary>
            <ErasedShow when=none>
                <p>{words!(i18n, call.no_stats)}</p>
            </ErasedShow>
            {move || {
                figures.get().into_iter().map(|one| view! { <Connection one /> }).collect_view()
            }}
            <button
                class="button button--small button--quiet"
                type="button"
                on:click=move |_| session.copy_stats()
            >
                {words!(i18n, call.copy_stats)}
            </button>
        </details>
    }
}

/// Statistics of one connection.
#[component]
fn Connection(
    /// Statistics of the connection.
    one: ConnectionStats,
) -> impl IntoView {
    let i18n = use_i18n();
    let number = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0} {unit}"))
    };
    let path = match one.path.is_empty() {
        true => "–".to_owned(),
        false => one.path.to_uppercase(),
    };
    let (sent, received): (Vec<_>, Vec<_>) = one.streams.into_iter().partition(|s| s.sent);
    view! {
        <dl class="stats__list">
            <dt>{words!(i18n, call.path)}</dt>
            <dd>{path}</dd>
            <dt>{words!(i18n, call.round_trip)}</dt>
            <dd>{number(one.rtt_ms, "ms")}</dd>
            <dt>{words!(i18n, call.available)}</dt>
            <dd>{number(one.available_kbps, "kbit/s")}</dd>
            <dt>{words!(i18n, call.sent)}</dt>
            <dd>{lines(sent)}</dd>
            <dt>{words!(i18n, call.received)}</dt>
            <dd>{lines(received)}</dd>
        </dl>
    }
}

/// One line per stream.
fn lines(streams: Vec<StreamStats>) -> impl IntoView {
    let lines = streams
        .into_iter()
        .map(|stream| view! { <p>{stream.line()}</p> });
    lines.collect_view()
}
