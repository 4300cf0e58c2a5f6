//! Unknown senders, unknown peers, lost connections, changes of addresses, and failures of a
//! shard.

use super::*;
use crate::protocol::{MediaOffer, ParticipantId, Source, Wanted};
use crate::server::metrics::IcePath;
use crate::server::sfu::{
    peer::sdp::offer::Offer,
    publish::capture_clock::SenderReport,
    testing::browser::{FakeBrowser, core, first_participant, join_without_media, participant},
    transport::datagram::ReceivedDatagram,
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{cell::RefCell, time::Duration};
use str0m::{Input, media::MediaKind, net::Protocol};

/// An address without a connection.
const UNKNOWN_ADDRESS: ([u8; 4], u16) = ([192, 0, 2, 1], 5000);

#[test]
fn datagrams_from_unknown_addresses_are_not_answered() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    core.outgoing().clear();
    let core = RefCell::new(core);
    let kinds = [0_u8, 1, 2, 20, 23, 63, 64, 127, 128, 191, 200, 255];
    let datagrams = (
        prop::collection::vec(any::<u8>(), 0..300),
        prop::sample::select(kinds.to_vec()),
        prop::sample::select(vec![Protocol::Udp, Protocol::Tcp]),
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let unanswered = runner.run(&datagrams, |(mut bytes, first, proto)| {
        let mut core = core.borrow_mut();
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let datagram = ReceivedDatagram {
            proto,
            is_relayed: false,
            source: UNKNOWN_ADDRESS.into(),
            local_ip: None,
            bytes: &bytes,
        };
        core.receive(datagram, now);
        core.settle(now);
        prop_assert!(core.outgoing().is_empty());
        prop_assert_eq!(
            core.demux.peer_by_address(proto, UNKNOWN_ADDRESS.into()),
            None
        );
        Ok(())
    });
    unanswered.expect("nothing is sent");
    // The peer's own check from the same address is answered.
    let mut core = core.into_inner();
    browser.address = UNKNOWN_ADDRESS.into();
    let is_known = |core: &Core| {
        core.demux
            .peer_by_address(Protocol::Udp, UNKNOWN_ADDRESS.into())
    };
    for _ in 0..500 {
        browser.advance(&mut core, &mut now);
        if is_known(&core).is_some() {
            break;
        }
    }
    assert_eq!(is_known(&core), Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn arbitrary_offers_are_answered_or_refused(text in "(v=0\r\n)?(m=(audio|video) 9 [A-Z/]{1,20} [0-9 ]{0,12}\r\n)?(a=[a-z-]{1,16}(:[ -~]{0,40})?\r\n){0,12}") {
        let (mut core, mut events, now) = core();
        let offer = Offer::new(MediaOffer { connection: 1, offer_id: 1, sdp: text, tracks: vec![] });
        let command = Command::Offer { peer: PeerKey(1), person: first_participant(), offer };
        core.handle_command(RoomKey(1), command, now);
        prop_assert!(events.try_recv().is_ok(), "answered or refused");
    }
}

#[test]
fn commands_for_unknown_peers_and_rooms_are_ignored() {
    let (mut core, mut events, now) = core();
    let peer = PeerKey(9);
    for room in [RoomKey(1), RoomKey(2)] {
        core.handle_command(room, Command::Close { peer }, now);
        core.handle_command(room, Command::Resync { peer }, now);
        let wanted = vec![];
        core.handle_command(room, Command::Subscribe { peer, wanted }, now);
        let sources = Source::ALL.into_iter().collect();
        core.handle_command(room, Command::SetMuted { peer, sources }, now);
    }
    core.close_room(RoomKey(2));
    core.close_room(RoomKey(1));
    core.handle_timeout(now);
    assert!(events.try_recv().is_err());
    assert_eq!(core.deadline(), None, "nothing is due");
}

#[test]
fn a_connection_that_never_connects_is_closed() {
    let (mut core, mut events, now) = core();
    let mut browser = str0m::Rtc::new(now);
    let mut api = browser.sdp_api();
    let (kind, direction) = (MediaKind::Audio, str0m::media::Direction::SendOnly);
    api.add_media(kind, direction, None, None, None);
    let (offer, _) = api.apply().expect("something to offer");
    let offer = Offer::new(MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp: offer.to_sdp_string(),
        tracks: vec![],
    });
    let peer = PeerKey(1);
    let person = first_participant();
    core.handle_command(
        RoomKey(1),
        Command::Offer {
            peer,
            person,
            offer,
        },
        now,
    );
    assert!(matches!(events.try_recv(), Ok(Event::Answer { .. })));
    let closed_at = (0..400).find_map(|tenths| {
        let time = Duration::from_millis(100 * tenths);
        core.handle_timeout(now + time);
        let mut events = std::iter::from_fn(|| events.try_recv().ok());
        events
            .any(|event| event == Event::Closed { peer })
            .then_some(time)
    });
    let closed_at = closed_at.expect("the connection is closed");
    assert!((12..14).contains(&closed_at.as_secs()), "{closed_at:?}");
    assert!(core.peers.is_empty() && core.keys.is_empty());
    assert_eq!(core.metrics.ice_results(IcePath::Failed), 1);
}

#[test]
fn a_burst_of_packets_is_received_completely() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    for seq in 1..=5_u64 {
        browser.send_keyframe(seq, now);
    }
    browser
        .rtc
        .handle_input(Input::Timeout(now))
        .expect("goes on");
    let burst = browser.take_outgoing();
    assert!(burst.len() >= 5);
    core.take_media_packets_received();
    for bytes in &burst {
        core.receive(browser.datagram(bytes), now);
    }
    core.settle(now);
    assert_eq!(core.take_media_packets_received(), 5);
}

