//! [`Guest`], a participant in a call through the SFU: a client of the room protocol with a WebRTC
//! connection over UDP.

use super::harness::{Client, DEADLINE, TestApp};
use crate::protocol::{
    ClientMessage, Leg, MediaOffer, OfferedTrack, ParticipantId, ServerMessage, Slot, Source,
    Wanted,
};
use crate::state::minify_sdp::minify_sdp;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::{SdpAnswer, SdpPendingOffer},
    format::Codec,
    media::{Direction, MediaKind, Mid, Pt},
    net::{Protocol, Receive},
    rtp::{ExtensionValues, RedEncoder, RedundantBlock, RtpWrite},
};
use tokio::{net::UdpSocket, time::timeout};

/// Receive-only media descriptions of each kind that a guest offers.
const SLOTS: usize = 3;
/// Payload size of a guest's video frames, which no other payload has.
const VIDEO_BYTES: usize = 12;

/// A participant in a call through the SFU.
pub struct Guest {
    /// The participant id.
    me: ParticipantId,
    /// The WebSocket client that joined the room.
    pub client: Client,
    /// The WebRTC connection to the SFU.
    pub rtc: Rtc,
    /// The UDP socket of the connection.
    pub udp: UdpSocket,
    /// The assignment of each slot, keyed by the `mid` of its media description.
    pub slots: HashMap<String, Slot>,
    /// The stream id (RFC 8830) of each media description of the answer, keyed by `mid`.
    pub streams: HashMap<String, String>,
    /// Received video frames: the `mid` of the media description, and the mark in the payload.
    pub video_frames: Vec<(Mid, u8)>,
    /// The codec of each received mark.
    pub received_codecs: Vec<(u8, Codec)>,
    /// The codec of the guest's own video.
    pub codec: Codec,
    /// Received audio packets: whether the payload type is RED, and the payload.
    pub audio_packets: Vec<(bool, Vec<u8>)>,
    /// Whether every eighth received datagram is dropped.
    pub drops_datagrams: bool,
    /// The number of received datagrams.
    datagrams_received: u64,
    /// Received messages that the guest does not handle.
    pub messages: Vec<ServerMessage>,
    /// Whether ICE and DTLS are connected.
    connected: bool,
    /// The offer that waits for its answer.
    pending: Option<SdpPendingOffer>,
    /// The sources that the guest sends, with the `mid` of their media descriptions.
    sources: Vec<(Source, Mid)>,
    /// The number of packets sent, which is also the last sequence number.
    sent: u64,
    /// The number of keyframe requests received.
    pub keyframe_requests: usize,
}

impl Guest {
    /// Joins a room, enters the call, and waits for the connection to the SFU.
    pub async fn connect(app: &TestApp, room: &str, nickname: &str) -> Self {
        let mut guest = Self::enter(app, room, nickname).await;
        guest.send_offer(1).await;
        guest.until("connected", |guest| guest.connected).await;
        guest
    }

    /// As [`Self::connect`], with these video codecs only.
    pub async fn connect_with(app: &TestApp, room: &str, nickname: &str, codecs: &[Codec]) -> Self {
        let mut guest = Self::enter_with(app, room, nickname, codecs).await;
        guest.send_offer(1).await;
        guest.until("connected", |guest| guest.connected).await;
        guest
    }

    /// Joins a room and enters the call, without an offer.
    pub async fn enter(app: &TestApp, room: &str, nickname: &str) -> Self {
        Self::enter_with(app, room, nickname, &[Codec::Vp8]).await
    }

    /// As [`Self::enter`], with these video codecs; the guest sends in the first one.
    async fn enter_with(app: &TestApp, room: &str, nickname: &str, codecs: &[Codec]) -> Self {
        let client = app.join(room, nickname).await;
        Self::enter_as(client, 1, codecs).await
    }

    /// Enters the call with a client that has joined a room.
    pub async fn enter_as(client: Client, leg: Leg, codecs: &[Codec]) -> Self {
        Self::enter_from("127.0.0.1:0", client, leg, codecs).await
    }

