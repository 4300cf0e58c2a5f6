//! Forged packets: an attacker with the keys of its connection sends valid SRTP with arbitrary
//! content.

use super::core::Core;
use crate::protocol::{Source, Wanted};
use crate::server::sfu::{
    command::{Command, Event},
    keys::{PeerKey, RoomKey},
    peer::sdp::twcc,
    testing::{
        attacker::{KeyedAttacker, key_logging_provider},
        browser::{FakeBrowser, core, participant},
    },
};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use str0m::crypto::from_feature_flags;
use tokio::sync::mpsc;

/// The participant with the keys.
const ATTACKER: PeerKey = PeerKey(3);
/// The format and the packet type of transport-wide feedback
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1).
const TWCC_FEEDBACK: (u8, u8) = (15, 205);

/// The identifiers of a connection that the attacker knows.
struct KnownIds {
    /// The SSRCs in both directions.
    ssrcs: Vec<u32>,
    /// The MID of the attacker's camera (RFC 8843 15), as a one-byte header extension.
    mid_extension: Vec<u8>,
}

/// A 32-bit word of a packet: a known SSRC, or an arbitrary value.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// The known SSRC with this index.
    Ssrc(usize),
    /// An arbitrary value.
    Any(u32),
}

impl Word {
    /// The value on the wire.
    fn of(self, known: &KnownIds) -> u32 {
        match self {
            Self::Ssrc(place) => known.ssrcs[place % known.ssrcs.len()],
            Self::Any(number) => number,
        }
    }
}

/// A header extension: its profile and its data.
type Extension = (u16, Vec<u8>);

/// A packet that the attacker sends.
#[derive(Debug, Clone)]
enum ForgedPacket {
    /// An RTP packet.
    Rtp(Rtp),
    /// A compound RTCP packet (RFC 3550 6.1).
    Rtcp(Vec<RtcpPart>),
}

/// An RTP packet (RFC 3550 5.1).
#[derive(Debug, Clone)]
struct Rtp {
    has_padding: bool,
    csrc_count: u8,
    marker_and_type: u8,
    seq: u16,
    /// The rollover counter (RFC 3711 3.3.1).
    rollovers: u32,
    time: u32,
    ssrc: Word,
    /// Whether the only header extension is the MID of the camera.
    has_mid: bool,
    extension: Option<Extension>,
    payload_start: Vec<u8>,
    payload_rest: Vec<u8>,
}

/// One RTCP packet of a compound.
#[derive(Debug, Clone)]
struct RtcpPart {
    /// Version, padding, and the count or format.
    first: u8,
    /// The RTCP packet type.
    kind: u8,
    /// The value of the length field; the real length if none.
    length: Option<u16>,
    /// The words after the first.
    words: Vec<Word>,
}

impl ForgedPacket {
    /// Whether transport-wide feedback is among the RTCP packets.
    fn has_twcc_feedback(&self) -> bool {
        let is_twcc = |part: &RtcpPart| (part.first & 0x1f, part.kind) == TWCC_FEEDBACK;
        matches!(self, Self::Rtcp(parts) if parts.iter().any(is_twcc))
    }

    /// The packet, encrypted with the keys of the connection.
    fn encrypt(&self, attacker: &mut KeyedAttacker, known: &KnownIds) -> Vec<u8> {
        match self {
            Self::Rtp(packet) => packet.encrypt(attacker, known),
            Self::Rtcp(parts) => {
                let parts = parts.iter().map(|part| part.bytes(known));
                attacker.rtcp(&parts.collect::<Vec<_>>().concat())
            }
        }
    }
}

impl Rtp {
    /// A packet of the camera.
    fn of_camera(seq: u16) -> Self {
        Self {
            has_padding: false,
            csrc_count: 0,
            marker_and_type: 0x80 | 96,
            seq,
            rollovers: 0,
            time: 90_000,
            ssrc: Word::Ssrc(0),
            has_mid: false,
            extension: None,
            payload_start: vec![0x10],
            payload_rest: b"forged".repeat(9),
        }
    }

