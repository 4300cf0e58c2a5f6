//! The capture time of a packet, on our clock.
//!
//! Audio leaves within a few milliseconds of its capture; video is encoded and paced first, and
//! arrives tens of milliseconds later. Sender reports map RTP timestamps to the sender's NTP clock
//! (RFC 3550 6.4.1), the same clock for all its streams. Mapped to our clock, capture times go into
//! the reports to receivers, by which they play audio and video in sync.

use std::time::{Duration, Instant, SystemTime};
use str0m::rtp::rtcp::SenderInfo;

/// The largest clock drift followed: one in ten thousand.
const MAX_DRIFT_RECIPROCAL: u32 = 10_000;

/// The longest delay from capture to arrival. Beyond, the clock of the sender was set, or its
/// report is from before a pause.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// A pair of an RTP timestamp and the sender's NTP time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// The RTP timestamp.
    pub rtp_time: u32,
    /// The NTP time of the same instant.
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
    /// The NTP time of an RTP timestamp at this clock rate, up to 2^31 ticks before or after the
    /// report. Returns none outside of what a clock can hold.
    pub fn ntp_time_of(&self, time: u32, clock_rate: u32) -> Option<SystemTime> {
        let ticks = time.wrapping_sub(self.rtp_time).cast_signed();
        let away = Duration::from_secs_f64(f64::from(ticks.unsigned_abs()) / f64::from(clock_rate));
        match ticks.is_negative() {
            false => self.ntp_time.checked_add(away),
            true => self.ntp_time.checked_sub(away),
        }
    }

    /// The RTP timestamp of an NTP time at this clock rate, wrapping.
    pub fn rtp_time_at(&self, at: SystemTime, clock_rate: u32) -> u32 {
        let ticks =
            |passed: Duration| (passed.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
        match at.duration_since(self.ntp_time) {
            Ok(later) => self.rtp_time.wrapping_add(ticks(later)),
            Err(earlier) => self.rtp_time.wrapping_sub(ticks(earlier.duration())),
        }
    }
}

/// Maps the clock of a sender to ours. The fastest packet so far defines zero delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct CaptureClock {
    /// An instant by the sender's clock and by ours.
    reference: Option<(SystemTime, Instant)>,
    /// When the last packet arrived.
    last_packet: Option<Instant>,
}

impl CaptureClock {
    /// The capture time by our clock of a packet captured at `theirs` by the sender's clock that
    /// arrived at `came`. Never later than `came`.
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
        // The sender's clock may be slower than ours: the reference drifts towards `came`.
        let later = (since.unwrap_or_default() / MAX_DRIFT_RECIPROCAL).min(came - ours);
        if let Some((_, same)) = &mut self.reference {
            *same += later;
        }
        ours + later
    }

    /// An instant of the sender's clock by ours.
    fn to_local(self, theirs: SystemTime) -> Option<Instant> {
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

    /// The capture time by the sender's clock and the arrival time by ours of a packet that was
    /// captured after `taken_ms` and spent `way_ms` on the path.
    fn at(start: (SystemTime, Instant), taken_ms: u64, way_ms: u64) -> (SystemTime, Instant) {
        let taken = Duration::from_millis(taken_ms);
        (
            start.0 + taken,
            start.1 + taken + Duration::from_millis(way_ms),
        )
    }

    #[test]
    fn delayed_video_shares_the_audio_capture_time() {
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
    fn a_clock_drift_of_50_ppm_is_followed() {
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
    fn a_clock_step_is_followed_at_once() {
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
    fn timestamps_before_and_after_the_report_are_mapped() {
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
        fn the_capture_time_is_never_after_the_arrival(
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
