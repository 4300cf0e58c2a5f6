//! Requests that the server refuses, and their error codes.

use super::super::{Refusal, TurnLimits};
use super::harness::{TestClient, TestEngine, sfu};
use super::wire::{UDP, Writer};
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// The type of UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13).
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;

/// A server and a client with credentials.
fn server() -> (TestEngine, TestClient) {
    let server = TestEngine::new(TurnLimits::default());
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    (server, client)
}

/// An Allocate request for UDP; the test adds attributes.
fn allocate() -> Writer {
    Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP)
}

#[test]
fn only_udp_is_relayed() {
    let (server, client) = server();
    for transport in [6, 1, 0, 132, 255] {
        let request = Writer::of(ALLOCATE_REQUEST);
        let request = request.with(Kind::RequestedTransport, &[transport, 0, 0, 0]);
        assert_eq!(
            server.request(&client, request).code,
            Some(442),
            "{transport}"
        );
    }
    assert_eq!(
        server.request(&client, Writer::of(ALLOCATE_REQUEST)).code,
        Some(400)
    );
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}

#[test]
fn the_methods_of_tcp_allocations_get_no_response() {
    let (server, client) = server();
    server.allocate(&client);
    // Connect, ConnectionBind and ConnectionAttempt of RFC 6062.
    for method in [0x000A, 0x000B, 0x001C] {
        let request = Writer::new(method).peer(sfu()).sign(&client.credentials);
        assert!(server.send_frame(&client, &request.bytes()).is_none());
    }
}

