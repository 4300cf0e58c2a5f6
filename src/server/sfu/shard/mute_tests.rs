//! Muted sources: their packets reach nobody while the page sends on, feedback to the sender goes
//! on, and after the mute each stream continues without a gap.

use super::*;
use crate::{
    protocol::{ParticipantId, Slot, Source, Wanted},
    server::sfu::{
        command::{Command, Event},
        keys::{PeerKey, RoomKey},
        testing::browser::{FakeBrowser, OfferedMedia, core, participant},
    },
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};
use str0m::{
    Input,
    media::{KeyframeRequest, KeyframeRequestKind, MediaKind},
    rtp::{ExtensionValues, RedEncoder, RedundantBlock, RtpWrite, Ssrc},
};
use tokio::sync::mpsc;

const ROOM: RoomKey = RoomKey(1);
const PUBLISHER: PeerKey = PeerKey(1);
const VIEWER: PeerKey = PeerKey(2);
/// The interval between two packets of each stream.
const STEP: Duration = Duration::from_millis(20);
/// The receivers of a viewer with room for every source.
const FOUR: [MediaKind; 4] = [
    MediaKind::Video,
    MediaKind::Audio,
    MediaKind::Video,
    MediaKind::Audio,
];

/// A packet that the viewer received.
#[derive(Debug, Clone, Copy)]
struct Received {
    /// The received stream.
    ssrc: Ssrc,
    /// The source that the packet was sent as.
    source: Source,
    /// Its number among the packets of the source.
    number: u64,
    /// Whether a decoder can start with it.
    is_keyframe: bool,
    /// The extended sequence number of the received stream.
    seq: u64,
    /// The RTP timestamp of the received stream.
    time: u32,
}

/// A participant who sends, and another who watches.
struct Call {
    core: Core,
    events: mpsc::Receiver<Event>,
    now: Instant,
    publisher: FakeBrowser,
    viewer: FakeBrowser,
    /// The sources that the publisher sends, and the RIDs of the camera.
    sent: Vec<Source>,
    rids: &'static [&'static str],
    /// Packets that each stream has sent.
    number: u64,
    /// Whether the encoders answer keyframe requests.
    answers_requests: bool,
    /// Events of the publisher that were read.
    read: usize,
    /// The audible speakers and the dominant speaker as announced last.
    speakers: (Vec<ParticipantId>, Option<ParticipantId>),
    /// The viewer's slots that carry a source, by MID.
    slots: HashMap<String, Slot>,
}

