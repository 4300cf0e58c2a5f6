//! Whether the process lives, whether it can serve, what it counts.

use crate::server::{context::AppContext, disk};
use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// How long the database may take to say that it is well. 2 s: orchestrators ask every few.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// Bytes free below which the disk counts as full. 2 MiB: the write-ahead log needs room to
/// grow before it is folded.
const MIN_FREE_BYTES: u64 = 2 * 1024 * 1024;

/// HTTP requests since the start.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// How many sockets are open, and a way to wait for none.
pub struct Gauges {
    /// Open sockets.
    sockets: watch::Sender<usize>,
}

impl Default for Gauges {
    fn default() -> Self {
        let sockets = watch::channel(0).0;
        Self { sockets }
    }
}

impl Gauges {
    /// How many sockets are open.
    pub fn sockets(&self) -> usize {
        *self.sockets.borrow()
    }

    /// Counts one socket in until its place is dropped, unless there are `most` already.
    pub(super) fn enter(self: Arc<Self>, most: usize) -> Option<Place> {
        let entered = self.sockets.send_if_modified(|sockets| {
            let room = *sockets < most;
            *sockets += usize::from(room);
            room
        });
        entered.then(|| Place(self))
    }

    /// Waits until no socket is open.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn no_sockets(&self) {
        let _ = self
            .sockets
            .subscribe()
            .wait_for(|sockets| *sockets == 0)
            .await;
    }
}

/// One counted socket.
pub(super) struct Place(Arc<Gauges>);

impl Drop for Place {
    fn drop(&mut self) {
        let sockets = &self.0.sockets;
        sockets.send_modify(|sockets| *sockets = sockets.saturating_sub(1));
    }
}

/// `/healthz`: the process lives.
pub async fn alive() -> &'static str {
    "ok"
}

/// `/readyz`: it can serve, or what is wrong.
pub async fn ready(State(context): State<AppContext>) -> Response {
    let problems = problems(&context).await;
    let ready = problems.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({ "ready": ready, "problems": problems });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What is wrong: `disk` where there is no space, `database` for anything else.
async fn problems(context: &AppContext) -> BTreeMap<&'static str, &'static str> {
    let mut problems = BTreeMap::new();
    // A disk that cannot be asked shows in the database.
    let free = disk::free_bytes(&context.config.data_dir);
    if free.is_ok_and(|free| free < MIN_FREE_BYTES) {
        problems.insert("disk", "is full or nearly so");
    }
    let check = tokio::time::timeout(CHECK_WITHIN, context.store.check());
    let wrong = match check.await {
        Ok(Ok(())) => return problems,
        Ok(Err(error)) if error.is_full() => ("disk", "is full"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the database is not well");
            ("database", "cannot be read or written")
        }
        Err(_) => ("database", "does not answer"),
    };
    // On a full disk SQLite may fail in other ways; the disk is what to mend.
    if !problems.contains_key("disk") {
        problems.insert(wrong.0, wrong.1);
    }
    problems
}

/// `/metrics`: Prometheus text.
pub async fn metrics(State(context): State<AppContext>) -> Response {
    let totals = context.rooms.totals();
    let sockets = context.gauges.sockets() as u64;
    let table = [
        (
            "noom_rooms",
            "gauge",
            "Rooms with somebody in them.",
            totals.rooms,
        ),
        ("noom_people", "gauge", "People in rooms.", totals.people),
        (
            "noom_people_in_call",
            "gauge",
            "People in calls.",
            totals.in_call,
        ),
        (
            "noom_sockets",
            "gauge",
            "Open WebSockets and polling connections.",
            sockets,
        ),
        (
            "noom_messages_total",
            "counter",
            "Messages stored since the start.",
            totals.messages,
        ),
        (
            "noom_http_requests_total",
            "counter",
            "HTTP requests since the start.",
            REQUESTS.load(Ordering::Relaxed),
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in table {
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// Counts a request.
pub async fn count(request: Request, next: Next) -> Response {
    REQUESTS.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}
