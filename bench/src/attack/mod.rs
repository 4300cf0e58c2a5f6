//! An attack round: 200 attackers use every limit to its full, and other clients must not be
//! affected.
//!
//! A call of three and a chat of twenty run in their own rooms while attackers from 200 source
//! addresses of 127.0.0.0/8 do everything in [`attackers`] at once. The round fails if a video of
//! the call freezes for too long, a chat message is late or lost, the server's memory or disk grows
//! beyond a bound, or the server still holds resources a minute after the attack.
//!
//! * [`attackers`] the kinds of attack; [`stun`] STUN and TURN messages.
//! * [`http`] HTTP requests and WebSockets from a chosen source address.
//! * [`resources`] resource use of the server.

mod attackers;
mod http;
mod resources;
mod stun;

use crate::{
    Arguments,
    chat::{self, LoadStep},
    media,
    protocol::Protocol,
    results,
    server::{Server, TempDir, free_port},
};
use anyhow::{Context, Result, ensure};
use attackers::{AttackerPool, Counters};
use clap::Args;
use resources::{HeldResources, PeakUsage, StoredHistory};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::UdpSocket,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// People in the measured chat.
const CHATTERS: usize = 20;
/// Deliveries a second in the measured chat: ten messages, each to 19 others.
const DELIVERIES_A_SECOND: f64 = 190.0;
/// Time of call and chat before the first attacker.
const SETTLE: Duration = Duration::from_secs(3);

/// Largest allowed gap between two video frames, in ms.
const GAP_LIMIT_MS: f64 = 500.0;
/// Largest allowed chat latency at the 99th percentile, in ms.
const CHAT_LIMIT_MS: f64 = 100.0;
/// Largest allowed resident memory, in MiB. An idle server takes about 40.
const MEMORY_LIMIT_MIB: f64 = 512.0;
/// Largest allowed growth of the data directory, in MiB a minute: 20 addresses at their limit.
const DISK_LIMIT_MIB_A_MINUTE: f64 = 160.0;
/// Bytes of the data directory for each byte of history, at most, as the manual says.
const DISK_BYTES_PER_STORED_BYTE: f64 = 3.0;
/// Bytes of the data directory for each byte of a file of a message, at most: as many bytes are
/// uploaded again without a message.
const DISK_BYTES_PER_FILE_BYTE: f64 = 2.5;
/// Size of the write-ahead log and an empty database, in MiB, whatever is stored.
const DISK_SLACK_MIB: f64 = 40.0;
/// Rooms that one attacker may open at once and then in an hour (`new-rooms`), by profile.
const NEW_ROOMS: [(&str, f64, f64); 2] = [("private", 100.0, 300.0), ("public", 20.0, 60.0)];
/// Time within which the server must release the resources of the attackers.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(60);

/// Options of `noom-bench attack`.
#[derive(Debug, Args)]
pub struct Options {
    /// Duration of the attack, in seconds.
    #[arg(long, default_value_t = 240)]
    seconds: u64,
    /// Factor on the time bounds, for a machine that also does other work.
    #[arg(long, default_value_t = 1.0)]
    slack: f64,
    /// The profile of the server's limits.
    #[arg(long, default_value = "public")]
    profile: String,
    /// Only these kinds of attack, by name.
    #[arg(long)]
    only: Vec<String>,
    /// Set when this program has restarted itself inside its network namespace.
    #[arg(long, hide = true)]
    pub inside: bool,
}

/// The result of a round.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Duration of the attack, in seconds.
    seconds: u64,
    /// Largest gap between two video frames, in ms.
    gap_ms: f64,
    /// Chat latency during the attack at the 99th percentile, in ms.
    chat_p99_ms: f64,
    /// Chat latency before the attack at the 99th percentile, in ms.
    quiet_p99_ms: f64,
    /// Chat messages that were lost, duplicated, refused, or failed with their socket.
    chat_faults: u64,
    /// Reading members whose connection the server closed because of another's messages.
    victims_closed: u64,
    /// Highest use of memory and disk.
    peak: PeakUsage,
    /// What the server has stored at the end.
    stored: StoredHistory,
    /// The most rooms that the attackers may have left in the store.
    rooms_allowed: f64,
    /// The resources of the server before the attack, and after it.
    held: [HeldResources; 2],
    /// Time from the end of the attack to the release of its resources, in seconds.
    released_after: f64,
    /// Accepted and refused attempts, by kind.
    attackers: BTreeMap<&'static str, (u64, u64)>,
}

