//! One person's connection to the SFU: an `Rtc` of str0m, what it sends us, and the
//! slots by which we send to it.

#[cfg(test)]
mod answer_tests;
pub mod sdp;

use crate::server::sfu::{
    PeerKey, RoomKey,
    bwe::{estimate::Estimate, link::Line, loss::Lossy, stats::Reported},
    codec::{self, Codec, red},
    forward::packet::Origin,
    ingress::{
        demux::{Demux, is_stun},
        rate_limit::Flood,
        ssrc_limit::Newcomers,
        twcc_guard::{self, TransportSeq},
    },
    publish::capture_clock::CaptureClock,
    shard::core::{Outgoing, guarded},
    subscribe::{allocator::Allocator, down_track::OutSlot, rtx_policy::Keeper},
    transport::path::Way,
};
use crate::{
    protocol::{ParticipantId, Source, Wanted, quality::QualityMeter},
    server::metrics::media::Path,
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
const FIRST_ESTIMATE: Bitrate = Bitrate::kbps(900);
/// What is due within this is done now. `str0m` asks for a microsecond between packets.
const AT_ONCE: Duration = Duration::from_micros(2);
/// Within this after somebody came in, what there is to be seen was there before.
const SOON: Duration = Duration::from_secs(2);
/// How often a connection says how it is.
const STATS_EVERY: Duration = Duration::from_millis(250);
/// How often reports of sound are sent, as of pictures. A browser plays both in step once it
/// has two sender reports of each; str0m's own 5 s would be 10 s of a call.
const SOUND_REPORTED_EVERY: Duration = Duration::from_secs(1);
/// Candidates of ours that one connection is ever given. 24: three changes of all of them.
const MAX_CANDIDATES: usize = 24;
/// Streams one person may send: each source, each layer, and their resends.
const MAX_STREAMS: usize = 32;

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
    pub path: Path,
    /// Addresses it was heard from, oldest first.
    pub addresses: Vec<Way>,
    /// By which of them its media comes.
    pub way: Option<Way>,
    /// What each sending description of theirs carries.
    pub offered: Vec<(Mid, Source)>,
    /// Their streams, as they were met.
    pub origins: Vec<(Ssrc, Origin)>,
    /// What we send by.
    pub slots: Vec<OutSlot>,
    /// What is on their screen.
    pub wanted: Vec<Wanted>,
    /// How the line is shared out.
    pub allocator: Allocator,
    /// What the line carries, where that is estimated.
    pub estimate: Option<Estimate>,
    /// Whether it is estimated at all.
    pub estimated: bool,
    /// When it was made.
    pub since: Instant,
    /// The time it was told last.
    clock: Instant,
    /// Their own clock: when what they send was taken.
    pub capture: CaptureClock,
    /// When something came last.
    pub heard: Instant,
    /// How much it may send.
    pub flood: Flood,
    /// Which streams it sends.
    pub newcomers: Newcomers,
    /// How far it has counted its packets.
    pub transport_seq: TransportSeq,
    /// Whether it is up, and by what it came up.
    pub connected: bool,
    /// When there was something to be seen first.
    pub watches_since: Option<Instant>,
    /// Whether something was forwarded to it.
    pub served: bool,
    /// How good the line is.
    pub quality: QualityMeter,
    /// What its line carries at least.
    pub line: Line,
    /// Whether voices are sent twice, because packets to it are lost.
    pub lossy: Lossy,
    /// What was heard of it since the last measure.
    pub reported: Reported,
    /// How long pictures that were sent to it are kept.
    pub keeper: Keeper,
    /// How unevenly sound comes of late, in milliseconds.
    pub jitter_ms: f64,
    /// Whether it waits to be drained.
    pub dirty: bool,
    /// Whether packets were written to it since it was told the time: they leave when it is.
    pub written: bool,
}

