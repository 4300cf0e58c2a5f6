//! IPv4 and IPv6, changing addresses, and the HTTP methods of proxies.

use super::{
    guest::Guest,
    harness::{Client, TestApp, answer, get, long_timing, skipped, status, until},
};
use crate::protocol::{ClientMessage, Devices, ServerMessage};
use std::{
    net::{Ipv6Addr, SocketAddr},
    process::Command,
};
use tokio::net::TcpStream;

/// Set for tests that run in a network namespace of their own.
pub const INSIDE: &str = "INSIDE_A_NETWORK_NAMESPACE";

/// A connection to the server at `[::1]`; nothing if this machine has no IPv6, or if another
/// process uses the port there.
async fn by_ipv6(app: &TestApp) -> Option<TcpStream> {
    let address = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), app.address.port());
    TcpStream::connect(address).await.ok()
}

#[tokio::test]
async fn localhost_answers_in_both_families_and_a_socket_works_in_either() {
    let app = TestApp::start().await;
    let Some(stream) = by_ipv6(&app).await else {
        skipped("no IPv6 loopback, or its port is taken");
        return;
    };
    assert_eq!(status(&answer(stream, &get("/healthz")).await), 200);
    let mut ann = app.join("team", "Ann").await;
    let stream = by_ipv6(&app).await.expect("connects again");
    let url = format!("ws://[::1]:{}/ws", app.address.port());
    let upgraded = tokio_tungstenite::client_async(url, stream).await;
    let (_, response) = upgraded.expect("upgrades");
    assert_eq!(response.status(), 101);
    ann.send_chat("hello").await;
}

#[tokio::test]
async fn options_is_answered_with_the_methods_of_the_route() {
    let app = TestApp::start().await;
    // As HAProxy checks, without a Host.
    let check = app.http("OPTIONS / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&check), 204, "{check}");
    assert!(
        check.to_lowercase().contains("allow: get,head\r"),
        "{check}"
    );
    let options_of = async |target: &str| {
        let request =
            format!("OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        app.http(&request).await.to_lowercase()
    };
    for (target, methods) in [
        ("*", "get,head,post"),
        ("/room/team", "get,head"),
        ("/healthz", "get,head"),
        ("/readyz", "get,head"),
        ("/poll", "get,head,post"),
        ("/ws", "get,head,connect,post"),
        ("/api/post_message", "post"),
        ("/pkg/none.js", "get,head"),
    ] {
        let answer = options_of(target).await;
        assert_eq!(status(&answer), 204, "{target}: {answer}");
        assert!(
            answer.contains(&format!("allow: {methods}\r")),
            "{target}: {answer}"
        );
    }
    assert_eq!(status(&options_of("/none").await), 404);
}

#[tokio::test]
async fn options_lets_no_page_of_another_site_in() {
    let app = TestApp::start().await;
    let request = "OPTIONS /api/post_message HTTP/1.1\r\nHost: localhost\r\n\
                   Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                   Connection: close\r\n\r\n";
    let answer = app.http(request).await.to_lowercase();
    assert_eq!(status(&answer), 204, "{answer}");
    assert!(!answer.contains("access-control-allow"), "{answer}");
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let app = TestApp::start().await;
    for path in ["/", "/room/team", "/healthz", "/readyz"] {
        let head = app.http(&get(path).replacen("GET", "HEAD", 1)).await;
        assert_eq!(status(&head), 200, "{path}: {head}");
        let (_, body) = head.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, "", "{path}");
    }
}

#[tokio::test]
async fn http_1_1_without_a_host_is_400_and_http_1_0_is_served() {
    let app = TestApp::start().await;
    let new = app
        .http("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&new), 400, "{new}");
    let old = app.http("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), 200, "{old}");
}

/// Runs an ignored test in its own namespaces of network and mounts, after these commands of `ip`.
/// `test` names it below `tests`. Prints why the test is skipped if this machine does not allow that.
pub fn run_in_network_namespace(test: &str, commands: &[&str]) {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--map-root-user"]);
        command
    };
    let is_possible = |command: &str| {
        let run = unshare().arg("ip").args(command.split(' ')).output();
        run.is_ok_and(|run| run.status.success())
    };
    if !is_possible("link add probe type veth peer name probe1") {
        skipped("no rights to a network namespace, or no ip command");
        return;
    }
    let needs_ipv6 = commands.iter().any(|command| command.contains("::"));
    if needs_ipv6 && !is_possible("addr add 2001:db8::9/64 dev lo") {
        skipped("this machine has no IPv6");
        return;
    }
    let set_up = commands.iter().map(|command| format!("ip {command} && "));
    let set_up: String = set_up.collect();
    let this = std::env::current_exe().expect("a path");
    let this = this.display();
    let run = format!("{set_up}exec '{this}' --exact tests::{test} --ignored");
    let run = unshare().args(["sh", "-c", &run]).env(INSIDE, "1").output();
    let run = run.expect("runs");
    let said = String::from_utf8_lossy(&run.stdout);
    let wrong = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}\n{wrong}"
    );
}

/// A server with the default listening addresses, on free ports.
async fn on_every_address() -> TestApp {
    let flags = [
        "--p2p-max",
        "0",
        "--media-listen",
        "0.0.0.0:0",
        "--turn-listen",
        "0.0.0.0:0",
    ];
    TestApp::start_with(long_timing(), &flags).await
}