/// Runs one attack round and reports it.
///
/// # Errors
/// Something did not start, or a bound was exceeded; the message names every such bound.
pub async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let temp_dir = TempDir::new("attack");
    let ports = Ports {
        media: udp_port()?,
        turn: udp_port()?,
        metrics: free_port()?,
    };
    let new_rooms = NEW_ROOMS.iter().find(|(name, ..)| *name == options.profile);
    let new_rooms = new_rooms.context("--profile is private or public")?;
    let server = start(arguments, &temp_dir, &ports, &options.profile).await?;
    let call = media::BackgroundCall::start(&server)
        .await
        .context("the call of three")?;
    let began = Instant::now();
    let scenario = chat::Scenario {
        people: CHATTERS,
        room: CHATTERS,
    };
    let mut clients = chat::ClientPool::connect(&server, Protocol::Noom, scenario, began).await?;
    let mut turn = 0;
    let quiet = SETTLE.as_secs_f64();
    let calm = run_chat(&mut clients, &server, scenario, quiet, &mut turn, began).await?;
    let before = resources::held_resources(&server, ports.metrics).await?;

    call.reset_counters();
    let watching = resources::ResourceMonitor::start(&server, temp_dir.path());
    let target = attackers::Target {
        port: server.port,
        media: ports.media,
        turn: ports.turn,
    };
    let attackers = AttackerPool::start(target, &options.only)?;
    let seconds = options.seconds as f64;
    let step = run_chat(&mut clients, &server, scenario, seconds, &mut turn, began).await?;
    let counters = attackers.stop();
    let stored = resources::stored_history(ports.metrics).await?;
    let gap_ms = call.largest_gap_ms().await?;
    let peak = watching.stop();
    let (held, released_after) =
        resources::wait_until_released(&server, ports.metrics, before, RELEASE_TIMEOUT).await?;
    drop((clients, call));
    server.stop().await?;

    let outcome = Outcome {
        seconds: options.seconds,
        gap_ms,
        chat_p99_ms: step.p99,
        quiet_p99_ms: calm.p99,
        chat_faults: step.lost + step.disordered + step.refused + step.closed,
        victims_closed: counters.victims_closed.load(Ordering::Relaxed),
        peak,
        stored,
        rooms_allowed: rooms_allowed(*new_rooms, began.elapsed()),
        held: [before, held],
        released_after: released_after.as_secs_f64(),
        attackers: counters.by_kind(),
    };
    print(&outcome, &counters);
    results::write(&arguments.out, "attack.json", &[&outcome])?;
    let broken = broken_bounds(&outcome, options.slack);
    ensure!(broken.is_empty(), "bounds broken: {}", broken.join("; "));
    Ok(())
}

/// The rooms that all attackers together may have left in the store after this time: each what its
/// address may open, and the call and the chat.
fn rooms_allowed((_, at_once, an_hour): (&str, f64, f64), time: Duration) -> f64 {
    let of_one = at_once + an_hour * time.as_secs_f64() / 3600.0;
    f64::from(attackers::ADDRESSES) * of_one.ceil() + 2.0
}

/// Runs the measured chat for `seconds`.
async fn run_chat(
    clients: &mut chat::ClientPool,
    server: &Server,
    scenario: chat::Scenario,
    seconds: f64,
    turn: &mut usize,
    began: Instant,
) -> Result<LoadStep> {
    let rate = DELIVERIES_A_SECOND;
    chat::run_step(clients, server, scenario, rate, seconds, turn, began).await
}

/// The ports of the server besides HTTP.
struct Ports {
    /// Media, UDP and TCP.
    media: u16,
    /// STUN and TURN, UDP and TCP.
    turn: u16,
    /// HTTP port of the metrics.
    metrics: u16,
}

/// Returns a free UDP port on loopback.
fn udp_port() -> Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Starts the server with an operator's settings, its own ports, and every call through the SFU.
async fn start(
    arguments: &Arguments,
    temp_dir: &TempDir,
    ports: &Ports,
    profile: &str,
) -> Result<Server> {
    let data = temp_dir.path().to_string_lossy().into_owned();
    let settings = [
        "--listen",
        "127.0.0.1:{port}",
        "--data-dir",
        &data,
        "--profile",
        profile,
        "--p2p-max",
        "0",
        "--media-listen",
        &format!("127.0.0.1:{}", ports.media),
        "--media-ip",
        "127.0.0.1",
        "--media-threads",
        "1",
        "--turn-listen",
        &format!("127.0.0.1:{}", ports.turn),
        "--metrics-listen",
        &format!("127.0.0.1:{}", ports.metrics),
        "--log",
        "warn",
    ];
    let noom = arguments.noom.to_string_lossy();
    Server::start_unpinned(&noom, &settings.map(str::to_owned)).await
}

