//! Tests of the rewritten headers across losses, skips and changes of source.

mod properties;
mod recorded;

use super::*;
use std::time::Duration;

/// A video munger with small, known initial values.
fn pictures() -> RtpMunger {
    RtpMunger::new(100, 1_000, VIDEO_CLOCK, 50, 7)
}

/// A packet without a picture ID.
fn packet(seq: u64, time: u32, at: Instant) -> SourceHeader {
    SourceHeader {
        seq,
        time,
        received_at: at,
        picture_id: None,
        tl0: None,
    }
}

/// The outgoing sequence number of a packet.
fn seq(munger: &mut RtpMunger, seq: u64, at: Instant) -> Option<u64> {
    munger.munge(&packet(seq, 0, at)).map(|r| r.seq)
}

#[test]
fn a_stream_begins_with_its_initial_values() {
    let first = SourceHeader {
        picture_id: Some(32_000),
        tl0: Some(200),
        ..packet(70_000, 123, Instant::now())
    };
    let mut stream = pictures();
    let expected = MungedHeader {
        seq: 100,
        time: 1_000,
        picture_id: Some(50),
        tl0: Some(7),
    };
    assert_eq!(stream.munge(&first), Some(expected));
    assert_eq!(stream.munge(&first), Some(expected), "twice the same");
}

#[test]
fn a_source_may_keep_its_picture_ids_and_the_next_continues_them() {
    let (mut stream, at) = (pictures(), Instant::now());
    let numbered = |seq, id, tl0| SourceHeader {
        picture_id: Some(id),
        tl0: Some(tl0),
        ..packet(seq, 0, at)
    };
    let ids = |out: Option<MungedHeader>| out.map(|out| (out.picture_id, out.tl0));
    stream.keep_picture_ids();
    for (seq, id, tl0) in [(1, 900, 30), (2, 901, 31)] {
        let out = ids(stream.munge(&numbered(seq, id, tl0)));
        assert_eq!(out, Some((Some(id), Some(tl0))));
    }
    stream.switch_source();
    let out = ids(stream.munge(&numbered(7, 5, 5)));
    assert_eq!(out, Some((Some(902), Some(32))));
}

#[test]
fn lost_packets_leave_gaps_that_late_packets_fill() {
    let (mut stream, at) = (pictures(), Instant::now());
    let out: Vec<_> = [10, 11, 14, 12, 15, 13]
        .map(|n| seq(&mut stream, n, at))
        .into();
    assert_eq!(out, [100, 101, 104, 102, 105, 103].map(Some));
    assert_eq!(
        seq(&mut stream, 9, at),
        None,
        "from before the source began"
    );
}

#[test]
fn skipped_packets_leave_no_gap() {
    let (mut stream, at) = (pictures(), Instant::now());
    assert_eq!(seq(&mut stream, 10, at), Some(100));
    stream.skip(11);
    stream.skip(11);
    stream.skip(13);
    assert_eq!(seq(&mut stream, 14, at), Some(102), "12 is on its way");
    assert_eq!(seq(&mut stream, 12, at), Some(101));
    assert_eq!(seq(&mut stream, 11, at), None);
    stream.skip(12);
    assert_eq!(seq(&mut stream, 12, at), Some(101), "too late to leave out");
    assert_eq!(seq(&mut stream, 15, at), Some(103));
}

#[test]
fn a_long_pause_of_a_temporal_layer_leaves_no_gap() {
    let (mut stream, at) = (pictures(), Instant::now());
    assert_eq!(seq(&mut stream, 10, at), Some(100));
    (11..20_000).for_each(|n| stream.skip(n));
    assert_eq!(seq(&mut stream, 20_000, at), Some(101));
    assert_eq!(seq(&mut stream, 15, at), None);
}

