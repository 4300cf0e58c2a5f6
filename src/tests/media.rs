//! Calls through the SFU over real UDP, and hostile datagrams and offers.

use super::{
    guest::Guest,
    harness::{DEADLINE, TestApp, long_timing, short_timing},
};
use crate::{
    protocol::{ClientMessage, ErrorCode, Joined, MediaOffer, Mode, ServerMessage, Source},
    server::limits::Timing,
};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// A server whose calls always go through the SFU.
async fn app() -> TestApp {
    TestApp::start_with(long_timing(), &["--p2p-max", "0"]).await
}

/// Connects Ann and Ben to a call in which Ben receives Ann's video.
async fn connect_two(app: &TestApp) -> (Guest, Guest) {
    let mut ann = Guest::connect(app, "team", "Ann").await;
    let mut ben = Guest::connect(app, "team", "Ben").await;
    ben.subscribe_to(&[&ann.id()]).await;
    ben.wait_for_video(&mut ann, 1).await;
    (ann, ben)
}

#[tokio::test]
async fn video_arrives_in_the_slot_of_its_sender() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let mut cem = Guest::connect(&app, "team", "Cem").await;
    cem.subscribe_to(&[&ann.id(), &ben.id()]).await;
    cem.wait_for_video(&mut ann, 7).await;
    cem.wait_for_video(&mut ben, 8).await;
    assert!(
        ann.video_frames.is_empty(),
        "nobody asked for anything: {:?}",
        ann.video_frames
    );
}

#[tokio::test]
async fn audio_and_video_of_a_sender_arrive_in_slots_of_one_stream() {
    let app = app().await;
    let ann = Guest::connect(&app, "team", "Ann").await;
    let ben = Guest::connect(&app, "team", "Ben").await;
    let mut cem = Guest::connect(&app, "team", "Cem").await;
    // Audio is subscribed by default; video is subscribed in the reverse order.
    let (ann, ben) = (ann.id(), ben.id());
    cem.subscribe_to(&[&ben, &ann]).await;
    let seen = |cem: &mut Guest| {
        let faces = [&ann, &ben].map(|id| cem.stream_of(id, Source::Camera).is_some());
        faces == [true; 2]
    };
    cem.until("both faces", seen).await;
    for id in [&ann, &ben] {
        let face = cem.stream_of(id, Source::Camera);
        assert_eq!(face, cem.stream_of(id, Source::Microphone));
    }
    let streams = [&ann, &ben].map(|id| cem.stream_of(id, Source::Camera));
    assert_ne!(streams[0], streams[1], "each is in step with oneself only");
}

#[tokio::test]
async fn video_in_another_codec_reaches_only_receivers_that_support_it() {
    use str0m::format::Codec::{Av1, H264, Vp8};
    let app = app().await;
    let mut ann = Guest::connect_with(&app, "team", "Ann", &[H264]).await;
    let mut ben = Guest::connect_with(&app, "team", "Ben", &[Vp8, H264, Av1]).await;
    let mut cem = Guest::connect_with(&app, "team", "Cem", &[Vp8]).await;
    let id = ann.id();
    cem.subscribe_to(&[&id]).await;
    ben.subscribe_to(&[&id]).await;
    ben.wait_for_video(&mut ann, 1).await;
    assert!(ben.received_codecs.iter().all(|came| *came == (1, H264)));
    let moment = Duration::from_millis(300);
    tokio::join!(
        ann.run_for(moment),
        ben.run_for(moment),
        cem.run_for(moment)
    );
    let asked = ann.keyframe_requests;
    for _ in 0..6 {
        ann.send_video(2);
        tokio::join!(
            ann.run_for(moment),
            ben.run_for(moment),
            cem.run_for(moment)
        );
    }
    let whose = |cem: &Guest| cem.slots.values().any(|slot| slot.id.as_ref() == Some(&id));
    assert!(whose(&cem) && cem.video_frames.is_empty());
    assert_eq!(
        ann.keyframe_requests, asked,
        "nobody asks for what cannot be decoded"
    );
    // The next frame may be in a codec that every receiver supports, without a message before it.
    ben.codec = Av1;
    ann.subscribe_to(&[&ben.id()]).await;
    cem.subscribe_to(&[&ben.id()]).await;
    ben.send_video(3);
    ben.codec = Vp8;
    cem.wait_for_video(&mut ben, 4).await;
    assert!(ann.video_frames.is_empty(), "Ann has no VP8");
}

