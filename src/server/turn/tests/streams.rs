//! TCP and TLS connections: fragmented frames, malformed frames, timeouts, limits.

use super::super::{Turn, options::*};
use super::client::{Packet, TestClient};
use super::harness::{RecordingPeer, options, sfu, start};
use super::wire::{Writer, channel_data};
use crate::server::net::{PermitLimits, Permits};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls};
use turn_server::codec::message::methods::*;

/// One second of the (paused) clock.
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn fragmented_and_coalesced_frames_are_handled() {
    let (turn, media) = start().await;
    let mut ada = TestClient::tcp(&turn, "ada", "lobby").await;
    ada.allocate().await;
    assert_eq!(ada.bind(0x4000, sfu()).await, None);
    for byte in channel_data(0x4000, b"in pieces", true) {
        ada.send_raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let several: Vec<u8> = (0..20)
        .flat_map(|n| channel_data(0x4000, &[n; 5], true))
        .collect();
    ada.send_raw(&several).await;
    let delivered = media.wait_for(21).await;
    assert_eq!(delivered[0].2, b"in pieces");
    assert!(
        delivered[1..]
            .iter()
            .enumerate()
            .all(|(n, packet)| packet.2 == [n as u8; 5])
    );
}

#[tokio::test]
async fn malformed_frames_close_their_own_connection_only() {
    let (turn, _media) = start().await;
    let mut good = TestClient::tcp(&turn, "ada", "lobby").await;
    good.allocate().await;
    let oversized = [0x40, 0, 0xFF, 0xFF];
    let broken = [
        0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 9,
    ];
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &oversized,
        &broken,
        &[0xFF; 64],
    ] {
        let mut bad = TestClient::tcp(&turn, "eve", "lobby").await;
        bad.allocate().await;
        bad.send_raw(garbage).await;
        assert!(bad.is_closed_within(SECOND).await, "{garbage:?}");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(
        turn.stats().allocations,
        1,
        "the allocations of closed connections end"
    );
    assert_eq!(good.permit(sfu()).await, None);
}

#[tokio::test]
async fn malformed_datagrams_are_dropped() {
    let (turn, _media) = start().await;
    let mut ada = TestClient::udp(&turn, "ada", "lobby").await;
    for garbage in [b"x".as_slice(), &[], &[0; 3], &[0xFF; 1500], &[0; 9000]] {
        ada.send_raw(garbage).await;
    }
    assert!(ada.receives_nothing().await);
    ada.allocate().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_is_closed_after_ten_seconds() {
    let (silent, far) = tokio::io::duplex(1024);
    let (turn, _media) = start().await;
    let engine = turn.engine();
    let client = super::super::client::FiveTuple {
        transport: super::super::client::Transport::Tcp,
        source: "192.0.2.1:5".parse().unwrap(),
        local: None,
        connection: 1,
    };
    let begun = tokio::time::Instant::now();
    super::super::stream::serve(engine, far, client).await;
    let lasted = begun.elapsed();
    assert!(
        (STREAM_IDLE_TIMEOUT..STREAM_IDLE_TIMEOUT + SECOND).contains(&lasted),
        "{lasted:?}"
    );
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_frame_does_not_reset_the_idle_timeout() {
    use tokio::io::AsyncWriteExt;
    let (mut slow, far) = tokio::io::duplex(1024);
    let (turn, _media) = start().await;
    let client = super::super::client::FiveTuple {
        transport: super::super::client::Transport::Tcp,
        source: "192.0.2.1:5".parse().unwrap(),
        local: None,
        connection: 1,
    };
    let drip = tokio::spawn(async move {
        for byte in [0x40, 0, 0x0F, 0].into_iter().chain([0; 100]) {
            if slow.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SECOND).await;
        }
    });
    let begun = tokio::time::Instant::now();
    super::super::stream::serve(turn.engine(), far, client).await;
    assert!(begun.elapsed() < STREAM_IDLE_TIMEOUT + SECOND);
    drip.abort();
}

#[tokio::test(start_paused = true)]
async fn an_active_stream_without_an_allocation_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = tokio::io::duplex(4096);
    let (mut answers, mut slow) = tokio::io::split(near);
    let (turn, _media) = start().await;
    let client = super::super::client::FiveTuple {
        transport: super::super::client::Transport::Tcp,
        source: "192.0.2.1:5".parse().unwrap(),
        local: None,
        connection: 1,
    };
    // A complete frame every nine seconds resets the idle timeout each time.
    let drip = tokio::spawn(async move {
        while slow
            .write_all(&Writer::of(BINDING_REQUEST).bytes())
            .await
            .is_ok()
        {
            tokio::time::sleep(9 * SECOND).await;
        }
    });
    let answered = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = answers.read_to_end(&mut all).await;
        all.len()
    });
    let begun = tokio::time::Instant::now();
    super::super::stream::serve(turn.engine(), far, client).await;
    let lasted = begun.elapsed();
    assert!(
        (ALLOCATION_TIMEOUT..ALLOCATION_TIMEOUT + 2 * SECOND).contains(&lasted),
        "{lasted:?}"
    );
    drip.abort();
    assert!(answered.await.unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_an_allocation_may_be_idle() {
    let (near, far) = tokio::io::duplex(4096);
    let (turn, _media) = start().await;
    let client = super::super::client::FiveTuple {
        transport: super::super::client::Transport::Tcp,
        source: "192.0.2.1:5".parse().unwrap(),
        local: None,
        connection: 1,
    };
    let serving = super::super::stream::serve(turn.engine(), far, client);
    let serving = tokio::spawn(serving);
    let mut ada = TestClient::stream(Box::new(near), &turn, "ada", "lobby");
    ada.allocate().await;
    tokio::time::sleep(3 * STREAM_IDLE_TIMEOUT).await;
    assert!(!serving.is_finished());
    assert_eq!(ada.permit(sfu()).await, None);
    turn.end_session("ada", "lobby");
    assert!(ada.is_closed_within(ALLOCATION_TIMEOUT + SECOND).await);
}

#[test]
fn streams_are_limited_in_total_and_per_address() {
    let streams = Permits::new(PermitLimits {
        total: MAX_STREAMS,
        per_address: MAX_STREAMS_PER_ADDRESS,
    });
    let admit = |ip: &str| streams.acquire(ip.parse().unwrap()).ok();
    let held: Vec<_> = (0..32).map(|_| admit("192.0.2.1").unwrap()).collect();
    assert!(admit("192.0.2.1").is_none());
    assert!(admit("192.0.2.2").is_some(), "the limit is per address");
    drop(held);
    assert_eq!(streams.count(), 0);
    let of_loopback: Vec<_> = (0..MAX_STREAMS)
        .map(|_| admit("127.0.0.1").unwrap())
        .collect();
    assert!(admit("127.0.0.1").is_none());
    assert!(admit("192.0.2.1").is_none());
    assert_eq!((MAX_STREAMS, MAX_STREAMS_PER_ADDRESS), (1024, 32));
    drop(of_loopback);
    assert!(admit("192.0.2.1").is_some());
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_packets_without_delaying_others() {
    let (turn, _media) = start().await;
    let mut slow = TestClient::tcp(&turn, "ada", "lobby").await;
    let at_slow = slow.allocate().await;
    assert_eq!(slow.permit(sfu()).await, None);
    let mut quick = TestClient::udp(&turn, "bob", "lobby").await;
    let at_quick = quick.allocate().await;
    assert_eq!(quick.permit(sfu()).await, None);
    let relay = turn.relay();
    // No await in between, so the writer task cannot run on this single-threaded runtime.
    let sent = (0..500)
        .filter(|_| relay.send(sfu(), at_slow, &[0; 1200]))
        .count();
    assert_eq!(sent, STREAM_QUEUE_FRAMES);
    assert_eq!(
        turn.stats().dropped(super::super::DropReason::QueueFull),
        500 - STREAM_QUEUE_FRAMES as u64
    );
    assert!(relay.send(sfu(), at_quick, b"quick"));
    assert_eq!(quick.packet().await, Packet::Data(sfu(), b"quick".to_vec()));
    assert!(matches!(slow.packet().await, Packet::Data(_, payload) if payload.len() == 1200));
}

/// A self-signed certificate: the configurations of the server and of a client that trusts it.
fn certificate() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone());
    let server = server
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let server = server
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider);
    let client = client.with_safe_default_protocol_versions().unwrap();
    (
        server,
        client.with_root_certificates(roots).with_no_client_auth(),
    )
}

