//! Helpers for the tests of a shard's core: a core without a shard, and a browser without
//! sockets.

use crate::protocol::{MediaOffer, OfferedTrack, ParticipantId, Source};
use crate::server::metrics::MediaMetrics;
use crate::server::sfu::{
    codec::enable_codecs,
    command::{Command, Event},
    keys::{PeerKey, RoomKey},
    peer::{
        sdp::{offer::Offer, twcc::extensions_without_twcc},
        session::SharedRtcConfig,
    },
    shard::core::Core,
    transport::datagram::{OutgoingDatagram, ReceivedDatagram, is_stun},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{
    Input, Output,
    change::{SdpApi, SdpOffer, SdpPendingOffer},
    crypto::{CryptoProvider, from_feature_flags},
    media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer},
    net::{Protocol, Receive},
    rtp::{ExtensionValues, RtpWrite},
};
use tokio::sync::mpsc;

/// The interval between two statistics events of a client.
const STATS_INTERVAL: Duration = Duration::from_millis(250);

/// A core with room 1, the receiver of its events, and the start time.
pub fn core() -> (Core, mpsc::Receiver<Event>, Instant) {
    let (events, receiver) = mpsc::channel(64);
    let now = Instant::now();
    let mut core = Core::new(rtc_config(), MediaMetrics::default(), now);
    core.open_room(RoomKey(1), events);
    (core, receiver, now)
}

/// The configuration that all connections share.
pub fn rtc_config() -> SharedRtcConfig {
    let certificate = from_feature_flags().dtls_provider.generate_certificate();
    SharedRtcConfig {
        candidates: vec![([127, 0, 0, 1], 7882).into()],
        certificate: certificate.expect("a certificate"),
    }
}

/// The participant ID `p_a`.
pub fn first_participant() -> ParticipantId {
    ParticipantId::parse("p_a").expect("valid")
}

/// The participant ID `p_<number>`.
pub fn participant(number: u64) -> ParticipantId {
    ParticipantId::parse(&format!("p_{number}")).expect("valid")
}

/// Adds a peer to room 1 that never connects. It offers the sources `sent`, cameras with three
/// simulcast layers, and `slots` receiving media descriptions of one kind.
pub fn join_without_media(
    core: &mut Core,
    number: u64,
    sent: &[Source],
    (kind, slots): (MediaKind, usize),
    now: Instant,
) {
    let mut rtc = str0m::Rtc::new(now);
    let mut api = rtc.sdp_api();
    let senders = add_senders(&mut api, sent, &["q", "h", "f"]);
    let tracks = senders.into_iter().map(|(source, mid)| OfferedTrack {
        mid: mid.to_string(),
        source,
    });
    for _ in 0..slots {
        api.add_media(kind, Direction::RecvOnly, None, None, None);
    }
    let (offer, _) = api.apply().expect("something to offer");
    let offer = Offer::new(MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp: offer.to_sdp_string(),
        tracks: tracks.collect(),
    });
    let (peer, person) = (PeerKey(number), participant(number));
    let command = Command::Offer {
        peer,
        person,
        offer,
    };
    core.handle_command(RoomKey(1), command, now);
}

/// The media descriptions of an offer.
#[derive(Debug)]
pub struct OfferedMedia<'a> {
    /// The source of each sending media description.
    pub sent: &'a [Source],
    /// The kind of each receiving media description.
    pub received: &'a [MediaKind],
    /// The RIDs of the camera's simulcast layers; none without simulcast.
    pub rids: &'a [&'a str],
    /// Whether the offer asks for transport-wide feedback, so that bandwidth is estimated.
    pub uses_bwe: bool,
}

impl Default for OfferedMedia<'_> {
    /// A camera and a microphone, and a receiver of each kind.
    fn default() -> Self {
        Self {
            sent: &[Source::Camera, Source::Microphone],
            received: &[MediaKind::Video, MediaKind::Audio],
            rids: &[],
            uses_bwe: true,
        }
    }
}

