//! What the server keeps for people without script: which rooms they asked to enter, and the message
//! that a room refused, until they are in. In memory, for a while.
//!
//! A page asks a room about its reader only where the reader is kept here, so a page for a stranger
//! takes as long for a hidden room as for an unknown name.

use super::net::Network;
use crate::protocol::{ChatText, ParticipantId, RoomName};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a visit is kept after its last request. 20 min: twice the longest wait in a lobby.
const KEPT: Duration = Duration::from_secs(20 * 60);
/// Most visits. 1,000: at most 16 MB of text.
const MAX_VISITS: usize = 1_000;
/// Most visits of one subscriber (an IPv4 address or an IPv6 /64). 40: a class behind one address.
const MAX_OF_NETWORK: usize = 40;

/// A person without script and a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VisitKey {
    /// Id of the person, derived from the cookie of the device.
    pub id: ParticipantId,
    /// The room that the person asked to enter or wrote to.
    pub room: RoomName,
}

/// What is kept about a person and a room.
#[derive(Debug)]
struct Visit {
    /// Who the visit is of.
    key: VisitKey,
    /// The network of the person; nothing for an address that is exempt from limits.
    network: Option<Network>,
    /// Whether the person has asked to enter and is not in yet.
    has_asked: bool,
    /// The message that the room refused.
    text: Option<ChatText>,
    /// When the visit is forgotten.
    until: Instant,
}

/// The visits of all people, the one asked for last at the end.
#[derive(Debug, Default)]
pub struct Visits(Mutex<VecDeque<Visit>>);

impl Visits {
    /// Remembers that somebody has asked to enter and is not in yet.
    pub fn on_asked(&self, key: VisitKey, network: Option<Network>, now: Instant) {
        self.update(key, network, now, |visit| visit.has_asked = true);
    }

    /// Keeps a message that a room refused, in place of an earlier one.
    pub fn keep(&self, key: VisitKey, network: Option<Network>, text: ChatText, now: Instant) {
        self.update(key, network, now, |visit| visit.text = Some(text));
    }

    /// Whether somebody has asked to enter and is not in yet.
    pub fn has_asked(&self, key: &VisitKey, now: Instant) -> bool {
        let visits = self.lock(now);
        visits
            .iter()
            .any(|visit| visit.key == *key && visit.has_asked)
    }

    /// The message that a room refused.
    pub fn text(&self, key: &VisitKey, now: Instant) -> Option<ChatText> {
        let visits = self.lock(now);
        let visit = visits.iter().find(|visit| visit.key == *key)?;
        visit.text.clone()
    }

    /// Remembers that somebody is in. A message that the room refused before stays.
    pub fn on_entered(&self, key: &VisitKey, now: Instant) {
        let mut visits = self.lock(now);
        for visit in visits.iter_mut().filter(|visit| visit.key == *key) {
            visit.has_asked = false;
        }
        visits.retain(|visit| visit.has_asked || visit.text.is_some());
    }

    /// Changes a visit, which is made where there is none, and keeps it from now on for [`KEPT`].
    /// Visits of the same network, then the oldest ones, make space.
    fn update(
        &self,
        key: VisitKey,
        network: Option<Network>,
        now: Instant,
        change: impl FnOnce(&mut Visit),
    ) {
        let mut visits = self.lock(now);
        let known = visits.iter().position(|visit| visit.key == key);
        let mut visit = known.and_then(|at| visits.remove(at)).unwrap_or(Visit {
            key,
            network,
            has_asked: false,
            text: None,
            until: now,
        });
        visit.until = now + KEPT;
        change(&mut visit);
        let is_near = |other: &Visit| network.is_some() && other.network == network;
        let near = visits.iter().filter(|other| is_near(other)).count();
        if near >= MAX_OF_NETWORK
            && let Some(oldest) = visits.iter().position(is_near)
        {
            visits.remove(oldest);
        }
        if visits.len() >= MAX_VISITS {
            visits.pop_front();
        }
        visits.push_back(visit);
    }

