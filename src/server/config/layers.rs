//! The layers of settings, and the lookup of a setting in them.

use super::{
    Flags, flags,
    retention::{self, RoomRetention},
    settings::{SETTINGS, names, variable},
    spelling,
};
use crate::{protocol::RoomName, server::profile::Profile};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// An error in the settings, in one line; the server does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is not accepted.
    #[error("{origin}: \"{value}\" is not accepted; give {accepted}")]
    InvalidValue {
        /// The flag, variable or key that holds the value.
        origin: String,
        /// The value as given.
        value: String,
        /// Description of the accepted values.
        accepted: String,
    },
    /// The file holds a key that is not a setting.
    #[error("--config: unknown setting \"{key}\"; {nearest}accepted are {accepted}")]
    UnknownKey {
        /// The key as the file spells it.
        key: String,
        /// A question with the most similar setting; empty if none is similar.
        nearest: String,
        /// Every accepted key, separated by commas.
        accepted: String,
    },
    /// The file cannot be read.
    #[error("--config: \"{path}\" cannot be read: {reason}; give a readable TOML file")]
    Unreadable {
        /// The path given with `--config`.
        path: String,
        /// The error of the file system or the TOML parser.
        reason: String,
    },
}

impl ConfigError {
    /// The error for an unknown key. `plain` is the key with the separators of `known`.
    pub(super) fn unknown_key(key: &str, plain: &str, known: &[&str]) -> Self {
        let nearest = spelling::nearest(plain, known.iter().copied());
        Self::UnknownKey {
            key: key
                .chars()
                .map(|letter| if letter.is_control() { '?' } else { letter })
                .take(MAX_KEY_CHARS)
                .collect(),
            nearest: nearest.map_or_else(String::new, |name| format!("did you mean \"{name}\"? ")),
            accepted: known.join(", "),
        }
    }
}

/// Most characters of an unknown key that its error shows.
const MAX_KEY_CHARS: usize = 100;

/// The settings of the TOML file.
#[derive(Debug, Clone, Default)]
pub struct FileLayer {
    /// Value of each setting, in the text form of a flag.
    settings: BTreeMap<String, String>,
    /// Retention rules of single rooms.
    pub(super) rooms: BTreeMap<RoomName, RoomRetention>,
}

impl FileLayer {
    /// Reads the file that the flags or the environment name, if there is one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of(flags: &Flags) -> Result<Self, ConfigError> {
        let named = || std::env::var_os(flags::CONFIG_VARIABLE).map(PathBuf::from);
        match flags.config.clone().or_else(named) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has an unknown key.
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

    /// Parses the text of a file.
    ///
    /// # Errors
    /// The text is not TOML, or has an unknown key.
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
        let names: Vec<_> = names().collect();
        let mut layer = Self::default();
        for (key, value) in table {
            if key == "rooms" {
                layer.rooms = retention::rooms(&value)?;
            } else if names.contains(&key.as_str()) {
                layer.settings.insert(key, flag_text(&value));
            } else {
                let known_keys = [&names[..], &["rooms"]].concat();
                let plain = key.replace('_', "-");
                return Err(ConfigError::unknown_key(&key, &plain, &known_keys));
            }
        }
        Ok(layer)
    }
}

/// Converts a TOML value to the text form of a flag: lists of words to words with commas, lists of
/// tables to JSON.
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

/// The value of a setting and its origin.
pub(super) struct Value {
    /// The flag, variable or key that holds the value.
    pub origin: String,
    /// The value as given.
    pub value: String,
    /// Whether the value is the default.
    pub is_default: bool,
}

impl Value {
    /// The words of a comma-separated list.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.value.split(',').map(str::trim);
        words.filter(|word| !word.is_empty())
    }

    /// The error for the whole value.
    pub fn reject(&self, accepted: &str) -> ConfigError {
        self.reject_part(&self.value, accepted)
    }

    /// The error for a part of the value.
    pub fn reject_part(&self, value: &str, accepted: &str) -> ConfigError {
        ConfigError::InvalidValue {
            origin: self.origin.clone(),
            value: value.to_owned(),
            accepted: accepted.to_owned(),
        }
    }
}

/// The value of each setting, from the layer of highest precedence that has one.
pub(super) struct Layers {
    /// The values, by the names of their settings.
    values: BTreeMap<&'static str, Value>,
    /// The profile, which chose the defaults.
    pub profile: Profile,
}

impl Layers {
    /// Merges the layers. An empty environment variable counts as unset, because compose files set
    /// an empty value for an omitted setting. The profile is found first: it chooses the defaults.
    ///
    /// # Errors
    /// The profile is none of those that exist.
    pub fn new(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        file: &FileLayer,
    ) -> Result<Self, ConfigError> {
        let find = |name: &str| {
            let variable = variable(name);
            let given = |origin: String, value: String| Value {
                origin,
                value,
                is_default: false,
            };
            let flag = flags.value(name);
            let flag = flag.map(|value| given(format!("--{name}"), value.clone()));
            let from_env = || {
                let value = env(&variable).filter(|value| !value.trim().is_empty());
                value.map(|value| given(variable.clone(), value))
            };
            let from_file = || {
                let value = file.settings.get(name);
                value.map(|value| given(format!("{name} in --config"), value.clone()))
            };
            flag.or_else(from_env).or_else(from_file)
        };
        let profile = match find("profile") {
            Some(value) => {
                let known = Profile::parse(value.value.trim());
                known.ok_or_else(|| value.reject("private or public"))?
            }
            None => Profile::default(),
        };
        let values = SETTINGS.iter().filter_map(|setting| {
            let default = || {
                let value = setting.default_value(profile)?;
                Some(Value {
                    origin: format!("the default of --{}", setting.name),
                    value,
                    is_default: true,
                })
            };
            let value = find(setting.name).or_else(default)?;
            Some((setting.name, value))
        });
        Ok(Self {
            values: values.collect(),
            profile,
        })
    }

    /// The value of a setting; `None` if it is unset and has no default.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The value of a setting that has a default.
    ///
    /// # Panics
    /// The setting has no default; a test resolves every setting.
    pub fn get(&self, name: &str) -> &Value {
        self.find(name)
            .expect("the setting is declared with a default")
    }
}
