//! An attack round: two hundred strangers do the worst they may, and other people notice nothing.
//!
//! A call of three and a chat of twenty go on in rooms of their own while strangers from 200
//! source addresses of 127.0.0.0/8 do all of [`attackers`] at once. The round fails where a
//! picture of the call stands for too long, a message comes too late or not at all, the
//! server's memory or disk grows beyond a bound, or something is still held a minute after the
//! strangers are gone.
//!
//! * [`attackers`] what each of them does, over and over; [`stun`] the words of a relay.
//! * [`http`] requests and sockets from a source address of one's own.
//! * [`resources`] what is measured of the server meanwhile, and what it holds afterwards.

mod attackers;
mod http;
mod resources;
mod stun;

use crate::{
    Arguments,
    chat::{self, LoadStep},
    media,
    protocol::Protocol,
    report,
    server::{Server, free_port},
};
use anyhow::{Context, Result, ensure};
use attackers::{Counters, Crowd};
use clap::Args;
use resources::{Held, Peak};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::UdpSocket,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// People of the chat that goes on.
const CHATTERS: usize = 20;
/// Messages delivered a second in that chat: ten said by all together, each to nineteen.
const DELIVERIES_A_SECOND: f64 = 190.0;
/// How long the call and the chat go on before the first stranger comes.
const SETTLE: Duration = Duration::from_secs(3);

/// The longest time between two pictures of one person at another, in ms.
const GAP_LIMIT_MS: f64 = 500.0;
/// The latency of a message at the 99th percentile, in ms.
const CHAT_LIMIT_MS: f64 = 100.0;
/// Resident memory of the server, in MiB. An idle server takes some 40.
const MEMORY_LIMIT_MIB: f64 = 512.0;
/// Growth of the data directory a minute, in MiB: 20 addresses that write as much as one may.
const DISK_LIMIT_MIB_A_MINUTE: f64 = 160.0;
/// Within which everything that strangers held is free again.
const FREE_WITHIN: Duration = Duration::from_secs(60);

/// How long it takes.
#[derive(Debug, Args)]
pub struct Options {
    /// How long the strangers stay, in seconds.
    #[arg(long, default_value_t = 240)]
    seconds: u64,
    /// By how much the bounds of time are wider; for a machine that does other things, too.
    #[arg(long, default_value_t = 1.0)]
    slack: f64,
    /// Only strangers who do this, by name; for looking into one thing.
    #[arg(long)]
    only: Vec<String>,
    /// This is the start inside the network of its own.
    #[arg(long, hide = true)]
    pub inside: bool,
}

/// What came of a round.
#[derive(Debug, Serialize)]
struct Outcome {
    /// How long the strangers stayed, in seconds.
    seconds: u64,
    /// The longest time between two pictures, in ms.
    gap_ms: f64,
    /// Latency of the chat at the 99th percentile, in ms.
    chat_p99_ms: f64,
    /// The same before the strangers came.
    quiet_p99_ms: f64,
    /// Messages of the chat that were lost, doubled, refused or met a broken socket.
    chat_faults: u64,
    /// Readers closed because of what another member sent.
    victims_closed: u64,
    /// The highest use of memory and disk.
    peak: Peak,
    /// What the server holds before, and what it still held in the end.
    held: [Held; 2],
    /// How long that took, in seconds.
    free_after: f64,
    /// What strangers did and how often it was taken or refused.
    strangers: BTreeMap<&'static str, (u64, u64)>,
}

