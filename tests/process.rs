//! Tests of the binary as a process: signals, changed files and environment variables.

use base64::Engine as _;
use futures::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixDatagram},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self,
        pki_types::{CertificateDer, pem::PemObject},
    },
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

#[path = "../src/tests/pebble.rs"]
#[allow(dead_code, reason = "tests of the library use the rest")]
mod pebble;

/// How long a test waits for an expected event before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
struct Server {
    /// The process, killed when this is dropped.
    process: Child,
    /// The lines of its log.
    log: UnboundedReceiver<String>,
    /// The address of its HTTP listener.
    address: SocketAddr,
    /// The data directory, deleted with its last user.
    data: Arc<tempfile::TempDir>,
}

/// An empty data directory with the permissions that the server requires.
fn data_directory() -> Arc<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let private = fs::Permissions::from_mode(0o700);
    Arc::new(builder.permissions(private).tempdir().expect("a directory"))
}

impl Server {
    /// Starts the server with these flags and variables, and waits until it listens. Also returns
    /// the log lines before that.
    async fn start(flags: &[&str], variables: &[(&str, &str)]) -> (Self, Vec<String>) {
        let mut server = Self::spawn("127.0.0.1:0", flags, variables);
        let before = server.wait_until_listening().await;
        (server, before)
    }

    /// Starts the server at this address with these flags and variables.
    fn spawn(listen: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_noom"));
        Self::spawn_by(command, listen, flags, variables)
    }

    /// Starts the server by a command to which its flags are appended.
    fn spawn_by(
        command: Command,
        listen: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::spawn_in(data_directory(), command, listen, flags, variables)
    }

    /// Starts the server in this data directory.
    fn spawn_in(
        data: Arc<tempfile::TempDir>,
        mut command: Command,
        listen: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let own = [
            ["--listen", listen],
            ["--metrics-listen", "off"],
            ["--media-listen", "127.0.0.1:0"],
            ["--turn-listen", "127.0.0.1:0"],
        ];
        // The flags of the test replace these.
        let own = own.iter().filter(|[name, _]| !flags.contains(name));
        command
            .env_clear()
            .args(own.flatten())
            .arg("--data-dir")
            .arg(data.path())
            .args(flags)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("starts");
        let stderr = process.stderr.take().expect("piped");
        let (lines, log) = unbounded_channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        Self {
            process,
            log,
            address: ([127, 0, 0, 1], 0).into(),
            data,
        }
    }

