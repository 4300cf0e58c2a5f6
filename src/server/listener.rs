//! Connections: accepting them, how long they may take, ending them together.
//!
//! The framework's own accept loop waits for ever for the rest of a request's head
//! (a "slow loris"). This one gives each head [`Timing::head_within`], which is also
//! how long an idle kept-alive connection is held, and holds [`MAX_CONNECTIONS`].

use super::limits::{MAX_CONNECTIONS, MAX_HEAD_BYTES, TCP_USER_TIMEOUT, Timing};
use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::sleep,
};
use tower::ServiceExt;

/// Before accepting again after the process ran out of files. No event tells when
/// there are some again.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Accepts and serves until `stopping` says so, then waits for what is under way.
pub(super) async fn listen(
    listener: TcpListener,
    router: Router,
    timing: Timing,
    stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let accepting = async {
        loop {
            // Whoever comes while it is full waits in the kernel's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                break;
            };
            let (stream, peer) = accept(&listener).await;
            let serving = serve_connection(stream, peer, router.clone(), timing, stopping.clone());
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(place);
            });
        }
    };
    let mut stop = stopping.clone();
    tokio::select! {
        () = accepting => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(listener);
    // All places are free once everybody has gone.
    drop(places.acquire_many(MAX_CONNECTIONS).await);
}

/// The next connection. One that broke while it waited is passed over.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(OUT_OF_FILES).await;
            }
        }
    }
}

/// Serves one connection to its end, or until it becomes a socket; told to stop, it
/// answers what it is at and no more.
async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    timing: Timing,
    mut stopping: watch::Receiver<bool>,
) -> hyper::Result<()> {
    tune(&stream);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timing.head_within)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Sets a fresh connection up: small frames leave at once, a vanished line is noticed.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
}