#[tokio::test]
async fn video_stays_in_its_slot_when_its_sender_changes_the_codec() {
    use str0m::format::Codec::{Vp8, Vp9};
    let app = app().await;
    let mut ann = Guest::connect_with(&app, "team", "Ann", &[Vp8, Vp9]).await;
    let mut ben = Guest::connect_with(&app, "team", "Ben", &[Vp9, Vp8]).await;
    ben.subscribe_to(&[&ann.id()]).await;
    for (mark, codec) in [(1, Vp8), (2, Vp9), (3, Vp8), (4, Vp9)] {
        ann.codec = codec;
        ben.wait_for_video(&mut ann, mark).await;
        assert!(
            ben.received_codecs.contains(&(mark, codec)),
            "{:?}",
            ben.received_codecs
        );
    }
    let slots: std::collections::HashSet<_> = ben.video_frames.iter().map(|(mid, _)| mid).collect();
    assert_eq!(slots.len(), 1);
}

#[tokio::test]
async fn audio_has_red_on_a_path_with_loss_and_none_on_others() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let mut cem = Guest::connect(&app, "team", "Cem").await;
    ben.drops_datagrams = true;
    let moment = Duration::from_millis(20);
    for _ in 0..400 {
        ann.send_audio(20);
        tokio::join!(
            ann.run_for(moment),
            ben.run_for(moment),
            cem.run_for(moment)
        );
        if ben.audio_packets.iter().filter(|(twice, _)| *twice).count() > 20 {
            break;
        }
    }
    let twice = ben.audio_packets.iter().filter(|(twice, _)| *twice);
    for (_, payload) in twice.clone() {
        let blocks = str0m::rtp::RedDecoder::decode(payload).expect("two blocks");
        let [before, now] = blocks.as_slice() else {
            panic!("{blocks:?}");
        };
        assert_eq!(before.payload[0].wrapping_add(1), now.payload[0]);
        assert_eq!((before.timestamp_offset, before.pt), (3_000, now.pt));
    }
    assert!(twice.count() > 20);
    assert!(cem.audio_packets.len() > 20 && cem.audio_packets.iter().all(|(twice, _)| !twice));
}

#[tokio::test]
async fn the_primary_block_of_red_audio_is_forwarded() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let moment = Duration::from_millis(20);
    for number in 1..100 {
        ann.send_red_audio(&[number - 1, 8], &[number, 9]);
        tokio::join!(ann.run_for(moment), ben.run_for(moment));
        if ben.audio_packets.len() > 5 {
            break;
        }
    }
    assert!(ben.audio_packets.len() > 5);
    assert!(
        ben.audio_packets
            .iter()
            .all(|(twice, sound)| !twice && sound.len() == 2 && sound[1] == 9)
    );
}

#[tokio::test]
async fn a_lost_packet_of_red_audio_is_recovered_from_the_next_one() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let moment = Duration::from_millis(20);
    for number in 1..100_u8 {
        match number % 3 {
            0 => ann.skip_packet(),
            _ => ann.send_red_audio(&[number - 1, 8], &[number, 9]),
        }
        tokio::join!(ann.run_for(moment), ben.run_for(moment));
        if ben.audio_packets.len() > 20 {
            break;
        }
    }
    assert!(ben.audio_packets.len() > 20);
    for two in ben.audio_packets.windows(2) {
        assert_eq!(
            two[1].1[0],
            two[0].1[0] + 1,
            "none is missing, none comes twice"
        );
    }
    for (_, sound) in &ben.audio_packets {
        assert_eq!(
            sound[1] == 8,
            sound[0] % 3 == 0,
            "only lost packets are recovered"
        );
    }
}

