//! Call sessions: credentials and allocations end with the session. Also the limits per client
//! address and for small rooms.

use super::super::{TurnLimits, options::CREDENTIALS_LIFETIME};
use super::harness::TestEngine;
use super::wire::{UDP, Writer};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

#[test]
fn credentials_of_an_ended_session_cannot_allocate() {
    let server = TestEngine::new(TurnLimits::default());
    for number in 0..200 {
        let client = server.client(&format!("127.0.0.1:{}", 1024 + number), "eve", "lobby");
        server.engine.allocations().end_session("eve", "lobby");
        assert_eq!(server.allocate(&client).code, Some(401), "{number}");
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}

#[test]
fn the_end_of_a_session_ends_its_allocations_only() {
    let server = TestEngine::new(TurnLimits::default());
    let here = server.client("192.0.2.1:5000", "ada", "lobby");
    let elsewhere = server.client("192.0.2.1:5001", "ada", "garden");
    let other = server.client("192.0.2.2:5000", "bob", "lobby");
    for client in [&here, &elsewhere, &other] {
        assert_eq!(server.allocate(client).code, None);
    }
    server.engine.allocations().end_session("ada", "lobby");
    let refresh = |client| server.request(client, Writer::of(REFRESH_REQUEST)).code;
    assert_eq!(refresh(&here), Some(401));
    assert_eq!(refresh(&elsewhere), None);
    assert_eq!(refresh(&other), None);
}

#[test]
fn credentials_of_a_former_session_are_401_in_the_next() {
    let server = TestEngine::new(TurnLimits::default());
    let former = server.client("192.0.2.1:5000", "ada", "lobby");
    server.engine.allocations().end_session("ada", "lobby");
    let next = server.client("192.0.2.1:5001", "ada", "lobby");
    assert_eq!(server.allocate(&former).code, Some(401));
    assert_eq!(server.allocate(&next).code, None);
}

#[test]
fn a_session_is_removed_after_its_credentials_and_allocations_end() {
    let mut server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    server.client("192.0.2.2:5000", "bob", "lobby");
    assert_eq!(server.allocate(&client).code, None);
    server.wait(CREDENTIALS_LIFETIME.as_secs());
    server.engine.allocations().sweep(server.now.instant);
    assert_eq!(
        server.engine.allocations().session_count(),
        1,
        "the session with an allocation stays"
    );
    assert_eq!(
        server.request(&client, Writer::of(REFRESH_REQUEST)).code,
        None
    );
    let end = Writer::of(REFRESH_REQUEST).with(Kind::Lifetime, &0_u32.to_be_bytes());
    assert_eq!(server.request(&client, end).code, None);
    server.engine.allocations().sweep(server.now.instant);
    assert_eq!(server.engine.allocations().session_count(), 0);
}

#[test]
fn one_client_address_is_limited_whatever_the_number_of_users() {
    let server = TestEngine::new(TurnLimits::default());
    let allocate = |source: String, number: usize| {
        let client = server.client(&source, &format!("u{number}"), &format!("r{}", number / 4));
        server.allocate(&client).code
    };
    let eve = (0..150).filter(|n| allocate(format!("127.0.0.2:{}", 1024 + n), *n).is_none());
    assert_eq!(eve.count(), 64);
    assert_eq!(
        allocate("192.0.2.7:5000".into(), 1000),
        None,
        "another address is not affected"
    );
    let site = (0..500).filter(|n| {
        let source = format!("[2001:db8:0:{n:x}::1]:5000");
        allocate(source, 2000 + n).is_none()
    });
    assert_eq!(site.count(), 4 * 64);
}

#[test]
fn the_last_allocations_are_reserved_for_small_rooms() {
    let limits = TurnLimits {
        total: 20,
        reserved_for_small_rooms: 8,
        ..TurnLimits::default()
    };
    let server = TestEngine::new(limits);
    let allocate = |number: usize, room: &str| {
        let source = format!("127.0.0.1:{}", 1024 + number);
        let client = server.client(&source, &format!("u{number}"), room);
        server.allocate(&client).code
    };
    let large = (0..20).filter(|number| allocate(*number, "large").is_none());
    assert_eq!(large.count(), 12);
    assert_eq!(allocate(20, "large"), Some(508));
    for number in 0..8 {
        let room = format!("small {}", number / 4);
        assert_eq!(allocate(100 + number, &room), None, "{number}");
    }
    assert_eq!(allocate(200, "another"), Some(508), "the server is full");
}

#[test]
fn refreshes_succeed_until_the_session_ends() {
    let mut server = TestEngine::new(TurnLimits::default());
    let mut client = server.client("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
    assert_eq!(server.request(&client, request).code, None);
    for minutes in (5..300).step_by(5) {
        server.wait(300);
        server.engine.allocations().sweep(server.now.instant);
        let mut reply = server.request(&client, Writer::of(REFRESH_REQUEST));
        if reply.code == Some(438) {
            client.credentials.nonce = reply.nonce.unwrap();
            reply = server.request(&client, Writer::of(REFRESH_REQUEST));
        }
        assert_eq!(reply.lifetime, Some(600), "at {minutes} minutes");
    }
    server.engine.allocations().end_session("ada", "lobby");
    let reply = server.request(&client, Writer::of(REFRESH_REQUEST));
    assert_eq!(reply.code, Some(401));
}
