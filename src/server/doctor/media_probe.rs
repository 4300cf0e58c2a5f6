//! Finds out whether datagrams and streams reach a media port and come back.

use super::facts::MediaFact;
use crate::server::sfu::Sfu;
use futures::{StreamExt, stream};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{sleep, timeout},
};

/// Time limit of one address. 2 s: a packet that goes through a router and back takes a fraction.
const WITHIN: Duration = Duration::from_secs(2);
/// Wait before a datagram is sent again.
const RETRY: Duration = Duration::from_millis(250);
/// Addresses that are tried. 64: eight addresses of eight media threads, all at once.
const MAX_TRIED: usize = 64;
/// Length of a request and of its response: a STUN header.
const BYTES: usize = 20;

/// A STUN Binding request (RFC 8489), and where its response differs from it.
#[derive(Clone, Copy)]
struct Probe([u8; BYTES]);

impl Probe {
    /// A request of this transaction.
    fn new(transaction: [u8; 12]) -> Self {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&[0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xA4, 0x42]);
        bytes[8..].copy_from_slice(&transaction);
        Self(bytes)
    }

    /// Whether these bytes are its response.
    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        bytes.len() == BYTES && bytes[..2] == [0x01, 0x01] && bytes[4..] == self.0[4..]
    }
}

/// Tries every address at which browsers reach the SFU, by UDP and by TCP.
pub async fn media(sfu: &Sfu) -> Vec<MediaFact> {
    let transaction = rand::random();
    sfu.expect_probe(transaction);
    let probe = Probe::new(transaction);
    let addresses = sfu.candidates().into_iter().take(MAX_TRIED);
    let tries = addresses.map(|address| async move {
        let udp = timeout(WITHIN, by_udp(address, probe));
        let tcp = timeout(WITHIN, by_tcp(address, probe));
        let (udp, tcp) = tokio::join!(udp, tcp);
        MediaFact {
            address,
            udp: matches!(udp, Ok(Ok(()))),
            tcp: matches!(tcp, Ok(Ok(true))),
        }
    });
    stream::iter(tries).buffered(MAX_TRIED).collect().await
}

/// A socket that is connected to an address.
pub async fn connected_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address.is_ipv4() {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Completes when a datagram came back.
async fn by_udp(address: SocketAddr, probe: Probe) -> io::Result<()> {
    let socket = connected_udp(address).await?;
    loop {
        // Nobody may listen at the moment, or a firewall refuses: both may be over soon.
        let _ = socket.send(&probe.0).await;
        let answered = async {
            let mut bytes = [0; 2 * BYTES];
            loop {
                match socket.recv(&mut bytes).await {
                    Ok(count) if probe.is_answered_by(&bytes[..count]) => return,
                    Ok(_) => {}
                    Err(_) => sleep(RETRY).await,
                }
            }
        };
        if timeout(RETRY, answered).await.is_ok() {
            return Ok(());
        }
    }
}

/// Whether a frame of a stream (RFC 4571) came back.
async fn by_tcp(address: SocketAddr, probe: Probe) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let length = BYTES as u16;
    let frame = [&length.to_be_bytes()[..], &probe.0].concat();
    stream.write_all(&frame).await?;
    let mut answer = [0; 2 + BYTES];
    stream.read_exact(&mut answer).await?;
    Ok(answer[..2] == length.to_be_bytes() && probe.is_answered_by(&answer[2..]))
}
