//! The TCP and TLS listeners: who may connect, and as what.

use super::{
    client::{FiveTuple, Transport},
    engine::Engine,
    options::STREAM_IDLE_TIMEOUT,
    stream,
};
use crate::server::net::{Permit, Permits, sockets::canonical};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Pause after a connection could not be taken in, as when the process is out of files. 50 ms.
const ERROR_BACKOFF: Duration = Duration::from_millis(50);

/// What every connection needs; cloning it is cheap.
#[derive(Clone)]
pub struct ListenerContext {
    /// The server.
    pub engine: Arc<Engine>,
    /// The connections, of both listeners.
    pub streams: Permits,
    /// Turns true when the server stops.
    pub stopping: watch::Receiver<bool>,
}

/// Waits until the server stops, or nobody is left who could say so.
///
/// # Cancel safety
/// Nothing is lost when dropped.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Takes in connections until the server stops; TLS where there is a certificate.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, host: ListenerContext) {
    let mut stopping = host.stopping.clone();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, source)) = accepted else {
            tokio::time::sleep(ERROR_BACKOFF).await;
            continue;
        };
        let source = canonical(source);
        // Beyond the limits it is closed without a word.
        if let Ok(permit) = host.streams.acquire(source.ip()) {
            tokio::spawn(connection(
                socket,
                source,
                tls.clone(),
                host.clone(),
                permit,
            ));
        }
    }
}

/// One connection, until it ends or the server stops.
async fn connection(
    socket: TcpStream,
    source: SocketAddr,
    tls: Option<TlsAcceptor>,
    mut host: ListenerContext,
    permit: Permit,
) {
    // Media wait for nothing; without it they would come late, no worse.
    let _ = socket.set_nodelay(true);
    let client = FiveTuple {
        transport: match tls {
            Some(_) => Transport::Tls,
            None => Transport::Tcp,
        },
        source,
        local: None,
        connection: permit.number,
    };
    tokio::select! {
        () = stopped(&mut host.stopping) => {}
        () = serve_connection(socket, tls, host.engine, client) => {}
    }
}

/// Speaks TURN on a connection, after the handshake where there is one.
async fn serve_connection(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    engine: Arc<Engine>,
    client: FiveTuple,
) {
    let Some(tls) = tls else {
        return stream::serve(engine, socket, client).await;
    };
    if let Ok(Ok(socket)) = timeout(STREAM_IDLE_TIMEOUT, tls.accept(socket)).await {
        stream::serve(engine, socket, client).await;
    }
}
