//! Noom from outside, beside its peers.
//!
//! Nothing here knows the server's code: it speaks the documented protocol to the real
//! binary, as a stranger's client would. `noom-bench chat` compares conversations,
//! `noom-bench pages` compares pages, `noom-bench media` compares calls; `noom-bench attack`
//! shows that strangers at their worst disturb nobody. The servers run on the first core and this process
//! on the second, so that neither takes the other's time; what is compared is CPU time of
//! the server's process, which a busy machine stretches less than the clock.
//!
//! * [`server`] a process under test: its start, its CPU time, its memory.
//! * [`implementation`] which servers there are; [`protocol`] how each is spoken to.
//! * [`chat`] many connections in many rooms; [`pages`] many requests; [`media`] many
//!   packets.
//! * [`attack`] two hundred strangers.
//! * [`report`] tables and JSON.

mod attack;
mod chat;
mod implementation;
mod media;
mod pages;
mod protocol;
mod report;
mod server;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Command to measure.
#[derive(Parser)]
struct Arguments {
    /// The Noom that is measured.
    #[arg(long, default_value = "target/release/noom", global = true)]
    noom: PathBuf,
    /// Where the results go, as JSON.
    #[arg(long, default_value = "target/bench", global = true)]
    out: PathBuf,
    /// Fewer scenarios and shorter steps: whether it works, not how well.
    #[arg(long, global = true)]
    quick: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Conversations, beside Socket.IO, ws and socketioxide.
    Chat(chat::Options),
    /// Pages, beside Express and Pug.
    Pages,
    /// Calls, beside Janus and a bare forwarder.
    Media(media::Options),
    /// Strangers at their worst, beside a call and a chat that must not notice.
    Attack(attack::Options),
    /// The bare forwarder, which `media` starts.
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
            Command::Baseline(_) => unreachable!("it was run above and does not end"),
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