/// Plays one round and reports it.
///
/// # Errors
/// Something did not start, or a bound was broken; the message names all that were.
pub async fn run(arguments: &Arguments, options: &Options) -> Result<()> {
    let temp_dir = media::TempDir::new();
    let ports = Ports {
        media: udp_port()?,
        turn: udp_port()?,
        metrics: free_port()?,
    };
    let server = start(arguments, &temp_dir, &ports).await?;
    let call = media::Call::start(&server)
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
    let before = resources::held(&server, ports.metrics).await?;

    call.mark();
    let watching = resources::Watch::start(&server, temp_dir.path());
    let target = attackers::Target {
        port: server.port,
        media: ports.media,
        turn: ports.turn,
    };
    let crowd = Crowd::start(target, &options.only)?;
    let seconds = options.seconds as f64;
    let step = run_chat(&mut clients, &server, scenario, seconds, &mut turn, began).await?;
    let counters = crowd.stop();
    let gap_ms = call.longest_gap_ms().await?;
    let peak = watching.stop();
    let (held, free_after) =
        resources::until_free(&server, ports.metrics, before, FREE_WITHIN).await?;
    drop((clients, call));
    server.stop().await?;

    let outcome = Outcome {
        seconds: options.seconds,
        gap_ms,
        chat_p99_ms: step.p99,
        quiet_p99_ms: calm.p99,
        chat_faults: step.lost + step.disordered + step.refused + step.broken,
        victims_closed: counters.victims_closed.load(Ordering::Relaxed),
        peak,
        held: [before, held],
        free_after: free_after.as_secs_f64(),
        strangers: counters.by_deed(),
    };
    print(&outcome, &counters);
    report::write(&arguments.out, "attack.json", &[&outcome])?;
    let broken = broken_bounds(&outcome, options.slack);
    ensure!(broken.is_empty(), "bounds broken: {}", broken.join("; "));
    Ok(())
}

/// Lets the chat go on for so long.
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

/// The ports that strangers find besides that of HTTP.
struct Ports {
    /// Media, UDP and TCP.
    media: u16,
    /// STUN and TURN, UDP and TCP.
    turn: u16,
    /// Metrics.
    metrics: u16,
}

/// A port that is free for UDP on loopback.
fn udp_port() -> Result<u16> {
    Ok(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Starts the server as an operator does, but for the ports, and with a call that begins in the SFU.
async fn start(arguments: &Arguments, temp_dir: &media::TempDir, ports: &Ports) -> Result<Server> {
    let data = temp_dir.path().to_string_lossy().into_owned();
    let settings = [
        "--listen",
        "127.0.0.1:{port}",
        "--data-dir",
        &data,
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

/// The bounds that were broken, each as a sentence; those of time are `slack` times as wide.
fn broken_bounds(outcome: &Outcome, slack: f64) -> Vec<String> {
    let minutes = outcome.seconds as f64 / 60.0;
    let disk_limit = DISK_LIMIT_MIB_A_MINUTE * minutes.max(1.0);
    let bounds = [
        ("longest gap, ms", outcome.gap_ms, GAP_LIMIT_MS * slack),
        ("chat p99, ms", outcome.chat_p99_ms, CHAT_LIMIT_MS * slack),
        ("chat faults", outcome.chat_faults as f64, 0.0),
        ("victims closed", outcome.victims_closed as f64, 0.0),
        ("memory, MiB", outcome.peak.memory_mib, MEMORY_LIMIT_MIB),
        ("disk growth, MiB", outcome.peak.disk_mib, disk_limit),
    ];
    let mut broken: Vec<String> = bounds
        .into_iter()
        .filter(|(_, value, limit)| value > limit)
        .map(|(name, value, limit)| format!("{name} {value:.1} > {limit:.1}"))
        .collect();
    let [before, after] = &outcome.held;
    if !after.is_within(before) {
        broken.push(format!("still held: {after:?}, before: {before:?}"));
    }
    broken.extend(
        outcome
            .strangers
            .iter()
            .filter(|(_, (taken, refused))| taken + refused == 0)
            .map(|(deed, _)| format!("{deed}: nothing was attempted")),
    );
    broken
}

/// The figures, for people.
fn print(outcome: &Outcome, counters: &Counters) {
    println!(
        "attack round of {} s from {} addresses",
        outcome.seconds,
        attackers::ADDRESSES
    );
    println!("{:<28} {:>10} {:>10}", "deed", "taken", "refused");
    for (deed, (taken, refused)) in counters.by_deed() {
        println!("{deed:<28} {taken:>10} {refused:>10}");
    }
    println!(
        "longest gap {:.0} ms, chat p99 {:.1} ms (quiet {:.1}), chat faults {}, victims closed {}",
        outcome.gap_ms,
        outcome.chat_p99_ms,
        outcome.quiet_p99_ms,
        outcome.chat_faults,
        outcome.victims_closed
    );
    println!(
        "memory {:.0} MiB at most, disk {:.0} MiB more, everything free after {:.0} s: {:?}",
        outcome.peak.memory_mib, outcome.peak.disk_mib, outcome.free_after, outcome.held[1]
    );
}
