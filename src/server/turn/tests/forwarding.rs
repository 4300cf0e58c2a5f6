//! Packets between clients, and between clients and the SFU.

use super::super::{DropReason, Turn};
use super::client::{Packet, TestClient};
use super::harness::{sfu, start};
use std::net::SocketAddr;

/// Two clients with allocations, each over UDP or TCP.
async fn pair(turn: &Turn, tcp: [bool; 2]) -> [(TestClient, SocketAddr); 2] {
    let mut clients = Vec::new();
    for (user, tcp) in ["ada", "bob"].into_iter().zip(tcp) {
        let mut client = match tcp {
            true => TestClient::tcp(turn, user, "lobby").await,
            false => TestClient::udp(turn, user, "lobby").await,
        };
        let relayed = client.allocate().await;
        clients.push((client, relayed));
    }
    clients.try_into().ok().expect("two of them")
}

/// All combinations of transports of two clients; true is TCP.
const TRANSPORT_PAIRS: [[bool; 2]; 4] =
    [[false, false], [false, true], [true, false], [true, true]];

#[tokio::test]
async fn two_clients_exchange_indications_over_any_transports() {
    for transports in TRANSPORT_PAIRS {
        let (turn, _media) = start().await;
        let [(mut ada, at_ada), (mut bob, at_bob)] = pair(&turn, transports).await;
        assert_eq!(ada.permit(at_bob).await, None);
        assert_eq!(bob.permit(at_ada).await, None);
        for length in [0, 1, 2, 3, 4, 1200, 2000] {
            let payload = vec![7; length];
            ada.send(at_bob, &payload).await;
            assert_eq!(bob.packet().await, Packet::Data(at_ada, payload.clone()));
            bob.send(at_ada, &payload).await;
            assert_eq!(ada.packet().await, Packet::Data(at_bob, payload));
        }
    }
}

#[tokio::test]
async fn two_clients_exchange_channel_data_over_any_transports() {
    for transports in TRANSPORT_PAIRS {
        let (turn, _media) = start().await;
        let [(mut ada, at_ada), (mut bob, at_bob)] = pair(&turn, transports).await;
        assert_eq!(ada.bind(0x4001, at_bob).await, None);
        assert_eq!(bob.bind(0x4FFF, at_ada).await, None);
        for length in [0, 1, 2, 3, 4, 1200, 2000] {
            let payload = vec![7; length];
            ada.send_on(0x4001, &payload).await;
            assert_eq!(bob.packet().await, Packet::Channel(0x4FFF, payload.clone()));
            bob.send_on(0x4FFF, &payload).await;
            assert_eq!(ada.packet().await, Packet::Channel(0x4001, payload));
        }
    }
}

#[tokio::test]
async fn channel_data_becomes_an_indication_for_a_peer_without_a_channel() {
    let (turn, _media) = start().await;
    let [(mut ada, at_ada), (mut bob, at_bob)] = pair(&turn, [false, true]).await;
    assert_eq!(ada.bind(0x4001, at_bob).await, None);
    assert_eq!(bob.permit(at_ada).await, None);
    ada.send_on(0x4001, b"up").await;
    assert_eq!(bob.packet().await, Packet::Data(at_ada, b"up".to_vec()));
    bob.send(at_ada, b"down").await;
    assert_eq!(
        ada.packet().await,
        Packet::Channel(0x4001, b"down".to_vec())
    );
}

#[tokio::test]
async fn a_client_receives_only_from_permitted_peers() {
    let (turn, _media) = start().await;
    let [(mut ada, at_ada), (mut bob, at_bob)] = pair(&turn, [false, false]).await;
    assert_eq!(ada.permit(at_bob).await, None);
    ada.send(at_bob, b"unwanted").await;
    assert!(bob.receives_nothing().await);
    assert_eq!(turn.stats().dropped(DropReason::NoReceiverPermission), 1);
    assert_eq!(bob.permit(at_ada).await, None);
    ada.send(at_bob, b"wanted").await;
    assert_eq!(bob.packet().await, Packet::Data(at_ada, b"wanted".to_vec()));
}

