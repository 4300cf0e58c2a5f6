//! Limits on allocations, bandwidth and unauthenticated requests.

use super::super::{
    DropReason, Refusal, TurnLimits,
    options::{RELAY_PORTS, UNAUTHENTICATED_RATE},
};
use super::harness::{TestEngine, rates, sfu};
use super::wire::Writer;
use crate::server::net::AddressRateLimiter;
use std::{collections::HashSet, num::NonZeroU32};
use turn_server::codec::message::methods::*;

#[test]
fn the_25th_allocation_of_a_user_is_486() {
    let server = TestEngine::new(TurnLimits::default());
    for port in 1..=25 {
        let client = server.client(&format!("192.0.2.1:{port}"), "ada", "lobby");
        let expected = if port == 25 { Some(486) } else { None };
        assert_eq!(server.allocate(&client).code, expected);
    }
    let other = server.client("192.0.2.1:26", "bob", "lobby");
    assert_eq!(server.allocate(&other).code, None, "the limit is per user");
    server.engine.allocations().end_session("ada", "lobby");
    let again = server.client("192.0.2.1:27", "ada", "lobby");
    assert_eq!(server.allocate(&again).code, None);
    assert_eq!(
        server
            .engine
            .stats
            .snapshot(0, 0)
            .refusals(Refusal::AllocationQuota),
        1
    );
}

#[test]
fn the_321st_allocation_of_a_room_is_486_and_the_2001st_of_all_is_508() {
    // Another test covers the limits per address and for small rooms.
    let limits = TurnLimits {
        per_address: 1000,
        reserved_for_small_rooms: 0,
        ..TurnLimits::default()
    };
    let server = TestEngine::new(limits);
    let allocate = |user: usize, room: usize| {
        let source = format!("10.{room}.{}.{}:5000", user / 250, user % 250);
        let client = server.client(&source, &format!("u{user}-{room}"), &format!("r{room}"));
        server.allocate(&client).code
    };
    for user in 0..320 {
        assert_eq!(allocate(user, 0), None);
    }
    assert_eq!(allocate(320, 0), Some(486));
    for number in 320..2000 {
        assert_eq!(allocate(number % 320, number / 320), None, "{number}");
    }
    assert_eq!(allocate(0, 99), Some(508));
    assert_eq!(server.engine.allocations().entry_counts(), (2000, 2000));
}

#[test]
fn relay_ports_are_unique_and_in_range() {
    let limits = TurnLimits {
        per_user: 300,
        per_room: 300,
        ..TurnLimits::default()
    };
    let server = TestEngine::new(limits);
    let mut ports = HashSet::new();
    for port in 1..=300 {
        let client = server.client(&format!("127.0.0.1:{port}"), "ada", "lobby");
        assert!(ports.insert(server.allocate(&client).relayed.unwrap().port()));
    }
    assert!(ports.iter().all(|port| RELAY_PORTS.contains(port)));
    assert_eq!(RELAY_PORTS, 20_000..=29_999);
}

#[test]
fn packets_beyond_the_bandwidth_are_dropped_in_both_directions() {
    let limits = TurnLimits {
        bytes_per_second: NonZeroU32::new(5 * 1064).unwrap(),
        ..TurnLimits::default()
    };
    let server = TestEngine::new(limits);
    let mut client = server.client("192.0.2.1:5000", "ada", "lobby");
    let relayed = server.allocate(&client).relayed.unwrap();
    server.permit(&client, &[sfu()]);
    for _ in 0..20 {
        server.send(&client, sfu(), &[0; 1000]);
        server
            .engine
            .relay_media(sfu(), relayed, &[0; 1000], server.now.instant);
    }
    let stats = server.engine.stats.snapshot(0, 0);
    assert!((5000..=9000).contains(&stats.tcp.bytes_in), "{stats:?}");
    assert!((5000..=9000).contains(&stats.tcp.bytes_out), "{stats:?}");
    assert!(
        (22..=30).contains(&stats.dropped(DropReason::Bandwidth)),
        "{stats:?}"
    );
    let mut received = || std::iter::from_fn(|| client.inbox.try_recv().ok()).count();
    assert!((5..=9).contains(&received()));
    // Small packets are charged for their headers.
    for _ in 0..2_000 {
        let now = server.now.instant;
        server.engine.relay_media(sfu(), relayed, &[0], now);
    }
    assert!(received() < 200);
}

