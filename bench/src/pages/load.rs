//! Asking for one page again and again, over several connections that stay open.

use crate::{chat::new_histogram, server::Server};
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::{net::TcpStream, task::spawn_local};

/// Connections. Each asks for the next page when it has the last.
const CONNECTIONS: usize = 16;
/// Asked for before it counts, so that what is compiled or cached late is.
const WARM_UP: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Pages a second of the server's CPU time.
    pub per_cpu_second: f64,
    /// Pages a second.
    pub pages: f64,
    /// Latency in ms: half are faster.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// Bytes of the page as sent.
    pub bytes: usize,
}

/// Loads a page for so long.
pub async fn load(server: &Server, path: &'static str, time: Duration) -> Result<Figures> {
    ask_for(server.port, path, WARM_UP).await?;
    let (cpu, began) = (server.cpu_time()?, Instant::now());
    let (latencies, bytes) = ask_for(server.port, path, time).await?;
    let used = server.cpu_time()?.since(cpu).all;
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    let count = latencies.len() as f64;
    Ok(Figures {
        per_cpu_second: count / used.max(0.01),
        pages: count / began.elapsed().as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        bytes,
    })
}

/// Asks on all connections; latencies in microseconds, and the bytes of the last page.
async fn ask_for(port: u16, path: &'static str, time: Duration) -> Result<(Histogram<u64>, usize)> {
    let until = Instant::now() + time;
    let askers: Vec<_> = (0..CONNECTIONS)
        .map(|_| spawn_local(ask(port, path, until)))
        .collect();
    let mut all = new_histogram();
    let mut bytes = 0;
    for asker in askers {
        let (latencies, length) = asker.await??;
        all.add(latencies)?;
        bytes = length;
    }
    Ok((all, bytes))
}

/// One connection.
async fn ask(port: u16, path: &str, until: Instant) -> Result<(Histogram<u64>, usize)> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    spawn_local(connection);
    let mut latencies = new_histogram();
    let mut bytes = 0;
    while Instant::now() < until {
        let began = Instant::now();
        let request = Request::get(path)
            .header("host", format!("127.0.0.1:{port}"))
            .header("accept", "text/html")
            .body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        bytes = answer.into_body().collect().await?.to_bytes().len();
        latencies.saturating_record(u64::try_from(began.elapsed().as_micros())?);
    }
    Ok((latencies, bytes))
}
