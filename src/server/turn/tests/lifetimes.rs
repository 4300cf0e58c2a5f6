//! When things end.

use super::super::{Loss, TurnLimits};
use super::harness::{Bench, Guest, sfu};
use super::wire::{UDP, Writer, channel_data};
use std::net::SocketAddr;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// A server and a guest with an allocation.
fn bench() -> (Bench, Guest, SocketAddr) {
    let bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let relayed = bench.allocate(&guest).relayed.unwrap();
    (bench, guest, relayed)
}

/// Asks for a lifetime.
fn refresh(bench: &Bench, guest: &mut Guest, seconds: u32) -> (Option<u16>, Option<u32>) {
    let request = || Writer::of(REFRESH_REQUEST).with(Kind::Lifetime, &seconds.to_be_bytes());
    let mut reply = bench.ask(guest, request());
    if reply.code == Some(438) {
        guest.login.nonce = reply.nonce.unwrap();
        reply = bench.ask(guest, request());
    }
    (reply.code, reply.lifetime)
}

#[test]
fn nobody_gets_more_than_ten_minutes_at_once() {
    let bench = Bench::new(TurnLimits::default());
    let mut guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST)
        .with(Kind::RequestedTransport, &UDP)
        .with(Kind::Lifetime, &u32::MAX.to_be_bytes());
    assert_eq!(bench.ask(&guest, request).lifetime, Some(600));
    assert_eq!(refresh(&bench, &mut guest, u32::MAX), (None, Some(600)));
}

#[test]
fn an_allocation_ends_by_itself() {
    let (mut bench, mut guest, _) = bench();
    bench.wait(599);
    assert_eq!(bench.engine.table().count(bench.now.instant), 1);
    bench.wait(1);
    assert_eq!(bench.engine.table().count(bench.now.instant), 0);
    bench.engine.table().sweep(bench.now.instant);
    assert_eq!(bench.engine.table().held(), (0, 0));
    guest.login = bench.guest("192.0.2.1:5000", "ada", "lobby").login;
    assert_eq!(refresh(&bench, &mut guest, 600), (Some(437), None));
}

#[test]
fn a_refresh_to_zero_ends_it() {
    let (bench, mut guest, _) = bench();
    assert_eq!(refresh(&bench, &mut guest, 0), (None, Some(0)));
    assert_eq!(bench.engine.table().held(), (0, 0));
    assert_eq!(refresh(&bench, &mut guest, 0).0, Some(437));
}

#[test]
fn whoever_is_forgotten_loses_their_allocations_and_nobody_else_does() {
    let (bench, _, relayed) = bench();
    let other = bench.guest("192.0.2.2:5000", "bob", "lobby");
    let kept = bench.allocate(&other).relayed.unwrap();
    bench.engine.table().forget("ada", "lobby");
    let now = bench.now.instant;
    assert!(bench.engine.table().at(relayed, now).is_none());
    assert!(bench.engine.table().at(kept, now).is_some());
}

#[test]
fn a_permission_lasts_five_minutes_and_a_channel_ten() {
    let (mut bench, guest, relayed) = bench();
    assert_eq!(bench.permit(&guest, &[sfu()]).code, None);
    let send = |bench: &Bench| {
        bench
            .engine
            .relay_media(sfu(), relayed, b"x", bench.now.instant)
    };
    bench.wait(299);
    assert!(send(&bench));
    bench.wait(1);
    assert!(!send(&bench));
    let bind = || Writer::of(CHANNEL_BIND_REQUEST).channel(0x4001).peer(sfu());
    assert_eq!(bench.ask(&guest, bind()).code, None);
    assert!(send(&bench), "a channel brings a permission along");
    let on_channel = |bench: &Bench| {
        bench.say(&guest, &channel_data(0x4001, b"up", false));
        bench.engine.stats.snapshot(0, 0).lost(Loss::NotAllowed)
    };
    bench.wait(298);
    assert_eq!(on_channel(&bench), 0);
    assert_eq!(bench.ask(&guest, Writer::of(REFRESH_REQUEST)).code, None);
    bench.wait(301);
    assert_eq!(on_channel(&bench), 0, "still bound");
    assert!(!send(&bench), "but the permission has ended");
    bench.wait(1);
    assert_eq!(on_channel(&bench), 1);
}

#[test]
fn what_is_sent_to_an_allocation_that_ended_is_lost() {
    let (bench, guest, _) = bench();
    let other = bench.guest("192.0.2.2:5000", "bob", "lobby");
    let kept = bench.allocate(&other).relayed.unwrap();
    assert_eq!(bench.permit(&guest, &[kept]).code, None);
    bench.engine.table().forget("bob", "lobby");
    bench.send(&guest, kept, b"x");
    assert_eq!(bench.engine.stats.snapshot(0, 0).lost(Loss::NotWanted), 1);
}

#[test]
fn a_lost_answer_is_given_again_and_a_second_allocation_is_not() {
    let bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
    let request = request.sign(&guest.login).bytes();
    let first = bench.say(&guest, &request).unwrap();
    let again = bench.say(&guest, &request).unwrap();
    assert_eq!(first.relayed, again.relayed);
    assert_eq!(bench.allocate(&guest).code, Some(437));
    assert_eq!(bench.engine.stats.snapshot(0, 0).allocated_total, 1);
}