    /// Waits until the server listens. Returns the log lines before that.
    async fn wait_until_listening(&mut self) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let line = self.wait_for_log("").await;
            let address = line.split_once("Noom listens on http");
            let address = address.and_then(|(_, address)| address.split_once("://127.0.0.1:"));
            if let Some((_, address)) = address {
                let port = address.split_whitespace().next().expect("a port");
                self.address.set_port(port.parse().expect("a number"));
                return before;
            }
            before.push(line);
        }
    }

    /// Waits for a log line that contains these words.
    async fn wait_for_log(&mut self, words: &str) -> String {
        let next = async {
            loop {
                let line = self.log.recv().await.expect("the server goes on");
                if line.contains(words) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, next).await.expect(words)
    }

    /// Waits until the process has ended.
    async fn wait_for_end(mut self) -> ExitStatus {
        let ended = tokio::task::spawn_blocking(move || self.process.wait());
        let ended = timeout(PATIENCE, ended).await.expect("ends");
        ended.expect("waits").expect("waited for")
    }

    /// Sends a signal to the process.
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("sent");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client in the room `team`.
struct Person(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Person {
    /// Connects to the server and joins the room `team`.
    async fn join(server: &Server) -> Self {
        let mut person = Self::connect(server).await;
        person
            .send(r#"{"type":"join","room":"team","nickname":"Ann"}"#)
            .await;
        person.wait_for(r#""type":"joined""#).await;
        person
    }

    /// Sends a text frame.
    async fn send(&mut self, json: &str) {
        self.0.send(Message::text(json)).await.expect("sent");
    }

    /// Waits for a text frame that contains these words, and returns it.
    async fn wait_for(&mut self, words: &str) -> String {
        let heard = async {
            loop {
                match self.0.next().await.expect("open").expect("readable") {
                    Message::Text(text) if text.contains(words) => return text.to_string(),
                    Message::Close(frame) => panic!("closed: {frame:?}"),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, heard).await.expect(words)
    }

    /// Connects to the server without joining a room.
    async fn connect(server: &Server) -> Self {
        let url = format!("ws://{}/ws", server.address);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.expect("101");
        Self(socket)
    }

    /// Sends a chat message and waits for its acknowledgement.
    async fn send_chat(&mut self, number: u32) {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let chat = format!(r#"{{"type":"chat","id":"{id}","text":"hello"}}"#);
        self.send(&chat).await;
        self.wait_for(&id).await;
    }

    /// Waits for the end of the socket. Returns its close code.
    async fn wait_for_close(&mut self) -> Option<u16> {
        let closed = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        timeout(PATIENCE, closed).await.expect("closed")
    }
}

/// Writes a new certificate and its key into a directory. Returns the certificate.
fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let pem = |label: &str, der: &[u8]| {
        let base64 = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    };
    let certificate = made.cert.der().clone();
    let key = made.signing_key.serialize_der();
    for (name, text) in [
        ("key.pem", pem("PRIVATE KEY", &key)),
        ("cert.pem", pem("CERTIFICATE", &certificate)),
    ] {
        let fresh = directory.join("fresh");
        fs::write(&fresh, text).expect("written");
        fs::rename(&fresh, directory.join(name)).expect("renamed");
    }
    certificate
}

/// Begins TLS with the server of this name, which this root must vouch for.
async fn connect_tls(
    port: u16,
    name: &'static str,
    root: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("connects");
    let name = rustls::pki_types::ServerName::try_from(name).expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, socket).await
}

/// Whether TURN over TLS serves this certificate now.
async fn is_served(port: u16, certificate: &CertificateDer<'static>) -> bool {
    connect_tls(port, "localhost", certificate).await.is_ok()
}

/// A port that is free for TCP and UDP. It is below the ephemeral ports (on Linux from 32768), so
/// that the system assigns it to no other socket.
fn free_port() -> u16 {
    let mut ports = (0..1000).map(|_| rand::random_range(10_000..32_000));
    let is_free = |port: &u16| {
        let address = ("127.0.0.1", *port);
        std::net::TcpListener::bind(address).is_ok() && std::net::UdpSocket::bind(address).is_ok()
    };
    ports.find(is_free).expect("a port is free")
}

#[tokio::test]
async fn a_hangup_keeps_sockets_open_and_serves_the_renewed_certificate_and_a_stop_is_1012() {
    let files = tempfile::tempdir().expect("a directory");
    let first = write_certificate(files.path());
    let port = free_port();
    let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    let flags = [
        "--turn-tls-listen",
        &format!("127.0.0.1:{port}"),
        "--turn-tls-cert",
        &certificate.display().to_string(),
        "--turn-tls-key",
        &key.display().to_string(),
    ];
    let (mut server, _) = Server::start(&flags, &[]).await;
    let mut ann = Person::join(&server).await;
    ann.send_chat(1).await;
    assert!(is_served(port, &first).await);

    let second = write_certificate(files.path());
    assert!(is_served(port, &first).await, "it was not asked yet");
    server.signal(Signal::HUP);
    server.wait_for_log("the certificate was renewed").await;
    assert!(is_served(port, &second).await && !is_served(port, &first).await);
    ann.send_chat(2).await;

    fs::write(&certificate, "rubbish").expect("written");
    server.signal(Signal::HUP);
    server.wait_for_log("the previous one stays in use").await;
    assert!(is_served(port, &second).await);
    ann.send_chat(3).await;

    server.signal(Signal::TERM);
    assert_eq!(ann.wait_for_close().await, Some(1012));
    assert!(server.wait_for_end().await.success());
}

#[tokio::test]
async fn a_hangup_during_the_start_does_not_stop_the_server() {
    let port = free_port();
    let Ok(_others) = std::net::TcpListener::bind(("::1", port)) else {
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no IPv6");
        return;
    };
    let mut server = Server::spawn(&format!("127.0.0.1:{port}"), &[], &[]);
    // Sent before media, addresses and TURN are started.
    server.wait_for_log("another process has this port").await;
    server.signal(Signal::HUP);
    server.wait_until_listening().await;
    server
        .wait_for_log("reloading certificates and addresses")
        .await;
    Person::join(&server).await.send_chat(1).await;
}

#[tokio::test]
async fn a_misspelt_variable_is_named_in_the_log_with_the_one_it_may_mean() {
    let variables = [("NOOM_TRUSTED_PROXY", "127.0.0.1"), ("NOOM_TOOLS", "/x")];
    let (_server, lines) = Server::start(&[], &variables).await;
    let line = lines
        .iter()
        .find(|line| line.contains("NOOM_TRUSTED_PROXY"));
    let line = line.expect("it is named");
    assert!(
        line.contains("did you mean NOOM_TRUSTED_PROXIES?"),
        "{line}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("NOOM_TOOLS")),
        "{lines:?}"
    );
}

/// What systemd does for a service: it names the process in variables, passes a socket as descriptor
/// 3 and executes the binary. `exec` keeps the id of the process.
const SERVICE_MANAGER: &str = r#"
    exec 3<&0 </dev/null
    export LISTEN_PID=$$ WATCHDOG_PID=$$
    exec "$0" "$@"
"#;

/// A server that a service manager starts with this HTTP socket and these variables.
fn spawn_as_service(http: &std::net::TcpListener, variables: &[(&str, &str)]) -> Server {
    let mut command = Command::new("/bin/sh");
    let socket = OwnedFd::from(http.try_clone().expect("cloned"));
    command
        .args(["-c", SERVICE_MANAGER, env!("CARGO_BIN_EXE_noom")])
        .stdin(Stdio::from(socket));
    let sockets = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "http")];
    let variables = [&sockets, variables].concat();
    // The port of `--listen` is taken, so that the test fails where the socket is not used.
    let taken = http.local_addr().expect("bound").to_string();
    Server::spawn_by(command, &taken, &[], &variables)
}

/// The states that a server reports to its service manager.
struct Notifications(tokio::net::UnixDatagram);

impl Notifications {
    /// Waits for a report of this state.
    async fn wait_for(&self, state: &str) {
        let received = async {
            loop {
                let mut bytes = [0; 1024];
                let length = self.0.recv(&mut bytes).await.expect("readable");
                let report = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if report.lines().any(|line| line == state) {
                    return;
                }
            }
        };
        timeout(PATIENCE, received).await.expect(state);
    }
}

#[tokio::test]
async fn the_service_manager_receives_ready_watchdog_and_stopping() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_nonblocking(true).expect("set");
    let reports = tokio::net::UnixDatagram::from_std(socket).expect("a socket");
    let reports = Notifications(reports);
    let http = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = http.local_addr().expect("bound");
    let path = path.display().to_string();
    let variables = [
        ("NOTIFY_SOCKET", path.as_str()),
        ("WATCHDOG_USEC", "200000"),
    ];
    let mut server = spawn_as_service(&http, &variables);
    reports.wait_for("READY=1").await;
    // What it was told is true: the server answers.
    server.wait_until_listening().await;
    assert_eq!(server.address, address);
    Person::join(&server).await.send_chat(1).await;
    for _ in 0..3 {
        reports.wait_for("WATCHDOG=1").await;
    }
    server.signal(Signal::TERM);
    reports.wait_for("STOPPING=1").await;
    assert!(server.wait_for_end().await.success());
}

#[tokio::test]
async fn a_connection_during_a_restart_waits_in_the_inherited_socket_and_is_answered() {
    let http = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let mut server = spawn_as_service(&http, &[]);
    server.wait_until_listening().await;
    Person::join(&server).await.send_chat(1).await;
    server.signal(Signal::TERM);
    let address = server.address;
    assert!(server.wait_for_end().await.success());

    let mut early = TcpStream::connect(address).await.expect("not refused");
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    early.write_all(request.as_bytes()).await.expect("sent");
    let mut server = spawn_as_service(&http, &[]);
    let mut answer = String::new();
    let read = early.read_to_string(&mut answer);
    timeout(PATIENCE, read)
        .await
        .expect("answered")
        .expect("read");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.wait_until_listening().await;
    Person::join(&server).await.send_chat(1).await;
}

#[tokio::test]
async fn an_inherited_socket_that_is_none_for_http_stops_the_start_with_one_line() {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SERVICE_MANAGER, env!("CARGO_BIN_EXE_noom")])
        .stdin(Stdio::null());
    let variables = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "http")];
    let mut server = Server::spawn_by(command, "127.0.0.1:0", &[], &variables);
    let line = server.wait_for_log("LISTEN_FDS").await;
    assert!(
        line.starts_with("noom: LISTEN_FDS: the inherited socket 0"),
        "{line}"
    );
    assert!(!server.wait_for_end().await.success());
}