    /// As [`Self::connect`], with a UDP socket bound to the address `host`.
    pub async fn connect_from(host: &str, app: &TestApp, room: &str, nickname: &str) -> Self {
        let client = app.join(room, nickname).await;
        let mut guest = Self::enter_from(host, client, 1, &[Codec::Vp8]).await;
        guest.send_offer(1).await;
        guest.until("connected", |guest| guest.connected).await;
        guest
    }

    /// As [`Self::enter_as`], with a UDP socket bound to the address `host`.
    async fn enter_from(host: &str, mut client: Client, leg: Leg, codecs: &[Codec]) -> Self {
        client.enter_call(leg).await;
        let udp = UdpSocket::bind(host).await.expect("binds");
        let has = |codec| codecs.contains(&codec);
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(has(Codec::Vp8))
            .enable_vp9(has(Codec::Vp9))
            .enable_h264(has(Codec::H264))
            .enable_av1(has(Codec::Av1))
            .build(Instant::now());
        let address = udp.local_addr().expect("bound");
        let candidate = Candidate::host(address, "udp").expect("valid");
        rtc.add_local_candidate(candidate);
        Self {
            me: client.id(),
            client,
            rtc,
            udp,
            slots: HashMap::new(),
            streams: HashMap::new(),
            video_frames: Vec::new(),
            received_codecs: Vec::new(),
            audio_packets: Vec::new(),
            drops_datagrams: false,
            datagrams_received: 0,
            codec: codecs[0],
            messages: Vec::new(),
            connected: false,
            pending: None,
            sources: Vec::new(),
            sent: 0,
            keyframe_requests: 0,
        }
    }

    /// Creates the SDP of an offer with the guest's sources and slots for those of others.
    pub fn offer(&mut self) -> String {
        let mut api = self.rtc.sdp_api();
        let send = Direction::SendOnly;
        let voice = api.add_media(MediaKind::Audio, send, None, None, None);
        let face = api.add_media(MediaKind::Video, send, None, None, None);
        let screen = api.add_media(MediaKind::Video, send, None, None, None);
        self.sources = vec![
            (Source::Microphone, voice),
            (Source::Camera, face),
            (Source::Screen, screen),
        ];
        for kind in [MediaKind::Audio, MediaKind::Video].repeat(SLOTS) {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().expect("there is something to offer");
        self.pending = Some(pending);
        as_browsers_send(&offer.to_sdp_string())
    }

    /// Sends an offer for the connection of this number.
    pub async fn send_offer(&mut self, connection: u32) {
        let sdp = self.offer();
        self.send_offer_as(connection, sdp).await;
    }

    /// Sends `sdp` as the offer for the connection of this number.
    pub async fn send_offer_as(&mut self, connection: u32, sdp: String) {
        let tracks = self.sources.iter().map(|(source, mid)| OfferedTrack {
            mid: mid.to_string(),
            source: *source,
        });
        let offer = MediaOffer {
            connection,
            offer_id: 1,
            sdp,
            tracks: tracks.collect(),
        };
        self.client.send(&ClientMessage::Offer(offer)).await;
    }

    /// Waits until the connection is up.
    pub async fn wait_until_connected(&mut self) {
        self.until("connected", |guest| guest.connected).await;
    }

    /// The participant id of the guest.
    pub fn id(&self) -> ParticipantId {
        self.me.clone()
    }

    /// Subscribes to the cameras of these people.
    pub async fn subscribe_to(&mut self, people: &[&ParticipantId]) {
        let wanted = people.iter().map(|id| Wanted {
            id: (*id).clone(),
            source: Source::Camera,
            height: 360,
            pinned: false,
        });
        let tiles = wanted.collect();
        self.client.send(&ClientMessage::Subscribe { tiles }).await;
    }

    /// Sends one keyframe with this mark as the last byte of its payload.
    pub fn send_video(&mut self, mark: u8) {
        let mut payload = match self.codec {
            // A payload descriptor of the first packet of a keyframe, with a 15-bit picture id
            // (RFC 9628).
            Codec::Vp9 => vec![0x88, 0x80, mark],
            // A sequence parameter set (RFC 6184).
            Codec::H264 => vec![0x67, 0x42],
            // An aggregation header with N=1: the first packet of a coded video sequence.
            Codec::Av1 => vec![0x18],
            // VP8: a payload descriptor with S=1, a keyframe tag and the start code (RFC 7741).
            _ => vec![0x10, 0x00, 0x00, 0x00, 0x9d, 0x01, 0x2a, 64, 0, 48],
        };
        payload.resize(VIDEO_BYTES - 1, 0);
        payload.push(mark);
        self.write_media(Source::Camera, payload, None);
    }

    /// Sends a delta frame in a packet with a payload of this size.
    pub fn send_video_of(&mut self, bytes: usize) {
        self.write_media(Source::Camera, vec![0x10; bytes], None);
    }

    /// Sends 20 ms of audio with the audio level `dbov`, which is at most 0.
    pub fn send_audio(&mut self, dbov: i8) {
        let number = self.sent as u8;
        self.write_media(Source::Microphone, vec![number, 2, 3], Some(-dbov));
    }

    /// Sends 20 ms of audio with a redundant copy of the 20 ms before it (RED, RFC 2198).
    pub fn send_red_audio(&mut self, before: &[u8], now: &[u8]) {
        let mid = self.mid_of(Source::Microphone);
        let pt = self.payload_type(mid);
        let before = RedundantBlock {
            pt: *pt,
            timestamp_offset: 960,
            payload: before.to_vec(),
        };
        let payload = RedEncoder::encode(*pt, now, &[before]);
        let params = self.rtc.codec_config().find(|params| params.pt() == pt);
        let red = params.and_then(|params| params.red()).expect("negotiated");
        self.write_packet(red, mid, payload, None);
    }

    /// Skips a sequence number, as if the packet were lost.
    pub fn skip_packet(&mut self) {
        self.sent += 1;
    }

    /// The `mid` of one of the guest's own sources.
    fn mid_of(&self, source: Source) -> Mid {
        let mut sources = self.sources.iter();
        sources.find(|(s, _)| *s == source).expect("offered").1
    }

    fn write_media(&mut self, source: Source, payload: Vec<u8>, level: Option<i8>) {
        let mid = self.mid_of(source);
        self.write_packet(self.payload_type(mid), mid, payload, level);
    }

    fn write_packet(&mut self, pt: Pt, mid: Mid, payload: Vec<u8>, level: Option<i8>) {
        self.sent += 1;
        let seq = self.sent;
        let extensions = ExtensionValues {
            audio_level: level,
            voice_activity: level.map(|_| true),
            ..ExtensionValues::default()
        };
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).expect("sends");
        let time = (seq * 3000) as u32;
        let write = RtpWrite::new(pt, seq.into(), time, Instant::now(), payload);
        stream.write_rtp(write.marker(true).ext_vals(extensions));
    }

