//! The log as rows to draw: days set apart, one author's messages kept together.
//!
//! Pure: the time zone comes in as a function. A row's key changes exactly when it
//! looks different, so the keyed list redraws that row and no other.

use super::People;
use super::log::{Entry, Log, Notice, Pending};
use super::namesakes::Namesakes;
use crate::protocol::{ChatMessage, ErrorCode, MessageId, Person};
use time::{Date, OffsetDateTime, UtcOffset};

/// One author's messages within this time stand together, in milliseconds.
const TOGETHER_MS: i64 = 5 * 60 * 1_000;

/// The offset from UTC at a moment (milliseconds since the Unix epoch), in minutes.
pub type OffsetMinutes<'a> = &'a dyn Fn(i64) -> i32;

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A day begins.
    Day(Date),
    /// Something happened.
    Notice(u64, Notice),
    /// Something was said.
    Message(MessageRow),
}

/// A message as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its id.
    pub id: MessageId,
    /// Who said it; for what is on its way, oneself.
    pub from: Option<Person>,
    /// What tells the author from others of the same nickname.
    pub tag: Option<String>,
    /// What was said.
    pub text: String,
    /// When, in milliseconds since the Unix epoch; unknown while on its way.
    pub at: Option<i64>,
    /// One's own.
    pub mine: bool,
    /// Said by the author of the row above, shortly after it.
    pub follows: bool,
    /// How far it got.
    pub progress: Progress,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// In the log.
    Said,
    /// On its way.
    Sending,
    /// Refused.
    Refused(ErrorCode),
}

impl Row {
    /// What tells this row from every other, and from its own former look.
    pub fn key(&self) -> String {
        match self {
            Self::Day(date) => format!("day {date}"),
            Self::Notice(number, _) => format!("notice {number}"),
            Self::Message(row) => {
                let MessageRow {
                    id,
                    mine,
                    follows,
                    progress,
                    tag,
                    ..
                } = row;
                format!("{id} {mine} {follows} {progress:?} {}", tag.is_some())
            }
        }
    }
}

/// The local date and time of a moment.
pub fn local(at_ms: i64, offset: OffsetMinutes) -> OffsetDateTime {
    let utc = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let offset = UtcOffset::from_whole_seconds(offset(at_ms) * 60).unwrap_or(UtcOffset::UTC);
    utc.to_offset(offset)
}

/// The rows of a log, top to bottom.
pub fn rows(log: &Log, people: &People, offset: OffsetMinutes) -> Vec<Row> {
    let mut rows = Vec::with_capacity(log.entries.len() + log.pending.len() + 4);
    let mut day = None;
    let namesakes = Namesakes::among(people.here.iter().chain(log.authors()));
    for entry in &log.entries {
        match entry {
            Entry::Notice(number, notice) => rows.push(Row::Notice(*number, notice.clone())),
            Entry::Message(message) => {
                let date = local(message.at, offset).date();
                if day.replace(date) != Some(date) {
                    rows.push(Row::Day(date));
                }
                let row = said(message, people, &namesakes, rows.last());
                rows.push(Row::Message(row));
            }
        }
    }
    for pending in &log.pending {
        let row = on_its_way(pending, people, rows.last());
        rows.push(Row::Message(row));
    }
    rows
}

fn said(
    message: &ChatMessage,
    people: &People,
    namesakes: &Namesakes,
    above: Option<&Row>,
) -> MessageRow {
    let follows = match above {
        Some(Row::Message(row)) => {
            row.from.as_ref() == Some(&message.from)
                && row.at.is_some_and(|at| message.at - at < TOGETHER_MS)
        }
        _ => false,
    };
    MessageRow {
        id: message.id,
        from: Some(message.from.clone()),
        tag: namesakes.tag(&message.from.id),
        text: message.text.to_string(),
        at: Some(message.at),
        mine: people.is_me(&message.from.id),
        follows,
        progress: Progress::Said,
    }
}

fn on_its_way(pending: &Pending, people: &People, above: Option<&Row>) -> MessageRow {
    let from = people.me.clone().zip(people.my_nickname().cloned());
    MessageRow {
        id: pending.id,
        from: from.map(|(id, nickname)| Person { id, nickname }),
        tag: None,
        text: pending.text.to_string(),
        at: None,
        mine: true,
        follows: matches!(above, Some(Row::Message(row)) if row.mine),
        progress: pending.refused.map_or(Progress::Sending, Progress::Refused),
    }
}
