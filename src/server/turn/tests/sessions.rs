//! Credentials are worth what a stay in a call is: nothing once it has ended.

use super::super::{TurnLimits, options::CREDENTIALS_LIVE};
use super::harness::Bench;
use super::wire::{UDP, Writer};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

#[test]
fn join_take_credentials_leave_allocate_gets_nothing() {
    let bench = Bench::new(TurnLimits::default());
    for number in 0..200 {
        let guest = bench.guest(&format!("127.0.0.1:{}", 1024 + number), "eve", "lobby");
        bench.engine.table().forget("eve", "lobby");
        assert_eq!(bench.allocate(&guest).code, Some(401), "{number}");
    }
    assert_eq!(bench.engine.table().held(), (0, 0));
}

#[test]
fn the_end_of_a_stay_ends_its_allocations_and_no_others() {
    let bench = Bench::new(TurnLimits::default());
    let here = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let elsewhere = bench.guest("192.0.2.1:5001", "ada", "garden");
    let other = bench.guest("192.0.2.2:5000", "bob", "lobby");
    for guest in [&here, &elsewhere, &other] {
        assert_eq!(bench.allocate(guest).code, None);
    }
    bench.engine.table().forget("ada", "lobby");
    let refresh = |guest| bench.ask(guest, Writer::of(REFRESH_REQUEST)).code;
    assert_eq!(refresh(&here), Some(401));
    assert_eq!(refresh(&elsewhere), None);
    assert_eq!(refresh(&other), None);
}

#[test]
fn credentials_of_a_former_stay_prove_nothing_in_the_next_one() {
    let bench = Bench::new(TurnLimits::default());
    let former = bench.guest("192.0.2.1:5000", "ada", "lobby");
    bench.engine.table().forget("ada", "lobby");
    let next = bench.guest("192.0.2.1:5001", "ada", "lobby");
    assert_eq!(bench.allocate(&former).code, Some(401));
    assert_eq!(bench.allocate(&next).code, None);
}

#[test]
fn a_stay_is_forgotten_when_nothing_can_come_of_it_any_more() {
    let mut bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    bench.guest("192.0.2.2:5000", "bob", "lobby");
    assert_eq!(bench.allocate(&guest).code, None);
    bench.wait(CREDENTIALS_LIVE.as_secs());
    bench.engine.table().sweep(bench.now.instant);
    assert_eq!(bench.engine.table().stays(), 1, "who has an allocation");
    assert_eq!(bench.ask(&guest, Writer::of(REFRESH_REQUEST)).code, None);
    let end = Writer::of(REFRESH_REQUEST).with(Kind::Lifetime, &0_u32.to_be_bytes());
    assert_eq!(bench.ask(&guest, end).code, None);
    bench.engine.table().sweep(bench.now.instant);
    assert_eq!(bench.engine.table().stays(), 0);
}

#[test]
fn one_address_takes_no_more_than_its_share_however_many_people_it_is() {
    let bench = Bench::new(TurnLimits::default());
    let allocate = |source: String, number: usize| {
        let guest = bench.guest(&source, &format!("u{number}"), &format!("r{}", number / 4));
        bench.allocate(&guest).code
    };
    let eve = (0..150).filter(|n| allocate(format!("127.0.0.2:{}", 1024 + n), *n).is_none());
    assert_eq!(eve.count(), 64);
    assert_eq!(
        allocate("192.0.2.7:5000".into(), 1000),
        None,
        "an honest one"
    );
    let site = (0..500).filter(|n| {
        let source = format!("[2001:db8:0:{n:x}::1]:5000");
        allocate(source, 2000 + n).is_none()
    });
    assert_eq!(site.count(), 4 * 64);
}

#[test]
fn the_last_places_are_for_rooms_that_have_few() {
    let limits = TurnLimits {
        server: 20,
        reserved: 8,
        ..TurnLimits::default()
    };
    let bench = Bench::new(limits);
    let allocate = |number: usize, room: &str| {
        let source = format!("127.0.0.1:{}", 1024 + number);
        let guest = bench.guest(&source, &format!("u{number}"), room);
        bench.allocate(&guest).code
    };
    let large = (0..20).filter(|number| allocate(*number, "large").is_none());
    assert_eq!(large.count(), 12);
    assert_eq!(allocate(20, "large"), Some(508));
    for number in 0..8 {
        let room = format!("small {}", number / 4);
        assert_eq!(allocate(100 + number, &room), None, "{number}");
    }
    assert_eq!(allocate(200, "another"), Some(508), "all are taken");
}

#[test]
fn a_refresh_goes_on_for_as_long_as_the_stay_lasts() {
    let mut bench = Bench::new(TurnLimits::default());
    let mut guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
    assert_eq!(bench.ask(&guest, request).code, None);
    for minutes in (5..300).step_by(5) {
        bench.wait(300);
        bench.engine.table().sweep(bench.now.instant);
        let mut reply = bench.ask(&guest, Writer::of(REFRESH_REQUEST));
        if reply.code == Some(438) {
            guest.login.nonce = reply.nonce.unwrap();
            reply = bench.ask(&guest, Writer::of(REFRESH_REQUEST));
        }
        assert_eq!(reply.lifetime, Some(600), "at {minutes} minutes");
    }
    bench.engine.table().forget("ada", "lobby");
    let reply = bench.ask(&guest, Writer::of(REFRESH_REQUEST));
    assert_eq!(reply.code, Some(401));
}