/// Adds a sending media description for each source, the camera with these simulcast layers.
fn add_senders(api: &mut SdpApi<'_>, sources: &[Source], rids: &[&str]) -> Vec<(Source, Mid)> {
    let add = |source: &Source| {
        let kind = match source.is_video() {
            true => MediaKind::Video,
            false => MediaKind::Audio,
        };
        let mut layers = Simulcast::new();
        for rid in rids {
            layers.add_send_layer(SimulcastLayer::new(rid));
        }
        let layers = (*source == Source::Camera && !rids.is_empty()).then_some(layers);
        let mid = api.add_media(kind, Direction::SendOnly, None, None, layers);
        (*source, mid)
    };
    sources.iter().map(add).collect()
}

/// A client without sockets.
pub struct FakeBrowser {
    /// The peer connection under test.
    pub rtc: str0m::Rtc,
    /// The source of each sending media description.
    senders: Vec<(Source, Mid)>,
    /// The kind of each receiving media description.
    receivers: Vec<(MediaKind, Mid)>,
    /// The str0m events so far, oldest first.
    pub events: Vec<str0m::Event>,
    /// The offer that awaits its answer.
    pub pending: Option<SdpPendingOffer>,
    /// The host address of the client.
    pub host: SocketAddr,
    /// The address from which its datagrams arrive at the core.
    pub address: SocketAddr,
}

impl FakeBrowser {
    /// Connects peer 1 as [`first_participant`].
    pub fn join_first(
        core: &mut Core,
        events: &mut mpsc::Receiver<Event>,
        now: &mut Instant,
    ) -> Self {
        Self::join(core, events, now, PeerKey(1), first_participant())
    }

    /// Connects a client with a camera and a microphone.
    pub fn join(
        core: &mut Core,
        events: &mut mpsc::Receiver<Event>,
        now: &mut Instant,
        peer: PeerKey,
        person: ParticipantId,
    ) -> Self {
        Self::join_with_crypto(from_feature_flags(), core, events, now, (peer, person))
    }

    /// Connects the peer and participant of this number, with these media descriptions.
    pub fn join_with_media(
        media: &OfferedMedia<'_>,
        core: &mut Core,
        events: &mut mpsc::Receiver<Event>,
        now: &mut Instant,
        number: u64,
    ) -> Self {
        let (peer, person) = (PeerKey(number), participant(number));
        let browser = Self::with_offer(media, from_feature_flags(), *now, peer);
        Self::join_with_offer(browser, core, events, now, (peer, person))
    }

    /// Like [`Self::join`], with a crypto provider.
    pub fn join_with_crypto(
        ciphers: CryptoProvider,
        core: &mut Core,
        events: &mut mpsc::Receiver<Event>,
        now: &mut Instant,
        (peer, person): (PeerKey, ParticipantId),
    ) -> Self {
        let browser = Self::with_offer(&OfferedMedia::default(), ciphers, *now, peer);
        Self::join_with_offer(browser, core, events, now, (peer, person))
    }

    /// Sends the offer of a client and connects it.
    fn join_with_offer(
        (mut browser, offer): (Self, Offer),
        core: &mut Core,
        events: &mut mpsc::Receiver<Event>,
        now: &mut Instant,
        (peer, person): (PeerKey, ParticipantId),
    ) -> Self {
        let command = Command::Offer {
            peer,
            person,
            offer,
        };
        core.handle_command(RoomKey(1), command, *now);
        let sent = std::iter::from_fn(|| events.try_recv().ok());
        let answer = sent.into_iter().find_map(|event| match event {
            Event::Answer { sdp, .. } => Some(sdp),
            _ => None,
        });
        browser.connect(core, &answer.expect("an answer"), now);
        browser
    }

