//! The media of a room at the SFU, as the actor reaches it: commands in, events out.
//!
//! The queue of a shard may be full. A mute or a close must not be lost then: the SFU would go on
//! forwarding a participant whom a host has muted or removed. So commands that the queue refuses
//! wait here, and are sent again.

use crate::server::sfu::{Command, Event, MediaHandle, PeerKey};
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// The interval between two attempts to send the commands that wait. 50 ms: a shard empties its
/// whole queue in less.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The connection of a room's actor to the SFU. Dropping it closes every peer of the room.
pub struct RoomMedia {
    /// The queue of the shard.
    handle: MediaHandle,
    /// Events of the shard.
    events: mpsc::Receiver<Event>,
    /// The peers whose offer has reached the shard and that are not closed.
    peers: HashSet<PeerKey>,
    /// Commands that the queue has refused, in order: at most one of each kind for each peer, and
    /// none for a peer that the shard does not have.
    undelivered: VecDeque<Command>,
    /// When the commands that wait are sent again.
    retry_at: Option<Instant>,
}

/// An offer that the SFU did not receive: its peer is closed.
#[derive(Debug, PartialEq, Eq)]
pub struct OfferRefused(pub PeerKey);

impl RoomMedia {
    /// A connection without peers.
    pub fn new((handle, events): (MediaHandle, mpsc::Receiver<Event>)) -> Self {
        Self {
            handle,
            events,
            peers: HashSet::new(),
            undelivered: VecDeque::new(),
            retry_at: None,
        }
    }

    /// The handle of the room's media.
    pub fn handle(&self) -> &MediaHandle {
        &self.handle
    }

    /// Sends a command after those that wait. A command that the queue refuses waits, except an
    /// offer. A command for a peer that the SFU does not have is dropped.
    ///
    /// # Errors
    /// [`OfferRefused`]: the client opens another connection.
    pub fn send(&mut self, command: Command) -> Result<(), OfferRefused> {
        let peer = command.peer();
        let is_offer = matches!(command, Command::Offer { .. });
        if !is_offer && !self.peers.contains(&peer) {
            return Ok(());
        }
        self.retry();
        let is_close = matches!(command, Command::Close { .. });
        if is_close {
            self.peers.remove(&peer);
        }
        let kept = (!is_offer).then(|| command.clone());
        if self.undelivered.is_empty() && self.handle.send(command) {
            if is_offer {
                self.peers.insert(peer);
            }
            return Ok(());
        }
        match kept {
            Some(command) => {
                self.keep(command);
                Ok(())
            }
            None => {
                // The room forgets the peer, and so must the shard.
                if self.peers.remove(&peer) {
                    self.keep(Command::Close { peer });
                }
                Err(OfferRefused(peer))
            }
        }
    }

