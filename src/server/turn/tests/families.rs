//! IPv4 and IPv6 clients, machines with several addresses, and external addresses that change.

use super::super::{LocalPeer, Turn, TurnLimits, TurnOptions};
use super::client::{Packet, TestClient};
use super::harness::{RecordingPeer, TestEngine, options, sfu};
use super::wire::{Reply, Writer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, time::timeout};
use turn_server::codec::message::methods::*;

/// A server that listens on this wildcard address.
async fn start_on_wildcard(listen: &str) -> Turn {
    let options = TurnOptions {
        listen: listen.parse().unwrap(),
        ..options()
    };
    let media: Arc<dyn LocalPeer> = Arc::new(RecordingPeer::default());
    Turn::start(options, media).await.unwrap()
}

/// Sends a Binding request from `from` to `to`, on a socket that accepts responses from `to` only.
/// Returns the address of the socket and XOR-MAPPED-ADDRESS.
async fn mapped_address(from: &str, to: SocketAddr) -> (SocketAddr, Option<SocketAddr>) {
    let socket = UdpSocket::bind(from).await.unwrap();
    socket.connect(to).await.unwrap();
    let question = Writer::of(BINDING_REQUEST).bytes();
    socket.send(&question).await.unwrap();
    let mut answer = [0; 512];
    let size = timeout(Duration::from_secs(5), socket.recv(&mut answer)).await;
    let size = size
        .expect("an answer from the address that was asked")
        .unwrap();
    (
        socket.local_addr().unwrap(),
        Reply::read(&answer[..size]).mapped,
    )
}

#[tokio::test]
async fn every_server_address_responds_from_itself_with_the_clients_address() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let turn = start_on_wildcard(listen).await;
        let port = turn.address().port();
        for (from, to) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("127.0.0.1:0", "127.0.0.2"),
            ("127.0.0.3:0", "127.0.0.9"),
            ("[::1]:0", "::1"),
        ] {
            let to = SocketAddr::new(to.parse().unwrap(), port);
            if to.is_ipv6() && UdpSocket::bind("[::1]:0").await.is_err() {
                crate::tests::harness::skipped("this machine has no IPv6");
                continue;
            }
            let (own, mapped_address) = mapped_address(from, to).await;
            assert_eq!(mapped_address, Some(own), "{listen}: {from} to {to}");
        }
    }
}

#[tokio::test]
async fn clients_of_both_families_relay_to_each_other_by_udp_and_tcp() {
    let turn = start_on_wildcard("0.0.0.0:0").await;
    let port = turn.address().port();
    let mut relayed = Vec::new();
    for (user, to, tcp) in [
        ("ada", "127.0.0.1", false),
        ("bob", "127.0.0.1", true),
        ("cat", "::1", false),
        ("dan", "::1", true),
    ] {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        if to.is_ipv6() && UdpSocket::bind("[::1]:0").await.is_err() {
            crate::tests::harness::skipped("this machine has no IPv6");
            return;
        }
        let mut client = TestClient::connect(&turn, to, tcp, user).await;
        let address = client.allocate().await;
        assert!(
            address.is_ipv4(),
            "IPv4 is the default family for every client"
        );
        relayed.push((client, address));
    }
    let (mut ada, at_ada) = relayed.remove(0);
    for (mut other, at_other) in relayed {
        assert_eq!(ada.permit(at_other).await, None);
        assert_eq!(other.permit(at_ada).await, None);
        other.send(at_ada, b"up").await;
        assert_eq!(ada.packet().await, Packet::Data(at_other, b"up".to_vec()));
        ada.send(at_other, b"down").await;
        assert_eq!(other.packet().await, Packet::Data(at_ada, b"down".to_vec()));
    }
}

#[test]
fn one_client_port_can_allocate_at_each_server_address() {
    let server = TestEngine::new(TurnLimits::default());
    let mut client = server.client("192.0.2.1:5000", "ada", "lobby");
    let mut relayed = Vec::new();
    for local in ["198.51.100.1", "198.51.100.2"] {
        client.five_tuple.local = Some(local.parse().unwrap());
        server.fetch_challenge(&mut client);
        relayed.push(
            server
                .allocate(&client)
                .relayed
                .expect("an allocation for each address"),
        );
    }
    assert_ne!(relayed[0], relayed[1]);
}

#[test]
fn allocations_outlive_an_address_change_and_new_ones_use_the_new_address() {
    let server = TestEngine::new(TurnLimits::default());
    let ada = server.client("192.0.2.1:5000", "ada", "lobby");
    let before = server.allocate(&ada).relayed.unwrap();
    server.permit(&ada, &[sfu()]);
    server
        .engine
        .external
        .replace(vec!["127.0.0.7".parse().unwrap()]);
    let bob = server.client("192.0.2.2:5000", "bob", "lobby");
    let after = server.allocate(&bob).relayed.unwrap();
    assert_eq!(after.ip().to_string(), "127.0.0.7");
    let now = server.now.instant;
    assert!(server.engine.relay_media(sfu(), before, b"x", now));
    assert!(
        server.engine.external.owns(before.ip()),
        "packets to a former address stay in the process"
    );
    assert_eq!(
        server.permit(&bob, &[before]).code,
        None,
        "old and new allocations reach each other"
    );
}
