//! `/metrics`: counters and gauges of this server in the Prometheus text format.

use super::metrics_token::{TokenRefusal, has_token};
use crate::server::{context::AppContext, disk, load};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use prometheus_client::{
    encoding::prometheus_text::{CONTENT_TYPE, encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// Answers a scrape with all metrics.
pub async fn serve(State(context): State<AppContext>) -> Response {
    let mut text = String::new();
    encode(&mut text, &registry(&context)).expect("a String takes any text");
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// Answers a scrape that carries the token, at the public listener.
pub async fn serve_with_token(context: State<AppContext>, request: Request) -> Response {
    match has_token(&context, request.extensions(), request.headers()) {
        Ok(true) => serve(context).await,
        Ok(false) => TokenRefusal::Unauthorized.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Collects the metrics of a server for one scrape.
fn registry(context: &AppContext) -> Registry {
    let mut registry = Registry::with_prefix("noom");
    register_present(&mut registry, context);
    context.http_metrics.register(&mut registry);
    context.rooms.metrics().register(&mut registry);
    context.store.metrics().register(&mut registry);
    context.blocked_media.register(&mut registry);
    context.request_rates.register(&mut registry);
    let sfu = &context.sfu;
    sfu.metrics().register(&mut registry, sfu.loads());
    registry.register(
        "address_changes",
        "Changes of the addresses offered for media and TURN",
        context.address_changes.clone(),
    );
    if let Some(relays) = context.rooms.relays() {
        relays.register_metrics(&mut registry);
    }
    registry
}

/// Adds the metrics whose values are read at the scrape.
fn register_present(registry: &mut Registry, context: &AppContext) {
    let totals = context.rooms.totals();
    let mut gauges = vec![
        ("rooms", "Rooms with at least one member", totals.rooms),
        ("people", "People in rooms", totals.people),
        ("people_in_call", "People in calls", totals.in_call),
        (
            "sockets",
            "Open WebSockets and polling connections",
            context.open_sockets.count() as u64,
        ),
        (
            "history_bytes",
            "Bytes that all rooms have stored",
            context.store.stored_bytes(),
        ),
        (
            "history_limit_bytes",
            "Bytes that all rooms may store; 0 is no limit",
            context.config.store.quota.history_bytes,
        ),
        (
            "file_bytes",
            "Bytes of the files of all rooms",
            context.store.stored_file_bytes(),
        ),
        (
            "file_limit_bytes",
            "Bytes that the files of all rooms may have; 0 is no limit",
            context.config.store.quota.file_bytes,
        ),
        (
            "uploads",
            "Uploads that no message has yet",
            context.store.uploads().count() as u64,
        ),
        (
            "stored_rooms",
            "Rooms with stored messages",
            context.store.stored_rooms(),
        ),
        (
            "stored_rooms_limit",
            "Rooms that may have stored messages; 0 is no limit",
            context.config.store.quota.stored_rooms,
        ),
        (
            "sweep_waiting",
            "1 while old messages are not deleted because the clock is in doubt",
            u64::from(context.sweeps.waiting().is_some()),
        ),
    ];
    if let Ok(free) = disk::free_bytes(&context.config.data_dir) {
        let help = "Bytes free on the file system of the data directory";
        gauges.push(("disk_free_bytes", help, free));
    }
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(value));
    }
    registry.register(
        "load_ratio",
        "Share of the time in which the server's threads are busy, 0 to 1",
        ConstGauge::new(load::load()),
    );
    registry.register(
        "messages",
        "Messages stored since the start",
        ConstCounter::new(totals.messages),
    );
}

/// Middleware: counts each request, and whether it was refused.
pub async fn count(State(context): State<AppContext>, request: Request, next: Next) -> Response {
    let counters = &context.http_metrics;
    counters.requests.inc();
    let response = next.run(request).await;
    let refused = matches!(
        response.status(),
        StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::TOO_MANY_REQUESTS
    );
    counters.requests_refused.inc_by(u64::from(refused));
    response
}
