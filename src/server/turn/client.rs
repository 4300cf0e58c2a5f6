//! Who a client is, and how it is written to.

use super::{stats::Counters, udp::UdpSender};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use strum::VariantArray;
use tokio::sync::mpsc;

/// What carries a client's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum Transport {
    /// A datagram a frame.
    Udp,
    /// Frames one after the other.
    Tcp,
    /// The same, encrypted.
    Tls,
}

impl Transport {
    /// Whether frames follow each other in a stream: ChannelData is padded then.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }
}

/// A client: what RFC 8656 calls the 5-tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// What carries it. There is one listener for each.
    pub transport: Transport,
    /// Its address, an IPv4 one in its own form.
    pub source: SocketAddr,
    /// The address of this machine it talks to, where that can differ: over UDP. Browsers ask
    /// every address of a server from one port.
    pub local: Option<IpAddr>,
    /// Tells connections apart that come from the same address one after the other. 0: UDP.
    pub connection: u64,
}

/// The two ends of a client's datagrams.
#[derive(Debug, Clone, Copy)]
pub struct UdpEndpoints {
    /// The client's address, as the socket spells it.
    pub client: SocketAddr,
    /// The address of this machine that the client sent to: answers leave from it, since
    /// clients take them from no other.
    pub local: Option<IpAddr>,
}

/// The way to a client; never blocks, and needs no runtime around it.
#[derive(Clone)]
pub enum ClientWriter {
    /// A socket and the two ends of the path.
    Udp(Arc<UdpSender>, UdpEndpoints),
    /// The queue of a connection's writer.
    Stream(mpsc::Sender<Bytes>),
}

impl ClientWriter {
    /// Sends a frame, or drops it where there is no place: answers which.
    pub fn send(&self, frame: Bytes) -> bool {
        match self {
            Self::Udp(socket, endpoints) => socket.send(&frame, *endpoints).is_ok(),
            Self::Stream(queue) => queue.try_send(frame).is_ok(),
        }
    }

    /// Sends a frame and counts it when it is lost.
    pub fn send_or_count(&self, frame: Bytes, stats: &Counters) -> bool {
        let sent = self.send(frame);
        if !sent {
            stats.count_dropped(super::stats::DropReason::QueueFull);
        }
        sent
    }
}
