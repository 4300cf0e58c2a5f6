//! Clients reach the SFU and other clients of this server, and no other address.

use super::super::TurnLimits;
use super::client::TestClient as SocketClient;
use super::harness::{TestClient, TestEngine, options, sfu, start};
use super::wire::Writer;
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, UdpSocket};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// IPv4 addresses that must be refused: each special-purpose range, and some public addresses.
const FORBIDDEN_V4: [&str; 40] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.17.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.1.254",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "233.252.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "100.100.100.200",
];

/// IPv6 addresses that must be refused, including those that embed an IPv4 address.
const FORBIDDEN_V6: [&str; 31] = [
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:1::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff05::1:3",
    "2606:4700:4700::1111",
];

/// A client with an allocation of this family: 1 is IPv4, 2 is IPv6.
fn client(server: &TestEngine, family: u8, source: &str, user: &str) -> (TestClient, SocketAddr) {
    let client = server.client(source, user, "lobby");
    let request = Writer::of(ALLOCATE_REQUEST)
        .with(Kind::RequestedTransport, &super::wire::UDP)
        .with(Kind::RequestedAddressFamily, &[family, 0, 0, 0]);
    let relayed = server.request(&client, request).relayed.unwrap();
    (client, relayed)
}

/// Sends a ChannelBind request; returns the error code.
fn bind(server: &TestEngine, client: &TestClient, peer: SocketAddr) -> Option<u16> {
    let request = Writer::of(CHANNEL_BIND_REQUEST).channel(0x4000).peer(peer);
    server.request(client, request).code
}

#[test]
fn forbidden_addresses_are_403_and_the_wrong_family_443() {
    let server = TestEngine::new(TurnLimits::default());
    let (four, _) = client(&server, 1, "192.0.2.1:5000", "ada");
    let (six, _) = client(&server, 2, "192.0.2.2:5000", "bob");
    let all = FORBIDDEN_V4.iter().chain(&FORBIDDEN_V6);
    for ip in all {
        // An unallocated relay port, or a port next to the SFU's, makes no address acceptable.
        for port in [9, 80, 3478, 10_001, 25_000] {
            let peer = SocketAddr::new(ip.parse().unwrap(), port);
            let codes = if peer.is_ipv4() {
                [403, 443]
            } else {
                [443, 403]
            };
            for (client, code) in [&four, &six].into_iter().zip(codes) {
                assert_eq!(server.permit(client, &[peer]).code, Some(code), "{peer}");
                assert_eq!(bind(&server, client, peer), Some(code), "{peer}");
            }
        }
    }
    assert_eq!(
        server.permit(&four, &[sfu()]).code,
        None,
        "the SFU is allowed"
    );
}

#[test]
fn the_sfu_is_allowed_at_its_exact_port_only() {
    let server = TestEngine::new(TurnLimits::default());
    let (client, _) = client(&server, 1, "192.0.2.1:5000", "ada");
    assert_eq!(
        server
            .permit(&client, &[SocketAddr::new(sfu().ip(), 10_001)])
            .code,
        Some(403)
    );
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:10000".parse().unwrap();
    assert_eq!(server.permit(&client, &[mapped]).code, Some(443));
    assert_eq!(bind(&server, &client, sfu()), None);
}

#[test]
fn a_relayed_address_is_a_valid_peer_while_it_is_allocated() {
    let server = TestEngine::new(TurnLimits::default());
    let (ada, own) = client(&server, 1, "192.0.2.1:5000", "ada");
    let (_, other) = client(&server, 1, "192.0.2.2:5000", "bob");
    let (_, six) = client(&server, 2, "192.0.2.3:5000", "eve");
    assert_eq!(server.permit(&ada, &[other]).code, None);
    assert_eq!(
        server.permit(&ada, &[own]).code,
        Some(403),
        "a client cannot permit itself"
    );
    assert_eq!(server.permit(&ada, &[six]).code, Some(443));
    let crossed = SocketAddr::new(own.ip(), six.port());
    if crossed.port() != other.port() {
        assert_eq!(
            server.permit(&ada, &[crossed]).code,
            Some(403),
            "a relay port of the other family is not enough"
        );
    }
    server.engine.allocations().end_session("bob", "lobby");
    assert_eq!(server.permit(&ada, &[other]).code, Some(403));
}

