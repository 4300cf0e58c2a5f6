//! One person's voice over the last second, in frames of 20 ms.
//!
//! Loudness is measured from the quiet of the person's own room: a fan is not speech, and a
//! soft voice is. Frames go by the clock, not by packets: a burst of late packets is no
//! louder than the same packets in time, and a pause without packets is silence.

use std::time::{Duration, Instant};

/// One frame, in ms: an Opus packet of a browser.
const FRAME_MS: u128 = 20;
/// Frames that are kept: a second.
const FRAMES: usize = 50;
/// Frames in a tenth of a second.
const TENTH: usize = 5;
/// Frames of a tenth that must hold speech for it to count as speech: a dip between two
/// syllables may be in it.
const TENTH_SPEAKS: usize = 4;
/// Frames that one packet may stand for: Opus packets of 60 ms, and network jitter.
const LONGEST_PACKET: u64 = 3;
/// Frames the newest packet may be late before its place counts as silence.
const LATE: u64 = 3;

/// Loudness of -70 dBov: what is below is quiet in every room.
const QUIET: u8 = 127 - 70;
/// Loudness of -37 dBov: a room this loud all the time is still spoken over.
const LOUDEST_ROOM: u8 = 127 - 37;
/// dB in a step of loudness.
const STEP_DB: u8 = 4;
/// The most steps, as 127 levels in steps of 13 make 9: 36 dB above the room. Beyond, the
/// paper's score falls again.
const MOST_STEPS: u8 = 9;
/// Steps from which a frame is speech: 16 dB above the room.
const SPEECH_STEPS: u8 = 4;
/// dB that a packet loses which its sender does not take for a voice. Not all of them: some
/// senders never do.
const VOICELESS_DB: u8 = 12;
/// Frames over which the quiet of a room is looked for: 3 s, in which everybody draws breath.
const ROOM_FRAMES: u64 = 150;

/// Speech of the last 200 ms from which somebody is shown, in frames: 100 ms.
const SHOW_FRAMES: usize = 5;
/// How long somebody is shown after the last speech: longer than a gap between two words.
const SHOW_FOR: Duration = Duration::from_millis(600);
/// The weight of a packet in the smooth level: 100 ms or so of packets count.
const SMOOTHING: f32 = 0.2;

/// The voice of one person.
#[derive(Debug)]
pub struct Voice {
    /// When the first frame began.
    epoch: Instant,
    /// The newest frame there is.
    newest: u64,
    /// Steps of loudness; a ring by the frame's number.
    steps: [u8; FRAMES],
    /// The least loudness in the current span of [`ROOM_FRAMES`], and in the one before.
    quietest: [u8; 2],
    /// The frame at which the current span ends.
    span_ends: u64,
    /// The level as shown, in -dBov.
    smooth: f32,
    /// When it was last shown as speaking.
    spoke: Option<Instant>,
}

impl Voice {
    /// A voice that has been silent.
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

    /// Takes the level of a packet.
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

    /// Lets time go on: frames that no packet came for are silence.
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

    /// Steps of loudness now, frames of speech in the last 100 ms, tenths of the last second
    /// that hold speech.
    pub fn counts(&self) -> [usize; 3] {
        let tenths =
            (0..FRAMES / TENTH).filter(|tenth| self.spoken(tenth * TENTH, TENTH) >= TENTH_SPEAKS);
        [
            usize::from(self.at(self.newest)),
            self.spoken(0, TENTH),
            tenths.count(),
        ]
    }

    /// Whether it is to be shown as heard.
    pub fn is_shown(&self, now: Instant) -> bool {
        self.spoke
            .is_some_and(|spoke| now.saturating_duration_since(spoke) < SHOW_FOR)
    }

    /// The level of late, in -dBov.
    pub fn smooth_level(&self) -> u8 {
        self.smooth.round() as u8
    }

    /// The frame at a time.
    fn frame(&self, now: Instant) -> u64 {
        // Counted from one ring on: what lies before is silence, and has numbers too.
        FRAMES as u64 + (now.saturating_duration_since(self.epoch).as_millis() / FRAME_MS) as u64
    }

    /// Keeps in mind how quiet the room is.
    fn listen(&mut self, loudness: u8, frame: u64) {
        if frame >= self.span_ends {
            self.quietest = [u8::MAX, self.quietest[0]];
            self.span_ends = frame + ROOM_FRAMES;
        }
        self.quietest[0] = self.quietest[0].min(loudness);
    }

    /// Steps above the quiet of the room.
    fn steps_of(&self, loudness: u8) -> u8 {
        let room = self.quietest[0].min(self.quietest[1]);
        let room = room.clamp(QUIET, LOUDEST_ROOM);
        (loudness.saturating_sub(room) / STEP_DB).min(MOST_STEPS)
    }

    /// Sets all frames after the newest, up to this one.
    fn fill(&mut self, frame: u64, steps: u8) {
        let first = (self.newest + 1).max(frame.saturating_sub(FRAMES as u64 - 1));
        for frame in first..=frame {
            self.steps[ring(frame)] = steps;
        }
        self.newest = self.newest.max(frame);
    }

    /// The steps of a frame of the last second.
    fn at(&self, frame: u64) -> u8 {
        self.steps[ring(frame)]
    }

    /// Frames of speech among `count`, from the one `back` frames ago backwards.
    fn spoken(&self, back: usize, count: usize) -> usize {
        let frames = (back..back + count).map(|back| self.newest - back as u64);
        frames
            .filter(|frame| self.at(*frame) >= SPEECH_STEPS)
            .count()
    }
}

/// A frame's place in the ring.
fn ring(frame: u64) -> usize {
    (frame % FRAMES as u64) as usize
}