/// Sends `packets` of 936 bytes from each of these addresses to the SFU, each by an allocation of
/// its own. Returns the bytes that were relayed.
fn flood(server: &TestEngine, addresses: &[&str], packets: usize) -> u64 {
    let before = server.engine.stats.snapshot(0, 0).tcp.bytes_in;
    for (number, address) in addresses.iter().enumerate() {
        let client = server.client(address, &format!("user{number}-{before}"), "lobby");
        assert_eq!(server.allocate(&client).code, None);
        server.permit(&client, &[sfu()]);
        for _ in 0..packets {
            server.send(&client, sfu(), &[0; 936]);
        }
    }
    server.engine.stats.snapshot(0, 0).tcp.bytes_in - before
}

#[test]
fn one_address_has_its_bandwidth_however_many_allocations_it_makes() {
    let limits = TurnLimits::default();
    // A packet of 936 bytes costs 1000.
    let server = TestEngine::with_rates(limits, rates("relay-bytes=1000/20000", ""));
    let ports: Vec<String> = (1..=5).map(|port| format!("192.0.2.1:{port}")).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let relayed = flood(&server, &ports, 20) / 936;
    assert!((20..=24).contains(&relayed), "{relayed} of 100 packets");
    let stats = server.engine.stats.snapshot(0, 0);
    assert_eq!(stats.dropped(DropReason::AddressBandwidth), 100 - relayed);
    // Another subscriber has its own; a /64 of IPv6 is one subscriber.
    assert_eq!(flood(&server, &["192.0.2.2:1"], 20) / 936, 20);
    let of_a_64 = ["[2001:db8::1]:1", "[2001:db8::2]:1"];
    let relayed = flood(&server, &of_a_64, 20) / 936;
    assert!((20..=24).contains(&relayed), "{relayed} of 40 packets");
}

#[test]
fn all_clients_together_have_the_total_bandwidth_and_loopback_counts() {
    let limits = TurnLimits::default();
    let server = TestEngine::with_rates(limits, rates("", "relay-bytes=1000/30000"));
    let clients = ["192.0.2.1:1", "192.0.2.2:1", "127.0.0.1:1"];
    let relayed = flood(&server, &clients, 20) / 936;
    assert!((30..=34).contains(&relayed), "{relayed} of 60 packets");
    let stats = server.engine.stats.snapshot(0, 0);
    assert_eq!(stats.dropped(DropReason::TotalBandwidth), 60 - relayed);
}

#[test]
fn what_the_sfu_sends_counts_against_the_address_that_receives_it() {
    let limits = TurnLimits::default();
    let server = TestEngine::with_rates(limits, rates("relay-bytes=1000/20000", ""));
    let client = server.client("192.0.2.1:1", "ada", "lobby");
    let relayed = server.allocate(&client).relayed.unwrap();
    server.permit(&client, &[sfu()]);
    let now = server.now.instant;
    let sent = (0..50).filter(|_| server.engine.relay_media(sfu(), relayed, &[0; 936], now));
    let sent = sent.count();
    assert!((20..=24).contains(&sent), "{sent} of 50 packets");
}

#[test]
fn unauthenticated_responses_are_limited_per_address_except_loopback() {
    let throttle = AddressRateLimiter::new(UNAUTHENTICATED_RATE);
    let count = |ip: &str| {
        (0..1000)
            .filter(|_| throttle.allow(ip.parse().unwrap()))
            .count()
    };
    assert!((200..400).contains(&count("192.0.2.1")));
    assert!((200..400).contains(&count("2001:db8:1::1")));
    assert!(
        count("2001:db8:1::2") < 100,
        "the same /64 is the same subscriber"
    );
    assert_eq!(count("127.0.0.1"), 1000);
    assert_eq!(count("::1"), 1000);
}

#[test]
fn an_address_over_the_unauthenticated_rate_can_still_allocate() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(BINDING_REQUEST).bytes();
    let answered = (0..1000)
        .filter(|_| server.send_frame(&client, &request).is_some())
        .count();
    assert!((190..400).contains(&answered), "{answered}");
    assert_eq!(server.allocate(&client).code, None);
    assert!(
        server
            .engine
            .stats
            .snapshot(0, 0)
            .dropped(DropReason::UnauthenticatedRate)
            > 500
    );
}