    /// The next event of the SFU; nothing once the shard has stopped. Meanwhile sends the commands
    /// that wait, as soon as the queue has space. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        loop {
            let retry = async {
                match self.retry_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.recv() => {
                    if let Some(Event::Closed { peer } | Event::Refused { peer }) = &event {
                        self.forget(*peer);
                    }
                    return event;
                }
                () = retry => self.retry(),
            }
        }
    }

    /// Sends the commands that wait, in order, until the queue refuses one.
    fn retry(&mut self) {
        while let Some(command) = self.undelivered.front() {
            if !self.handle.send(command.clone()) {
                break;
            }
            self.undelivered.pop_front();
        }
        let is_waiting = !self.undelivered.is_empty();
        self.retry_at = is_waiting.then(|| Instant::now() + RETRY_INTERVAL);
    }

    /// Keeps a command that the queue has refused, in place of those that it makes void: the former
    /// one of its kind, and for a close all of the peer.
    fn keep(&mut self, command: Command) {
        let is_close = matches!(command, Command::Close { .. });
        let kind = std::mem::discriminant(&command);
        self.undelivered.retain(|waiting| {
            let is_same_kind = is_close || std::mem::discriminant(waiting) == kind;
            !(waiting.peer() == command.peer() && is_same_kind)
        });
        self.undelivered.push_back(command);
        self.retry_at
            .get_or_insert_with(|| Instant::now() + RETRY_INTERVAL);
    }

    /// Forgets a peer that the SFU has removed, and what waits for it.
    fn forget(&mut self, peer: PeerKey) {
        self.peers.remove(&peer);
        self.undelivered.retain(|waiting| waiting.peer() != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::{MediaOffer, ParticipantId, Source},
        server::sfu::{Offer, Sfu, ShardMessage},
    };
    use std::sync::mpsc::{Receiver, TryRecvError};

    /// Messages that the queue of the shard holds.
    const LENGTH: usize = 4;

    fn offer(peer: u64) -> Command {
        Command::Offer {
            peer: PeerKey(peer),
            person: ParticipantId::parse("p_x").expect("valid"),
            offer: Offer::new(MediaOffer {
                connection: 1,
                offer_id: 1,
                sdp: String::new(),
                tracks: vec![],
            }),
        }
    }

    fn mute(peer: u64, sources: &[Source]) -> Command {
        Command::SetMuted {
            peer: PeerKey(peer),
            sources: sources.iter().copied().collect(),
        }
    }

    fn subscribe(peer: u64) -> Command {
        Command::Subscribe {
            peer: PeerKey(peer),
            wanted: vec![],
        }
    }

    fn close(peer: u64) -> Command {
        Command::Close {
            peer: PeerKey(peer),
        }
    }

    /// The queue of a shard that takes no messages, and the sender of its events.
    struct Stalled {
        queue: Receiver<ShardMessage>,
        _events: mpsc::Sender<Event>,
    }

    /// A room whose peers have all offered, at a shard whose queue is full.
    fn stalled(peers: u64) -> (RoomMedia, Stalled) {
        let (sfu, queue) = Sfu::without_thread(LENGTH);
        let mut media = RoomMedia::new(sfu.open_room().expect("the queue has space"));
        let Ok(ShardMessage::OpenRoom { events, .. }) = queue.try_recv() else {
            panic!("the room is opened first");
        };
        let shard = Stalled {
            queue,
            _events: events,
        };
        for peer in 1..=peers {
            assert_eq!(media.send(offer(peer)), Ok(()));
            assert_eq!(taken(&shard), []);
        }
        while media.handle.send(close(u64::MAX)) {}
        (media, shard)
    }

    /// The commands in the queue of the shard, except those that only fill it.
    fn taken(shard: &Stalled) -> Vec<Command> {
        let mut commands = Vec::new();
        loop {
            match shard.queue.try_recv() {
                Ok(ShardMessage::Command { command, .. }) => commands.push(command),
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        commands.retain(|command| {
            *command != close(u64::MAX) && !matches!(command, Command::Offer { .. })
        });
        commands
    }

    /// Waits until the shard has received `count` commands, while the room is idle.
    async fn received(media: &mut RoomMedia, shard: &Stalled, count: usize) -> Vec<Command> {
        let mut all = taken(shard);
        while all.len() < count {
            let event = tokio::time::timeout(RETRY_INTERVAL * 2, media.next_event()).await;
            assert!(event.is_err(), "there are no events");
            all.extend(taken(shard));
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_mute_and_a_close_arrive_in_order_once_the_queue_has_space() {
        let (mut media, shard) = stalled(2);
        let microphone = mute(1, &[Source::Microphone]);
        let both = mute(1, &[Source::Microphone, Source::Camera]);
        for command in [
            microphone,
            subscribe(1),
            mute(2, &[Source::Screen]),
            close(2),
            both.clone(),
        ] {
            assert_eq!(media.send(command), Ok(()));
        }
        let event = tokio::time::timeout(RETRY_INTERVAL * 3, media.next_event()).await;
        assert!(event.is_err(), "the queue is full all the time");
        let arrived = received(&mut media, &shard, 3).await;
        assert_eq!(arrived, [subscribe(1), close(2), both]);
        assert_eq!((media.undelivered.len(), media.retry_at), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_command_does_not_overtake_a_mute() {
        let (mut media, shard) = stalled(1);
        let muted = mute(1, &[Source::Microphone]);
        assert_eq!(media.send(muted.clone()), Ok(()));
        assert_eq!(taken(&shard), []);
        assert_eq!(media.send(subscribe(1)), Ok(()));
        assert_eq!(taken(&shard), [muted, subscribe(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_that_is_refused_closes_the_former_connection_of_its_peer() {
        let (mut media, shard) = stalled(1);
        let muted = mute(1, &[Source::Camera]);
        assert_eq!(media.send(muted), Ok(()));
        assert_eq!(media.send(offer(1)), Err(OfferRefused(PeerKey(1))));
        assert_eq!(media.send(offer(7)), Err(OfferRefused(PeerKey(7))));
        assert_eq!(media.send(mute(7, &[])), Ok(()));
        assert_eq!(received(&mut media, &shard, 1).await, [close(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_by_the_peers_of_the_room() {
        let (mut media, _shard) = stalled(3);
        for peer in (1..=9).cycle().take(1_000) {
            let resync = Command::Resync {
                peer: PeerKey(peer),
            };
            for command in [mute(peer, &[]), subscribe(peer), resync] {
                assert_eq!(media.send(command), Ok(()));
            }
            assert!(media.send(offer(peer + 9)).is_err());
        }
        assert_eq!(media.undelivered.len(), 9);
        for peer in 1..=9 {
            assert_eq!(media.send(close(peer)), Ok(()));
            assert_eq!(media.send(mute(peer, &[])), Ok(()));
        }
        assert_eq!(media.undelivered, [close(1), close(2), close(3)]);
    }
}
