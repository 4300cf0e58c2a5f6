//! The secret by which somebody reads `/metrics` and the details of `/readyz` over a network
//! (RFC 6750).

use super::client_address::IsConfidential;
use crate::server::{
    context::AppContext,
    limits::Rate,
    net::{ClientAddress, KeyedRateLimiter, forwarded, subscriber},
};
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};
use subtle::ConstantTimeEq;

/// Fewest characters of a token. 16: somebody who guesses at the rate of one address needs longer
/// than the server exists.
const MIN_CHARS: usize = 16;
/// Most characters of a token, and bytes of its file.
const MAX_CHARS: usize = 512;
/// Tokens that one subscriber (an IPv4 address or an IPv6 /64) may present, right ones included.
/// Several collectors behind one address ask each few seconds.
const ATTEMPT_RATE: Rate = Rate {
    per_second: 1,
    burst: 20,
};

/// The token, of which the server keeps the hash, and the attempts to guess it.
pub struct MetricsToken {
    /// SHA-256 of the token: the comparison takes the same time whatever the length.
    hash: [u8; 32],
    /// Attempts of each subscriber, loopback included: a proxy may be behind that.
    attempts: KeyedRateLimiter,
}

/// Why a request with or without a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It has no token, or a wrong one.
    Unauthorized,
    /// The token crossed a network in the clear.
    Insecure,
    /// Its address has presented too many.
    TooMany,
}

impl MetricsToken {
    /// Reads the file of the token: one line of printable ASCII without spaces.
    ///
    /// # Errors
    /// The file cannot be read, or holds no such line.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        let most = MAX_CHARS as u64 + 2;
        File::open(path)?.take(most).read_to_string(&mut text)?;
        Self::parse(text.trim_ascii()).ok_or_else(|| {
            let text = format!(
                "it must hold one line of {MIN_CHARS} to {MAX_CHARS} letters, digits and signs"
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    /// A token of allowed characters and length.
    fn parse(token: &str) -> Option<Self> {
        let fits = (MIN_CHARS..=MAX_CHARS).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self {
            hash: Sha256::digest(token).into(),
            attempts: KeyedRateLimiter::new(ATTEMPT_RATE),
        })
    }

    /// Checks the token of a request.
    ///
    /// # Errors
    /// Why the request gets nothing.
    pub fn check(&self, extensions: &Extensions, headers: &HeaderMap) -> Result<(), TokenRefusal> {
        let token = bearer(headers).ok_or(TokenRefusal::Unauthorized)?;
        let client = extensions.get().copied();
        let ClientAddress(address) = client.unwrap_or(ClientAddress::UNKNOWN);
        let is_local = address.is_loopback() && !forwarded::has_forwarding(headers);
        if extensions.get() != Some(&IsConfidential(true)) && !is_local {
            return Err(TokenRefusal::Insecure);
        }
        if !self.attempts.allow(&subscriber(address)) {
            return Err(TokenRefusal::TooMany);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        match bool::from(hash.ct_eq(&self.hash)) {
            true => Ok(()),
            false => Err(TokenRefusal::Unauthorized),
        }
    }
}

/// The token of the only `Authorization` header, which has the scheme `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_CHARS).then_some(token)
}

/// Whether a request carries the right token. Without a configured one, or without one in the
/// request, it does not.
///
/// # Errors
/// The request carries a token that is refused.
pub fn has_token(
    context: &AppContext,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Result<bool, TokenRefusal> {
    match &context.metrics_token {
        Some(token) if headers.contains_key(header::AUTHORIZATION) => {
            token.check(extensions, headers).map(|()| true)
        }
        Some(_) | None => Ok(false),
    }
}

impl IntoResponse for TokenRefusal {
    fn into_response(self) -> Response {
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        match self {
            Self::Unauthorized => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                let text = "this needs the token of --metrics-token-file";
                (StatusCode::UNAUTHORIZED, no_store, challenge, text).into_response()
            }
            Self::Insecure => {
                let text = "a token is taken over TLS only";
                (StatusCode::FORBIDDEN, no_store, text).into_response()
            }
            Self::TooMany => {
                let wait = [(header::RETRY_AFTER, "10")];
                let text = "too many tokens from your address";
                (StatusCode::TOO_MANY_REQUESTS, no_store, wait, text).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    const TOKEN: &str = "0123456789abcdef";

    fn checked(token: &MetricsToken, from: &str, values: &[&str]) -> Result<(), TokenRefusal> {
        let from: IpAddr = from.parse().expect("an address");
        let mut extensions = Extensions::new();
        extensions.insert(ClientAddress(from));
        extensions.insert(IsConfidential(true));
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().expect("a header"));
        }
        token.check(&extensions, &headers)
    }

    #[test]
    fn only_the_whole_token_in_one_bearer_header_is_accepted() {
        let token = MetricsToken::parse(TOKEN).expect("a token");
        let right = format!("Bearer {TOKEN}");
        assert_eq!(checked(&token, "192.0.2.1", &[&right]), Ok(()));
        let other_case = format!("bearer  {TOKEN} ");
        assert_eq!(checked(&token, "192.0.2.1", &[&other_case]), Ok(()));
        let long = format!("Bearer {TOKEN}{}", "x".repeat(600));
        for wrong in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer 0123456789abcde"],
            &["Bearer 0123456789abcdeF"],
            &["Bearer 0123456789abcdefg"],
            &["Basic 0123456789abcdef"],
            &[TOKEN],
            &[&right, &right],
            &[&long],
        ] {
            let refused = checked(&token, "192.0.2.2", wrong);
            assert_eq!(refused, Err(TokenRefusal::Unauthorized), "{wrong:?}");
        }
    }

    #[test]
    fn each_address_has_twenty_tokens_at_once_loopback_included() {
        let token = MetricsToken::parse(TOKEN).expect("a token");
        let right = format!("Bearer {TOKEN}");
        for eve in ["2001:db8::1", "127.0.0.1"] {
            let wrong = (0..100).map(|_| checked(&token, eve, &["Bearer guess"]));
            let tried = wrong.filter(|tried| *tried == Err(TokenRefusal::Unauthorized));
            assert!((20..30).contains(&tried.count()), "{eve}");
            let late = checked(&token, eve, &[&right]);
            assert_eq!(late, Err(TokenRefusal::TooMany), "{eve}");
        }
        let neighbour = checked(&token, "2001:db8::2", &[&right]);
        assert_eq!(neighbour, Err(TokenRefusal::TooMany), "the same /64");
        assert_eq!(checked(&token, "2001:db8:0:1::1", &[&right]), Ok(()));
    }

    #[test]
    fn a_file_of_one_long_enough_line_is_a_token() {
        let directory = tempfile::tempdir().expect("a directory");
        let read = |text: &[u8]| {
            let path = directory.path().join("token");
            std::fs::write(&path, text).expect("written");
            MetricsToken::read(&path).map(|token| token.hash)
        };
        let hash: [u8; 32] = Sha256::digest(TOKEN).into();
        for text in [
            TOKEN.to_owned(),
            format!("{TOKEN}\n"),
            format!("{TOKEN}\r\n"),
        ] {
            assert_eq!(read(text.as_bytes()).expect("a token"), hash);
        }
        for text in [
            &b""[..],
            b"0123456789abcde\n",
            b"0123456789 abcdef",
            b"0123456789abcdef\n0123456789abcdef\n",
            b"\xff123456789abcdef",
            &[b'x'; 600],
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
