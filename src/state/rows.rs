//! The log as rows to draw: days set apart, one author's messages kept together.
//!
//! Pure: the time zone comes in as a function. A row's key changes exactly when it
//! looks different, so the keyed list redraws that row and no other.

use crate::protocol::{ChatMessage, Emoji, ErrorCode, MessageId, Person, Reaction, Seq};
use crate::state::People;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::log::{Entry, Log, Notice, PendingMessage};
use crate::state::read_marker::ReadMarker;
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
    /// What follows came while one looked elsewhere.
    New,
    /// A notice: somebody joined, left or was renamed.
    Notice(u64, Notice),
    /// Something was said.
    Message(Box<MessageRow>),
}

/// A message as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Id of the message.
    pub id: MessageId,
    /// Its place in the room's order; unknown while on its way.
    pub seq: Option<Seq>,
    /// Who said it; for what is on its way, oneself.
    pub from: Option<Person>,
    /// What tells the author from others of the same nickname.
    pub tag: Option<String>,
    /// What was said; nothing once it was deleted.
    pub text: Option<String>,
    /// When, in milliseconds since the Unix epoch; unknown while on its way.
    pub at: Option<i64>,
    /// Whether it belongs to the person at this page.
    pub mine: bool,
    /// Said by the author of the row above, shortly after it.
    pub follows: bool,
    /// Its author changed it.
    pub edited: bool,
    /// What it answers.
    pub quote: Option<Quote>,
    /// What others think of it.
    pub reactions: Vec<ReactionRow>,
    /// The event that changed it last.
    changed: Seq,
    /// How far it got.
    pub progress: Progress,
}

/// The message another one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quote {
    /// A message that is loaded.
    Known {
        /// Who said it.
        from: Person,
        /// What tells them from others of the same nickname.
        tag: Option<String>,
        /// What was said; nothing once it was deleted.
        text: Option<String>,
    },
    /// It is further up than what is loaded.
    Earlier,
}

impl Quote {
    /// The quote of a message, with the tag of its author in `duplicate_names`.
    pub fn of(message: &ChatMessage, duplicate_names: &DuplicateNames) -> Self {
        Self::Known {
            from: message.from.clone(),
            tag: duplicate_names.tag(&message.from.id),
            text: message.text.as_ref().map(ToString::to_string),
        }
    }
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionRow {
    /// The emoji that the people in `by` gave.
    pub emoji: Emoji,
    /// How many gave it.
    pub count: usize,
    /// Whether one did oneself.
    pub mine: bool,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// In the log.
    Stored,
    /// On its way.
    Sending,
    /// The server refused it, with this code.
    Refused(ErrorCode),
}

impl Row {
    /// What tells this row from every other, and from its own former look.
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

/// The local date and time of a moment.
pub fn local(at_ms: i64, offset: OffsetMinutes) -> OffsetDateTime {
    let utc = OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let offset = UtcOffset::from_whole_seconds(offset(at_ms) * 60).unwrap_or(UtcOffset::UTC);
    utc.to_offset(offset)
}

/// How a quote looks, in short.
fn quote_key(quote: &Quote) -> u8 {
    match quote {
        Quote::Earlier => 0,
        Quote::Known { tag, text, .. } => {
            1 + u8::from(tag.is_some()) + 2 * u8::from(text.is_some())
        }
    }
}

/// The part of a log that is drawn, counted from its end: rows far from where one reads
/// cost time and are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Entries that are newer than those drawn.
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
    /// Entries drawn at most.
    pub const SIZE: usize = 300;
    /// Entries drawn at once after a jump: more than fit on a screen. The others follow.
    const FIRST: usize = 60;
    /// Entries it moves by.
    pub const STEP: usize = 12;

    /// Which of `len` entries are drawn.
    pub fn range(self, len: usize) -> std::ops::Range<usize> {
        let end = len - self.below.min(len.saturating_sub(self.size));
        end.saturating_sub(self.size)..end
    }

    /// The end of the log; all but the last entries are drawn again if it was
    /// elsewhere.
    pub fn at_end(self) -> Self {
        match self.below {
            0 => self,
            _ => Self {
                below: 0,
                size: Self::FIRST,
            },
        }
    }

    /// Whether as much is drawn as may be.
    pub fn is_full(self) -> bool {
        self.size == Self::SIZE
    }

    /// Draws a few more.
    pub fn fill(&mut self) {
        self.size = Self::SIZE.min(self.size + Self::STEP);
    }

    /// Moves towards older entries. False where the oldest are drawn.
    pub fn older(&mut self, len: usize) -> bool {
        let hidden = self.range(len).start;
        self.below += hidden.min(Self::STEP);
        hidden > 0
    }

    /// Moves towards newer entries. False where the newest are drawn.
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
    let said_by = entries.iter().filter_map(Entry::author);
    let draw = Draw {
        log,
        people,
        duplicate_names: DuplicateNames::among(people.here.iter().chain(said_by)),
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
                let row = draw.said(message, rows.last());
                rows.push(Row::Message(Box::new(row)));
            }
        }
    }
    for pending in log.pending.iter().filter(|_| newest) {
        let row = draw.on_its_way(pending, rows.last());
        rows.push(Row::Message(Box::new(row)));
    }
    rows
}

/// What a row is drawn from.
struct Draw<'a> {
    log: &'a Log,
    people: &'a People,
    duplicate_names: DuplicateNames,
}

impl Draw<'_> {
    fn said(&self, message: &ChatMessage, above: Option<&Row>) -> MessageRow {
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
            text: message.text.as_ref().map(ToString::to_string),
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

    fn on_its_way(&self, pending: &PendingMessage, above: Option<&Row>) -> MessageRow {
        MessageRow {
            id: pending.draft.id,
            seq: None,
            from: self.people.myself().cloned(),
            tag: None,
            text: Some(pending.draft.text.to_string()),
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