#[tokio::test]
async fn a_screen_is_wanted_in_vp9_while_everybody_takes_it() {
    use crate::protocol::Codec as WireCodec;
    use str0m::format::Codec::{Vp8, Vp9};
    let requested_codecs = |guest: &Guest| {
        let codecs = guest.messages.iter().filter_map(|message| match message {
            ServerMessage::Codec { source, codec } => Some((*source, *codec)),
            _ => None,
        });
        codecs.collect::<Vec<_>>()
    };
    let app = app().await;
    let mut ann = Guest::connect_with(&app, "team", "Ann", &[Vp8, Vp9]).await;
    let _ben = Guest::connect_with(&app, "team", "Ben", &[Vp8, Vp9]).await;
    let (vp9, vp8) = (
        (Source::Screen, WireCodec::Vp9),
        (Source::Screen, WireCodec::Vp8),
    );
    ann.until("VP9", |ann| requested_codecs(ann) == [vp9]).await;
    let cem = Guest::connect_with(&app, "team", "Cem", &[Vp8]).await;
    ann.until("VP8", |ann| requested_codecs(ann) == [vp9, vp8])
        .await;
    assert_eq!(
        requested_codecs(&cem),
        [],
        "a sender without VP9 gets no request"
    );
    drop(cem.udp);
    let mut client = cem.client;
    client.send(&ClientMessage::LeaveCall).await;
    ann.until("VP9 again", |ann| requested_codecs(ann) == [vp9, vp8, vp9])
        .await;
}

#[tokio::test]
async fn media_does_not_cross_rooms() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let mut eve = Guest::connect(&app, "elsewhere", "Eve").await;
    eve.subscribe_to(&[&ann.id(), &ben.id()]).await;
    ben.subscribe_to(&[&ann.id()]).await;
    ben.wait_for_video(&mut ann, 9).await;
    eve.run_for(Duration::from_millis(200)).await;
    assert!(eve.video_frames.is_empty() && eve.slots.values().all(|slot| slot.id.is_none()));
}

#[tokio::test]
async fn a_new_subscription_requests_a_keyframe() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    ann.send_video(1);
    ann.run_for(Duration::from_millis(100)).await;
    assert_eq!(ann.keyframe_requests, 0, "nobody looks yet");
    ben.subscribe_to(&[&ann.id()]).await;
    ann.until("a request", |ann| ann.keyframe_requests > 0)
        .await;
    ben.wait_for_video(&mut ann, 2).await;
}

#[tokio::test]
async fn the_active_speaker_is_broadcast() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let mut ben = Guest::connect(&app, "team", "Ben").await;
    let id = ann.id();
    let has_speaker = |guest: &Guest| {
        guest.messages.iter().any(|message| {
            matches!(message, ServerMessage::Speakers { loudest, .. } if loudest.iter().any(|s| s.id == id))
        })
    };
    for _ in 0..400 {
        if has_speaker(&ben) {
            return;
        }
        ann.send_audio(20);
        ann.run_for(Duration::from_millis(20)).await;
        ben.step().await;
    }
    panic!("no message says that Ann speaks");
}

#[tokio::test]
async fn a_third_person_moves_the_call_to_the_server_and_two_move_back() {
    let app = TestApp::start_with(short_timing(), &["--p2p-max", "2"]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let mut cem = app.join("team", "Cem").await;
    ann.enter_call(1).await;
    ben.enter_call(1).await;
    cem.enter_call(1).await;
    let moved = |message| match message {
        ServerMessage::MediaMode { mode } => Some(mode),
        _ => None,
    };
    assert_eq!(ann.wait_for(moved).await, Mode::Sfu);
    cem.send(&ClientMessage::LeaveCall).await;
    assert_eq!(ann.wait_for(moved).await, Mode::P2p);
    assert_eq!(ben.wait_for(moved).await, Mode::Sfu);
    assert_eq!(ben.wait_for(moved).await, Mode::P2p);
}

#[tokio::test]
async fn a_malformed_offer_is_refused_and_the_next_one_is_accepted() {
    let app = app().await;
    let mut ann = Guest::enter(&app, "team", "Ann").await;
    for (connection, sdp) in [(1, "v=0"), (2, ""), (3, "v=0\r\nm=audio 9 x y\r\n")] {
        let offer = MediaOffer {
            connection,
            offer_id: 1,
            sdp: sdp.into(),
            tracks: vec![],
        };
        ann.client.send(&ClientMessage::Offer(offer)).await;
        assert_eq!(ann.client.wait_for_refusal().await.0, ErrorCode::BadOffer);
        let closed = ann.client.next().await;
        assert_eq!(closed, ServerMessage::MediaClosed { connection });
    }
    ann.send_offer(4).await;
    ann.until("an answer", |ann| ann.rtc.is_connected()).await;
}

#[tokio::test]
async fn call_messages_of_the_sfu_are_only_for_those_in_the_call() {
    let app = app().await;
    let mut ann = app.join("team", "Ann").await;
    let offer = MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp: "v=0".into(),
        tracks: vec![],
    };
    ann.send(&ClientMessage::Offer(offer.clone())).await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::NotInCall);
    ann.send(&ClientMessage::Subscribe { tiles: vec![] }).await;
    ann.send(&ClientMessage::CloseMedia { connection: 1 }).await;
    assert_eq!(ann.received_so_far().await, []);
    ann.enter_call(1).await;
    let sdp = "x".repeat(49 * 1024);
    ann.send(&ClientMessage::Offer(MediaOffer { sdp, ..offer }))
        .await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::SignalTooLong);
}

