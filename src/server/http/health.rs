//! Whether the process lives, whether it can serve.

use crate::server::{
    context::AppContext,
    disk,
    store::{Cause, FailedCommit},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long the database may take to say that it is well. 1.5 s, and half of it for the
/// disk: orchestrators ask every few seconds.
const CHECK_TIMEOUT: Duration = Duration::from_millis(1500);

/// Bytes free below which the disk counts as full, where no larger reserve is set. 2 MiB: the
/// write-ahead log needs room to grow before it is folded.
const MIN_FREE_BYTES: u64 = 2 * 1024 * 1024;

/// How many sockets are open, and a way to wait for none.
pub struct OpenSockets {
    sockets: watch::Sender<usize>,
}

impl Default for OpenSockets {
    fn default() -> Self {
        let sockets = watch::channel(0).0;
        Self { sockets }
    }
}

impl OpenSockets {
    /// How many sockets are open.
    pub fn count(&self) -> usize {
        *self.sockets.borrow()
    }

    /// Counts one socket in until its place is dropped.
    pub(super) fn enter(self: Arc<Self>) -> SocketGuard {
        self.sockets.send_modify(|sockets| *sockets += 1);
        SocketGuard(self)
    }

    /// Waits until no socket is open.
    ///
    /// # Cancel safety
    /// Nothing is lost when dropped.
    pub async fn wait_for_none(&self) {
        let _ = self
            .sockets
            .subscribe()
            .wait_for(|sockets| *sockets == 0)
            .await;
    }
}

/// One counted socket.
pub(super) struct SocketGuard(Arc<OpenSockets>);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let sockets = &self.0.sockets;
        sockets.send_modify(|sockets| *sockets = sockets.saturating_sub(1));
    }
}

/// `/healthz`: the process lives.
pub async fn alive() -> &'static str {
    "ok"
}

/// What is wrong, by its name.
type Problems = BTreeMap<&'static str, &'static str>;

/// The last look at what is wrong. Each look writes to the disk, so there is at most one a
/// second ([`Timing::probe_interval`]) and one at a time, however many ask.
///
/// [`Timing::probe_interval`]: crate::server::limits::Timing::probe_interval
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Probe>>>);

/// A check of the store that has begun.
struct Probe {
    /// When it began.
    began: Instant,
    /// What it found; nothing while it looks.
    found: watch::Receiver<Option<Problems>>,
}

impl Readiness {
    /// What is wrong now, or was within the last second.
    async fn problems(&self, context: &AppContext) -> Problems {
        let every = context.timing.probe_interval;
        let mut found = {
            let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let current = look.take();
            let current = current.filter(|look| look.is_running() || look.began.elapsed() < every);
            let current = current.unwrap_or_else(|| Probe::begin(context.clone()));
            look.insert(current).found.clone()
        };
        let found = found.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| BTreeMap::from([("database", "does not answer")]))
    }
}

impl Probe {
    /// Begins to look, whether somebody waits for it or not.
    fn begin(context: AppContext) -> Self {
        let (tell, found) = watch::channel(None);
        tokio::spawn(async move { tell.send(Some(problems(&context).await)) });
        let began = Instant::now();
        Self { began, found }
    }

    /// Whether it has found nothing yet. It ends: everything in it has a time limit.
    fn is_running(&self) -> bool {
        self.found.has_changed().is_ok() && self.found.borrow().is_none()
    }
}

/// `/readyz`: it can serve, or what is wrong.
pub async fn ready(State(context): State<AppContext>) -> Response {
    let problems = context.readiness.problems(&context).await;
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
    let mut body = json!({ "ready": ready, "problems": problems, "notes": notes, "bytes": bytes });
    if let Some(FailedCommit { at_ms, cause }) = context.store.last_failure() {
        body["last_failed_commit"] = json!({ "at": at_ms, "cause": cause_name(cause) });
    }
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Why a commit failed, in one word.
const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Disk => "disk",
        Cause::Locked => "locked",
        Cause::Database => "database",
    }
}

/// What an operator should know and what keeps nobody from using the server.
fn notes(context: &AppContext) -> BTreeMap<&'static str, Cow<'static, str>> {
    let waiting = context.sweeps.waiting();
    let retention = waiting.map(|doubt| ("retention", doubt.sentence().into()));
    let media = context.blocked_media.note();
    let media = media.map(|note| ("media", note.into()));
    retention.into_iter().chain(media).collect()
}

/// What is wrong: `disk` where there is no space, `database` for anything else.
async fn problems(context: &AppContext) -> Problems {
    let mut problems = BTreeMap::new();
    // A disk that cannot be asked, or does not answer, shows in the database.
    let config = context.config.clone();
    let free = tokio::task::spawn_blocking(move || disk::free_bytes(&config.data_dir));
    let free = tokio::time::timeout(CHECK_TIMEOUT / 2, free).await;
    let least = MIN_FREE_BYTES.max(context.config.store.quota.disk_reserve);
    if matches!(free, Ok(Ok(Ok(free))) if free < least) {
        problems.insert("disk", "is full or nearly so");
    }
    let check = tokio::time::timeout(CHECK_TIMEOUT, context.store.check());
    let wrong = match check.await {
        Ok(Ok(())) if context.store.appends_fail() => ("database", "stores no messages"),
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
