//! Announcements of the log for screen readers: messages of others and notices, once each.
//!
//! Pure. The log itself announces nothing: rows come into it also because somebody reads older
//! messages, and because one's own message is confirmed. So what is new is found by number, not
//! by what is drawn.

use crate::protocol::{Epoch, Nickname, Seq};
use crate::state::People;
use crate::state::log::{Entry, Log, Notice};

/// Announced one by one at once; more are announced by their number. 3: nobody listens to a page of
/// text that was said while the line was down.
const MAX_AT_ONCE: usize = 3;
/// Longest text that is announced, in characters; the log has the rest.
const MAX_CHARS: usize = 400;

/// Up to where the log was announced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announced {
    /// Of which log; another log has its own numbers.
    epoch: Option<Epoch>,
    /// The newest message.
    seq: Seq,
    /// The newest notice.
    notice: u64,
}

/// Something to announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Somebody else said this.
    Said(Nickname, String),
    /// Something happened to somebody else.
    Notice(Notice),
    /// So many messages of others came at once.
    Messages(usize),
}

impl Announced {
    /// Up to the end of a log: what is there is not new.
    pub fn all_of(log: &Log) -> Self {
        let epoch = log.position.as_ref().map(|position| position.epoch.clone());
        Self {
            epoch,
            ..Self::default().through(&log.entries)
        }
    }

    /// With these entries announced.
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

    /// What is new in a log, in its order; it counts as announced from now on. Nothing of one's
    /// own is.
    pub fn news(&mut self, log: &Log, people: &People) -> Vec<News> {
        let now = Self::all_of(log);
        if now.epoch != self.epoch {
            // What is in it was not said now.
            *self = now;
            return Vec::new();
        }
        let before = self.clone();
        *self = before.clone().through(&log.entries);
        let mut news = Vec::new();
        for entry in &log.entries {
            match entry {
                Entry::Message(message) if message.seq > before.seq => {
                    let own = people.is_me(&message.from.id);
                    let text = message.text.as_ref().filter(|_| !own);
                    news.extend(text.map(|text| {
                        News::Said(message.from.nickname.clone(), short(text.as_str()))
                    }));
                }
                Entry::Notice(number, notice) if *number > before.notice => {
                    let (Notice::Joined(id, _) | Notice::Left(id, _) | Notice::Renamed { id, .. }) =
                        notice;
                    if !people.is_me(id) {
                        news.push(News::Notice(notice.clone()));
                    }
                }
                Entry::Message(_) | Entry::Notice(..) => {}
            }
        }
        few(news)
    }
}

/// Few enough to listen to: messages by their number, and the last of what happened.
fn few(news: Vec<News>) -> Vec<News> {
    if news.len() <= MAX_AT_ONCE {
        return news;
    }
    let (said, notices): (Vec<_>, Vec<_>) = news
        .into_iter()
        .partition(|news| matches!(news, News::Said(..)));
    let messages = match said.len() {
        0 | 1 => said,
        count => vec![News::Messages(count)],
    };
    let skipped = notices.len().saturating_sub(MAX_AT_ONCE - messages.len());
    messages
        .into_iter()
        .chain(notices.into_iter().skip(skipped))
        .collect()
}

/// The beginning of a text.
fn short(text: &str) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