#[test]
fn one_forbidden_peer_refuses_the_whole_request() {
    let server = TestEngine::new(TurnLimits::default());
    let (ada, _) = client(&server, 1, "192.0.2.1:5000", "ada");
    let (_, other) = client(&server, 1, "192.0.2.2:5000", "bob");
    let bad: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let now = server.now.instant;
    for peers in [
        [sfu(), other, bad],
        [bad, sfu(), other],
        [sfu(), bad, other],
    ] {
        assert_eq!(server.permit(&ada, &peers).code, Some(403));
    }
    let form = |peer| {
        server
            .engine
            .allocations()
            .by_client(&ada.five_tuple, now)
            .unwrap()
            .permissions
            .encapsulation(peer, now)
    };
    assert!(
        form(sfu()).is_none() && form(other).is_none(),
        "no peer of a refused request is permitted"
    );
    assert_eq!(server.permit(&ada, &[sfu(), other]).code, None);
    assert!(form(sfu()).is_some() && form(other).is_some());
}

#[test]
fn the_65th_peer_of_an_allocation_is_508() {
    let limits = TurnLimits {
        per_user: 100,
        per_room: 100,
        ..TurnLimits::default()
    };
    let server = TestEngine::new(limits);
    let (ada, _) = client(&server, 1, "192.0.2.1:5000", "ada");
    let others: Vec<_> = (1..=65)
        .map(|port| client(&server, 1, &format!("127.0.0.1:{port}"), "bob").1)
        .collect();
    assert_eq!(server.permit(&ada, &others[..64]).code, None);
    assert_eq!(
        server.permit(&ada, &others[..64]).code,
        None,
        "a repetition refreshes"
    );
    assert_eq!(server.permit(&ada, &others[64..]).code, Some(508));
}

#[test]
fn a_send_indication_without_permission_is_dropped() {
    let server = TestEngine::new(TurnLimits::default());
    let (ada, _) = client(&server, 1, "192.0.2.1:5000", "ada");
    server.send(&ada, sfu(), b"x");
    server.send(&ada, "127.0.0.1:9".parse().unwrap(), b"x");
    let stats = server.engine.stats.snapshot(0, 0);
    assert_eq!(stats.tcp.bytes_in, 0);
    assert_eq!(
        stats.dropped(super::super::DropReason::NoSenderPermission),
        2
    );
}

#[tokio::test]
async fn a_local_socket_receives_nothing_from_the_relay() {
    let (turn, media) = start().await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Positive control: the socket receives packets.
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    sender
        .send_to(b"tweet", udp.local_addr().unwrap())
        .await
        .unwrap();
    let mut buffer = [0; 64];
    assert_eq!(udp.recv(&mut buffer).await.unwrap(), 5);

    for mut client in [
        SocketClient::udp(&turn, "ada", "lobby").await,
        SocketClient::tcp(&turn, "ada", "lobby").await,
    ] {
        client.allocate().await;
        for socket in [udp.local_addr().unwrap(), tcp.local_addr().unwrap()] {
            assert_eq!(client.permit(socket).await, Some(403));
            assert_eq!(client.bind(0x4000, socket).await, Some(403));
            client.send(socket, b"x").await;
            client.send_on(0x4000, b"x").await;
        }
        // The same client may reach the SFU.
        assert_eq!(client.permit(sfu()).await, None);
        client.send(sfu(), b"heard").await;
    }
    assert_eq!(media.wait_for(2).await.len(), 2);
    let silence = Duration::from_millis(200);
    assert!(
        tokio::time::timeout(silence, udp.recv(&mut buffer))
            .await
            .is_err()
    );
    assert!(tokio::time::timeout(silence, tcp.accept()).await.is_err());
}

#[test]
fn invalid_external_addresses_and_realms_are_refused() {
    let mut invalid = options();
    for ip in [
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "::ffff:192.0.2.1",
    ] {
        invalid.external = vec![ip.parse().unwrap()];
        assert!(invalid.check().is_err(), "{ip}");
    }
    for realm in [String::new(), "a\"b".into(), "a\nb".into(), "x".repeat(128)] {
        let invalid = super::super::TurnOptions { realm, ..options() };
        assert!(invalid.check().is_err());
    }
    assert!(options().check().is_ok());
}
