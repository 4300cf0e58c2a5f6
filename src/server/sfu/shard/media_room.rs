//! The media of one room: who sends what, and who is heard.

use crate::server::sfu::{
    command::Event,
    publish::track::Track,
    speakers::{Loudest, Speakers},
    subscribe::{allocator::Priority, load_shedding::VideoLimit},
};
use crate::{
    protocol::{ParticipantId, Source, Speaker, Wanted},
    server::metrics::Counter,
};
use slab::Slab;
use std::time::Instant;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Voices that are forwarded in a room, besides the pinned ones: three to each listener,
/// and one more because nobody hears themselves.
const FORWARDED_VOICES: usize = 4;

/// The media of a room.
pub struct MediaRoom {
    /// Where the room listens.
    events: mpsc::Sender<Event>,
    /// Counts events that the queue had no place for.
    dropped_events: Counter,
    /// Its peers.
    pub peers: Vec<usize>,
    /// Its tracks.
    pub tracks: Slab<Track>,
    /// Who has the floor.
    pub speakers: Speakers,
    /// Whose voice goes through.
    pub loudest: Loudest,
    /// Screens that are heard at the moment.
    audible_screens: Vec<usize>,
    /// How many pictures each person gets at most.
    pub video_limit: VideoLimit,
    /// Packets passed on since that was looked at last.
    pub packets_forwarded: u64,
    /// What was told of who is heard.
    announced_speakers: (Vec<u32>, Option<u32>),
}

impl MediaRoom {
    /// A room without anybody.
    pub fn new(events: mpsc::Sender<Event>, dropped_events: Counter) -> Self {
        Self {
            events,
            dropped_events,
            peers: Vec::new(),
            tracks: Slab::new(),
            speakers: Speakers::default(),
            loudest: Loudest::new(FORWARDED_VOICES),
            audible_screens: Vec::new(),
            video_limit: VideoLimit::default(),
            packets_forwarded: 0,
            announced_speakers: (Vec::new(), None),
        }
    }

    /// Nobody is in it any more.
    pub fn clear(&mut self) {
        *self = Self::new(self.events.clone(), self.dropped_events.clone());
    }

    /// Tells the room. What it has no place for is lost and counted: whoever needs it
    /// asks again.
    pub fn send_event(&self, event: Event) {
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            self.dropped_events.inc();
        }
    }

    /// Somebody's track of this sort.
    pub fn track_of(&self, person: &ParticipantId, source: Source) -> Option<usize> {
        let wanted = |track: &Track| track.source == source && track.person == *person;
        let mut tracks = self.tracks.iter();
        tracks.find(|(_, track)| wanted(track)).map(|(key, _)| key)
    }

    /// What belongs to a track: the face of a voice, the sound of a screen, and back.
    pub fn counterpart(&self, track: usize) -> Option<usize> {
        let track = self.tracks.get(track)?;
        self.track_of(&track.person, track.source.other_half())
    }

    /// How much a picture matters to whoever wants it.
    pub fn priority_of(&self, wanted: &Wanted) -> Priority {
        let dominant = self.speakers.dominant().map(|key| key as usize);
        let speaker = dominant.and_then(|key| Some(&self.tracks.get(key)?.person));
        match () {
            () if wanted.source == Source::Screen => Priority::Screen,
            () if wanted.pinned => Priority::Pinned,
            () if speaker == Some(&wanted.id) => Priority::Speaker,
            () => Priority::Visible,
        }
    }

    /// Looks which screens are heard; true where it is others than before.
    pub fn update_audible_screens(&mut self, now: Instant) -> bool {
        let sounds = |track: &Track| track.source == Source::ScreenAudio && track.has_audio(now);
        let audible_screens = self.tracks.iter().filter(|(_, track)| sounds(track));
        let audible_screens: Vec<usize> = audible_screens.map(|(key, _)| key).collect();
        let changes = audible_screens != self.audible_screens;
        self.audible_screens = audible_screens;
        changes
    }

    /// Tells who is heard, where that changed since the last time.
    pub fn send_speakers(&mut self, now: Instant) {
        let heard: Vec<u32> = self.speakers.active(now).collect();
        let dominant = self.speakers.dominant();
        if self.announced_speakers == (heard.clone(), dominant) {
            return;
        }
        let person = |key: u32| self.tracks.get(key as usize).map(|t| t.person.clone());
        let loudest = heard.iter().filter_map(|key| {
            let level = 127 - self.speakers.level_of(*key);
            person(*key).map(|id| Speaker { id, level })
        });
        let event = Event::Speakers {
            loudest: loudest.collect(),
            dominant: dominant.and_then(person),
        };
        self.send_event(event);
        self.announced_speakers = (heard, dominant);
    }
}
