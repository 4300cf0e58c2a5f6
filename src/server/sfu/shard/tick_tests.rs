//! Load shedding: an overloaded shard sends its busiest room fewer videos, and all of them again
//! once its load is low. The watched layers of a sender are sent again on request.

use super::*;
use crate::{
    protocol::{ParticipantId, Slot, Source, Wanted},
    server::sfu::{
        PeerKey,
        command::Command,
        testing::browser::{FakeBrowser, OfferedMedia, core, join_without_media, participant},
    },
};
use str0m::media::MediaKind;
use tokio::sync::mpsc;

const ROOM: RoomKey = RoomKey(1);
const VIEWER: PeerKey = PeerKey(100);

/// Subscribes the viewer to the cameras of participants 1 to 4; 4 is pinned.
fn subscribe_to_four(core: &mut Core, now: Instant) {
    let wanted = |number| Wanted {
        id: participant(number),
        source: Source::Camera,
        height: 360,
        pinned: number == 4,
    };
    let command = Command::Subscribe {
        peer: VIEWER,
        wanted: (1..=4).map(wanted).collect(),
    };
    core.handle_command(ROOM, command, now);
}

/// A call of four cameras and a viewer who receives them.
struct Call {
    core: Core,
    events: mpsc::Receiver<Event>,
    now: Instant,
    /// The four cameras, and the viewer.
    people: Vec<FakeBrowser>,
    /// Sequence number of the last packet of each camera.
    sequence: u64,
    /// The viewer's slots, by the events so far.
    slots: Vec<Slot>,
}

impl Call {
    fn new() -> Self {
        let (mut core, mut events, mut now) = core();
        let camera = OfferedMedia {
            sent: &[Source::Camera],
            received: &[],
            ..OfferedMedia::default()
        };
        let viewer = OfferedMedia {
            sent: &[],
            received: &[MediaKind::Video; 4],
            ..OfferedMedia::default()
        };
        let media = (1..=4).map(|number| (number, &camera));
        let media = media.chain([(VIEWER.0, &viewer)]);
        let join = |(number, media)| {
            FakeBrowser::join_with_media(media, &mut core, &mut events, &mut now, number)
        };
        let people = media.map(join).collect();
        subscribe_to_four(&mut core, now);
        Self {
            core,
            events,
            now,
            people,
            sequence: 0,
            slots: Vec::new(),
        }
    }

    /// Lets seconds pass in which the shard has this load. Returns the people whose video is
    /// sent to the viewer.
    fn people_shown_after(&mut self, seconds: u64, load: f64) -> Vec<ParticipantId> {
        for _ in 0..seconds {
            for _ in 0..10 {
                self.now += Duration::from_millis(100);
                self.sequence += 1;
                for browser in self.people.iter_mut().take(4) {
                    browser.send_keyframe(self.sequence, self.now);
                }
                for browser in &mut self.people {
                    browser.exchange(&mut self.core, self.now);
                }
                self.read_slots();
            }
            self.core.on_load(load, self.now);
        }
        self.people_shown()
    }

    /// The people whose video is sent to the viewer.
    fn people_shown(&mut self) -> Vec<ParticipantId> {
        self.read_slots();
        let shown = self.slots.iter().filter(|slot| !slot.paused);
        let mut people: Vec<_> = shown.filter_map(|slot| slot.id.clone()).collect();
        people.sort();
        people
    }

    /// Applies the slots in the events since the last call.
    fn read_slots(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            let Event::Slots { peer, slots } = event else {
                continue;
            };
            assert_eq!(peer, VIEWER);
            let is_unchanged = |slot: &Slot| slots.iter().all(|new| new.mid != slot.mid);
            self.slots.retain(is_unchanged);
            self.slots.extend(slots);
        }
    }
}

#[test]
fn an_overloaded_shard_pauses_the_least_important_pictures_and_brings_them_back() {
    let mut call = Call::new();
    assert_eq!(call.people_shown().len(), 4);
    assert_eq!(call.people_shown_after(3, 0.5).len(), 4, "not busy");
    assert_eq!(call.people_shown_after(1, 0.95).len(), 3);
    let pinned = [participant(4)];
    assert_eq!(call.people_shown_after(10, 0.95), pinned);
    assert_eq!(call.people_shown_after(10, 0.7), pinned);
    assert_eq!(call.people_shown_after(30, 0.2).len(), 4, "all are back");
}

#[test]
fn the_watched_layers_are_sent_again_on_request() {
    let (mut core, mut events, start) = core();
    let mut now = start;
    for number in 1..=4 {
        let no_slots = (MediaKind::Video, 0);
        join_without_media(&mut core, number, &[Source::Camera], no_slots, now);
    }
    join_without_media(&mut core, VIEWER.0, &[], (MediaKind::Video, 4), now);
    subscribe_to_four(&mut core, now);
    let mut layers = |core: &mut Core| {
        core.handle_timeout(now);
        now += Duration::from_millis(100);
        let events = std::iter::from_fn(|| events.try_recv().ok());
        let layers = events.filter_map(|event| match event {
            Event::Layers {
                peer: PeerKey(1),
                rids,
                ..
            } => Some(rids),
            _ => None,
        });
        layers.last()
    };
    let mut sent = None;
    for _ in 0..100 {
        sent = layers(&mut core).or(sent);
    }
    let sent = sent.expect("nobody watches the largest layer any more");
    assert!(!sent.is_empty() && sent.len() < 3, "{sent:?}");
    let unchanged = (0..10).find_map(|_| layers(&mut core));
    assert_eq!(unchanged, None);
    let resync = Command::Resync { peer: PeerKey(1) };
    core.handle_command(ROOM, resync, start + Duration::from_secs(11));
    assert_eq!(layers(&mut core), Some(sent));
}
