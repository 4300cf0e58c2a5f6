//! Authentication: usernames, passwords, realms and nonces.

use super::super::{TurnLimits, credentials::Secret, stats::Refusal};
use super::harness::{TestClient, TestEngine};
use super::wire::Writer;
use std::time::Duration;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// A server and a client with credentials.
fn server() -> (TestEngine, TestClient) {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    (server, client)
}

#[test]
fn good_credentials_get_a_signed_answer() {
    let (server, client) = server();
    let reply = server.allocate(&client);
    assert_eq!(reply.code, None);
    assert!(reply.is_signed(&client.credentials.key()));
    assert_eq!(reply.mapped, Some(client.five_tuple.source));
    assert_eq!(reply.lifetime, Some(600));
    let relayed = reply.relayed.unwrap();
    assert_eq!(relayed.ip().to_string(), "127.0.0.1");
    assert!((20_000..=29_999).contains(&relayed.port()));
}

#[test]
fn a_username_is_its_expiry_its_stay_its_user_and_its_room() {
    let (server, client) = server();
    let (expiry, rest) = client.credentials.username.split_once(':').unwrap();
    assert_eq!(rest, "1:ada:lobby");
    let expires = server.now.wall + Duration::from_secs(300);
    let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(expiry, expires.as_secs().to_string());
}

#[test]
fn expired_credentials_start_nothing() {
    let (mut server, client) = server();
    server.wait(299);
    assert_eq!(
        server.allocate(&client).code,
        None,
        "valid until the last second"
    );
    server.engine.allocations().clear();
    server.wait(1);
    let reply = server.allocate(&client);
    assert_eq!(reply.code, Some(401));
    assert_eq!(reply.realm.as_deref(), Some("noom"));
    assert!(reply.nonce.is_some());
}

#[test]
fn an_expiry_cannot_be_moved() {
    let (server, mut client) = server();
    client.credentials.username = format!("9{}", client.credentials.username);
    assert_eq!(server.allocate(&client).code, Some(401));
}

#[test]
fn a_wrong_password_or_a_made_up_name_is_401() {
    let (server, client) = server();
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
        let mut client = server.client("192.0.2.1:5001", "ada", "lobby");
        client.credentials.username = username.into();
        assert_eq!(server.allocate(&client).code, Some(401), "{username:?}");
    }
    let mut wrong = client;
    wrong.credentials.password.push('x');
    assert_eq!(server.allocate(&wrong).code, Some(401));
    assert_eq!(server.engine.allocations().count(server.now.instant), 0);
}

#[test]
fn the_secret_of_another_process_proves_nothing() {
    let (server, mut client) = server();
    let session =
        super::super::credentials::parse_username(&client.credentials.username, server.now.wall);
    let foreign = Secret::random().credentials(&session.unwrap(), server.now.wall);
    (client.credentials.username, client.credentials.password) =
        (foreign.username, foreign.password);
    assert_eq!(server.allocate(&client).code, Some(401));
}

#[test]
fn a_username_in_a_name_does_not_become_another_users() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada:x", "lobby");
    assert_eq!(server.allocate(&client).code, None);
    server.engine.allocations().end_session("ada", "lobby");
    assert_eq!(server.engine.allocations().count(server.now.instant), 1);
    server.engine.allocations().end_session("ada:x", "lobby");
    assert_eq!(server.engine.allocations().count(server.now.instant), 0);
}

#[test]
fn an_old_or_foreign_nonce_is_438_with_a_new_one() {
    let (mut server, mut client) = server();
    for nonce in ["", "AAAAAAAAAAAA", "not base64 at all!", "AAAA"] {
        let good = std::mem::replace(&mut client.credentials.nonce, nonce.into());
        let reply = server.allocate(&client);
        assert_eq!(reply.code, Some(438), "{nonce:?}");
        client.credentials.nonce = good;
    }
    let stranger = server.client("192.0.2.2:5000", "eve", "lobby");
    let own = std::mem::replace(
        &mut client.credentials.nonce,
        stranger.credentials.nonce.clone(),
    );
    assert_eq!(
        server.allocate(&client).code,
        Some(438),
        "a nonce is valid for one client only"
    );
    client.credentials.nonce = own;
    assert_eq!(server.allocate(&client).code, None);
    server.wait(300);
    server.request(&client, Writer::of(REFRESH_REQUEST));
    for _ in 0..12 {
        server.wait(300);
        let reply = server.request(&client, Writer::of(REFRESH_REQUEST));
        if let Some(nonce) = reply.nonce {
            assert_eq!(reply.code, Some(438));
            client.credentials.nonce = nonce;
            assert_eq!(
                server.request(&client, Writer::of(REFRESH_REQUEST)).code,
                None
            );
        }
    }
    assert!(
        server
            .engine
            .stats
            .snapshot(0, 0)
            .refusals(Refusal::StaleNonce)
            >= 6
    );
}

#[test]
fn a_request_without_all_it_needs_is_400() {
    let (server, client) = server();
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::UserName, b"1:a:b");
    let reply = server
        .send_frame(
            &client,
            &request.sign_with_key(&client.credentials.key()).bytes(),
        )
        .unwrap();
    assert_eq!(reply.code, Some(400));
}

#[test]
fn a_wrong_realm_is_401() {
    let (server, mut client) = server();
    client.credentials.realm = "elsewhere".into();
    assert_eq!(server.allocate(&client).code, Some(401));
}

#[test]
fn a_changed_request_is_401() {
    let (server, client) = server();
    let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &super::wire::UDP);
    // Without FINGERPRINT, which would already reject the changed request.
    let mut bytes = request
        .with(Kind::UserName, client.credentials.username.as_bytes())
        .with(Kind::Realm, b"noom")
        .with(Kind::Nonce, client.credentials.nonce.as_bytes())
        .sign_without_fingerprint(&client.credentials.key())
        .bytes();
    assert_eq!(
        server.send_frame(&client, &bytes).unwrap().code,
        None,
        "the unchanged request succeeds"
    );
    server.engine.allocations().clear();
    bytes[12] ^= 1;
    assert_eq!(server.send_frame(&client, &bytes).unwrap().code, Some(401));
}

#[test]
fn an_allocation_answers_to_its_own_name_only() {
    let (server, mut client) = server();
    assert_eq!(server.allocate(&client).code, None);
    let other = server
        .engine
        .credentials("eve", "lobby", server.now)
        .unwrap();
    (client.credentials.username, client.credentials.password) = (other.username, other.password);
    let reply = server.request(&client, Writer::of(REFRESH_REQUEST));
    assert_eq!(reply.code, Some(441));
}

#[test]
fn nothing_is_remembered_of_whoever_proves_nothing() {
    let server = TestEngine::new(TurnLimits::default());
    for number in 0..5000_u32 {
        let source = format!("127.{}.{}.1:1024", number / 256, number % 256);
        let mut client = server.client(&source, "ada", "lobby");
        client.credentials.password.push('x');
        assert_eq!(server.allocate(&client).code, Some(401));
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}
