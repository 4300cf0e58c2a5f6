//! A client of one request, by which the operator's checks find out whether TURN is reached.

use super::{
    frame::{self, Frame, stream_frame_size},
    response::Response,
};
use bytes::{Buf, Bytes, BytesMut};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
    time::timeout,
};
use turn_server::codec::{
    crypto::{Password, generate_password},
    message::{
        attributes::{AttributeType, PasswordAlgorithm},
        methods::{ALLOCATE_REQUEST, REFRESH_REQUEST},
    },
};

/// The value of REQUESTED-TRANSPORT for UDP (RFC 8656 section 18.7).
const UDP: [u8; 4] = [17, 0, 0, 0];
/// The value of LIFETIME that ends an allocation.
const NOW: [u8; 4] = [0; 4];
/// Wait before a datagram is sent again. 250 ms: the server is this machine.
const RETRY: Duration = Duration::from_millis(250);
/// Largest datagram of a response, in bytes.
const MAX_DATAGRAM: usize = 2048;
/// The code of the challenge (RFC 8489 section 9.2.4).
const UNAUTHENTICATED: u16 = 401;

/// A stream of TCP or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The transport to the TURN server.
pub enum Carrier {
    /// A socket that is connected to the server.
    Udp(UdpSocket),
    /// A connection to the server, and what was read from it.
    Stream(Box<dyn Stream>, BytesMut),
}

/// Why there is no allocation.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The connection failed, or something else than TURN answers.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refuses with this code.
    #[error("refused with {0}")]
    Refused(u16),
}

/// What the probe reads of a response.
struct Reply {
    /// The code of an error response.
    code: Option<u16>,
    /// Whether the response names a relayed address.
    is_allocated: bool,
    /// The realm of a challenge.
    realm: String,
    /// The nonce of a challenge.
    nonce: String,
}

/// Makes an allocation with these credentials and ends it. The caller sets the time limit.
///
/// # Errors
/// Any [`ProbeError`].
///
/// # Cancel safety
/// An allocation that was made ends with its connection or, over UDP, with its lifetime.
pub async fn probe_allocation(
    mut carrier: Carrier,
    username: &str,
    password: &str,
) -> Result<(), ProbeError> {
    let allocate = || {
        let request = Response::new(ALLOCATE_REQUEST, rand::random());
        request.attribute(AttributeType::RequestedTransport as u16, &UDP)
    };
    let challenge = carrier.exchange(allocate().unsigned()).await?;
    match challenge.code {
        Some(UNAUTHENTICATED) => {}
        Some(code) => return Err(ProbeError::Refused(code)),
        None => return Err(unexpected()),
    }
    let Reply { realm, nonce, .. } = challenge;
    let key = generate_password(username, password, &realm, PasswordAlgorithm::Md5);
    let sign = |request: Response| signed(request, username, (&realm, &nonce), &key);
    let reply = carrier.exchange(sign(allocate())).await?;
    match (reply.code, reply.is_allocated) {
        (Some(code), _) => return Err(ProbeError::Refused(code)),
        (None, true) => {}
        (None, false) => return Err(unexpected()),
    }
    let end = Response::new(REFRESH_REQUEST, rand::random());
    let end = end.attribute(AttributeType::Lifetime as u16, &NOW);
    carrier.exchange(sign(end)).await?;
    Ok(())
}

/// The error for an answer that is not TURN's.
fn unexpected() -> ProbeError {
    io::Error::from(io::ErrorKind::InvalidData).into()
}

/// A request with the long-term credentials (RFC 8489 section 9.2).
fn signed(
    request: Response,
    username: &str,
    (realm, nonce): (&str, &str),
    key: &Password,
) -> Bytes {
    request
        .attribute(AttributeType::UserName as u16, username.as_bytes())
        .attribute(AttributeType::Realm as u16, realm.as_bytes())
        .attribute(AttributeType::Nonce as u16, nonce.as_bytes())
        .signed(key)
}

impl Carrier {
    /// A connection of TCP or TLS.
    pub fn stream(stream: impl Stream + 'static) -> Self {
        Self::Stream(Box::new(stream), BytesMut::new())
    }

    /// Sends a request, over UDP again and again, and waits for its response.
    async fn exchange(&mut self, request: Bytes) -> Result<Reply, ProbeError> {
        match self {
            Self::Udp(socket) => loop {
                let _ = socket.send(&request).await;
                let answer = async {
                    let mut datagram = [0; MAX_DATAGRAM];
                    loop {
                        // A refusal by ICMP may be about an earlier datagram.
                        let Ok(size) = socket.recv(&mut datagram).await else {
                            tokio::time::sleep(RETRY).await;
                            continue;
                        };
                        if let Some(reply) = reply(&request, &datagram[..size]) {
                            return reply;
                        }
                    }
                };
                if let Ok(reply) = timeout(RETRY, answer).await {
                    return Ok(reply);
                }
            },
            Self::Stream(stream, buffer) => {
                stream.write_all(&request).await?;
                stream.flush().await?;
                loop {
                    let size = stream_frame_size(buffer).map_err(|_| unexpected())?;
                    if let Some(size) = size.filter(|size| buffer.len() >= *size) {
                        let frame = buffer.copy_to_bytes(size);
                        if let Some(reply) = reply(&request, &frame) {
                            return Ok(reply);
                        }
                        continue;
                    }
                    if stream.read_buf(buffer).await? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                }
            }
        }
    }
}

/// Reads the response to a request; `None` for other frames. Whoever answers may be another machine,
/// so nothing of the frame is trusted.
fn reply(request: &[u8], bytes: &[u8]) -> Option<Reply> {
    let Ok(Frame::Stun(bytes)) = frame::parse(bytes) else {
        return None;
    };
    if bytes.get(4..frame::HEADER_BYTES) != request.get(4..frame::HEADER_BYTES) {
        return None;
    }
    let mut reply = Reply {
        code: None,
        is_allocated: false,
        realm: String::new(),
        nonce: String::new(),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    for (kind, value) in frame::attributes(bytes) {
        if kind == AttributeType::ErrorCode as u16
            && let [_, _, hundreds, rest, ..] = value
        {
            reply.code = Some(u16::from(*hundreds) * 100 + u16::from(*rest));
        }
        if kind == AttributeType::Realm as u16 {
            reply.realm = text(value);
        }
        if kind == AttributeType::Nonce as u16 {
            reply.nonce = text(value);
        }
        reply.is_allocated |= kind == AttributeType::XorRelayedAddress as u16;
    }
    Some(reply)
}
