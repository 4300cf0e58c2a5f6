//! One client: what it sends, what it receives, how it is connected.
//!
//! A client is a whole WebRTC endpoint for ICE, DTLS and RTCP, but only one in ten opens the
//! media it receives ([`Peer::samples`]); the others read the clear headers. A client of the
//! bare forwarder has nothing but keys.

use super::{
    counters::Tracks,
    generator::{Surroundings, What},
    packet::{BARE_SOUND, judge, protect, rid_of, write},
};
use crate::media::{
    net::socket_pool::home,
    traffic::{
        flow::Flow,
        rtp::{self, Header},
        srtp::Srtp,
        stamp::nanos,
    },
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use str0m::{
    Event, Input, Output, Rtc,
    format::Codec,
    media::{Mid, Pt},
    net::{Protocol, Receive},
    rtp::RtpHeader,
};

/// Publishers begin so much after each other, that not all frames are due at once.
const STAGGER: Duration = Duration::from_micros(7_300);
/// After so many publishers from the beginning.
const STAGGERED: u32 = 97;

/// When a client without a clock is looked at: not while this runs.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest pause between two looks at a clock.
const SOONEST: Duration = Duration::from_micros(50);

/// How a client is connected.
pub enum Link {
    /// By WebRTC.
    Rtc(Box<Rtc>),
    /// By nothing but keys that both sides know.
    Bare {
        /// Where the forwarder is.
        server: SocketAddr,
        /// The key of what is sent.
        up: Srtp,
        /// The key of what is received.
        down: Srtp,
    },
}

/// A flow and where it goes.
pub struct Outgoing {
    /// The media description; nothing where there is none.
    pub mid: Option<Mid>,
    /// What is sent.
    pub flow: Flow,
}

/// One client.
pub struct Peer {
    /// Its number, which is its address.
    pub index: u32,
    /// How it is connected.
    pub link: Link,
    /// What it sends.
    pub flows: Vec<Outgoing>,
    /// Whether it opens what it receives.
    pub samples: bool,
    /// What it receives.
    pub tracks: Tracks,
    /// When its clock wants to be looked at.
    pub due: Instant,
    /// When that was last promised; a look may come too early, never too late.
    pub alarm: Option<Instant>,
    /// Whether flows are to begin.
    pub begins: bool,
    /// Whether it has received media.
    heard: bool,
    /// The simulcast layer of the last picture packet.
    layer: Option<u8>,
    /// The last picture of each stream: its SSRC, its time, and when it came.
    pictures: Vec<(u32, u32, Instant)>,
    /// Whether it ended.
    pub ended: bool,
}

impl Peer {
    /// A client that sends this.
    pub fn new(index: u32, link: Link, flows: Vec<Outgoing>, samples: bool) -> Self {
        let begins = matches!(link, Link::Bare { .. });
        let patience = if begins { NEVER } else { Duration::ZERO };
        Self {
            index,
            link,
            flows,
            samples,
            tracks: Tracks::default(),
            due: Instant::now() + patience,
            alarm: None,
            begins,
            heard: false,
            layer: None,
            pictures: Vec::new(),
            ended: false,
        }
    }

    /// When a flow of this client begins, if it may from now on.
    pub fn start_of_flows(&self, now: Instant) -> Instant {
        now + STAGGER * (self.index * 13 % STAGGERED)
    }

    /// Takes in a datagram.
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], around: &mut Surroundings<'_>) {
        if rtp::is_media(datagram) && !rtp::is_rtcp(datagram) {
            let Some(header) = Header::read(datagram) else {
                return;
            };
            if self.is_resent(header.payload_type) {
                around.tally.resent += 1;
            } else if !self.opens() {
                self.count(&header, datagram.len(), around);
            }
            if !self.samples {
                return;
            }
        }
        match &mut self.link {
            Link::Bare { down, .. } => {
                let Some(header) = Header::read(datagram) else {
                    return;
                };
                let mut packet = datagram.to_vec();
                let payload = down.unprotect(&mut packet, header.length);
                let payload = payload.and_then(|n| packet[header.length..].get(..n));
                judge(payload, header.payload_type == BARE_SOUND, around);
            }
            Link::Rtc(rtc) => {
                let to = SocketAddr::from((home(self.index), around.lanes.port_of(self.index)));
                // What is no datagram of WebRTC is dropped, as by every endpoint.
                let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) else {
                    return;
                };
                let input = Input::Receive(around.now, receive);
                self.ended |= rtc.handle_input(input).is_err();
                self.drain(around);
            }
        }
    }

    /// Whether media is counted when it is opened, retransmissions included, not before.
    fn opens(&self) -> bool {
        self.samples && matches!(self.link, Link::Rtc(_))
    }

    /// Counts a media packet by its header.
    fn count(&mut self, header: &Header, bytes: usize, around: &mut Surroundings<'_>) {
        let arrival = self.tracks.of(header).take(header.seq);
        around.tally.count(arrival, bytes);
        if !self.heard {
            self.heard = true;
            around.note(self.index, What::Heard);
        }
    }

    /// Whether packets of that type are sound.
    pub fn is_sound(&self, payload_type: u8) -> bool {
        let Link::Rtc(rtc) = &self.link else {
            return payload_type == BARE_SOUND;
        };
        let pt = Pt::from(payload_type);
        let params = rtc.codec_config().find(|params| params.pt() == pt);
        params.is_some_and(|params| params.spec().codec == Codec::Opus)
    }

    /// Whether packets of that type were sent before as another.
    fn is_resent(&self, payload_type: u8) -> bool {
        let Link::Rtc(rtc) = &self.link else {
            return false;
        };
        let resend = Some(Pt::from(payload_type));
        let mut all = rtc.codec_config().params().iter();
        all.any(|params| params.resend() == resend)
    }

    /// Looks at the clock.
    pub fn wake(&mut self, around: &mut Surroundings<'_>) {
        if let Link::Rtc(rtc) = &mut self.link {
            self.ended |= rtc.handle_input(Input::Timeout(around.now)).is_err();
            self.drain(around);
        }
    }

    /// Sends the packet of a flow that is due.
    pub fn send(&mut self, flow: usize, around: &mut Surroundings<'_>) {
        let outgoing = &mut self.flows[flow];
        let late = around.now.saturating_duration_since(outgoing.flow.due);
        around
            .tally
            .lateness
            .saturating_record(late.as_micros() as u64);
        around.tally.sent += 1;
        let kind = outgoing.flow.kind;
        let packet = outgoing.flow.next(nanos(Instant::now()));
        match &mut self.link {
            Link::Bare { server, up, .. } => {
                let bytes = protect(self.index, flow, kind, &packet, up);
                around.send(self.index, *server, &bytes);
            }
            Link::Rtc(rtc) => {
                if let Some(mid) = outgoing.mid {
                    write(rtc, mid, kind, packet, around.now);
                }
                self.drain(around);
            }
        }
    }

    /// Sends and hears what there is until nothing is left to do before a certain time.
    pub fn drain(&mut self, around: &mut Surroundings<'_>) {
        while !self.ended {
            let Link::Rtc(rtc) = &mut self.link else {
                return;
            };
            match rtc.poll_output() {
                Ok(Output::Timeout(due)) => {
                    self.due = due.max(around.now + SOONEST);
                    return;
                }
                Ok(Output::Transmit(out)) => {
                    around
                        .lanes
                        .send(self.index, out.destination, &out.contents);
                }
                Ok(Output::Event(event)) => self.hear(event, around),
                Err(_) => self.ended = true,
            }
        }
        around.note(self.index, What::Ended);
    }

    /// Something happened to the connection.
    fn hear(&mut self, event: Event, around: &mut Surroundings<'_>) {
        match event {
            Event::Connected => {
                self.begins = true;
                around.note(self.index, What::Connected);
            }
            Event::RtpPacket(packet) => self.open(&packet.header, &packet.payload, around),
            Event::KeyframeRequest(request) => {
                around.tally.keyframes += 1;
                let rid = request.rid.map(|rid| rid.to_string());
                let wanted = |outgoing: &&mut Outgoing| {
                    outgoing.mid == Some(request.mid)
                        && rid_of(outgoing.flow.kind) == rid.as_deref()
                };
                let flows = self.flows.iter_mut().filter(wanted);
                flows.for_each(|outgoing| outgoing.flow.request_keyframe());
            }
            Event::Closed => self.ended = true,
            _ => {}
        }
    }
}