#[tokio::test]
async fn a_client_and_the_sfu_exchange_packets_without_a_socket() {
    for tcp in [false, true] {
        let (turn, media) = start().await;
        let [(mut ada, at_ada), _] = pair(&turn, [tcp, tcp]).await;
        let relay = turn.relay();
        assert!(!relay.send(sfu(), at_ada, b"too early"));
        assert_eq!(ada.permit(sfu()).await, None);
        ada.send(sfu(), b"one").await;
        assert_eq!(media.wait_for(1).await, [(at_ada, sfu(), b"one".to_vec())]);
        assert!(relay.send(sfu(), at_ada, b"two"));
        assert_eq!(ada.packet().await, Packet::Data(sfu(), b"two".to_vec()));
        assert_eq!(ada.bind(0x4000, sfu()).await, None);
        ada.send_on(0x4000, b"three").await;
        assert_eq!(
            media.wait_for(2).await[1],
            (at_ada, sfu(), b"three".to_vec())
        );
        // From a thread without a Tokio runtime, as the threads of the SFU.
        let thread = std::thread::spawn(move || relay.send(sfu(), at_ada, b"four!"));
        assert!(thread.join().unwrap());
        assert_eq!(
            ada.packet().await,
            Packet::Channel(0x4000, b"four!".to_vec())
        );
    }
}

#[tokio::test]
async fn the_relay_sends_only_to_its_own_relayed_addresses() {
    let (turn, _media) = start().await;
    let relay = turn.relay();
    let at = |address: &str| address.parse::<SocketAddr>().unwrap();
    for ours in ["127.0.0.1:20000", "127.0.0.1:29999", "[::1]:25000"] {
        assert!(relay.owns(at(ours)), "{ours}");
        assert!(
            !relay.send(sfu(), at(ours), b"x"),
            "no client has this relayed address"
        );
    }
    for other in [
        "127.0.0.1:19999",
        "127.0.0.1:30000",
        "127.0.0.2:25000",
        "[::2]:25000",
    ] {
        assert!(!relay.owns(at(other)), "{other}");
        assert!(!relay.send(sfu(), at(other), b"x"), "{other}");
    }
    let mut ada = TestClient::udp(&turn, "ada", "lobby").await;
    let at_ada = ada.allocate().await;
    assert_eq!(ada.permit(sfu()).await, None);
    let other_port = SocketAddr::new(sfu().ip(), 10_001);
    assert!(
        !relay.send(other_port, at_ada, b"x"),
        "the client did not permit this peer"
    );
    assert!(
        !relay.send(sfu(), at_ada, &[0; 5000]),
        "the payload is larger than a frame"
    );
    assert!(relay.send(sfu(), at_ada, b"x"));
    drop(turn);
    assert!(!relay.send(sfu(), at_ada, b"x"), "the server has stopped");
}

#[tokio::test]
async fn relayed_bytes_are_counted_by_transport() {
    let (turn, media) = start().await;
    let [(mut ada, at_ada), (mut bob, at_bob)] = pair(&turn, [false, true]).await;
    ada.permit(at_bob).await;
    bob.permit(at_ada).await;
    ada.send(at_bob, &[0; 100]).await;
    bob.packet().await;
    bob.permit(sfu()).await;
    bob.send(sfu(), &[0; 30]).await;
    media.wait_for(1).await;
    let stats = turn.stats();
    assert_eq!((stats.udp.bytes_in, stats.udp.bytes_out), (100, 0));
    assert_eq!((stats.tcp.bytes_in, stats.tcp.bytes_out), (30, 100));
    assert_eq!(
        (stats.allocations, stats.allocated_total, stats.streams),
        (2, 2, 1)
    );
    turn.end_session("ada", "lobby");
    assert_eq!(turn.stats().allocations, 1);
}

#[tokio::test]
async fn a_binding_request_returns_the_reflexive_address() {
    use super::wire::Writer;
    use turn_server::codec::message::methods::*;
    let (turn, _media) = start().await;
    for mut client in [
        TestClient::udp(&turn, "ada", "lobby").await,
        TestClient::tcp(&turn, "ada", "lobby").await,
    ] {
        let reply = client
            .exchange(Writer::of(BINDING_REQUEST).bytes())
            .await
            .unwrap();
        assert_eq!(reply.method, BINDING_RESPONSE);
        assert!(reply.mapped.unwrap().ip().is_loopback());
    }
}

#[tokio::test]
async fn a_stopped_server_closes_connections_and_frees_its_port() {
    let (turn, _media) = start().await;
    let [(mut ada, _), (mut bob, _)] = pair(&turn, [true, false]).await;
    let address = turn.address();
    turn.stop().await;
    assert!(
        ada.is_closed_within(std::time::Duration::from_secs(1))
            .await
    );
    assert!(bob.receives_nothing().await);
    assert_eq!(turn.stats().allocations, 0);
    tokio::net::TcpListener::bind(address)
        .await
        .expect("the port is free again");
}
