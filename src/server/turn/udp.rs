//! The UDP listener: a frame a datagram.

use super::{
    client::{ClientWriter, FiveTuple, Transport, UdpEndpoints},
    engine::{Engine, Moment},
    options::{MAX_FRAME_BYTES, SOCKET_BUFFER_BYTES},
    tcp::stopped,
};
use crate::server::net::sockets::{self, Families, canonical};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::{
    io::{self, IoSliceMut},
    net::{self, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{io::Interest, net::UdpSocket, sync::watch};

/// Reads before the stop is looked for again.
const MAX_READS_PER_WAKE: usize = 64;
/// Bytes of the receive buffer: the largest run of datagrams that the kernel hands over as one
/// (generic receive offload).
const RECEIVE_BUFFER_BYTES: usize = 65_535;
/// Pause after the socket failed, so that a lasting failure does not spin. 10 ms.
const ERROR_BACKOFF: Duration = Duration::from_millis(10);

/// The two ends of one socket.
pub struct Udp {
    /// Reads, inside the runtime.
    reader: UdpSocket,
    /// Writes, from any thread and without the runtime.
    sender: Arc<UdpSender>,
}

/// Sends from the address of this machine that a client talks to.
pub struct UdpSender {
    /// The socket.
    socket: net::UdpSocket,
    /// What it can do.
    state: UdpSocketState,
}

impl UdpSender {
    /// Sends a datagram.
    ///
    /// # Errors
    /// The system has no room for it now, or no path to the client.
    pub fn send(&self, datagram: &[u8], endpoints: UdpEndpoints) -> io::Result<()> {
        let transmit = Transmit {
            destination: endpoints.client,
            ecn: None,
            contents: datagram,
            segment_size: None,
            src_ip: endpoints.local,
        };
        self.state.try_send((&self.socket).into(), &transmit)
    }
}

impl Udp {
    /// Takes a port.
    ///
    /// # Errors
    /// It is taken, or the address is not ours.
    pub fn bind(address: SocketAddr, families: Families) -> io::Result<Self> {
        let socket = sockets::udp(address, families)?;
        let state = UdpSocketState::new((&socket).into())?;
        // The system may give less; nothing depends on it.
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let reader = UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Self {
            reader,
            sender: Arc::new(UdpSender { socket, state }),
        })
    }

    /// Which port it is.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.reader.local_addr()
    }

    /// Takes in datagrams until the server stops.
    pub async fn serve(self, engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
        let mut buffer = vec![0; RECEIVE_BUFFER_BYTES];
        loop {
            tokio::select! {
                () = stopped(&mut stopping) => return,
                ready = self.reader.readable() => {
                    if ready.and_then(|()| self.read_datagrams(&engine, &mut buffer)).is_err() {
                        tokio::time::sleep(ERROR_BACKOFF).await;
                    }
                }
            }
        }
    }

    /// Takes in what is there, up to [`MAX_READS_PER_WAKE`] reads.
    fn read_datagrams(&self, engine: &Engine, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..MAX_READS_PER_WAKE {
            let mut metas = [RecvMeta::default()];
            let received = self.reader.try_io(Interest::READABLE, || {
                let mut slices = [IoSliceMut::new(buffer)];
                let socket = (&self.reader).into();
                self.sender.state.recv(socket, &mut slices, &mut metas)
            });
            match received {
                Ok(_) => self.on_read(engine, buffer, &metas[0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in the datagrams of one read, which are of one size and from one client; the last
    /// one may be smaller.
    fn on_read(&self, engine: &Engine, buffer: &[u8], meta: &RecvMeta) {
        let endpoints = UdpEndpoints {
            client: meta.addr,
            local: meta.dst_ip.map(|ip| ip.to_canonical()),
        };
        let bytes = &buffer[..meta.len.min(buffer.len())];
        if bytes.is_empty() {
            return self.on_datagram(engine, bytes, endpoints);
        }
        for datagram in bytes.chunks(meta.stride.max(1)) {
            self.on_datagram(engine, datagram, endpoints);
        }
    }

    /// Takes in one datagram and answers it. One that is no frame is forgotten.
    fn on_datagram(&self, engine: &Engine, bytes: &[u8], endpoints: UdpEndpoints) {
        let client = FiveTuple {
            transport: Transport::Udp,
            source: canonical(endpoints.client),
            local: endpoints.local,
            connection: 0,
        };
        let writer = ClientWriter::Udp(self.sender.clone(), endpoints);
        let frame = match bytes.len() > MAX_FRAME_BYTES {
            true => &[],
            false => bytes,
        };
        if let Ok(Some(response)) = engine.on_frame((&client, &writer), frame, Moment::now()) {
            writer.send_or_count(response, &engine.stats);
        }
    }
}
