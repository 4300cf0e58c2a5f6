//! The HTTPS client of the ACME protocol: bounded in time and size, and it keeps `Retry-After`.

use super::AcmeError;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use std::{
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Time limit of one request with its whole response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Size limit of one response, in bytes. 1 MiB: a chain takes a hundredth.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// When the authority wants to be asked again, from its last refusal.
#[derive(Debug, Clone, Default)]
pub struct RetryAfter(Arc<Mutex<Option<Instant>>>);

impl RetryAfter {
    /// The remaining wait. Reading it clears it.
    pub fn take(&self) -> Option<Duration> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Keeps the wait of a refusal (RFC 9110, 10.2.3); seconds only, as authorities send it.
    fn record(&self, response: &http::Response<hyper::body::Incoming>) {
        if response.status().as_u16() < 400 {
            return;
        }
        let value = response.headers().get(http::header::RETRY_AFTER);
        let seconds = value.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let until =
            seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// The HTTPS client of one authority.
pub struct AcmeClient {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    /// Filled by refusals.
    retry_after: RetryAfter,
}

impl AcmeClient {
    /// A client that trusts Mozilla's roots, or only the certificates of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn new(ca_file: Option<&Path>, retry_after: RetryAfter) -> Result<Self, AcmeError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3: both features are on");
        let config = match ca_file {
            None => builder.with_webpki_roots(),
            Some(file) => builder.with_root_certificates(roots(file)?),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_only()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            retry_after,
        })
    }
}

/// The certificates of a PEM file.
fn roots(file: &Path) -> Result<RootCertStore, AcmeError> {
    let wrong = |reason: String| AcmeError::CaFile {
        file: file.display().to_string(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    match added {
        0 => Err(wrong("it holds no certificate".to_owned())),
        _ => Ok(roots),
    }
}

impl HttpClient for AcmeClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answering = self.client.request(request);
        let retry_after = self.retry_after.clone();
        Box::pin(async move {
            let other = |error: Box<dyn std::error::Error + Send + Sync>| Error::Other(error);
            let whole = async {
                let answer = answering.await.map_err(|error| causes(&error))?;
                retry_after.record(&answer);
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
                let body = body.map_err(|error| causes(&*error))?.to_bytes();
                Ok::<_, String>(BytesResponse {
                    parts,
                    body: Box::new(body),
                })
            };
            // The body, too: a connection that dies in its middle must not end renewals.
            let whole = timeout(REQUEST_TIMEOUT, whole).await;
            let whole = whole.map_err(|_| other("no answer within 30 s".into()))?;
            whole.map_err(|error| other(error.into()))
        })
    }
}

/// An error and its causes in one line: hyper's own text names only the step that failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