#[test]
fn delayed_video_shares_the_audio_capture_time() {
    let (mut core, mut events, mut now) = core();
    let (ann, ben) = (
        first_participant(),
        ParticipantId::parse("p_b").expect("valid"),
    );
    let mut sender = FakeBrowser::join(&mut core, &mut events, &mut now, PeerKey(1), ann.clone());
    let mut receiver = FakeBrowser::join(&mut core, &mut events, &mut now, PeerKey(2), ben);
    subscribe_to_camera(&mut core, PeerKey(2), ann, now);
    // No media for three seconds, in which sender reports are exchanged.
    for _ in 0..300 {
        sender.advance(&mut core, &mut now);
        receiver.exchange(&mut core, now);
    }
    let start = now;
    // Video each 100 ms with a delay of 80 ms, audio each 20 ms.
    for ms in (80..6_000_u32).step_by(10) {
        now = start + Duration::from_millis(ms.into());
        let packet = |mid, taken: u32, ticks: u32, first| {
            let payload = [vec![first; 20], taken.to_be_bytes().to_vec()].concat();
            let at = start + Duration::from_millis(taken.into());
            (mid, u64::from(ms), taken * ticks, at, payload)
        };
        let voice = (ms % 20 == 0).then(|| packet(sender.microphone(), ms, 48, 0x78));
        let face = (ms % 100 == 80).then(|| packet(sender.camera(), ms - 80, 90, 0x10));
        for (mid, seq, time, at, payload) in voice.into_iter().chain(face) {
            sender.send_packet(mid, seq, time, at, payload);
        }
        sender.exchange(&mut core, now);
        receiver.exchange(&mut core, now);
    }
    let reports = |mid| {
        let reports = receiver.events.iter().filter_map(move |event| match event {
            str0m::Event::SenderFeedback(report) if report.mid == mid => {
                Some(SenderReport::from(&report.sender_info))
            }
            _ => None,
        });
        reports.collect::<Vec<_>>()
    };
    let capture_start = |mid, clock_rate: u32| {
        let reports = reports(mid);
        let [first, .., last] = reports[..] else {
            panic!("reports came");
        };
        let jump = first
            .rtp_time_at(last.ntp_time, clock_rate)
            .wrapping_sub(last.rtp_time);
        let jump = jump.cast_signed().unsigned_abs();
        assert!(
            jump < 2 * clock_rate,
            "no jump, where the stream only began later"
        );
        let packet = receiver.events.iter().rev().find_map(|event| match event {
            str0m::Event::RtpPacket(packet) if packet.header.ext_vals.mid == Some(mid) => {
                let taken = packet.payload.last_chunk().copied().expect("four bytes");
                Some((packet.header.timestamp, u32::from_be_bytes(taken)))
            }
            _ => None,
        });
        let (time, taken) = packet.expect("packets came");
        let at = last.ntp_time_of(time, clock_rate);
        at.expect("a time") - Duration::from_millis(taken.into())
    };
    let (voice, face) = (
        capture_start(receiver.audio_receiver(), 48_000),
        capture_start(receiver.video_receiver(), 90_000),
    );
    let apart = voice.duration_since(face).unwrap_or_else(|e| e.duration());
    assert!(apart < Duration::from_millis(10), "{apart:?}");
}

