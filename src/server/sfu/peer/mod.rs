//! One person's connection to the SFU: an `Rtc` of str0m, what it sends us, and the
//! slots by which we send to it.

#[cfg(test)]
mod answer_tests;
pub mod sdp;

use crate::server::sfu::{
    PeerKey, RoomKey,
    bwe::{estimate::Estimate, link::LinkEstimator, loss::LossDetector, stats::StatsWindow},
    codec::{self, Codec, red},
    forward::packet::PacketOrigin,
    ingress::{
        demux::{Demux, is_stun},
        rate_limit::IngressLimiter,
        ssrc_limit::SsrcLimiter,
        twcc_guard::{self, TwccGuard},
    },
    publish::capture_clock::CaptureClock,
    shard::core::{OutgoingDatagram, guarded},
    subscribe::{allocator::Allocator, down_track::DownTrack, rtx_policy::RtxCachePolicy},
    transport::path::NetworkPath,
};
use crate::{
    protocol::{ParticipantId, Source, Wanted, quality::QualityMeter},
    server::metrics::IcePath,
};
use sdp::offer::Offer;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{
    Candidate, Input, Rtc,
    bwe::Bitrate,
    config::DtlsCert,
    media::{MediaKind, Mid},
    net::{TcpType, Transmit},
    rtp::Ssrc,
};

/// What bandwidth estimation starts from: enough for the smallest layers of a few people.
const INITIAL_ESTIMATE: Bitrate = Bitrate::kbps(900);
/// What is due within this is done now. `str0m` asks for a microsecond between packets.
const TIMEOUT_SLACK: Duration = Duration::from_micros(2);
/// Within this after somebody came in, what there is to be seen was there before.
const JOIN_GRACE: Duration = Duration::from_secs(2);
/// How often a connection says how it is.
const STATS_INTERVAL: Duration = Duration::from_millis(250);
/// How often reports of sound are sent, as of pictures. A browser plays both in step once it
/// has two sender reports of each; str0m's own 5 s would be 10 s of a call.
const AUDIO_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Candidates of ours that one connection is ever given. 24: three changes of all of them.
const MAX_CANDIDATES: usize = 24;
/// Streams one person may send: each source, each layer, and their resends.
const MAX_SSRCS: usize = 32;

/// A connection.
pub struct Peer {
    /// Its place in the room.
    pub key: PeerKey,
    /// Which room.
    pub room: RoomKey,
    /// Whose it is.
    pub person: ParticipantId,
    /// Which of the person's connections.
    pub connection: u32,
    /// The last offer that was answered.
    pub offer_id: u32,
    /// The connection itself.
    pub rtc: Rtc,
    /// Names by which connectivity checks ask for it: before the last ICE restart, and since.
    pub ufrags: Vec<String>,
    /// Our candidates that it was given, those of now and before.
    pub candidates: Vec<SocketAddr>,
    /// The way ICE found last.
    pub ice_path: IcePath,
    /// Addresses it was heard from, oldest first.
    pub verified_paths: Vec<NetworkPath>,
    /// By which of them its media comes.
    pub media_path: Option<NetworkPath>,
    /// What each sending description of theirs carries.
    pub offered_tracks: Vec<(Mid, Source)>,
    /// Their streams, as they were met.
    pub ssrc_origins: Vec<(Ssrc, PacketOrigin)>,
    /// What we send by.
    pub down_tracks: Vec<DownTrack>,
    /// What is on their screen.
    pub wanted: Vec<Wanted>,
    /// How the line is shared out.
    pub allocator: Allocator,
    /// What the line carries, where that is estimated.
    pub estimate: Option<Estimate>,
    /// Whether it is estimated at all.
    pub uses_bwe: bool,
    /// When it was made.
    pub created_at: Instant,
    /// The time it was told last.
    clock: Instant,
    /// Their own clock: when what they send was taken.
    pub capture_clock: CaptureClock,
    /// When something came last.
    pub last_received: Instant,
    /// How much it may send.
    pub ingress_limiter: IngressLimiter,
    /// Which streams it sends.
    pub ssrc_limiter: SsrcLimiter,
    /// How far it has counted its packets.
    pub twcc_guard: TwccGuard,
    /// Whether it is up, and by what it came up.
    pub connected: bool,
    /// When there was something to be seen first.
    pub first_video_assigned: Option<Instant>,
    /// Whether something was forwarded to it.
    pub received_video: bool,
    /// How good the line is.
    pub quality_meter: QualityMeter,
    /// What its line carries at least.
    pub link: LinkEstimator,
    /// Whether voices are sent twice, because packets to it are lost.
    pub loss_detector: LossDetector,
    /// What was heard of it since the last measure.
    pub stats_window: StatsWindow,
    /// How long pictures that were sent to it are kept.
    pub rtx_policy: RtxCachePolicy,
    /// How unevenly sound comes of late, in milliseconds.
    pub max_audio_jitter_ms: f64,
    /// Whether it waits to be drained.
    pub dirty: bool,
    /// Whether packets were written to it since it was told the time: they leave when it is.
    pub has_writes: bool,
}