    /// A client and its offer.
    fn with_offer(
        media: &OfferedMedia<'_>,
        ciphers: CryptoProvider,
        now: Instant,
        peer: PeerKey,
    ) -> (Self, Offer) {
        let mut config = str0m::Rtc::builder()
            .set_rtp_mode(true)
            .set_stats_interval(Some(STATS_INTERVAL));
        enable_codecs(config.codec_config());
        if !media.uses_bwe {
            config = config.set_extension_map(extensions_without_twcc());
        }
        let mut rtc = config.set_crypto_provider(ciphers.into()).build(now);
        let port = 4000 + 100 * peer.0 as u16;
        let address = ([127, 0, 0, 1], port).into();
        let candidate = str0m::Candidate::host(address, "udp").expect("valid");
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let senders = add_senders(&mut api, media.sent, media.rids);
        let receive = |kind: &MediaKind| {
            let mid = api.add_media(*kind, Direction::RecvOnly, None, None, None);
            (*kind, mid)
        };
        let receivers = media.received.iter().map(receive).collect();
        let (offer, pending) = api.apply().expect("something to offer");
        let mut browser = Self {
            rtc,
            senders,
            receivers,
            events: Vec::new(),
            pending: None,
            host: address,
            address,
        };
        let offer = browser.offer((offer, pending), 1, 1);
        (browser, offer)
    }

    /// Adds sources and offers again. The caller sends the offer, and applies the answer with
    /// [`Self::connect`].
    pub fn offer_more(&mut self, sources: &[Source], connection: u32, offer_id: u32) -> Offer {
        let mut api = self.rtc.sdp_api();
        let added = add_senders(&mut api, sources, &[]);
        let change = api.apply().expect("something to offer");
        self.senders.extend(added);
        self.offer(change, connection, offer_id)
    }

    /// The offer of a change, which awaits its answer from now on.
    fn offer(
        &mut self,
        (offer, pending): (SdpOffer, SdpPendingOffer),
        connection: u32,
        offer_id: u32,
    ) -> Offer {
        self.pending = Some(pending);
        let tracks = self.senders.iter().map(|(source, mid)| OfferedTrack {
            mid: mid.to_string(),
            source: *source,
        });
        Offer::new(MediaOffer {
            connection,
            offer_id,
            sdp: offer.to_sdp_string(),
            tracks: tracks.collect(),
        })
    }

    /// The media description that sends video of the camera.
    pub fn camera(&self) -> Mid {
        self.sender_of(Source::Camera)
    }

    /// The media description that sends audio of the microphone.
    pub fn microphone(&self) -> Mid {
        self.sender_of(Source::Microphone)
    }

    /// The first media description that receives video.
    pub fn video_receiver(&self) -> Mid {
        self.receiver_of(MediaKind::Video)
    }

    /// The first media description that receives audio.
    pub fn audio_receiver(&self) -> Mid {
        self.receiver_of(MediaKind::Audio)
    }

    /// The media description that sends a source.
    pub fn sender_of(&self, source: Source) -> Mid {
        let mut senders = self.senders.iter();
        senders.find(|(sent, _)| *sent == source).expect("sent").1
    }

    /// The first media description that receives this kind.
    fn receiver_of(&self, kind: MediaKind) -> Mid {
        let mut receivers = self.receivers.iter();
        receivers.find(|(k, _)| *k == kind).expect("received").1
    }