#[test]
fn packets_that_arrive_together_are_sent_together() {
    let (mut core, mut events, mut now) = core();
    let [mut ann, mut ben] = join_two(&mut core, &mut events, &mut now);
    subscribe_to_camera(&mut core, PeerKey(2), participant(1), now);
    ann.send_keyframe(1, now);
    for _ in 0..3 {
        ann.advance(&mut core, &mut now);
        ben.exchange(&mut core, now);
    }
    for seq in 2..=7 {
        ann.send_packet(ann.camera(), seq, 3_000, now, vec![0x10; 900]);
    }
    ann.rtc.handle_input(Input::Timeout(now)).expect("goes on");
    for bytes in ann.take_outgoing() {
        core.receive(ann.datagram(&bytes), now);
    }
    core.settle(now);
    let to_ben = |core: &mut Core| {
        let sent = core.outgoing().iter();
        sent.filter(|sent| sent.transmit.destination == ben.host)
            .filter(|sent| sent.transmit.contents.len() > 900)
            .count()
    };
    assert_eq!(to_ben(&mut core), 6, "without a timeout between them");
    ben.exchange(&mut core, now);
    let received = ben.events.iter().filter(
        |event| matches!(event, str0m::Event::RtpPacket(packet) if packet.payload.len() == 900),
    );
    assert_eq!(received.count(), 6);
}

/// Subscribes a peer to the camera of a participant.
fn subscribe_to_camera(core: &mut Core, peer: PeerKey, id: ParticipantId, now: Instant) {
    let wanted = vec![Wanted {
        id,
        source: Source::Camera,
        height: 360,
        pinned: false,
    }];
    core.handle_command(RoomKey(1), Command::Subscribe { peer, wanted }, now);
}

/// Connects participants 1 and 2.
fn join_two(
    core: &mut Core,
    events: &mut mpsc::Receiver<Event>,
    now: &mut Instant,
) -> [FakeBrowser; 2] {
    [1, 2].map(|number| FakeBrowser::join(core, events, now, PeerKey(number), participant(number)))
}

#[test]
fn a_panic_on_a_packet_closes_only_its_connection() {
    let (mut core, mut events, mut now) = core();
    let [mut ann, mut ben] = join_two(&mut core, &mut events, &mut now);
    ann.send_keyframe(1, now);
    for _ in 0..3 {
        ann.advance(&mut core, &mut now);
    }
    // A layer that does not exist stands for a bug.
    core.peers[0].upstream.corrupt_origins();
    ann.send_keyframe(2, now);
    for _ in 0..3 {
        ann.advance(&mut core, &mut now);
    }
    let sent: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let (ended, stays) = (PeerKey(1), PeerKey(2));
    assert!(sent.contains(&Event::Closed { peer: ended }));
    assert!(!sent.contains(&Event::Closed { peer: stays }));
    ben.send_keyframe(1, now);
    for _ in 0..3 {
        ben.advance(&mut core, &mut now);
    }
    assert_eq!(core.peers.len(), 1);
    let tracks = core.rooms[&RoomKey(1)].tracks.iter();
    let live = tracks.filter(|(_, track)| track.layers[0].meter.is_live(now));
    assert_eq!(live.count(), 1, "the other's video continues");
}

