//! Certificates from a public authority by ACME (RFC 8555).
//!
//! The account and the certificate are files, so a restart orders nothing. The authority's window
//! (RFC 9773) decides when to renew ([`renewal`]). A failure leaves the certificate in use and is
//! tried again later; SIGHUP tries at once.

mod client;
mod order;
mod renewal;
#[cfg(test)]
mod tests;

use super::{Served, Storage, served::PairError, x509::CertificateFacts};
use client::{AcmeClient, RetryAfter};
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, CertificateIdentifier, NewAccount,
};
pub use order::Method;
use order::{Answers, Issued, obtain};
use renewal::{RenewalWindow, renewal_time, retry_delay, window_interval};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep},
};
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Longest sleep until the dates are compared with the clock again: a machine may be suspended.
const MAX_SLEEP: Duration = Duration::from_secs(60 * 60);
/// Least time between an issued certificate and the next order, however soon it is due: a wrong
/// clock must not order until the authority refuses.
const AFTER_ORDER: Duration = Duration::from_secs(60 * 60);
/// Wait after the renewal window could not be read.
const WINDOW_RETRY: Duration = Duration::from_secs(60 * 60);

/// A name that a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// A DNS name, in lower case.
    Dns(String),
    /// An IP address (RFC 8738).
    Ip(IpAddr),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// What the server orders, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeOptions {
    /// The names of the certificate; at least one.
    pub names: Vec<CertificateName>,
    /// URL of the authority's directory (RFC 8555, 7.1.1).
    pub directory: String,
    /// Contact for the authority.
    pub email: Option<String>,
    /// Certificates that the server trusts for the directory instead of Mozilla's roots.
    pub ca_file: Option<PathBuf>,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The authority or the way to it failed.
    #[error("{0}")]
    Protocol(#[from] instant_acme::Error),
    /// A name could not be validated.
    #[error("{name}: {reason}")]
    Name {
        /// The name that the authority checked.
        name: String,
        /// The reason, as the authority words it.
        reason: String,
    },
    /// The authority made the order invalid without a reason.
    #[error("the authority made the order invalid")]
    Invalid,
    /// The authority does not offer this challenge.
    #[error("the authority does not offer {0}")]
    NotOffered(&'static str),
    /// The authority did not decide about a challenge in time.
    #[error("the authority did not validate by {0} within 90 s")]
    NotValidated(&'static str),
    /// The file with the authority's certificates is unusable.
    #[error("--acme-ca-file: \"{file}\" cannot be used: {reason}")]
    CaFile {
        /// Path of the file.
        file: String,
        /// The reason, as a clause for the operator.
        reason: String,
    },
    /// A key or request cannot be made.
    #[error("{0}")]
    Request(#[from] rcgen::Error),
    /// Certificate and key do not match.
    #[error("the authority's certificate cannot be used: {0}")]
    Pair(#[from] PairError),
    /// A file cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The stored account is malformed.
    #[error("the stored account cannot be read: {0}")]
    Account(#[from] serde_json::Error),
}

/// Answers of port 80 to challenges, by token. At most one for each name of the order.
#[derive(Debug, Clone, Default)]
pub struct HttpTokens(Arc<RwLock<HashMap<String, String>>>);

impl HttpTokens {
    /// The key authorization of a token (RFC 8555, 8.3).
    pub fn get(&self, token: &str) -> Option<String> {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).cloned()
    }

    /// Answers `token` by this key authorization.
    fn insert(&self, token: String, authorization: String) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token, authorization);
    }

    /// Answers no token any more.
    fn clear(&self) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tokens.clear();
    }
}

/// The certificate in use.
#[derive(Debug, Clone)]
struct Current {
    facts: CertificateFacts,
    leaf: CertificateDer<'static>,
}

impl Current {
    /// A chain as the authority sent it; `None` if its first certificate is malformed.
    fn read(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let leaf = chain.first()?.clone();
        let facts = CertificateFacts::read(&leaf)?;
        Some(Self { facts, leaf })
    }

    /// A number in 0..1 that the certificate keeps for its life: the moment within a window.
    fn jitter(&self) -> f64 {
        let digest = Sha256::digest(&self.leaf);
        let (first, _) = digest.split_at(4);
        let number = first
            .iter()
            .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        f64::from(number) / f64::from(u32::MAX)
    }
}

/// The last answer about the renewal window.
#[derive(Debug, Clone, Copy)]
struct WindowAnswer {
    /// The window; `None` if the authority names none.
    window: Option<RenewalWindow>,
    /// When to ask again.
    ask_again: Instant,
}

/// A failed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, in one line.
    pub reason: String,
    /// The wait until the next order.
    pub wait: Duration,
}

