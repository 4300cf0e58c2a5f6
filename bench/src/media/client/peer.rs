//! One client.
//!
//! A client is a complete WebRTC endpoint for ICE, DTLS and RTCP, but only one in ten decrypts the
//! media it receives ([`Peer::decrypts`]); the others read the clear RTP headers. A client of the
//! baseline forwarder has keys and no WebRTC.

use super::{
    context::{ClientContext, EventKind},
    counters::ReceivedStreams,
    packet::{PLAIN_AUDIO_PT, protect, rid_of, verify_payload, write},
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

/// Offset between the starts of two publishers, so that their frames are not due at once.
const STAGGER: Duration = Duration::from_micros(7_300);
/// Number of different offsets.
const STAGGER_STEPS: u32 = 97;

/// Timeout of a client without WebRTC: longer than any run.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest time between two timeouts of a client.
const MIN_TIMEOUT: Duration = Duration::from_micros(50);

/// The transport of a client.
pub enum Transport {
    /// ICE, DTLS and SRTP.
    WebRtc(Box<Rtc>),
    /// SRTP with keys that both sides know.
    PlainSrtp {
        /// Address of the forwarder.
        server: SocketAddr,
        /// Encrypts what the client sends.
        up: Srtp,
        /// Decrypts what the client receives.
        down: Srtp,
    },
}

/// A flow and the media description that carries it.
pub struct OutgoingFlow {
    /// `None` without WebRTC.
    pub mid: Option<Mid>,
    /// Produces the packets.
    pub flow: Flow,
}

/// A client as the client loop drives it.
pub struct Peer {
    /// Index, from which its address follows.
    pub index: u32,
    /// How the client speaks to the server: full WebRTC, or SRTP alone.
    pub transport: Transport,
    /// The flows it sends.
    pub flows: Vec<OutgoingFlow>,
    /// Whether it decrypts what it receives.
    pub decrypts: bool,
    /// The streams it receives.
    pub streams: ReceivedStreams,
    /// When it next needs a timeout.
    pub next_timeout: Instant,
    /// The earliest timeout in the loop's queue for it.
    pub scheduled: Option<Instant>,
    /// Set when its flows may start.
    pub starts_flows: bool,
    /// Whether it has received media.
    has_media: bool,
    /// The simulcast layer of the last video packet.
    layer: Option<u8>,
    /// The last video frame of each stream: SSRC, RTP timestamp, arrival.
    last_frames: Vec<(u32, u32, Instant)>,
    /// Whether its connection has closed.
    pub closed: bool,
}

impl Peer {
    /// A client that sends `flows`.
    pub fn new(index: u32, transport: Transport, flows: Vec<OutgoingFlow>, decrypts: bool) -> Self {
        let starts_flows = matches!(transport, Transport::PlainSrtp { .. });
        let delay = if starts_flows { NEVER } else { Duration::ZERO };
        Self {
            index,
            transport,
            flows,
            decrypts,
            streams: ReceivedStreams::default(),
            next_timeout: Instant::now() + delay,
            scheduled: None,
            starts_flows,
            has_media: false,
            layer: None,
            last_frames: Vec::new(),
            closed: false,
        }
    }

    /// When the flows of this client start, at or after `now`.
    pub fn start_of_flows(&self, now: Instant) -> Instant {
        now + STAGGER * (self.index * 13 % STAGGER_STEPS)
    }

    /// Handles a received datagram.
    pub fn on_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        context: &mut ClientContext<'_>,
    ) {
        if rtp::is_media(datagram) && !rtp::is_rtcp(datagram) {
            let Some(header) = Header::read(datagram) else {
                return;
            };
            if self.is_retransmission(header.payload_type) {
                context.counters.retransmitted += 1;
            } else if !self.counts_decrypted() {
                self.count(&header, datagram.len(), context);
            }
            if !self.decrypts {
                return;
            }
        }
        match &mut self.transport {
            Transport::PlainSrtp { down, .. } => {
                let Some(header) = Header::read(datagram) else {
                    return;
                };
                let mut packet = datagram.to_vec();
                let payload = down.unprotect(&mut packet, header.length);
                let payload = payload.and_then(|n| packet[header.length..].get(..n));
                verify_payload(payload, header.payload_type == PLAIN_AUDIO_PT, context);
            }
            Transport::WebRtc(rtc) => {
                let to = SocketAddr::from((
                    client_address(self.index),
                    context.sockets.port_of(self.index),
                ));
                // Every endpoint drops what is not a WebRTC datagram.
                let Ok(receive) = Receive::new(Protocol::Udp, from, to, datagram) else {
                    return;
                };
                let input = Input::Receive(context.now, receive);
                self.closed |= rtc.handle_input(input).is_err();
                self.poll(context);
            }
        }
    }

    /// Whether packets are counted after decryption, retransmissions included.
    fn counts_decrypted(&self) -> bool {
        self.decrypts && matches!(self.transport, Transport::WebRtc(_))
    }

    /// Counts a media packet by its header.
    fn count(&mut self, header: &Header, bytes: usize, context: &mut ClientContext<'_>) {
        let arrival = self.streams.of(header).on_packet(header.seq);
        context.counters.count(arrival, bytes);
        if !self.has_media {
            self.has_media = true;
            context.report(self.index, EventKind::FirstMedia);
        }
    }

    /// Whether a payload type is audio.
    pub fn is_audio(&self, payload_type: u8) -> bool {
        let Transport::WebRtc(rtc) = &self.transport else {
            return payload_type == PLAIN_AUDIO_PT;
        };
        let pt = Pt::from(payload_type);
        let params = rtc.codec_config().find(|params| params.pt() == pt);
        params.is_some_and(|params| params.spec().codec == Codec::Opus)
    }

    /// Whether a payload type is RTX (RFC 4588).
    fn is_retransmission(&self, payload_type: u8) -> bool {
        let Transport::WebRtc(rtc) = &self.transport else {
            return false;
        };
        let rtx = Some(Pt::from(payload_type));
        let mut all = rtc.codec_config().params().iter();
        all.any(|params| params.resend() == rtx)
    }

    /// Handles the timeout of the WebRTC endpoint.
    pub fn on_timeout(&mut self, context: &mut ClientContext<'_>) {
        if let Transport::WebRtc(rtc) = &mut self.transport {
            self.closed |= rtc.handle_input(Input::Timeout(context.now)).is_err();
            self.poll(context);
        }
    }

    /// Sends the due packet of a flow.
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
        match &mut self.transport {
            Transport::PlainSrtp { server, up, .. } => {
                let bytes = protect(self.index, flow, kind, &packet, up);
                context.send(self.index, *server, &bytes);
            }
            Transport::WebRtc(rtc) => {
                if let Some(mid) = outgoing.mid {
                    write(rtc, mid, kind, packet, context.now);
                }
                self.poll(context);
            }
        }
    }

    /// Sends and handles everything that the WebRTC endpoint has, until its next timeout.
    pub fn poll(&mut self, context: &mut ClientContext<'_>) {
        while !self.closed {
            let Transport::WebRtc(rtc) = &mut self.transport else {
                return;
            };
            match rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.next_timeout = at.max(context.now + MIN_TIMEOUT);
                    return;
                }
                Ok(Output::Transmit(out)) => {
                    context
                        .sockets
                        .send(self.index, out.destination, &out.contents);
                }
                Ok(Output::Event(event)) => self.on_event(event, context),
                Err(_) => self.closed = true,
            }
        }
        context.report(self.index, EventKind::Closed);
    }

    /// Handles an event of the WebRTC endpoint.
    fn on_event(&mut self, event: Event, context: &mut ClientContext<'_>) {
        match event {
            Event::Connected => {
                self.starts_flows = true;
                context.report(self.index, EventKind::Connected);
            }
            Event::RtpPacket(packet) => self.on_rtp(&packet.header, &packet.payload, context),
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
            Event::Closed => self.closed = true,
            // str0m has many more events; a benchmark client needs none of them.
            _ => {}
        }
    }

    /// Counts a decrypted packet and verifies its payload.
    fn on_rtp(&mut self, header: &RtpHeader, payload: &[u8], context: &mut ClientContext<'_>) {
        let is_audio = self.is_audio(*header.payload_type);
        let clear = Header {
            length: header.header_len,
            payload_type: *header.payload_type,
            seq: header.sequence_number,
            time: header.timestamp,
            ssrc: *header.ssrc,
        };
        self.count(&clear, header.header_len + payload.len(), context);
        let Some(stamp) = verify_payload(Some(payload), is_audio, context).filter(|_| !is_audio)
        else {
            return;
        };
        if self.layer.replace(stamp.layer) != Some(stamp.layer) {
            context.report(self.index, EventKind::LayerChanged(stamp.layer));
        }
        self.record_video_frame(&clear, context);
    }

    /// Records the gap to the previous video frame of the stream.
    fn record_video_frame(&mut self, header: &Header, context: &mut ClientContext<'_>) {
        let is_stream = |(ssrc, ..): &&mut (u32, u32, Instant)| *ssrc == header.ssrc;
        match self.last_frames.iter_mut().find(is_stream) {
            Some((_, time, _)) if *time == header.time => {}
            Some((_, time, at)) => {
                context
                    .counters
                    .record_frame_gap(context.now.saturating_duration_since(*at));
                (*time, *at) = (header.time, context.now);
            }
            None => self
                .last_frames
                .push((header.ssrc, header.time, context.now)),
        }
    }

    /// The time since the last video frame of each stream.
    pub fn open_frame_gaps(&self, now: Instant) -> impl Iterator<Item = Duration> {
        let frames = self.last_frames.iter();
        frames.map(move |(.., at)| now.saturating_duration_since(*at))
    }
}
