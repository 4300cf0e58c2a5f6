//! A client with a real socket.

use super::super::{Turn, frame::stream_frame_size};
use super::wire::{Reply, TestCredentials, UDP, Writer, channel_data};
use bytes::{Buf, BytesMut};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use turn_server::codec::message::{
    attributes::{AttributeType as Kind, Data},
    methods::*,
};
use turn_server::codec::{DecodeResult, Decoder};

/// How long an answer may take; none is awaited for so long unless something is wrong.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long silence is listened to.
const QUIET_PERIOD: Duration = Duration::from_millis(150);

/// Both ways of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What carries the frames.
enum Carrier {
    /// A datagram a frame.
    Udp(UdpSocket),
    /// One after the other.
    Stream(Box<dyn Stream>, BytesMut),
}

/// A packet that was relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// In a Data indication.
    Data(SocketAddr, Vec<u8>),
    /// On a channel.
    Channel(u16, Vec<u8>),
}

/// A client.
pub struct TestClient {
    /// Its socket.
    carrier: Carrier,
    /// Packets that came while an answer was awaited.
    packets: VecDeque<Packet>,
    /// What it signs with.
    pub credentials: TestCredentials,
}

impl TestClient {
    /// Over UDP.
    pub async fn udp(turn: &Turn, user: &str, room: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(turn.address()).await.unwrap();
        Self::on(Carrier::Udp(socket), turn, user, room)
    }

    /// Over TCP.
    pub async fn tcp(turn: &Turn, user: &str, room: &str) -> Self {
        let socket = TcpStream::connect(turn.address()).await.unwrap();
        Self::stream(Box::new(socket), turn, user, room)
    }

    /// At an address of the server, over UDP or TCP.
    pub async fn at(turn: &Turn, to: SocketAddr, tcp: bool, user: &str) -> Self {
        if tcp {
            let socket = TcpStream::connect(to).await.unwrap();
            return Self::stream(Box::new(socket), turn, user, "lobby");
        }
        let any = SocketAddr::new(to.ip(), 0);
        let socket = UdpSocket::bind(any).await.unwrap();
        socket.connect(to).await.unwrap();
        Self::on(Carrier::Udp(socket), turn, user, "lobby")
    }

    /// Over any stream.
    pub fn stream(stream: Box<dyn Stream>, turn: &Turn, user: &str, room: &str) -> Self {
        Self::on(Carrier::Stream(stream, BytesMut::new()), turn, user, room)
    }

    /// With fresh credentials, on a socket.
    fn on(carrier: Carrier, turn: &Turn, user: &str, room: &str) -> Self {
        let credentials = turn.credentials(user, room).expect("a place");
        Self {
            carrier,
            packets: VecDeque::new(),
            credentials: TestCredentials {
                username: credentials.username,
                realm: String::new(),
                nonce: String::new(),
                password: credentials.password,
            },
        }
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        match &mut self.carrier {
            Carrier::Udp(socket) => drop(socket.send(bytes).await.unwrap()),
            Carrier::Stream(stream, _) => stream.write_all(bytes).await.unwrap(),
        }
    }

    /// The next frame; nothing where the stream ended or nothing came in time.
    async fn frame(&mut self, timeout_after: Duration) -> Option<Vec<u8>> {
        timeout(timeout_after, self.carrier.frame())
            .await
            .ok()
            .flatten()
    }

    /// Sends a message and waits for its answer.
    pub async fn exchange(&mut self, message: Vec<u8>) -> Option<Reply> {
        self.send_raw(&message).await;
        while let Some(frame) = self.frame(RESPONSE_TIMEOUT).await {
            if frame[0] < 0x40 && frame[8..20] == message[8..20] {
                return Some(Reply::read(&frame));
            }
            self.packets.extend(packet(&frame));
        }
        None
    }

