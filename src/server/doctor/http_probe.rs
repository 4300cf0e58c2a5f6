//! A client of one HTTP/1.1 request, which trusts every certificate in order to read it.
//!
//! The checks send nothing secret and judge what they see: an expired certificate is a finding, not
//! the end of the check.

use crate::server::tls::CertificateFacts;
use http::Uri;
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

/// Size limit of a response, in bytes. 256 KiB: a report takes a tenth.
const MAX_BYTES: usize = 256 * 1024;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether the scheme is https.
    pub is_tls: bool,
    /// The host, an IPv6 address without brackets.
    pub host: String,
    /// The port, that of the scheme where the URL has none.
    pub port: u16,
    /// Host and port as the header `Host` has them.
    authority: String,
    /// Path and query.
    path: String,
}

/// A response to the request.
pub struct Answer {
    /// The status; 0 for something else than HTTP.
    pub status: u16,
    /// The status line and the headers.
    head: String,
    /// What followed the headers.
    pub body: String,
    /// The address that the request was sent from.
    pub sent_from: SocketAddr,
    /// The certificate of the other side.
    pub certificate: Option<CertificateFacts>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

impl Target {
    /// Parses an `http` or `https` URL.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some(Self {
            is_tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.to_string(),
            path: path.to_owned(),
        })
    }

    /// The same host with another path.
    pub fn at(&self, path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..self.clone()
        }
    }

    /// Connects by TCP. The caller sets the time limit.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((self.host.as_str(), self.port)).await
    }

    /// Sends a request with these further header lines and reads the head of the response or, with
    /// `wants_body`, all of it. The caller sets the time limit.
    pub async fn ask(&self, method: &str, headers: &str, wants_body: bool) -> io::Result<Answer> {
        let stream = self.connect().await?;
        let sent_from = stream.local_addr()?;
        let request = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: noom-doctor\r\n{headers}\r\n",
            self.path, self.authority
        );
        let (response, certificate) = match self.is_tls {
            false => (exchange(stream, &request, wants_body).await?, None),
            true => {
                let stream = secure(stream, &self.host).await?;
                let certificate = certificate(&stream);
                (exchange(stream, &request, wants_body).await?, certificate)
            }
        };
        let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
        let status = head.lines().next().unwrap_or_default();
        let status = status
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5));
        Ok(Answer {
            status: status.and_then(|code| code.parse().ok()).unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
            sent_from,
            certificate,
        })
    }
}

/// Sends a request and reads until the end of the stream or of the head.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    wants_body: bool,
) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let (mut response, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let count = match stream.read(&mut buffer).await {
            Ok(count) => count,
            // Many servers end a connection without the end of TLS, or reset it.
            Err(_) if !response.is_empty() => 0,
            Err(error) => return Err(error),
        };
        response.extend_from_slice(&buffer[..count]);
        let has_head = || response.windows(4).any(|bytes| bytes == b"\r\n\r\n");
        if count == 0 || response.len() > MAX_BYTES || (!wants_body && has_head()) {
            break;
        }
    }
    match response.is_empty() {
        true => Err(ErrorKind::UnexpectedEof.into()),
        false => Ok(String::from_utf8_lossy(&response).into_owned()),
    }
}

/// Begins TLS with a host, whatever its certificate is.
pub async fn secure(stream: TcpStream, host: &str) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3: both features are on")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The certificate of the other side.
fn certificate(stream: &TlsStream<TcpStream>) -> Option<CertificateFacts> {
    let (_, session) = stream.get_ref();
    CertificateFacts::read(session.peer_certificates()?.first()?)
}

/// Accepts every certificate whose key the other side has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_a_port_and_a_path() {
        let parsed = |url| {
            let target = Target::parse(url).expect("a target");
            (target.is_tls, target.host, target.port, target.path)
        };
        let expected = (true, "meet.example".to_owned(), 443, "/".to_owned());
        assert_eq!(parsed("https://meet.example"), expected);
        let expected = (false, "::1".to_owned(), 8080, "/a?b".to_owned());
        assert_eq!(parsed("http://[::1]:8080/a?b"), expected);
        for wrong in ["", "meet.example", "ftp://meet.example", "https://"] {
            assert_eq!(Target::parse(wrong), None, "{wrong}");
        }
    }
}