/// Orders and renews the certificate of the server.
pub struct Acme {
    options: AcmeOptions,
    storage: Storage,
    /// The certificate of the handshakes.
    served: Arc<Served>,
    /// The answers of port 80.
    tokens: HttpTokens,
    /// Whether a stored certificate was served at the start.
    had_stored: bool,
    /// The certificate for exactly the configured names; `None` before the first order.
    current: Mutex<Option<Current>>,
    /// The issued certificate with its key, as PEM, while it could not be stored.
    unsaved: Mutex<Option<String>>,
    /// The account, after its first use.
    account: tokio::sync::Mutex<Option<Account>>,
    /// The last answer about the renewal window.
    window: Mutex<Option<WindowAnswer>>,
    /// When the authority wants to be asked again.
    retry_after: RetryAfter,
    /// The last failure; `None` after a success.
    failure: Mutex<Option<Failure>>,
}

impl Acme {
    /// Serves the stored certificate, if there is one. Without one for all names, one that covers
    /// the first name is served until the order succeeds.
    pub fn new(options: AcmeOptions, storage: Storage, served: Arc<Served>) -> Self {
        let (mut current, mut had_stored) = (None, false);
        let exact = certificate_file(&options);
        let mut stored: Vec<_> = storage
            .names(".pem")
            .into_iter()
            .filter(|name| name.starts_with("acme-"))
            .filter_map(|name| {
                let pem = storage.read(&name).ok()??;
                let key = super::served::certified_key(&pem, &pem).ok()?;
                let found = Current::read(&key.cert)?;
                Some((name == exact, found, key))
            })
            .collect();
        let first = options.names.first().map(ToString::to_string);
        let now = SystemTime::now();
        stored.retain(|(exact, found, _)| {
            let covers = first.as_ref().is_some_and(|name| found.facts.covers(name));
            *exact || (covers && !found.facts.remaining(now).is_zero())
        });
        stored.sort_by_key(|(exact, found, _)| (*exact, found.facts.not_after));
        if let Some((exact, found, key)) = stored.pop() {
            served.replace(key);
            had_stored = true;
            current = exact.then_some(found);
        }
        Self {
            options,
            storage,
            served,
            had_stored,
            tokens: HttpTokens::default(),
            current: Mutex::new(current),
            unsaved: Mutex::new(None),
            account: tokio::sync::Mutex::new(None),
            window: Mutex::new(None),
            retry_after: RetryAfter::default(),
            failure: Mutex::new(None),
        }
    }

    /// The names of the certificate.
    pub fn names(&self) -> &[CertificateName] {
        &self.options.names
    }

    /// Whether no certificate of the authority is there yet.
    pub fn is_waiting(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        !self.had_stored && current.is_none()
    }

    /// The answers of port 80.
    pub fn tokens(&self) -> &HttpTokens {
        &self.tokens
    }

