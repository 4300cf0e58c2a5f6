//! Sessions of the operator: the cookie, the token of forms, and how long they last.
//!
//! The cookie holds 256 random bits, of which the database has the SHA-256 only. The token of forms
//! is another hash of them, so that it neither has to be stored nor leads to the cookie.

use super::visit::Visit;
use crate::server::{
    clock::Moment,
    context::AppContext,
    request,
    store::{NewSession, OperatorSession, OperatorWrite, SecretHash, StoreError},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::HeaderValue;
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The name of the cookie, which has the prefix `__Host-` over TLS.
pub const COOKIE: &str = "noom_admin";
/// How long a session lasts without being used, in milliseconds. 12 h.
const IDLE_MS: i64 = 12 * 60 * 60 * 1000;
/// How long a session lasts, in milliseconds. 7 days.
const LIFETIME_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often the last use is stored, in milliseconds. 1 min.
const USE_MS: i64 = 60 * 1000;
/// Longest stored name of a browser, in characters.
const MAX_AGENT_CHARS: usize = 200;

/// Who a request comes from.
pub enum Access {
    /// There is no operator yet.
    Nobody,
    /// Somebody without a session.
    SignedOut,
    /// The operator, with a session.
    SignedIn(SignedIn),
}

/// The session of a request.
pub struct SignedIn {
    /// The session as it is stored.
    pub session: OperatorSession,
    /// The token that its forms carry.
    pub form_token: String,
}

impl SignedIn {
    /// Whether this is the token of the session's forms, compared in constant time.
    pub fn has_token(&self, token: &str) -> bool {
        bool::from(token.as_bytes().ct_eq(self.form_token.as_bytes()))
    }
}

/// Finds the session of a request, and stores its use.
pub async fn access(context: &AppContext, visit: &Visit) -> Result<Access, StoreError> {
    let secret = visit.secret.as_deref();
    let state = context.store.operator(secret.map(hash)).await?;
    if !state.exists {
        return Ok(Access::Nobody);
    }
    let (Some(session), Some(secret)) = (state.session, secret) else {
        return Ok(Access::SignedOut);
    };
    let (id, at) = (session.id, Moment::now().wall_ms);
    if !is_valid(&session, at) {
        let end = OperatorWrite::EndSession { id };
        context.store.write_operator(end).await?;
        return Ok(Access::SignedOut);
    }
    // A page that refreshes itself is not used.
    if !visit.is_refresh && at.saturating_sub(session.used_at) >= USE_MS {
        let used = OperatorWrite::UseSession { id, at };
        context.store.write_operator(used).await?;
    }
    context.operator.tries.remember(visit.address);
    Ok(Access::SignedIn(SignedIn {
        session,
        form_token: form_token(secret),
    }))
}

/// Starts a session. Returns the cookie; nothing if there is no operator any more.
pub async fn start(context: &AppContext, visit: &Visit) -> Result<Option<HeaderValue>, StoreError> {
    let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 32]>());
    let new = NewSession {
        secret: hash(&secret),
        at: Moment::now().wall_ms,
        address: visit.address.to_string(),
        agent: visit.agent.chars().take(MAX_AGENT_CHARS).collect(),
    };
    let write = OperatorWrite::StartSession(new);
    let rows = context.store.write_operator(write).await?;
    if rows > 0 {
        context.operator.tries.remember(visit.address);
    }
    let seconds = LIFETIME_MS / 1000;
    let cookie = request::strict_cookie(&visit.cookies, COOKIE, &secret, seconds);
    Ok(cookie.filter(|_| rows > 0))
}

/// The header that deletes the cookie.
pub fn no_cookie(visit: &Visit) -> Option<HeaderValue> {
    request::strict_cookie(&visit.cookies, COOKIE, "", 0)
}

/// Whether a session may still be used at this time.
fn is_valid(session: &OperatorSession, now_ms: i64) -> bool {
    let age = |since: i64| now_ms.saturating_sub(since);
    age(session.used_at) < IDLE_MS && age(session.created_at) < LIFETIME_MS
}

/// The hash by which the database knows a secret.
fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret).into()
}

/// The token of a session's forms.
fn form_token(secret: &str) -> String {
    let mut digest = Sha256::new();
    digest.update("noom form token\0");
    digest.update(secret);
    BASE64_URL_SAFE_NO_PAD.encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(created_at: i64, used_at: i64) -> OperatorSession {
        OperatorSession {
            id: 1,
            created_at,
            used_at,
            address: String::new(),
            agent: String::new(),
        }
    }

    #[test]
    fn a_session_lasts_twelve_hours_unused_and_seven_days_used() {
        let hour = 60 * 60 * 1000;
        assert!(is_valid(&session(0, 0), 12 * hour - 1));
        assert!(!is_valid(&session(0, 0), 12 * hour));
        assert!(is_valid(&session(0, 160 * hour), 168 * hour - 1));
        assert!(!is_valid(&session(0, 168 * hour - 1), 168 * hour));
        assert!(is_valid(&session(hour, hour), 0), "the clock was set back");
    }

    #[test]
    fn the_token_of_forms_is_neither_the_secret_nor_its_stored_hash() {
        let token = form_token("secret");
        assert_eq!(token.len(), 43);
        assert_ne!(token, BASE64_URL_SAFE_NO_PAD.encode(hash("secret")));
        assert_ne!(token, form_token("secreu"));
        let signed_in = SignedIn {
            session: session(0, 0),
            form_token: token.clone(),
        };
        assert!(signed_in.has_token(&token) && !signed_in.has_token(""));
    }
}
