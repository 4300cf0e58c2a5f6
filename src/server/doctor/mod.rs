//! The checks of `noom doctor` and of the operator's page `/admin/doctor`.
//!
//! [`examine`] gathers [`facts`] by probes, all at the same time; [`judge`] is the pure function that
//! turns them into [`check::Diagnosis`]es; [`words`] says them, with the one line that mends each.
//! A running server examines itself ([`run`]); without one, [`run_alone`] starts the parts that have
//! ports for the time of the checks.
//!
//! * [`media_probe`], [`turn_probe`] and [`http_probe`] reach the server by its public addresses, as
//!   browsers do; [`arrivals`] records how their requests came.

mod alone;
pub mod arrivals;
pub mod check;
mod examine;
pub mod facts;
mod http_probe;
mod judge;
mod media_probe;
mod turn_probe;
mod words;

pub use arrivals::HEADER;
pub use check::{Check, Diagnosis, Outcome};
pub use facts::{Arrival, PortFact};
pub use http_probe::Target;
pub use words::{Finding, check_name, outcome_name};

use super::{
    clock::Moment,
    config::Config,
    context::AppContext,
    tls::{ServerTls, TlsMode},
    token_bucket::{Quota, SharedBucket},
};
use crate::i18n::Locale;
use arrivals::Arrivals;
use check::CertificateSource;
use examine::{Subject, examine};
use facts::{CertificateFact, ServerState};
use judge::judge;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};
use tokio::sync::Semaphore;

/// Runs of the checks: a second, and at once. One in 5 s: a run opens some hundred connections.
const RATE: (f64, f64) = (0.2, 5.0);

/// The state of the checks of a running server.
pub struct Doctor {
    /// One run at once.
    running: Semaphore,
    /// The rate of runs.
    rate: (Quota, SharedBucket),
    /// How requests of the checks came.
    arrivals: Arc<Arrivals>,
    /// The last report.
    last: Mutex<Option<Arc<Report>>>,
    /// The address that could not be bound at the start, and without which the server runs.
    unbound: OnceLock<PortFact>,
}

impl Default for Doctor {
    fn default() -> Self {
        Self {
            running: Semaphore::new(1),
            rate: (Quota::new(RATE.0, RATE.1), SharedBucket::default()),
            arrivals: Arc::default(),
            last: Mutex::default(),
            unbound: OnceLock::new(),
        }
    }
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When the run ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What each check found, in the order of [`Check`].
    pub found: Vec<Diagnosis>,
}

impl Report {
    /// The report in words.
    pub fn findings(&self, locale: Locale) -> Vec<Finding> {
        let found = self.found.iter();
        found.map(|found| Finding::new(locale, found)).collect()
    }
}

impl Doctor {
    /// The last report; `None` before the first run.
    pub fn last(&self) -> Option<Arc<Report>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// Records how a request of the checks came.
    pub fn record_arrival(&self, mark: &http::HeaderValue, arrival: Arrival) {
        self.arrivals.record(mark, arrival);
    }

    /// Keeps the address that could not be bound at the start.
    pub fn keep_unbound(&self, setting: &'static str, address: SocketAddr, error: &std::io::Error) {
        let fact = alone::port_fact(setting, address, error, true);
        let _ = self.unbound.set(fact);
    }
}

/// Checks the running server. `None` while another run is under way, or after too many.
pub async fn run(context: &AppContext) -> Option<Arc<Report>> {
    let doctor = &context.doctor;
    let _one_run = doctor.running.try_acquire().ok()?;
    let (quota, tokens) = &doctor.rate;
    if !tokens.try_take(quota, 1, Instant::now()) {
        return None;
    }
    let report = Arc::new(report(examine(of_server(context).await).await));
    let mut last = doctor.last.lock().unwrap_or_else(PoisonError::into_inner);
    *last = Some(report.clone());
    Some(report)
}

/// Checks a machine with these settings on which no server runs, or none that can be asked.
pub async fn run_alone(config: Config) -> Report {
    let (subject, held) = alone::subject(config).await;
    let report = report(examine(subject).await);
    drop(held);
    report
}

/// The report about these facts.
fn report(facts: facts::Facts) -> Report {
    Report {
        at_ms: Moment::now().wall_ms,
        found: judge(&facts),
    }
}

/// The running server.
async fn of_server(context: &AppContext) -> Subject {
    let problems = context.readiness.problems(context).await;
    let store_problem = problems.get("database");
    let store_problem = store_problem.map(|problem| format!("it {problem}"));
    let config = &context.config;
    let certificate = match (&config.tls, &context.tls) {
        (Some(mode @ TlsMode::Files(_)), tls) => alone::of_files(mode, tls.as_ref()),
        (_, Some(tls @ ServerTls::SelfSigned(_))) => alone::in_use(CertificateSource::Local, tls),
        (_, Some(tls @ (ServerTls::Acme(..) | ServerTls::Files(_)))) => {
            alone::in_use(CertificateSource::Acme, tls)
        }
        (_, None) => CertificateFact::None,
    };
    Subject {
        state: ServerState::Running,
        config: config.clone(),
        ports: context.doctor.unbound.get().cloned().into_iter().collect(),
        sfu: Some(context.sfu.clone()),
        relays: context.rooms.relays().cloned(),
        certificate,
        arrivals: Some(context.doctor.arrivals.clone()),
        store_problem,
    }
}