/// The exceeded bounds, each as a sentence. Time bounds are multiplied by `slack`.
fn broken_bounds(outcome: &Outcome, slack: f64) -> Vec<String> {
    let minutes = outcome.seconds as f64 / 60.0;
    let [stored_mib, files_mib] = [outcome.stored.bytes, outcome.stored.file_bytes]
        .map(|bytes| bytes as f64 / f64::from(1 << 20));
    let disk_of_files = files_mib * DISK_BYTES_PER_FILE_BYTE;
    let disk_limit = DISK_LIMIT_MIB_A_MINUTE * minutes.max(1.0) + disk_of_files;
    let disk_of_history = stored_mib * DISK_BYTES_PER_STORED_BYTE + disk_of_files + DISK_SLACK_MIB;
    let (rooms, rooms_limit) = (outcome.stored.rooms, outcome.stored.rooms_limit);
    let bounds = [
        ("largest gap, ms", outcome.gap_ms, GAP_LIMIT_MS * slack),
        ("chat p99, ms", outcome.chat_p99_ms, CHAT_LIMIT_MS * slack),
        ("chat faults", outcome.chat_faults as f64, 0.0),
        ("victims closed", outcome.victims_closed as f64, 0.0),
        ("memory, MiB", outcome.peak.memory_mib, MEMORY_LIMIT_MIB),
        ("disk growth, MiB", outcome.peak.disk_mib, disk_limit),
        (
            "disk over history, MiB",
            outcome.peak.disk_mib,
            disk_of_history,
        ),
        (
            "history, bytes",
            outcome.stored.bytes as f64,
            outcome.stored.bytes_limit as f64,
        ),
        (
            "files, bytes",
            outcome.stored.file_bytes as f64,
            outcome.stored.file_bytes_limit as f64,
        ),
        ("stored rooms", rooms as f64, rooms_limit as f64),
        ("rooms of strangers", rooms as f64, outcome.rooms_allowed),
    ];
    let mut broken: Vec<String> = bounds
        .into_iter()
        .filter(|(_, value, limit)| value > limit)
        .map(|(name, value, limit)| format!("{name} {value:.1} > {limit:.1}"))
        .collect();
    let [before, after] = &outcome.held;
    if !after.is_within(before) {
        broken.push(format!("not released: {after:?}, before: {before:?}"));
    }
    broken.extend(
        outcome
            .attackers
            .iter()
            .filter(|(_, (accepted, refused))| accepted + refused == 0)
            .map(|(kind, _)| format!("{kind}: no attempt")),
    );
    broken
}

/// Prints the figures.
fn print(outcome: &Outcome, counters: &Counters) {
    println!(
        "attack of {} s from {} addresses",
        outcome.seconds,
        attackers::ADDRESSES
    );
    println!("{:<28} {:>10} {:>10}", "attack", "accepted", "refused");
    for (kind, (accepted, refused)) in counters.by_kind() {
        println!("{kind:<28} {accepted:>10} {refused:>10}");
    }
    println!(
        "largest gap {:.0} ms, chat p99 {:.1} ms (quiet {:.1}), chat faults {}, victims closed {}",
        outcome.gap_ms,
        outcome.chat_p99_ms,
        outcome.quiet_p99_ms,
        outcome.chat_faults,
        outcome.victims_closed
    );
    println!(
        "stored rooms {} of {} (strangers may open {:.0}), history {:.1} MiB, files {:.1} MiB, refused by a rate {}",
        outcome.stored.rooms,
        outcome.stored.rooms_limit,
        outcome.rooms_allowed,
        outcome.stored.bytes as f64 / f64::from(1 << 20),
        outcome.stored.file_bytes as f64 / f64::from(1 << 20),
        outcome.stored.rate_refusals
    );
    println!(
        "memory at most {:.0} MiB, disk +{:.0} MiB, resources released after {:.0} s: {:?}",
        outcome.peak.memory_mib, outcome.peak.disk_mib, outcome.released_after, outcome.held[1]
    );
}
