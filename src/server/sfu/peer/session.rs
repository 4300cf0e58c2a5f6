//! Negotiation: an offer becomes an answer, tracks and down tracks.

use super::{
    Peer,
    bandwidth::INITIAL_ESTIMATE,
    sdp::{dtx, offer::Offer, red, twcc},
};
use crate::{
    protocol::Source,
    server::sfu::{codec, subscribe::down_track::DownTrack},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{
    Rtc,
    config::DtlsCert,
    media::{MediaKind, Mid},
};

/// The interval between two statistics reports of str0m.
const STATS_INTERVAL: Duration = Duration::from_millis(250);
/// The interval between two sender reports of audio, the same as of video. A browser plays both
/// in sync once it has two reports of each; with str0m's default of 5 s that takes 10 s.
const AUDIO_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The configuration that all connections share.
pub struct SharedRtcConfig {
    /// The addresses at which browsers reach the shard.
    pub candidates: Vec<SocketAddr>,
    /// The DTLS certificate of this process.
    pub certificate: DtlsCert,
}

impl SharedRtcConfig {
    /// A new connection without candidates. `uses_bwe`: its bandwidth is estimated.
    pub(super) fn rtc(&self, uses_bwe: bool, now: Instant) -> Rtc {
        let mut config = Rtc::builder()
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_dtls_cert(self.certificate.clone())
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_rtcp_report_interval_audio(AUDIO_REPORT_INTERVAL);
        codec::enable_codecs(config.codec_config());
        match uses_bwe {
            true => config = config.enable_bwe(Some(INITIAL_ESTIMATE)),
            // str0m would read sequence numbers that were never negotiated.
            false => config = config.set_extension_map(twcc::extensions_without_twcc()),
        }
        config.build(now)
    }
}

impl Peer {
    /// Answers an offer. Afterwards the tracks and down tracks that it names exist.
    ///
    /// # Errors
    /// The offer cannot be answered; the caller closes the connection.
    pub fn accept_offer(&mut self, offer: Offer) -> Result<String, ()> {
        let (sdp, tracks, description) = offer.into_parts();
        let description = description.ok_or(())?;
        let answer = self.rtc.sdp_api().accept_offer(description).map_err(drop)?;
        let answer = dtx::with_dtx(&answer.to_sdp_string());
        let twcc_id = self.negotiated_twcc_id(&answer)?;
        self.upstream.twcc_guard.set_extension_id(twcc_id);
        self.upstream.offered_tracks = tracks
            .iter()
            .map(|track| (Mid::from(track.mid.as_str()), track.source))
            .filter(|(mid, source)| self.is_receiving(*mid, *source))
            .collect();
        self.add_down_tracks(&sdp, &answer);
        Ok(answer)
    }

    /// The id of the header extension for transport-wide sequence numbers; none where it was
    /// not negotiated.
    ///
    /// # Errors
    /// The offer asked for transport-wide congestion control without the extension, or without
    /// a codec that has the feedback.
    fn negotiated_twcc_id(&self, answer: &str) -> Result<Option<u8>, ()> {
        let mut medias = mids(answer).filter_map(|mid| self.rtc.media(mid));
        let id = medias.find_map(|media| twcc::extension_id(media.remote_extmap()));
        // Without the feedback, str0m stores sequence numbers for a report that it never sends.
        let is_reported = id.is_some() && answer.contains(" transport-cc");
        match self.bandwidth.uses_bwe() && !is_reported {
            true => Err(()),
            false => Ok(id),
        }
    }

    /// Whether we receive a source of this kind in a media section.
    fn is_receiving(&self, mid: Mid, source: Source) -> bool {
        self.rtc.media(mid).is_some_and(|media| {
            let video = media.kind() == MediaKind::Video;
            media.direction().is_receiving() && video == source.is_video()
        })
    }

    /// Adds a down track for every media section that we send in and that has none.
    fn add_down_tracks(&mut self, offer: &str, answer: &str) {
        for mid in mids(answer) {
            let known = self.downstream.down_tracks.iter().any(|d| d.mid == mid);
            let media = self.rtc.media(mid);
            if known || !media.is_some_and(|media| media.direction().is_sending()) {
                continue;
            }
            let red = red::is_offered(offer, &mid);
            let size = self.bandwidth.rtx_cache_size();
            let down_track = DownTrack::new(&mut self.rtc, mid, red, size, self.clock);
            self.downstream.down_tracks.extend(down_track);
        }
    }
}

/// The media sections of an answer.
fn mids(answer: &str) -> impl Iterator<Item = Mid> {
    let mids = answer.lines().filter_map(|l| l.strip_prefix("a=mid:"));
    mids.map(Mid::from)
}