#[test]
fn after_a_restart_of_the_shard_everybody_connects_again() {
    let (mut core, mut events, mut now) = core();
    join_two(&mut core, &mut events, &mut now);
    core.restart(now);
    let sent: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    for peer in [PeerKey(1), PeerKey(2)] {
        assert!(sent.contains(&Event::Closed { peer }));
    }
    assert!(core.peers.is_empty() && core.keys.is_empty());
    join_two(&mut core, &mut events, &mut now);
    assert_eq!(core.peers.len(), 2);
}

#[test]
fn media_follows_a_peer_to_its_new_address() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    let mut seq = 0;
    let mut send_video_for = |browser: &mut FakeBrowser, seconds: u64| {
        let mut reached = Vec::new();
        for _ in 0..seconds * 100 {
            seq += 1;
            browser.send_keyframe(seq, now);
            reached.extend(browser.advance(&mut core, &mut now));
        }
        reached
    };
    let before = send_video_for(&mut browser, 3);
    assert!(!before.is_empty() && before.iter().all(|to| *to == browser.host));
    browser.address = ([127, 0, 0, 1], 4001).into();
    // The next connectivity check is sent within 3 s; media is accepted from then on.
    send_video_for(&mut browser, 3);
    let after = send_video_for(&mut browser, 3);
    assert!(!after.is_empty());
    assert!(after.iter().all(|to| *to == browser.address), "{after:?}");
}

/// Offers an ICE restart of the first participant. Returns the SDP of the answer.
fn restart_ice(
    browser: &mut FakeBrowser,
    core: &mut Core,
    events: &mut mpsc::Receiver<Event>,
    offer_id: u32,
    now: Instant,
) -> String {
    let mut api = browser.rtc.sdp_api();
    api.ice_restart(true);
    let (offer, pending) = api.apply().expect("something to offer");
    browser.pending = Some(pending);
    let offer = Offer::new(MediaOffer {
        connection: 1,
        offer_id,
        sdp: offer.to_sdp_string(),
        tracks: vec![],
    });
    let (peer, person) = (PeerKey(1), first_participant());
    let command = Command::Offer {
        peer,
        person,
        offer,
    };
    core.handle_command(RoomKey(1), command, now);
    let answer = std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp),
        _ => None,
    });
    answer.expect("an answer")
}