/// What every connection has in common.
pub struct Terms {
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
        terms: &Terms,
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
            path: Path::Failed,
            addresses: Vec::new(),
            way: None,
            offered: Vec::new(),
            origins: Vec::new(),
            slots: Vec::new(),
            wanted: Vec::new(),
            allocator: Allocator::default(),
            estimate: None,
            estimated,
            since: now,
            clock: now,
            capture: CaptureClock::default(),
            heard: now,
            flood: Flood::new(now),
            newcomers: Newcomers::new(now),
            transport_seq: TransportSeq::default(),
            connected: false,
            watches_since: None,
            served: false,
            quality: QualityMeter::default(),
            line: Line::default(),
            lossy: Lossy::default(),
            reported: Reported::default(),
            keeper: Keeper::default(),
            jitter_ms: 0.0,
            dirty: false,
            written: false,
        };
        peer.advertise(&terms.candidates);
        peer
    }

    /// Browsers reach us by these, too, from now on: its next answer names them.
    pub fn advertise(&mut self, candidates: &[SocketAddr]) {
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
    pub fn tick(&mut self, now: Instant) -> Option<()> {
        let now = self.moves_to(now);
        guarded(|| self.rtc.handle_input(Input::Timeout(now)))
    }

    /// Its time moves on to this; it never goes back. Draining runs ahead of the clock, by up
    /// to two microseconds a packet.
    pub fn moves_to(&mut self, now: Instant) -> Instant {
        self.clock = self.clock.max(now);
        self.clock
    }

    /// Since when it waits for its first picture: since it came in, or since there was
    /// something to be seen, where that was not soon after.
    pub fn waits_since(&self) -> Instant {
        let late = self.watches_since.filter(|at| *at > self.since + SOON);
        late.unwrap_or(self.since)
    }

    /// Whether a moment it waits for is as good as now.
    pub fn is_due(&self, at: Instant) -> bool {
        at <= self.clock + AT_ONCE
    }

    /// Answers an offer; the slots and tracks it names are there afterwards.
    ///
    /// # Errors
    /// The offer makes no sense; the connection should be given up.
    pub fn answer(&mut self, offer: Offer) -> Result<String, ()> {
        let (sdp, tracks, description) = offer.into_parts();
        let description = description.ok_or(())?;
        let answer = self.rtc.sdp_api().accept_offer(description).map_err(drop)?;
        let answer = codec::with_dtx(&answer.to_sdp_string());
        self.transport_seq.agree(self.transport_seq_id(&answer)?);
        self.offered = tracks
            .iter()
            .map(|track| (Mid::from(track.mid.as_str()), track.source))
            .filter(|(mid, source)| self.receives(*mid, *source))
            .collect();
        self.add_slots(&sdp, &answer);
        Ok(answer)
    }

    /// The number of the header extension by which they count their packets, where they do.
    ///
    /// # Errors
    /// They said they would, and not by which, or of nothing that could be reported.
    fn transport_seq_id(&self, answer: &str) -> Result<Option<u8>, ()> {
        let mut medias = mids(answer).filter_map(|mid| self.rtc.media(mid));
        let id = medias.find_map(|media| twcc_guard::id(media.remote_extmap()));
        // str0m would keep the numbers for a report that it never makes.
        let is_reported = id.is_some() && answer.contains(" transport-cc");
        match self.estimated && !is_reported {
            true => Err(()),
            false => Ok(id),
        }
    }

    /// Takes note of the name that connectivity checks ask for it by; the one before goes on
    /// until the next.
    pub fn take_name(&mut self, index: usize, demux: &mut Demux) {
        let ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        if !self.ufrags.contains(&ufrag) {
            demux.name(ufrag.clone(), index);
            self.ufrags.push(ufrag);
        }
        if self.ufrags.len() > 2 {
            demux.unname(&self.ufrags.remove(0));
        }
    }

    /// Whether a description carries something of this sort to us.
    fn receives(&self, mid: Mid, source: Source) -> bool {
        self.rtc.media(mid).is_some_and(|media| {
            let video = media.kind() == MediaKind::Video;
            media.direction().is_receiving() && video == source.is_video()
        })
    }

    /// Makes a slot of every description that we send by and that has none.
    fn add_slots(&mut self, offer: &str, answer: &str) {
        for mid in mids(answer) {
            let known = self.slots.iter().any(|slot| slot.mid == mid);
            let sends = self
                .rtc
                .media(mid)
                .is_some_and(|m| m.direction().is_sending());
            if sends && !known {
                let red = red::is_offered(offer, &mid);
                let kept = self.keeper.kept();
                self.slots
                    .extend(OutSlot::new(&mut self.rtc, mid, red, kept, self.clock));
            }
        }
    }

    /// A datagram of it, on the way its own media comes by. The answers to its connectivity
    /// checks go where ICE says.
    pub fn outgoing(&self, transmit: Transmit) -> Outgoing {
        let way = self.way.filter(|_| !is_stun(&transmit.contents));
        let to = (transmit.proto, transmit.destination);
        let mut known = self.addresses.iter();
        match way {
            Some(way) => way.outgoing(transmit),
            None => Outgoing {
                local: known.find(|k| k.key() == to).and_then(|known| known.local),
                transmit,
            },
        }
    }

    /// Its media comes by this way from now on. Of another network nothing is known yet, and
    /// what was sent to the way before was lost, which says nothing of it.
    pub fn comes_by(&mut self, way: Way) {
        let before = self.way.replace(way);
        if before.is_some_and(|before| before.key() != way.key()) && self.connected {
            self.line = Line::default();
            self.reported = Reported::default();
            if self.estimated {
                self.rtc.bwe().reset(FIRST_ESTIMATE);
                self.estimate = Some(Estimate::told(FIRST_ESTIMATE));
            }
        }
    }

    /// Whether every slot of pictures takes a codec.
    pub fn takes(&self, codec: Codec) -> bool {
        let mut pictures = self.slots.iter().filter(|slot| slot.video);
        pictures.all(|slot| slot.takes(codec))
    }

    /// Which track and layer a stream belongs to, where it was met before.
    pub fn origin(&self, ssrc: Ssrc) -> Option<Origin> {
        let found = self.origins.iter().find(|(known, _)| *known == ssrc);
        found.map(|(_, origin)| *origin)
    }

    /// Remembers where a stream belongs; the oldest is forgotten beyond [`MAX_STREAMS`].
    pub fn meet(&mut self, ssrc: Ssrc, origin: Origin) {
        if self.origins.len() >= MAX_STREAMS {
            self.origins.remove(0);
        }
        self.origins.push((ssrc, origin));
    }

    /// The tallest anybody may need this person's share of the screen: what is wanted of
    /// a source of somebody.
    pub fn wants(&self, person: &ParticipantId, source: Source) -> Option<&Wanted> {
        let wanted = |w: &&Wanted| w.id == *person && w.source == source;
        self.wanted.iter().find(wanted)
    }

    /// Whether somebody is kept in view whoever speaks.
    pub fn pins(&self, person: &ParticipantId) -> bool {
        self.wanted.iter().any(|w| w.pinned && w.id == *person)
    }
}

/// The descriptions of an answer.
fn mids(answer: &str) -> impl Iterator<Item = Mid> {
    let mids = answer.lines().filter_map(|l| l.strip_prefix("a=mid:"));
    mids.map(Mid::from)
}

/// An `Rtc` on our terms.
fn rtc(estimated: bool, terms: &Terms, now: Instant) -> Rtc {
    let mut config = Rtc::builder()
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_dtls_cert(terms.certificate.clone())
        .set_stats_interval(Some(STATS_EVERY))
        .set_rtcp_report_interval_audio(SOUND_REPORTED_EVERY);
    codec::enable(config.codec_config());
    match estimated {
        true => config = config.enable_bwe(Some(FIRST_ESTIMATE)),
        // Or it would read numbers that nobody agreed on.
        false => config = config.set_extension_map(twcc_guard::without()),
    }
    config.build(now)
}
