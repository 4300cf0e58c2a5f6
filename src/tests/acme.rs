//! Certificates from a real authority: Pebble, which checks signatures and challenges as public
//! authorities do. Skipped on a machine without it.

use super::{
    harness::{DEADLINE, TestApp, long_timing, skipped},
    pebble::{Pebble, free_port},
};
use crate::server::tls::CertificateFacts;
use std::{
    fs,
    io::Write,
    net::IpAddr,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

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

/// Runs `openssl s_client` with these arguments and this input. Returns what it prints; `None` if it
/// is not installed.
async fn s_client(arguments: &[&str], input: &'static str) -> Option<String> {
    let mut command = Command::new("openssl");
    command
        .arg("s_client")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = move || {
        let mut process = command.spawn().ok()?;
        let mut stdin = process.stdin.take()?;
        // A failed handshake closes the pipe.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = process.wait_with_output().ok()?;
        let [out, errors] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Some(out + &errors)
    };
    let running = tokio::task::spawn_blocking(run);
    timeout(DEADLINE, running)
        .await
        .expect("in time")
        .expect("ends")
}

#[tokio::test]
async fn openssl_verifies_the_chain_and_agrees_on_either_http_and_not_on_the_challenge() {
    let (port, unused) = (free_port(), free_port());
    let Some(pebble) = Pebble::start(port, unused).await else {
        return skipped("Pebble is not installed");
    };
    let get = "GET /roots/0 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let Some(root) = s_client(&["-quiet", "-connect", &pebble.management], get).await else {
        return skipped("openssl is not installed");
    };
    let root = &root[root.find("-----BEGIN").expect("a root")..];
    let end = "-----END CERTIFICATE-----\n";
    let root = &root[..root.find(end).expect("its end") + end.len()];
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("root.pem");
    fs::write(&file, root).expect("written");
    let file = file.display().to_string();
    let listen = format!("127.0.0.1:{port}");
    let name = "meet.example.org";
    let flags = [
        "--listen",
        &listen,
        "--domain",
        name,
        "--http-listen",
        "off",
    ];
    let app = ordering(&pebble, &flags).await;
    issued(&app).await;
    let connect = async |protocols: &str| {
        let arguments = [
            "-connect",
            &listen,
            "-servername",
            name,
            "-alpn",
            protocols,
            "-CAfile",
            &file,
            "-verify_hostname",
            name,
            "-verify_return_error",
            "-showcerts",
        ];
        s_client(&arguments, "").await.expect("installed")
    };
    for (offered, chosen) in [
        ("h2", "h2"),
        ("http/1.1", "http/1.1"),
        ("http/1.1,h2", "h2"),
        ("acme-tls/1,http/1.1", "http/1.1"),
    ] {
        let output = connect(offered).await;
        let line = format!("ALPN protocol: {chosen}\n");
        assert!(output.contains(&line), "{offered}: {output}");
        assert!(output.contains("Verify return code: 0 (ok)"), "{output}");
        assert_eq!(output.matches("BEGIN CERTIFICATE").count(), 2, "the chain");
    }
    for none in ["acme-tls/1", "spdy/3"] {
        let output = connect(none).await;
        assert!(
            output.contains("alert") && !output.contains("BEGIN"),
            "{none}: {output}"
        );
    }
}
