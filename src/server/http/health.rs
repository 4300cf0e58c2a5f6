//! Whether the process lives, whether it can serve.

use crate::server::{context::AppContext, disk};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long the database may take to say that it is well. 1.5 s, and half of it for the
/// disk: orchestrators ask every few seconds.
const CHECK_WITHIN: Duration = Duration::from_millis(1500);

/// Bytes free below which the disk counts as full, where no larger reserve is set. 2 MiB: the
/// write-ahead log needs room to grow before it is folded.
const MIN_FREE_BYTES: u64 = 2 * 1024 * 1024;

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
    let bytes = json!({
        "stored": context.store.stored_bytes(),
        "bound": context.config.store.quota.history_bytes,
    });
    let notes = notes(&context);
    let body = json!({ "ready": ready, "problems": problems, "notes": notes, "bytes": bytes });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// What an operator should know and what keeps nobody from using the server.
fn notes(context: &AppContext) -> BTreeMap<&'static str, &'static str> {
    let waiting = context.sweeps.waiting();
    let retention = waiting.map(|doubt| ("retention", doubt.sentence()));
    retention.into_iter().collect()
}

/// What is wrong: `disk` where there is no space, `database` for anything else.
async fn problems(context: &AppContext) -> BTreeMap<&'static str, &'static str> {
    let mut problems = BTreeMap::new();
    // A disk that cannot be asked, or does not answer, shows in the database.
    let config = context.config.clone();
    let free = tokio::task::spawn_blocking(move || disk::free_bytes(&config.data_dir));
    let free = tokio::time::timeout(CHECK_WITHIN / 2, free).await;
    let least = MIN_FREE_BYTES.max(context.config.store.quota.disk_reserve);
    if matches!(free, Ok(Ok(Ok(free))) if free < least) {
        problems.insert("disk", "is full or nearly so");
    }
    let check = tokio::time::timeout(CHECK_WITHIN, context.store.check());
    let wrong = match check.await {
        Ok(Ok(())) => return problems,
        Ok(Err(error)) if error.is_disk_full() => ("disk", "is full"),
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
