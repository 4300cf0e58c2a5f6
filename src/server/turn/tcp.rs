//! The TCP and TLS listeners limit connections, do the TLS handshake and start [`stream`].

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

/// Pause after `accept` failed, as when the process is out of file descriptors. 50 ms.
const ERROR_BACKOFF: Duration = Duration::from_millis(50);

/// The state that all connections share. Cheap to clone.
#[derive(Clone)]
pub struct ListenerContext {
    /// Handles the frames of all connections.
    pub engine: Arc<Engine>,
    /// Limits the connections of both listeners together.
    pub streams: Permits,
    /// Turns true when the server stops.
    pub stopping: watch::Receiver<bool>,
}

/// Waits until the server stops or its last handle is dropped.
///
/// # Cancel safety
/// Nothing is lost when dropped.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Accepts connections until the server stops. `tls` turns TLS on.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, context: ListenerContext) {
    let mut stopping = context.stopping.clone();
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
        // A connection over the limits is closed at once.
        if let Ok(permit) = context.streams.acquire(source.ip()) {
            tokio::spawn(connection(
                socket,
                source,
                tls.clone(),
                context.clone(),
                permit,
            ));
        }
    }
}

/// Serves one connection until it ends or the server stops.
async fn connection(
    socket: TcpStream,
    source: SocketAddr,
    tls: Option<TlsAcceptor>,
    mut context: ListenerContext,
    permit: Permit,
) {
    // Nagle's algorithm would delay media. An error of this call costs latency only.
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
        () = stopped(&mut context.stopping) => {}
        () = serve_connection(socket, tls, context.engine, client) => {}
    }
}

/// Serves a connection, after the TLS handshake if `tls` is set.
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