/// A client over TLS.
async fn tls_client(turn: &Turn, config: rustls::ClientConfig) -> TestClient {
    let socket = TcpStream::connect(turn.tls_address().unwrap())
        .await
        .unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    TestClient::stream(Box::new(stream), turn, "ada", "lobby")
}

#[tokio::test]
async fn a_tls_client_allocates_and_relays() {
    let (server, client) = certificate();
    let mut options = options();
    options.tls = Some(("127.0.0.1:0".parse().unwrap(), Arc::new(server)));
    let media = Arc::new(RecordingPeer::default());
    let turn = Turn::start(options, media.clone()).await.unwrap();
    let mut ada = tls_client(&turn, client).await;
    assert!(
        ada.exchange(Writer::of(BINDING_REQUEST).bytes())
            .await
            .unwrap()
            .mapped
            .is_some()
    );
    let at_ada = ada.allocate().await;
    assert_eq!(ada.bind(0x4000, sfu()).await, None);
    ada.send_on(0x4000, b"sealed").await;
    assert_eq!(
        media.wait_for(1).await,
        [(at_ada, sfu(), b"sealed".to_vec())]
    );
    assert!(turn.relay().send(sfu(), at_ada, b"back"));
    assert_eq!(
        ada.packet().await,
        Packet::Channel(0x4000, b"back".to_vec())
    );
    let stats = turn.stats();
    assert_eq!((stats.tls.bytes_in, stats.tls.bytes_out), (6, 4));
    // A connection without TLS is closed.
    let mut plain = TcpStream::connect(turn.tls_address().unwrap())
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut plain, &[0; 64])
        .await
        .unwrap();
    let mut plain = TestClient::stream(Box::new(plain), &turn, "eve", "lobby");
    assert!(plain.is_closed_within(SECOND).await);
}
