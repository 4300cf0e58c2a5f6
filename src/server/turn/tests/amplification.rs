//! Responses to unauthenticated clients are small: the server amplifies no traffic to a forged
//! address.

use super::super::TurnLimits;
use super::harness::{TestClient, TestEngine};
use super::wire::{UDP, Writer};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// Bytes of IPv4 and UDP headers.
const HEADERS_V4: usize = 28;
/// Bytes of IPv6 and UDP headers.
const HEADERS_V6: usize = 48;

/// A server and an unauthenticated client at this address.
fn server(source: &str) -> (TestEngine, TestClient) {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client(source, "ada", "lobby");
    (server, client)
}

/// Requests without valid credentials.
fn questions(client: &TestClient) -> Vec<(&'static str, Vec<u8>)> {
    let mut wrong = client.credentials.clone();
    wrong.password.push('x');
    let mut stale = wrong.clone();
    stale.nonce = "x".into();
    let allocate = || Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
    vec![
        ("binding", Writer::of(BINDING_REQUEST).bytes()),
        (
            "binding, 420",
            Writer::of(BINDING_REQUEST).raw(3, &[0; 4]).bytes(),
        ),
        ("allocate, 401", allocate().bytes()),
        ("allocate, wrong password", allocate().sign(&wrong).bytes()),
        ("allocate, stale nonce", allocate().sign(&stale).bytes()),
        ("allocate, bare", Writer::of(ALLOCATE_REQUEST).bytes()),
        ("refresh, bare", Writer::of(REFRESH_REQUEST).bytes()),
    ]
}

/// Sends all requests. Returns name, bytes of the request and bytes of the response.
fn sizes(source: &str) -> Vec<(&'static str, usize, usize)> {
    let (server, client) = server(source);
    let ask = |(name, question): (&'static str, Vec<u8>)| {
        let answer = server.send_frame(&client, &question).expect("an answer");
        (name, question.len(), answer.bytes.len())
    };
    questions(&client).into_iter().map(ask).collect()
}

#[test]
fn unauthenticated_responses_are_at_most_half_larger_than_requests() {
    for (source, headers) in [
        ("192.0.2.1:5000", HEADERS_V4),
        ("[2001:db8::1]:5000", HEADERS_V6),
    ] {
        for (name, question, answer) in sizes(source) {
            let ratio = (answer + headers) as f64 / (question + headers) as f64;
            assert!(
                ratio <= 1.5,
                "{name} from {source}: {question} -> {answer}, {ratio:.2}"
            );
        }
    }
}

#[test]
fn unauthenticated_responses_have_the_minimum_size() {
    let expected = [
        ("binding", 20, 32),
        ("binding, 420", 28, 36),
        ("allocate, 401", 28, 52),
        ("allocate, wrong password", 120, 52),
        ("allocate, stale nonce", 112, 52),
        ("allocate, bare", 20, 28),
        ("refresh, bare", 20, 28),
    ];
    let found = sizes("192.0.2.1:5000");
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert_eq!(found.2, expected.2, "{found:?}");
    }
}

#[test]
fn messages_other_than_requests_get_no_response() {
    let (server, client) = server("192.0.2.1:5000");
    let messages = [
        Writer::of(BINDING_RESPONSE),
        Writer::of(BINDING_ERROR),
        Writer::of(ALLOCATE_RESPONSE),
        Writer::of(ALLOCATE_ERROR),
        Writer::of(DATA_INDICATION),
        Writer::of(SEND_INDICATION),
        // A Binding indication, and an unassigned method.
        Writer::new(0x0011),
        Writer::new(0x0FFF),
    ];
    for message in messages {
        assert!(server.send_frame(&client, &message.bytes()).is_none());
    }
}