/// What every connection has in common.
pub struct SharedRtcConfig {
    /// Where browsers reach us.
    pub candidates: Vec<SocketAddr>,
    /// The certificate of this process (trust T19).
    pub certificate: DtlsCert,
}

impl Peer {
    /// A connection that has answered nothing yet.
    pub fn new(
        key: PeerKey,
        room: RoomKey,
        person: ParticipantId,
        connection: u32,
        estimated: bool,
        terms: &SharedRtcConfig,
        now: Instant,
    ) -> Self {
        let mut peer = Self {
            key,
            room,
            person,
            connection,
            offer_id: 0,
            rtc: rtc(estimated, terms, now),
            candidates: Vec::new(),
            ufrags: Vec::new(),
            ice_path: IcePath::Failed,
            verified_paths: Vec::new(),
            media_path: None,
            offered_tracks: Vec::new(),
            ssrc_origins: Vec::new(),
            down_tracks: Vec::new(),
            wanted: Vec::new(),
            allocator: Allocator::default(),
            estimate: None,
            uses_bwe: estimated,
            created_at: now,
            clock: now,
            capture_clock: CaptureClock::default(),
            last_received: now,
            ingress_limiter: IngressLimiter::default(),
            ssrc_limiter: SsrcLimiter::new(now),
            twcc_guard: TwccGuard::default(),
            connected: false,
            first_video_assigned: None,
            received_video: false,
            quality_meter: QualityMeter::default(),
            link: LinkEstimator::default(),
            loss_detector: LossDetector::default(),
            stats_window: StatsWindow::default(),
            rtx_policy: RtxCachePolicy::default(),
            max_audio_jitter_ms: 0.0,
            dirty: false,
            has_writes: false,
        };
        peer.add_candidates(&terms.candidates);
        peer
    }

    /// Browsers reach us by these, too, from now on: its next answer names them.
    pub fn add_candidates(&mut self, candidates: &[SocketAddr]) {
        for address in candidates {
            if self.candidates.len() >= MAX_CANDIDATES || self.candidates.contains(address) {
                continue;
            }
            self.candidates.push(*address);
            let udp = Candidate::host(*address, "udp");
            let tcp = Candidate::builder()
                .tcp()
                .host(*address)
                .tcptype(TcpType::Passive);
            for candidate in [udp, tcp.build()].into_iter().flatten() {
                self.rtc.add_local_candidate(candidate);
            }
        }
    }

