//! Announcements for screen readers: each message of another participant and each notice, once.
//!
//! Pure. The log's element is no live region, because rows also appear in it when older
//! messages load and when a pending message is confirmed. New entries are found by their
//! sequence number instead.

use crate::protocol::{ChatMessage, Epoch, Nickname, Seq};
use crate::state::People;
use crate::state::files;
use crate::state::log::{Entry, Log, Notice};

/// Most announcements per update; more messages are announced as a count. After a reconnect
/// reading every missed message aloud would take minutes.
const MAX_AT_ONCE: usize = 3;
/// Longest announced text, in characters; the log has the rest.
const MAX_CHARS: usize = 400;

/// The position up to which the log was announced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announced {
    /// Epoch of the log; another log has its own sequence numbers.
    epoch: Option<Epoch>,
    /// Sequence number of the newest announced message.
    seq: Seq,
    /// Number of the newest announced notice.
    notice: u64,
}

/// An announcement for screen readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// A message of another participant: nickname, and text without syntax with the names of the files.
    Said(Nickname, String),
    /// A notice about another participant, or an announcement.
    Notice(Notice),
    /// The number of messages of others that arrived together.
    Messages(usize),
}

impl Announced {
    /// The position at the end of a log: all of its entries count as announced.
    pub fn all_of(log: &Log) -> Self {
        let epoch = log.position.as_ref().map(|position| position.epoch.clone());
        Self {
            epoch,
            ..Self::default().through(&log.entries)
        }
    }

    /// The position after these entries.
    fn through(self, entries: &[Entry]) -> Self {
        entries.iter().fold(self, |so_far, entry| match entry {
            Entry::Message(message) => Self {
                seq: so_far.seq.max(message.seq),
                ..so_far
            },
            Entry::Notice(number, _) => Self {
                notice: so_far.notice.max(*number),
                ..so_far
            },
        })
    }

    /// The new entries of a log, in order, without this participant's own. They count as
    /// announced from now on.
    pub fn new_announcements(&mut self, log: &Log, people: &People) -> Vec<Announcement> {
        let now = Self::all_of(log);
        if now.epoch != self.epoch {
            // Another log: its messages are not new.
            *self = now;
            return Vec::new();
        }
        let before = self.clone();
        *self = before.clone().through(&log.entries);
        let mut announcements = Vec::new();
        for entry in &log.entries {
            match entry {
                Entry::Message(message) if message.seq > before.seq => {
                    let own = people.is_me(&message.from.id);
                    let text = said(message).filter(|_| !own);
                    announcements.extend(text.map(|text| {
                        Announcement::Said(message.from.nickname.clone(), short(&text))
                    }));
                }
                Entry::Notice(number, notice) if *number > before.notice => {
                    let is_own = notice.author().is_some_and(|author| people.is_me(author));
                    if !is_own {
                        announcements.push(Announcement::Notice(notice.clone()));
                    }
                }
                Entry::Message(_) | Entry::Notice(..) => {}
            }
        }
        limit(announcements)
    }
}

/// Reduces the announcements to [`MAX_AT_ONCE`]: a count of messages and the last notices.
fn limit(announcements: Vec<Announcement>) -> Vec<Announcement> {
    if announcements.len() <= MAX_AT_ONCE {
        return announcements;
    }
    let (said, notices): (Vec<_>, Vec<_>) = announcements
        .into_iter()
        .partition(|announcement| matches!(announcement, Announcement::Said(..)));
    let messages = match said.len() {
        0 | 1 => said,
        count => vec![Announcement::Messages(count)],
    };
    let skipped = notices.len().saturating_sub(MAX_AT_ONCE - messages.len());
    messages
        .into_iter()
        .chain(notices.into_iter().skip(skipped))
        .collect()
}

/// The text of a message with the names of its files; `None` once it is deleted.
fn said(message: &ChatMessage) -> Option<String> {
    let line = files::one_line(message)?;
    let has_both = message.text.is_some() && !message.files.is_empty();
    Some(match has_both {
        true => format!("{line} ({})", files::names(&message.files)),
        false => line,
    })
}

/// The first [`MAX_CHARS`] characters of a text.
fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
