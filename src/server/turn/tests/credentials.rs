//! Who gets in: rules about names, passwords and nonces.

use super::super::{TurnLimits, credentials::Secret, stats::Refusal};
use super::harness::{Bench, Guest};
use super::wire::Writer;
use std::time::Duration;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// A server and a guest of it.
fn bench() -> (Bench, Guest) {
    let bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada", "lobby");
    (bench, guest)
}

#[test]
fn good_credentials_get_a_signed_answer() {
    let (bench, guest) = bench();
    let reply = bench.allocate(&guest);
    assert_eq!(reply.code, None);
    assert!(reply.is_signed(&guest.login.key()));
    assert_eq!(reply.mapped, Some(guest.client.source));
    assert_eq!(reply.lifetime, Some(600));
    let relayed = reply.relayed.unwrap();
    assert_eq!(relayed.ip().to_string(), "127.0.0.1");
    assert!((20_000..=29_999).contains(&relayed.port()));
}

#[test]
fn a_username_is_its_expiry_its_stay_its_user_and_its_room() {
    let (bench, guest) = bench();
    let (expiry, rest) = guest.login.username.split_once(':').unwrap();
    assert_eq!(rest, "1:ada:lobby");
    let expires = bench.now.wall + Duration::from_secs(300);
    let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(expiry, expires.as_secs().to_string());
}

#[test]
fn expired_credentials_start_nothing() {
    let (mut bench, guest) = bench();
    bench.wait(299);
    assert_eq!(
        bench.allocate(&guest).code,
        None,
        "they are good until the last second"
    );
    bench.engine.table().clear();
    bench.wait(1);
    let reply = bench.allocate(&guest);
    assert_eq!(reply.code, Some(401));
    assert_eq!(reply.realm.as_deref(), Some("noom"));
    assert!(reply.nonce.is_some());
}

#[test]
fn an_expiry_cannot_be_moved() {
    let (bench, mut guest) = bench();
    guest.login.username = format!("9{}", guest.login.username);
    assert_eq!(bench.allocate(&guest).code, Some(401));
}

#[test]
fn a_wrong_password_or_a_made_up_name_is_401() {
    let (bench, guest) = bench();
    for username in [
        "",
        "ada",
        "ada:lobby",
        "x:ada:lobby",
        "-1:ada:lobby",
        "99999999999::lobby",
        "99999999999:1::lobby",
        "99999999999:1:ada:lobby",
        "99999999999:x:ada:lobby",
    ] {
        let mut guest = bench.guest("192.0.2.1:5001", "ada", "lobby");
        guest.login.username = username.into();
        assert_eq!(bench.allocate(&guest).code, Some(401), "{username:?}");
    }
    let mut wrong = guest;
    wrong.login.password.push('x');
    assert_eq!(bench.allocate(&wrong).code, Some(401));
    assert_eq!(bench.engine.table().count(bench.now.instant), 0);
}

#[test]
fn the_secret_of_another_process_proves_nothing() {
    let (bench, mut guest) = bench();
    let holder = super::super::credentials::holder(&guest.login.username, bench.now.wall);
    let foreign = Secret::random().credentials(&holder.unwrap(), bench.now.wall);
    (guest.login.username, guest.login.password) = (foreign.username, foreign.password);
    assert_eq!(bench.allocate(&guest).code, Some(401));
}

#[test]
fn a_username_in_a_name_does_not_become_another_users() {
    let bench = Bench::new(TurnLimits::default());
    let guest = bench.guest("192.0.2.1:5000", "ada:x", "lobby");
    assert_eq!(bench.allocate(&guest).code, None);
    bench.engine.table().forget("ada", "lobby");
    assert_eq!(bench.engine.table().count(bench.now.instant), 1);
    bench.engine.table().forget("ada:x", "lobby");
    assert_eq!(bench.engine.table().count(bench.now.instant), 0);
}

#[test]
fn an_old_or_foreign_nonce_is_438_with_a_new_one() {
    let (mut bench, mut guest) = bench();
    for nonce in ["", "AAAAAAAAAAAA", "not base64 at all!", "AAAA"] {
        let good = std::mem::replace(&mut guest.login.nonce, nonce.into());
        let reply = bench.allocate(&guest);
        assert_eq!(reply.code, Some(438), "{nonce:?}");
        guest.login.nonce = good;
    }
    let stranger = bench.guest("192.0.2.2:5000", "eve", "lobby");
    let own = std::mem::replace(&mut guest.login.nonce, stranger.login.nonce.clone());
    assert_eq!(
        bench.allocate(&guest).code,
        Some(438),
        "a nonce is one client's"
    );
    guest.login.nonce = own;
    assert_eq!(bench.allocate(&guest).code, None);
    bench.wait(300);
    bench.ask(&guest, Writer::of(REFRESH_REQUEST));
    for _ in 0..12 {
        bench.wait(300);
        let reply = bench.ask(&guest, Writer::of(REFRESH_REQUEST));
        if let Some(nonce) = reply.nonce {
            assert_eq!(reply.code, Some(438));
            guest.login.nonce = nonce;
            assert_eq!(bench.ask(&guest, Writer::of(REFRESH_REQUEST)).code, None);
        }
    }
    assert!(
        bench
            .engine
            .stats
            .snapshot(0, 0)
            .refused(Refusal::StaleNonce)
            >= 6
    );
}

#[test]
fn a_request_without_all_it_needs_is_400() {
    let (bench, guest) = bench();
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::UserName, b"1:a:b");
    let reply = bench
        .say(&guest, &request.seal(&guest.login.key()).bytes())
        .unwrap();
    assert_eq!(reply.code, Some(400));
}

#[test]
fn a_wrong_realm_is_401() {
    let (bench, mut guest) = bench();
    guest.login.realm = "elsewhere".into();
    assert_eq!(bench.allocate(&guest).code, Some(401));
}

#[test]
fn a_changed_request_is_401() {
    let (bench, guest) = bench();
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &super::wire::UDP);
    // Without the mark, which would tell first.
    let mut bytes = request
        .with(Kind::UserName, guest.login.username.as_bytes())
        .with(Kind::Realm, b"noom")
        .with(Kind::Nonce, guest.login.nonce.as_bytes())
        .seal_unmarked(&guest.login.key())
        .bytes();
    assert_eq!(
        bench.say(&guest, &bytes).unwrap().code,
        None,
        "so far it is good"
    );
    bench.engine.table().clear();
    bytes[12] ^= 1;
    assert_eq!(bench.say(&guest, &bytes).unwrap().code, Some(401));
}

#[test]
fn an_allocation_answers_to_its_own_name_only() {
    let (bench, mut guest) = bench();
    assert_eq!(bench.allocate(&guest).code, None);
    let other = bench.engine.credentials("eve", "lobby", bench.now).unwrap();
    (guest.login.username, guest.login.password) = (other.username, other.password);
    let reply = bench.ask(&guest, Writer::of(REFRESH_REQUEST));
    assert_eq!(reply.code, Some(441));
}

#[test]
fn nothing_is_remembered_of_whoever_proves_nothing() {
    let bench = Bench::new(TurnLimits::default());
    for number in 0..5000_u32 {
        let source = format!("127.{}.{}.1:1024", number / 256, number % 256);
        let mut guest = bench.guest(&source, "ada", "lobby");
        guest.login.password.push('x');
        assert_eq!(bench.allocate(&guest).code, Some(401));
    }
    assert_eq!(bench.engine.table().held(), (0, 0));
}
