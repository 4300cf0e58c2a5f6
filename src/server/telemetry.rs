//! Sets up logging: messages with fields, as text or as JSON.
//!
//! Logs never contain chat messages, session tokens, session descriptions or addresses of clients. The
//! one secret in them is the one-time link to become the operator.

use super::config::{Config, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::{
    EnvFilter,
    filter::{Directive, LevelFilter},
    fmt,
};

/// Libraries that read what strangers send and log at any level what is wrong with it, a line for each
/// packet if need be. Noom logs what an operator needs to know of it, [throttled](super::log_throttle).
const READERS_OF_STRANGERS: [&str; 9] = [
    "str0m",
    "dimpl",
    "sctp_proto",
    "is",
    "turn_server",
    "rustls",
    "tungstenite",
    "hyper",
    "h2",
];

/// Starts logging to standard error. Later calls, as in tests, have no effect.
pub fn init(config: &Config) {
    let colours = std::io::stderr().is_terminal();
    let lines = fmt()
        .with_env_filter(filter(&config.log))
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// The filter of log lines. Libraries that read what strangers send are off, unless the setting names
/// them, or is a level at which everything is wanted.
fn filter(setting: &str) -> EnvFilter {
    // The configuration has validated the filter, so the fallback is not expected.
    let filter = EnvFilter::try_new(setting).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = filter.add_directive(without_frames());
    // The level for everything is the directive without a target.
    let levels = setting.split(',').map(str::parse::<LevelFilter>);
    if levels.flatten().any(|level| level >= LevelFilter::DEBUG) {
        return filter;
    }
    let is_named = |library: &str| {
        let mut targets = setting
            .split(',')
            .map(|part| part.split(['=', '[', ':']).next());
        targets.any(|crate_name| crate_name == Some(library))
    };
    let silent = READERS_OF_STRANGERS
        .into_iter()
        .filter(|library| !is_named(library));
    let silent = silent.filter_map(|library| format!("{library}=off").parse().ok());
    silent.fold(filter, EnvFilter::add_directive)
}

/// Keeps the frames of WebSockets, which hold passwords and messages, out of the log at any level.
fn without_frames() -> Directive {
    "tungstenite=info".parse().expect("a directive")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("unpoisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The targets whose lines are in the log with this setting.
    fn logged(setting: &str) -> Vec<&'static str> {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = fmt()
            .with_env_filter(filter(setting))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            tracing::info!("ours");
            tracing::error!(target: "str0m::sdp::parser", "theirs");
            tracing::error!(target: "sctp_proto::association", "theirs");
            tracing::error!(target: "tungstenite", "theirs");
            tracing::trace!(target: "tungstenite::protocol", "a frame");
            tracing::warn!(target: "instant_acme", "of an authority");
        });
        let text = String::from_utf8(lines.0.lock().expect("unpoisoned").clone()).expect("text");
        assert!(!text.contains("a frame"), "{text}");
        let targets = ["noom", "str0m", "sctp_proto", "tungstenite", "instant_acme"];
        let is_there = |target: &&str| {
            text.contains(&format!(" {target}:")) || text.contains(&format!(" {target}::"))
        };
        targets.into_iter().filter(is_there).collect()
    }

    #[test]
    fn libraries_that_read_what_strangers_send_log_only_where_the_operator_asks() {
        assert_eq!(logged("info"), ["noom", "instant_acme"]);
        assert_eq!(logged("warn"), ["instant_acme"]);
        let all = ["noom", "str0m", "sctp_proto", "tungstenite", "instant_acme"];
        assert_eq!(logged("debug"), all);
        assert_eq!(logged("trace"), all);
        assert_eq!(logged("debug,noom=info"), all);
        assert_eq!(
            logged("info,str0m::sdp=warn"),
            ["noom", "str0m", "instant_acme"]
        );
        assert_eq!(logged("noom=debug"), ["noom"]);
    }
}