/// The TURN URLs that a client receives when it enters the call, in order.
async fn turn_offered(client: &mut Client) -> Vec<String> {
    client
        .send(&ClientMessage::EnterCall {
            leg: 1,
            devices: Devices::default(),
            hide_address: false,
        })
        .await;
    let servers = client.wait_for(|message| match message {
        ServerMessage::Call { ice_servers, .. } => Some(ice_servers),
        _ => None,
    });
    let urls = servers.await.into_iter().flat_map(|server| server.urls);
    let udp = urls.filter_map(|url| {
        let host = url.strip_suffix("?transport=udp")?.strip_prefix("turn:")?;
        Some(host.rsplit_once(':')?.0.to_owned())
    });
    udp.collect()
}

/// The addresses of the SFU's candidates, in order.
fn candidates(app: &TestApp) -> Vec<String> {
    let candidates = app.context.sfu.candidates();
    let mut ips: Vec<String> = candidates.iter().map(|c| c.ip().to_string()).collect();
    ips.dedup();
    ips
}

#[tokio::test]
async fn people_of_both_families_see_each_other_through_the_default_listeners() {
    if tokio::net::UdpSocket::bind("[::1]:0").await.is_err() {
        skipped("this machine has no IPv6");
        return;
    }
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let flags = [
            "--p2p-max",
            "0",
            "--media-listen",
            listen,
            "--media-ip",
            "127.0.0.1,::1",
        ];
        let app = TestApp::start_with(long_timing(), &flags).await;
        let mut ann = Guest::connect_from("127.0.0.1:0", &app, "team", "Ann").await;
        let mut ben = Guest::connect_from("[::1]:0", &app, "team", "Ben").await;
        ben.subscribe_to(&[&ann.id()]).await;
        ben.wait_for_video(&mut ann, 1).await;
        ann.subscribe_to(&[&ben.id()]).await;
        ann.wait_for_video(&mut ben, 2).await;
    }
}

#[tokio::test]
async fn browsers_receive_the_public_name_and_a_public_port_for_each_media_thread() {
    let flags = ["--media-ip", "localhost:40000", "--media-threads", "2"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let candidates = app.context.sfu.candidates();
    assert!(candidates.iter().all(|c| c.ip().is_loopback()));
    let mut ports: Vec<u16> = candidates.iter().map(SocketAddr::port).collect();
    ports.dedup();
    assert_eq!(ports, [40_000, 40_001], "{candidates:?}");
}

#[test]
fn a_machine_without_ipv4_is_offered_by_ipv6_for_media_and_turn() {
    run_in_network_namespace(
        "networks::inside_a_network_without_ipv4",
        &[
            "link set lo up",
            "link add eth0 type veth peer name eth0-far",
            "link set eth0-far up",
            "link set eth0 up",
            "addr add 2001:db8::5/64 dev eth0 nodad",
        ],
    );
}

#[tokio::test]
#[ignore = "runs in a network namespace, by the test above"]
async fn inside_a_network_without_ipv4() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let app = on_every_address().await;
    assert_eq!(candidates(&app), ["2001:db8::5"]);
    let mut eve = app.join("team", "Eve").await;
    assert_eq!(turn_offered(&mut eve).await, ["[2001:db8::5]"]);
    let mut ann = Guest::connect_from("[2001:db8::5]:0", &app, "team", "Ann").await;
    let mut ben = Guest::connect_from("[2001:db8::5]:0", &app, "team", "Ben").await;
    ben.subscribe_to(&[&ann.id()]).await;
    ben.wait_for_video(&mut ann, 1).await;
}

#[test]
fn a_bridge_listed_first_is_offered_last_and_a_new_address_is_offered_soon() {
    run_in_network_namespace(
        "networks::inside_a_network_with_a_bridge",
        &[
            "link set lo up",
            "link add docker0 type veth peer name docker0-far",
            "link set docker0-far up",
            "link set docker0 up",
            "addr add 172.17.0.1/16 dev docker0",
            "link add eth0 type veth peer name eth0-far",
            "link set eth0-far up",
            "link set eth0 up",
            "addr add 10.1.2.3/24 dev eth0",
        ],
    );
}

#[tokio::test]
#[ignore = "runs in a network namespace, by the test above"]
async fn inside_a_network_with_a_bridge() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let app = on_every_address().await;
    let expected = ["10.1.2.3", "172.17.0.1"];
    assert_eq!(candidates(&app), expected);
    let mut eve = app.join("team", "Eve").await;
    assert_eq!(turn_offered(&mut eve).await, expected);
    let ip = |arguments: &str| {
        let ip = Command::new("ip").args(arguments.split(' ')).status();
        assert!(ip.expect("runs").success(), "{arguments}");
    };
    ip("addr add 10.1.2.4/24 dev eth0");
    ip("addr del 10.1.2.3/24 dev eth0");
    // Secondary addresses go with the first one of their network.
    ip("addr replace 10.1.2.4/24 dev eth0");
    let changed = || candidates(&app) == ["10.1.2.4", "172.17.0.1"];
    until("the new address is offered", changed).await;
    let mut ann = app.join("team", "Ann").await;
    assert_eq!(turn_offered(&mut ann).await, ["10.1.2.4", "172.17.0.1"]);
    let mut ben = Guest::connect_from("10.1.2.4:0", &app, "team", "Ben").await;
    ben.wait_until_connected().await;
}
