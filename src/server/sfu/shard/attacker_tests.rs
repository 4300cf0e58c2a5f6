//! Whoever has the keys of a connection sends what it likes.

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

/// What a connection has.
struct Known {
    /// The numbers of its streams.
    streams: Vec<u32>,
    /// The name of its camera (RFC 8843 15), as a header extension of one byte.
    name: Vec<u8>,
}

/// A number of a stream: one that is there, or any.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// The one at this place among those there are.
    Stream(usize),
    /// Any number, known or not.
    Any(u32),
}

impl Word {
    /// The number on the wire.
    fn of(self, known: &Known) -> u32 {
        match self {
            Self::Stream(place) => known.streams[place % known.streams.len()],
            Self::Any(number) => number,
        }
    }
}

/// A header extension: its profile and its data.
type Extension = (u16, Vec<u8>);

/// What is sent.
#[derive(Debug, Clone)]
enum Forged {
    /// An RTP packet.
    Rtp(Rtp),
    /// RTCP packets in one (RFC 3550 6.1).
    Rtcp(Vec<Part>),
}

/// An RTP packet (RFC 3550 5.1).
#[derive(Debug, Clone)]
struct Rtp {
    padded: bool,
    sources: u8,
    marker_and_type: u8,
    seq: u16,
    /// How often the sequence number has begun anew.
    anew: u32,
    time: u32,
    stream: Word,
    /// Whether it names the camera, and has no other extension.
    names: bool,
    extension: Option<Extension>,
    begins: Vec<u8>,
    goes_on: Vec<u8>,
}

/// One of several RTCP packets.
#[derive(Debug, Clone)]
struct Part {
    /// Version, padding, and the count or format.
    first: u8,
    /// The RTCP packet type.
    kind: u8,
    /// The length it says it has, where that is not what it has.
    length: Option<u16>,
    /// Who sends it, and what it says.
    words: Vec<Word>,
}

impl Forged {
    /// The packet, encrypted with the keys of the connection.
    fn sealed(&self, forger: &mut KeyedAttacker, known: &Known) -> Vec<u8> {
        match self {
            Self::Rtp(packet) => packet.sealed(forger, known),
            Self::Rtcp(parts) => {
                let parts = parts.iter().map(|part| part.bytes(known));
                forger.rtcp(&parts.collect::<Vec<_>>().concat())
            }
        }
    }
}

impl Rtp {
    /// A packet of the camera.
    fn of_camera(seq: u16) -> Self {
        Self {
            padded: false,
            sources: 0,
            marker_and_type: 0x80 | 96,
            seq,
            anew: 0,
            time: 90_000,
            stream: Word::Stream(0),
            names: false,
            extension: None,
            begins: vec![0x10],
            goes_on: b"forged".repeat(9),
        }
    }

    /// The packet, encrypted with the keys of the connection.
    fn sealed(&self, forger: &KeyedAttacker, known: &Known) -> Vec<u8> {
        let named = self.names.then(|| (0xbede, known.name.clone()));
        let extension = named.as_ref().or(self.extension.as_ref());
        let extended = u8::from(extension.is_some());
        let first = 0x80 | u8::from(self.padded) << 5 | extended << 4 | self.sources;
        let mut header = vec![first, self.marker_and_type];
        header.extend(self.seq.to_be_bytes());
        header.extend(self.time.to_be_bytes());
        header.extend(self.stream.of(known).to_be_bytes());
        header.extend(std::iter::repeat_n(7, 4 * usize::from(self.sources)));
        if let Some((profile, data)) = extension {
            let words = data.len() / 4;
            header.extend(profile.to_be_bytes());
            header.extend((words as u16).to_be_bytes());
            header.extend(&data[..words * 4]);
        }
        let body = [&self.begins[..], &self.goes_on].concat();
        forger.rtp(&header, &body, self.anew)
    }
}

