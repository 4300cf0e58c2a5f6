//! Tests of the dominant speaker and the shown speakers.

use super::*;
use proptest::prelude::*;

/// A room whose speakers send a packet every 20 ms; the detector ticks every 50 ms.
struct Stage {
    /// The detector under test.
    speakers: Speakers,
    /// The start of the simulated clock.
    start: Instant,
    /// The time since the start, in ms.
    ms: u64,
    /// Each change of the dominant speaker: the time in ms and the new one.
    floors: Vec<(u64, Option<u32>)>,
}

impl Stage {
    /// A room without speakers.
    fn new() -> Self {
        Self {
            speakers: Speakers::default(),
            start: Instant::now(),
            ms: 0,
            floors: Vec::new(),
        }
    }

    /// Plays one trace per speaker to the end of the longest; a finished speaker is quiet.
    fn play(&mut self, traces: &[Vec<u8>]) {
        let frames = traces.iter().map(Vec::len).max().unwrap_or(0) as u64;
        let (from, to) = (self.ms, self.ms + frames * 20);
        for ms in from..to {
            let now = self.start + Duration::from_millis(ms);
            if (ms - from) % 20 == 0 {
                for (key, trace) in traces.iter().enumerate() {
                    let level = trace
                        .get(((ms - from) / 20) as usize)
                        .copied()
                        .unwrap_or(80);
                    self.speakers.level(key as u32, level, level < 60, now);
                }
            }
            if ms % 50 == 0 && self.speakers.tick(now) {
                self.floors.push((ms, self.speakers.dominant()));
            }
        }
        self.ms = to;
    }

    /// The speakers shown now.
    fn shown(&self) -> Vec<u32> {
        let now = self.start + Duration::from_millis(self.ms);
        self.speakers.active(now).collect()
    }
}

#[test]
fn a_new_speaker_is_shown_within_300_ms() {
    for seed in 0..100 {
        let mut stage = Stage::new();
        stage.play(&[quiet(seed, 150 + seed as usize % 5), quiet(seed + 1, 150)]);
        assert_eq!(stage.shown(), [0; 0]);
        let began = stage.ms;
        let trace = speech(seed, 25, 20);
        for frame in 0..15 {
            stage.play(&[trace[frame..=frame].to_vec(), vec![80]]);
            if stage.shown() == [0] {
                break;
            }
        }
        assert_eq!(stage.shown(), [0], "seed {seed}");
        assert!(stage.ms - began <= 300);
    }
}

#[test]
fn a_first_speaker_becomes_dominant_within_a_second() {
    let mut took = Vec::new();
    for seed in 0..200 {
        let mut stage = Stage::new();
        stage.play(&[quiet(seed, 150), quiet(seed + 1, 150)]);
        let began = stage.ms;
        stage.play(&[quiet(seed, 100), speech(seed, 22 + seed % 15, 100)]);
        assert_eq!(stage.floors.len(), 1, "seed {seed}");
        assert_eq!(stage.floors[0].1, Some(1));
        took.push(stage.floors[0].0 - began);
    }
    took.sort_unstable();
    assert!(took[100] <= 550, "half of them within {} ms", took[100]);
    assert!(took[199] <= 1_000, "all of them within {} ms", took[199]);
}

#[test]
fn a_cough_does_not_become_dominant() {
    for offset in 0..50 {
        let mut cough = quiet(offset, offset as usize);
        // A cough of 250 ms covers at most 14 packets.
        cough.extend([12, 8, 5, 5, 6, 8, 10, 12, 15, 18, 20, 24, 28, 28]);
        cough.resize(120, 80);
        let mut stage = Stage::new();
        stage.play(&[quiet(1, 150), quiet(2, 150)]);
        stage.play(&[quiet(3, 120), cough.clone()]);
        assert_eq!(stage.floors, [], "without a dominant speaker");
        // Another speaker speaks, then pauses; the cough falls anywhere in both.
        let mut talk = speech(offset, 25, 60);
        talk.resize(120, 80);
        stage.play(&[speech(offset, 25, 200), quiet(5, 200)]);
        stage.play(&[talk, cough]);
        let owners: Vec<_> = stage.floors.iter().map(|(_, owner)| *owner).collect();
        assert_eq!(owners, [Some(0)], "with a pausing dominant speaker");
    }
}

#[test]
fn the_dominant_speaker_follows_turn_taking() {
    for seed in 0..50 {
        let mut stage = Stage::new();
        for turn in 0..6 {
            let mut traces = vec![quiet(seed, 200); 2];
            traces[turn % 2] = speech(seed * 10 + turn as u64, 25, 200);
            let began = stage.ms;
            stage.play(&traces);
            assert_eq!(
                stage.floors.len(),
                turn + 1,
                "one change a turn, seed {seed}"
            );
            let (at, owner) = stage.floors[turn];
            assert_eq!(owner, Some(turn as u32 % 2));
            assert!(
                at - began <= 1_300,
                "{} ms after the turn began",
                at - began
            );
        }
    }
}