#[test]
fn an_ice_restart_after_a_change_of_addresses_offers_and_serves_the_new_one() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    let new: SocketAddr = ([127, 0, 0, 7], 7882).into();
    core.set_candidates(vec![new]);
    core.settle(now);
    for _ in 0..20 {
        browser.advance(&mut core, &mut now);
    }
    assert!(browser.rtc.is_connected(), "the call goes on");
    let answer = restart_ice(&mut browser, &mut core, &mut events, 2, now);
    let candidates: Vec<&str> = answer
        .lines()
        .filter(|line| line.starts_with("a=candidate:"))
        .collect();
    let names = |ip: &str| candidates.iter().any(|line| line.contains(ip));
    assert!(names(" 127.0.0.7 7882 "), "{candidates:?}");
    assert!(
        names(" 127.0.0.1 7882 "),
        "the one in use stays: {candidates:?}"
    );
    let pending = browser.pending.take().expect("offered");
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).expect("an answer");
    let api = browser.rtc.sdp_api();
    api.accept_answer(pending, answer).expect("accepts");
    let mut answered_from = Vec::new();
    for _ in 0..20 {
        now += Duration::from_millis(10);
        browser
            .rtc
            .handle_input(Input::Timeout(now))
            .expect("goes on");
        for bytes in browser.take_outgoing() {
            let local = Some(new.ip());
            core.receive(
                ReceivedDatagram {
                    local_ip: local,
                    ..browser.datagram(&bytes)
                },
                now,
            );
            core.settle(now);
        }
        let sent = std::mem::take(core.outgoing());
        answered_from.extend(sent.into_iter().map(|sent| sent.transmit.source));
    }
    assert!(answered_from.contains(&new), "{answered_from:?}");
    // A peer that joins now gets the new address only.
    let mut other = FakeBrowser::join(&mut core, &mut events, &mut now, PeerKey(2), participant(2));
    let _ = other.take_outgoing();
    let (_, peer) = core
        .peers
        .iter()
        .find(|(_, p)| p.key == PeerKey(2))
        .expect("in");
    assert_eq!(peer.transport.candidates(), [new]);
}

#[test]
fn addresses_that_change_without_end_leave_a_connection_with_a_bounded_number() {
    let (mut core, mut events, mut now) = core();
    let _browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    for number in 0..2000_u16 {
        let [high, low] = number.to_be_bytes();
        core.set_candidates(vec![([10, 0, high, low], 7882).into()]);
        core.settle(now);
    }
    let (_, peer) = core.peers.iter().next().expect("still there");
    assert!(
        peer.transport.candidates().len() <= 24,
        "{}",
        peer.transport.candidates().len()
    );
}

#[test]
fn two_ufrags_of_a_peer_are_known_after_many_ice_restarts() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    for n in 2..=40 {
        let answer = restart_ice(&mut browser, &mut core, &mut events, n, now);
        browser.connect(&mut core, &answer, &mut now);
    }
    let (index, peer) = core.peers.iter().next().expect("still there");
    assert_eq!(peer.transport.ufrags().len(), 2);
    let known = |name: &String| core.demux.peer_by_ufrag(name) == Some(index);
    assert!(peer.transport.ufrags().iter().all(known));
    assert_eq!(core.demux.ufrag_count(), 2);
}

#[test]
fn a_silent_peer_is_reported_as_poor_before_it_is_closed() {
    let (mut core, mut events, mut now) = core();
    let mut browser = FakeBrowser::join_first(&mut core, &mut events, &mut now);
    for _ in 0..200 {
        browser.advance(&mut core, &mut now);
    }
    let events_so_far = |events: &mut mpsc::Receiver<Event>| -> Vec<Event> {
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    };
    events_so_far(&mut events);
    let mut seconds = |core: &mut Core, seconds: u64| {
        for _ in 0..seconds * 10 {
            now += Duration::from_millis(100);
            core.handle_timeout(now);
        }
        events_so_far(&mut events)
    };
    let people = vec![crate::protocol::PersonQuality {
        id: first_participant(),
        quality: crate::protocol::Quality::Poor,
    }];
    let poor = Event::Qualities { people };
    assert!(seconds(&mut core, 6).contains(&poor));
    let closed = Event::Closed { peer: PeerKey(1) };
    assert!(seconds(&mut core, 8).contains(&closed));
    assert!(core.peers.is_empty());
}

#[test]
fn a_room_whose_actor_has_ended_is_closed_without_a_message() {
    let (mut core, events, mut now) = core();
    join_without_media(&mut core, 1, &[], (MediaKind::Audio, 1), now);
    assert_eq!(core.peers.len(), 1);
    drop(events);
    let end = now + Duration::from_secs(1);
    while now < end {
        now += Duration::from_millis(50);
        core.handle_timeout(now);
    }
    assert!(core.peers.is_empty() && core.rooms.is_empty());
}
