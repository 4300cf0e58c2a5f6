//! Who may have relay addresses: people in a call, for as long as their stay in it lasts.
//!
//! A stay has a number, which its credentials name. When it ends, they prove nothing any more,
//! however long their expiry is away. Pure: time comes in as `now`.

use super::{
    credentials::{Holder, plain},
    options::{CREDENTIALS_LIVE, MAX_STAYS},
};
use std::{collections::HashMap, time::Instant};

/// A user in a room.
type Place = (String, String);

/// The stays that last.
#[derive(Default)]
pub struct Stays {
    /// By user and room, as usernames spell them.
    by_place: HashMap<Place, Stay>,
    /// Stays so far, which numbers them.
    begun: u64,
}

/// One stay.
struct Stay {
    /// Which.
    number: u64,
    /// When the last credentials for it expire.
    credentials_until: Instant,
}

impl Stays {
    /// Somebody is in a call and gets credentials; the stay goes on where it lasts already.
    /// Nothing where there are as many stays as there may be.
    pub fn enter(&mut self, user: &str, room: &str, now: Instant) -> Option<Holder> {
        let place = (plain(user), room.to_owned());
        if self.by_place.len() >= MAX_STAYS && !self.by_place.contains_key(&place) {
            return None;
        }
        let holder = |number, (user, room): &Place| Holder {
            stay: number,
            user: user.clone(),
            room: room.clone(),
        };
        let credentials_until = now + CREDENTIALS_LIVE;
        if let Some(stay) = self.by_place.get_mut(&place) {
            stay.credentials_until = credentials_until;
            return Some(holder(stay.number, &place));
        }
        self.begun += 1;
        let number = self.begun;
        let entered = holder(number, &place);
        let stay = Stay {
            number,
            credentials_until,
        };
        self.by_place.insert(place, stay);
        Some(entered)
    }

    /// Whether a stay lasts.
    pub fn is_live(&self, holder: &Holder) -> bool {
        let place = (holder.user.clone(), holder.room.clone());
        let stay = self.by_place.get(&place);
        stay.is_some_and(|stay| stay.number == holder.stay)
    }

    /// Somebody's stay is over. False where there was none.
    pub fn leave(&mut self, user: &str, room: &str) -> bool {
        self.by_place
            .remove(&(plain(user), room.to_owned()))
            .is_some()
    }

    /// Forgets stays whose credentials have expired, unless somebody still has something by
    /// them: the next credentials begin another.
    pub fn sweep(&mut self, now: Instant, is_used: impl Fn(&Holder) -> bool) {
        self.by_place.retain(|(user, room), stay| {
            stay.credentials_until > now
                || is_used(&Holder {
                    stay: stay.number,
                    user: user.clone(),
                    room: room.clone(),
                })
        });
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.by_place.len()
    }
}
