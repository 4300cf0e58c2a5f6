//! The `noom` process: reads the settings, and serves until it is stopped or runs one command.

use clap::Parser;
use noom::server::{
    commands::{self, Cli},
    config::{Config, Flags, unknown_variables},
    error::ServeError,
    priority, serve,
    service_manager::InheritedSockets,
    telemetry,
};
use std::{io::Write, process::ExitCode};
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Builder;

/// Fewest threads that render pages. It can stall with one: a page's data and its stream
/// wake each other.
const MIN_PAGE_THREADS: usize = 4;

/// A page is thousands of small allocations, some freed on another thread. What a crowd took
/// goes back to the system within some ten seconds, by a thread of the allocator.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let Cli { flags, command } = Cli::parse();
    let done = match command {
        Some(command) => commands::run(&command, &flags).map_err(|error| error.to_string()),
        None => run(&flags).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "noom: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the server: rooms and connections on one runtime with a thread per core, pages on another.
fn run(flags: &Flags) -> Result<(), ServeError> {
    let config = Config::load(flags)?;
    telemetry::init(&config);
    warn_of_unknown_variables();
    let inherited = InheritedSockets::take()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pages = Builder::new_multi_thread()
        .worker_threads(cores.max(MIN_PAGE_THREADS))
        .thread_name("noom-pages")
        .on_thread_start(priority::lower_for_pages)
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(config, pages.handle().clone(), inherited));
    // The store is closed by now, so do not wait for stuck clients.
    runtime.shutdown_background();
    pages.shutdown_background();
    served
}

/// Warns about unknown `NOOM_` variables, with the setting that each may mean.
fn warn_of_unknown_variables() {
    for unknown in unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        let name = unknown.name;
        match unknown.nearest {
            Some(nearest) => {
                tracing::warn!("{name} is no setting and changes nothing; did you mean {nearest}?");
            }
            None => tracing::warn!("{name} is no setting and changes nothing"),
        }
    }
}
