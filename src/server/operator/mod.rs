//! The operator of the server: one account, and the pages under `/admin`.
//!
//! * [`print_link`] prints the one-time link ([`setup_link`]) by which somebody becomes the operator.
//! * [`password`] hashes the password, [`wrong_tries`] bounds how often it is tried, [`session`]
//!   remembers who signed in.
//! * [`handlers`] answers requests ([`visit`]), [`page`] draws the pages, for which no script is
//!   needed. With script `admin.js` refreshes them.
//! * [`action`] does what a form asks for, and logs it; [`backups`] are files of the data directory.
//!
//! The pages answer over TLS, or on this machine, and nobody else's forms: the layer against other
//! sites holds for them, and each form carries a token of its session.

mod action;
mod backups;
mod handlers;
mod page;
mod password;
pub mod print_link;
mod session;
mod setup_link;
mod visit;
mod wrong_tries;

use super::password_hasher::PasswordHasher;
use super::{
    context::AppContext,
    token_bucket::{Quota, SharedBucket},
};
use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post},
};
pub use page::Document;
use setup_link::SetupLink;
use std::{sync::Arc, time::Instant};
use tokio::sync::Semaphore;
pub use visit::Visit;
use wrong_tries::WrongTries;

/// Requests to the operator's pages at once, of everybody. 32: there is one operator.
const MAX_REQUESTS: usize = 32;
/// Actions of the operator: a second, and at once.
const ACTION_RATE: (f64, f64) = (2.0, 20.0);
/// Announcements: one in 10 s.
const ANNOUNCEMENT_RATE: (f64, f64) = (0.1, 1.0);

/// The state of the operator's account that is in memory only.
pub struct Operator {
    /// The one-time link.
    link: SetupLink,
    /// Wrong tries of the password.
    tries: WrongTries,
    /// Hashes passwords, a few at once.
    hasher: PasswordHasher,
    /// Requests at once.
    requests: Semaphore,
    /// The rate of actions.
    actions: Bucket,
    /// The rate of announcements.
    announcements: Bucket,
    /// One announcement is sent at once.
    announcing: Arc<Semaphore>,
    /// One backup is made at once.
    backups: Arc<Semaphore>,
    /// The history of one room is deleted at once.
    deletions: Arc<Semaphore>,
    /// One run of the checks at once.
    checks: Arc<Semaphore>,
}

impl Default for Operator {
    fn default() -> Self {
        Self {
            link: SetupLink::default(),
            tries: WrongTries::default(),
            hasher: PasswordHasher::default(),
            requests: Semaphore::new(MAX_REQUESTS),
            actions: Bucket::new(ACTION_RATE),
            announcements: Bucket::new(ANNOUNCEMENT_RATE),
            announcing: Arc::new(Semaphore::new(1)),
            backups: Arc::new(Semaphore::new(1)),
            deletions: Arc::new(Semaphore::new(1)),
            checks: Arc::new(Semaphore::new(1)),
        }
    }
}

#[cfg(test)]
impl Operator {
    /// The secret of the link that was printed last and may still be used, whatever its age.
    pub fn printed_link(&self) -> Option<String> {
        self.link.secret()
    }
}

/// A token bucket with its quota.
struct Bucket {
    /// Its rate and its size.
    quota: Quota,
    /// The tokens that it holds.
    tokens: SharedBucket,
}

impl Bucket {
    /// A full bucket: tokens a second, and at once.
    fn new((per_second, burst): (f64, f64)) -> Self {
        Self {
            quota: Quota::new(per_second, burst),
            tokens: SharedBucket::default(),
        }
    }

    /// Takes one token, if there is one.
    fn try_take(&self, now: Instant) -> bool {
        self.tokens.try_take(&self.quota, 1, now)
    }
}

/// The routes of the operator.
pub fn router(context: &AppContext) -> Router<AppContext> {
    Router::new()
        .route("/admin", get(handlers::overview))
        .route("/admin/room", get(handlers::room))
        .route("/admin/history", get(handlers::confirm_history))
        .route("/admin/backup", get(handlers::download))
        .route("/admin/doctor", get(handlers::checks))
        .route("/admin/action", post(handlers::act))
        .route("/admin/sign-in", post(handlers::sign_in))
        .route(
            "/admin/setup",
            get(handlers::setup_form).post(handlers::set_up),
        )
        .route("/admin/admin.css", get(handlers::style))
        .route("/admin/admin.js", get(handlers::script))
        .layer(from_fn_with_state(context.clone(), handlers::guard))
}
