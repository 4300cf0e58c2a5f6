//! The log as rows to draw: separators between days, and consecutive messages of one author
//! grouped.
//!
//! Pure: the time zone is a function. A row's key changes exactly when its appearance does, so
//! the keyed list redraws only that row.

use crate::protocol::{
    Attachment, ChatMessage, Emoji, ErrorCode, Mark, MessageId, Person, Reaction, Seq,
};
use crate::state::People;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::files::one_line;
use crate::state::log::{Entry, Log, Notice, PendingMessage};
use crate::state::read_marker::ReadMarker;
use time::{Date, OffsetDateTime, UtcOffset};

/// Messages of one author within this time are grouped, in milliseconds.
const TOGETHER_MS: i64 = 5 * 60 * 1_000;

/// The offset from UTC at a moment (milliseconds since the Unix epoch), in minutes.
pub type OffsetMinutes<'a> = &'a dyn Fn(i64) -> i32;

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A separator at the start of a day.
    Day(Date),
    /// A separator before the first unread message.
    New,
    /// A notice: a participant joined, left or was renamed.
    Notice(u64, Notice),
    /// A chat message.
    Message(Box<MessageRow>),
}

/// A message as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Id of the message.
    pub id: MessageId,
    /// Sequence number of the message; `None` while it is pending.
    pub seq: Option<Seq>,
    /// The author; for a pending message this participant.
    pub from: Option<Person>,
    /// Part of the author's id, if another participant has the same nickname.
    pub tag: Option<String>,
    /// The text, empty if the message has only files; `None` once it is deleted.
    pub text: Option<String>,
    /// The form of the text; none while it is pending.
    pub marks: Vec<Mark>,
    /// The files, in the author's order.
    pub files: Vec<Attachment>,
    /// When the server accepted it, in milliseconds since the Unix epoch; `None` while pending.
    pub at: Option<i64>,
    /// Whether this participant is the author.
    pub mine: bool,
    /// Whether the message is grouped with the row above: same author, shortly after it.
    pub follows: bool,
    /// Whether the author edited it.
    pub edited: bool,
    /// The message that it replies to.
    pub quote: Option<Quote>,
    /// Reactions, in order of first use of each emoji.
    pub reactions: Vec<ReactionRow>,
    /// Sequence number of the last event that changed it.
    changed: Seq,
    /// The state of its delivery.
    pub progress: Progress,
}

/// The message that another one replies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// A message that is loaded.
    Known {
        /// The author of the quoted message.
        from: Person,
        /// Part of the author's id, if another participant has the same nickname.
        tag: Option<String>,
        /// The text without syntax, or the names of the files without one; `None` once it is deleted.
        text: Option<String>,
    },
    /// A message older than the loaded ones.
    Earlier,
}

impl Quote {
    /// The quote of a message. `duplicate_names` has the tag of its author.
    pub fn of(message: &ChatMessage, duplicate_names: &DuplicateNames) -> Self {
        Self::Known {
            from: message.from.clone(),
            tag: duplicate_names.tag(&message.from.id),
            text: one_line(message),
        }
    }
}

/// The text of a message as typed, empty if it has only files; nothing once the message is deleted.
fn shown_text(message: &ChatMessage) -> Option<String> {
    (!message.is_deleted()).then(|| message.words().to_owned())
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionRow {
    /// The emoji of the reactions.
    pub emoji: Emoji,
    /// Number of participants who reacted with it.
    pub count: usize,
    /// Whether this participant did.
    pub mine: bool,
}

/// The state of a message's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Stored by the server.
    Stored,
    /// Pending: sent, or waiting to be sent.
    Sending,
    /// Refused by the server, with this code.
    Refused(ErrorCode),
}