    /// Forgets a visit, because the person is in and has written.
    pub fn forget(&self, key: &VisitKey, now: Instant) {
        self.lock(now).retain(|visit| visit.key != *key);
    }

    /// How many visits there are, and the most of one network.
    #[cfg(test)]
    pub fn counts(&self, now: Instant) -> (usize, usize) {
        let visits = self.lock(now);
        let networks = visits.iter().filter_map(|visit| visit.network);
        let of_network = networks.fold(std::collections::HashMap::new(), |mut counts, network| {
            *counts.entry(network).or_insert(0) += 1;
            counts
        });
        let most = of_network.into_values().max().unwrap_or_default();
        (visits.len(), most)
    }

    /// The visits that are not over.
    fn lock(&self, now: Instant) -> MutexGuard<'_, VecDeque<Visit>> {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while visits.front().is_some_and(|first| first.until <= now) {
            visits.pop_front();
        }
        visits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::net::ban_network;
    use crate::server::{new_session_token, participant_id};

    fn key(room: &str) -> VisitKey {
        VisitKey {
            id: participant_id(&new_session_token()),
            room: RoomName::parse(room).expect("valid"),
        }
    }

    fn text(text: &str) -> ChatText {
        ChatText::parse(text).expect("valid")
    }

    #[test]
    fn a_refused_message_is_kept_for_its_author_and_room_until_it_is_sent() {
        let (visits, now) = (Visits::default(), Instant::now());
        let ann = key("team");
        let other_room = VisitKey {
            room: RoomName::parse("other").expect("valid"),
            ..ann.clone()
        };
        visits.keep(ann.clone(), None, text("one"), now);
        visits.keep(ann.clone(), None, text("two"), now);
        visits.on_asked(ann.clone(), None, now);
        assert_eq!(visits.text(&ann, now), Some(text("two")));
        assert!(visits.has_asked(&ann, now));
        for stranger in [&other_room, &key("team")] {
            assert_eq!(visits.text(stranger, now), None);
            assert!(!visits.has_asked(stranger, now));
        }
        visits.on_entered(&ann, now);
        assert!(!visits.has_asked(&ann, now));
        assert_eq!(visits.text(&ann, now), Some(text("two")), "not sent yet");
        visits.forget(&ann, now);
        assert_eq!(visits.text(&ann, now), None);
        assert!(visits.lock(now).is_empty());
    }

    #[test]
    fn a_visit_is_forgotten_after_its_time_and_asking_again_renews_it() {
        let (visits, now) = (Visits::default(), Instant::now());
        let (ann, ben) = (key("team"), key("team"));
        visits.on_asked(ann.clone(), None, now);
        visits.on_asked(ben.clone(), None, now);
        visits.on_asked(ann.clone(), None, now + KEPT / 2);
        assert!(visits.has_asked(&ben, now + KEPT - Duration::from_millis(1)));
        assert!(!visits.has_asked(&ben, now + KEPT));
        assert!(visits.has_asked(&ann, now + KEPT));
        assert_eq!(visits.lock(now + KEPT * 2).len(), 0);
    }

    #[test]
    fn visits_are_bounded_for_each_network_and_in_all() {
        let (visits, now) = (Visits::default(), Instant::now());
        let ann = key("team");
        let far = ban_network([198, 51, 100, 7].into());
        visits.on_asked(ann.clone(), far, now);
        let near = ban_network([192, 0, 2, 7].into());
        for _ in 0..2 * MAX_VISITS {
            visits.on_asked(key("team"), near, now);
        }
        assert_eq!(visits.lock(now).len(), MAX_OF_NETWORK + 1);
        assert!(visits.has_asked(&ann, now), "another network");
        // Without a network: behind a proxy that names no client.
        for _ in 0..2 * MAX_VISITS {
            visits.on_asked(key("team"), None, now);
        }
        assert_eq!(visits.lock(now).len(), MAX_VISITS);
    }
}