impl Part {
    /// The RTCP packet in plain bytes.
    fn bytes(&self, known: &Known) -> Vec<u8> {
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
    let stream = (0_usize..8).prop_map(Word::Stream);
    prop_oneof![2 => stream, 1 => small, 2 => any::<u32>().prop_map(Word::Any)]
}

/// RTP: known and unknown types, extensions of one and two bytes, and how payloads of VP8,
/// of VP9 and of sound that is sent twice begin.
fn rtp() -> impl Strategy<Value = Forged> {
    let kind = prop_oneof![
        8 => prop::sample::select(vec![111_u8, 63, 96, 97, 98, 99, 108, 109]),
        1 => 0_u8..128
    ];
    let profile = prop_oneof![4 => Just(0xbede), 2 => Just(0x1000), 1 => any::<u16>()];
    let data = prop::collection::vec(prop_oneof![any::<u8>(), 0x10_u8..0xf0], 0..48);
    let begins = prop::sample::select(vec![
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
    let goes_on = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(any::<u8>(), 1_300..1_700)
    ];
    let rest = (prop::option::of((profile, data)), begins, goes_on);
    (header, place, rest).prop_map(
        |(
            (padded, sources, kind, marker),
            (seq, time, stream, names),
            (extension, begins, goes_on),
        )| {
            let (seq, anew) = seq;
            Forged::Rtp(Rtp {
                padded,
                sources: if sources > 12 { sources } else { 0 },
                marker_and_type: u8::from(marker) << 7 | kind,
                seq,
                anew,
                time,
                stream,
                names,
                extension,
                begins,
                goes_on,
            })
        },
    )
}

/// RTCP: the types there are and some there are not, with any count and any length.
fn rtcp() -> impl Strategy<Value = Forged> {
    let part = (
        prop_oneof![3 => 0x80_u8..0xa0, 1 => any::<u8>()],
        prop_oneof![9 => 200_u8..208, 1 => 192_u8..224],
        prop::option::weighted(0.2, prop_oneof![0_u16..40, any::<u16>()]),
        prop::collection::vec(word(), 1..24),
    );
    let part = part.prop_map(|(first, kind, length, words)| Part {
        first,
        kind,
        length,
        words,
    });
    prop::collection::vec(part, 1..5).prop_map(Forged::Rtcp)
}

/// What is sent.
fn forged() -> impl Strategy<Value = Forged> {
    prop_oneof![rtp(), rtcp()]
}

/// Somebody is to be seen by somebody else.
fn looks(core: &mut Core, peer: u64, at: u64, now: Instant) {
    let wanted = vec![Wanted {
        id: participant(at),
        source: Source::Camera,
        height: 360,
        pinned: false,
    }];
    let peer = PeerKey(peer);
    core.handle_command(RoomKey(1), Command::Subscribe { peer, wanted }, now);
}

/// Two in a room with one who forges, all sending and all seen.
struct Room {
    core: Core,
    events: mpsc::Receiver<Event>,
    now: Instant,
    /// The one who forges is the last.
    people: [FakeBrowser; 3],
    sent: u64,
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
            looks(&mut core, peer, at, now);
        }
        let mut room = Self {
            core,
            events,
            now,
            people,
            sent: 0,
        };
        // Until there were reports of everybody.
        for _ in 0..150 {
            room.advance(&[0, 1, 2]);
        }
        room
    }

    /// 20 ms pass, in which these people send a picture and sound.
    fn advance(&mut self, who: &[usize]) {
        self.sent += 1;
        self.now += Duration::from_millis(20);
        for (place, somebody) in self.people.iter_mut().enumerate() {
            if who.contains(&place) {
                let time = 960 * self.sent as u32;
                somebody.send_keyframe(self.sent, self.now);
                somebody.send_packet(
                    somebody.microphone(),
                    self.sent,
                    time,
                    self.now,
                    vec![0x78; 20],
                );
            }
            somebody.exchange(&mut self.core, self.now);
        }
    }

    /// A forged datagram comes.
    fn takes(&mut self, bytes: &[u8]) {
        self.core.receive(self.people[2].datagram(bytes), self.now);
        self.core.settle(self.now);
    }