impl Peer {
    /// Counts an opened packet and looks into it.
    fn open(&mut self, header: &RtpHeader, payload: &[u8], around: &mut Surroundings<'_>) {
        let is_sound = self.is_sound(*header.payload_type);
        let clear = Header {
            length: header.header_len,
            payload_type: *header.payload_type,
            seq: header.sequence_number,
            time: header.timestamp,
            ssrc: *header.ssrc,
        };
        self.count(&clear, header.header_len + payload.len(), around);
        let Some(stamp) = judge(Some(payload), is_sound, around).filter(|_| !is_sound) else {
            return;
        };
        if self.layer.replace(stamp.layer) != Some(stamp.layer) {
            around.note(self.index, What::Layer(stamp.layer));
        }
        self.note_picture(&clear, around);
    }

    /// Notes how long after the picture before it one came, stream by stream.
    fn note_picture(&mut self, header: &Header, around: &mut Surroundings<'_>) {
        let of_stream = |(ssrc, ..): &&mut (u32, u32, Instant)| *ssrc == header.ssrc;
        match self.pictures.iter_mut().find(of_stream) {
            Some((_, time, _)) if *time == header.time => {}
            Some((_, time, at)) => {
                around
                    .tally
                    .note_gap(around.now.saturating_duration_since(*at));
                (*time, *at) = (header.time, around.now);
            }
            None => self.pictures.push((header.ssrc, header.time, around.now)),
        }
    }

    /// How long ago the last picture of each stream came.
    pub fn silences(&self, now: Instant) -> impl Iterator<Item = Duration> {
        let pictures = self.pictures.iter();
        pictures.map(move |(.., at)| now.saturating_duration_since(*at))
    }
}
