//! The operator's checks: each fault is planted, and its sentence is the only one that is found.
//!
//! Faults of the network are planted in a network namespace; those tests are skipped where the
//! machine allows none.

use super::{
    harness::{DEADLINE, TestApp, data_directory, long_timing, skipped},
    networks::{INSIDE, run_in_network_namespace},
};
use crate::server::{
    config::{Config, FileLayer, Flags},
    doctor::{
        self, Check, Diagnosis, Outcome,
        check::{CertificateSource, PortProblem, Protocol},
    },
};
use clap::Parser;
use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Child, Command},
    sync::{Arc, OnceLock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// The address of the machine inside a namespace.
const ADDRESS: &str = "10.1.2.3";
/// The commands of `ip` that make the network of a namespace.
const NETWORK: [&str; 5] = [
    "link set lo up",
    "link add eth0 type veth peer name eth0-far",
    "link set eth0-far up",
    "link set eth0 up",
    "addr add 10.1.2.3/24 dev eth0",
];

/// What is not well about a running server, in the order of the report. The limits of the machine
/// that runs the tests do not count.
async fn ills(app: &TestApp) -> Vec<Diagnosis> {
    let report = timeout(DEADLINE, doctor::run(&app.context)).await;
    ills_of(&report.expect("in time").expect("allowed").found)
}

/// What is not well in a report.
fn ills_of(found: &[Diagnosis]) -> Vec<Diagnosis> {
    let of_machine = [Check::OpenFiles, Check::ReceiveBuffer];
    let ill = found.iter().filter(|found| {
        let is_ill = matches!(found.outcome(), Outcome::Warning | Outcome::Failed);
        is_ill && !of_machine.contains(&found.check())
    });
    ill.cloned().collect()
}

/// The settings that these flags give to a server that does not run.
fn settings(data: &Path, flags: &[&str]) -> Config {
    let data = data.display().to_string();
    let own = ["noom", "--data-dir", &data, "--media-listen", "127.0.0.1:0"];
    let own = own
        .iter()
        .chain(&["--turn-listen", "off", "--metrics-listen", "off"]);
    let words = own.chain(flags).map(|word| (*word).to_owned());
    let flags = Flags::try_parse_from(words).expect("flags");
    Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config")
}

/// A server that is reached at the address of the namespace.
async fn on_network(flags: &[&str]) -> TestApp {
    let own = ["--media-listen", "0.0.0.0:0", "--disk-reserve", "0"];
    TestApp::start_with(long_timing(), &[&own[..], flags].concat()).await
}

/// Runs a program that must succeed.
fn run(program: &str, arguments: &str) {
    let ran = Command::new(program)
        .args(arguments.split(' '))
        .output()
        .expect(program);
    let wrong = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments}: {wrong}");
}

/// Whether this test runs inside a namespace.
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether `nft` is there; prints why a test is skipped otherwise.
fn has_nft() -> bool {
    let has = Command::new("nft").arg("--version").output().is_ok();
    if !has {
        skipped("there is no nft");
    }
    has
}

