//! A shard that has too much to do gives its busiest room fewer pictures, and all of them
//! back when it is quiet; what was missed is told again.

use super::*;
use crate::{
    protocol::{ParticipantId, Slot, Source, Wanted},
    server::sfu::{
        PeerKey,
        command::Command,
        testing::browser::{core, join_without_media, participant},
    },
};
use str0m::media::MediaKind;
use tokio::sync::mpsc;

const ROOM: RoomKey = RoomKey(1);
const VIEWER: PeerKey = PeerKey(100);

/// Somebody who sees four cameras.
fn sees_four() -> (Core, mpsc::Receiver<Event>, Instant) {
    let (mut core, events, now) = core();
    (1..=4).for_each(|number| {
        join_without_media(
            &mut core,
            number,
            &[Source::Camera],
            (MediaKind::Video, 0),
            now,
        )
    });
    join_without_media(&mut core, VIEWER.0, &[], (MediaKind::Video, 4), now);
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
    (core, events, now)
}

/// What the viewer's slots carry by what was told: whose pictures run.
fn running(events: &mut mpsc::Receiver<Event>, slots: &mut Vec<Slot>) -> Vec<ParticipantId> {
    while let Ok(event) = events.try_recv() {
        let Event::Slots { peer, slots: told } = event else {
            continue;
        };
        assert_eq!(peer, VIEWER);
        slots.retain(|slot| told.iter().all(|other| other.mid != slot.mid));
        slots.extend(told);
    }
    let running = slots.iter().filter(|slot| !slot.paused);
    let mut people: Vec<_> = running.filter_map(|slot| slot.id.clone()).collect();
    people.sort();
    people
}

#[test]
fn an_overloaded_shard_pauses_the_least_important_pictures_and_brings_them_back() {
    let (mut core, mut events, mut now) = sees_four();
    let mut slots = Vec::new();
    assert_eq!(running(&mut events, &mut slots).len(), 4);
    let mut passes = |core: &mut Core, load: f64, seconds: u64| {
        for _ in 0..seconds {
            now += Duration::from_secs(1);
            core.on_load(load, now);
            core.tick_allocations(ROOM, now);
        }
        running(&mut events, &mut slots)
    };
    assert_eq!(passes(&mut core, 0.5, 3).len(), 4, "not busy");
    assert_eq!(passes(&mut core, 0.95, 1).len(), 3);
    assert_eq!(
        passes(&mut core, 0.95, 10),
        [participant(4)],
        "the pinned one stays"
    );
    assert_eq!(passes(&mut core, 0.7, 10), [participant(4)]);
    assert_eq!(passes(&mut core, 0.2, 30).len(), 4, "all are back");
    assert_eq!(core.rooms[&ROOM].video_limit.limit(), None);
}

#[test]
fn who_may_have_missed_it_is_told_again_which_layers_are_watched() {
    let (mut core, mut events, mut now) = sees_four();
    let layers = |events: &mut mpsc::Receiver<Event>, of: u64| {
        let told = std::iter::from_fn(|| events.try_recv().ok());
        let layers = told.filter_map(|event| match event {
            Event::Layers { peer, rids, .. } if peer == PeerKey(of) => Some(rids),
            _ => None,
        });
        layers.last()
    };
    for _ in 0..100 {
        now += Duration::from_millis(100);
        core.tick_layers(ROOM, now);
    }
    let told = layers(&mut events, 1).expect("told when nobody watches the largest any more");
    assert!(!told.is_empty() && told.len() < 3, "{told:?}");
    core.tick_layers(ROOM, now);
    assert_eq!(layers(&mut events, 1), None, "nothing new");
    core.handle_command(ROOM, Command::Resync { peer: PeerKey(1) }, now);
    assert_eq!(layers(&mut events, 1), Some(told));
}
