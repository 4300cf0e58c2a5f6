//! `noom health`: asks a running server for its health, for containers and scripts.

use super::CommandError;
use crate::server::net::sockets::counterpart;
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Time limit of the whole question. 3 s: `/readyz` takes at most 2.5 s.
pub const WITHIN: Duration = Duration::from_secs(3);
/// Bytes of a response that are read. 64 KiB: the server's own take less than one.
const MAX_RESPONSE: usize = 64 * 1024;
/// Characters of a foreign response that an error shows.
const MAX_SHOWN: usize = 100;

/// The part of the JSON of `/readyz` that explains its status.
#[derive(serde::Deserialize)]
struct Report {
    /// What is wrong, by component.
    problems: BTreeMap<String, String>,
}

/// Asks the server that listens at this address whether it lives or, with `ready`, whether it can
/// store messages. Returns a line that says so. The question is plain HTTP, which the server answers
/// on a listener of TLS, too.
///
/// # Errors
/// [`CommandError::Unhealthy`]: no answer within `within`, or another one than 200.
pub fn ask(listen: SocketAddr, ready: bool, within: Duration) -> Result<String, CommandError> {
    let until = Instant::now() + within;
    let path = if ready { "/readyz" } else { "/healthz" };
    let own = reachable(listen);
    let other = counterpart(own).filter(|_| listen.ip().is_unspecified());
    // Where a machine lacks a family, an unspecified address is served by the other one.
    let mut response = get(own, path, until);
    if let (Err(ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable), Some(other)) =
        (response.as_ref().map_err(std::io::Error::kind), other)
    {
        response = get(other, path, until);
    }
    let url = format!("http://{own}{path}");
    let response = response.map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                format!("no answer within {} ms", within.as_millis())
            }
            _ => error.to_string(),
        };
        CommandError::Unhealthy(format!("{url}: {reason}"))
    })?;
    match verdict(&response) {
        Ok(()) => Ok(format!("{url}: {}", if ready { "ready" } else { "alive" })),
        Err(reason) => Err(CommandError::Unhealthy(format!("{url}: {reason}"))),
    }
}

/// An address of this machine at which the listener is reached: loopback for an unspecified one.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
}

/// Sends a GET request and reads the response, at most [`MAX_RESPONSE`] of it.
fn get(address: SocketAddr, path: &str, until: Instant) -> std::io::Result<String> {
    let left = || match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(std::io::Error::from(ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut response, mut buffer) = (Vec::new(), [0; 4096]);
    while response.len() < MAX_RESPONSE {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => response.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&response).into_owned())
}

/// Whether a response says that all is well; otherwise why not, in one line.
fn verdict(response: &str) -> Result<(), String> {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
    let status = head.lines().next().unwrap_or_default();
    let code = status.strip_prefix("HTTP/1.1 ").unwrap_or_default();
    if code.starts_with("200") {
        return Ok(());
    }
    let report: Option<Report> = serde_json::from_str(body).ok();
    let problems = report.map(|report| {
        let problems = report.problems.iter();
        let problems = problems.map(|(part, problem)| format!("{part} {problem}"));
        problems.collect::<Vec<_>>().join(", ")
    });
    let reason = match problems {
        Some(problems) if !problems.is_empty() => format!("not ready: {problems}"),
        _ => format!("unexpected answer {status:?}"),
    };
    let printable = reason.chars().filter(|letter| !letter.is_control());
    Err(printable.take(MAX_SHOWN + MAX_SHOWN).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::{TestApp, long_timing};
    use std::net::TcpListener;

    /// Asks on a blocking thread. Returns the line, of success or of failure.
    async fn asks(listen: SocketAddr, ready: bool) -> Result<String, String> {
        let ask = move || ask(listen, ready, WITHIN).map_err(|error| error.to_string());
        let asked = tokio::task::spawn_blocking(ask);
        asked.await.expect("asked")
    }

    #[tokio::test]
    async fn a_healthy_server_is_alive_and_ready_at_an_unspecified_address_too() {
        let app = TestApp::start_with(long_timing(), &["--listen", "0.0.0.0:0"]).await;
        let url = format!("http://127.0.0.1:{}", app.address.port());
        assert_eq!(
            asks(app.address, false).await,
            Ok(format!("{url}/healthz: alive"))
        );
        assert_eq!(
            asks(app.address, true).await,
            Ok(format!("{url}/readyz: ready"))
        );
        let six = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), app.address.port());
        asks(six, true)
            .await
            .expect("the other family is asked as well");
        let address = app.address;
        app.stop().await;
        let line = asks(address, false).await.expect_err("nobody listens");
        assert!(line.contains("refused"), "{line}");
    }

    #[tokio::test]
    async fn a_server_that_serves_https_is_asked_on_the_same_port() {
        let timing = long_timing();
        let app = TestApp::start_with(timing, &["--tls", "self-signed"]).await;
        asks(app.address, false).await.expect("alive");
        asks(app.address, true).await.expect("ready");
    }

    #[tokio::test]
    async fn a_server_that_cannot_store_is_alive_and_not_ready_and_says_why() {
        let timing = long_timing();
        let reserve = ["--disk-reserve", "1000000000000000"];
        let app = TestApp::start_with(timing, &reserve).await;
        assert!(asks(app.address, false).await.is_ok());
        let line = asks(app.address, true).await.expect_err("not ready");
        assert!(
            line.ends_with("not ready: disk is full or nearly so"),
            "{line}"
        );
    }

    /// A server that runs this on its only connection.
    fn serves(work: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || work(listener.accept().expect("accepted").0));
        address
    }

    #[test]
    fn a_server_that_is_silent_or_answers_in_drops_is_given_up_in_time() {
        let within = Duration::from_millis(200);
        let silent = serves(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
        let dripping = serves(|mut stream| {
            while stream.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for address in [silent, dripping] {
            let began = Instant::now();
            let line = ask(address, false, within)
                .expect_err("given up")
                .to_string();
            assert!(line.ends_with("no answer within 200 ms"), "{line}");
            assert!(began.elapsed() < 10 * within, "{:?}", began.elapsed());
        }
    }

    #[test]
    fn another_answer_is_shown_in_one_bounded_line() {
        let endless = serves(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
        let line = ask(endless, false, WITHIN)
            .expect_err("no HTTP")
            .to_string();
        assert!(
            line.contains("unexpected answer") && line.len() < 300,
            "{line}"
        );
        for (response, expected) in [
            (
                "HTTP/1.1 404 Not Found\r\n\r\nno",
                "unexpected answer \"HTTP/1.1 404 Not Found\"",
            ),
            (
                "HTTP/1.1 503 x\r\n\r\n{\"problems\":{}}",
                "unexpected answer \"HTTP/1.1 503 x\"",
            ),
            (
                "HTTP/1.1 503 x\r\n\r\n{\"problems\":{\"disk\":\"is\\nfull\"}}",
                "not ready: disk isfull",
            ),
            ("SSH-2.0-x\r\n", "unexpected answer \"SSH-2.0-x\""),
            ("", "unexpected answer \"\""),
        ] {
            assert_eq!(verdict(response), Err(expected.to_owned()), "{response}");
        }
    }
}
