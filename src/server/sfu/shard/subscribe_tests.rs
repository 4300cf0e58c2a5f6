//! Audio subscriptions: the three loudest voices, the pinned one, and the audio of screens.

use super::*;
use crate::{
    protocol::Wanted,
    server::sfu::{
        PeerKey,
        command::Command,
        testing::browser::{FakeBrowser, OfferedMedia, core, participant},
    },
};
use std::time::Duration;
use str0m::media::MediaKind;
use tokio::sync::mpsc;

const ROOM: RoomKey = RoomKey(1);
const LISTENER: PeerKey = PeerKey(100);

/// A room with a listener, and participants who send audio.
struct Call {
    core: Core,
    events: mpsc::Receiver<Event>,
    now: Instant,
    /// The source and the audio level in dBov of each sender.
    senders: Vec<(FakeBrowser, Source, i8)>,
    listener: FakeBrowser,
    /// Packets that each sender has sent.
    sent: u64,
}

impl Call {
    /// A call with these senders: the number of the participant, the source, and the level in
    /// dBov. The listener has `slots` receivers of audio.
    fn new(senders: &[(u64, Source, i8)], slots: usize) -> Self {
        let (mut core, mut events, mut now) = core();
        let mut join = |sent: &[Source], received: &[MediaKind], number| {
            let media = OfferedMedia {
                sent,
                received,
                ..OfferedMedia::default()
            };
            FakeBrowser::join_with_media(&media, &mut core, &mut events, &mut now, number)
        };
        let senders = senders
            .iter()
            .map(|(number, source, dbov)| (join(&[*source], &[], *number), *source, *dbov))
            .collect();
        let listener = join(&[], &vec![MediaKind::Audio; slots], LISTENER.0);
        Self {
            core,
            events,
            now,
            senders,
            listener,
            sent: 0,
        }
    }

    /// Lets time pass; every sender sends a packet each 20 ms.
    fn send_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.sent += 1;
            for (browser, source, dbov) in &mut self.senders {
                browser.send_audio(*source, self.sent, *dbov, self.now);
            }
            self.advance();
        }
    }

    /// Lets time pass in which nobody sends.
    fn wait_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.advance();
        }
    }

    /// Lets 20 ms pass and exchanges datagrams.
    fn advance(&mut self) {
        self.now += Duration::from_millis(20);
        for (browser, ..) in &mut self.senders {
            browser.exchange(&mut self.core, self.now);
        }
        self.listener.exchange(&mut self.core, self.now);
        while self.events.try_recv().is_ok() {}
    }

    /// The participants in the listener's slots, sorted.
    fn people_heard(&mut self) -> Vec<String> {
        let resync = Command::Resync { peer: LISTENER };
        self.core.handle_command(ROOM, resync, self.now);
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        let slots = events.filter_map(|event| match event {
            Event::Slots { peer, slots } if peer == LISTENER => Some(slots),
            _ => None,
        });
        let slots = slots.last().expect("the slots of the listener");
        let people = slots.into_iter().filter_map(|slot| slot.id);
        let mut people: Vec<_> = people.map(|id| id.to_string()).collect();
        people.sort();
        people
    }
}

/// The participants that a listener with `slots` receivers hears. 1 to 4 talk, 5 is silent, 6 and
/// 7 share the audio of a screen. `pinned`: the listener has pinned 5.
fn people_heard(slots: usize, pinned: bool) -> Vec<String> {
    people_heard_from(1, slots, pinned)
}

/// Like [`people_heard`], without the participants before `first`.
fn people_heard_from(first: u64, slots: usize, pinned: bool) -> Vec<String> {
    let voices = (first..=5).rev().map(|number| match number {
        5 => (5, Source::Microphone, -120),
        talker => (talker, Source::Microphone, -20),
    });
    let screens = [6, 7].map(|number| (number, Source::ScreenAudio, -20));
    let senders: Vec<_> = voices.chain(screens).collect();
    let mut call = Call::new(&senders, slots);
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
    call.core.handle_command(ROOM, command, call.now);
    call.send_for(Duration::from_secs(2));
    call.people_heard()
}

/// The number of people who talk among them.
fn talker_count(people: &[String]) -> usize {
    let talks = |id: &&String| ["p_1", "p_2", "p_3", "p_4"].contains(&id.as_str());
    people.iter().filter(talks).count()
}

#[test]
fn three_voices_are_heard_beside_whoever_is_pinned_and_every_screen() {
    let people = people_heard(6, true);
    assert_eq!((people.len(), talker_count(&people)), (6, 3), "{people:?}");
    for other in ["p_5", "p_6", "p_7"] {
        assert!(people.iter().any(|id| id == other), "{other} of {people:?}");
    }
    let people = people_heard(6, false);
    assert_eq!((people.len(), talker_count(&people)), (5, 3), "{people:?}");
}

#[test]
fn screens_never_silence_the_loudest_voice() {
    let people = people_heard(2, false);
    assert_eq!((people.len(), talker_count(&people)), (2, 1), "{people:?}");
    // 5 joined first and is silent; 4 is the only one who talks.
    let people = people_heard_from(4, 3, false);
    assert_eq!((people.len(), talker_count(&people)), (3, 1), "{people:?}");
    let people = people_heard_from(4, 1, false);
    assert_eq!(people, ["p_4"], "the loudest first");
    let people = people_heard(2, true);
    assert_eq!((people.len(), talker_count(&people)), (2, 1), "{people:?}");
    assert!(people.iter().any(|id| id == "p_5"), "pinned: {people:?}");
}

#[test]
fn a_screen_is_heard_from_when_it_sounds_until_it_is_silent() {
    let mut call = Call::new(&[(1, Source::ScreenAudio, -20)], 3);
    call.wait_for(Duration::from_millis(200));
    assert_eq!(call.people_heard(), [""; 0], "the screen has no audio yet");
    call.send_for(Duration::from_millis(100));
    assert_eq!(call.people_heard(), ["p_1"]);
    call.wait_for(Duration::from_secs(10));
    assert_eq!(
        call.people_heard(),
        [""; 0],
        "the audio of the screen ended"
    );
}
