//! How far one has read: a mark in the log, and a count while one looks elsewhere.

use crate::protocol::Seq;
use crate::state::People;
use crate::state::log::Log;

/// What one has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadMarker {
    /// The newest message that was there when one stopped reading; what follows is new.
    pub mark: Option<Seq>,
    /// Whether one looks elsewhere.
    pub away: bool,
}

impl ReadMarker {
    /// One looks elsewhere; `newest` is the newest message. True where that is news.
    pub fn look_away(&mut self, newest: Option<Seq>) -> bool {
        let news = !self.away;
        if news {
            self.away = true;
            self.mark = newest.or(Some(0));
        }
        news
    }

    /// One looks here again, with `newest` as the newest message; the mark stays where one
    /// stopped, if anything came after it. True where that is news.
    pub fn look_back(&mut self, newest: Option<Seq>) -> bool {
        if self.mark == newest.or(Some(0)) {
            self.mark = None;
        }
        std::mem::take(&mut self.away)
    }

    /// Goes on where one stopped on a former visit.
    pub fn resume(&mut self, read: Seq, newest: Option<Seq>) {
        self.mark = newest.filter(|newest| *newest > read).map(|_| read);
    }

    /// Others' messages since one looks elsewhere.
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
    fn the_mark_stands_where_one_stopped_and_only_if_something_came() {
        let mut marker = ReadMarker::default();
        assert!(marker.look_away(Some(7)) && !marker.look_away(Some(8)));
        assert!(marker.look_back(Some(9)) && !marker.look_back(Some(9)));
        assert_eq!(marker.mark, Some(7));
        marker.look_away(Some(9));
        marker.look_back(Some(9));
        assert_eq!(marker.mark, None);
        marker.resume(3, Some(3));
        assert_eq!(marker.mark, None);
        marker.resume(3, Some(5));
        assert_eq!(marker.mark, Some(3));
    }
}