impl Call {
    /// A call in which participant 1 sends these sources to participant 2, who wants all video.
    fn new(sent: &[Source], rids: &'static [&'static str], received: &[MediaKind]) -> Self {
        let (mut core, mut events, mut now) = core();
        let publishes = OfferedMedia {
            sent,
            received: &[],
            rids,
            uses_bwe: true,
        };
        let watches = OfferedMedia {
            sent: &[],
            received,
            rids: &[],
            // Clocks of tests are too coarse for an estimate.
            uses_bwe: false,
        };
        let mut join = |media: &OfferedMedia<'_>, peer: PeerKey| {
            FakeBrowser::join_with_media(media, &mut core, &mut events, &mut now, peer.0)
        };
        let (publisher, viewer) = (join(&publishes, PUBLISHER), join(&watches, VIEWER));
        let wanted = [Source::Camera, Source::Screen].map(|source| Wanted {
            id: participant(PUBLISHER.0),
            source,
            height: 360,
            pinned: false,
        });
        let command = Command::Subscribe {
            peer: VIEWER,
            wanted: wanted.to_vec(),
        };
        core.handle_command(ROOM, command, now);
        Self {
            core,
            events,
            now,
            publisher,
            viewer,
            sent: sent.to_vec(),
            rids,
            number: 0,
            answers_requests: true,
            read: 0,
            speakers: (Vec::new(), None),
            slots: HashMap::new(),
        }
    }

    /// Mutes these sources of the publisher, and no other.
    fn mute(&mut self, sources: &[Source]) {
        let command = Command::SetMuted {
            peer: PUBLISHER,
            sources: sources.iter().copied().collect(),
        };
        self.core.handle_command(ROOM, command, self.now);
    }

    /// Lets time pass, in which every stream sends on.
    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.send();
            self.now += STEP;
            self.exchange();
        }
    }

    /// Lets time pass, in which the page sends nothing.
    fn wait_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.exchange();
        }
    }

    /// Sends one packet of every stream; of video a keyframe where one was requested.
    fn send(&mut self) {
        let asked = self.take_keyframe_requests();
        self.number += 1;
        for source in self.sent.clone() {
            let mid = self.publisher.sender_of(source);
            let rids = match source {
                Source::Camera if !self.rids.is_empty() => {
                    self.rids.iter().map(|rid| Some((*rid).into())).collect()
                }
                _ => vec![None],
            };
            for rid in rids {
                let is_asked = asked.iter().any(|r| r.mid == mid && r.rid == rid);
                let write = self.packet(source, is_asked && self.answers_requests);
                self.publisher.write_layer_packet(mid, rid, write);
            }
        }
        self.flush();
    }

    /// Lets the publisher send what it wrote.
    fn flush(&mut self) {
        let timeout = Input::Timeout(self.now);
        self.publisher.rtc.handle_input(timeout).expect("goes on");
    }

    /// The next packet of a source: loud audio, or one frame of video.
    fn packet(&self, source: Source, is_keyframe: bool) -> RtpWrite {
        let (mid, number) = (self.publisher.sender_of(source), self.number);
        let ticks = if source.is_video() { 1_800 } else { 960 };
        let time = number as u32 * ticks;
        let payload = payload(source, number, is_keyframe);
        let write = self.publisher.packet(mid, number, time, self.now, payload);
        match source.is_video() {
            true => write,
            false => write.ext_vals(ExtensionValues {
                audio_level: Some(-20),
                voice_activity: Some(true),
                ..ExtensionValues::default()
            }),
        }
    }

    /// The keyframe requests to the publisher since the last call.
    fn take_keyframe_requests(&mut self) -> Vec<KeyframeRequest> {
        let new = self.publisher.events.iter().skip(self.read);
        let asked = new.filter_map(|event| match event {
            str0m::Event::KeyframeRequest(request) => Some(*request),
            _ => None,
        });
        let asked = asked.collect();
        self.read = self.publisher.events.len();
        asked
    }

    /// Exchanges datagrams and reads the events of the core.
    fn exchange(&mut self) {
        self.publisher.exchange(&mut self.core, self.now);
        self.viewer.exchange(&mut self.core, self.now);
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Speakers { loudest, dominant } => {
                    let people = loudest.into_iter().map(|speaker| speaker.id);
                    self.speakers = (people.collect(), dominant);
                }
                Event::Slots { peer, slots } if peer == VIEWER => {
                    for slot in slots {
                        self.slots.remove(&slot.mid);
                        if slot.id.is_some() {
                            self.slots.insert(slot.mid.clone(), slot);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The packets that the viewer received so far, in their order.
    fn received(&self) -> Vec<Received> {
        let packets = self.viewer.events.iter().filter_map(|event| match event {
            str0m::Event::RtpPacket(packet) => Some(packet),
            _ => None,
        });
        let read = packets.map(|packet| {
            let [.., source, a, b, c, d] = packet.payload[..] else {
                panic!("a packet of this test");
            };
            Received {
                ssrc: packet.header.ssrc,
                source: Source::ALL[usize::from(source)],
                number: u32::from_be_bytes([a, b, c, d]).into(),
                is_keyframe: packet.payload[1] == 0,
                seq: *packet.seq_no,
                time: packet.header.timestamp,
            }
        });
        read.collect()
    }

    /// The packets of a source that the viewer received so far.
    fn received_of(&self, source: Source) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|packet| packet.source == source);
        received
    }

    /// The number of packets that the viewer received so far, by source.
    fn counts(&self) -> BTreeMap<Source, usize> {
        let mut counts: BTreeMap<_, _> = Source::ALL.map(|source| (source, 0)).into();
        for packet in self.received() {
            *counts.entry(packet.source).or_default() += 1;
        }
        counts
    }

    /// The voices that the room forwards.
    fn forwarded_voices(&self) -> usize {
        self.core.rooms[&ROOM].loudest.loudest().count()
    }

    /// The sources that the viewer's slots carry.
    fn shown(&self) -> BTreeSet<Source> {
        let carried = self.slots.values().filter(|slot| !slot.paused);
        carried.filter_map(|slot| slot.source).collect()
    }

    /// Asserts that no stream of the viewer has a gap, a repetition or a step back in time.
    fn assert_continuous(&self) {
        let mut last = HashMap::<Ssrc, Received>::new();
        for packet in self.received() {
            if let Some(before) = last.insert(packet.ssrc, packet) {
                assert_eq!(packet.seq, before.seq + 1, "{before:?} {packet:?}");
                let passed = packet.time.wrapping_sub(before.time).cast_signed();
                assert!(passed > 0, "{before:?} {packet:?}");
            }
        }
    }
}

/// A payload with its source and number: 200 kbit/s of VP8 (RFC 7741 4), 40 kbit/s of audio.
fn payload(source: Source, number: u64, is_keyframe: bool) -> Vec<u8> {
    let (start, length) = match source.is_video() {
        true => ([0x10, u8::from(!is_keyframe)], 500),
        false => ([0x78, 0], 100),
    };
    let number = (number as u32).to_be_bytes();
    [&start[..], &vec![7; length], &[source as u8], &number].concat()
}

/// A call of all four sources, which the viewer receives.
fn call_of_four() -> Call {
    let mut call = Call::new(&Source::ALL, &[], &FOUR);
    call.run_for(Duration::from_secs(2));
    let counts = call.counts();
    assert!(counts.values().all(|count| *count > 50), "{counts:?}");
    assert_eq!(call.shown(), Source::ALL.into());
    call
}

#[test]
fn muted_packets_reach_nobody_while_the_page_sends_on() {
    let mut call = call_of_four();
    let before = call.counts();
    let metrics = call.core.metrics.clone();
    let (received, sent) = (metrics.received_packets.get(), call.number);
    call.mute(&Source::ALL);
    call.run_for(Duration::from_secs(3));
    assert_eq!(call.counts(), before);
    assert_eq!(metrics.muted_packets.get(), 4 * (call.number - sent));
    assert_eq!(metrics.received_packets.get(), received);
    assert_eq!(call.shown(), [].into(), "the slots are free");
    call.assert_continuous();
}

#[test]
fn after_a_mute_audio_returns_at_once_and_video_with_a_requested_keyframe() {
    let mut call = call_of_four();
    let before = call.received();
    call.mute(&Source::ALL);
    call.run_for(Duration::from_secs(3));
    let first_number = call.number + 1;
    call.mute(&[]);
    call.run_for(Duration::from_millis(200));
    for source in Source::ALL {
        let after = call.received_of(source);
        let after = after.iter().find(|packet| packet.number >= first_number);
        let after = after.unwrap_or_else(|| panic!("{source:?} returns"));
        // At the next tick, after 50 ms at most; a keyframe takes another exchange.
        let latest = first_number + if source.is_video() { 5 } else { 3 };
        assert!(after.number <= latest, "{source:?}: {after:?}");
        assert!(after.is_keyframe || !source.is_video(), "{after:?}");
        let last = before.iter().rfind(|packet| packet.ssrc == after.ssrc);
        let passed = after.time.wrapping_sub(last.expect("before").time);
        let clock_rate = if source.is_video() { 90_000 } else { 48_000 };
        let seconds = f64::from(passed) / f64::from(clock_rate);
        assert!((3.0..3.2).contains(&seconds), "{source:?}: {seconds}");
    }
    call.assert_continuous();
}

#[test]
fn a_mute_leaves_the_other_sources_of_the_peer_untouched() {
    for muted in Source::ALL {
        let mut call = call_of_four();
        let before = call.counts();
        call.mute(&[muted]);
        call.run_for(Duration::from_secs(1));
        for (source, count) in call.counts() {
            let expected = if source == muted { 0 } else { 50 };
            assert_eq!(count - before[&source], expected, "{muted:?}: {source:?}");
        }
        call.assert_continuous();
    }
}

#[test]
fn no_simulcast_layer_of_a_muted_camera_is_forwarded() {
    let mut call = Call::new(&[Source::Camera], &["q", "h", "f"], &FOUR);
    call.run_for(Duration::from_secs(2));
    let (before, sent) = (call.counts(), call.number);
    assert!(before[&Source::Camera] > 50, "{before:?}");
    call.mute(&[Source::Camera]);
    call.run_for(Duration::from_secs(5));
    assert_eq!(call.counts(), before);
    let muted = call.core.metrics.muted_packets.get();
    assert_eq!(muted, 3 * (call.number - sent));
    let asked = call.core.metrics.keyframe_requests_sent.get();
    call.mute(&[]);
    call.run_for(Duration::from_secs(1));
    assert!(call.core.metrics.keyframe_requests_sent.get() > asked);
    let more = call.counts()[&Source::Camera] - before[&Source::Camera];
    assert!((40..=50).contains(&more), "{more}");
    call.assert_continuous();
}

#[test]
fn congestion_feedback_to_a_muted_sender_goes_on() {
    let mut call = call_of_four();
    call.mute(&Source::ALL);
    call.run_for(Duration::from_secs(3));
    let since = call.now - Duration::from_secs(1);
    let stats = call
        .publisher
        .events
        .iter()
        .filter_map(|event| match event {
            str0m::Event::PeerStats(stats) if stats.timestamp > since => Some(stats),
            _ => None,
        });
    // The loss of the last second is known only where feedback arrived within it.
    let losses: Vec<_> = stats.map(|stats| stats.egress_loss_fraction).collect();
    assert!(losses.len() > 2, "{losses:?}");
    assert!(losses.iter().all(|loss| *loss == Some(0.0)), "{losses:?}");
}

#[test]
fn a_muted_speaker_is_neither_loud_nor_dominant() {
    let mut call = call_of_four();
    let ann = participant(PUBLISHER.0);
    assert_eq!(call.speakers, (vec![ann.clone()], Some(ann.clone())));
    assert_eq!(call.forwarded_voices(), 1);
    call.mute(&[Source::Microphone]);
    call.run_for(Duration::from_millis(60));
    assert_eq!(call.speakers, (vec![], None), "at the next tick");
    for _ in 0..60 {
        call.run_for(Duration::from_millis(50));
        assert_eq!(call.speakers, (vec![], None));
        assert_eq!(call.forwarded_voices(), 0);
    }
    call.mute(&[]);
    call.wait_for(4 * STEP);
    assert_eq!(call.forwarded_voices(), 1, "also without audio levels");
    call.run_for(Duration::from_secs(2));
    assert_eq!(call.speakers, (vec![ann.clone()], Some(ann)));
}

#[test]
fn a_muted_screen_leaves_its_slot_to_the_camera() {
    let both = [Source::Camera, Source::Screen];
    let mut call = Call::new(&both, &[], &[MediaKind::Video]);
    call.run_for(Duration::from_secs(1));
    for (muted, shown) in [
        (&[][..], Source::Screen),
        (&[Source::Screen], Source::Camera),
        (&[], Source::Screen),
    ] {
        call.mute(muted);
        call.run_for(Duration::from_millis(200));
        assert_eq!(call.shown(), [shown].into());
        let last = call.received().last().map(|packet| packet.source);
        assert_eq!(last, Some(shown));
    }
    call.assert_continuous();
}

#[test]
fn a_mute_that_ends_before_the_next_tick_leaves_no_gap() {
    let mut call = call_of_four();
    for _ in 0..20 {
        call.mute(&Source::ALL);
        call.run_for(STEP);
        call.mute(&[]);
        call.run_for(Duration::from_millis(130));
    }
    call.assert_continuous();
    let before = call.counts();
    call.run_for(Duration::from_secs(2));
    for (source, count) in call.counts() {
        assert!(count >= before[&source] + 50, "{source:?}");
    }
}

#[test]
fn no_keyframe_is_requested_of_a_muted_source() {
    let mut call = Call::new(&[Source::Camera], &[], &FOUR);
    call.answers_requests = false;
    call.run_for(Duration::from_secs(2));
    let metrics = call.core.metrics.clone();
    let sent = metrics.keyframe_requests_sent.get();
    assert!(sent > 1, "an unanswered request is repeated");
    call.mute(&[Source::Camera]);
    call.run_for(Duration::from_secs(12));
    assert_eq!(metrics.keyframe_requests_sent.get(), sent);
    // The viewer asks, too: it has received a stream before.
    let mut call = call_of_four();
    let metrics = call.core.metrics.clone();
    let mut slots = call.slots.values();
    let slot = slots.find(|slot| slot.source == Some(Source::Camera));
    let mid = slot.expect("shown").mid.as_str().into();
    call.mute(&[Source::Camera]);
    let (asked, sent) = (
        metrics.keyframe_requests_received.get(),
        metrics.keyframe_requests_sent.get(),
    );
    for _ in 0..30 {
        let mut direct = call.viewer.rtc.direct_api();
        let stream = direct.stream_rx_by_mid(mid, None).expect("receives");
        stream.request_keyframe(KeyframeRequestKind::Pli);
        call.run_for(Duration::from_millis(100));
    }
    assert!(metrics.keyframe_requests_received.get() > asked);
    assert_eq!(metrics.keyframe_requests_sent.get(), sent);
}

#[test]
fn a_mute_outlasts_every_later_offer_and_applies_to_sources_that_are_offered_later() {
    let sent = [Source::Microphone, Source::Camera];
    let mut call = Call::new(&sent, &[], &FOUR);
    call.run_for(Duration::from_secs(1));
    let muted = [Source::Camera, Source::Screen];
    call.mute(&muted);
    let before = call.counts();
    let offer = call.publisher.offer_more(&[Source::Screen], 1, 2);
    let offered = |offer| Command::Offer {
        peer: PUBLISHER,
        person: participant(PUBLISHER.0),
        offer,
    };
    call.core.handle_command(ROOM, offered(offer), call.now);
    let events = std::iter::from_fn(|| call.events.try_recv().ok());
    let answer = events.into_iter().find_map(|event| match event {
        Event::Answer { sdp, .. } => Some(sdp),
        _ => None,
    });
    let answer = answer.expect("an answer");
    call.publisher
        .connect(&mut call.core, &answer, &mut call.now);
    call.sent.push(Source::Screen);
    call.run_for(Duration::from_secs(2));
    for source in muted {
        assert_eq!(call.counts()[&source], before[&source], "{source:?}");
    }
    let heard = call.counts()[&Source::Microphone] - before[&Source::Microphone];
    assert!(heard >= 100, "{heard}");
    // A new connection under the same key.
    let offer = call.publisher.offer_more(&[Source::ScreenAudio], 2, 3);
    call.core.handle_command(ROOM, offered(offer), call.now);
    let tracks = call.core.rooms[&ROOM].tracks.iter();
    let tracks = tracks.map(|(_, track)| (track.source, track.is_muted()));
    let expected = Source::ALL.map(|source| (source, muted.contains(&source)));
    assert_eq!(tracks.collect::<BTreeMap<_, _>>(), expected.into());
}

#[test]
fn a_packet_of_the_mute_that_arrives_after_it_is_dropped() {
    let mut call = call_of_four();
    call.mute(&Source::ALL);
    call.run_for(Duration::from_millis(200));
    let before = call.counts();
    // Keyframes of the mute that are late, and packets that overtake them.
    call.number += 1;
    for source in Source::ALL {
        let (mid, write) = (call.publisher.sender_of(source), call.packet(source, true));
        call.publisher.write_layer_packet(mid, None, write);
    }
    call.flush();
    let late = call.publisher.take_outgoing();
    assert!(late.len() >= 4);
    call.run_for(STEP);
    let (number, muted) = (call.number, call.core.metrics.muted_packets.get());
    call.mute(&[]);
    // Past the tick that subscribes again.
    call.answers_requests = false;
    call.wait_for(4 * STEP);
    assert_eq!(call.shown(), Source::ALL.into());
    for bytes in late {
        let datagram = call.publisher.datagram(&bytes);
        call.core.receive(datagram, call.now);
        call.core.settle(call.now);
    }
    call.exchange();
    assert_eq!(call.core.metrics.muted_packets.get(), muted + 4);
    assert_eq!(call.counts(), before);
    call.answers_requests = true;
    call.run_for(Duration::from_secs(2));
    for source in Source::ALL {
        let last = call.received_of(source).pop().expect("returns");
        assert!(last.number > number + 50, "{source:?}: {last:?}");
    }
    call.assert_continuous();
}

#[test]
fn redundant_audio_does_not_bring_a_muted_payload_to_anybody() {
    let mut call = Call::new(&[Source::Microphone], &[], &FOUR);
    let mid = call.publisher.microphone();
    let codecs = call.publisher.rtc.codec_config();
    let audio = codecs.find(|params| params.red().is_some());
    let audio = audio.expect("RED is offered");
    let (opus, red) = (audio.pt(), audio.red().expect("found by it"));
    // Every packet repeats the payload before it; each fifth one is lost.
    let run_for = |call: &mut Call, time: Duration| {
        let end = call.now + time;
        while call.now < end {
            call.number += 1;
            let number = call.number;
            let block = RedundantBlock {
                pt: *opus,
                timestamp_offset: 960,
                payload: payload(Source::Microphone, number - 1, false),
            };
            let own = payload(Source::Microphone, number, false);
            let both = RedEncoder::encode(*opus, &own, &[block]);
            let time = number as u32 * 960;
            let write = RtpWrite::new(red, number.into(), time, call.now, both);
            call.publisher.write_layer_packet(mid, None, write);
            call.flush();
            if number.is_multiple_of(5) {
                drop(call.publisher.take_outgoing());
            }
            call.now += STEP;
            call.exchange();
        }
    };
    run_for(&mut call, Duration::from_secs(1));
    let recovered = call.core.metrics.red_recovered_packets.get();
    assert!(recovered >= 8, "{recovered}");
    let before = call.received();
    call.mute(&[Source::Microphone]);
    run_for(&mut call, Duration::from_secs(1));
    assert_eq!(call.received().len(), before.len());
    let last_muted = call.number;
    call.mute(&[]);
    // Past the tick that subscribes again: a recovered payload would reach the viewer.
    call.wait_for(4 * STEP);
    run_for(&mut call, Duration::from_secs(1));
    let after = call.received().split_off(before.len());
    assert!(after.len() >= 45, "{}", after.len());
    let leaked: Vec<_> = after.iter().filter(|p| p.number <= last_muted).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert!(call.core.metrics.red_recovered_packets.get() >= recovered + 8);
}

/// Whether a frame that was lost on its way to the viewer arrives within a second. `muted`: the
/// camera is muted once the next frame has arrived.
fn lost_frame_arrives(muted: bool) -> bool {
    let mut call = Call::new(&[Source::Camera], &[], &FOUR);
    call.run_for(Duration::from_secs(2));
    call.send();
    let lost = call.number;
    call.now += STEP;
    call.publisher.exchange(&mut call.core, call.now);
    let viewer = call.viewer.host;
    let outgoing = call.core.outgoing();
    let before = outgoing.len();
    outgoing.retain(|sent| {
        let is_media = (0x80..0xc0).contains(&sent.transmit.contents[0]);
        sent.transmit.destination != viewer || !is_media
    });
    assert!(outgoing.len() < before, "a frame is lost");
    call.send();
    call.publisher.exchange(&mut call.core, call.now);
    if muted {
        call.mute(&[Source::Camera]);
    }
    call.run_for(Duration::from_secs(1));
    let received = call.received();
    assert!(received.iter().any(|packet| packet.number == lost + 1));
    received.iter().any(|packet| packet.number == lost)
}

#[test]
fn nothing_of_a_muted_video_is_retransmitted() {
    assert!(lost_frame_arrives(false), "without a mute");
    assert!(!lost_frame_arrives(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// No order of mutes lets a muted packet through or breaks a stream.
    #[test]
    fn any_order_of_mutes_drops_exactly_what_is_muted(
        steps in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(&Source::ALL[..]), 0..5), 1_u32..20),
            1..20,
        ),
    ) {
        let mut call = Call::new(&Source::ALL, &[], &FOUR);
        let mut muted = BTreeSet::new();
        for (sources, packets) in steps {
            call.mute(&sources);
            let first = call.number + 1;
            call.run_for(STEP * packets);
            let sources: BTreeSet<_> = sources.into_iter().collect();
            for number in first..=call.number {
                muted.extend(sources.iter().map(|source| (*source, number)));
            }
        }
        prop_assert_eq!(call.core.metrics.muted_packets.get(), muted.len() as u64);
        let received = call.received();
        let leaked = received.iter().find(|p| muted.contains(&(p.source, p.number)));
        prop_assert!(leaked.is_none(), "{:?}", leaked);
        call.mute(&[]);
        call.run_for(Duration::from_secs(2));
        call.assert_continuous();
        for source in Source::ALL {
            let last = call.received_of(source).pop().map(|packet| packet.number);
            prop_assert_eq!(last, Some(call.number));
        }
    }
}
