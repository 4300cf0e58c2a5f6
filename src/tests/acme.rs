//! Certificates from a real authority: Pebble, which checks signatures and challenges as public
//! authorities do. Skipped on a machine without it.

use super::harness::{DEADLINE, TestApp, long_timing, skipped};
use crate::server::tls::CertificateFacts;
use std::{
    fs,
    net::{IpAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// A running Pebble with a DNS server that resolves every name to loopback.
struct Pebble {
    processes: [Child; 2],
    /// URL of the directory.
    directory: String,
    files: tempfile::TempDir,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that is free now. It is below the ephemeral ports (on Linux from 32768), so that the
/// system assigns it to no other socket.
fn free_port() -> u16 {
    let mut ports = (0..1000).map(|_| rand::random_range(10_000..32_000));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("a port is free")
}

/// Starts a program of Pebble's package; `None` if it is not installed.
fn spawn(program: &str, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new(program);
    command.args(arguments).env("PEBBLE_VA_NOSLEEP", "1");
    // Refuses none of the nonces, so that a run does not depend on chance.
    command.env("PEBBLE_WFE_NONCEREJECT", "0");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

impl Pebble {
    /// Starts an authority that validates at these ports; `None` if it is not installed.
    async fn start(tls_port: u16, http_port: u16) -> Option<Self> {
        let files = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let path = |name: &str| files.path().join(name).display().to_string();
        fs::write(path("ca.pem"), made.cert.pem()).expect("written");
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).expect("written");
        let (listen, management, dns) = (free_port(), free_port(), free_port());
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("ca.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        fs::write(path("pebble.json"), config.to_string()).expect("written");
        let dns_address = format!("127.0.0.1:{dns}");
        let manage_address = format!("127.0.0.1:{}", free_port());
        let resolver = spawn(
            "pebble-challtestsrv",
            &[
                "-defaultIPv6",
                "",
                "-defaultIPv4",
                "127.0.0.1",
                "-dns01",
                &dns_address,
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-management",
                &manage_address,
            ],
        )?;
        let arguments = ["-config", &path("pebble.json"), "-dnsserver", &dns_address];
        let authority = spawn("pebble", &arguments)?;
        let pebble = Self {
            processes: [resolver, authority],
            directory: format!("https://localhost:{listen}/dir"),
            files,
        };
        let up = async {
            while TcpStream::connect(("127.0.0.1", listen)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, up).await.expect("Pebble listens");
        Some(pebble)
    }

    /// The file with the certificate that its clients trust.
    fn ca_file(&self) -> String {
        Path::new(self.files.path())
            .join("ca.pem")
            .display()
            .to_string()
    }
}

/// Starts a server that orders from Pebble, with these flags.
async fn ordering(pebble: &Pebble, flags: &[&str]) -> TestApp {
    let ca_file = pebble.ca_file();
    let own = [
        "--acme-directory",
        &pebble.directory,
        "--acme-ca-file",
        &ca_file,
    ];
    TestApp::start_with(long_timing(), &[&own[..], flags].concat()).await
}

/// Waits until the certificate in use was issued by Pebble. Returns its facts.
async fn issued(app: &TestApp) -> CertificateFacts {
    let tls = app.context.tls.clone().expect("TLS");
    let waiting = async {
        loop {
            let chain = tls.served().current().cert.len();
            if chain > 1 {
                return tls.facts().expect("readable");
            }
            if let Some(failure) = tls.failure() {
                panic!("{}", failure.reason);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, waiting)
        .await
        .expect("a certificate in time")
}

#[tokio::test]
async fn a_certificate_for_several_names_is_issued_by_tls_alpn_01() {
    let (port, unused) = (free_port(), free_port());
    let Some(pebble) = Pebble::start(port, unused).await else {
        return skipped("Pebble is not installed");
    };
    let listen = format!("127.0.0.1:{port}");
    let domains = "meet.example.org,talk.example.org";
    let flags = [
        "--listen",
        &listen,
        "--domain",
        domains,
        "--http-listen",
        "off",
    ];
    let app = ordering(&pebble, &flags).await;
    let facts = issued(&app).await;
    for name in ["meet.example.org", "talk.example.org"] {
        assert!(facts.covers(name), "{:?}", facts.names);
    }
}

#[tokio::test]
async fn a_certificate_is_issued_by_http_01_where_the_tls_port_cannot_be_reached() {
    let (port, http_port, unused) = (free_port(), free_port(), free_port());
    let Some(pebble) = Pebble::start(unused, http_port).await else {
        return skipped("Pebble is not installed");
    };
    let (listen, http) = (
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{http_port}"),
    );
    let flags = [
        "--listen",
        &listen,
        "--http-listen",
        &http,
        "--domain",
        "meet.example.org",
    ];
    let app = ordering(&pebble, &flags).await;
    assert!(issued(&app).await.covers("meet.example.org"));
}

#[tokio::test]
async fn a_certificate_for_an_address_is_issued_by_tls_alpn_01() {
    let (port, unused) = (free_port(), free_port());
    let Some(pebble) = Pebble::start(port, unused).await else {
        return skipped("Pebble is not installed");
    };
    let listen = format!("127.0.0.1:{port}");
    let flags = [
        "--listen",
        &listen,
        "--public-ip",
        "127.0.0.1",
        "--http-listen",
        "off",
    ];
    let app = ordering(&pebble, &flags).await;
    let ip: IpAddr = "127.0.0.1".parse().expect("an ip");
    assert!(issued(&app).await.covers(&ip.to_string()));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_named_in_the_failure_and_the_server_serves() {
    let (port, elsewhere) = (free_port(), free_port());
    let Some(pebble) = Pebble::start(elsewhere, elsewhere).await else {
        return skipped("Pebble is not installed");
    };
    let listen = format!("127.0.0.1:{port}");
    let flags = [
        "--listen",
        &listen,
        "--domain",
        "meet.example.org",
        "--http-listen",
        "off",
    ];
    let app = ordering(&pebble, &flags).await;
    let tls = app.context.tls.clone().expect("TLS");
    let failing = async {
        loop {
            if let Some(failure) = tls.failure() {
                return failure;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let failure = timeout(DEADLINE, failing).await.expect("in time");
    assert!(failure.reason.contains("meet.example.org"), "{failure:?}");
    assert!(
        tls.facts()
            .is_some_and(|facts| facts.covers("meet.example.org"))
    );
    assert!(TcpStream::connect(app.address).await.is_ok());
}