impl Row {
    /// The key of the row: unique in the log, and different for each appearance of the row.
    pub fn key(&self) -> String {
        match self {
            Self::Day(date) => format!("day {date}"),
            Self::New => "new".to_owned(),
            Self::Notice(number, _) => format!("notice {number}"),
            Self::Message(row) => {
                let MessageRow {
                    id,
                    mine,
                    follows,
                    progress,
                    tag,
                    changed,
                    quote,
                    ..
                } = row.as_ref();
                let (tag, quote) = (tag.is_some(), quote.as_ref().map(quote_key));
                format!("{id} {mine} {follows} {progress:?} {changed} {tag} {quote:?}")
            }
        }
    }
}

/// The local date and time of `at_ms`, in milliseconds since the Unix epoch.
pub fn local(at_ms: i64, offset: OffsetMinutes) -> OffsetDateTime {
    let utc = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let offset = UtcOffset::from_whole_seconds(offset(at_ms) * 60).unwrap_or(UtcOffset::UTC);
    utc.to_offset(offset)
}

/// A moment as the value of a `datetime-local` field: "2026-11-30T08:15". `offset_minutes`: the offset
/// of the time zone from UTC at this moment.
pub fn datetime_value(at_ms: i64, offset_minutes: i32) -> String {
    let at = local(at_ms, &|_| offset_minutes);
    let (date, month) = (at.date(), u8::from(at.month()));
    format!(
        "{:04}-{month:02}-{:02}T{:02}:{:02}",
        date.year(),
        date.day(),
        at.hour(),
        at.minute()
    )
}

/// The part of a row's key that depends on its quote.
fn quote_key(quote: &Quote) -> u8 {
    match quote {
        Quote::Earlier => 0,
        Quote::Known { tag, text, .. } => {
            1 + u8::from(tag.is_some()) + 2 * u8::from(text.is_some())
        }
    }
}

/// The part of a log that is drawn, counted from its end. Rows far from the scroll position
/// are not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Number of entries that are newer than those drawn.
    pub below: usize,
    /// Number of entries drawn.
    size: usize,
}

impl Default for Window {
    /// The end of the log.
    fn default() -> Self {
        let (below, size) = (0, Self::SIZE);
        Self { below, size }
    }
}

impl Window {
    /// Most entries drawn.
    pub const SIZE: usize = 300;
    /// Entries drawn at once after a jump: more than fit on a screen. The others follow in steps.
    const FIRST: usize = 60;
    /// Entries by which the window moves or grows.
    pub const STEP: usize = 12;

    /// The range of drawn entries in a log of `len` entries.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        let end = len - self.below.min(len.saturating_sub(self.size));
        end.saturating_sub(self.size)..end
    }

    /// A window at the end of the log. If this window is elsewhere, the new one starts with the
    /// last entries only.
    pub fn at_end(self) -> Self {
        match self.below {
            0 => self,
            _ => Self {
                below: 0,
                size: Self::FIRST,
            },
        }
    }

    /// Whether the window has its full size.
    pub fn is_full(self) -> bool {
        self.size == Self::SIZE
    }

    /// Grows the window by one step.
    pub fn fill(&mut self) {
        self.size = Self::SIZE.min(self.size + Self::STEP);
    }

    /// Moves towards older entries. Returns false if the oldest are drawn already.
    pub fn older(&mut self, len: usize) -> bool {
        let hidden = self.range(len).start;
        self.below += hidden.min(Self::STEP);
        hidden > 0
    }

    /// Moves towards newer entries. Returns false if the newest are drawn already.
    pub fn newer(&mut self) -> bool {
        let hidden = self.below;
        self.below -= hidden.min(Self::STEP);
        hidden > 0
    }
}

