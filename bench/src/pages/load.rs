//! Requests for one page over several persistent connections.

use crate::{chat::new_histogram, server::Server};
use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::{net::TcpStream, task::spawn_local};

/// Number of connections. Each sends its next request after the previous response.
const CONNECTIONS: usize = 16;
/// Time before the measurement, for caches and compilers.
const WARM_UP: Duration = Duration::from_secs(1);

/// The measured values of a page.
#[derive(Debug, Clone, Serialize)]
pub struct PageTimings {
    /// Pages per second of the server's CPU time.
    pub per_cpu_second: f64,
    /// Pages per second.
    pub pages: f64,
    /// Median latency, in ms.
    pub p50: f64,
    /// Latency at the 99th percentile, in ms.
    pub p99: f64,
    /// Size of the page, in bytes.
    pub bytes: usize,
}

/// Requests a page for `time`.
pub async fn load(server: &Server, path: &'static str, time: Duration) -> Result<PageTimings> {
    request_all(server.port, path, WARM_UP).await?;
    let (cpu, began) = (server.cpu_time()?, Instant::now());
    let (latencies, bytes) = request_all(server.port, path, time).await?;
    let used = server.cpu_time()?.since(cpu).all;
    let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    let count = latencies.len() as f64;
    Ok(PageTimings {
        per_cpu_second: count / used.max(0.01),
        pages: count / began.elapsed().as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        bytes,
    })
}

/// Requests on all connections. Returns latencies in microseconds, and the size of the last page.
async fn request_all(
    port: u16,
    path: &'static str,
    time: Duration,
) -> Result<(Histogram<u64>, usize)> {
    let until = Instant::now() + time;
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| spawn_local(request_one(port, path, until)))
        .collect();
    let mut all = new_histogram();
    let mut bytes = 0;
    for task in tasks {
        let (latencies, length) = task.await??;
        all.add(latencies)?;
        bytes = length;
    }
    Ok((all, bytes))
}

/// Requests on one connection.
async fn request_one(port: u16, path: &str, until: Instant) -> Result<(Histogram<u64>, usize)> {
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
