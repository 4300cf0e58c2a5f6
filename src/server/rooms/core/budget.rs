//! Rate limits of what one member costs the others, in bytes and in messages.
//!
//! A socket has a rate limit in messages ([`crate::server::http`]). The limits here count the
//! traffic that messages cause: 16 KB to a hundred people cost more than 20 bytes to one. The
//! buckets belong to the member, so a reconnect does not refill them. A message beyond the limit
//! is refused to its sender, and no other member receives anything. Pure: time is an argument.

use crate::{
    protocol::ParticipantId,
    server::{
        limits::{
            ANNOUNCE_RATE, ENVELOPE_BYTES, MEMBER_BROADCAST_BYTES, PAIR_BYTES,
            PAIR_DESCRIPTION_TIMEOUT, PAIR_DESCRIPTIONS, PERSON_OFFERS, QUIET_MEMBER_BYTES,
            ROOM_BROADCAST_BYTES, ROOM_RATE_PEOPLE, ROOM_RESERVE_BYTES, Rate, SIGNAL_BYTES,
            SIGNAL_BYTES_PER_PERSON, SUBSCRIBE_INTERVAL,
        },
        token_bucket::{Quota, TokenBucket},
    },
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A full bucket for this many people; `rate` is meant for [`ROOM_RATE_PEOPLE`] people.
pub(super) fn bucket_for_people(rate: Rate, people: usize) -> TokenBucket {
    let share = (people as f64 / ROOM_RATE_PEOPLE as f64).max(1.0);
    TokenBucket::new(Quota::from(rate).scaled(share))
}

/// Bytes that may be broadcast in a room, on behalf of all its members together.
#[derive(Debug)]
pub(super) struct BroadcastBudget(TokenBucket);

impl BroadcastBudget {
    /// A full budget of a room of this capacity.
    pub fn new(capacity: usize) -> Self {
        Self(bucket_for_people(ROOM_BROADCAST_BYTES, capacity))
    }

    /// Takes bytes for a message of a plain form, which has no member's budget. The reserve is
    /// left for members.
    pub fn try_take(&mut self, cost: usize, now: Instant) -> bool {
        let has = self.0.has(cost, ROOM_RESERVE_BYTES, now);
        if has {
            self.0.take(cost);
        }
        has
    }

    /// Returns unspent bytes.
    pub fn refund(&mut self, cost: usize) {
        self.0.refund(cost);
    }
}

/// The rate limits of one member.
#[derive(Debug)]
pub(super) struct MemberBudget {
    /// Bytes of messages and edits.
    messages: TokenBucket,
    /// Bytes that this member may take from the room's reserve.
    reserve_share: TokenBucket,
    /// Changes of nickname, devices and call, in messages.
    announcements: TokenBucket,
    /// Bytes of signals to all receivers together.
    signals: TokenBucket,
    /// Limits towards each receiver of signals.
    pairs: HashMap<ParticipantId, PeerBudget>,
    /// Offers to the SFU, in messages.
    offers: TokenBucket,
    /// When the SFU last received a subscription.
    subscribed_at: Option<Instant>,
}

/// The limits of signals from one member to another.
#[derive(Debug)]
struct PeerBudget {
    /// Bytes of signals.
    bytes: TokenBucket,
    /// Descriptions that the receiver has not answered yet.
    descriptions: TokenBucket,
}

impl MemberBudget {
    /// Full buckets, in a room whose calls run browser to browser up to `p2p_max` people.
    pub fn new(p2p_max: usize) -> Self {
        let people = u32::try_from(p2p_max).unwrap_or(u32::MAX);
        let broadcast = SIGNAL_BYTES_PER_PERSON.saturating_mul(people);
        let signals = Rate {
            burst: SIGNAL_BYTES.burst.max(broadcast),
            ..SIGNAL_BYTES
        };
        Self {
            messages: TokenBucket::new(MEMBER_BROADCAST_BYTES),
            reserve_share: TokenBucket::new(QUIET_MEMBER_BYTES),
            announcements: TokenBucket::new(ANNOUNCE_RATE),
            signals: TokenBucket::new(signals),
            pairs: HashMap::new(),
            offers: TokenBucket::new(PERSON_OFFERS),
            subscribed_at: None,
        }
    }

    /// Takes bytes for a broadcast from this budget and the room's. The room's reserve is for
    /// members who have sent little in the last seconds.
    pub fn try_broadcast(
        &mut self,
        broadcast_budget: &mut BroadcastBudget,
        cost: usize,
        now: Instant,
    ) -> bool {
        if !self.messages.has(cost, 0, now) {
            return false;
        }
        let plenty = broadcast_budget.0.has(cost, ROOM_RESERVE_BYTES, now);
        let little = self.reserve_share.has(cost, 0, now);
        let may = plenty || (little && broadcast_budget.0.has(cost, 0, now));
        if may {
            self.messages.take(cost);
            broadcast_budget.0.take(cost);
            // Messages sent outside the reserve count against the reserve share, too.
            self.reserve_share
                .take(cost.min(QUIET_MEMBER_BYTES.burst as usize));
            self.reserve_share.forgive_debt(now);
        }
        may
    }

    /// Returns unspent bytes of a message or an edit.
    pub fn refund_message(&mut self, cost: usize) {
        self.messages.refund(cost);
    }

    /// Takes one announcement. Its bytes count against the room even beyond the budget, so that
    /// fewer messages pass meanwhile.
    pub fn try_announce(&mut self, broadcast_budget: &mut BroadcastBudget, now: Instant) -> bool {
        let may = self.announcements.try_take(1, now);
        if may {
            broadcast_budget.0.take(ENVELOPE_BYTES);
        }
        may
    }

    /// Takes the bytes of a signal to one receiver, and one description if it is one.
    pub fn try_signal(
        &mut self,
        to: &ParticipantId,
        is_description: bool,
        cost: usize,
        now: Instant,
    ) -> bool {
        let pair = self.pairs.entry(to.clone()).or_insert_with(PeerBudget::new);
        let may = self.signals.has(cost, 0, now)
            && pair.bytes.has(cost, 0, now)
            && (!is_description || pair.descriptions.try_take(1, now));
        if may {
            self.signals.take(cost);
            pair.bytes.take(cost);
        }
        may
    }

    /// Takes one offer to the SFU.
    pub fn try_offer(&mut self, now: Instant) -> bool {
        self.offers.try_take(1, now)
    }

    /// Handles a description from a peer: one description of this member to the peer is answered.
    pub fn on_answer(&mut self, by: &ParticipantId) {
        if let Some(pair) = self.pairs.get_mut(by) {
            pair.descriptions.refund(1);
        }
    }

    /// Removes the limits towards a member who has left the room.
    pub fn remove_peer(&mut self, id: &ParticipantId) {
        self.pairs.remove(id);
    }

    /// Takes one subscription to the SFU.
    ///
    /// # Errors
    /// The time at which the next one is allowed.
    pub fn try_subscribe(&mut self, now: Instant) -> Result<(), Instant> {
        let next = self.subscribed_at.map(|at| at + SUBSCRIBE_INTERVAL);
        if let Some(next) = next.filter(|next| *next > now) {
            return Err(next);
        }
        self.subscribed_at = Some(now);
        Ok(())
    }
}

impl PeerBudget {
    /// Starts with full buckets.
    fn new() -> Self {
        let per_second =
            Duration::from_secs(1).as_secs_f64() / PAIR_DESCRIPTION_TIMEOUT.as_secs_f64();
        Self {
            bytes: TokenBucket::new(PAIR_BYTES),
            descriptions: TokenBucket::new(Quota::new(per_second, f64::from(PAIR_DESCRIPTIONS))),
        }
    }
}

/// Bytes of a text as a JSON string, without the quotes.
pub(super) fn json_len(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=31 => 6,
        _ => 1,
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: usize) -> ParticipantId {
        ParticipantId::parse(&format!("p_{number}")).expect("valid")
    }

    #[test]
    fn joining_a_mesh_of_64_people_stays_within_the_signal_budget() {
        let now = Instant::now();
        let mut budget = MemberBudget::new(64);
        for person in 0..63 {
            assert!(
                budget.try_signal(&id(person), true, 8 * 1024, now),
                "{person}"
            );
            for _ in 0..20 {
                assert!(budget.try_signal(&id(person), false, 300, now), "{person}");
            }
        }
    }

    #[test]
    fn three_descriptions_to_one_person_may_be_unanswered_and_an_answer_frees_one() {
        let mut now = Instant::now();
        let mut budget = MemberBudget::new(2);
        let describe = |budget: &mut MemberBudget, now| budget.try_signal(&id(1), true, 4_000, now);
        for _ in 0..3 {
            assert!(describe(&mut budget, now));
        }
        assert!(!describe(&mut budget, now));
        assert!(budget.try_signal(&id(2), true, 4_000, now), "another pair");
        budget.on_answer(&id(1));
        assert!(describe(&mut budget, now));
        assert!(!describe(&mut budget, now));
        now += PAIR_DESCRIPTION_TIMEOUT;
        assert!(describe(&mut budget, now), "it may have been lost");
    }

    #[test]
    fn a_quiet_member_may_send_while_others_use_up_the_room_budget() {
        let now = Instant::now();
        let mut broadcast_budget = BroadcastBudget::new(100);
        let mut loud: Vec<_> = (0..20).map(|_| MemberBudget::new(2)).collect();
        for _ in 0..40 {
            for budget in &mut loud {
                budget.try_broadcast(&mut broadcast_budget, 16 * 1024, now);
            }
        }
        assert!(!loud[0].try_broadcast(&mut broadcast_budget, 16 * 1024, now));
        let mut quiet = MemberBudget::new(2);
        assert!(quiet.try_broadcast(&mut broadcast_budget, 500, now));
    }

    #[test]
    fn one_member_may_send_forty_of_the_longest_messages_at_once() {
        let now = Instant::now();
        let (mut broadcast_budget, mut budget) = (BroadcastBudget::new(100), MemberBudget::new(2));
        let count =
            (0..60).filter(|_| budget.try_broadcast(&mut broadcast_budget, 16 * 1024 + 256, now));
        assert!(count.count() >= 40);
    }

    proptest! {
        #[test]
        fn broadcasts_of_a_room_never_exceed_its_rate(
            broadcasts in prop::collection::vec((0..20_usize, 1..17_000_usize, 0..20_u64), 1..400),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut broadcast_budget = BroadcastBudget::new(100);
            let mut budgets: Vec<_> = (0..20).map(|_| MemberBudget::new(2)).collect();
            let mut sent = 0;
            for (who, cost, wait) in broadcasts {
                now += Duration::from_millis(wait);
                sent += if budgets[who].try_broadcast(&mut broadcast_budget, cost, now) { cost } else { 0 };
            }
            let seconds = (now - start).as_secs_f64();
            let most = f64::from(ROOM_BROADCAST_BYTES.burst) + f64::from(ROOM_BROADCAST_BYTES.per_second) * seconds;
            prop_assert!(sent as f64 <= most + 1.0, "{sent} of {most}");
        }

        #[test]
        fn the_json_length_is_the_length_that_serde_writes(text in "\\PC{0,40}|[\u{0}-\u{7f}]{0,40}") {
            let json = serde_json::to_string(&text).expect("serialises");
            prop_assert_eq!(json_len(&text) + 2, json.len());
        }
    }
}
