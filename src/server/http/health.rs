//! Health checks: liveness (`/healthz`) and readiness (`/readyz`).

use super::metrics_token::has_token;
use crate::server::{
    context::AppContext,
    disk,
    net::{forwarded, is_exempt},
    store::{Cause, FailedCommit},
    tls::ServerTls,
};
use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Time limit of the check of the database. 1.5 s, and half of it for the disk: orchestrators check
/// every few seconds.
const CHECK_TIMEOUT: Duration = Duration::from_millis(1500);

/// Counts open sockets; a stop waits until none is open.
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
    /// The number of open sockets.
    pub fn count(&self) -> usize {
        *self.sockets.borrow()
    }

    /// Counts a socket until the guard is dropped.
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

/// A counted socket; dropping it decrements the count.
pub(super) struct SocketGuard(Arc<OpenSockets>);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let sockets = &self.0.sockets;
        sockets.send_modify(|sockets| *sockets = sockets.saturating_sub(1));
    }
}

/// `/healthz`: answers 200 while the process runs.
pub async fn alive() -> &'static str {
    "ok"
}

/// Failed checks, as component and problem.
pub type Problems = BTreeMap<&'static str, &'static str>;

/// The last check of readiness. Each check writes to the disk, so all requests within
/// [`Timing::probe_interval`] share one.
///
/// [`Timing::probe_interval`]: crate::server::limits::Timing::probe_interval
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Probe>>>);

/// A check of the store that was started.
struct Probe {
    /// The time of the start.
    started_at: Instant,
    /// The result; `None` while the check runs.
    result: watch::Receiver<Option<Problems>>,
}

impl Readiness {
    /// The problems that the current check found, or the last one within
    /// [`Timing::probe_interval`].
    pub async fn problems(&self, context: &AppContext) -> Problems {
        let every = context.timing.probe_interval;
        let mut result = {
            let mut probe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let current = probe.take();
            let current =
                current.filter(|probe| probe.is_running() || probe.started_at.elapsed() < every);
            let current = current.unwrap_or_else(|| Probe::start(context.clone()));
            probe.insert(current).result.clone()
        };
        let result = result.wait_for(Option::is_some).await;
        let problems = result.ok().and_then(|problems| problems.clone());
        problems.unwrap_or_else(|| BTreeMap::from([("database", "does not answer")]))
    }
}

impl Probe {
    /// Spawns a check. It completes even if no request waits for it.
    fn start(context: AppContext) -> Self {
        let (sender, result) = watch::channel(None);
        tokio::spawn(async move { sender.send(Some(problems(&context).await)) });
        let started_at = Instant::now();
        Self { started_at, result }
    }

    /// Whether the check runs. The time limits of its steps bound a check.
    fn is_running(&self) -> bool {
        self.result.has_changed().is_ok() && self.result.borrow().is_none()
    }
}

/// `/readyz`: 200 if the server can store messages, otherwise 503 with the problems. Only clients on
/// this machine, not those of a proxy, and clients with the token of metrics read the details.
pub async fn ready(
    State(context): State<AppContext>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (extensions, headers) = (request.extensions(), request.headers());
    let is_local = is_exempt(peer.ip().to_canonical()) && !forwarded::has_forwarding(headers);
    match has_token(&context, extensions, headers) {
        Ok(has_token) => readiness(&context, is_local || has_token).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// `/readyz` of the metrics listener, with the details.
pub async fn ready_in_detail(State(context): State<AppContext>) -> Response {
    readiness(&context, true).await
}

/// The response of a check of readiness. The details are the notes, the stored bytes and the last
/// failed commit.
async fn readiness(context: &AppContext, with_details: bool) -> Response {
    let problems = context.readiness.problems(context).await;
    let ready = problems.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut body = json!({ "ready": ready, "problems": problems });
    if with_details {
        body["notes"] = json!(notes(context));
        body["bytes"] = json!({
            "stored": context.store.stored_bytes(),
            "bound": context.config.store.quota.history_bytes,
            "files": context.store.stored_file_bytes(),
            "files_bound": context.config.store.quota.file_bytes,
        });
    }
    if with_details && let Some(FailedCommit { at_ms, cause }) = context.store.last_failure() {
        body["last_failed_commit"] = json!({ "at": at_ms, "cause": cause_name(cause) });
    }
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Name of the cause of a failed commit in the JSON of `/readyz`.
const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Disk => "disk",
        Cause::Locked => "locked",
        Cause::Database => "database",
    }
}

/// Notes for the operator that do not make the server unready.
pub fn notes(context: &AppContext) -> BTreeMap<&'static str, Cow<'static, str>> {
    let waiting = context.sweeps.waiting();
    let retention = waiting.map(|doubt| ("retention", doubt.sentence().into()));
    let media = context.blocked_media.note();
    let media = media.map(|note| ("media", note.into()));
    let certificate = context.tls.as_ref().and_then(ServerTls::note);
    let certificate = certificate.map(|note| ("certificate", note.into()));
    let all = retention.into_iter().chain(media).chain(certificate);
    all.collect()
}

/// Checks disk and database: `disk` if there is no space, `database` for any other problem.
async fn problems(context: &AppContext) -> Problems {
    let mut problems = BTreeMap::new();
    // If the free space cannot be read in time, the check of the database fails as well.
    let config = context.config.clone();
    let free = tokio::task::spawn_blocking(move || disk::free_bytes(&config.data_dir));
    let free = tokio::time::timeout(CHECK_TIMEOUT / 2, free).await;
    let least = disk::MIN_FREE_BYTES.max(context.config.store.quota.disk_reserve);
    if matches!(free, Ok(Ok(Ok(free))) if free < least) {
        problems.insert("disk", "is full or nearly so");
    }
    let check = tokio::time::timeout(CHECK_TIMEOUT, context.store.check());
    let wrong = match check.await {
        Ok(Ok(())) if context.store.appends_fail() => ("database", "stores no messages"),
        Ok(Ok(())) => return problems,
        Ok(Err(error)) if error.is_disk_full() => ("disk", "is full"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the check of the database failed");
            ("database", "cannot be read or written")
        }
        Err(_) => ("database", "does not answer"),
    };
    // On a full disk SQLite may report other errors; the operator must free the disk.
    if !problems.contains_key("disk") {
        problems.insert(wrong.0, wrong.1);
    }
    problems
}
