//! One order of a certificate (RFC 8555, 7.4): challenges, request, certificate.

use super::{AcmeError, CertificateName, HttpTokens};
use crate::server::tls::{
    Served,
    served::{certified_key, challenge_key},
};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, Error,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use std::time::Duration;
use tokio_rustls::rustls::sign::CertifiedKey;

/// How long an authority may take for a validation, and for the certificate.
const POLLING: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// The profile of certificates that live for days, which authorities demand for IP addresses.
const SHORT_LIVED: &str = "shortlived";

/// How the server proves that it controls a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a certificate on port 443 (RFC 8737).
    TlsAlpn,
    /// By a file on port 80 (RFC 8555, 8.3).
    Http,
}

impl Method {
    /// The type of the challenge.
    fn challenge(self) -> ChallengeType {
        match self {
            Self::TlsAlpn => ChallengeType::TlsAlpn01,
            Self::Http => ChallengeType::Http01,
        }
    }

    /// Its name in RFC 8555 and RFC 8737.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn => "tls-alpn-01",
            Self::Http => "http-01",
        }
    }
}

/// An issued certificate.
pub struct Issued {
    /// Chain and key as PEM, in one text.
    pub pem: String,
    /// Chain and key for handshakes.
    pub key: CertifiedKey,
}

/// Where the server answers challenges.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    /// The certificates that answer handshakes.
    pub served: &'a Served,
    /// The tokens that port 80 answers.
    pub tokens: &'a HttpTokens,
}

/// Orders a certificate for `names`. `replaces` names the certificate that it renews (RFC 9773, 5).
///
/// # Errors
/// The authority refused, or could not validate a name.
pub async fn obtain(
    account: &Account,
    names: &[CertificateName],
    replaces: Option<CertificateIdentifier<'_>>,
    method: Method,
    answers: Answers<'_>,
) -> Result<Issued, AcmeError> {
    let obtained = order(account, names, replaces, method, answers).await;
    answers.served.clear_challenges();
    answers.tokens.clear();
    obtained
}

/// The steps of the order. The caller removes the answers to challenges.
async fn order(
    account: &Account,
    names: &[CertificateName],
    replaces: Option<CertificateIdentifier<'_>>,
    method: Method,
    answers: Answers<'_>,
) -> Result<Issued, AcmeError> {
    let identifiers: Vec<_> = names.iter().map(identifier).collect();
    let mut request = NewOrder::new(&identifiers);
    if let Some(replaces) = replaces {
        request = request.replaces(replaces);
    }
    let has_address = names
        .iter()
        .any(|name| matches!(name, CertificateName::Ip(_)));
    let mut profiles = account.profiles();
    if has_address && profiles.any(|profile| profile.name == SHORT_LIVED) {
        request = request.profile(SHORT_LIVED);
    }
    let mut order = account.new_order(&request).await?;
    prove(&mut order, method, answers).await?;
    let status = order.poll_ready(&POLLING).await;
    match status {
        Ok(OrderStatus::Ready | OrderStatus::Valid | OrderStatus::Processing) => {}
        // The error of the order does not name the host; that of its authorization does.
        Ok(OrderStatus::Pending | OrderStatus::Invalid) | Err(Error::Api(_)) => {
            return Err(refusal(&mut order).await);
        }
        // Some authorities leave a challenge that they cannot reach pending.
        Err(Error::Timeout(_)) => return Err(AcmeError::NotValidated(method.name())),
        Err(error) => return Err(error.into()),
    }
    let key = KeyPair::generate()?;
    let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(texts)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    let secret = key.serialize_pem();
    let certified = certified_key(chain.as_bytes(), secret.as_bytes())?;
    Ok(Issued {
        pem: format!("{secret}{chain}"),
        key: certified,
    })
}

/// The identifier of a name (RFC 8555, 7.1.4, and RFC 8738 for addresses).
fn identifier(name: &CertificateName) -> Identifier {
    match name {
        CertificateName::Dns(name) => Identifier::Dns(name.clone()),
        CertificateName::Ip(ip) => Identifier::Ip(*ip),
    }
}

/// Answers the challenge of each name that is not validated yet, and says that it is ready.
async fn prove(order: &mut Order, method: Method, answers: Answers<'_>) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => {
                let name = authorization.identifier().to_string();
                let reason = "the authority refuses this name".to_owned();
                return Err(AcmeError::Name { name, reason });
            }
        }
        let name = authorization.identifier().identifier.clone();
        let challenge = authorization.challenge(method.challenge());
        let mut challenge = challenge.ok_or(AcmeError::NotOffered(method.name()))?;
        match method {
            Method::TlsAlpn => answer_by_certificate(&name, &challenge, answers.served)?,
            Method::Http => answers.tokens.insert(
                challenge.token.clone(),
                challenge.key_authorization().as_str().to_owned(),
            ),
        }
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Serves the certificate that answers a challenge (RFC 8737, 3; RFC 8738, 6 for addresses).
fn answer_by_certificate(
    name: &Identifier,
    challenge: &ChallengeHandle<'_>,
    served: &Served,
) -> Result<(), AcmeError> {
    let (text, server_name) = match name {
        Identifier::Ip(ip) => (ip.to_string(), reverse_name(*ip)),
        Identifier::Dns(name) => (name.clone(), name.clone()),
        _ => return Err(AcmeError::NotOffered(Method::TlsAlpn.name())),
    };
    let mut params = CertificateParams::new([text])?;
    let digest = challenge.key_authorization().digest();
    let proof = CustomExtension::new_acme_identifier(digest.as_ref());
    params.custom_extensions.push(proof);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let certified = challenge_key(certificate.der().clone(), key.serialize_der())?;
    served.add_challenge(server_name, certified);
    Ok(())
}

/// The name of an address in reverse DNS (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse_name(ip: std::net::IpAddr) -> String {
    let labels: Vec<String> = match ip {
        std::net::IpAddr::V4(ip) => ip.octets().iter().rev().map(u8::to_string).collect(),
        std::net::IpAddr::V6(ip) => {
            let digits = format!("{:032x}", ip.to_bits());
            digits.chars().rev().map(String::from).collect()
        }
    };
    let zone = if ip.is_ipv4() { "in-addr" } else { "ip6" };
    format!("{}.{zone}.arpa", labels.join("."))
}

/// The reason of the authority for an invalid order: the first failed challenge.
async fn refusal(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let mut errors = state.challenges.iter().filter_map(|c| c.error.as_ref());
        if let Some(error) = errors.next() {
            let reason = error.to_string();
            return AcmeError::Name { name, reason };
        }
    }
    AcmeError::Invalid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_of_an_address_is_its_name_in_reverse_dns() {
        let name = |ip: &str| reverse_name(ip.parse().expect("an address"));
        assert_eq!(name("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        let six = name("2001:db8::1");
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"));
        assert_eq!(six.len(), 32 * 2 - 1 + ".ip6.arpa".len());
    }
}