#[tokio::test]
async fn a_healthy_server_has_no_finding() {
    let flags = ["--turn-listen", "127.0.0.1:0", "--disk-reserve", "0"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    assert_eq!(ills(&app).await, []);
    let last = app.context.doctor.last().expect("kept");
    let well = |check| {
        let mut found = last.found.iter().filter(|found| found.check() == check);
        found.all(|found| found.outcome() == Outcome::Ok)
    };
    for check in [
        Check::Server,
        Check::Ports,
        Check::Addresses,
        Check::MediaUdp,
        Check::MediaTcp,
        Check::Turn,
        Check::Disk,
        Check::Database,
    ] {
        assert!(well(check), "{check:?}: {:?}", last.found);
    }
    // The credentials of the checks are gone with them.
    assert_eq!(app.metrics().await.value("noom_turn_allocations"), 0.0);
}

#[tokio::test]
async fn one_run_is_under_way_at_once_and_a_flood_of_them_is_refused() {
    let app = TestApp::start().await;
    let (one, other) = tokio::join!(doctor::run(&app.context), doctor::run(&app.context));
    assert!(one.is_some() && other.is_none());
    let mut runs = 1;
    while doctor::run(&app.context).await.is_some() {
        runs += 1;
        assert!(runs < 20, "refused");
    }
    let address = app.metrics_address.expect("on");
    let stream = TcpStream::connect(address).await.expect("connects");
    let request = "POST /doctor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                   Content-Length: 0\r\nnoom-doctor: command\r\n\r\n";
    let refused = super::harness::answer(stream, request).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
}

#[test]
fn a_closed_port_and_a_wrong_address_have_their_sentences() {
    if has_nft() {
        run_in_network_namespace("doctor::inside_a_network_with_faults", &NETWORK);
    }
}

#[tokio::test]
#[ignore = "runs in a network namespace, by the test above"]
async fn inside_a_network_with_faults() {
    if !is_inside() {
        return;
    }
    let app = on_network(&["--turn-listen", "0.0.0.0:0"]).await;
    assert_eq!(ills(&app).await, [], "nothing is planted yet");
    let media = app.context.sfu.candidates()[0];
    assert_eq!(media.ip().to_string(), ADDRESS);
    run("nft", "add table inet test");
    run(
        "nft",
        "add chain inet test input { type filter hook input priority 0 ; }",
    );
    let port = media.port();
    run(
        "nft",
        &format!("add rule inet test input udp dport {port} drop"),
    );
    let udp = Diagnosis::MediaClosed(Protocol::Udp, media);
    assert_eq!(ills(&app).await, [udp]);
    run("nft", "flush chain inet test input");
    run(
        "nft",
        &format!("add rule inet test input tcp dport {port} reject with tcp reset"),
    );
    let tcp = Diagnosis::MediaClosed(Protocol::Tcp, media);
    assert_eq!(ills(&app).await, [tcp]);
    run("nft", "flush chain inet test input");

    let wrong = on_network(&["--turn-listen", "0.0.0.0:0", "--media-ip", "203.0.113.9"]).await;
    let expected = Diagnosis::WrongAddress {
        address: IpAddr::from([203, 0, 113, 9]),
        better: ADDRESS.parse().ok(),
    };
    assert_eq!(ills(&wrong).await, [expected]);
}

#[test]
fn a_closed_port_of_turn_has_its_sentence() {
    if has_nft() {
        run_in_network_namespace("doctor::inside_a_network_without_turn", &NETWORK);
    }
}

#[tokio::test]
#[ignore = "runs in a network namespace, by the test above"]
async fn inside_a_network_without_turn() {
    if !is_inside() {
        return;
    }
    let app = on_network(&["--turn-listen", "0.0.0.0:3478"]).await;
    assert_eq!(ills(&app).await, [], "nothing is planted yet");
    run("nft", "add table inet test");
    run(
        "nft",
        "add chain inet test input { type filter hook input priority 0 ; }",
    );
    run("nft", "add rule inet test input udp dport 3478 drop");
    let silent = Diagnosis::TurnSilent {
        url: format!("turn:{ADDRESS}:3478?transport=udp"),
        port: 3478,
        protocol: Protocol::Udp,
    };
    assert_eq!(ills(&app).await, [silent]);
}

#[test]
fn a_full_disk_has_its_sentence() {
    run_in_network_namespace("doctor::inside_a_machine_with_a_small_disk", &NETWORK);
}

#[tokio::test]
#[ignore = "runs in a namespace, by the test above"]
async fn inside_a_machine_with_a_small_disk() {
    if !is_inside() {
        return;
    }
    let data = data_directory();
    let path = data.path().display().to_string();
    run(
        "mount",
        &format!("-t tmpfs -o size=300m,mode=0700 tmpfs {path}"),
    );
    let app = TestApp::start_in(data.clone(), &["--disk-reserve", "0"]).await;
    assert_eq!(ills(&app).await, [], "nothing is planted yet");
    let mut filler = std::fs::File::create(data.path().join("filler")).expect("created");
    while filler.write_all(&[1; 64 * 1024]).is_ok() {}
    drop(filler);
    let found = ills(&app).await;
    let [
        Diagnosis::DiskFull {
            free,
            least,
            directory,
        },
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert!(free < least && *directory == path, "{found:?}");
    app.stop().await;
    run("umount", &path);
}

/// Writes a certificate for this name and its key into a directory. Returns the value of `--tls`.
fn write_certificate(directory: &Path, name: &str, ended: bool) -> String {
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    let year = if ended { 2021 } else { 2099 };
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("made");
    let (chain, secret) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&chain, certificate.pem()).expect("written");
    std::fs::write(&secret, key.serialize_pem()).expect("written");
    format!("{},{}", chain.display(), secret.display())
}

#[tokio::test]
async fn an_expired_certificate_and_one_for_another_name_have_their_sentences() {
    let directory = tempfile::tempdir().expect("a directory");
    let tls = write_certificate(directory.path(), "localhost", true);
    let flags = ["--tls", &tls, "--disk-reserve", "0"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let expired = Diagnosis::CertificateExpired {
        day: "2021-01-01".to_owned(),
        source: CertificateSource::Files,
    };
    assert_eq!(ills(&app).await, std::slice::from_ref(&expired));
    let data = data_directory();
    let flags = ["--listen", "127.0.0.1:0", "--tls", &tls];
    let report = doctor::run_alone(settings(data.path(), &flags)).await;
    assert_eq!(ills_of(&report.found), [expired], "without a server, too");

    let tls = write_certificate(directory.path(), "other.example", false);
    let url = ["--public-url", "https://localhost:1"];
    let flags = ["--listen", "127.0.0.1:0", "--tls", &tls, url[0], url[1]];
    let report = doctor::run_alone(settings(data.path(), &flags)).await;
    let misses = Diagnosis::CertificateMisses {
        name: "localhost".to_owned(),
        source: CertificateSource::Files,
    };
    assert_eq!(ills_of(&report.found), [misses]);
    std::fs::write(directory.path().join("key.pem"), "rubbish").expect("written");
    let report = doctor::run_alone(settings(data.path(), &flags)).await;
    let found = ills_of(&report.found);
    assert!(
        matches!(&found[..], [Diagnosis::CertificateUnusable(reason)] if reason.contains("key.pem")),
        "{found:?}"
    );
    let directory = data.path().read_dir().expect("readable");
    assert_eq!(directory.count(), 0, "nothing is written");
}

/// A proxy of HTTP/1.1, one request for each connection.
struct Proxy {
    /// The address that it listens at.
    address: SocketAddr,
    /// The address of the server behind it, once that is known.
    server: Arc<OnceLock<SocketAddr>>,
}

impl Proxy {
    /// Starts a proxy that edits the head of each request. Without a server it answers 502.
    async fn start(edit: fn(String) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let server = Arc::<OnceLock<SocketAddr>>::default();
        let known = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, known.get().copied(), edit));
            }
        });
        Self { address, server }
    }

    /// Starts a server whose public address is this proxy.
    async fn server(&self, flags: &[&str]) -> TestApp {
        let url = format!("http://{}", self.address);
        let own = ["--public-url", &url, "--disk-reserve", "0"];
        let app = TestApp::start_with(long_timing(), &[&own[..], flags].concat()).await;
        self.server.set(app.address).expect("once");
        app
    }

    /// The URL at which it is reached.
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Passes one request on.
async fn pass(
    mut client: TcpStream,
    server: Option<SocketAddr>,
    edit: fn(String) -> String,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let Some(server) = server else {
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n";
        return client.write_all(answer).await;
    };
    let mut stream = TcpStream::connect(server).await?;
    let head = edit(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut stream).await?;
    Ok(())
}

