//! The read position: a mark in the log, and the count of unread messages while the page is
//! hidden.

use crate::protocol::Seq;
use crate::state::People;
use crate::state::log::Log;

/// The read position of this participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadMarker {
    /// Sequence number of the last read message; later messages are new. `None`: all are read.
    pub mark: Option<Seq>,
    /// Whether the page is hidden.
    pub away: bool,
}

impl ReadMarker {
    /// The page was hidden; `newest` is the newest message. Returns whether anything changed.
    pub fn on_hidden(&mut self, newest: Option<Seq>) -> bool {
        let has_changed = !self.away;
        if has_changed {
            self.away = true;
            self.mark = newest.or(Some(0));
        }
        has_changed
    }

    /// The page is visible again; `newest` is the newest message. The mark stays if newer
    /// messages have arrived. Returns whether anything changed.
    pub fn on_visible(&mut self, newest: Option<Seq>) -> bool {
        if self.mark == newest.or(Some(0)) {
            self.mark = None;
        }
        std::mem::take(&mut self.away)
    }

    /// This participant has sent a message; `newest` is the newest one before it. What comes later is
    /// still new to a page that is hidden.
    pub fn on_sent(&mut self, newest: Option<Seq>) {
        self.mark = self.away.then(|| newest.unwrap_or(0));
    }

    /// Restores the read position of an earlier visit.
    pub fn resume(&mut self, read: Seq, newest: Option<Seq>) {
        self.mark = newest.filter(|newest| *newest > read).map(|_| read);
    }

    /// Messages of others since the page was hidden.
    pub fn unread(&self, log: &Log, people: &People) -> usize {
        let Some(mark) = self.mark.filter(|_| self.away) else {
            return 0;
        };
        let new = log.messages().rev().take_while(|m| m.seq > mark);
        new.filter(|m| !people.is_me(&m.from.id)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stays_only_if_new_messages_arrived() {
        let mut marker = ReadMarker::default();
        assert!(marker.on_hidden(Some(7)) && !marker.on_hidden(Some(8)));
        assert!(marker.on_visible(Some(9)) && !marker.on_visible(Some(9)));
        assert_eq!(marker.mark, Some(7));
        marker.on_hidden(Some(9));
        marker.on_visible(Some(9));
        assert_eq!(marker.mark, None);
        marker.on_sent(Some(9));
        assert_eq!(marker.mark, None);
        marker.on_hidden(Some(9));
        marker.on_sent(Some(12));
        assert_eq!(marker.mark, Some(12), "later messages count");
        marker.on_visible(Some(12));
        assert_eq!(marker.mark, None);
        marker.resume(3, Some(3));
        assert_eq!(marker.mark, None);
        marker.resume(3, Some(5));
        assert_eq!(marker.mark, Some(3));
    }
}
