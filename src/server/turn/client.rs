//! The identity of a client, and how frames are sent to it.

use super::{stats::Counters, udp::UdpSender};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use strum::VariantArray;
use tokio::sync::mpsc;

/// The transport of a client's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum Transport {
    /// UDP: one frame in each datagram.
    Udp,
    /// TCP: a stream of frames.
    Tcp,
    /// TLS over TCP: a stream of frames.
    Tls,
}

impl Transport {
    /// Whether frames form a stream. ChannelData is padded there (RFC 8656 section 12.5).
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }
}

/// The 5-tuple that identifies a client (RFC 8656 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// The transport. Each has one listener, so the port of the server is implied.
    pub transport: Transport,
    /// The address of the client in canonical form: IPv4-mapped addresses are IPv4.
    pub source: SocketAddr,
    /// The address of this machine that the client uses; over UDP only, where a browser sends to
    /// every address of the server from one port.
    pub local: Option<IpAddr>,
    /// Number of the TCP connection, which tells successive connections from one address
    /// apart. 0 for UDP.
    pub connection: u64,
}

/// Source and destination of a client's datagrams.
#[derive(Debug, Clone, Copy)]
pub struct UdpEndpoints {
    /// The address of the client as the socket reports it: IPv4-mapped on a dual-stack socket.
    pub client: SocketAddr,
    /// The address of this machine that the client sent to. Responses leave from it, because a
    /// client accepts them from no other.
    pub local: Option<IpAddr>,
}

/// Sends frames to a client. Never blocks, and works on any thread.
#[derive(Clone)]
pub enum ClientWriter {
    /// A UDP socket, and the addresses of its datagrams.
    Udp(Arc<UdpSender>, UdpEndpoints),
    /// The send queue of a TCP or TLS connection.
    Stream(mpsc::Sender<Bytes>),
}

impl ClientWriter {
    /// Sends a frame; false where the socket or the queue is full and the frame was dropped.
    pub fn send(&self, frame: Bytes) -> bool {
        match self {
            Self::Udp(socket, endpoints) => socket.send(&frame, *endpoints).is_ok(),
            Self::Stream(queue) => queue.try_send(frame).is_ok(),
        }
    }

    /// Sends a frame; counts the drop and returns false where that fails.
    pub fn send_or_count(&self, frame: Bytes, stats: &Counters) -> bool {
        let sent = self.send(frame);
        if !sent {
            stats.count_dropped(super::stats::DropReason::QueueFull);
        }
        sent
    }
}
