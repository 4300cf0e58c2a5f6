//! TLS of the server: one certificate for HTTPS, WebSockets and TURN.
//!
//! * [`acme`] gets the certificate from a public authority and renews it.
//! * [`self_signed`] makes it by a local authority.
//! * [`files`] reads it from PEM files and follows their changes.
//! * [`served`] is the certificate that handshakes use; [`storage`] keeps the server's own.

pub mod acme;
mod files;
mod self_signed;
mod served;
mod storage;
mod x509;

pub use acme::{Acme, AcmeOptions, CertificateName, HttpTokens, Method};
pub use files::{Certificate, CertificateError, CertificateFiles, watch};
pub use self_signed::{LOCAL_NAME, LocalAuthority, is_private};
pub use served::{PairError, Served, https_config, turn_config};
pub use storage::Storage;
pub use x509::CertificateFacts;

use rcgen::{CertificateParams, KeyPair};
use std::{
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::watch::Receiver,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::rustls::sign::CertifiedKey;

/// Interval at which a local certificate is compared with the addresses of the machine.
const ADDRESS_INTERVAL: Duration = Duration::from_secs(60);

/// Where the certificate of the HTTP listener comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// From PEM files of the operator.
    Files(CertificateFiles),
    /// From a local authority.
    SelfSigned,
    /// From a public authority.
    Acme(AcmeOptions),
}

impl TlsMode {
    /// The name or address that the certificate is for, if the settings name one.
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Acme(options) => options.names.first().map(ToString::to_string),
            Self::Files(_) | Self::SelfSigned => None,
        }
    }
}

/// Why the certificate of the HTTP listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the operator cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The server's own certificate cannot be made or read.
    #[error("--tls (NOOM_TLS): the certificate in --data-dir cannot be used: {0}")]
    Own(String),
}

/// The certificate of the HTTP listener with its source.
#[derive(Clone)]
pub enum ServerTls {
    /// From PEM files of the operator.
    Files(Arc<Certificate>),
    /// From the local authority.
    SelfSigned(Arc<LocalAuthority>),
    /// From a public authority.
    Acme(Arc<Acme>, Arc<Served>),
}

impl ServerTls {
    /// Opens the source. A certificate is served at once; the first one of an authority comes
    /// later, and one that no browser trusts is served until then.
    ///
    /// # Errors
    /// A file cannot be used; the error names the setting.
    pub fn open(
        mode: &TlsMode,
        data_dir: &Path,
        host_names: Vec<String>,
        addresses: &[IpAddr],
    ) -> Result<Self, TlsError> {
        let failed = |error: &dyn std::fmt::Display| TlsError::Own(error.to_string());
        let storage = || Storage::open(data_dir).map_err(|error| failed(&error));
        Ok(match mode {
            TlsMode::Files(files) => Self::Files(Arc::new(Certificate::read(files)?)),
            TlsMode::SelfSigned => {
                let local = LocalAuthority::open(storage()?, host_names, addresses);
                Self::SelfSigned(Arc::new(local.map_err(|error| failed(&error))?))
            }
            TlsMode::Acme(options) => {
                let temporary = temporary(&options.names).map_err(|error| failed(&error))?;
                let served = Arc::new(Served::new(temporary));
                let acme = Acme::new(options.clone(), storage()?, served.clone());
                Self::Acme(Arc::new(acme), served)
            }
        })
    }

    /// The certificate that handshakes use.
    pub fn served(&self) -> &Arc<Served> {
        match self {
            Self::Files(certificate) => certificate.served(),
            Self::SelfSigned(local) => local.served(),
            Self::Acme(_, served) => served,
        }
    }

    /// Facts of the certificate in use.
    pub fn facts(&self) -> Option<CertificateFacts> {
        CertificateFacts::read(self.served().current().cert.first()?)
    }

    /// The last failed order; `None` after a success, and for other sources.
    pub fn failure(&self) -> Option<acme::Failure> {
        match self {
            Self::Acme(acme, _) => acme.failure(),
            Self::Files(_) | Self::SelfSigned(_) => None,
        }
    }

    /// Whether the certificate in use stands in for the first one of a public authority.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Acme(acme, _) => acme.is_waiting(),
            Self::Files(_) | Self::SelfSigned(_) => false,
        }
    }

    /// What the operator should know: an expired certificate, files that cannot be used, or a failed
    /// order. In one sentence without text of the authority, because everybody may read it.
    pub fn note(&self) -> Option<&'static str> {
        let expired = self
            .facts()
            .is_none_or(|facts| facts.remaining(SystemTime::now()).is_zero());
        match self {
            _ if expired => Some("the certificate in use has expired"),
            Self::Files(files) if files.is_unusable() => {
                Some("the files of the certificate cannot be used; the one before is in use")
            }
            Self::Acme(acme, _) if acme.failure().is_some() => {
                Some("the last order of a certificate failed; the log has the reason")
            }
            Self::Files(_) | Self::SelfSigned(_) | Self::Acme(..) => None,
        }
    }

    /// The answers of port 80 to challenges of a public authority.
    pub fn tokens(&self) -> Option<&HttpTokens> {
        match self {
            Self::Acme(acme, _) => Some(acme.tokens()),
            Self::Files(_) | Self::SelfSigned(_) => None,
        }
    }

    /// Keeps the certificate current until `reload` is dropped. `has_http` says whether port 80
    /// answers; `addresses` lists the addresses of the machine.
    pub async fn maintain(
        self,
        has_http: bool,
        addresses: fn() -> Vec<IpAddr>,
        reload: Receiver<u64>,
    ) {
        match self {
            Self::Files(certificate) => watch(certificate, reload).await,
            Self::SelfSigned(local) => follow_addresses(&local, addresses, reload).await,
            Self::Acme(acme, _) => {
                let mut methods = vec![Method::TlsAlpn];
                if has_http {
                    methods.push(Method::Http);
                }
                acme.run(methods, reload).await;
            }
        }
    }
}

/// Compares the local certificate with the addresses of the machine periodically and whenever
/// `reload` changes.
async fn follow_addresses(
    local: &LocalAuthority,
    addresses: fn() -> Vec<IpAddr>,
    mut reload: Receiver<u64>,
) {
    let mut looks = interval(ADDRESS_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            changed = reload.changed() => if changed.is_err() {
                return;
            },
        }
        if let Err(error) = local.refresh(&addresses()) {
            tracing::error!(%error, "no certificate can be made for this machine's addresses");
        }
    }
}

/// A certificate for these names that no browser trusts, until the authority has issued one.
fn temporary(names: &[CertificateName]) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 60 * 60);
    (params.not_before, params.not_after) = ((now - day).into(), (now + 7 * day).into());
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let (chain, secret) = (certificate.pem(), key.serialize_pem());
    Ok(served::certified_key(chain.as_bytes(), secret.as_bytes())?)
}