    /// The last failure; `None` after a success.
    pub fn failure(&self) -> Option<Failure> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    /// Orders and renews until `reload` is dropped. A change of `reload` tries at once.
    pub async fn run(self: Arc<Self>, methods: Vec<Method>, mut reload: Receiver<u64>) {
        let mut failures = 0;
        loop {
            self.save();
            let mut wait = self.time_until_renewal().await.min(MAX_SLEEP);
            if wait.is_zero() {
                match self.renew(&methods).await {
                    Ok(()) => {
                        failures = 0;
                        wait = AFTER_ORDER;
                    }
                    Err(error) => {
                        failures += 1;
                        let demanded = self.retry_after.take();
                        wait = retry_delay(failures, demanded, rand::random());
                        self.log_failure(&error, wait);
                    }
                }
            }
            tokio::select! {
                () = sleep(wait) => {}
                changed = reload.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // The operator wants to know now, and may have replaced --acme-ca-file.
                    *self.account.lock().await = None;
                    *self.window.lock().unwrap_or_else(PoisonError::into_inner) = None;
                }
            }
        }
    }

    /// The certificate for exactly the configured names.
    fn current(&self) -> Option<Current> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Zero if the certificate must be ordered now.
    async fn time_until_renewal(&self) -> Duration {
        let Some(current) = self.current() else {
            return Duration::ZERO;
        };
        let answer = self.window(&current).await;
        let due = renewal_time(&current.facts, answer.window, current.jitter());
        let until = due.duration_since(SystemTime::now()).unwrap_or_default();
        let ask_again = answer.ask_again.saturating_duration_since(Instant::now());
        until.min(ask_again.max(Duration::from_secs(1)))
    }

    /// The renewal window, asked for again when the last answer is old.
    async fn window(&self, current: &Current) -> WindowAnswer {
        let last = *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = last.filter(|answer| answer.ask_again > Instant::now()) {
            return answer;
        }
        let answer = match self.ask_for_window(current).await {
            Ok((window, interval)) => WindowAnswer {
                window: Some(window),
                ask_again: Instant::now() + window_interval(interval),
            },
            Err(error) => {
                tracing::debug!(%error, "the authority names no renewal window");
                WindowAnswer {
                    window: None,
                    ask_again: Instant::now() + WINDOW_RETRY,
                }
            }
        };
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        answer
    }

    /// Asks the authority for the renewal window.
    async fn ask_for_window(
        &self,
        current: &Current,
    ) -> Result<(RenewalWindow, Duration), AcmeError> {
        let id = CertificateIdentifier::try_from(&current.leaf);
        let id = id.map_err(|_| AcmeError::Invalid)?;
        let (info, interval) = self.account().await?.renewal_info(&id).await?;
        let window = info.suggested_window;
        let (start, end) = (SystemTime::from(window.start), SystemTime::from(window.end));
        Ok((RenewalWindow { start, end }, interval))
    }

    /// Orders a certificate, by the first method that the authority can validate, stores it and
    /// serves it.
    async fn renew(&self, methods: &[Method]) -> Result<(), AcmeError> {
        let mut outcome = Err(AcmeError::Invalid);
        for method in methods {
            outcome = self.order(*method).await;
            match &outcome {
                // Another method may reach the server.
                Err(
                    AcmeError::Name { .. }
                    | AcmeError::Invalid
                    | AcmeError::NotOffered(_)
                    | AcmeError::NotValidated(_),
                ) => {}
                Err(AcmeError::Protocol(instant_acme::Error::Api(problem)))
                    if is_of_type(problem, "accountDoesNotExist") =>
                {
                    tracing::warn!("the authority does not know the stored account any more");
                    self.forget_account().await?;
                    outcome = self.order(*method).await;
                    break;
                }
                Ok(_) | Err(_) => break,
            }
        }
        let issued = outcome?;
        *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = Some(issued.pem);
        self.save();
        let current = Current::read(&issued.key.cert);
        let days = current.as_ref().map_or(0, |current| {
            current.facts.remaining(SystemTime::now()).as_secs() / (24 * 60 * 60)
        });
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.served.replace(issued.key);
        let names = self.names_text();
        tracing::info!(names, days, "the authority issued a certificate");
        Ok(())
    }

    /// Writes an issued certificate that is not stored yet. It is in use whether or not that
    /// succeeds: a full disk must not cost one order after the other.
    fn save(&self) {
        let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pem) = &*unsaved else {
            return;
        };
        let file = certificate_file(&self.options);
        match self.storage.write(&file, pem.as_bytes()) {
            Ok(()) => *unsaved = None,
            Err(error) => tracing::error!(
                %error,
                "the certificate in use cannot be stored, and a restart would order another one"
            ),
        }
    }

    /// One order by one method.
    async fn order(&self, method: Method) -> Result<Issued, AcmeError> {
        let account = self.account().await?;
        let answers = Answers {
            served: &self.served,
            tokens: &self.tokens,
        };
        let current = self.current();
        let window = *self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let knows_windows = window.is_some_and(|answer| answer.window.is_some());
        let replaces = current.filter(|_| knows_windows);
        let replaces = replaces
            .as_ref()
            .and_then(|current| CertificateIdentifier::try_from(&current.leaf).ok());
        let names = &self.options.names;
        let had_replaces = replaces.is_some();
        match obtain(&account, names, replaces, method, answers).await {
            // The certificate was renewed before, and the server lost the new one.
            Err(AcmeError::Protocol(instant_acme::Error::Api(problem)))
                if had_replaces && is_of_type(&problem, "alreadyReplaced") =>
            {
                obtain(&account, names, None, method, answers).await
            }
            outcome => outcome,
        }
    }

    /// The account: the one in use, the stored one, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let mut known = self.account.lock().await;
        if let Some(account) = &*known {
            return Ok(account.clone());
        }
        let file = account_file(&self.options.directory);
        let stored = self.storage.read(&file)?;
        let account = match stored {
            Some(bytes) => {
                let credentials: AccountCredentials = serde_json::from_slice(&bytes)?;
                self.builder()?.from_credentials(credentials).await?
            }
            None => {
                let contact = self
                    .options
                    .email
                    .as_ref()
                    .map(|mail| format!("mailto:{mail}"));
                let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
                let account = NewAccount {
                    contact: &contact,
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let directory = self.options.directory.clone();
                let builder = self.builder()?;
                let (account, credentials) = builder.create(&account, directory, None).await?;
                let bytes = serde_json::to_vec(&credentials)?;
                if let Err(error) = self.storage.write(&file, &bytes) {
                    tracing::error!(%error, "the account at the authority cannot be stored");
                }
                account
            }
        };
        Ok(known.insert(account).clone())
    }

    /// Removes the stored account, so that the next order makes a new one.
    async fn forget_account(&self) -> Result<(), AcmeError> {
        self.storage
            .remove(&account_file(&self.options.directory))?;
        *self.account.lock().await = None;
        Ok(())
    }

    /// A builder of accounts with the server's own client.
    fn builder(&self) -> Result<AccountBuilder, AcmeError> {
        let ca_file = self.options.ca_file.as_deref();
        let client = AcmeClient::new(ca_file, self.retry_after.clone())?;
        Ok(Account::builder_with_http(Box::new(client)))
    }

    /// Logs a failure and keeps its reason.
    fn log_failure(&self, error: &AcmeError, wait: Duration) {
        let reason = printable(&error.to_string());
        tracing::error!(
            names = self.names_text(),
            reason,
            retry_in_s = wait.as_secs(),
            "no certificate was issued; each name must lead to port 443 or port 80 of this \
             server, and the certificate in use stays in use"
        );
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(Failure { reason, wait });
    }

    /// The names, separated by commas.
    fn names_text(&self) -> String {
        let names: Vec<_> = self.options.names.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

/// The text of an authority for a log line: one line of at most 500 characters.
fn printable(text: &str) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    one_line.take(500).collect()
}

/// Whether a problem is of this type of RFC 8555.
fn is_of_type(problem: &instant_acme::Problem, kind: &str) -> bool {
    let found = problem
        .r#type
        .as_deref()
        .and_then(|found| found.rsplit(':').next());
    found == Some(kind)
}

/// The first 64 bits of a SHA-256 in hex.
fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The file of the certificate for these names from this authority.
fn certificate_file(options: &AcmeOptions) -> String {
    let mut names: Vec<_> = options.names.iter().map(ToString::to_string).collect();
    names.sort();
    format!(
        "acme-{}.pem",
        short_hash(&format!("{} {}", options.directory, names.join(",")))
    )
}

/// The file of the account at this authority.
fn account_file(directory: &str) -> String {
    format!("account-{}.json", short_hash(directory))
}
