//! Resource use of the server: memory and disk during an attack, and resources still held after it.

use super::http::{connect, get};
use crate::server::Server;
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, time::sleep};

/// Interval between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);
/// Open files that may differ without an attack.
const SLACK: u64 = 24;
/// Memory that may stay at rest, beside that of before, in MiB: pages of the database in its
/// cache, the tables of limits, and what the allocator keeps for the next crowd.
const MEMORY_SLACK_MIB: u64 = 64;

/// The highest use of memory and disk.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PeakUsage {
    /// Resident memory, in MiB.
    pub memory_mib: f64,
    /// Bytes of the data directory beyond those at the start, in MiB.
    pub disk_mib: f64,
}

/// What the server has stored, and how much it may.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct StoredHistory {
    /// Rooms with messages.
    pub rooms: u64,
    /// Rooms that may have messages.
    pub rooms_limit: u64,
    /// Bytes of messages, as the server counts them.
    pub bytes: u64,
    /// Bytes that messages may have.
    pub bytes_limit: u64,
    /// Bytes of the files of messages.
    pub file_bytes: u64,
    /// Bytes that the files of messages may have.
    pub file_bytes_limit: u64,
    /// Requests that a rate refused.
    pub rate_refusals: u64,
}

/// The resources that the server holds for all its clients.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct HeldResources {
    /// Rooms with at least one member.
    pub rooms: u64,
    /// WebSockets and polls.
    pub sockets: u64,
    /// People in calls.
    pub in_call: u64,
    /// Connections to the SFU.
    pub media: u64,
    /// Relayed transport addresses (RFC 8656) of all TURN clients.
    pub allocations: u64,
    /// TCP connections of the relay.
    pub streams: u64,
    /// Open files of the process.
    pub files: u64,
    /// Resident memory, in MiB.
    pub memory_mib: u64,
}

impl HeldResources {
    /// Whether nothing is held beyond `before`.
    pub fn is_within(&self, before: &Self) -> bool {
        let pairs = [
            (self.rooms, before.rooms),
            (self.sockets, before.sockets),
            (self.in_call, before.in_call),
            (self.media, before.media),
            (self.allocations, before.allocations),
            (self.streams, before.streams),
            (self.files, before.files + SLACK),
            (self.memory_mib, before.memory_mib + MEMORY_SLACK_MIB),
        ];
        pairs.iter().all(|(now, before)| now <= before)
    }
}

/// Samples memory and disk on its own thread.
pub struct ResourceMonitor {
    /// Set to end the thread.
    stop: Arc<AtomicBool>,
    /// The highest values so far.
    peak: Arc<Mutex<PeakUsage>>,
    thread: JoinHandle<()>,
}

impl ResourceMonitor {
    /// Samples the server's resources on a thread until stopped.
    pub fn start(server: &Server, data: &Path) -> Self {
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let status = PathBuf::from(format!("/proc/{}/status", server.pid));
        let data = data.to_owned();
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&peak));
        let thread = thread::spawn(move || {
            let start = size_of(&data);
            while !stopped.load(Ordering::Relaxed) {
                sample(&status, &data, start, &seen);
                thread::sleep(SAMPLE_INTERVAL);
            }
        });
        Self { stop, peak, thread }
    }

    /// Ends the thread; returns the highest values.
    pub fn stop(self) -> PeakUsage {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one sample.
fn sample(status: &Path, data: &Path, start: u64, peak: &Mutex<PeakUsage>) {
    let grown = size_of(data).saturating_sub(start) as f64 / f64::from(1 << 20);
    let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
    peak.memory_mib = peak.memory_mib.max(resident_mib(status).unwrap_or(0.0));
    peak.disk_mib = peak.disk_mib.max(grown);
}

/// Resident memory in MiB, from the `status` file of a process (proc(5)).
fn resident_mib(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Total size of the files in a directory, in bytes.
fn size_of(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| entry.metadata().ok().map(|meta| meta.len()));
    sizes.sum()
}

/// The metrics of the server.
async fn scrape(metrics: u16) -> Result<String> {
    let mut stream = connect(Ipv4Addr::LOCALHOST, metrics).await?;
    stream
        .write_all(get(metrics, "/metrics").as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// The value of a metric without labels.
fn value_of(text: &str, name: &str) -> Result<u64> {
    let lines = text.lines();
    let mut found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let found = found
        .next()
        .with_context(|| format!("no {name} in the metrics"));
    Ok(found?.parse::<f64>()? as u64)
}

/// The sum of a metric over all its labels.
fn sum_of(text: &str, name: &str) -> u64 {
    let lines = text.lines();
    let samples = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let values = samples.filter_map(|sample| sample.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Reads from the metrics what the server has stored.
///
/// # Errors
/// The server does not answer.
pub async fn stored_history(metrics: u16) -> Result<StoredHistory> {
    let text = scrape(metrics).await?;
    Ok(StoredHistory {
        rooms: value_of(&text, "noom_stored_rooms")?,
        rooms_limit: value_of(&text, "noom_stored_rooms_limit")?,
        bytes: value_of(&text, "noom_history_bytes")?,
        bytes_limit: value_of(&text, "noom_history_limit_bytes")?,
        file_bytes: value_of(&text, "noom_file_bytes")?,
        file_bytes_limit: value_of(&text, "noom_file_limit_bytes")?,
        rate_refusals: sum_of(&text, "noom_rate_refusals_total"),
    })
}

/// Reads the held resources from the metrics.
///
/// # Errors
/// The server does not answer.
pub async fn held_resources(server: &Server, metrics: u16) -> Result<HeldResources> {
    let text = scrape(metrics).await?;
    let value = |name: &str| value_of(&text, name);
    let files = fs::read_dir(format!("/proc/{}/fd", server.pid))?.count();
    let status = PathBuf::from(format!("/proc/{}/status", server.pid));
    let memory = resident_mib(&status).context("the server has no memory")?;
    Ok(HeldResources {
        memory_mib: memory as u64,
        rooms: value("noom_rooms")?,
        sockets: value("noom_sockets")?,
        in_call: value("noom_people_in_call")?,
        media: value("noom_media_connections")?,
        allocations: value("noom_turn_allocations")?,
        streams: value("noom_turn_connections")?,
        files: files as u64,
    })
}

/// Waits until the server holds nothing beyond `before`, for at most `within`. Returns what it
/// holds then, and the time that took.
///
/// # Errors
/// The server does not answer.
pub async fn wait_until_released(
    server: &Server,
    metrics: u16,
    before: HeldResources,
    within: Duration,
) -> Result<(HeldResources, Duration)> {
    let began = Instant::now();
    loop {
        let now = held_resources(server, metrics).await?;
        let took = began.elapsed();
        if now.is_within(&before) || took > within {
            return Ok((now, took));
        }
        // The server sends no event when it releases resources.
        sleep(SAMPLE_INTERVAL).await;
    }
}