    /// What there is between the server and the one who forges.
    fn known(&mut self) -> Known {
        let forges = &mut self.people[2];
        let sources = [forges.camera(), forges.microphone()];
        let slots = [forges.video_receiver(), forges.audio_receiver()];
        let mut ends = vec![(&mut forges.rtc, sources)];
        let served = self.core.peers.iter_mut().map(|(_, peer)| &mut peer.rtc);
        ends.extend(served.last().map(|rtc| (rtc, slots)));
        let mut streams = Vec::new();
        for (rtc, mids) in ends {
            for mid in mids {
                let mut direct = rtc.direct_api();
                let stream = direct.stream_tx_by_mid(mid, None).expect("sends");
                streams.push(*stream.ssrc());
                streams.extend(stream.rtx().map(|ssrc| *ssrc));
            }
        }
        let mid = self.people[2].camera().to_string();
        let first = 4 << 4 | (mid.len() as u8 - 1);
        let mut name = [&[first], mid.as_bytes()].concat();
        name.resize(name.len().next_multiple_of(4), 0);
        Known { streams, name }
    }

    /// How many packets somebody has got.
    fn got(&self, place: usize) -> usize {
        let packets = |event: &&str0m::Event| matches!(event, str0m::Event::RtpPacket(_));
        self.people[place].events.iter().filter(packets).count()
    }
}

#[test]
fn what_is_forged_is_taken_for_real() {
    let mut room = Room::new();
    let known = room.known();
    let mut forger = KeyedAttacker::new().expect("it has sent both kinds");
    let picture = Rtp::of_camera(1_000);
    let bytes = picture.sealed(&forger, &known);
    room.takes(&bytes);
    room.advance(&[]);
    let forged = room.people[0].events.iter().any(|event| {
        matches!(event, str0m::Event::RtpPacket(packet) if packet.payload.ends_with(b"forged"))
    });
    assert!(forged, "it is passed on");
    // So is a report that a picture is lost (RFC 4585 6.3.1).
    let lost = Forged::Rtcp(vec![Part {
        first: 0x81,
        kind: 206,
        length: None,
        words: vec![Word::Stream(0), Word::Stream(3)],
    }]);
    let asked = |room: &Room| {
        let happened = room.people[0].events.iter();
        happened
            .filter(|event| matches!(event, str0m::Event::KeyframeRequest(_)))
            .count()
    };
    let before = asked(&room);
    let bytes = lost.sealed(&mut forger, &known);
    room.takes(&bytes);
    // Whoever was asked a moment ago is asked again a second later.
    for _ in 0..60 {
        room.advance(&[]);
    }
    assert!(asked(&room) > before, "and heard");
}

#[test]
fn packets_counted_from_before_the_first_take_no_memory() {
    let mut room = Room::new();
    let known = room.known();
    let forger = KeyedAttacker::new().expect("it has sent both kinds");
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
        let bytes = packet.sealed(&forger, &known);
        room.takes(&bytes);
        room.advance(&[0, 1]);
    }
    // It would not come this far.
    for _ in 0..20 {
        room.advance(&[0, 1, 2]);
    }
    assert_eq!(room.core.peers.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn whoever_has_the_keys_may_send_anything(
        packets in prop::collection::vec(forged(), 1..300),
    ) {
        let mut room = Room::new();
        let known = room.known();
        let mut forger = KeyedAttacker::new().expect("it has sent both kinds");
        for (number, packet) in packets.iter().enumerate() {
            let bytes = packet.sealed(&mut forger, &known);
            room.takes(&bytes);
            if number % 10 == 0 {
                room.advance(&[0, 1]);
            }
        }
        let before = room.got(1);
        for _ in 0..10 {
            room.advance(&[0, 1]);
        }
        prop_assert!(room.got(1) > before, "the others go on");
        let told: Vec<_> = std::iter::from_fn(|| room.events.try_recv().ok()).collect();
        for number in 1..4 {
            let peer = PeerKey(number);
            prop_assert!(!told.contains(&Event::Closed { peer }), "{number} stays");
        }
    }
}
