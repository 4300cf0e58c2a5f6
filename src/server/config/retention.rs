//! Retention of messages: for the whole server, and for single rooms.

use super::layers::ConfigError;
use crate::protocol::RoomName;
use std::collections::BTreeMap;

/// Description of the accepted number of days, for errors.
pub const DAYS: &str = "a number of days from 0 to 36500; 0 keeps them for ever";
/// Description of the accepted number of messages, for errors.
pub const MESSAGES: &str = "a number of messages from 0 to 1000000000; 0 keeps all";
/// Upper bound of the days a message is kept: a century.
pub const MAX_DAYS: u32 = 36_500;
/// Upper bound of the number of messages a room keeps.
pub const MAX_MESSAGES: u32 = 1_000_000_000;

/// Retention of a room's messages. The default keeps them for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionLimits {
    /// Days after which a message is deleted; 0 is never. Default 0.
    pub days: u32,
    /// Newest messages of a room that are kept; 0 is all. Default 0.
    pub messages: u32,
}

/// Retention of all rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Retention of rooms without a rule of their own.
    pub defaults: RetentionLimits,
    /// Retention of rooms with a rule of their own.
    pub rooms: BTreeMap<RoomName, RetentionLimits>,
}

impl Retention {
    /// The retention of a room. The settings hold room names as users type them today. A name that
    /// was stored under older rules is parsed again, so that the same words match.
    pub fn of(&self, room: &RoomName) -> RetentionLimits {
        let typed = || RoomName::parse(room.as_str()).ok();
        let limits = self.rooms.get(room);
        let limits = limits.or_else(|| self.rooms.get(&typed()?));
        limits.copied().unwrap_or(self.defaults)
    }

    /// Whether anything is ever deleted because of its age.
    pub fn is_by_age(&self) -> bool {
        let mut all = self.rooms.values().chain([&self.defaults]);
        all.any(|limits| limits.days > 0)
    }
}

/// The file's rule for one room; a missing value falls back to the server's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoomRetention {
    days: Option<u32>,
    messages: Option<u32>,
}

impl RoomRetention {
    /// The lines of its table in the file, each after a line break.
    pub fn lines(self) -> String {
        let days = self.days.map(|days| format!("\nkeep_days = {days}"));
        let messages = self.messages;
        let messages = messages.map(|messages| format!("\nkeep_messages = {messages}"));
        days.into_iter().chain(messages).collect()
    }

    /// The retention of the room, with missing values from `defaults`.
    pub fn with_defaults(self, defaults: RetentionLimits) -> RetentionLimits {
        RetentionLimits {
            days: self.days.unwrap_or(defaults.days),
            messages: self.messages.unwrap_or(defaults.messages),
        }
    }
}

/// Reads the file's `[rooms."name"]` tables.
///
/// # Errors
/// A room name, key or value is not accepted.
pub(super) fn rooms(value: &toml::Value) -> Result<BTreeMap<RoomName, RoomRetention>, ConfigError> {
    let Some(table) = value.as_table() else {
        return Err(reject("rooms", value, "tables such as [rooms.\"team\"]"));
    };
    let mut rooms = BTreeMap::new();
    for (name, room) in table {
        let accepted = "a room name of 1 to 64 characters, no control characters";
        let parsed = RoomName::parse(name)
            .map_err(|_| reject("rooms", &toml::Value::from(name.as_str()), accepted))?;
        rooms.insert(parsed, parse_room(name, room)?);
    }
    Ok(rooms)
}

/// Parses one room's table.
fn parse_room(name: &str, value: &toml::Value) -> Result<RoomRetention, ConfigError> {
    let key_path = format!("rooms.{name:?}");
    let Some(table) = value.as_table() else {
        return Err(reject(
            &key_path,
            value,
            "a table of keep_days and keep_messages",
        ));
    };
    let mut limits = RoomRetention::default();
    for (key, value) in table {
        let key_path = format!("{key_path}.{key}");
        match key.replace('_', "-").as_str() {
            "keep-days" => limits.days = Some(number(&key_path, value, MAX_DAYS, DAYS)?),
            "keep-messages" => {
                limits.messages = Some(number(&key_path, value, MAX_MESSAGES, MESSAGES)?);
            }
            plain => {
                let known_keys = ["keep_days", "keep_messages"];
                let plain = plain.replace('-', "_");
                return Err(ConfigError::unknown_key(&key_path, &plain, &known_keys));
            }
        }
    }
    Ok(limits)
}

/// Parses a number from 0 to `most`.
fn number(
    key_path: &str,
    value: &toml::Value,
    most: u32,
    accepted: &str,
) -> Result<u32, ConfigError> {
    let number = value.as_integer().and_then(|n| u32::try_from(n).ok());
    let number = number.filter(|number| *number <= most);
    number.ok_or_else(|| reject(key_path, value, accepted))
}

/// The error for a value of the file.
fn reject(key_path: &str, value: &toml::Value, accepted: &str) -> ConfigError {
    let text = value.as_str().map(str::to_owned);
    let value = text.unwrap_or_else(|| value.to_string().replace('\n', " "));
    ConfigError::InvalidValue {
        origin: format!("{key_path} in --config"),
        value,
        accepted: accepted.to_owned(),
    }
}