#[test]
fn a_jump_beyond_the_window_leaves_a_gap_of_one() {
    let (mut stream, at) = (pictures(), Instant::now());
    assert_eq!(seq(&mut stream, 10, at), Some(100));
    assert_eq!(seq(&mut stream, 1 << 40, at), Some(102));
    assert_eq!(seq(&mut stream, 11, at), None);
    stream.skip(u64::MAX - 10);
    assert_eq!(seq(&mut stream, u64::MAX - 20, at), Some(104));
    assert_eq!(seq(&mut stream, u64::MAX, at), Some(124));
    stream.skip(u64::MAX);
    let mut stream = pictures();
    assert_eq!(seq(&mut stream, 0, at), Some(100));
    assert_eq!(
        seq(&mut stream, u64::MAX, at),
        Some(102),
        "as far as it goes"
    );
}

#[test]
fn a_new_source_continues_the_stream() {
    let (mut stream, start) = (pictures(), Instant::now());
    let first = SourceHeader {
        picture_id: Some(0x7ffe),
        tl0: Some(254),
        ..packet(10, 500, start)
    };
    stream.munge(&first);
    stream.switch_source();
    stream.skip(4); // Belongs to the previous source; has no effect.
    let next = SourceHeader {
        picture_id: Some(3),
        tl0: Some(9),
        ..packet(5, 4_000_000_000, start + Duration::from_millis(250))
    };
    let expected = MungedHeader {
        seq: 101,
        time: 1_000 + 22_500,
        picture_id: Some(51),
        tl0: Some(8),
    };
    assert_eq!(stream.munge(&next), Some(expected));
    assert_eq!(seq(&mut stream, 4, start), None);
}

#[test]
fn picture_ids_and_tl0picidx_wrap_at_their_widths() {
    let (mut stream, at) = (
        RtpMunger::new(0, 0, VIDEO_CLOCK, 0x7fff, 255),
        Instant::now(),
    );
    let mut ids = |seq: u64, picture_id: u16, tl0: u8| {
        let (picture_id, tl0) = (Some(picture_id), Some(tl0));
        let packet = SourceHeader {
            picture_id,
            tl0,
            ..packet(seq, 0, at)
        };
        stream.munge(&packet).map(|r| (r.picture_id, r.tl0))
    };
    assert_eq!(ids(1, 5, 5), Some((Some(0x7fff), Some(255))));
    assert_eq!(ids(2, 6, 6), Some((Some(0), Some(0))));
    assert_eq!(ids(3, 4, 4), Some((Some(0x7ffe), Some(254))));
}

#[test]
fn timestamps_advance_by_at_least_a_frame() {
    for (clock, step) in [(90_000, 3_000), (48_000, 960)] {
        let (mut stream, at) = (RtpMunger::new(0, u32::MAX, clock, 0, 0), Instant::now());
        let first = stream.munge(&packet(1, 77, at)).expect("first").time;
        stream.switch_source();
        let second = stream.munge(&packet(1, 3, at)).expect("second").time;
        assert_eq!(second.wrapping_sub(first), step);
    }
}

#[test]
fn timestamps_do_not_run_backwards_after_days_of_silence() {
    let (mut stream, at) = (pictures(), Instant::now());
    let first = stream.munge(&packet(1, 0, at)).expect("first").time;
    stream.switch_source();
    let later = at + Duration::from_secs(3 * 86_400);
    let second = stream.munge(&packet(1, 0, later)).expect("second").time;
    assert!(second.wrapping_sub(first) as i32 > 0);
}

#[test]
fn a_plausible_time_offset_is_used() {
    let frame = Duration::from_millis(33);
    // The timestamp difference of the new layer, and the resulting step.
    for (apart, expected) in [
        (3_600_i64, 3_600),
        (449_999, 449_999),
        (0, 3_000),
        (-3_000, 3_000),
        (450_001, 3_000),
        (i64::from(i32::MAX), 3_000),
    ] {
        let (mut stream, at) = (pictures(), Instant::now());
        let first = stream.munge(&packet(1, 10_000, at)).expect("first").time;
        stream.switch_source_with_offset(10_000_u32.wrapping_sub(777));
        let time = (777 + apart) as u32;
        let second = stream
            .munge(&packet(1, time, at + frame))
            .expect("second")
            .time;
        assert_eq!(second.wrapping_sub(first), expected, "{apart}");
    }
}
