//! Who is heard: the loudest three, whoever is pinned, and the sound of screens.

use super::*;
use crate::{
    protocol::Wanted,
    server::sfu::{
        PeerKey,
        command::Command,
        testing::browser::{core, join_without_media, participant},
    },
};
use std::time::Duration;
use str0m::media::MediaKind;

const ROOM: RoomKey = RoomKey(1);
const LISTENER: PeerKey = PeerKey(100);
const NO_SLOTS: (MediaKind, usize) = (MediaKind::Audio, 0);

/// Whom somebody with so many slots hears, in a call where 1 to 4 talk, 5 is silent, and 6
/// and 7 share screens with sound; with 5 pinned, or nobody.
fn heard(slots: usize, pinned: bool) -> Vec<String> {
    heard_of(1, slots, pinned)
}

/// The same, where those before this one are not there.
fn heard_of(first: u64, slots: usize, pinned: bool) -> Vec<String> {
    let (mut core, _events, now) = core();
    for number in (first..=5).rev() {
        join_without_media(&mut core, number, &[Source::Microphone], NO_SLOTS, now);
    }
    for number in 6..=7 {
        join_without_media(&mut core, number, &[Source::ScreenAudio], NO_SLOTS, now);
    }
    join_without_media(&mut core, LISTENER.0, &[], (MediaKind::Audio, slots), now);
    let mut later = now;
    for _ in 0..50 {
        later += Duration::from_millis(20);
        let room = core.rooms.get_mut(&ROOM).expect("open");
        for (key, track) in &mut room.tracks {
            track.layers[0].meter.on_packet(100, later);
            let talks = track.source == Source::Microphone && track.person != participant(5);
            let level = if talks { 20 } else { 120 };
            room.loudest.level(key as u32, level, talks, later);
        }
        room.loudest.tick(later);
    }
    let wanted = Wanted {
        id: participant(5),
        source: Source::Microphone,
        height: 0,
        pinned,
    };
    let command = Command::Subscribe {
        peer: LISTENER,
        wanted: vec![wanted],
    };
    core.handle_command(ROOM, command, later);
    let listener = core.keys[&(ROOM, LISTENER)];
    let bound = core.peers[listener]
        .downstream
        .down_tracks
        .iter()
        .filter_map(|slot| slot.track);
    let tracks = &core.rooms[&ROOM].tracks;
    let mut people: Vec<_> = bound
        .map(|track| tracks[track].person.to_string())
        .collect();
    people.sort();
    people
}

/// How many of those who talk are among them.
fn talkers(people: &[String]) -> usize {
    let talks = |id: &&String| ["p_1", "p_2", "p_3", "p_4"].contains(&id.as_str());
    people.iter().filter(talks).count()
}

#[test]
fn three_voices_are_heard_beside_whoever_is_pinned_and_every_screen() {
    let people = heard(6, true);
    assert_eq!((people.len(), talkers(&people)), (6, 3), "{people:?}");
    for other in ["p_5", "p_6", "p_7"] {
        assert!(people.iter().any(|id| id == other), "{other} of {people:?}");
    }
    let people = heard(6, false);
    assert_eq!((people.len(), talkers(&people)), (5, 3), "{people:?}");
}

#[test]
fn screens_never_silence_the_loudest_voice() {
    let people = heard(2, false);
    assert_eq!((people.len(), talkers(&people)), (2, 1), "{people:?}");
    // 5 came first and is silent; 4 is the only one who talks.
    let people = heard_of(4, 3, false);
    assert_eq!((people.len(), talkers(&people)), (3, 1), "{people:?}");
    let people = heard_of(4, 1, false);
    assert_eq!(people, ["p_4"], "the loudest first");
    let people = heard(2, true);
    assert_eq!((people.len(), talkers(&people)), (2, 1), "{people:?}");
    assert!(people.iter().any(|id| id == "p_5"), "pinned: {people:?}");
}

#[test]
fn a_screen_is_heard_from_when_it_sounds_until_it_is_silent() {
    let (mut core, _events, now) = core();
    join_without_media(&mut core, 1, &[Source::ScreenAudio], NO_SLOTS, now);
    join_without_media(&mut core, LISTENER.0, &[], (MediaKind::Audio, 3), now);
    let listener = core.keys[&(ROOM, LISTENER)];
    let bound = |core: &Core| {
        core.peers[listener]
            .downstream
            .down_tracks
            .iter()
            .any(|s| s.track.is_some())
    };
    core.tick(now);
    assert!(!bound(&core), "nothing is shared");
    let room = core.rooms.get_mut(&ROOM).expect("open");
    room.tracks[0].layers[0].meter.on_packet(100, now);
    core.tick(now + Duration::from_millis(50));
    assert!(bound(&core));
    core.tick(now + Duration::from_secs(10));
    assert!(!bound(&core), "it is over");
}
