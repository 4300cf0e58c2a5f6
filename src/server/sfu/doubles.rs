//! What the tests of a shard's core have in common: a core without a shard, and a browser
//! without sockets.

use super::{
    PeerKey, RoomKey,
    arrivals::Incoming,
    command::{Command, Event},
    core::{Core, Outgoing},
    demux::is_stun,
    peer::Terms,
};
use crate::protocol::{MediaOffer, ParticipantId};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{
    Input, Output,
    crypto::from_feature_flags,
    net::{Protocol, Receive},
};
use tokio::sync::mpsc;

/// A core with room 1, where its events come, and the time.
pub fn core() -> (Core, mpsc::Receiver<Event>, Instant) {
    let (events, receiver) = mpsc::channel(64);
    let certificate = from_feature_flags().dtls_provider.generate_certificate();
    let terms = Terms {
        candidates: vec![([127, 0, 0, 1], 7882).into()],
        certificate: certificate.expect("a certificate"),
    };
    let now = Instant::now();
    let mut core = Core::new(terms, now);
    core.open(RoomKey(1), events);
    (core, receiver, now)
}

/// Somebody.
pub fn person() -> ParticipantId {
    ParticipantId::parse("p_a").expect("valid")
}

/// Somebody's browser, without sockets.
pub struct Browser {
    /// Its connection.
    pub rtc: str0m::Rtc,
    /// Its camera.
    pub mid: str0m::media::Mid,
    /// Where it takes pictures.
    pub slot: str0m::media::Mid,
    /// The offer under way.
    pub pending: Option<str0m::change::SdpPendingOffer>,
    /// Where it is.
    pub host: SocketAddr,
    /// Where it seems to be.
    pub address: SocketAddr,
}

impl Browser {
    /// A browser with a camera, connected.
    pub fn inside(core: &mut Core, events: &mut mpsc::Receiver<Event>, now: &mut Instant) -> Self {
        let (mut browser, offer) = Self::offers(*now);
        let (peer, person) = (PeerKey(1), person());
        let command = Command::Offer {
            peer,
            person,
            offer,
        };
        core.command(RoomKey(1), command, *now);
        let Ok(Event::Answer { sdp, .. }) = events.try_recv() else {
            panic!("an answer");
        };
        browser.connects(core, &sdp, now);
        browser
    }

    /// A browser that offers a camera, and takes one.
    pub fn offers(now: Instant) -> (Self, MediaOffer) {
        let mut rtc = str0m::Rtc::builder().set_rtp_mode(true).build(now);
        let address = ([127, 0, 0, 1], 4000).into();
        let candidate = str0m::Candidate::host(address, "udp").expect("valid");
        rtc.add_local_candidate(candidate);
        let mut api = rtc.sdp_api();
        let kind = str0m::media::MediaKind::Video;
        let mut add = |direction| api.add_media(kind, direction, None, None, None);
        let mid = add(str0m::media::Direction::SendOnly);
        let slot = add(str0m::media::Direction::RecvOnly);
        let (offer, pending) = api.apply().expect("something to offer");
        let track = crate::protocol::OfferedTrack {
            mid: mid.to_string(),
            source: crate::protocol::Source::Camera,
        };
        let offer = MediaOffer {
            connection: 1,
            n: 1,
            sdp: offer.to_sdp_string(),
            tracks: vec![track],
        };
        let pending = Some(pending);
        (
            Self {
                rtc,
                mid,
                slot,
                pending,
                host: address,
                address,
            },
            offer,
        )
    }

    /// What it sends now.
    pub fn sends(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        loop {
            match self.rtc.poll_output().expect("goes on") {
                Output::Transmit(transmit) => sent.push(transmit.contents.to_vec()),
                Output::Event(_) => {}
                Output::Timeout(_) => return sent,
            }
        }
    }

    /// Connects to the core: datagrams there and back, until both are content.
    pub fn connects(&mut self, core: &mut Core, answer: &str, now: &mut Instant) {
        let answer = str0m::change::SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("offered");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("accepts");
        for _ in 0..200 {
            self.passes(core, now);
            if self.rtc.is_connected() && core.peers.iter().all(|(_, peer)| peer.connected) {
                return;
            }
        }
        panic!("does not connect");
    }

    /// Ten milliseconds pass, with datagrams there and back; to which addresses the core
    /// sent media.
    pub fn passes(&mut self, core: &mut Core, now: &mut Instant) -> Vec<SocketAddr> {
        *now += Duration::from_millis(10);
        for bytes in self.sends() {
            core.receive(self.datagram(&bytes), *now);
            core.settle(*now);
        }
        core.wake(*now);
        let mut media = Vec::new();
        for Outgoing { transmit, .. } in std::mem::take(core.outgoing()) {
            if !is_stun(&transmit.contents) {
                media.push(transmit.destination);
            }
            let receive = Receive::new(
                Protocol::Udp,
                transmit.source,
                self.host,
                &transmit.contents,
            );
            let input = Input::Receive(*now, receive.expect("known"));
            self.rtc.handle_input(input).expect("takes it");
        }
        self.rtc
            .handle_input(Input::Timeout(*now))
            .expect("goes on");
        media
    }

    /// Sends a packet of its camera.
    pub fn films(&mut self, seq: u64, now: Instant) {
        let pt = self.rtc.media(self.mid).expect("there").remote_pts()[0];
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(self.mid, None).expect("sends");
        let write = str0m::rtp::RtpWrite::new(pt, seq.into(), 0, now, vec![0x10; 100]);
        stream.write_rtp(write);
    }

    /// A datagram of it.
    pub fn datagram<'a>(&self, bytes: &'a [u8]) -> Incoming<'a> {
        Incoming {
            proto: Protocol::Udp,
            relayed: false,
            source: self.address,
            local: None,
            bytes,
        }
    }
}