/// The rows of a window of the log, top to bottom.
pub fn rows(
    log: &Log,
    people: &People,
    marker: &ReadMarker,
    window: Window,
    offset: OffsetMinutes,
) -> Vec<Row> {
    let range = window.range(log.entries.len());
    let newest = range.end == log.entries.len();
    let entries = &log.entries[range];
    let mut rows = Vec::with_capacity(entries.len() + log.pending.len() + 4);
    let mut day = None;
    let authors = entries.iter().filter_map(Entry::author);
    let builder = RowBuilder {
        log,
        people,
        duplicate_names: DuplicateNames::among(people.here.iter().chain(authors)),
    };
    let mut mark = marker.mark;
    for entry in entries {
        match entry {
            Entry::Notice(number, notice) => rows.push(Row::Notice(*number, notice.clone())),
            Entry::Message(message) => {
                let date = local(message.at, offset).date();
                if day.replace(date) != Some(date) {
                    rows.push(Row::Day(date));
                }
                if mark.is_some_and(|mark| message.seq > mark) {
                    let own = people.is_me(&message.from.id);
                    let first = rows.iter().all(|row| matches!(row, Row::Day(_)));
                    mark = None;
                    if !own && !first {
                        rows.push(Row::New);
                    }
                }
                let row = builder.stored(message, rows.last());
                rows.push(Row::Message(Box::new(row)));
            }
        }
    }
    for pending in log.pending.iter().filter(|_| newest) {
        let row = builder.pending(pending, rows.last());
        rows.push(Row::Message(Box::new(row)));
    }
    rows
}

/// The state from which rows are made.
struct RowBuilder<'a> {
    log: &'a Log,
    people: &'a People,
    duplicate_names: DuplicateNames,
}

impl RowBuilder<'_> {
    fn stored(&self, message: &ChatMessage, above: Option<&Row>) -> MessageRow {
        let follows = match above {
            Some(Row::Message(row)) => {
                row.from.as_ref() == Some(&message.from)
                    && row.at.is_some_and(|at| message.at - at < TOGETHER_MS)
                    && message.reply_to.is_none()
            }
            Some(Row::Day(_) | Row::New | Row::Notice(..)) | None => false,
        };
        MessageRow {
            id: message.id,
            seq: Some(message.seq),
            from: Some(message.from.clone()),
            tag: self.duplicate_names.tag(&message.from.id),
            text: shown_text(message),
            marks: message.marks.clone(),
            files: message.files.clone(),
            at: Some(message.at),
            mine: self.people.is_me(&message.from.id),
            follows,
            edited: message.edited_at.is_some(),
            quote: message.reply_to.map(|id| self.quote(id)),
            reactions: message.reactions.iter().map(|r| self.reaction(r)).collect(),
            changed: message.changed,
            progress: Progress::Stored,
        }
    }

    fn pending(&self, pending: &PendingMessage, above: Option<&Row>) -> MessageRow {
        MessageRow {
            id: pending.draft.id,
            seq: None,
            from: self.people.myself().cloned(),
            tag: None,
            text: Some(pending.draft.text.to_string()),
            marks: Vec::new(),
            files: pending.files.clone(),
            at: None,
            mine: true,
            follows: matches!(above, Some(Row::Message(row)) if row.mine)
                && pending.draft.reply_to.is_none(),
            edited: false,
            quote: pending.draft.reply_to.map(|id| self.quote(id)),
            reactions: Vec::new(),
            changed: 0,
            progress: pending.refused.map_or(Progress::Sending, Progress::Refused),
        }
    }

    fn quote(&self, id: MessageId) -> Quote {
        match self.log.message(id) {
            Some(message) => Quote::of(message, &self.duplicate_names),
            None => Quote::Earlier,
        }
    }

    fn reaction(&self, reaction: &Reaction) -> ReactionRow {
        let me = self.people.me.as_ref();
        ReactionRow {
            emoji: reaction.emoji.clone(),
            count: reaction.by.len(),
            mine: me.is_some_and(|me| reaction.by.iter().any(|by| me.is_author(by))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_local_time() {
        let at = 1_767_225_540_000;
        assert_eq!(datetime_value(at, 0), "2025-12-31T23:59");
        assert_eq!(datetime_value(at, 9 * 60), "2026-01-01T08:59");
    }
}
