//! The voice statistics of one speaker over the last second, in frames of 20 ms.
//!
//! Loudness is relative to the speaker's noise floor: a fan is not speech, and a soft voice is.
//! Frames follow the clock, not the packets: a burst of late packets is not louder than the same
//! packets in time, and a pause without packets is silence.

use std::time::{Duration, Instant};

/// The length of a frame in ms: an Opus packet of a browser.
const FRAME_MS: u128 = 20;
/// The number of frames kept: one second.
const FRAMES: usize = 50;
/// The number of frames in 100 ms.
const TENTH: usize = 5;
/// The number of frames of 100 ms that must contain speech for the part to count as speech. It
/// may contain one dip between two syllables.
const TENTH_SPEAKS: usize = 4;
/// The maximum number of frames that one packet represents: Opus packets of 60 ms, and jitter.
const LONGEST_PACKET: u64 = 3;
/// The number of frames that a packet may be late before the gap counts as silence.
const LATE: u64 = 3;

/// The lowest noise floor, as loudness: -70 dBov.
const QUIET: u8 = 127 - 70;
/// The highest noise floor, as loudness: -37 dBov. Speech is louder in any room.
const LOUDEST_ROOM: u8 = 127 - 37;
/// The size of a loudness step in dB.
const STEP_DB: u8 = 4;
/// The maximum number of loudness steps, 36 dB above the noise floor: the paper has 127 levels
/// in steps of 13. Above it the paper's score falls again.
const MOST_STEPS: u8 = 9;
/// The number of loudness steps from which a frame is speech: 16 dB above the noise floor.
const SPEECH_STEPS: u8 = 4;
/// Subtracted in dB from a packet without the voice activity flag. Not the whole level, because
/// some clients never set the flag.
const VOICELESS_DB: u8 = 12;
/// The number of frames over which the noise floor is measured: 3 s contain a breath.
const ROOM_FRAMES: u64 = 150;

/// The number of speech frames in the last 200 ms from which a speaker is shown: 100 ms.
const SHOW_FRAMES: usize = 5;
/// How long a speaker is shown after the last speech: longer than a gap between two words.
const SHOW_FOR: Duration = Duration::from_millis(600);
/// The weight of a packet in the smoothed level: about the last 100 ms count.
const SMOOTHING: f32 = 0.2;

/// The voice statistics of one speaker.
#[derive(Debug)]
pub struct Voice {
    /// When the first frame began.
    epoch: Instant,
    /// The number of the newest frame.
    newest: u64,
    /// The loudness steps of the last frames; a ring indexed by frame number.
    steps: [u8; FRAMES],
    /// The lowest loudness in the current span of [`ROOM_FRAMES`] and in the previous one.
    quietest: [u8; 2],
    /// The frame at which the current span ends.
    span_ends: u64,
    /// The smoothed level, in -dBov.
    smooth: f32,
    /// When there was last enough speech to show the speaker.
    spoke: Option<Instant>,
}

impl Voice {
    /// A speaker that has been silent so far.
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            newest: FRAMES as u64 - 1,
            steps: [0; FRAMES],
            quietest: [u8::MAX, 0],
            span_ends: FRAMES as u64 + ROOM_FRAMES,
            smooth: 127.0,
            spoke: None,
        }
    }

    /// Adds the level of a packet.
    pub fn level(&mut self, dbov: u8, voice: bool, now: Instant) {
        let dbov = dbov.min(127);
        self.smooth += SMOOTHING * (f32::from(dbov) - self.smooth);
        let loudness = 127 - dbov;
        let frame = self.frame(now);
        self.listen(loudness, frame);
        let steps = self.steps_of(loudness.saturating_sub(if voice { 0 } else { VOICELESS_DB }));
        if frame.saturating_sub(self.newest) > LONGEST_PACKET {
            self.fill(frame - 1, 0);
        }
        if frame <= self.newest {
            let known = self.at(self.newest);
            self.steps[ring(self.newest)] = known.max(steps);
        } else {
            self.fill(frame, steps);
        }
    }

    /// Advances the clock; frames without a packet are silence.
    pub fn settle(&mut self, now: Instant) {
        let frame = self.frame(now);
        if frame > self.newest + LATE {
            self.fill(frame - LATE, 0);
            self.smooth += SMOOTHING * (127.0 - self.smooth);
        }
        if self.spoken(0, 2 * TENTH) >= SHOW_FRAMES {
            self.spoke = Some(now);
        }
    }

    /// The loudness steps now, the speech frames in the last 100 ms, and the 100 ms parts of the
    /// last second that contain speech.
    pub fn counts(&self) -> [usize; 3] {
        let tenths =
            (0..FRAMES / TENTH).filter(|tenth| self.spoken(tenth * TENTH, TENTH) >= TENTH_SPEAKS);
        [
            usize::from(self.at(self.newest)),
            self.spoken(0, TENTH),
            tenths.count(),
        ]
    }

    /// Whether the speaker is shown as audible.
    pub fn is_shown(&self, now: Instant) -> bool {
        self.spoke
            .is_some_and(|spoke| now.saturating_duration_since(spoke) < SHOW_FOR)
    }

    /// The smoothed level, in -dBov.
    pub fn smooth_level(&self) -> u8 {
        self.smooth.round() as u8
    }

    /// The number of the frame at a time.
    fn frame(&self, now: Instant) -> u64 {
        // Starts at the length of the ring, so that the silent frames before have numbers too.
        FRAMES as u64 + (now.saturating_duration_since(self.epoch).as_millis() / FRAME_MS) as u64
    }

    /// Updates the noise floor.
    fn listen(&mut self, loudness: u8, frame: u64) {
        if frame >= self.span_ends {
            self.quietest = [u8::MAX, self.quietest[0]];
            self.span_ends = frame + ROOM_FRAMES;
        }
        self.quietest[0] = self.quietest[0].min(loudness);
    }

    /// The number of loudness steps above the noise floor.
    fn steps_of(&self, loudness: u8) -> u8 {
        let room = self.quietest[0].min(self.quietest[1]);
        let room = room.clamp(QUIET, LOUDEST_ROOM);
        (loudness.saturating_sub(room) / STEP_DB).min(MOST_STEPS)
    }

    /// Sets all frames after the newest one up to `frame`.
    fn fill(&mut self, frame: u64, steps: u8) {
        let first = (self.newest + 1).max(frame.saturating_sub(FRAMES as u64 - 1));
        for frame in first..=frame {
            self.steps[ring(frame)] = steps;
        }
        self.newest = self.newest.max(frame);
    }

    /// The loudness steps of a frame of the last second.
    fn at(&self, frame: u64) -> u8 {
        self.steps[ring(frame)]
    }

    /// The number of speech frames among `count` frames that end `back` frames ago.
    fn spoken(&self, back: usize, count: usize) -> usize {
        let frames = (back..back + count).map(|back| self.newest - back as u64);
        frames
            .filter(|frame| self.at(*frame) >= SPEECH_STEPS)
            .count()
    }
}

/// The index of a frame in the ring.
fn ring(frame: u64) -> usize {
    (frame % FRAMES as u64) as usize
}
