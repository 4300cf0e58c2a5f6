//! How much one may have.

use super::super::{
    Loss, Refusal, TurnLimits,
    options::{RELAY_PORTS, UNPROVEN},
};
use super::harness::{Bench, sfu};
use super::wire::Writer;
use crate::server::net::AddressRates;
use std::{collections::HashSet, num::NonZeroU32};
use turn_server::codec::message::methods::*;

#[test]
fn the_25th_allocation_of_a_user_is_486() {
    let bench = Bench::new(TurnLimits::default());
    for port in 1..=25 {
        let guest = bench.guest(&format!("192.0.2.1:{port}"), "ada", "lobby");
        let expected = if port == 25 { Some(486) } else { None };
        assert_eq!(bench.allocate(&guest).code, expected);
    }
    let other = bench.guest("192.0.2.1:26", "bob", "lobby");
    assert_eq!(bench.allocate(&other).code, None, "others are not in this");
    bench.engine.table().forget("ada", "lobby");
    let again = bench.guest("192.0.2.1:27", "ada", "lobby");
    assert_eq!(bench.allocate(&again).code, None);
    assert_eq!(bench.engine.stats.snapshot(0, 0).refused(Refusal::Quota), 1);
}

#[test]
fn the_321st_allocation_of_a_room_is_486_and_the_2001st_of_all_is_508() {
    // The limits of rooms and of all: those of addresses are another test's.
    let limits = TurnLimits {
        address: 1000,
        reserved: 0,
        ..TurnLimits::default()
    };
    let bench = Bench::new(limits);
    let allocate = |user: usize, room: usize| {
        let source = format!("10.{room}.{}.{}:5000", user / 250, user % 250);
        let guest = bench.guest(&source, &format!("u{user}-{room}"), &format!("r{room}"));
        bench.allocate(&guest).code
    };
    for user in 0..320 {
        assert_eq!(allocate(user, 0), None);
    }
    assert_eq!(allocate(320, 0), Some(486));
    for number in 320..2000 {
        assert_eq!(allocate(number % 320, number / 320), None, "{number}");
    }
    assert_eq!(allocate(0, 99), Some(508));
    assert_eq!(bench.engine.table().held(), (2000, 2000));
}

#[test]
fn relay_ports_are_each_ones_own_and_within_their_range() {
    let limits = TurnLimits {
        user: 300,
        room: 300,
        ..TurnLimits::default()
    };
    let bench = Bench::new(limits);
    let mut ports = HashSet::new();
    for port in 1..=300 {
        let guest = bench.guest(&format!("127.0.0.1:{port}"), "ada", "lobby");
        assert!(ports.insert(bench.allocate(&guest).relayed.unwrap().port()));
    }
    assert!(ports.iter().all(|port| RELAY_PORTS.contains(port)));
    assert_eq!(RELAY_PORTS, 20_000..=29_999);
}

#[test]
fn what_is_beyond_an_allocations_bandwidth_is_lost_both_ways() {
    let limits = TurnLimits {
        bytes_per_second: NonZeroU32::new(5 * 1064).unwrap(),
        ..TurnLimits::default()
    };
    let bench = Bench::new(limits);
    let mut guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let relayed = bench.allocate(&guest).relayed.unwrap();
    bench.permit(&guest, &[sfu()]);
    for _ in 0..20 {
        bench.send(&guest, sfu(), &[0; 1000]);
        bench
            .engine
            .relay_media(sfu(), relayed, &[0; 1000], bench.now.instant);
    }
    let stats = bench.engine.stats.snapshot(0, 0);
    assert!((5000..=9000).contains(&stats.tcp.bytes_in), "{stats:?}");
    assert!((5000..=9000).contains(&stats.tcp.bytes_out), "{stats:?}");
    assert!(
        (22..=30).contains(&stats.lost(Loss::Bandwidth)),
        "{stats:?}"
    );
    let mut received = || std::iter::from_fn(|| guest.inbox.try_recv().ok()).count();
    assert!((5..=9).contains(&received()));
    // Small ones cost their headers.
    for _ in 0..2_000 {
        let now = bench.now.instant;
        bench.engine.relay_media(sfu(), relayed, &[0], now);
    }
    assert!(received() < 200);
}

#[test]
fn an_address_without_credentials_is_answered_so_often_and_loopback_always() {
    let throttle = AddressRates::new(UNPROVEN);
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
fn beyond_that_it_hears_nothing_while_credentials_go_on_to_count() {
    let bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(BINDING_REQUEST).bytes();
    let answered = (0..1000)
        .filter(|_| bench.say(&guest, &request).is_some())
        .count();
    assert!((190..400).contains(&answered), "{answered}");
    assert_eq!(bench.allocate(&guest).code, None);
    assert!(bench.engine.stats.snapshot(0, 0).lost(Loss::Unproven) > 500);
}
