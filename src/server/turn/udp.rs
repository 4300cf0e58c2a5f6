//! The UDP listener. Each datagram holds one frame.

use super::{
    client::{ClientWriter, FiveTuple, Transport, UdpEndpoints},
    engine::{ArrivalTime, Engine},
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

/// Most reads after one wake-up, before the task yields and checks for the stop.
const MAX_READS_PER_WAKE: usize = 64;
/// Bytes of the receive buffer: the largest batch of datagrams that generic receive offload
/// (GRO) returns.
const RECEIVE_BUFFER_BYTES: usize = 65_535;
/// Pause after an error of the socket, so that a lasting error does not spin. 10 ms.
const ERROR_BACKOFF: Duration = Duration::from_millis(10);

/// A socket, with a reading and a sending half.
pub struct Udp {
    /// Reads within the Tokio runtime.
    reader: UdpSocket,
    /// Sends from any thread, without the runtime.
    sender: Arc<UdpSender>,
}

/// Sends datagrams from the address that the client sent to.
pub struct UdpSender {
    /// The listening socket, duplicated so that any thread can send.
    socket: net::UdpSocket,
    /// The offloads that the system supports.
    state: UdpSocketState,
}

impl UdpSender {
    /// Sends a datagram.
    ///
    /// # Errors
    /// The send buffer is full, or the system has no route to the client.
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
    /// Binds a socket.
    ///
    /// # Errors
    /// The port is in use, or the address is not of this machine.
    pub fn bind(address: SocketAddr, families: Families) -> io::Result<Self> {
        let socket = sockets::udp(address, families)?;
        let state = UdpSocketState::new((&socket).into())?;
        // The system may set smaller buffers, with which the server works, too.
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES);
        let reader = UdpSocket::from_std(socket.try_clone()?)?;
        Ok(Self {
            reader,
            sender: Arc::new(UdpSender { socket, state }),
        })
    }

    /// The bound address.
    ///
    /// # Errors
    /// The system does not report it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.reader.local_addr()
    }

    /// Handles datagrams until the server stops.
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

    /// Reads queued datagrams, in at most [`MAX_READS_PER_WAKE`] reads.
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

    /// Handles the datagrams of one read. All have one source and one size; only the last one may
    /// be shorter.
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

    /// Handles one datagram and sends the response. A datagram that is no frame is dropped.
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
        if let Ok(Some(response)) = engine.on_frame((&client, &writer), frame, ArrivalTime::now()) {
            writer.send_or_count(response, &engine.stats);
        }
    }
}
