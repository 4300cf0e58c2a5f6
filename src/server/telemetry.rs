//! Sets up logging: messages with fields, as text or as JSON.
//!
//! Logs never contain chat messages, session tokens, session descriptions or addresses of clients. The
//! one secret in them is the one-time link to become the operator.

use super::config::{Config, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, filter::Directive, fmt};

/// Starts logging to standard error. Later calls, as in tests, have no effect.
pub fn init(config: &Config) {
    // The configuration has validated the filter, so the fallback is not expected.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = filter.add_directive(without_frames());
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

/// Keeps the frames of WebSockets, which hold passwords and messages, out of the log at any level.
fn without_frames() -> Directive {
    "tungstenite=info".parse().expect("a directive")
}
