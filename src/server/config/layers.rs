//! The three layers, and how one setting is found in them.

use super::{
    Flags,
    retention::{self, RoomRetention},
    spelling,
};
use crate::protocol::RoomName;
use std::{collections::BTreeMap, path::Path};

/// The one line that stops the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that is not accepted.
    #[error("{origin}: \"{value}\" is not accepted; give {accepted}")]
    InvalidValue {
        /// The setting, as the operator wrote it.
        origin: String,
        /// What they gave.
        value: String,
        /// What is accepted.
        accepted: String,
    },
    /// The file has a key that is no setting.
    #[error("--config: unknown setting \"{key}\"; {nearest}accepted are {accepted}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The setting it may mean, as a question; empty where it is like none.
        nearest: String,
        /// Every setting.
        accepted: String,
    },
    /// The file cannot be read.
    #[error("--config: \"{path}\" cannot be read: {reason}; give a readable TOML file")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl ConfigError {
    /// The refusal of a key, which is spelled `plain` where the layout of names is set aside.
    pub(super) fn unknown_key(key: &str, plain: &str, known: &[&str]) -> Self {
        let nearest = spelling::nearest(plain, known.iter().copied());
        Self::UnknownKey {
            key: key
                .chars()
                .map(|letter| if letter.is_control() { '?' } else { letter })
                .take(MAX_KEY)
                .collect(),
            nearest: nearest.map_or_else(String::new, |name| format!("did you mean \"{name}\"? ")),
            accepted: known.join(", "),
        }
    }
}

/// Most characters of a wrong key in its refusal.
const MAX_KEY: usize = 100;

/// The TOML file.
#[derive(Debug, Clone, Default)]
pub struct FileLayer {
    /// Each setting as the text a flag would have.
    settings: BTreeMap<String, String>,
    /// What single rooms have of their own.
    pub(super) rooms: BTreeMap<RoomName, RoomRetention>,
}

impl FileLayer {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or has a key that is no setting.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |reason: String| ConfigError::Unreadable {
            path: path.display().to_string(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&text).map_err(|error| match error {
            ConfigError::Unreadable { reason, .. } => unreadable(reason),
            other => other,
        })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no TOML, or has a key that is no setting.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let reason = error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            let path = String::new();
            ConfigError::Unreadable { path, reason }
        })?;
        let names = Flags::default().settings().map(|(name, _)| name);
        let mut layer = Self::default();
        for (key, value) in table {
            if key == "rooms" {
                layer.rooms = retention::rooms(&value)?;
            } else if names.contains(&key.as_str()) {
                layer.settings.insert(key, flag_text(&value));
            } else {
                let known = [&names[..], &["rooms"]].concat();
                let plain = key.replace('_', "-");
                return Err(ConfigError::unknown_key(&key, &plain, &known));
            }
        }
        Ok(layer)
    }
}

/// A TOML value as a flag would have it: lists of words by commas, lists of tables as JSON.
fn flag_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) if items.iter().all(|item| !item.is_table()) => {
            items.iter().map(flag_text).collect::<Vec<_>>().join(",")
        }
        toml::Value::Array(items) => serde_json::to_string(items).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// A setting as it was found.
pub(super) struct Setting {
    /// The setting, as the operator wrote it.
    pub origin: String,
    /// What they gave.
    pub value: String,
}

impl Setting {
    /// The words of a list.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.value.split(',').map(str::trim);
        words.filter(|word| !word.is_empty())
    }

    /// Refuses the value.
    pub fn reject(&self, accepted: &str) -> ConfigError {
        self.reject_part(&self.value, accepted)
    }

    /// Refuses a part of the value.
    pub fn reject_part(&self, value: &str, accepted: &str) -> ConfigError {
        ConfigError::InvalidValue {
            origin: self.origin.clone(),
            value: value.to_owned(),
            accepted: accepted.to_owned(),
        }
    }
}

/// All settings that were given, the strongest layer only.
pub(super) struct Layers(BTreeMap<&'static str, Setting>);

impl Layers {
    /// Lays flags over environment over file. An empty value in the environment counts
    /// as none: that is how compose files leave a setting out.
    pub fn new(flags: &Flags, env: &dyn Fn(&str) -> Option<String>, file: &FileLayer) -> Self {
        let settings = flags.settings().into_iter().filter_map(|(name, flag)| {
            let variable = spelling::variable(name);
            let of = |origin: String, value: String| Setting { origin, value };
            let flag = flag.map(|value| of(format!("--{name}"), value.clone()));
            let env = || env(&variable).filter(|value| !value.trim().is_empty());
            let env = || env().map(|value| of(variable.clone(), value));
            let file = || {
                file.settings
                    .get(name)
                    .map(|v| of(format!("{name} in --config"), v.clone()))
            };
            flag.or_else(env)
                .or_else(file)
                .map(|setting| (name, setting))
        });
        Self(settings.collect())
    }

    /// What was given for a setting.
    pub fn find(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }
}
