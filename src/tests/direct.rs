//! Direct connections between participants, outside the call: signals, ICE servers and their limits.

use super::harness::{Client, TestApp, short_timing};
use crate::protocol::{
    Candidate, ClientMessage, Devices, ErrorCode, IceServer, MAX_SDP_BYTES, ParticipantId,
    ServerMessage, Signal,
};

/// A description of one data channel transport.
const DATA: &str = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";

/// Sends a signal about the direct connection to a participant.
async fn send(from: &mut Client, to: &ParticipantId, signal: Signal) {
    from.send(&ClientMessage::Signal {
        to: to.clone(),
        leg: None,
        signal,
    })
    .await;
}

fn offer(sdp: &str) -> Signal {
    Signal::Offer {
        connection: 7,
        sdp: sdp.to_owned(),
    }
}

fn candidate(line: &str) -> Signal {
    Signal::Candidate {
        connection: 7,
        candidate: Candidate {
            candidate: line.to_owned(),
            mid: Some("0".to_owned()),
            mline_index: Some(0),
        },
    }
}

/// Waits for a signal about the direct connection.
async fn receive(client: &mut Client) -> (ParticipantId, Signal) {
    client
        .wait_for(|message| match message {
            ServerMessage::Signal {
                from,
                leg: None,
                signal,
            } => Some((from, signal)),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_direct_signal_reaches_the_person_it_names_and_nobody_else() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let mut cem = app.join("team", "Cem").await;
    // One of them is in the call, which changes nothing.
    cem.enter_call(3).await;
    cem.received_so_far().await;
    ann.received_so_far().await;
    // A forged `from` is an unknown field, and ignored.
    let forged = format!(
        r#"{{"type":"signal","to":"{}","from":"{}","signal":{{"kind":"offer","connection":7,"sdp":"v=0"}}}}"#,
        ben.id(),
        cem.id()
    );
    ann.send_text(&forged).await;
    assert_eq!(receive(&mut ben).await, (ann.id(), offer("v=0")));
    send(&mut ben, &ann.id(), candidate("")).await;
    assert_eq!(receive(&mut ann).await, (ben.id(), candidate("")));
    assert_eq!(cem.received_so_far().await, []);
    send(&mut ann, &cem.id(), offer(DATA)).await;
    assert_eq!(receive(&mut cem).await, (ann.id(), offer(DATA)));
}

#[tokio::test]
async fn direct_signals_to_nobody_of_media_or_too_long_are_refused() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let mut eve = app.join("elsewhere", "Eve").await;
    ben.received_so_far().await;
    let unknown = ParticipantId::parse("p_nobody").expect("valid");
    let media = format!("{DATA}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n");
    let table = [
        (eve.id(), offer(DATA), ErrorCode::NoSuchPerson),
        (ann.id(), offer(DATA), ErrorCode::NoSuchPerson),
        (unknown, candidate(""), ErrorCode::NoSuchPerson),
        (ben.id(), offer(&media), ErrorCode::BadOffer),
        (
            ben.id(),
            offer(&"x".repeat(MAX_SDP_BYTES + 1)),
            ErrorCode::SignalTooLong,
        ),
        (
            ben.id(),
            candidate(&"x".repeat(2_049)),
            ErrorCode::SignalTooLong,
        ),
    ];
    for (to, signal, code) in table {
        send(&mut ann, &to, signal).await;
        assert_eq!(ann.wait_for_refusal().await.0, code);
    }
    assert_eq!(eve.received_so_far().await, []);
    assert_eq!(ben.received_so_far().await, []);
    // Positive control: the same path delivers what is in order.
    send(&mut ann, &ben.id(), offer(DATA)).await;
    assert_eq!(receive(&mut ben).await.0, ann.id());
}

#[tokio::test]
async fn ice_servers_are_given_outside_the_call() {
    let turn = r#"[{"urls":["turn:t.org"],"username":"u","credential":"p"}]"#;
    let flags = ["--turn-listen", "off", "--ice-servers", turn];
    let app = TestApp::start_with(short_timing(), &flags).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send(&ClientMessage::IceServers).await;
    let ServerMessage::IceServers {
        ice_servers,
        relay_only,
    } = ann.next().await
    else {
        panic!("no ICE servers");
    };
    assert_eq!(ice_servers[0].urls, ["turn:t.org"]);
    assert!(!relay_only);
}

#[tokio::test]
async fn a_server_that_hides_addresses_routes_relayed_candidates_only() {
    let app = TestApp::start_with(short_timing(), &["--hide-addresses"]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ben.received_so_far().await;
    ann.send(&ClientMessage::IceServers).await;
    ann.wait_for(|message| {
        matches!(
            message,
            ServerMessage::IceServers {
                relay_only: true,
                ..
            }
        )
        .then_some(())
    })
    .await;
    let host = "candidate:1 1 udp 2122260223 203.0.113.7 50000 typ host";
    let behind = "candidate:1 1 udp 1 192.0.2.1 9 typ relay raddr 203.0.113.7 rport 9";
    for line in [host, behind] {
        for signal in [candidate(line), offer(&format!("{DATA}a={line}\r\n"))] {
            send(&mut ann, &ben.id(), signal).await;
            assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::AddressesHidden);
        }
    }
    assert_eq!(ben.frames_so_far().await, Vec::<String>::new());
    let relayed = "candidate:1 1 udp 1 192.0.2.1 9 typ relay raddr 0.0.0.0 rport 0";
    send(&mut ann, &ben.id(), candidate(relayed)).await;
    assert_eq!(receive(&mut ben).await, (ann.id(), candidate(relayed)));
}

#[tokio::test]
async fn a_flood_of_direct_signals_is_refused_and_its_receiver_stays_connected() {
    const SIGNALS: usize = 60;
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut eve = app.join("team", "Eve").await;
    ann.received_so_far().await;
    for _ in 0..SIGNALS {
        send(&mut eve, &ann.id(), offer(&"x".repeat(40 * 1024))).await;
    }
    let mut refused = 0;
    eve.send(&ClientMessage::Ping).await;
    loop {
        match eve.next().await {
            ServerMessage::Error {
                code: ErrorCode::TooManyMessages | ErrorCode::Busy,
                ..
            } => refused += 1,
            ServerMessage::Pong => break,
            _ => {}
        }
    }
    assert!(refused > SIGNALS * 3 / 4, "{refused} of {SIGNALS}");
    let received = ann.received_so_far().await;
    let signals = received
        .iter()
        .filter(|message| matches!(message, ServerMessage::Signal { .. }));
    assert!((1..=SIGNALS - refused).contains(&signals.count()));
    ann.send_chat("and on it goes").await;
    eve.wait_for_chat("and on it goes").await;
}

/// The session within a TURN username, `<expiry>:<session>:<user>:<room>`: revoked credentials are
/// followed by those of another session.
fn session(servers: &[IceServer]) -> String {
    let username = servers.iter().find_map(|server| server.username.as_deref());
    let (_, session) = username.expect("TURN").split_once(':').expect("an expiry");
    session.to_owned()
}

async fn ice_servers(client: &mut Client) -> Vec<IceServer> {
    client.send(&ClientMessage::IceServers).await;
    client
        .wait_for(|message| match message {
            ServerMessage::IceServers { ice_servers, .. } => Some(ice_servers),
            _ => None,
        })
        .await
}

async fn ice_servers_of_call(client: &mut Client) -> Vec<IceServer> {
    client
        .send(&ClientMessage::EnterCall {
            leg: 1,
            devices: Devices::default(),
            hide_address: false,
        })
        .await;
    client
        .wait_for(|message| match message {
            ServerMessage::Call { ice_servers, .. } => Some(ice_servers),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn leaving_the_call_revokes_its_relay_and_not_that_of_files() {
    let flags = ["--turn-listen", "127.0.0.1:0", "--media-ip", "127.0.0.1"];
    let app = TestApp::start_with(short_timing(), &flags).await;
    let mut ann = app.join("team", "Ann").await;
    let of_files = session(&ice_servers(&mut ann).await);
    let of_call = session(&ice_servers_of_call(&mut ann).await);
    assert_ne!(of_files, of_call);
    ann.send(&ClientMessage::LeaveCall).await;
    ann.wait_for(|message| matches!(message, ServerMessage::CallLeft { .. }).then_some(()))
        .await;
    assert_eq!(session(&ice_servers(&mut ann).await), of_files);
    assert_ne!(session(&ice_servers_of_call(&mut ann).await), of_call);
}
