//! Log lines: sentences with fields, for people or for machines.
//!
//! Never in a log: what people write, tokens, descriptions, addresses.

use super::config::{Config, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging to standard error. A second start (a test) changes nothing.
pub fn init(config: &Config) {
    // The filter was checked with the settings; `info` is what it falls back to.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let lines = fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
