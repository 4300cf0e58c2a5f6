//! One client: what it sends, what it receives, how it is connected.
//!
//! A client is a whole WebRTC endpoint for ICE, DTLS and RTCP, but only one in ten opens the
//! media it receives ([`Peer::samples`]); the others read the clear headers. A client of the
//! bare forwarder has nothing but keys.

use super::{
    counters::ReceivedStreams,
    generator::{ClientContext, EventKind},
    packet::{PLAIN_AUDIO_PT, judge, protect, rid_of, write},
};
use crate::media::{
    net::socket_pool::client_address,
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
pub enum Transport {
    /// By WebRTC.
    WebRtc(Box<Rtc>),
    /// By nothing but keys that both sides know.
    PlainSrtp {
        /// Where the forwarder is.
        server: SocketAddr,
        /// The key of what is sent.
        up: Srtp,
        /// The key of what is received.
        down: Srtp,
    },
}

/// A flow and where it goes.
pub struct OutgoingFlow {
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
    pub link: Transport,
    /// What it sends.
    pub flows: Vec<OutgoingFlow>,
    /// Whether it opens what it receives.
    pub samples: bool,
    /// What it receives.
    pub tracks: ReceivedStreams,
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
    pub fn new(index: u32, link: Transport, flows: Vec<OutgoingFlow>, samples: bool) -> Self {
        let begins = matches!(link, Transport::PlainSrtp { .. });
        let patience = if begins { NEVER } else { Duration::ZERO };
        Self {
            index,
            link,
            flows,
            samples,
            tracks: ReceivedStreams::default(),
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
    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], context: &mut ClientContext<'_>) {
        if rtp::is_media(datagram) && !rtp::is_rtcp(datagram) {
            let Some(header) = Header::read(datagram) else {
                return;
            };
            if self.is_resent(header.payload_type) {
                context.counters.resent += 1;
            } else if !self.opens() {
                self.count(&header, datagram.len(), context);
            }
            if !self.samples {
                return;
            }
        }
        match &mut self.link {
            Transport::PlainSrtp { down, .. } => {
                let Some(header) = Header::read(datagram) else {
                    return;
                };
                let mut packet = datagram.to_vec();
                let payload = down.unprotect(&mut packet, header.length);
                let payload = payload.and_then(|n| packet[header.length..].get(..n));
                judge(payload, header.payload_type == PLAIN_AUDIO_PT, context);
            }
            Transport::WebRtc(rtc) => {
                let to = SocketAddr::from((
                    client_address(self.index),
                    context.lanes.port_of(self.index),
                ));
                // What is no datagram of WebRTC is dropped, as by every endpoint.
                let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) else {
                    return;
                };
                let input = Input::Receive(context.now, receive);
                self.ended |= rtc.handle_input(input).is_err();
                self.drain(context);
            }
        }
    }

    /// Whether media is counted when it is opened, retransmissions included, not before.
    fn opens(&self) -> bool {
        self.samples && matches!(self.link, Transport::WebRtc(_))
    }

    /// Counts a media packet by its header.
    fn count(&mut self, header: &Header, bytes: usize, context: &mut ClientContext<'_>) {
        let arrival = self.tracks.of(header).take(header.seq);
        context.counters.count(arrival, bytes);
        if !self.heard {
            self.heard = true;
            context.note(self.index, EventKind::FirstMedia);
        }
    }

    /// Whether packets of that type are sound.
    pub fn is_audio(&self, payload_type: u8) -> bool {
        let Transport::WebRtc(rtc) = &self.link else {
            return payload_type == PLAIN_AUDIO_PT;
        };
        let pt = Pt::from(payload_type);
        let params = rtc.codec_config().find(|params| params.pt() == pt);
        params.is_some_and(|params| params.spec().codec == Codec::Opus)
    }

    /// Whether packets of that type were sent before as another.
    fn is_resent(&self, payload_type: u8) -> bool {
        let Transport::WebRtc(rtc) = &self.link else {
            return false;
        };
        let resend = Some(Pt::from(payload_type));
        let mut all = rtc.codec_config().params().iter();
        all.any(|params| params.resend() == resend)
    }

    /// Looks at the clock.
    pub fn wake(&mut self, context: &mut ClientContext<'_>) {
        if let Transport::WebRtc(rtc) = &mut self.link {
            self.ended |= rtc.handle_input(Input::Timeout(context.now)).is_err();
            self.drain(context);
        }
    }

    /// Sends the packet of a flow that is due.
    pub fn send(&mut self, flow: usize, context: &mut ClientContext<'_>) {
        let outgoing = &mut self.flows[flow];
        let late = context.now.saturating_duration_since(outgoing.flow.due);
        context
            .counters
            .lateness
            .saturating_record(late.as_micros() as u64);
        context.counters.sent += 1;
        let kind = outgoing.flow.kind;
        let packet = outgoing.flow.next(nanos(Instant::now()));
        match &mut self.link {
            Transport::PlainSrtp { server, up, .. } => {
                let bytes = protect(self.index, flow, kind, &packet, up);
                context.send(self.index, *server, &bytes);
            }
            Transport::WebRtc(rtc) => {
                if let Some(mid) = outgoing.mid {
                    write(rtc, mid, kind, packet, context.now);
                }
                self.drain(context);
            }
        }
    }

    /// Sends and hears what there is until nothing is left to do before a certain time.
    pub fn drain(&mut self, context: &mut ClientContext<'_>) {
        while !self.ended {
            let Transport::WebRtc(rtc) = &mut self.link else {
                return;
            };
            match rtc.poll_output() {
                Ok(Output::Timeout(due)) => {
                    self.due = due.max(context.now + SOONEST);
                    return;
                }
                Ok(Output::Transmit(out)) => {
                    context
                        .lanes
                        .send(self.index, out.destination, &out.contents);
                }
                Ok(Output::Event(event)) => self.hear(event, context),
                Err(_) => self.ended = true,
            }
        }
        context.note(self.index, EventKind::Closed);
    }

    /// Something happened to the connection.
    fn hear(&mut self, event: Event, context: &mut ClientContext<'_>) {
        match event {
            Event::Connected => {
                self.begins = true;
                context.note(self.index, EventKind::Connected);
            }
            Event::RtpPacket(packet) => self.open(&packet.header, &packet.payload, context),
            Event::KeyframeRequest(request) => {
                context.counters.keyframes += 1;
                let rid = request.rid.map(|rid| rid.to_string());
                let wanted = |outgoing: &&mut OutgoingFlow| {
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
    fn open(&mut self, header: &RtpHeader, payload: &[u8], context: &mut ClientContext<'_>) {
        let is_audio = self.is_audio(*header.payload_type);
        let clear = Header {
            length: header.header_len,
            payload_type: *header.payload_type,
            seq: header.sequence_number,
            time: header.timestamp,
            ssrc: *header.ssrc,
        };
        self.count(&clear, header.header_len + payload.len(), context);
        let Some(stamp) = judge(Some(payload), is_audio, context).filter(|_| !is_audio) else {
            return;
        };
        if self.layer.replace(stamp.layer) != Some(stamp.layer) {
            context.note(self.index, EventKind::LayerChanged(stamp.layer));
        }
        self.record_video_frame(&clear, context);
    }

    /// Notes how long after the picture before it one came, stream by stream.
    fn record_video_frame(&mut self, header: &Header, context: &mut ClientContext<'_>) {
        let of_stream = |(ssrc, ..): &&mut (u32, u32, Instant)| *ssrc == header.ssrc;
        match self.pictures.iter_mut().find(of_stream) {
            Some((_, time, _)) if *time == header.time => {}
            Some((_, time, at)) => {
                context
                    .counters
                    .record_frame_gap(context.now.saturating_duration_since(*at));
                (*time, *at) = (header.time, context.now);
            }
            None => self.pictures.push((header.ssrc, header.time, context.now)),
        }
    }

    /// How long ago the last picture of each stream came.
    pub fn silences(&self, now: Instant) -> impl Iterator<Item = Duration> {
        let pictures = self.pictures.iter();
        pictures.map(move |(.., at)| now.saturating_duration_since(*at))
    }
}