#[tokio::test]
async fn media_continues_while_the_socket_is_down_and_after_the_reconnect() {
    let app = app().await;
    let (mut ann, mut ben) = connect_two(&app).await;
    let was = ann.client.joined().clone();
    ann.client = app.resume("team", "Ann", &was, 0).await;
    ben.wait_for_video(&mut ann, 2).await;
    let devices = crate::protocol::Devices::default();
    let leg = 1;
    ann.client
        .send(&ClientMessage::EnterCall {
            leg,
            devices,
            hide_address: false,
        })
        .await;
    let connection = ann.client.wait_for(|message| match message {
        ServerMessage::Call { connection, .. } => Some(connection),
        _ => None,
    });
    assert_eq!(connection.await, Some(1), "the same connection goes on");
    ben.wait_for_video(&mut ann, 3).await;
}

#[tokio::test]
async fn a_slot_freed_while_the_socket_was_down_is_reported_after_the_reconnect() {
    let app = app().await;
    let (mut ann, mut ben) = connect_two(&app).await;
    let was = ben.client.joined().clone();
    // Ben's former socket is closed, and the new one joins only after Ann has left the call.
    drop(std::mem::replace(&mut ben.client, app.connect().await));
    ann.client.send(&ClientMessage::LeaveCall).await;
    let left = |m| matches!(m, ServerMessage::CallLeft { .. }).then_some(());
    ann.client.wait_for(left).await;
    ben.client = app.resume("team", "Ben", &was, 0).await;
    let devices = crate::protocol::Devices::default();
    let enter = ClientMessage::EnterCall {
        leg: 1,
        devices,
        hide_address: false,
    };
    ben.client.send(&enter).await;
    let free = |ben: &mut Guest| ben.slots.values().all(|slot| slot.id.is_none());
    ben.until("every slot is free", free).await;
}

/// Breaks the WebSocket of a guest. Returns the `joined` message to resume with.
async fn break_socket(app: &TestApp, guest: &mut Guest) -> Joined {
    let was = guest.client.joined().clone();
    drop(std::mem::replace(&mut guest.client, app.connect().await));
    was
}

/// A short grace period, and people who stay away for the whole test.
fn short_grace() -> Timing {
    Timing {
        grace: Duration::from_millis(50),
        move_back_after: Duration::from_millis(200),
        ..long_timing()
    }
}

#[tokio::test]
async fn a_person_who_enters_again_is_seen_although_their_former_media_never_ended() {
    let app = TestApp::start_with(short_grace(), &["--p2p-max", "0"]).await;
    let (mut ann, mut ben) = connect_two(&app).await;
    let was = break_socket(&app, &mut ann).await;
    // As after a crash of the browser: the former connection ends without a message.
    let client = app.resume("team", "Ann", &was, 0).await;
    let mut again = Guest::enter_as(client, 2, &[str0m::format::Codec::Vp8]).await;
    again.send_offer(1).await;
    again.until("connected", |ann| ann.rtc.is_connected()).await;
    ben.subscribe_to(&[&again.id()]).await;
    ben.wait_for_video(&mut again, 2).await;
}

