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
fn valid_credentials_get_a_response_with_message_integrity() {
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
fn a_username_holds_expiry_session_user_and_room() {
    let (server, client) = server();
    let (expiry, rest) = client.credentials.username.split_once(':').unwrap();
    assert_eq!(rest, "1:ada:lobby");
    let expires = server.now.wall + Duration::from_secs(300);
    let expires = expires.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(expiry, expires.as_secs().to_string());
}

#[test]
fn expired_credentials_cannot_allocate() {
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
fn a_changed_expiry_invalidates_the_credentials() {
    let (server, mut client) = server();
    client.credentials.username = format!("9{}", client.credentials.username);
    assert_eq!(server.allocate(&client).code, Some(401));
}

#[test]
fn a_wrong_password_or_an_invented_username_is_401() {
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
fn credentials_of_another_process_are_401() {
    let (server, mut client) = server();
    let session =
        super::super::credentials::parse_username(&client.credentials.username, server.now.wall);
    let foreign = Secret::random().credentials(&session.unwrap(), server.now.wall);
    (client.credentials.username, client.credentials.password) =
        (foreign.username, foreign.password);
    assert_eq!(server.allocate(&client).code, Some(401));
}

#[test]
fn a_colon_in_a_user_id_does_not_name_another_user() {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada:x", "lobby");
    assert_eq!(server.allocate(&client).code, None);
    server.engine.allocations().end_session("ada", "lobby");
    assert_eq!(server.engine.allocations().count(server.now.instant), 1);
    server.engine.allocations().end_session("ada:x", "lobby");
    assert_eq!(server.engine.allocations().count(server.now.instant), 0);
}

#[test]
fn an_expired_or_foreign_nonce_is_438_with_a_new_nonce() {
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
fn a_request_without_realm_and_nonce_is_400() {
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
fn a_modified_request_is_401() {
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
fn a_request_with_another_username_is_441() {
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
fn unauthenticated_clients_leave_no_state() {
    let server = TestEngine::new(TurnLimits::default());
    for number in 0..5000_u32 {
        let source = format!("127.{}.{}.1:1024", number / 256, number % 256);
        let mut client = server.client(&source, "ada", "lobby");
        client.credentials.password.push('x');
        assert_eq!(server.allocate(&client).code, Some(401));
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}