    /// Tells it the time; nothing where that ends it.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<()> {
        let now = self.advance_clock(now);
        guarded(|| self.rtc.handle_input(Input::Timeout(now)))
    }

    /// Its time moves on to this; it never goes back. Draining runs ahead of the clock, by up
    /// to two microseconds a packet.
    pub fn advance_clock(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// Since when it waits for its first picture: since it came in, or since there was
    /// something to be seen, where that was not soon after.
    pub fn waiting_for_video_since(&self) -> Instant {
        let late = self
            .first_video_assigned
            .filter(|at| *at > self.created_at + JOIN_GRACE);
        late.unwrap_or(self.created_at)
    }

    /// Whether a moment it waits for is as good as now.
    pub fn is_due(&self, at: Instant) -> bool {
        at <= self.clock + TIMEOUT_SLACK
    }

    /// Answers an offer; the slots and tracks it names are there afterwards.
    ///
    /// # Errors
    /// The offer makes no sense; the connection should be given up.
    pub fn accept_offer(&mut self, offer: Offer) -> Result<String, ()> {
        let (sdp, tracks, description) = offer.into_parts();
        let description = description.ok_or(())?;
        let answer = self.rtc.sdp_api().accept_offer(description).map_err(drop)?;
        let answer = codec::with_dtx(&answer.to_sdp_string());
        self.twcc_guard
            .set_extension_id(self.negotiated_twcc_id(&answer)?);
        self.offered_tracks = tracks
            .iter()
            .map(|track| (Mid::from(track.mid.as_str()), track.source))
            .filter(|(mid, source)| self.is_receiving(*mid, *source))
            .collect();
        self.add_down_tracks(&sdp, &answer);
        Ok(answer)
    }

    /// The number of the header extension by which they count their packets, where they do.
    ///
    /// # Errors
    /// They said they would, and not by which, or of nothing that could be reported.
    fn negotiated_twcc_id(&self, answer: &str) -> Result<Option<u8>, ()> {
        let mut medias = mids(answer).filter_map(|mid| self.rtc.media(mid));
        let id = medias.find_map(|media| twcc_guard::extension_id(media.remote_extmap()));
        // str0m would keep the numbers for a report that it never makes.
        let is_reported = id.is_some() && answer.contains(" transport-cc");
        match self.uses_bwe && !is_reported {
            true => Err(()),
            false => Ok(id),
        }
    }

    /// Takes note of the name that connectivity checks ask for it by; the one before goes on
    /// until the next.
    pub fn register_ufrag(&mut self, index: usize, demux: &mut Demux) {
        let ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        if !self.ufrags.contains(&ufrag) {
            demux.add_ufrag(ufrag.clone(), index);
            self.ufrags.push(ufrag);
        }
        if self.ufrags.len() > 2 {
            demux.remove_ufrag(&self.ufrags.remove(0));
        }
    }

    /// Whether a description carries something of this sort to us.
    fn is_receiving(&self, mid: Mid, source: Source) -> bool {
        self.rtc.media(mid).is_some_and(|media| {
            let video = media.kind() == MediaKind::Video;
            media.direction().is_receiving() && video == source.is_video()
        })
    }

    /// Makes a slot of every description that we send by and that has none.
    fn add_down_tracks(&mut self, offer: &str, answer: &str) {
        for mid in mids(answer) {
            let known = self.down_tracks.iter().any(|slot| slot.mid == mid);
            let sends = self
                .rtc
                .media(mid)
                .is_some_and(|m| m.direction().is_sending());
            if sends && !known {
                let red = red::is_offered(offer, &mid);
                let kept = self.rtx_policy.size();
                self.down_tracks
                    .extend(DownTrack::new(&mut self.rtc, mid, red, kept, self.clock));
            }
        }
    }

    /// A datagram of it, on the way its own media comes by. The answers to its connectivity
    /// checks go where ICE says.
    pub fn address(&self, transmit: Transmit) -> OutgoingDatagram {
        let way = self.media_path.filter(|_| !is_stun(&transmit.contents));
        let to = (transmit.proto, transmit.destination);
        let mut known = self.verified_paths.iter();
        match way {
            Some(way) => way.address(transmit),
            None => OutgoingDatagram {
                local_ip: known
                    .find(|k| k.key() == to)
                    .and_then(|known| known.local_ip),
                transmit,
            },
        }
    }

    /// Its media comes by this way from now on. Of another network nothing is known yet, and
    /// what was sent to the way before was lost, which says nothing of it.
    pub fn on_media_path(&mut self, way: NetworkPath) {
        let before = self.media_path.replace(way);
        if before.is_some_and(|before| before.key() != way.key()) && self.connected {
            self.link = LinkEstimator::default();
            self.stats_window = StatsWindow::default();
            if self.uses_bwe {
                self.rtc.bwe().reset(INITIAL_ESTIMATE);
                self.estimate = Some(Estimate::new(INITIAL_ESTIMATE));
            }
        }
    }

    /// Whether every slot of pictures takes a codec.
    pub fn accepts_video_codec(&self, codec: Codec) -> bool {
        let mut pictures = self.down_tracks.iter().filter(|slot| slot.video);
        pictures.all(|slot| slot.accepts(codec))
    }

    /// Which track and layer a stream belongs to, where it was met before.
    pub fn origin_of(&self, ssrc: Ssrc) -> Option<PacketOrigin> {
        let found = self.ssrc_origins.iter().find(|(known, _)| *known == ssrc);
        found.map(|(_, origin)| *origin)
    }

    /// Remembers where a stream belongs; the oldest is forgotten beyond [`MAX_SSRCS`].
    pub fn register_ssrc(&mut self, ssrc: Ssrc, origin: PacketOrigin) {
        if self.ssrc_origins.len() >= MAX_SSRCS {
            self.ssrc_origins.remove(0);
        }
        self.ssrc_origins.push((ssrc, origin));
    }

    /// The tallest anybody may need this person's share of the screen: what is wanted of
    /// a source of somebody.
    pub fn wanted_of(&self, person: &ParticipantId, source: Source) -> Option<&Wanted> {
        let wanted = |w: &&Wanted| w.id == *person && w.source == source;
        self.wanted.iter().find(wanted)
    }

    /// Whether somebody is kept in view whoever speaks.
    pub fn has_pinned(&self, person: &ParticipantId) -> bool {
        self.wanted.iter().any(|w| w.pinned && w.id == *person)
    }
}

/// The descriptions of an answer.
fn mids(answer: &str) -> impl Iterator<Item = Mid> {
    let mids = answer.lines().filter_map(|l| l.strip_prefix("a=mid:"));
    mids.map(Mid::from)
}

/// An `Rtc` on our terms.
fn rtc(estimated: bool, terms: &SharedRtcConfig, now: Instant) -> Rtc {
    let mut config = Rtc::builder()
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_dtls_cert(terms.certificate.clone())
        .set_stats_interval(Some(STATS_INTERVAL))
        .set_rtcp_report_interval_audio(AUDIO_REPORT_INTERVAL);
    codec::enable_codecs(config.codec_config());
    match estimated {
        true => config = config.enable_bwe(Some(INITIAL_ESTIMATE)),
        // Or it would read numbers that nobody agreed on.
        false => config = config.set_extension_map(twcc_guard::extensions_without_twcc()),
    }
    config.build(now)
}
