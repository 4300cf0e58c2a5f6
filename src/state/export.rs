//! The log of a room as a file: its formats, and how saving it went.

use crate::protocol::{ErrorCode, RoomName};

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Every message with everything that the server keeps of it.
    Json,
    /// What was said, to read.
    Markdown,
}

impl ExportFormat {
    /// The path from which the log of a room is saved.
    pub fn path(self, room: &RoomName) -> String {
        let format = match self {
            Self::Json => "json",
            Self::Markdown => "markdown",
        };
        format!("{}/export?format={format}", room.path())
    }

    /// The name of the file; the browser replaces what its system does not allow.
    pub fn file_name(self, room: &RoomName) -> String {
        match self {
            Self::Json => format!("{room}.json"),
            Self::Markdown => format!("{room}.md"),
        }
    }
}

/// How saving the log went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportState {
    /// Nothing was asked for.
    #[default]
    Idle,
    /// The file is on its way.
    Running,
    /// The browser has the file.
    Saved,
    /// There is no file.
    Failed(ExportFailure),
}

/// Why there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFailure {
    /// This participant is not in the room at the moment.
    NotJoined,
    /// This network, or all, save too many files; with the minutes to wait.
    TooMany(u32),
    /// The connection was lost, or the server cannot read the log now.
    Lost,
}

impl ExportFailure {
    /// Reads a response: its status, `noom-refusal` and `Retry-After`. `None` if it is the file.
    pub fn of(status: u16, refusal: Option<&str>, retry_after: Option<&str>) -> Option<Self> {
        let is = |code: ErrorCode| refusal == Some(code.name().as_str());
        match status {
            200 => None,
            _ if is(ErrorCode::NotJoined) => Some(Self::NotJoined),
            429 | 503 if is(ErrorCode::TooManyMessages) => {
                let seconds = retry_after.and_then(|seconds| seconds.trim().parse().ok());
                Some(Self::TooMany(seconds.unwrap_or(60_u32).div_ceil(60).max(1)))
            }
            _ => Some(Self::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_with_the_minutes_to_wait() {
        let of = ExportFailure::of;
        assert_eq!(of(200, None, None), None);
        assert_eq!(
            of(403, Some("not_joined"), None),
            Some(ExportFailure::NotJoined)
        );
        for (seconds, minutes) in [("60", 1), ("61", 2), ("0", 1), ("soon", 1)] {
            assert_eq!(
                of(429, Some("too_many_messages"), Some(seconds)),
                Some(ExportFailure::TooMany(minutes))
            );
        }
        for (status, refusal) in [(503, Some("unavailable")), (502, None), (404, None)] {
            assert_eq!(of(status, refusal, None), Some(ExportFailure::Lost));
        }
    }

    #[test]
    fn the_path_of_an_export_is_encoded() {
        let room = RoomName::parse("team ? 한글").expect("valid");
        let path = ExportFormat::Markdown.path(&room);
        assert!(path.starts_with("/room/team%20%3F%20%ED"), "{path}");
        assert!(path.ends_with("/export?format=markdown"), "{path}");
        assert_eq!(ExportFormat::Json.file_name(&room), "team ? 한글.json");
    }
}