    /// The packet, encrypted with the keys of the connection.
    fn encrypt(&self, attacker: &KeyedAttacker, known: &KnownIds) -> Vec<u8> {
        let named = self.has_mid.then(|| (0xbede, known.mid_extension.clone()));
        let extension = named.as_ref().or(self.extension.as_ref());
        let extended = u8::from(extension.is_some());
        let first = 0x80 | u8::from(self.has_padding) << 5 | extended << 4 | self.csrc_count;
        let mut header = vec![first, self.marker_and_type];
        header.extend(self.seq.to_be_bytes());
        header.extend(self.time.to_be_bytes());
        header.extend(self.ssrc.of(known).to_be_bytes());
        header.extend(std::iter::repeat_n(7, 4 * usize::from(self.csrc_count)));
        if let Some((profile, data)) = extension {
            let words = data.len() / 4;
            header.extend(profile.to_be_bytes());
            header.extend((words as u16).to_be_bytes());
            header.extend(&data[..words * 4]);
        }
        let body = [&self.payload_start[..], &self.payload_rest].concat();
        attacker.rtp(&header, &body, self.rollovers)
    }
}

impl RtcpPart {
    /// The RTCP packet in plain bytes.
    fn bytes(&self, known: &KnownIds) -> Vec<u8> {
        let length = self.length.unwrap_or(self.words.len() as u16);
        let words = self.words.iter().flat_map(|w| w.of(known).to_be_bytes());
        let mut bytes = vec![self.first, self.kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(words);
        bytes
    }
}

fn word() -> impl Strategy<Value = Word> {
    let small = (0_u32..64).prop_map(Word::Any);
    let ssrc = (0_usize..8).prop_map(Word::Ssrc);
    prop_oneof![2 => ssrc, 1 => small, 2 => any::<u32>().prop_map(Word::Any)]
}

/// RTP packets of known and unknown payload types, with one-byte and two-byte header extensions
/// and the first bytes of VP8, VP9, H.264 and RED payloads.
fn rtp() -> impl Strategy<Value = ForgedPacket> {
    let kind = prop_oneof![
        8 => prop::sample::select(vec![111_u8, 63, 96, 97, 98, 99, 108, 109]),
        1 => 0_u8..128
    ];
    let profile = prop_oneof![4 => Just(0xbede), 2 => Just(0x1000), 1 => any::<u16>()];
    let data = prop::collection::vec(prop_oneof![any::<u8>(), 0x10_u8..0xf0], 0..48);
    let payload_start = prop::sample::select(vec![
        vec![],
        vec![0x10, 0, 0, 0, 0x9d, 1, 0x2a],
        vec![0x90, 0xf0, 0x80],
        vec![0x88],
        vec![0xfe, 0xff, 0xff, 0xff],
        vec![111 | 0x80, 0x0f, 0xc0, 0x04, 111],
        vec![63 | 0x80, 0xff, 0xff, 0xff],
        vec![24, 0, 1, 0x67],
    ]);
    let header = (any::<bool>(), 0_u8..16, kind, any::<bool>());
    let seq = prop_oneof![
        4 => (0_u16..400, Just(0)),
        2 => (any::<u16>(), Just(0)),
        2 => (any::<u16>(), prop::sample::select(vec![1, 2, u32::MAX]))
    ];
    let place = (seq, any::<u32>(), word(), prop::bool::weighted(0.3));
    let payload_rest = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 1_300..1_700)
    ];
    let rest = (
        prop::option::of((profile, data)),
        payload_start,
        payload_rest,
    );
    (header, place, rest).prop_map(
        |(
            (has_padding, csrc_count, kind, marker),
            (seq, time, ssrc, has_mid),
            (extension, payload_start, payload_rest),
        )| {
            let (seq, rollovers) = seq;
            ForgedPacket::Rtp(Rtp {
                has_padding,
                csrc_count: if csrc_count > 12 { csrc_count } else { 0 },
                marker_and_type: u8::from(marker) << 7 | kind,
                seq,
                rollovers,
                time,
                ssrc,
                has_mid,
                extension,
                payload_start,
                payload_rest,
            })
        },
    )
}

/// Compound RTCP packets of known and unknown types, with arbitrary counts and lengths.
fn rtcp() -> impl Strategy<Value = ForgedPacket> {
    let part = (
        prop_oneof![3 => 0x80_u8..0xa0, 1 => any::<u8>()],
        prop_oneof![9 => 200_u8..208, 1 => 192_u8..224],
        prop::option::weighted(0.2, prop_oneof![0_u16..40, any::<u16>()]),
        prop::collection::vec(word(), 1..24),
    );
    let part = part.prop_map(|(first, kind, length, words)| RtcpPart {
        first,
        kind,
        length,
        words,
    });
    prop::collection::vec(part, 1..5).prop_map(ForgedPacket::Rtcp)
}

/// RTP or RTCP packets of an attacker.
fn forged_packet() -> impl Strategy<Value = ForgedPacket> {
    prop_oneof![rtp(), rtcp()]
}