#[tokio::test]
async fn a_person_without_a_socket_stays_listed_while_their_media_arrives() {
    let app = TestApp::start_with(short_grace(), &["--p2p-max", "2"]).await;
    let mut ann = Guest::enter(&app, "team", "Ann").await;
    let mut ben = Guest::enter(&app, "team", "Ben").await;
    let mut cem = Guest::enter(&app, "team", "Cem").await;
    for guest in [&mut ann, &mut ben, &mut cem] {
        guest.send_offer(1).await;
        guest
            .until("connected", |guest| guest.rtc.is_connected())
            .await;
    }
    ben.subscribe_to(&[&cem.id()]).await;
    ben.wait_for_video(&mut cem, 1).await;
    break_socket(&app, &mut cem).await;
    let back = |guest: &Guest| {
        let back = ServerMessage::MediaMode { mode: Mode::P2p };
        guest.messages.contains(&back)
    };
    for mark in 2..8 {
        ben.wait_for_video(&mut cem, mark).await;
        ben.run_for(Duration::from_millis(100)).await;
    }
    assert!(!back(&ben), "Cem is seen and heard");
    let left = |guest: &Guest| {
        let gone = |m: &ServerMessage| {
            matches!(
                m,
                ServerMessage::Left { .. } | ServerMessage::CallLeft { .. }
            )
        };
        guest.messages.iter().any(gone)
    };
    assert!(!left(&ben), "no message says that Cem has left");
    let late = app.join("team", "Late").await;
    assert_eq!(late.joined().call.len(), 3, "nor does a list say so");
    cem.rtc.disconnect();
    let _ = cem.try_step().await;
    ben.until("two move back", |ben| back(ben)).await;
    assert!(left(&ben));
}

/// Enters a call and offers 20 connections as fast as the rate limit allows. Returns the number of
/// answers.
async fn flood_offers(app: &TestApp, room: &str, number: usize) -> usize {
    let mut eve = app.join(room, &format!("Eve {number}")).await;
    eve.enter_call(1).await;
    let offer = MediaOffer {
        connection: 0,
        offer_id: 1,
        sdp: include_str!("corpus/offer.sdp").to_owned(),
        tracks: vec![],
    };
    for connection in 1..=20 {
        let offer = MediaOffer {
            connection,
            ..offer.clone()
        };
        eve.send(&ClientMessage::Offer(offer)).await;
    }
    let answered = |message: &ServerMessage| matches!(message, ServerMessage::Answer { .. });
    let received = eve.received_so_far().await;
    received.into_iter().filter(answered).count()
}

