//! The media of one room: its peers, its tracks and its speakers.

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

/// Voices forwarded in a room, besides pinned ones. 4: three for each listener, and one more
/// because nobody receives their own.
const FORWARDED_VOICES: usize = 4;

/// The media of a room.
pub struct MediaRoom {
    /// The queue of the room's actor.
    events: mpsc::Sender<Event>,
    /// Counts events dropped with the queue full.
    dropped_events: Counter,
    /// The indices of its peers.
    pub peers: Vec<usize>,
    /// Its tracks, by key.
    pub tracks: Slab<Track>,
    /// Finds the dominant speaker.
    pub speakers: Speakers,
    /// Selects the voices that are forwarded.
    pub loudest: Loudest,
    /// The keys of screen audio tracks that are live.
    audible_screens: Vec<usize>,
    /// The most videos that one peer receives.
    pub video_limit: VideoLimit,
    /// Packets forwarded in the current load window.
    pub packets_forwarded: u64,
    /// Whether a source was muted or unmuted since the last tick.
    pub mutes_changed: bool,
    /// The speakers and the dominant speaker as announced last.
    announced_speakers: (Vec<u32>, Option<u32>),
}

impl MediaRoom {
    /// A room without peers.
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
            mutes_changed: false,
            announced_speakers: (Vec::new(), None),
        }
    }

    /// Whether the actor of the room has ended.
    pub fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// Removes all peers, tracks and speakers.
    pub fn clear(&mut self) {
        *self = Self::new(self.events.clone(), self.dropped_events.clone());
    }

    /// Sends an event to the room's actor. With its queue full the event is dropped and counted; a
    /// client that misses something sends `resync`.
    pub fn send_event(&self, event: Event) {
        if let Err(TrySendError::Full(_)) = self.events.try_send(event) {
            self.dropped_events.inc();
        }
    }

    /// The track of a participant with this source.
    pub fn track_of(&self, person: &ParticipantId, source: Source) -> Option<usize> {
        let wanted = |track: &Track| track.source == source && track.person == *person;
        let mut tracks = self.tracks.iter();
        tracks.find(|(_, track)| wanted(track)).map(|(key, _)| key)
    }

    /// The track to play in sync with a track: camera and microphone, screen and its audio.
    pub fn counterpart(&self, track: usize) -> Option<usize> {
        let track = self.tracks.get(track)?;
        self.track_of(&track.person, track.source.other_half())
    }

    /// The priority of a wanted video.
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

    /// Updates which screens are audible. Returns whether they changed.
    pub fn update_audible_screens(&mut self, now: Instant) -> bool {
        let sounds = |track: &Track| track.source == Source::ScreenAudio && track.has_audio(now);
        let audible_screens = self.tracks.iter().filter(|(_, track)| sounds(track));
        let audible_screens: Vec<usize> = audible_screens.map(|(key, _)| key).collect();
        let changes = audible_screens != self.audible_screens;
        self.audible_screens = audible_screens;
        changes
    }

    /// Sends the speakers, where they changed.
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