    /// Takes the datagrams that the client sends now.
    pub fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        loop {
            match self.rtc.poll_output().expect("goes on") {
                Output::Transmit(transmit) => sent.push(transmit.contents.to_vec()),
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return sent,
            }
        }
    }

    /// Applies the answer and exchanges datagrams with the core until the connection is up.
    pub fn connect(&mut self, core: &mut Core, answer: &str, now: &mut Instant) {
        let answer = str0m::change::SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("offered");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("accepts");
        for _ in 0..200 {
            self.advance(core, now);
            if self.rtc.is_connected() && core.is_everyone_connected() {
                return;
            }
        }
        panic!("does not connect");
    }

    /// Advances the clock by 10 ms and exchanges datagrams; returns the addresses to which the
    /// core sent media.
    pub fn advance(&mut self, core: &mut Core, now: &mut Instant) -> Vec<SocketAddr> {
        *now += Duration::from_millis(10);
        self.exchange(core, *now)
    }

    /// Exchanges datagrams; returns the addresses to which the core sent media.
    pub fn exchange(&mut self, core: &mut Core, now: Instant) -> Vec<SocketAddr> {
        for bytes in self.take_outgoing() {
            core.receive(self.datagram(&bytes), now);
            core.settle(now);
        }
        core.handle_timeout(now);
        let mine = |to: SocketAddr| to == self.host || to == self.address;
        let (mut media, sent) = (Vec::new(), std::mem::take(core.outgoing()));
        let (mine, others): (Vec<_>, _) = sent
            .into_iter()
            .partition(|sent| mine(sent.transmit.destination));
        *core.outgoing() = others;
        for OutgoingDatagram { transmit, .. } in mine {
            if !is_stun(&transmit.contents) {
                media.push(transmit.destination);
            }
            let receive = Receive::new(
                Protocol::Udp,
                transmit.source,
                self.host,
                &transmit.contents,
            );
            let input = Input::Receive(now, receive.expect("known"));
            self.rtc.handle_input(input).expect("takes it");
            // str0m keeps one packet that was not taken out.
            let answers = self.take_outgoing();
            for bytes in answers {
                core.receive(self.datagram(&bytes), now);
            }
        }
        self.rtc.handle_input(Input::Timeout(now)).expect("goes on");
        media
    }

    /// Sends a keyframe of one packet from the camera.
    pub fn send_keyframe(&mut self, seq: u64, now: Instant) {
        self.send_packet(self.camera(), seq, 0, now, vec![0x10; 100]);
    }

    /// Sends 20 ms of audio of a source with a level in dBov; above -60 with voice activity.
    pub fn send_audio(&mut self, source: Source, seq: u64, dbov: i8, now: Instant) {
        let extensions = ExtensionValues {
            audio_level: Some(dbov),
            voice_activity: Some(dbov > -60),
            ..ExtensionValues::default()
        };
        let mid = self.sender_of(source);
        let write = self.packet(mid, seq, 960 * seq as u32, now, vec![0x78; 100]);
        self.write_packet(mid, write.ext_vals(extensions));
    }

    /// Writes a packet on a sending media description, with its capture time.
    pub fn send_packet(&mut self, mid: Mid, seq: u64, time: u32, taken: Instant, payload: Vec<u8>) {
        let write = self.packet(mid, seq, time, taken, payload);
        self.write_packet(mid, write);
    }

    /// A packet of a media description, in its first codec.
    pub fn packet(
        &self,
        mid: Mid,
        seq: u64,
        time: u32,
        taken: Instant,
        payload: Vec<u8>,
    ) -> RtpWrite {
        let pt = self.rtc.media(mid).expect("there").remote_pts()[0];
        RtpWrite::new(pt, seq.into(), time, taken, payload)
    }

    /// Writes a packet on a media description without simulcast.
    fn write_packet(&mut self, mid: Mid, write: RtpWrite) {
        self.write_layer_packet(mid, None, write);
    }

    /// Writes a packet on a simulcast layer of a media description.
    pub fn write_layer_packet(&mut self, mid: Mid, rid: Option<Rid>, write: RtpWrite) {
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, rid).expect("sends");
        stream.write_rtp(write);
    }

    /// A datagram from the client, as the core receives it.
    pub fn datagram<'a>(&self, bytes: &'a [u8]) -> ReceivedDatagram<'a> {
        ReceivedDatagram {
            proto: Protocol::Udp,
            is_relayed: false,
            source: self.address,
            local_ip: None,
            bytes,
        }
    }
}