#[tokio::test]
async fn video_continues_and_an_offer_is_answered_while_twenty_sockets_flood_offers() {
    let app = app().await;
    let (mut ann, mut ben) = connect_two(&app).await;
    let answered = std::cell::Cell::new(0);
    // The flood continues until the other future of the `select!` ends.
    let flood = async {
        for round in 1.. {
            let room = format!("crowd {round}");
            let eves = (0..20).map(|number| flood_offers(&app, &room, number));
            let counts = futures::future::join_all(eves).await;
            answered.set(answered.get() + counts.into_iter().sum::<usize>());
        }
    };
    let honest = async {
        let _cem = Guest::connect(&app, "garden", "Cem").await;
        for mark in 1..=6 {
            ben.wait_for_video(&mut ann, 2 + mark).await;
        }
        while answered.get() == 0 {
            ben.step().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = honest => {}
    }
    assert!(answered.get() > 0, "the flood came to the SFU");
}

#[tokio::test]
async fn a_packet_too_large_to_forward_closes_no_connection() {
    let app = app().await;
    let (mut ann, mut ben) = connect_two(&app).await;
    for _ in 0..20 {
        ann.send_video_of(1_800);
        ann.step().await;
        ben.step().await;
    }
    ben.wait_for_video(&mut ann, 2).await;
    let metrics = app.metrics().await;
    assert!(metrics.value("noom_media_oversized_packets_total") > 0.0);
}

#[tokio::test]
async fn datagrams_of_strangers_to_the_media_port_do_not_disturb_calls() {
    let app = app().await;
    let (mut ann, mut ben) = connect_two(&app).await;
    let port = app
        .context
        .sfu
        .candidates()
        .first()
        .copied()
        .expect("there is a port");
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    for number in 0..2_000_u32 {
        // First bytes of STUN, DTLS, RTP and RTCP (RFC 7983), and of no protocol.
        let first = [0, 22, 128, 200, 77][number as usize % 5];
        let mut junk = vec![first; 20 + number as usize % 400];
        junk[1..5].copy_from_slice(&number.to_be_bytes());
        stranger.send_to(&junk, port).await.expect("sends");
    }
    ben.wait_for_video(&mut ann, 2).await;
    let mut answer = [0; 2048];
    let answered = stranger.try_recv_from(&mut answer);
    assert!(answered.is_err(), "a stranger is answered nothing");
}

#[tokio::test]
async fn a_handshake_from_an_unverified_address_does_not_block_the_real_peer() {
    let app = app().await;
    let port = app
        .context
        .sfu
        .candidates()
        .first()
        .copied()
        .expect("there is a port");
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    // A truncated DTLS 1.2 ClientHello record (RFC 6347, section 4.1).
    let hello = [
        22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0,
    ];
    for number in 0..100 {
        let mut guest = Guest::enter(&app, "team", &format!("Guest {number}")).await;
        guest.send_offer(1).await;
        for _ in 0..5 {
            stranger.send_to(&hello, port).await.expect("sends");
        }
        guest
            .until("connected", |guest| guest.rtc.is_connected())
            .await;
    }
    let answered = stranger.try_recv_from(&mut [0; 64]);
    assert!(answered.is_err(), "a stranger is answered nothing");
}

/// Enters the call of Ann and offers a connection with a fingerprint that is the real one, or
/// belongs to no certificate. Subscribes to Ann.
async fn enter_with_fingerprint(app: &TestApp, ann: &Guest, nickname: &str, real: bool) -> Guest {
    let mut guest = Guest::enter(app, "team", nickname).await;
    let sdp = guest.offer();
    let line = sdp
        .lines()
        .find(|line| line.starts_with("a=fingerprint:sha-256 "));
    let offered = line.expect("there is one").to_owned();
    let forged = format!("a=fingerprint:sha-256 {}", vec!["AB"; 32].join(":"));
    let sdp = match real {
        true => sdp,
        false => sdp.replace(&offered, &forged),
    };
    guest.send_offer_as(1, sdp).await;
    guest.subscribe_to(&[&ann.id()]).await;
    guest
}

/// Sends video of Ann until the guest has received some, for this long at most. Returns whether
/// the guest has.
async fn has_video_within(time: Duration, ann: &mut Guest, guest: &mut Guest) -> bool {
    let deadline = Instant::now() + time;
    while guest.video_frames.is_empty() && Instant::now() < deadline {
        ann.send_video(1);
        ann.step().await;
        // The alert about a failed handshake may end the guest's side, too.
        if guest.try_step().await.is_err() {
            break;
        }
    }
    !guest.video_frames.is_empty()
}

#[tokio::test]
async fn a_certificate_that_does_not_match_the_fingerprint_gets_no_media() {
    let app = app().await;
    let mut ann = Guest::connect(&app, "team", "Ann").await;
    let start = Instant::now();
    let mut ben = enter_with_fingerprint(&app, &ann, "Ben", true).await;
    assert!(has_video_within(DEADLINE, &mut ann, &mut ben).await);
    // Eve gets twice the time in which the real certificate led to media.
    let time = 2 * start.elapsed();
    let mut eve = enter_with_fingerprint(&app, &ann, "Eve", false).await;
    assert!(!has_video_within(time, &mut ann, &mut eve).await);
}

#[tokio::test]
async fn no_message_contains_the_address_of_another_participant() {
    let app = app().await;
    let (ann, mut ben) = connect_two(&app).await;
    ben.run_for(Duration::from_millis(100)).await;
    let address = ann.udp.local_addr().expect("bound").ip().to_string();
    let messages: Vec<_> = ben
        .messages
        .iter()
        .map(|m| serde_json::to_string(m).expect("json"))
        .collect();
    let slots: Vec<_> = ben
        .slots
        .values()
        .map(|s| serde_json::to_string(s).expect("json"))
        .collect();
    let named = messages
        .iter()
        .chain(&slots)
        .find(|text| text.contains(&address));
    assert_eq!(
        named, None,
        "candidates stay between a browser and the server"
    );
}
