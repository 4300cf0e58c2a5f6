//! Pebble, an authority for tests that checks signatures and challenges as public authorities do.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// How long Pebble may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Validity of its certificates. 90 days, as public authorities have it.
const VALIDITY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A running Pebble with a DNS server that resolves every name to loopback.
pub struct Pebble {
    processes: [Child; 2],
    /// URL of the directory.
    pub directory: String,
    /// Address of the management, which has the roots.
    pub management: String,
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
pub fn free_port() -> u16 {
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
    pub async fn start(tls_port: u16, http_port: u16) -> Option<Self> {
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
            "certificateValidityPeriod": VALIDITY.as_secs(),
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
            management: format!("127.0.0.1:{management}"),
            files,
        };
        let up = async {
            while TcpStream::connect(("127.0.0.1", listen)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, up).await.expect("Pebble listens");
        Some(pebble)
    }

    /// The file with the certificate that its clients trust.
    pub fn ca_file(&self) -> String {
        Path::new(self.files.path())
            .join("ca.pem")
            .display()
            .to_string()
    }
}