/// Runs a command of the binary with these flags. Returns its status and what it prints.
fn run_command(words: &[&str], variables: &[(&str, &str)]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noom"));
    command
        .env_clear()
        .args(words)
        .envs(variables.iter().copied());
    let output = command.output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn health_succeeds_while_the_server_runs_and_fails_afterwards_each_in_one_line() {
    let (server, _) = Server::start(&[], &[]).await;
    let address = server.address.to_string();
    let alive = format!("http://{address}/healthz: alive\n");
    let ready = format!("http://{address}/readyz: ready\n");
    let listen = ("NOOM_LISTEN", address.as_str());
    assert_eq!(
        run_command(&["health"], &[listen]),
        (true, alive, String::new())
    );
    let asked = run_command(&["health", "--ready", "--listen", &address], &[]);
    assert_eq!(asked, (true, ready, String::new()));
    server.signal(Signal::TERM);
    assert!(server.wait_for_end().await.success());
    let (healthy, output, error) = run_command(&["health"], &[listen]);
    assert!(!healthy && output.is_empty(), "{output}");
    assert!(
        error.starts_with("noom: http://") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn printed_settings_used_as_the_file_print_the_same_values() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("noom.toml");
    let path = file.display().to_string();
    let variables = [("NOOM_KEEP_DAYS", "90")];
    let (done, first, _) = run_command(&["--p2p-max", "3", "config", "print"], &variables);
    assert!(
        done && first.contains("keep-days = 90 # NOOM_KEEP_DAYS\n"),
        "{first}"
    );
    assert!(first.contains("p2p-max = 3 # --p2p-max\n"), "{first}");
    fs::write(&file, &first).expect("written");
    let (done, second, _) = run_command(&["config", "print", "--config", &path], &[]);
    let values = |text: &str| -> Vec<String> {
        let values = text.lines().filter_map(|line| line.split(" # ").next());
        values.map(str::to_owned).collect()
    };
    assert!(done, "{second}");
    assert_eq!(values(&second), values(&first));
    let (done, output, error) = run_command(&["--p2p-max", "65", "config", "print"], &[]);
    assert!(
        !done && output.is_empty() && error.contains("--p2p-max"),
        "{error}"
    );
}

/// Sends a form. Returns the response.
async fn post_form(server: &Server, path: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    answer
}

#[tokio::test]
async fn a_server_without_an_operator_logs_a_one_time_link_and_no_other_secret() {
    let (mut server, _) = Server::start(&["--log", "trace"], &[]).await;
    let token = |line: &str| {
        let token = line.split("/admin/setup?token=").nth(1);
        let token = token.and_then(|rest| rest.split_whitespace().next());
        token.expect("a link").to_owned()
    };
    let first = server.wait_for_log("/admin/setup?token=").await;
    assert!(first.contains(&format!("http://{}/admin", server.address)));
    let reset = Command::new(env!("CARGO_BIN_EXE_noom"))
        .env_clear()
        .args(["admin", "reset", "--data-dir"])
        .arg(server.data.path())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&reset.stdout).into_owned();
    assert!(
        reset.status.success() && said.contains("there was no operator"),
        "{said}"
    );
    let second = token(&server.wait_for_log("/admin/setup?token=").await);
    assert_ne!(token(&first), second);
    let password = "canary-password-1";
    let body = format!("token={second}&password={password}&again={password}");
    let answer = post_form(&server, "/admin/setup", &body).await;
    let (_, cookie) = answer.split_once("noom_admin=").expect("a session");
    let (secret, _) = cookie.split_once(';').expect("attributes");
    post_form(&server, "/admin/sign-in", "password=canary-password-2").await;
    server.signal(Signal::TERM);
    let mut lines = 0;
    while let Some(line) = server.log.recv().await {
        assert!(!line.contains("canary") && !line.contains(secret), "{line}");
        lines += 1;
    }
    assert!(lines > 5, "the log is read");
}

/// The text of a field in a JSON frame.
fn field<'a>(frame: &'a str, name: &str) -> &'a str {
    let start = format!(r#""{name}":""#);
    let rest = frame.split_once(&start).expect(name).1;
    rest.split('"').next().expect("a text")
}

