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

/// Timeout of a response that the test expects.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time without a frame that counts as no response.
const QUIET_PERIOD: Duration = Duration::from_millis(150);

/// A connection: TCP, TLS or in memory.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The transport of the frames.
enum Carrier {
    /// One frame in each datagram.
    Udp(UdpSocket),
    /// A stream of frames, and the bytes read from it but not yet parsed.
    Stream(Box<dyn Stream>, BytesMut),
}

/// A relayed packet, as the client receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A Data indication: the peer and the payload.
    Data(SocketAddr, Vec<u8>),
    /// ChannelData: the channel number and the payload.
    Channel(u16, Vec<u8>),
}

/// A TURN client with a real connection.
pub struct TestClient {
    /// The connection; closed when the client is dropped.
    carrier: Carrier,
    /// Packets received while the client waited for a response.
    packets: VecDeque<Packet>,
    /// The credentials of its requests; realm and nonce are empty until the first one.
    pub credentials: TestCredentials,
}

impl TestClient {
    /// Connects over UDP.
    pub async fn udp(turn: &Turn, user: &str, room: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(turn.address()).await.unwrap();
        Self::on(Carrier::Udp(socket), turn, user, room)
    }

    /// Connects over TCP.
    pub async fn tcp(turn: &Turn, user: &str, room: &str) -> Self {
        let socket = TcpStream::connect(turn.address()).await.unwrap();
        Self::stream(Box::new(socket), turn, user, room)
    }

    /// Connects to one address of the server, over UDP or TCP.
    pub async fn connect(turn: &Turn, to: SocketAddr, tcp: bool, user: &str) -> Self {
        if tcp {
            let socket = TcpStream::connect(to).await.unwrap();
            return Self::stream(Box::new(socket), turn, user, "lobby");
        }
        let any = SocketAddr::new(to.ip(), 0);
        let socket = UdpSocket::bind(any).await.unwrap();
        socket.connect(to).await.unwrap();
        Self::on(Carrier::Udp(socket), turn, user, "lobby")
    }

    /// Uses an established stream.
    pub fn stream(stream: Box<dyn Stream>, turn: &Turn, user: &str, room: &str) -> Self {
        Self::on(Carrier::Stream(stream, BytesMut::new()), turn, user, room)
    }

    /// A client with new credentials on this transport.
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

    /// The next frame. `None` if the stream ends or the timeout expires.
    async fn frame(&mut self, timeout_after: Duration) -> Option<Vec<u8>> {
        timeout(timeout_after, self.carrier.frame())
            .await
            .ok()
            .flatten()
    }

    /// Sends a message and waits for its response.
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

    /// Sends an authenticated request and returns the response. Fetches realm and nonce first.
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

    /// Sends an Allocate request; returns the relayed address.
    pub async fn allocate(&mut self) -> SocketAddr {
        let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        let reply = self.request(request).await;
        assert!(reply.is_signed(&self.credentials.key()), "{reply:?}");
        reply.relayed.expect("a relay address")
    }

    /// Sends a CreatePermission request; returns the error code.
    pub async fn permit(&mut self, peer: SocketAddr) -> Option<u16> {
        self.request(Writer::of(CREATE_PERMISSION_REQUEST).peer(peer))
            .await
            .code
    }

    /// Sends a ChannelBind request; returns the error code.
    pub async fn bind(&mut self, number: u16, peer: SocketAddr) -> Option<u16> {
        let request = Writer::of(CHANNEL_BIND_REQUEST).channel(number).peer(peer);
        self.request(request).await.code
    }

    /// Sends a packet in a Send indication.
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

    /// Whether the client receives nothing for [`QUIET_PERIOD`].
    pub async fn receives_nothing(&mut self) -> bool {
        self.packets.is_empty() && self.frame(QUIET_PERIOD).await.is_none()
    }

    /// Whether the server closes the stream within this time.
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
    /// The next frame, padding included. `None` when the connection ends.
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

/// Decodes a relayed packet. `None` for other frames.
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