#[test]
fn unknown_comprehension_required_attributes_are_420_and_listed() {
    let (server, client) = server();
    let unknown = [
        (Kind::DontFragment as u16, vec![]),
        (Kind::ConnectionId as u16, vec![0; 4]),
        (Kind::AccessToken as u16, vec![0; 4]),
        (0x7FFF, vec![1, 2, 3]),
    ];
    for (kind, value) in unknown {
        let reply = server.request(&client, allocate().raw(kind, &value));
        assert_eq!(reply.code, Some(420), "{kind:#x}");
        assert_eq!(
            reply.value(UNKNOWN_ATTRIBUTES),
            Some(kind.to_be_bytes().to_vec())
        );
        assert!(reply.is_signed(&client.credentials.key()));
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
    let optional = allocate().raw(0x8022, b"a browser").raw(0xC057, &[0; 4]);
    assert_eq!(server.request(&client, optional).code, None);
}

#[test]
fn a_binding_request_with_an_unknown_attribute_is_420() {
    let (server, client) = server();
    let request = Writer::of(BINDING_REQUEST).raw(0x0003, &[0, 0, 0, 6]);
    let reply = server.send_frame(&client, &request.bytes()).unwrap();
    assert_eq!((reply.code, reply.method), (Some(420), BINDING_ERROR));
    assert_eq!(reply.value(UNKNOWN_ATTRIBUTES), Some(vec![0, 3]));
}

#[test]
fn an_unsupported_address_family_is_440() {
    let (server, client) = server();
    let with_family = |family: u8| allocate().raw(0x0017, &[family, 0, 0, 0]);
    assert_eq!(server.request(&client, with_family(3)).code, Some(440));
    let reply = server.request(&client, with_family(2));
    assert!(reply.relayed.unwrap().is_ipv6());
    let refresh = Writer::of(REFRESH_REQUEST).raw(0x0017, &[1, 0, 0, 0]);
    assert_eq!(server.request(&client, refresh).code, Some(443));
}

#[test]
fn a_malformed_address_family_is_440_and_443_in_a_refresh() {
    let (server, client) = server();
    for family in [&[0, 0, 0, 0][..], &[9, 0, 0, 0], &[]] {
        assert_eq!(
            server.request(&client, allocate().raw(0x0017, family)).code,
            Some(440)
        );
    }
    assert_eq!(server.allocate(&client).code, None);
    for family in [&[0, 0, 0, 0][..], &[9, 0, 0, 0], &[]] {
        let refresh = Writer::of(REFRESH_REQUEST).raw(0x0017, family);
        assert_eq!(server.request(&client, refresh).code, Some(443));
    }
}

#[test]
fn the_default_family_is_ipv4_or_ipv6_without_an_ipv4_address() {
    let (dual, client) = server();
    assert!(dual.allocate(&client).relayed.unwrap().is_ipv4());
    let six = TestEngine::new(TurnLimits::default());
    six.engine
        .external
        .replace(vec!["2001:db8::1".parse().unwrap()]);
    let client = six.client("[2001:db8:1::1]:5000", "ada", "lobby");
    assert!(six.allocate(&client).relayed.unwrap().is_ipv6());
    let other = six.client("[2001:db8:1::1]:5001", "ada", "lobby");
    let four = allocate().raw(0x0017, &[1, 0, 0, 0]);
    assert_eq!(
        six.request(&other, four).code,
        Some(440),
        "an explicit request for IPv4 is refused"
    );
    let none = TestEngine::new(TurnLimits::default());
    none.engine.external.replace(Vec::new());
    let client = none.client("192.0.2.1:5000", "ada", "lobby");
    assert_eq!(none.allocate(&client).code, Some(440));
}

#[test]
fn an_even_port_is_granted_and_a_reserved_pair_is_508() {
    let server = TestEngine::new(TurnLimits {
        per_user: 100,
        per_room: 100,
        per_address: 100,
        ..TurnLimits::default()
    });
    for port in 1..=40 {
        let client = server.client(&format!("192.0.2.1:{port}"), "ada", "lobby");
        let reply = server.request(&client, allocate().with(Kind::EvenPort, &[0]));
        assert_eq!(reply.relayed.unwrap().port() % 2, 0, "{port}");
    }
    // Odd ports that were passed over are free again.
    assert_eq!(server.engine.allocations().entry_counts(), (40, 40));
    let client = server.client("192.0.2.1:5000", "ada", "lobby");
    let pair = allocate().with(Kind::EvenPort, &[0x80]);
    assert_eq!(server.request(&client, pair).code, Some(508));
    let nonsense = allocate().with(Kind::EvenPort, &[]);
    assert_eq!(server.request(&client, nonsense).code, Some(400));
}

#[test]
fn a_reservation_token_is_508_and_400_with_a_family_or_even_port() {
    let (server, client) = server();
    let token = || allocate().with(Kind::ReservationToken, &[7; 8]);
    assert_eq!(server.request(&client, token()).code, Some(508));
    for other in [
        token().with(Kind::EvenPort, &[0]),
        token().raw(0x0017, &[1, 0, 0, 0]),
        token().with(Kind::AdditionalAddressFamily, &[2, 0, 0, 0]),
    ] {
        assert_eq!(server.request(&client, other).code, Some(400));
    }
    assert_eq!(server.engine.allocations().entry_counts(), (0, 0));
}

#[test]
fn an_additional_address_family_is_ignored() {
    let (server, client) = server();
    let both = allocate().with(Kind::AdditionalAddressFamily, &[2, 0, 0, 0]);
    let reply = server.request(&client, both);
    assert!(reply.relayed.unwrap().is_ipv4());
    let relayed = Kind::XorRelayedAddress as u16;
    let mut rest = reply.bytes.as_slice();
    let mut count = 0;
    while let Some(at) = rest
        .windows(4)
        .position(|w| w[..2] == relayed.to_be_bytes() && w[2] == 0)
    {
        count += 1;
        rest = &rest[at + 4..];
    }
    assert_eq!(count, 1);
}

#[test]
fn requests_without_an_allocation_are_437() {
    let (server, client) = server();
    let requests = [
        Writer::of(REFRESH_REQUEST),
        Writer::of(CREATE_PERMISSION_REQUEST).peer(sfu()),
        Writer::of(CHANNEL_BIND_REQUEST).channel(0x4000).peer(sfu()),
    ];
    for request in requests {
        assert_eq!(server.request(&client, request).code, Some(437));
    }
}

#[test]
fn malformed_permission_and_channel_requests_are_400() {
    let (server, client) = server();
    server.allocate(&client);
    let requests = [
        Writer::of(CREATE_PERMISSION_REQUEST),
        Writer::of(CREATE_PERMISSION_REQUEST)
            .peer(sfu())
            .raw(0x0012, &[0, 1, 0]),
        Writer::of(CHANNEL_BIND_REQUEST).peer(sfu()),
        Writer::of(CHANNEL_BIND_REQUEST).channel(0x4000),
        Writer::of(CHANNEL_BIND_REQUEST).channel(0x3FFF).peer(sfu()),
        Writer::of(CHANNEL_BIND_REQUEST).channel(0x8000).peer(sfu()),
        Writer::of(CHANNEL_BIND_REQUEST)
            .channel(0x4000)
            .peer(sfu())
            .peer(sfu()),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        assert_eq!(server.request(&client, request).code, Some(400), "{number}");
    }
}

#[test]
fn a_channel_keeps_its_peer_and_a_peer_its_channel() {
    let (server, client) = server();
    server.allocate(&client);
    let other = server.client("192.0.2.2:5000", "bob", "lobby");
    let other = server.allocate(&other).relayed.unwrap();
    let bind = |number, peer| {
        let request = Writer::of(CHANNEL_BIND_REQUEST).channel(number).peer(peer);
        server.request(&client, request).code
    };
    assert_eq!(bind(0x4000, sfu()), None);
    assert_eq!(bind(0x4000, sfu()), None, "a repetition refreshes");
    assert_eq!(bind(0x4000, other), Some(400));
    assert_eq!(bind(0x4001, sfu()), Some(400));
    assert_eq!(bind(0x4001, other), None);
    assert_eq!(
        server
            .engine
            .stats
            .snapshot(0, 0)
            .refusals(Refusal::BadRequest),
        2
    );
}