#[test]
fn a_word_of_assent_does_not_become_dominant() {
    for seed in 0..50 {
        let mut stage = Stage::new();
        stage.play(&[speech(seed, 25, 200), quiet(seed, 200)]);
        let mut assent = quiet(seed, 60);
        assent.extend(speech(seed + 7, 30, 12));
        stage.play(&[speech(seed + 1, 25, 200), assent]);
        assert_eq!(stage.floors.len(), 1, "seed {seed}");
    }
}

#[test]
fn the_last_speaker_stays_dominant_through_silence() {
    let mut stage = Stage::new();
    stage.play(&[speech(1, 25, 100), quiet(1, 100)]);
    assert_eq!(stage.speakers.dominant(), Some(0));
    stage.play(&[quiet(2, 3_000), quiet(3, 3_000)]);
    assert_eq!(stage.speakers.dominant(), Some(0));
    assert_eq!(stage.floors.len(), 1);
    assert_eq!(stage.shown(), [0; 0]);
}

#[test]
fn two_simultaneous_speakers_do_not_alternate_as_dominant() {
    for seed in 0..20 {
        let mut stage = Stage::new();
        stage.play(&[speech(seed, 25, 1_500), speech(seed + 99, 25, 1_500)]);
        let changes = stage.floors.len();
        assert!(changes <= 15, "{changes} in 30 s, seed {seed}");
    }
}

#[test]
fn one_speaker_is_detected_among_thirty_open_microphones() {
    let mut stage = Stage::new();
    let rooms = |seed: u64| {
        (0..30)
            .map(|key| quiet(seed + key, 200))
            .collect::<Vec<_>>()
    };
    stage.play(&rooms(0));
    for turn in 0..10_u32 {
        let speaker = turn * 7 % 30;
        let mut traces = rooms(u64::from(turn) * 100);
        traces[speaker as usize] = speech(turn.into(), 30, 200);
        stage.play(&traces);
        assert_eq!(stage.speakers.dominant(), Some(speaker));
        assert!(stage.shown().len() <= 1);
    }
    assert_eq!(stage.floors.len(), 10);
}

#[test]
fn a_fan_is_not_speech_and_a_soft_voice_is() {
    let mut stage = Stage::new();
    let fan = |frames: usize| -> Vec<u8> { (0..frames).map(|i| 44 + (i % 3) as u8).collect() };
    stage.play(&[fan(400), quiet(1, 400)]);
    assert_eq!(stage.shown(), [0; 0], "after a few seconds it is known");
    stage.play(&[fan(200), speech(3, 40, 200)]);
    assert_eq!(stage.speakers.dominant(), Some(1));
}

#[test]
fn a_pause_without_packets_is_silence() {
    let mut stage = Stage::new();
    stage.play(&[speech(1, 25, 100)]);
    stage.play(&[quiet(1, 1)]);
    let later = stage.start + Duration::from_millis(stage.ms + 3_000);
    stage.speakers.tick(later);
    assert_eq!(stage.speakers.active(later).count(), 0);
    assert_eq!(stage.speakers.voice(0).map(Voice::counts), Some([0; 3]));
}

#[test]
fn a_burst_of_packets_is_not_louder_than_one_packet() {
    let (mut speakers, start) = (Speakers::default(), Instant::now());
    let at = |ms: u64| start + Duration::from_millis(ms);
    (0..1_000).for_each(|ms| speakers.level(1, 80, true, at(ms)));
    (0..500).for_each(|_| speakers.level(1, 0, true, at(1_000)));
    speakers.tick(at(1_050));
    assert_eq!(
        (speakers.dominant(), speakers.active(at(1_050)).count()),
        (None, 0)
    );
}

#[test]
fn the_louder_of_two_packets_in_a_frame_counts() {
    let now = Instant::now();
    let steps = |levels: [u8; 2]| {
        let mut voice = Voice::new(now);
        levels
            .into_iter()
            .for_each(|dbov| voice.level(dbov, true, now));
        voice.counts()[0]
    };
    assert_eq!(steps([80, 20]), steps([20, 80]));
    assert!(steps([80, 20]) > 0);
}

#[test]
fn a_removed_speaker_is_not_dominant() {
    let mut stage = Stage::new();
    stage.play(&[speech(1, 25, 100), quiet(1, 100)]);
    stage.speakers.remove(0);
    assert_eq!(stage.speakers.dominant(), None);
    assert_eq!(stage.shown(), [0; 0]);
    assert_eq!(stage.speakers.level_of(0), SILENCE);
    let now = stage.start + Duration::from_millis(stage.ms);
    assert!(stage.speakers.tick(now), "a change is reported");
    assert!(!stage.speakers.tick(now));
}

proptest! {
    /// For any levels the dominant speaker changes at most every 300 ms.
    #[test]
    fn the_dominant_speaker_does_not_flap(
        packets in prop::collection::vec((0_u32..6, 0_u8..=127, 0_u64..60), 1..600),
    ) {
        let (mut speakers, mut now) = (Speakers::default(), Instant::now());
        let mut changed: Option<Instant> = None;
        for (key, dbov, pause) in packets {
            speakers.level(key, dbov, true, now);
            if speakers.tick(now) {
                prop_assert!(changed.is_none_or(|at| now - at >= FLOOR_INTERVAL));
                changed = Some(now);
            }
            prop_assert!(speakers.active(now).count() <= SHOWN);
            now += Duration::from_millis(pause);
        }
    }
}
