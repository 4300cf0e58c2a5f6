//! Lifetimes of allocations, permissions and channels.

use super::super::{DropReason, TurnLimits};
use super::harness::{TestClient, TestEngine, sfu};
use super::wire::{UDP, Writer, channel_data};
use std::net::SocketAddr;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// A server and a client with an allocation.
fn server() -> (TestEngine, TestClient, SocketAddr) {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    let relayed = server.allocate(&client).relayed.unwrap();
    (server, client, relayed)
}

/// Sends a Refresh request with this LIFETIME; returns the error code and the granted lifetime.
fn refresh(
    server: &TestEngine,
    client: &mut TestClient,
    seconds: u32,
) -> (Option<u16>, Option<u32>) {
    let request = || Writer::of(REFRESH_REQUEST).with(Kind::Lifetime, &seconds.to_be_bytes());
    let mut reply = server.request(client, request());
    if reply.code == Some(438) {
        client.credentials.nonce = reply.nonce.unwrap();
        reply = server.request(client, request());
    }
    (reply.code, reply.lifetime)
}

#[test]
fn a_lifetime_is_at_most_ten_minutes() {
    let server = TestEngine::new(TurnLimits::default());
    let mut client = server.client("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST)
        .with(Kind::RequestedTransport, &UDP)
        .with(Kind::Lifetime, &u32::MAX.to_be_bytes());
    assert_eq!(server.request(&client, request).lifetime, Some(600));
    assert_eq!(refresh(&server, &mut client, u32::MAX), (None, Some(600)));
}

#[test]
fn an_allocation_without_refresh_expires() {
    let (mut server, mut client, _) = server();
    server.wait(599);
    assert_eq!(server.engine.allocations().count(server.now.instant), 1);
    server.wait(1);
    assert_eq!(server.engine.allocations().count(server.now.instant), 0);
    server.engine.allocations().sweep(server.now.instant);
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
    client.credentials = server.client("192.0.2.1:5000", "ada", "lobby").credentials;
    assert_eq!(refresh(&server, &mut client, 600), (Some(437), None));
}

#[test]
fn a_refresh_with_lifetime_zero_ends_the_allocation() {
    let (server, mut client, _) = server();
    assert_eq!(refresh(&server, &mut client, 0), (None, Some(0)));
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
    assert_eq!(refresh(&server, &mut client, 0).0, Some(437));
}

#[test]
fn a_relayed_address_ends_with_the_session_of_its_user() {
    let (server, _, relayed) = server();
    let other = server.client("192.0.2.2:5000", "bob", "lobby");
    let kept = server.allocate(&other).relayed.unwrap();
    server.engine.allocations().end_session("ada", "lobby");
    let now = server.now.instant;
    assert!(
        server
            .engine
            .allocations()
            .by_relay_address(relayed, now)
            .is_none()
    );
    assert!(
        server
            .engine
            .allocations()
            .by_relay_address(kept, now)
            .is_some()
    );
}

#[test]
fn a_permission_lasts_five_minutes_and_a_channel_ten() {
    let (mut server, client, relayed) = server();
    assert_eq!(server.permit(&client, &[sfu()]).code, None);
    let send = |server: &TestEngine| {
        server
            .engine
            .relay_media(sfu(), relayed, b"x", server.now.instant)
    };
    server.wait(299);
    assert!(send(&server));
    server.wait(1);
    assert!(!send(&server));
    let bind = || Writer::of(CHANNEL_BIND_REQUEST).channel(0x4001).peer(sfu());
    assert_eq!(server.request(&client, bind()).code, None);
    assert!(send(&server), "a channel installs a permission");
    let channel_drops = |server: &TestEngine| {
        server.send_frame(&client, &channel_data(0x4001, b"up", false));
        server
            .engine
            .stats
            .snapshot(0, 0)
            .dropped(DropReason::NoSenderPermission)
    };
    server.wait(298);
    assert_eq!(channel_drops(&server), 0);
    assert_eq!(
        server.request(&client, Writer::of(REFRESH_REQUEST)).code,
        None
    );
    server.wait(301);
    assert_eq!(channel_drops(&server), 0, "still bound");
    assert!(!send(&server), "but the permission has ended");
    server.wait(1);
    assert_eq!(channel_drops(&server), 1);
}

#[test]
fn packets_to_an_ended_allocation_are_dropped() {
    let (server, client, _) = server();
    let other = server.client("192.0.2.2:5000", "bob", "lobby");
    let kept = server.allocate(&other).relayed.unwrap();
    assert_eq!(server.permit(&client, &[kept]).code, None);
    server.engine.allocations().end_session("bob", "lobby");
    server.send(&client, kept, b"x");
    assert_eq!(
        server
            .engine
            .stats
            .snapshot(0, 0)
            .dropped(DropReason::NoReceiverPermission),
        1
    );
}

#[test]
fn a_retransmitted_allocate_gets_the_same_response_and_a_second_one_is_437() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
    let request = request.sign(&client.credentials).bytes();
    let first = server.send_frame(&client, &request).unwrap();
    let again = server.send_frame(&client, &request).unwrap();
    assert_eq!(first.relayed, again.relayed);
    assert_eq!(server.allocate(&client).code, Some(437));
    assert_eq!(server.engine.stats.snapshot(0, 0).allocated_total, 1);
}
