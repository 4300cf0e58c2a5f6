//! The UDP listener: a frame a datagram.

use super::{
    engine::{Engine, Moment},
    options::{MAX_FRAME_BYTES, SOCKET_BUFFER_BYTES},
    path::{Client, Path, Transport},
    tcp::stopped,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{self, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::UdpSocket, sync::watch};

/// Datagrams taken in before the stop is looked for again.
const BATCH: usize = 64;
/// Pause after the socket failed, so that a lasting failure does not spin. 10 ms.
const PAUSE: Duration = Duration::from_millis(10);

/// The two ends of one socket.
pub struct Udp {
    /// Reads, inside the runtime.
    reader: UdpSocket,
    /// Writes, from any thread and without the runtime.
    writer: Arc<net::UdpSocket>,
}

impl Udp {
    /// Takes a port.
    ///
    /// # Errors
    /// It is taken, or the address is not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // The system may give less; nothing depends on it.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket: net::UdpSocket = socket.into();
        Ok(Self {
            writer: Arc::new(socket.try_clone()?),
            reader: UdpSocket::from_std(socket)?,
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
        // A byte more than a frame may have tells what was cut off.
        let mut buffer = vec![0; MAX_FRAME_BYTES + 1];
        loop {
            tokio::select! {
                () = stopped(&mut stopping) => return,
                ready = self.reader.readable() => {
                    if ready.and_then(|()| self.drain(&engine, &mut buffer)).is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Takes in what is there, up to [`BATCH`].
    fn drain(&self, engine: &Engine, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..BATCH {
            match self.reader.try_recv_from(buffer) {
                Ok((size, source)) => self.take(engine, &buffer[..size], source),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in one datagram and answers it. One that is no frame is forgotten.
    fn take(&self, engine: &Engine, bytes: &[u8], source: SocketAddr) {
        let client = Client {
            transport: Transport::Udp,
            source: SocketAddr::new(source.ip().to_canonical(), source.port()),
            connection: 0,
        };
        let path = Path::Udp(self.writer.clone(), source);
        let frame = match bytes.len() > MAX_FRAME_BYTES {
            true => &[],
            false => bytes,
        };
        if let Ok(Some(answer)) = engine.handle((&client, &path), frame, Moment::now()) {
            path.send_counted(answer, &engine.stats);
        }
    }
}