/// Subscribes peer `peer` to the camera of participant `at`.
fn subscribe_to_camera(core: &mut Core, peer: u64, at: u64, now: Instant) {
    let wanted = vec![Wanted {
        id: participant(at),
        source: Source::Camera,
        height: 360,
        pinned: false,
    }];
    let peer = PeerKey(peer);
    core.handle_command(RoomKey(1), Command::Subscribe { peer, wanted }, now);
}

/// A room with two participants and an attacker; the video of each is subscribed to.
struct Room {
    core: Core,
    events: mpsc::Receiver<Event>,
    now: Instant,
    /// The participants; the attacker is the last.
    people: [FakeBrowser; 3],
    /// The number of the last packet of each participant.
    sent: u64,
    /// The peers whose connection was closed.
    closed: Vec<PeerKey>,
}

impl Room {
    fn new() -> Self {
        let (mut core, mut events, mut now) = core();
        let people = [1, 2, 3].map(|number| {
            let ciphers = match number {
                3 => key_logging_provider(),
                _ => from_feature_flags(),
            };
            let who = (PeerKey(number), participant(number));
            FakeBrowser::join_with_crypto(ciphers, &mut core, &mut events, &mut now, who)
        });
        for (peer, at) in [(1, 3), (2, 1), (3, 1)] {
            subscribe_to_camera(&mut core, peer, at, now);
        }
        let mut room = Self {
            core,
            events,
            now,
            people,
            sent: 0,
            closed: Vec::new(),
        };
        // Every sender has sent a sender report by then.
        for _ in 0..150 {
            room.advance(&[0, 1, 2]);
        }
        room
    }

    /// Lets 20 ms pass; these participants send a packet of video and one of audio.
    fn advance(&mut self, who: &[usize]) {
        self.sent += 1;
        self.now += Duration::from_millis(20);
        for (place, browser) in self.people.iter_mut().enumerate() {
            if who.contains(&place) {
                let time = 960 * self.sent as u32;
                browser.send_keyframe(self.sent, self.now);
                browser.send_packet(
                    browser.microphone(),
                    self.sent,
                    time,
                    self.now,
                    vec![0x78; 20],
                );
            }
            browser.exchange(&mut self.core, self.now);
        }
        self.read_events();
    }

    /// Hands the core a datagram of the attacker.
    fn receive(&mut self, bytes: &[u8]) {
        self.core.receive(self.people[2].datagram(bytes), self.now);
        self.core.settle(self.now);
        self.read_events();
    }

    /// Records the connections that were closed.
    fn read_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            if let Event::Closed { peer } = event {
                self.closed.push(peer);
            }
        }
    }

    /// Whether media of the first participant still reaches the second.
    fn others_continue(&mut self) -> bool {
        let before = self.received_packets(1);
        for _ in 0..10 {
            self.advance(&[0, 1]);
        }
        self.received_packets(1) > before
    }

    /// The identifiers of the attacker's connection.
    fn known_ids(&mut self) -> KnownIds {
        let attacker = &mut self.people[2];
        let sources = [attacker.camera(), attacker.microphone()];
        let slots = [attacker.video_receiver(), attacker.audio_receiver()];
        let mut ends = vec![(&mut attacker.rtc, sources)];
        let served = self.core.peers.iter_mut().map(|(_, peer)| &mut peer.rtc);
        ends.extend(served.last().map(|rtc| (rtc, slots)));
        let mut ssrcs = Vec::new();
        for (rtc, mids) in ends {
            for mid in mids {
                let mut direct = rtc.direct_api();
                let stream = direct.stream_tx_by_mid(mid, None).expect("sends");
                ssrcs.push(*stream.ssrc());
                ssrcs.extend(stream.rtx().map(|ssrc| *ssrc));
            }
        }
        let mid = self.people[2].camera().to_string();
        let first = 4 << 4 | (mid.len() as u8 - 1);
        let mut mid_extension = [&[first], mid.as_bytes()].concat();
        mid_extension.resize(mid_extension.len().next_multiple_of(4), 0);
        KnownIds {
            ssrcs,
            mid_extension,
        }
    }

    /// The number of RTP packets that a participant has received.
    fn received_packets(&self, place: usize) -> usize {
        let packets = |event: &&str0m::Event| matches!(event, str0m::Event::RtpPacket(_));
        self.people[place].events.iter().filter(packets).count()
    }
}

