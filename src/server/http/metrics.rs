//! `/metrics`: what the process counts, and what there is at the moment.

use crate::server::{
    context::AppContext,
    disk, load,
    metrics::{self, describe},
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use std::fmt::Write;

/// Prometheus text.
pub async fn serve(State(context): State<AppContext>) -> Response {
    let mut text = String::new();
    write_present(&mut text, &context);
    metrics::write(&mut text);
    metrics::media::write(&mut text, context.sfu.loads());
    if let Some(relays) = context.rooms.relays() {
        relays.write_metrics(&mut text);
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Writes what there is at the moment, and what the registry counts itself.
fn write_present(text: &mut String, context: &AppContext) {
    let totals = context.rooms.totals();
    let sockets = context.open_sockets.count() as u64;
    let mut gauges = vec![
        ("noom_rooms", "Rooms with somebody in them.", totals.rooms),
        ("noom_people", "People in rooms.", totals.people),
        ("noom_people_in_call", "People in calls.", totals.in_call),
        (
            "noom_sockets",
            "Open WebSockets and polling connections.",
            sockets,
        ),
    ];
    let stored = context.store.stored_bytes();
    let bound = context.config.store.quota.history_bytes;
    let help = "Bytes that all rooms have stored.";
    gauges.push(("noom_history_bytes", help, stored));
    let help = "Bytes that all rooms may store; 0 is no bound.";
    gauges.push(("noom_history_bound_bytes", help, bound));
    let waits = u64::from(context.sweeps.waiting().is_some());
    let help = "1 while old messages are not deleted because the clock is in doubt.";
    gauges.push(("noom_sweep_waiting", help, waits));
    if let Ok(free) = disk::free_bytes(&context.config.data_dir) {
        let help = "Bytes free where the data directory is.";
        gauges.push(("noom_disk_free_bytes", help, free));
    }
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
    let name = "noom_load";
    describe(text, name, "gauge", "Share of the time that is busy.");
    let _ = writeln!(text, "{name} {}", load::load());
    let name = "noom_messages_total";
    describe(text, name, "counter", "Messages stored since the start.");
    let _ = writeln!(text, "{name} {}", totals.messages);
}

/// Counts a request, and whether it was refused.
pub async fn count(request: Request, next: Next) -> Response {
    metrics::HTTP_REQUESTS.add(1);
    let response = next.run(request).await;
    let refused = matches!(
        response.status(),
        StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::TOO_MANY_REQUESTS
    );
    metrics::HTTP_REFUSED.add(u64::from(refused));
    response
}
