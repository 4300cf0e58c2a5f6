//! The command line, generated from the declared settings.

use super::settings::{SETTINGS, Setting, help_text};
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};
use std::{collections::BTreeMap, path::PathBuf};

/// The environment variable of [`Flags::config`].
pub(super) const CONFIG_VARIABLE: &str = "NOOM_CONFIG";

/// The settings on the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Path of the TOML file.
    pub config: Option<PathBuf>,
    /// The values of the given flags, by the name of the setting.
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// The value of a setting, if its flag is given.
    pub(super) fn value(&self, name: &str) -> Option<&String> {
        self.values.get(name)
    }
}

/// The flag of a setting.
fn arg(setting: &Setting) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value_name)
        .help(setting.help_text())
        .global(setting.is_global);
    match setting.missing_value {
        Some(value) => arg.num_args(0..=1).default_missing_value(value),
        None => arg,
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help(help_text(
                "TOML file with settings",
                CONFIG_VARIABLE,
                "none",
            ))
            .value_parser(clap::value_parser!(PathBuf))
            .global(true);
        command.arg(config).args(SETTINGS.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = SETTINGS.iter().filter_map(|setting| {
            let value = matches.get_one::<String>(setting.name)?;
            Some((setting.name, value.clone()))
        });
        Ok(Self {
            config: matches.get_one("config").cloned(),
            values: values.collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl CommandFactory for Flags {
    fn command() -> Command {
        Self::augment_args(Command::new("noom"))
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl Parser for Flags {}