#[test]
fn forged_packets_of_a_connection_are_accepted() {
    let mut room = Room::new();
    let known = room.known_ids();
    let mut attacker = KeyedAttacker::new().expect("RTP and RTCP were sent");
    let picture = Rtp::of_camera(1_000);
    let bytes = picture.encrypt(&attacker, &known);
    room.receive(&bytes);
    room.advance(&[]);
    let forged = room.people[0].events.iter().any(|event| {
        matches!(event, str0m::Event::RtpPacket(packet) if packet.payload.ends_with(b"forged"))
    });
    assert!(forged, "the packet is forwarded");
    // A forged picture loss indication (RFC 4585 6.3.1) requests a keyframe.
    let lost = ForgedPacket::Rtcp(vec![RtcpPart {
        first: 0x81,
        kind: 206,
        length: None,
        words: vec![Word::Ssrc(0), Word::Ssrc(3)],
    }]);
    let asked = |room: &Room| {
        let events = room.people[0].events.iter();
        events
            .filter(|event| matches!(event, str0m::Event::KeyframeRequest(_)))
            .count()
    };
    let before = asked(&room);
    let bytes = lost.encrypt(&mut attacker, &known);
    room.receive(&bytes);
    // A sender is asked for a keyframe once a second at most.
    for _ in 0..60 {
        room.advance(&[]);
    }
    assert!(asked(&room) > before, "a keyframe is requested");
}

#[test]
fn packets_numbered_before_the_first_allocate_nothing() {
    let mut room = Room::new();
    let known = room.known_ids();
    let attacker = KeyedAttacker::new().expect("RTP and RTCP were sent");
    let before = room.core.peers[2].rtc.media(room.people[2].camera());
    let id = before.and_then(|media| twcc::extension_id(media.remote_extmap()));
    let counted = |seq: u16, counts: u16| {
        let [high, low] = counts.to_be_bytes();
        Rtp {
            extension: Some((0xbede, vec![id.expect("agreed") << 4 | 1, high, low, 0])),
            ..Rtp::of_camera(seq)
        }
    };
    for packet in [counted(1_000, 50_000), counted(1_001, 60_000)] {
        let bytes = packet.encrypt(&attacker, &known);
        room.receive(&bytes);
        room.advance(&[0, 1]);
    }
    // An unbounded report would not end.
    for _ in 0..20 {
        room.advance(&[0, 1, 2]);
    }
    assert_eq!(room.core.peers.len(), 3);
}

/// str0m extends the base sequence number of the feedback to a value below zero. Its arithmetic
/// overflows in a debug build; in a release build no sent packet has that number.
#[test]
fn forged_twcc_feedback_from_before_the_first_packet_closes_the_attacker_at_most() {
    let mut room = Room::new();
    let known = room.known_ids();
    let mut attacker = KeyedAttacker::new().expect("RTP and RTCP were sent");
    // Packets 60,000 to 67,999 were not received (a run length chunk); at most some hundred were
    // sent.
    let feedback = ForgedPacket::Rtcp(vec![RtcpPart {
        first: 0x80 | TWCC_FEEDBACK.0,
        kind: TWCC_FEEDBACK.1,
        length: None,
        words: vec![
            Word::Ssrc(0),
            Word::Ssrc(3),
            Word::Any(60_000 << 16 | 8_000),
            Word::Any(0),
            Word::Any(8_000 << 16),
        ],
    }]);
    assert!(feedback.has_twcc_feedback());
    let bytes = feedback.encrypt(&mut attacker, &known);
    room.receive(&bytes);
    assert!(room.others_continue());
    // Which of the two depends on how str0m was compiled, not on this crate.
    let closed = &room.closed;
    assert!(closed.iter().all(|peer| *peer == ATTACKER), "{closed:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_forged_packets_close_no_connection(
        packets in prop::collection::vec(forged_packet(), 1..300),
    ) {
        let mut room = Room::new();
        let known = room.known_ids();
        let mut attacker = KeyedAttacker::new().expect("RTP and RTCP were sent");
        for (number, packet) in packets.iter().enumerate() {
            let bytes = packet.encrypt(&mut attacker, &known);
            room.receive(&bytes);
            if number % 10 == 0 {
                room.advance(&[0, 1]);
            }
        }
        prop_assert!(room.others_continue());
        if cfg!(debug_assertions) && packets.iter().any(ForgedPacket::has_twcc_feedback) {
            room.closed.retain(|peer| *peer != ATTACKER);
        }
        prop_assert!(room.closed.is_empty(), "{:?}", room.closed);
    }
}