    /// The negotiated payload type of a media description of the guest.
    fn payload_type(&self, mid: Mid) -> Pt {
        let media = self.rtc.media(mid).expect("there");
        let codec = match media.kind() {
            MediaKind::Audio => Codec::Opus,
            MediaKind::Video => self.codec,
        };
        let mut both = self.rtc.codec_config().iter();
        let known = both.find(|p| p.spec().codec == codec && media.remote_pts().contains(&p.pt()));
        known.expect("negotiated").pt()
    }

    /// Drives the guest until this holds.
    pub async fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what} does not come");
            self.step().await;
        }
    }

    /// Drives the guest for this long.
    pub async fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.step().await;
        }
    }

    /// Sends pending datagrams, then handles one datagram or message, or waits 5 ms.
    pub async fn step(&mut self) {
        self.try_step().await.expect("goes on");
    }

    /// As [`Self::step`], for a connection that may have ended.
    pub async fn try_step(&mut self) -> Result<(), str0m::RtcError> {
        self.flush_output().await?;
        let mut buffer = [0; 2048];
        let slice = Duration::from_millis(5);
        tokio::select! {
            received = self.udp.recv_from(&mut buffer) => {
                let (length, source) = received.expect("receives");
                self.datagrams_received += 1;
                if self.drops_datagrams && self.datagrams_received.is_multiple_of(8) {
                    return Ok(());
                }
                let destination = self.udp.local_addr().expect("bound");
                let receive = Receive::new(Protocol::Udp, source, destination, &buffer[..length]);
                let input = Input::Receive(Instant::now(), receive.expect("known"));
                self.rtc.handle_input(input)?;
            }
            message = timeout(slice, self.client.next()) => {
                if let Ok(message) = message {
                    self.on_message(message);
                }
                self.rtc.handle_input(Input::Timeout(Instant::now()))?;
            }
        }
        Ok(())
    }

    async fn flush_output(&mut self) -> Result<(), str0m::RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(_) => return Ok(()),
                Output::Transmit(t) => {
                    let sent = self.udp.send_to(&t.contents, t.destination).await;
                    sent.expect("sends");
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::KeyframeRequest(_)) => self.keyframe_requests += 1,
                Output::Event(Event::RtpPacket(packet)) => {
                    let ssrc = packet.header.ssrc;
                    let mut direct = self.rtc.direct_api();
                    let mid = direct.stream_rx(&ssrc).expect("known").mid();
                    let pt = packet.header.payload_type;
                    let mut known = self.rtc.codec_config().iter();
                    let known = known.find(|p| p.pt() == pt || p.red() == Some(pt));
                    let codec = known.expect("negotiated").spec().codec;
                    if codec == Codec::Opus {
                        let twice = known.expect("negotiated").pt() != pt;
                        self.audio_packets.push((twice, packet.payload.to_vec()));
                    }
                    let video = packet.payload.len() == VIDEO_BYTES;
                    let mark = packet.payload.last().copied().unwrap_or(0);
                    if video {
                        self.video_frames.push((mid, mark));
                        self.received_codecs.push((mark, codec));
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    fn on_message(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Answer { sdp, .. } => {
                self.streams = streams(&sdp);
                let answer = SdpAnswer::from_sdp_string(&sdp).expect("an answer");
                let pending = self.pending.take().expect("offered");
                let accepted = self.rtc.sdp_api().accept_answer(pending, answer);
                accepted.expect("accepts");
            }
            ServerMessage::Slots { slots } => {
                for slot in slots {
                    self.slots.insert(slot.mid.clone(), slot);
                }
            }
            other => self.messages.push(other),
        }
    }

    /// The stream id of the slot that carries this source of a participant.
    pub fn stream_of(&self, id: &ParticipantId, source: Source) -> Option<&String> {
        let carries = |slot: &&Slot| slot.id.as_ref() == Some(id) && slot.source == Some(source);
        self.streams.get(&self.slots.values().find(carries)?.mid)
    }

    /// The sender of the last frame with this mark, according to the slots.
    pub fn sender_of(&self, mark: u8) -> Option<ParticipantId> {
        let (mid, _) = self
            .video_frames
            .iter()
            .rev()
            .find(|(_, seen)| *seen == mark)?;
        self.slots.get(&mid.to_string())?.id.clone()
    }

    /// Waits until a frame of `other` with this mark arrives in a slot that is assigned to them.
    /// `other` sends the frame until then.
    pub async fn wait_for_video(&mut self, other: &mut Guest, mark: u8) {
        let whose = other.id();
        let deadline = Instant::now() + DEADLINE;
        while self.sender_of(mark).as_ref() != Some(&whose) {
            assert!(Instant::now() < deadline, "{mark} does not come");
            other.send_video(mark);
            other.step().await;
            self.step().await;
        }
    }
}

/// The SDP of an offer as the page sends it: minified, and without `msid` in receive-only
/// sections, which str0m writes and browsers do not.
fn as_browsers_send(sdp: &str) -> String {
    let sections = sdp.split("m=").map(|section| {
        let receives = section.contains("a=recvonly");
        let kept = |line: &&str| !(receives && line.starts_with("a=msid:"));
        section.split_inclusive('\n').filter(kept).collect()
    });
    minify_sdp(&sections.collect::<Vec<String>>().join("m="))
}

/// The stream id of each media description, keyed by `mid`.
fn streams(sdp: &str) -> HashMap<String, String> {
    let value = |section: &str, name: &str| {
        let found = section.lines().find_map(|line| line.strip_prefix(name));
        Some(found?.split(' ').next()?.to_owned())
    };
    let sections = sdp.split("m=");
    let named = sections.filter_map(|s| Some((value(s, "a=mid:")?, value(s, "a=msid:")?)));
    named.collect()
}
