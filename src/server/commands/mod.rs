//! The commands of `noom` besides serving: backup, restore, export and confirm-sweep, which open the
//! data directory; config, which prints the settings; health, which
//! asks a running server; doctor, which checks whether people can reach it; and admin, which removes
//! the operator.
//!
//! Each prints one line about what it did, unless its output is the purpose. The store decides
//! whether a server may run on the data directory meanwhile.

mod doctor;
mod health;

use super::{
    clock::Moment,
    config::{Config, ConfigError, Flags},
    store::{self, FileError, Format},
};
use crate::protocol::{NameError, RoomName};
use clap::{Parser, Subcommand};
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Noom: one binary in which people meet. Without a command it serves.
///
/// Each setting is a flag, an environment variable or a key of the TOML file given by
/// --config, in this order of precedence. Keys of the file are the flags without dashes
/// in front, for example: p2p-max = 8
#[derive(Debug, Clone, Parser)]
#[command(name = "noom", version, subcommand_help_heading = "Commands")]
pub struct Cli {
    /// The settings given as flags.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A command instead of serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Manages the account of the operator; the server may run meanwhile
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Copies the whole database into one file; the server may run meanwhile
    Backup {
        /// The file to create, in an existing directory
        file: PathBuf,
        /// Replace the file where it exists [default: refuse]
        #[arg(long)]
        force: bool,
    },
    /// Shows the settings
    Config {
        /// What to show.
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Confirms that the clock is right, so that a waiting deletion of old messages runs; the
    /// server may run meanwhile. Valid for a day
    ConfirmSweep,
    /// Checks whether people can reach the server, and says what mends what is wrong: ports,
    /// addresses, UDP, TCP, TURN, certificate, names, proxy, clock, disk, database. A running server
    /// is asked at --metrics-listen and checks itself; without one, its ports are taken meanwhile.
    /// Changes nothing. Status 1 if a check failed
    Doctor {
        /// Print a list in JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Exports the messages of a room; the server may run meanwhile
    Export {
        /// The name of the room
        room: String,
        /// The format of the output
        #[arg(long, value_enum, default_value = "json")]
        format: Format,
        /// The file to create [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file where it exists [default: refuse]
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Asks the server at --listen whether it lives, 3 s at most; for containers and scripts
    Health {
        /// Ask whether messages can be stored, too
        #[arg(long)]
        ready: bool,
    },
    /// Replaces the database by a backup; no server may run on it. The former database is kept
    /// beside it
    Restore {
        /// The file that `noom backup` created
        file: PathBuf,
    },
}

/// What `noom config` shows.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigAction {
    /// Prints every setting, its value and where that came from, as a file for --config; passwords
    /// are masked. Give flags before the command
    Print,
}

/// A command about the account of the operator.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum AdminCommand {
    /// Removes the operator and ends all sessions. The server then prints a new one-time link to
    /// become the operator
    Reset,
}

/// Why a command failed. One line for the operator; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The argument is not a valid room name.
    #[error("\"{name}\" is not a room name: {rule}")]
    Room {
        /// The argument as the operator typed it.
        name: String,
        /// The rule that it breaks.
        rule: NameError,
    },
    /// A file or the database was refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server does not answer, or not that it is well.
    #[error("{0}")]
    Unhealthy(String),
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Runs a command.
///
/// # Errors
/// Any [`CommandError`]; nothing was changed.
pub fn run(command: &Command, flags: &Flags) -> Result<(), CommandError> {
    let config = Config::load(flags)?;
    let database = config.database();
    match command {
        Command::Admin(AdminCommand::Reset) => {
            let removed = store::reset_operator(&database)?;
            let who = match removed {
                true => "the operator is removed, and all sessions are ended",
                false => "there was no operator",
            };
            let next =
                "a running server prints a new one-time link within seconds, or the next start";
            print_line(&format!("{}: {who}; {next}", database.display()))
        }
        Command::Backup { file, force } => {
            let bytes = store::backup(&database, file, *force)?;
            print_line(&format!("{}: {bytes} bytes", file.display()))
        }
        Command::Config {
            action: ConfigAction::Print,
        } => Ok(write!(io::stdout(), "{}", Config::print(flags)?)?),
        Command::ConfirmSweep => {
            store::confirm_sweep(&database, Moment::now().wall_ms)?;
            let line = "confirmed; a running server deletes old messages within a minute";
            print_line(&format!("{}: {line}", database.display()))
        }
        Command::Doctor { json } => doctor::run(config, *json),
        Command::Export {
            room,
            format,
            output,
            force,
        } => export(&database, room, *format, output.as_deref(), *force),
        Command::Health { ready } => {
            print_line(&health::ask(config.listen, *ready, health::WITHIN)?)
        }
        Command::Restore { file } => {
            let restored = store::restore(&database, file)?;
            let (rooms, messages) = (restored.rooms, restored.messages);
            let former = restored.former.map_or_else(String::new, |former| {
                format!("; the former database is {}", former.display())
            });
            let missing = match restored.missing_files {
                0 => String::new(),
                missing => format!("; {missing} files were not found"),
            };
            print_line(&format!(
                "{}: {rooms} rooms, {messages} messages{missing}{former}",
                database.display()
            ))
        }
    }
}

/// Exports a room into a file, or to standard output.
fn export(
    database: &Path,
    room: &str,
    format: Format,
    file: Option<&Path>,
    force: bool,
) -> Result<(), CommandError> {
    // The room with exactly this stored name, whatever rule it was made under; otherwise the room
    // that this name leads to today.
    match export_room(database, &RoomName::from_stored(room), format, file, force) {
        Err(CommandError::File(FileError::NoRoom(_))) => {}
        done => return done,
    }
    let parsed = RoomName::parse(room).map_err(|rule| CommandError::Room {
        name: room.to_owned(),
        rule,
    })?;
    export_room(database, &parsed, format, file, force)
}

/// Exports a room by its stored name. Writes nothing if there is no such room.
fn export_room(
    database: &Path,
    room: &RoomName,
    format: Format,
    file: Option<&Path>,
    force: bool,
) -> Result<(), CommandError> {
    let Some(file) = file else {
        let mut output = BufWriter::new(io::stdout().lock());
        return match store::export(database, room, format, &mut output) {
            // The reader of the pipe has ended.
            Err(FileError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done.map(drop)?),
        };
    };
    let messages = store::export_to(database, room, format, file, force)?;
    print_line(&format!("{}: {messages} messages", file.display()))
}

/// Prints a line.
fn print_line(line: &str) -> Result<(), CommandError> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
