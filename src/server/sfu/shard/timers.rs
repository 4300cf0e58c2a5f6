//! The timeouts of peers: a heap with at most one due entry per peer.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

/// The timeouts of all peers.
#[derive(Debug, Default)]
pub struct Timers {
    /// Earliest first; outdated entries are skipped when they are due.
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// By peer: its timeout, and its earliest entry in the heap.
    deadlines: Vec<Option<(Instant, Instant)>>,
}

impl Timers {
    /// Sets the timeout of a peer, in place of the one before.
    pub fn set(&mut self, peer: usize, at: Instant) {
        if self.deadlines.len() <= peer {
            self.deadlines.resize(peer + 1, None);
        }
        match &mut self.deadlines[peer] {
            // The queued entry is due first, and is queued again then.
            Some((wanted, queued)) if *queued <= at => *wanted = at,
            place => {
                *place = Some((at, at));
                self.heap.push(Reverse((at, peer)));
            }
        }
    }

    /// Removes the timeout of a peer.
    pub fn clear(&mut self, peer: usize) {
        if let Some(place) = self.deadlines.get_mut(peer) {
            *place = None;
        }
    }

    /// When the next timeout may be due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next peer whose timeout is due.
    pub fn pop(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((at, peer))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            match self.deadlines[peer] {
                Some((_, queued)) if queued != at => {}
                Some((wanted, _)) if wanted > now => {
                    self.deadlines[peer] = Some((wanted, wanted));
                    self.heap.push(Reverse((wanted, peer)));
                }
                Some(_) => {
                    self.deadlines[peer] = None;
                    return Some(peer);
                }
                None => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_peer_is_due_once_at_its_last_timeout() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(0, at(10));
        timers.set(1, at(20));
        timers.set(0, at(30));
        timers.set(2, at(40));
        timers.set(2, at(5));
        timers.clear(1);
        assert_eq!(timers.pop(at(9)), Some(2));
        assert_eq!(timers.pop(at(25)), None);
        assert_eq!(timers.pop(at(30)), Some(0));
        assert_eq!(timers.pop(at(1000)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn timeouts_that_change_often_do_not_grow_the_heap() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for ms in 0..10_000 {
            timers.set(7, start + Duration::from_millis(100 + ms));
        }
        assert_eq!(timers.heap.len(), 1);
    }
}
