//! What the server reads from a certificate: its dates and its names.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// Dates and names of a certificate (RFC 5280).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Start of the validity.
    pub not_before: SystemTime,
    /// End of the validity.
    pub not_after: SystemTime,
    /// DNS names in lower case, and IP addresses.
    pub names: Vec<String>,
}

impl CertificateFacts {
    /// Reads a DER certificate; `None` if it is malformed.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok()?;
        let names = alternative.map(|extension| {
            let names = extension.value.general_names.iter();
            names.filter_map(name).collect()
        });
        let validity = certificate.validity();
        Some(Self {
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            names: names.unwrap_or_default(),
        })
    }

    /// Whether the certificate is for this name.
    pub fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Remaining validity at `now`; zero after the end.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }
}

/// A subject alternative name as text; `None` for kinds that browsers do not check.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
        }
        .map(|ip| ip.to_string()),
        _ => None,
    }
}

/// The time of a Unix timestamp in seconds; the epoch for earlier ones.
fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_of_a_certificate_are_read() {
        let names = ["Meet.example", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 1, 11);
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("made");
        let facts = CertificateFacts::read(made.der()).expect("readable");
        let life = facts.not_after.duration_since(facts.not_before);
        let life = life.expect("in order");
        assert_eq!(life, Duration::from_secs(10 * 24 * 60 * 60));
        for name in ["meet.example", "192.0.2.7", "2001:db8::7"] {
            assert!(facts.covers(name), "{name}: {:?}", facts.names);
        }
        assert!(!facts.covers("other.example"));
        assert_eq!(CertificateFacts::read(b"rubbish"), None);
    }
}