/// Adds the address of the client.
fn forwarding(head: String) -> String {
    head.replacen("\r\n", "\r\nX-Forwarded-For: 192.0.2.99\r\n", 1)
}

/// Removes what asks for an upgrade, as a proxy does that was not told otherwise, and adds the
/// address of the client.
fn without_upgrade(head: String) -> String {
    let hop = ["upgrade:", "connection:"];
    let lines = head.split("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        !hop.iter().any(|name| line.starts_with(name))
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    forwarding(head)
}

/// Passes on what is below `/noom`; other requests lose their mark, as if another server had them.
fn below_noom(head: String) -> String {
    match head.contains(" /noom/") {
        true => forwarding(head),
        false => head.replace("noom-doctor", "x-other"),
    }
}

#[tokio::test]
async fn a_site_below_a_path_is_reached_there() {
    let proxy = Proxy::start(below_noom).await;
    let flags = ["--trusted-proxies", "127.0.0.1", "--base-path", "/noom"];
    let app = proxy.server(&flags).await;
    assert_eq!(ills(&app).await, []);
}

#[tokio::test]
async fn a_proxy_that_does_not_pass_on_upgrades_has_its_sentence() {
    let proxy = Proxy::start(without_upgrade).await;
    let app = proxy.server(&["--trusted-proxies", "127.0.0.1"]).await;
    assert_eq!(ills(&app).await, [Diagnosis::NoUpgrade(proxy.url())]);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_has_its_sentence_and_a_trusted_one_none() {
    let proxy = Proxy::start(forwarding).await;
    let app = proxy.server(&["--trusted-proxies", "127.0.0.1"]).await;
    assert_eq!(ills(&app).await, []);
    let proxy = Proxy::start(forwarding).await;
    let app = proxy.server(&[]).await;
    let peer = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(ills(&app).await, [Diagnosis::ProxyUntrusted(peer)]);
}

#[tokio::test]
async fn a_public_address_that_leads_elsewhere_or_nowhere_has_its_sentence() {
    let proxy = Proxy::start(forwarding).await;
    let url = proxy.url();
    let flags = ["--public-url", &url, "--disk-reserve", "0"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let elsewhere = Diagnosis::SiteElsewhere {
        url: url.clone(),
        status: 502,
        port: 0,
    };
    assert_eq!(ills(&app).await, [elsewhere]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let flags = ["--public-url", &url, "--disk-reserve", "0"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let found = ills(&app).await;
    assert!(
        matches!(&found[..], [Diagnosis::SiteSilent { url: silent, .. }] if *silent == url),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_port_that_another_program_has_is_named_with_its_setting() {
    let data = data_directory();
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = taken.local_addr().expect("bound");
    let text = address.to_string();
    for setting in [
        "--listen",
        "--metrics-listen",
        "--media-listen",
        "--turn-listen",
    ] {
        let mut flags = vec![setting, &text];
        if setting != "--listen" {
            flags.extend(["--listen", "127.0.0.1:0"]);
        }
        let own = settings_without(data.path(), setting, &flags);
        let report = doctor::run_alone(own).await;
        let expected = Diagnosis::Port {
            setting,
            address,
            problem: PortProblem::Taken,
            is_optional: false,
        };
        let found = ills_of(&report.found);
        assert!(found.contains(&expected), "{setting}: {found:?}");
    }
    drop(taken);
    let flags = [
        "--listen",
        &text,
        "--http-listen",
        &text,
        "--tls",
        "self-signed",
    ];
    let report = doctor::run_alone(settings(data.path(), &flags)).await;
    let same = report.found.iter().any(|found| {
        matches!(found, Diagnosis::Port { problem: PortProblem::Other(reason), .. }
            if reason == "--listen has the same port")
    });
    assert!(
        same,
        "a conflict of two settings is named: {:?}",
        report.found
    );
    let own = settings(data.path(), &["--listen", "127.0.0.1:0"]);
    let report = doctor::run_alone(own).await;
    assert_eq!(ills_of(&report.found), [], "nothing is planted");
}

/// The settings with flags that replace one of those of [`settings`].
fn settings_without(data: &Path, setting: &str, flags: &[&str]) -> Config {
    let data = data.display().to_string();
    let own = [
        ["--media-listen", "127.0.0.1:0"],
        ["--turn-listen", "off"],
        ["--metrics-listen", "off"],
    ];
    let own = own.iter().filter(|[name, _]| *name != setting).flatten();
    let words = ["noom", "--data-dir", &data];
    let words = words.iter().chain(own).chain(flags);
    let words = words.map(|word| (*word).to_owned());
    let flags = Flags::try_parse_from(words).expect("flags");
    Config::resolve(&flags, &|_| None, &FileLayer::default()).expect("config")
}

/// A certificate authority that answers every request with this date.
async fn authority(date: &'static str) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 2\r\n\r\n{{}}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn a_clock_that_differs_from_that_of_the_authority_has_its_sentence() {
    let data = data_directory();
    let found = async |authority: SocketAddr| {
        let directory = format!("https://{authority}/directory");
        let flags = [
            "--domain",
            "localhost",
            "--listen",
            "127.0.0.1:0",
            "--http-listen",
            "off",
            "--acme-directory",
            &directory,
        ];
        let report = doctor::run_alone(settings(data.path(), &flags)).await;
        ills_of(&report.found)
    };
    let past = authority("Tue, 15 Nov 1994 08:12:31 GMT").await;
    let off = found(past).await;
    assert!(
        matches!(off[..], [Diagnosis::ClockOff(ahead)] if ahead > 900_000_000),
        "{off:?}"
    );
    let future = authority("Fri, 31 Dec 9999 23:59:59 GMT").await;
    let off = found(future).await;
    assert!(
        matches!(off[..], [Diagnosis::ClockOff(ahead)] if ahead < 0),
        "{off:?}"
    );
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = closed.local_addr().expect("bound");
    drop(closed);
    let silent = found(address).await;
    assert!(
        matches!(&silent[..], [Diagnosis::AuthoritySilent { host, .. }] if host == "127.0.0.1"),
        "{silent:?}"
    );
}

#[tokio::test]
async fn a_running_server_answers_the_command_on_its_own_machine_only() {
    let app = TestApp::start_with(long_timing(), &["--disk-reserve", "0"]).await;
    let address = app.metrics_address.expect("on");
    let ask = async |headers: &str| {
        let stream = TcpStream::connect(address).await.expect("connects");
        let request = format!(
            "POST /doctor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: 0\r\n{headers}\r\n"
        );
        super::harness::answer(stream, &request).await
    };
    let answer = ask("noom-doctor: command\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a response");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let findings: Vec<doctor::Finding> = serde_json::from_str(body).expect("findings");
    assert!(
        findings
            .iter()
            .any(|finding| finding.check == Check::Server)
    );
    for headers in ["", "noom-doctor: x\r\nX-Forwarded-For: 192.0.2.1\r\n"] {
        let refused = ask(headers).await;
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    }
    // The command finds the server by the lock of the data directory where it cannot ask.
    let directory = app.data().to_owned();
    let report = doctor::run_alone(settings(&directory, &[])).await;
    assert!(
        report.found.contains(&Diagnosis::ServerSilent),
        "{:?}",
        report.found
    );
    let public = app.get("/doctor").await;
    assert!(public.starts_with("HTTP/1.1 404"), "{public}");
}

/// An nginx that passes everything on to a server, with these further lines.
struct Nginx {
    /// The process, killed when this is dropped.
    process: Child,
    /// The folder of its configuration and files.
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts nginx at a port, and waits until it listens.
    async fn start(port: u16, server: SocketAddr, lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().display();
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {path}/{kind};\n"));
        let user = match rustix::process::geteuid().is_root() {
            true => "user root;",
            false => "",
        };
        let text = format!(
            "daemon off; {user} pid {path}/pid; events {{}}\n\
             http {{ access_log off; {}\n\
             server {{ listen 127.0.0.1:{port}; location / {{\n\
             proxy_pass http://{server}; proxy_set_header Host $http_host;\n{lines} }} }} }}\n",
            temporary.concat()
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).expect("written");
        let process = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("errors"))
            .spawn()
            .expect("starts");
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        timeout(DEADLINE, listens).await.expect("nginx listens");
        Self {
            process,
            _folder: folder,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        // The master ends its workers.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn nginx_without_upgrade_or_forwarding_has_a_sentence_and_as_documented_none() {
    if Command::new("nginx").arg("-v").output().is_err() {
        skipped("there is no nginx");
        return;
    }
    let upgrade = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                   proxy_set_header Connection \"upgrade\";";
    let forwarded = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let both = format!("{upgrade}\n{forwarded}");
    let url = |port| format!("http://127.0.0.1:{port}");
    let peer = IpAddr::from([127, 0, 0, 1]);
    type Expected = fn(String, IpAddr) -> Vec<Diagnosis>;
    let cases: [(&str, Expected); 3] = [
        (&both, |_, _| vec![]),
        (forwarded, |url, _| vec![Diagnosis::NoUpgrade(url)]),
        ("", |url, peer| {
            vec![Diagnosis::NoUpgrade(url), Diagnosis::ProxySilent(peer)]
        }),
    ];
    for (lines, expected) in cases {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = free.local_addr().expect("bound").port();
        let flags = [
            "--public-url",
            &url(port),
            "--trusted-proxies",
            "127.0.0.1",
            "--disk-reserve",
            "0",
        ];
        let app = TestApp::start_with(long_timing(), &flags).await;
        drop(free);
        let _nginx = Nginx::start(port, app.address, lines).await;
        assert_eq!(ills(&app).await, expected(url(port), peer), "{lines}");
    }
}
