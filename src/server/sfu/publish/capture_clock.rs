//! When a packet was taken, on our clock.
//!
//! Sound is on its way within a few milliseconds; a picture is coded and paced first, and
//! comes tens of milliseconds after the sound of the same moment. Sender reports say which
//! media time was when by the sender's clock (RFC 3550 6.4.1), and that is one clock for
//! everything a person sends. Moved to ours, it tells receivers what belongs together: they
//! play by the reports that are made of it.

use std::time::{Duration, Instant, SystemTime};
use str0m::rtp::rtcp::SenderInfo;

/// How much two computers' clocks differ in a second at most: one in ten thousand.
const MAX_DRIFT_RECIPROCAL: u32 = 10_000;

/// The longest anything is on its way. More than that, and their clock was set anew, or their
/// report is of before a pause.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Which media time was when, by the sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// The media time.
    pub rtp_time: u32,
    /// When that was.
    pub ntp_time: SystemTime,
}

impl From<&SenderInfo> for SenderReport {
    fn from(info: &SenderInfo) -> Self {
        Self {
            rtp_time: info.rtp_time.numer() as u32,
            ntp_time: info.ntp_time,
        }
    }
}

impl SenderReport {
    /// When a media time of this clock rate was, by the sender's clock: up to half of what
    /// 32 bits count before or after the report. Nothing where no clock goes there.
    pub fn ntp_time_of(&self, time: u32, clock_rate: u32) -> Option<SystemTime> {
        let ticks = time.wrapping_sub(self.rtp_time).cast_signed();
        let away = Duration::from_secs_f64(f64::from(ticks.unsigned_abs()) / f64::from(clock_rate));
        match ticks.is_negative() {
            false => self.ntp_time.checked_add(away),
            true => self.ntp_time.checked_sub(away),
        }
    }

    /// The media time of this clock rate at a moment of the sender's clock, wrapping.
    pub fn rtp_time_at(&self, at: SystemTime, clock_rate: u32) -> u32 {
        let ticks =
            |passed: Duration| (passed.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
        match at.duration_since(self.ntp_time) {
            Ok(later) => self.rtp_time.wrapping_add(ticks(later)),
            Err(earlier) => self.rtp_time.wrapping_sub(ticks(earlier.duration())),
        }
    }
}

/// The clock of somebody who sends, as seen from here: the fastest packet so far came in no
/// time, and all others took so much longer.
#[derive(Debug, Clone, Copy, Default)]
pub struct CaptureClock {
    /// A moment by their clock, and by ours.
    reference: Option<(SystemTime, Instant)>,
    /// When the last packet came.
    last_packet: Option<Instant>,
}

impl CaptureClock {
    /// When something was taken, by our clock, that was taken then by theirs and came now:
    /// never later than it came.
    pub fn capture_time(&mut self, theirs: SystemTime, came: Instant) -> Instant {
        let since = self
            .last_packet
            .replace(came)
            .map(|last| came - last.min(came));
        let believable = |ours: &Instant| *ours <= came && came - *ours <= MAX_DELAY;
        let ours = self.to_local(theirs).filter(believable);
        let Some(ours) = ours else {
            self.reference = Some((theirs, came));
            return came;
        };
        // Their clock may be slower than ours: what came in no time is looked for anew, a
        // little at a time.
        let later = (since.unwrap_or_default() / MAX_DRIFT_RECIPROCAL).min(came - ours);
        if let Some((_, same)) = &mut self.reference {
            *same += later;
        }
        ours + later
    }

    /// A moment of their clock by ours.
    fn to_local(&self, theirs: SystemTime) -> Option<Instant> {
        let (there, here) = self.reference?;
        match theirs.duration_since(there) {
            Ok(after) => here.checked_add(after),
            Err(before) => here.checked_sub(before.duration()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a packet is told by, and when it came: taken at a time of the sender's clock in
    /// milliseconds, and so long on its way.
    fn at(start: (SystemTime, Instant), taken_ms: u64, way_ms: u64) -> (SystemTime, Instant) {
        let taken = Duration::from_millis(taken_ms);
        (
            start.0 + taken,
            start.1 + taken + Duration::from_millis(way_ms),
        )
    }

    #[test]
    fn a_face_is_put_beside_the_voice_it_belongs_to() {
        let start = (
            SystemTime::UNIX_EPOCH + Duration::from_secs(7),
            Instant::now(),
        );
        let mut clock = CaptureClock::default();
        for ms in (0..2_000).step_by(20) {
            let (theirs, came) = at(start, ms, 10);
            clock.capture_time(theirs, came);
        }
        let (theirs, came) = at(start, 2_000, 10);
        let voice = clock.capture_time(theirs, came);
        let (theirs, came) = at(start, 2_000, 90);
        let face = clock.capture_time(theirs, came);
        assert!(
            face - voice < Duration::from_millis(1),
            "{:?}",
            face - voice
        );
    }

    #[test]
    fn a_clock_that_is_slower_by_50_in_a_million_is_followed() {
        let start = (SystemTime::UNIX_EPOCH, Instant::now());
        let mut clock = CaptureClock::default();
        let hour = Duration::from_secs(3_600);
        let mut since = Duration::ZERO;
        while since < hour {
            since += Duration::from_millis(20);
            let came = start.1 + since;
            let taken = clock.capture_time(start.0 + since - since / 20_000, came);
            assert!(came - taken < Duration::from_millis(1));
        }
    }

    #[test]
    fn a_clock_that_is_set_anew_is_followed_at_once() {
        let hour = Duration::from_secs(3_600);
        let start = (SystemTime::UNIX_EPOCH + hour * 9, Instant::now());
        let mut clock = CaptureClock::default();
        for (set, ms) in [(hour * 2, 0), (Duration::ZERO, 20), (hour, 40)] {
            let (theirs, came) = at(start, ms, 10);
            assert_eq!(clock.capture_time(theirs - hour + set, came), came);
        }
        let (theirs, came) = at(start, 60, 30);
        let late = came - clock.capture_time(theirs, came);
        assert!(late > Duration::from_millis(19), "measured again: {late:?}");
    }

    #[test]
    fn media_times_are_counted_from_the_report_in_both_directions() {
        let second = Duration::from_secs(1);
        let at = SystemTime::UNIX_EPOCH + second * 100;
        let report = SenderReport {
            rtp_time: 5,
            ntp_time: at,
        };
        assert_eq!(report.ntp_time_of(90_005, 90_000), Some(at + second));
        assert_eq!(
            report.ntp_time_of(5_u32.wrapping_sub(90_000), 90_000),
            Some(at - second)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_taken_after_it_came(
            packets in prop::collection::vec((any::<u32>(), any::<u32>(), 0_u64..10_000), 1..50),
            ntp in 0_u64..6_000_000_000,
        ) {
            let mut clock = CaptureClock::default();
            let mut came = Instant::now();
            for (time, reported, after) in packets {
                came += Duration::from_millis(after);
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(ntp + u64::from(reported));
                let report = SenderReport { rtp_time: reported, ntp_time: at };
                let theirs = report.ntp_time_of(time, 90_000).expect("a time");
                prop_assert!(clock.capture_time(theirs, came) <= came);
            }
        }
    }
}
