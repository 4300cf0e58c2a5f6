//! Benchmarks of Noom and comparable servers, from outside.
//!
//! This program shares no code with Noom: it speaks the documented protocol to the release binary.
//! `noom-bench chat` compares chat, `noom-bench pages` pages and `noom-bench media` calls;
//! `noom-bench attack` checks that attackers do not affect other people. Servers run on the first
//! core and this process on the second. Results are relative to CPU time of the server process,
//! which depends less on other load than wall-clock time.
//!
//! * [`server`] a server process: start, CPU time, memory.
//! * [`implementation`] the chat and page servers; [`protocol`] their protocols.
//! * [`chat`] many connections in many rooms; [`pages`] many requests; [`media`] many packets.
//! * [`attack`] 200 attackers.
//! * [`results`] JSON files.

mod attack;
mod chat;
mod implementation;
mod media;
mod pages;
mod protocol;
mod results;
mod server;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Benchmarks of Noom and comparable servers.
#[derive(Parser)]
struct Arguments {
    /// Path of the Noom binary.
    #[arg(long, default_value = "target/release/noom", global = true)]
    noom: PathBuf,
    /// Directory of the JSON results.
    #[arg(long, default_value = "target/bench", global = true)]
    out: PathBuf,
    /// Fewer scenarios and shorter runs, to check that the benchmark works.
    #[arg(long, global = true)]
    quick: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares chat with Socket.IO, ws and socketioxide.
    Chat(chat::Options),
    /// Compares pages with Express and Pug.
    Pages,
    /// Compares calls with Janus and a bare forwarder.
    Media(media::Options),
    /// Attacks the server beside a call and a chat that must not be affected.
    Attack(attack::Options),
    /// The baseline forwarder, which `media` starts.
    #[command(hide = true)]
    Baseline(media::servers::baseline::forwarder::Settings),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Command::Baseline(settings) => return media::servers::baseline::forwarder::run(settings),
        Command::Media(options) => media::net::netns::enter(options.inside)?,
        Command::Attack(options) => media::net::netns::enter(options.inside)?,
        Command::Chat(_) | Command::Pages => {}
    }
    std::fs::create_dir_all(&arguments.out)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = async {
        match &arguments.command {
            Command::Chat(options) => chat::run(&arguments, options).await,
            Command::Pages => pages::run(&arguments).await,
            Command::Media(options) => media::run(&arguments, options).await,
            Command::Attack(options) => attack::run(&arguments, options).await,
            Command::Baseline(_) => unreachable!("it ran above and does not return"),
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