    /// Asks something, signed; introduces itself first.
    pub async fn request(&mut self, writer: Writer) -> Reply {
        if self.credentials.nonce.is_empty() {
            let question = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
            let challenge = self.exchange(question.bytes()).await;
            let challenge = challenge.expect("a challenge");
            self.credentials.realm = challenge.realm.expect("a realm");
            self.credentials.nonce = challenge.nonce.expect("a nonce");
        }
        let message = writer.sign(&self.credentials).bytes();
        self.exchange(message).await.expect("an answer")
    }

    /// Asks for an allocation.
    pub async fn allocate(&mut self) -> SocketAddr {
        let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        let reply = self.request(request).await;
        assert!(reply.is_signed(&self.credentials.key()), "{reply:?}");
        reply.relayed.expect("a relay address")
    }

    /// Asks for a permission; answers the error.
    pub async fn permit(&mut self, peer: SocketAddr) -> Option<u16> {
        self.request(Writer::of(CREATE_PERMISSION_REQUEST).peer(peer))
            .await
            .code
    }

    /// Asks for a channel; answers the error.
    pub async fn bind(&mut self, number: u16, peer: SocketAddr) -> Option<u16> {
        let request = Writer::of(CHANNEL_BIND_REQUEST).channel(number).peer(peer);
        self.request(request).await.code
    }

    /// Sends a packet by a Send indication.
    pub async fn send(&mut self, peer: SocketAddr, payload: &[u8]) {
        let message = Writer::of(SEND_INDICATION)
            .peer(peer)
            .with(Kind::Data, payload);
        self.send_raw(&message.bytes()).await;
    }

    /// Sends a packet on a channel.
    pub async fn send_on(&mut self, number: u16, payload: &[u8]) {
        let padded = matches!(self.carrier, Carrier::Stream(..));
        self.send_raw(&channel_data(number, payload, padded)).await;
    }

    /// The next packet.
    pub async fn packet(&mut self) -> Packet {
        if let Some(packet) = self.packets.pop_front() {
            return packet;
        }
        let frame = self.frame(RESPONSE_TIMEOUT).await.expect("a packet");
        packet(&frame).expect("a packet")
    }

    /// Whether nothing comes for a moment.
    pub async fn receives_nothing(&mut self) -> bool {
        self.packets.is_empty() && self.frame(QUIET_PERIOD).await.is_none()
    }

    /// Whether the stream was ended by the server, within this time.
    pub async fn is_closed_within(&mut self, timeout_after: Duration) -> bool {
        let Carrier::Stream(stream, _) = &mut self.carrier else {
            return false;
        };
        let mut scrap = [0; 1024];
        let ends = async { while !matches!(stream.read(&mut scrap).await, Ok(0) | Err(_)) {} };
        timeout(timeout_after, ends).await.is_ok()
    }
}

impl Carrier {
    /// The next frame, without what pads it in a stream.
    async fn frame(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut buffer = vec![0; 65536];
                let size = socket.recv(&mut buffer).await.ok()?;
                buffer.truncate(size);
                Some(buffer)
            }
            Self::Stream(stream, buffer) => loop {
                let size = stream_frame_size(buffer)
                    .expect("frames")
                    .unwrap_or(usize::MAX);
                if buffer.len() >= size {
                    return Some(buffer.copy_to_bytes(size).to_vec());
                }
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            },
        }
    }
}

/// A frame as a packet, by the codec.
fn packet(frame: &[u8]) -> Option<Packet> {
    let mut decoder = Decoder::default();
    match decoder.decode(frame).ok()? {
        DecodeResult::ChannelData(data) => {
            let length = usize::from(u16::from_be_bytes([frame[2], frame[3]]));
            Some(Packet::Channel(
                data.number(),
                data.bytes()[..length].to_vec(),
            ))
        }
        DecodeResult::Message(message) => {
            let payload = message.get::<Data>()?.to_vec();
            Some(Packet::Data(Reply::read(frame).peer?, payload))
        }
    }
}