#[tokio::test]
async fn no_password_invite_key_name_or_line_of_a_private_room_is_in_the_log() {
    let (mut server, _) = Server::start(&["--log", "trace"], &[]).await;
    let mut host = Person::connect(&server).await;
    host.send(
        r#"{"type":"join","room":"team","nickname":"canary-ann","host_key":"canary-key-canary-key-"}"#,
    )
    .await;
    let joined = host.wait_for(r#""type":"joined""#).await;
    host.send(r#"{"type":"set_password","password":"canary-password-1"}"#)
        .await;
    host.wait_for(r#""type":"room_changed""#).await;
    host.send(r#"{"type":"set_room","lobby":true}"#).await;
    host.wait_for(r#""lobby":true"#).await;
    host.send(r#"{"type":"create_invite","role":"speaker","name":"canary-dan"}"#)
        .await;
    let invites = host.wait_for(r#""type":"invites""#).await;
    let token = field(&invites, "token").to_owned();
    let mut secrets = vec![field(&joined, "session").to_owned(), token.clone()];
    let tries = [
        (
            r#""password":"canary-password-2""#.to_owned(),
            "wrong_password",
        ),
        (
            r#""password":"canary-password-1","line":"canary-line""#.to_owned(),
            r#""type":"waiting""#,
        ),
        (format!(r#""invite":"{token}""#), r#""type":"joined""#),
        (
            r#""invite":"canary-token-canary-token-canary-t""#.to_owned(),
            "bad_invite",
        ),
        (
            r#""host_key":"canary-key-canary-kez-""#.to_owned(),
            "password_required",
        ),
    ];
    let mut people = Vec::new();
    for (shown, answer) in &tries {
        let mut person = Person::connect(&server).await;
        let join = format!(r#"{{"type":"join","room":"team","nickname":"canary-eve",{shown}}}"#);
        person.send(&join).await;
        let answer = person.wait_for(answer).await;
        if answer.contains(r#""session":"#) {
            secrets.push(field(&answer, "session").to_owned());
        }
        people.push(person);
    }
    assert_eq!(secrets.len(), 4);
    host.send(r#"{"type":"deny","reason":"canary-reason"}"#)
        .await;
    people[1].wait_for("canary-reason").await;
    server.signal(Signal::TERM);
    let mut lines = 0;
    while let Some(line) = server.log.recv().await {
        let leaked = secrets.iter().find(|secret| line.contains(*secret));
        assert!(!line.contains("canary") && leaked.is_none(), "{line}");
        lines += 1;
    }
    assert!(lines > 5, "the log is read");
}

/// Runs `noom doctor` with these flags before the command and behind it. Returns its success and
/// its standard output.
fn doctor(data: &Path, flags: &[&str], behind: &[&str]) -> (bool, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_noom"))
        .env_clear()
        .args(["--media-listen", "127.0.0.1:0", "--turn-listen", "off"])
        .arg("--data-dir")
        .arg(data)
        .args(flags)
        .arg("doctor")
        .args(behind)
        .output()
        .expect("runs");
    let text = String::from_utf8(run.stdout).expect("UTF-8");
    (run.status.success(), text)
}

#[test]
fn the_doctor_names_a_port_that_is_taken_and_finds_nothing_once_it_is_free() {
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().join("none-yet");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("bound").to_string();
    let flags = ["--metrics-listen", "off", "--listen", &address];
    let (is_well, text) = doctor(&data, &flags, &[]);
    assert!(!is_well, "{text}");
    let mut lines = text.lines();
    let sentence = format!("--listen: another program has {address}.");
    let found = lines.find(|line| line.contains(&sentence));
    assert!(
        found.is_some_and(|line| line.starts_with("failed")),
        "{text}"
    );
    let remedy = lines.next().expect("what mends it");
    assert!(remedy.trim().starts_with("-> End the program"), "{text}");
    assert_eq!(text.matches("failed  ").count(), 1, "{text}");
    drop(taken);
    let (is_well, text) = doctor(&data, &flags, &["--json"]);
    assert!(is_well, "{text}");
    let findings: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
    assert!(findings.len() >= 16, "{text}");
    assert!(
        findings
            .iter()
            .all(|finding| finding["outcome"] != "failed")
    );
    assert!(!data.exists(), "nothing is written");
}

#[tokio::test]
async fn the_doctor_asks_a_running_server_and_shows_no_secret() {
    let port = free_port();
    let metrics = format!("127.0.0.1:{port}");
    let secret = "stun:stun.example,turn:ann:hush-hush@turn.example";
    let flags = ["--metrics-listen", &metrics, "--ice-servers", secret];
    let (server, _) = Server::start(&flags, &[]).await;
    let data = server.data.path().to_owned();
    let ask = move || doctor(&data, &["--metrics-listen", &metrics], &[]);
    let asked = tokio::task::spawn_blocking(ask);
    let (is_well, text) = asked.await.expect("asked");
    assert!(is_well, "{text}");
    assert!(
        text.contains("The server runs and checked itself."),
        "{text}"
    );
    assert!(text.contains("TURN makes allocations"), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
}

/// The files of certificates in a data directory, with their contents.
fn certificate_files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(data.join("tls")).expect("a directory");
    let files = entries.map(|entry| {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        (name.into_owned(), fs::read(&path).expect("readable"))
    });
    files.collect()
}

/// The only file whose name ends like this.
fn only<'a>(files: &'a BTreeMap<String, Vec<u8>>, end: &str) -> &'a [u8] {
    let mut found = files.iter().filter(|(name, _)| name.ends_with(end));
    let (Some((_, bytes)), None) = (found.next(), found.next()) else {
        panic!("no file or several end with {end}: {:?}", files.keys());
    };
    bytes
}

/// The flags of a server that orders from Pebble.
fn acme_flags(authority: &pebble::Pebble) -> Vec<String> {
    let ca_file = authority.ca_file();
    let flags = [
        ["--domain", "meet.example.org"],
        ["--http-listen", "off"],
        ["--acme-directory", &authority.directory],
        ["--acme-ca-file", &ca_file],
        ["--turn-tls-listen", "127.0.0.1:0"],
    ];
    flags.into_iter().flatten().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_server_that_is_killed_in_mid_order_gets_its_certificate_after_the_restart() {
    let (validated, unused) = (pebble::free_port(), pebble::free_port());
    let Some(authority) = pebble::Pebble::start(validated, unused).await else {
        let _ = writeln!(std::io::stderr(), "skipped: Pebble is not installed");
        return;
    };
    let flags = acme_flags(&authority);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let address = ("127.0.0.1", validated);
    let validator = tokio::net::TcpListener::bind(address).await.expect("binds");
    let data = data_directory();
    let binary = || Command::new(env!("CARGO_BIN_EXE_noom"));
    let mut server = Server::spawn_in(data.clone(), binary(), "127.0.0.1:0", &flags, &[]);
    server.wait_until_listening().await;
    // The authority checks a challenge, so there is an order, and it is not ready.
    let validating = timeout(PATIENCE, validator.accept()).await;
    let validating = validating.expect("in time").expect("a connection");
    server.signal(Signal::KILL);
    assert!(!server.wait_for_end().await.success());
    drop((validating, validator));

    let killed = certificate_files(data.path());
    let account = only(&killed, ".json").to_vec();
    let credentials: serde_json::Value = serde_json::from_slice(&account).expect("whole");
    assert!(credentials["id"].is_string(), "the account is registered");
    assert_eq!(
        killed.len(),
        1,
        "nothing else is written: {:?}",
        killed.keys()
    );

    let listen = format!("127.0.0.1:{validated}");
    let mut server = Server::spawn_in(data.clone(), binary(), &listen, &flags, &[]);
    server
        .wait_for_log("the authority issued a certificate")
        .await;
    let issued = certificate_files(data.path());
    assert_eq!(only(&issued, ".json"), account, "the same account");
    let pem = String::from_utf8_lossy(only(&issued, ".pem"));
    assert_eq!(pem.matches("-----END CERTIFICATE-----").count(), 2, "{pem}");
    assert_eq!(pem.matches("-----END PRIVATE KEY-----").count(), 1);
    assert_eq!(issued.len(), 2, "{:?}", issued.keys());

    // Another end like that costs no order: the stored certificate is served.
    server.signal(Signal::KILL);
    server.wait_for_end().await;
    let mut server = Server::spawn_in(data.clone(), binary(), &listen, &flags, &[]);
    server.wait_until_listening().await;
    let stored = only(&issued, ".pem");
    assert_eq!(
        served_certificate(validated, stored).await,
        chain(stored)[0]
    );
    assert_eq!(certificate_files(data.path()), issued);
}

#[tokio::test]
async fn a_certificate_is_renewed_by_the_same_account_when_the_clock_says_so() {
    let Some(library) = faketime() else {
        let _ = writeln!(std::io::stderr(), "skipped: libfaketime is not installed");
        return;
    };
    let (port, unused) = (pebble::free_port(), pebble::free_port());
    let Some(authority) = pebble::Pebble::start(port, unused).await else {
        let _ = writeln!(std::io::stderr(), "skipped: Pebble is not installed");
        return;
    };
    let flags = acme_flags(&authority);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let (data, listen) = (data_directory(), format!("127.0.0.1:{port}"));
    let start = |days: u32| {
        let moved = format!("+{days}d");
        let variables = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", moved.as_str()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let command = Command::new(env!("CARGO_BIN_EXE_noom"));
        Server::spawn_in(data.clone(), command, &listen, &flags, &variables)
    };
    let issued = "the authority issued a certificate";
    let mut server = start(0);
    server.wait_for_log(issued).await;
    server.signal(Signal::TERM);
    assert!(server.wait_for_end().await.success());
    let first = certificate_files(data.path());

    // A third of the 90 days is left after 60.
    let mut server = start(50);
    server.wait_until_listening().await;
    let stored = only(&first, ".pem");
    assert_eq!(served_certificate(port, stored).await, chain(stored)[0]);
    server.signal(Signal::TERM);
    assert!(server.wait_for_end().await.success());
    assert_eq!(certificate_files(data.path()), first, "nothing is due");

    let mut server = start(65);
    server.wait_for_log(issued).await;
    let second = certificate_files(data.path());
    assert_eq!(only(&second, ".json"), only(&first, ".json"));
    let renewed = only(&second, ".pem");
    assert_ne!(chain(renewed)[0], chain(stored)[0]);
    assert_eq!(served_certificate(port, renewed).await, chain(renewed)[0]);
}

/// The library that moves the clock of a process, if it is installed.
fn faketime() -> Option<String> {
    let architecture = std::env::consts::ARCH;
    let path = format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1");
    Path::new(&path).exists().then_some(path)
}

/// The certificates of a chain in PEM.
fn chain(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>();
    all.expect("PEM")
}

/// The certificate of `meet.example.org` that is served, of the issuer of a stored chain.
async fn served_certificate(port: u16, stored: &[u8]) -> CertificateDer<'static> {
    let issuer = &chain(stored)[1];
    let stream = connect_tls(port, "meet.example.org", issuer).await;
    let stream = stream.expect("the certificate is trusted");
    let served = stream.get_ref().1.peer_certificates().expect("a chain");
    served[0].clone()
}

/// A request of an uploader with this session: its head, with the length of its body.
fn upload_head(method: &str, path: &str, session: &str, headers: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Tus-Resumable: 1.0.0\r\nNoom-Session: {session}\r\n{headers}\
         Content-Length: {length}\r\n\r\n"
    )
}

/// The answer to a request whose head and body are sent.
async fn answer_of(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("an answer").expect("read");
    answer
}

/// Begins an upload in the room `team`. Returns its path.
async fn begin_upload(server: &Server, session: &str, name: &str, length: usize) -> String {
    let name = base64::prelude::BASE64_STANDARD.encode(name);
    let headers = format!("Upload-Length: {length}\r\nUpload-Metadata: filename {name}\r\n");
    let head = upload_head("POST", "/uploads/team", session, &headers, 0);
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = String::from_utf8(answer_of(stream).await).expect("text");
    let mut lines = answer.lines();
    let location = lines.find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The name that says what a content is.
fn name_of(content: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(content);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that every stored message has its whole file and that the disk holds nothing else. Returns
/// the texts of the messages.
async fn check_files(server: &Server, joined: &str) -> Vec<String> {
    let joined: serde_json::Value = serde_json::from_str(joined).expect("JSON");
    let history = joined["history"].as_array().expect("a list");
    let mut names = std::collections::BTreeSet::new();
    for message in history {
        let file = &message["files"][0];
        let url = file["url"]
            .as_str()
            .unwrap_or_else(|| panic!("no file: {message}"));
        let head = format!("GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(server.address).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let answer = answer_of(stream).await;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let content = &answer[end.expect("a head") + 4..];
        assert_eq!(file["name"].as_str(), Some(name_of(content).as_str()));
        names.insert(name_of(content));
    }
    let files = server.data.path().join("files");
    let mut stored = std::collections::BTreeSet::new();
    for folder in fs::read_dir(&files).expect("a folder") {
        let folder = folder.expect("readable");
        let start = folder.file_name().into_string().expect("text");
        for entry in fs::read_dir(folder.path()).expect("a folder") {
            let rest = entry.expect("readable").file_name();
            stored.insert(format!("{start}{}", rest.into_string().expect("text")));
        }
    }
    assert_eq!(stored, names, "nothing is half kept");
    let texts = history.iter().map(|message| message["text"].as_str());
    texts
        .map(|text| text.unwrap_or_default().to_owned())
        .collect()
}

/// Where the server is killed.
#[derive(Debug, Clone, Copy)]
enum KillAt {
    /// After this many bytes of an upload.
    Byte(usize),
    /// After a message with the file was sent, and this many turns of the test's task.
    Commit(usize),
}

#[tokio::test]
async fn after_a_kill_at_any_moment_a_message_has_its_whole_file_or_neither_is_there() {
    let data = data_directory();
    let mut acknowledged = Vec::new();
    let mut seed = 0x9e37_79b9_u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for round in 0..16 {
        let command = Command::new(env!("CARGO_BIN_EXE_noom"));
        let mut server = Server::spawn_in(data.clone(), command, "127.0.0.1:0", &[], &[]);
        server.wait_until_listening().await;
        let mut ann = Person::connect(&server).await;
        let join = r#"{"type":"join","room":"team","nickname":"Ann"}"#;
        ann.send(join).await;
        let joined = ann.wait_for(r#""type":"joined""#).await;
        let session = field(&joined, "session").to_owned();
        let texts = check_files(&server, &joined).await;
        for text in &acknowledged {
            assert!(texts.contains(text), "{text} was acknowledged: {texts:?}");
        }
        let kill_at = match round % 2 {
            0 => KillAt::Byte(random(300_000)),
            _ => KillAt::Commit(random(400)),
        };
        let file: Vec<u8> = (0..300_000).map(|_| random(256).to_le_bytes()[0]).collect();
        for (number, content) in [&file[..100 + random(9_000)], &file]
            .into_iter()
            .enumerate()
        {
            let is_last = number == 1;
            let path = begin_upload(&server, &session, &name_of(content), content.len()).await;
            let headers = "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n";
            let head = upload_head("PATCH", &path, &session, headers, content.len());
            let mut stream = TcpStream::connect(server.address).await.expect("connects");
            stream.write_all(head.as_bytes()).await.expect("sent");
            if let (true, KillAt::Byte(bytes)) = (is_last, kill_at) {
                stream.write_all(&content[..bytes]).await.expect("sent");
                break;
            }
            stream.write_all(content).await.expect("sent");
            let answer = answer_of(stream).await;
            assert!(answer.starts_with(b"HTTP/1.1 204"), "{kill_at:?}");
            let id = format!("00000000-0000-4000-8000-{round:06}{number:06}");
            let file = path.rsplit('/').next().expect("an id");
            let text = format!("{round} {number}");
            let chat =
                format!(r#"{{"type":"chat","id":"{id}","text":"{text}","files":["{file}"]}}"#);
            ann.send(&chat).await;
            if let (true, KillAt::Commit(turns)) = (is_last, kill_at) {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                break;
            }
            ann.wait_for(&id).await;
            acknowledged.push(text);
        }
        server.signal(Signal::KILL);
        server.wait_for_end().await;
    }
    assert_eq!(acknowledged.len(), 16);
}

/// The largest resident memory of the process so far, in KiB.
fn peak_memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id()));
    let status = status.expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a number")
}

/// Sends a part of an upload that begins at `offset`: `parts` times the same bytes. Returns the answer.
async fn send_part(
    server: &Server,
    (path, session): (&str, &str),
    offset: usize,
    part: &[u8],
    parts: usize,
) -> Vec<u8> {
    let headers =
        format!("Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n");
    let head = upload_head("PATCH", path, session, &headers, part.len() * parts);
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    for _ in 0..parts {
        // A server that refuses the rest closes the connection.
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("an answer");
    answer
}

#[tokio::test]
async fn a_large_file_passes_through_a_server_whose_memory_stays_flat() {
    const PART: usize = 1 << 20;
    const PARTS: usize = 256;
    let (server, _) = Server::start(&["--max-file-size", "1073741824"], &[]).await;
    let mut ann = Person::connect(&server).await;
    ann.send(r#"{"type":"join","room":"team","nickname":"Ann"}"#)
        .await;
    let joined = ann.wait_for(r#""type":"joined""#).await;
    let session = field(&joined, "session");
    let part: Vec<u8> = (0..PART).map(|at| at.to_le_bytes()[at % 3]).collect();
    let before = peak_memory(&server);

    let path = begin_upload(&server, session, "large.bin", PART * PARTS).await;
    let answer = send_part(&server, (&path, session), 0, &part, PARTS).await;
    assert!(answer.starts_with(b"HTTP/1.1 204"));
    let id = "00000000-0000-4000-8000-000000000001";
    let file = path.rsplit('/').next().expect("an id");
    let chat = format!(r#"{{"type":"chat","id":"{id}","text":"","files":["{file}"]}}"#);
    ann.send(&chat).await;
    let sent: serde_json::Value = serde_json::from_str(&ann.wait_for(id).await).expect("JSON");
    let url = sent["files"][0]["url"].as_str().expect("a link");

    let head = format!("GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut read, mut buffer) = (0, vec![0; PART]);
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await {
            Ok(Ok(0)) => break,
            Ok(Ok(bytes)) => read += bytes,
            other => panic!("after {read} bytes: {other:?}"),
        }
    }
    assert!(read > PART * PARTS, "{read}");
    let grown = peak_memory(&server) - before;
    assert!(grown < 48 * 1024, "{grown} KiB for 256 MiB");
}

#[tokio::test]
async fn a_full_disk_refuses_a_file_and_the_room_goes_on() {
    const PART: usize = 1 << 20;
    // A file system of 24 MiB in a mount namespace of the server's own.
    let in_small_disk = "mount -t tmpfs -o size=24m,mode=700 tmpfs \"$DISK\" && exec \"$0\" \"$@\"";
    let allowed = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stderr(), "skipped: this user may not mount");
        return;
    }
    let data = data_directory();
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        in_small_disk,
        env!("CARGO_BIN_EXE_noom"),
    ]);
    let (disk, path) = (data.path().display().to_string(), std::env::var("PATH"));
    let path = path.expect("a path");
    let variables = [("DISK", disk.as_str()), ("PATH", path.as_str())];
    let flags = ["--disk-reserve", "0"];
    let mut server = Server::spawn_in(data, command, "127.0.0.1:0", &flags, &variables);
    server.wait_until_listening().await;
    let mut ann = Person::connect(&server).await;
    ann.send(r#"{"type":"join","room":"team","nickname":"Ann"}"#)
        .await;
    let joined = ann.wait_for(r#""type":"joined""#).await;
    let session = field(&joined, "session");
    ann.send_chat(1).await;

    let part = vec![7; PART];
    let path = begin_upload(&server, session, "first.bin", 4 * PART).await;
    let answer = send_part(&server, (&path, session), 0, &part, 4).await;
    assert!(answer.starts_with(b"HTTP/1.1 204"));
    // There is space when the second one begins, and none when its bytes arrive.
    let full = begin_upload(&server, session, "second.bin", 8 * PART).await;
    let filler = format!("/proc/{}/root{disk}/filler", server.process.id());
    let mut file = fs::File::create(&filler).expect("made");
    while file.write_all(&part).is_ok() {}
    let answer = send_part(&server, (&full, session), 0, &part, 8).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
    assert!(answer.contains("server_storage_full"), "{answer}");
    drop(file);
    fs::remove_file(&filler).expect("removed");

    // The one that failed is given up; the other becomes a message.
    let head = upload_head("DELETE", &full, session, "", 0);
    let mut stream = TcpStream::connect(server.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    assert!(answer_of(stream).await.starts_with(b"HTTP/1.1 204"));
    let id = "00000000-0000-4000-8000-000000000002";
    let file = path.rsplit('/').next().expect("an id");
    let chat = format!(r#"{{"type":"chat","id":"{id}","text":"","files":["{file}"]}}"#);
    // The server looks up the free space once a second.
    let sent = async {
        loop {
            ann.send(&chat).await;
            let answer = ann.wait_for(id).await;
            if answer.contains("first.bin") {
                return;
            }
            assert!(answer.contains("server_storage_full"), "{answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, sent).await.expect("there is space again");
    ann.send_chat(3).await;
}
