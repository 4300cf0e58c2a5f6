//! Offers that wait to be answered: one per peer, and rooms in turn.
//!
//! Answering an offer takes about as long as forwarding hundreds of packets, so the shard answers
//! one offer per poll. A new offer of a peer replaces the waiting one: the queue holds at most one
//! per peer, and a room that floods offers delays another room by one of them.

use crate::server::sfu::{
    command::Command,
    keys::{PeerKey, RoomKey},
};
use std::collections::VecDeque;

/// The waiting offers.
#[derive(Default)]
pub struct OfferQueue {
    /// In order of arrival.
    queue: VecDeque<QueuedOffer>,
    /// The room whose offer was answered last.
    last_room: Option<RoomKey>,
}

/// An offer, and what followed it.
struct QueuedOffer {
    /// The room that the peer is in.
    room: RoomKey,
    /// The peer that offers.
    peer: PeerKey,
    /// The offer: always a [`Command::Offer`].
    offer: Command,
    /// The last [`Command::SetMuted`] after the offer.
    muted: Option<Command>,
    /// The last [`Command::Subscribe`] after the offer.
    subscription: Option<Command>,
}

impl OfferQueue {
    /// Queues a command that has to wait. Returns a command that is due at once.
    pub fn push(&mut self, room: RoomKey, command: Command) -> Option<Command> {
        let place = |waiting: &VecDeque<QueuedOffer>, peer| {
            waiting
                .iter()
                .position(|other| other.room == room && other.peer == peer)
        };
        match command {
            Command::Offer { peer, .. } => {
                match place(&self.queue, peer) {
                    Some(found) => self.queue[found].offer = command,
                    None => self.queue.push_back(QueuedOffer {
                        room,
                        peer,
                        offer: command,
                        muted: None,
                        subscription: None,
                    }),
                }
                None
            }
            Command::Subscribe { peer, .. } => match place(&self.queue, peer) {
                Some(found) => {
                    self.queue[found].subscription = Some(command);
                    None
                }
                None => Some(command),
            },
            Command::SetMuted { peer, .. } => {
                // At once for a connection that was answered before; after the offer for one that
                // does not exist yet.
                if let Some(found) = place(&self.queue, peer) {
                    self.queue[found].muted = Some(command.clone());
                }
                Some(command)
            }
            Command::Close { peer } => {
                // An earlier offer may have been answered: that connection closes.
                if let Some(found) = place(&self.queue, peer) {
                    self.queue.remove(found);
                }
                Some(command)
            }
            // The answer to a waiting offer brings the whole state anyway.
            Command::Resync { .. } => Some(command),
        }
    }

    /// Removes the offers of a room.
    pub fn close_room(&mut self, room: RoomKey) {
        self.queue.retain(|waiting| waiting.room != room);
    }

    /// Takes the next offer and what follows it, with its room: the oldest of another room than
    /// the last, else the oldest.
    pub fn pop(&mut self) -> Option<(RoomKey, impl Iterator<Item = Command> + use<>)> {
        let of_another = |waiting: &QueuedOffer| Some(waiting.room) != self.last_room;
        let found = self.queue.iter().position(of_another).unwrap_or(0);
        let next = self.queue.remove(found)?;
        self.last_room = Some(next.room);
        let after = next.muted.into_iter().chain(next.subscription);
        Some((next.room, std::iter::once(next.offer).chain(after)))
    }

    /// Whether no offer waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{MediaOffer, Source};
    use crate::server::sfu::{peer::sdp::offer::Offer, testing::browser::participant};

    fn offer(peer: u64, offer_id: u32) -> Command {
        Command::Offer {
            peer: PeerKey(peer),
            person: participant(peer),
            offer: Offer::new(MediaOffer {
                connection: 1,
                offer_id,
                sdp: String::new(),
                tracks: vec![],
            }),
        }
    }

    /// Which peers are answered, in order.
    fn answered(queue: &mut OfferQueue) -> Vec<(u64, u64, u32)> {
        let all = std::iter::from_fn(|| queue.pop());
        let named = all.map(|(room, mut commands)| match commands.next() {
            Some(Command::Offer { peer, offer, .. }) => (room.0, peer.0, offer.offer_id),
            other => panic!("{other:?}"),
        });
        named.collect()
    }

    #[test]
    fn an_offer_waits_for_one_of_a_room_that_floods_and_a_flood_of_one_person_is_one_offer() {
        let mut queue = OfferQueue::default();
        for n in 1..=100 {
            for peer in 1..=50 {
                assert_eq!(queue.push(RoomKey(1), offer(peer, n)), None);
            }
        }
        queue.push(RoomKey(2), offer(1, 1));
        let order = answered(&mut queue);
        assert_eq!(order.len(), 51);
        assert_eq!(order[..2], [(1, 1, 100), (2, 1, 1)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_said_after_an_offer_is_done_after_it() {
        let mut queue = OfferQueue::default();
        let subscription = |peer| Command::Subscribe {
            peer: PeerKey(peer),
            wanted: vec![],
        };
        assert_eq!(
            queue.push(RoomKey(1), subscription(1)),
            Some(subscription(1))
        );
        queue.push(RoomKey(1), offer(1, 1));
        assert_eq!(queue.push(RoomKey(1), subscription(1)), None);
        assert_eq!(
            queue.push(RoomKey(2), subscription(1)),
            Some(subscription(1))
        );
        let (_, commands) = queue.pop().expect("waits");
        assert_eq!(commands.collect::<Vec<_>>(), [offer(1, 1), subscription(1)]);
    }

    #[test]
    fn a_mute_is_due_at_once_and_again_after_an_offer_that_waits() {
        let mut queue = OfferQueue::default();
        let mute = |peer, sources: &[Source]| Command::SetMuted {
            peer: PeerKey(peer),
            sources: sources.iter().copied().collect(),
        };
        let (first, last) = (mute(1, &[Source::Camera]), mute(1, &[Source::Microphone]));
        queue.push(RoomKey(1), offer(1, 1));
        queue.push(RoomKey(1), offer(2, 1));
        for command in [first, last.clone()] {
            assert_eq!(queue.push(RoomKey(1), command.clone()), Some(command));
        }
        queue.push(RoomKey(1), offer(1, 2));
        let (_, commands) = queue.pop().expect("waits");
        assert_eq!(commands.collect::<Vec<_>>(), [offer(1, 2), last]);
        let (_, commands) = queue.pop().expect("waits");
        assert_eq!(commands.collect::<Vec<_>>(), [offer(2, 1)]);
    }

    #[test]
    fn an_offer_of_a_connection_that_closes_is_not_answered() {
        let mut queue = OfferQueue::default();
        queue.push(RoomKey(1), offer(1, 1));
        queue.push(RoomKey(1), offer(2, 1));
        queue.push(RoomKey(2), offer(1, 1));
        let close = Command::Close { peer: PeerKey(1) };
        assert_eq!(queue.push(RoomKey(1), close.clone()), Some(close));
        queue.close_room(RoomKey(2));
        assert_eq!(answered(&mut queue), [(1, 2, 1)]);
    }
}
