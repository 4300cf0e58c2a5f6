//! Hidden addresses: no other client receives the address of a client that hides it.

use super::{
    guest::Guest,
    harness::{Client, TestApp, long_timing, short_timing},
};
use crate::protocol::{
    Candidate, ClientMessage, Devices, ErrorCode, Mode, ParticipantId, ServerMessage, Signal,
};

/// An address for documentation (RFC 5737) that no other text of a test contains.
const ADDRESS: &str = "203.0.113.7";

/// Sends a candidate with [`ADDRESS`] to the session `leg` of a participant.
async fn send_candidate(from: &mut Client, to: &ParticipantId, leg: u32) {
    let candidate = format!("candidate:1 1 udp 2122260223 {ADDRESS} 50000 typ host");
    from.send(&ClientMessage::Signal {
        to: to.clone(),
        leg: Some(leg),
        signal: Signal::Candidate {
            connection: 1,
            candidate: Candidate {
                candidate,
                mid: None,
                mline_index: Some(0),
            },
        },
    })
    .await;
}

/// Waits for `media_mode` with this mode.
async fn wait_for_mode(client: &mut Client, to: Mode) {
    let moved = |message| match message {
        ServerMessage::MediaMode { mode } if mode == to => Some(()),
        _ => None,
    };
    client.wait_for(moved).await;
}

#[tokio::test]
async fn no_frame_holds_a_candidate_of_a_person_who_hides_their_address() {
    let app = TestApp::start_with(short_timing(), &["--p2p-max", "64"]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ben.enter_call(2).await;
    let (ann_id, ben_id) = (ann.id(), ben.id());

    // As JSON text, so that the test fails if the field is renamed: unknown fields are ignored.
    let hidden = r#"{"type":"enter_call","leg":1,"devices":{"microphone":true,"camera":true},"hide_address":true}"#;
    ann.send_text(hidden).await;
    ann.received_so_far().await;
    send_candidate(&mut ann, &ben_id, 2).await;
    ann.send_offer(&ben_id, 2, &format!("v=0\r\nc=IN IP4 {ADDRESS}\r\n"))
        .await;
    for _ in 0..2 {
        assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::AddressesHidden);
    }
    let frames = ben.frames_so_far().await;
    assert!(
        frames.iter().any(|frame| frame.contains(ann_id.as_str())),
        "Ben heard of Ann: {frames:?}"
    );
    assert!(
        !frames.iter().any(|frame| frame.contains(ADDRESS)),
        "{frames:?}"
    );

    // In the other direction an offer is refused, because its answer would contain addresses.
    send_candidate(&mut ben, &ann_id, 1).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::AddressesHidden);
    assert_eq!(ann.frames_so_far().await, Vec::<String>::new());

    // Without hidden addresses the call switches back, and the same candidate is forwarded.
    ann.enter_call_as(1, Devices::default(), false).await;
    wait_for_mode(&mut ben, Mode::P2p).await;
    send_candidate(&mut ann, &ben_id, 2).await;
    while !ben.next_text().await.contains(ADDRESS) {}
}

#[tokio::test]
async fn a_person_who_hides_their_address_is_seen_through_the_sfu_and_no_peer_gets_their_description()
 {
    let app = TestApp::start_with(long_timing(), &["--p2p-max", "64"]).await;
    let mut watcher = app.join("team", "Watcher").await;
    watcher.enter_call(9).await;
    let mut ann = Guest::enter(&app, "team", "Ann").await;
    let mut ben = Guest::enter(&app, "team", "Ben").await;
    ann.client.enter_call_as(1, Devices::default(), true).await;
    wait_for_mode(&mut ben.client, Mode::Sfu).await;
    for guest in [&mut ann, &mut ben] {
        guest.send_offer(1).await;
        guest.wait_until_connected().await;
    }
    ben.subscribe_to(&[&ann.id()]).await;
    ben.wait_for_video(&mut ann, 1).await;

    let port = ann.udp.local_addr().expect("bound").port();
    let frames = watcher.frames_so_far().await;
    assert!(!frames.is_empty());
    let address = format!("127.0.0.1 {port}");
    assert!(!frames.iter().any(|frame| frame.contains(&address)));
    assert!(!ben.messages.is_empty());
    let heard = format!("{:?}", ben.messages);
    assert!(
        !heard.contains(&address) && !heard.contains("Signal"),
        "{heard}"
    );
}

#[tokio::test]
async fn a_server_that_hides_addresses_passes_no_signal_at_all() {
    let flags = ["--p2p-max", "64", "--hide-addresses"];
    let app = TestApp::start_with(short_timing(), &flags).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ann.enter_call(1).await;
    ben.enter_call(2).await;
    ben.received_so_far().await;
    send_candidate(&mut ann, &ben.id(), 2).await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::AddressesHidden);
    assert_eq!(ben.frames_so_far().await, Vec::<String>::new());
}
