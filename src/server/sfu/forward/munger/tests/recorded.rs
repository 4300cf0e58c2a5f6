//! A recording of Chromium: three simulcast layers of a camera, with requested keyframes.
//!
//! One line per packet: milliseconds, layer, sequence number, RTP timestamp, marker, whether
//! decoding can start, picture ID, TL0PICIDX.

use super::*;

/// The trace: the `packet` events of `noom=trace` while a tile was made larger and smaller.
const TRACE: &str = include_str!("chromium.trace");

/// A packet of the trace.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    layer: u8,
    starts: bool,
    marker: bool,
    packet: SourceHeader,
}

fn recorded() -> Vec<Recorded> {
    let start = Instant::now();
    let packet = |line: &str| {
        let numbers: Vec<u64> = line
            .split(' ')
            .map(|number| number.parse().expect("a number"))
            .collect();
        let [ms, layer, seq, time, marker, starts, picture_id, tl0] = numbers[..] else {
            panic!("eight numbers: {line}");
        };
        Recorded {
            layer: layer as u8,
            starts: starts == 1,
            marker: marker == 1,
            packet: SourceHeader {
                seq,
                time: time as u32,
                received_at: start + Duration::from_millis(ms),
                picture_id: Some(picture_id as u16),
                tl0: Some(tl0 as u8),
            },
        }
    };
    TRACE.lines().map(packet).collect()
}

/// The layer to forward after each keyframe request.
const WANTED: [u8; 4] = [0, 2, 1, 0];

/// The packets that a receiver gets, switched to the wanted layer at its next keyframe. Each
/// `lose`th packet of the sender is lost; 0 loses none.
fn received(lose: usize) -> Vec<(Recorded, MungedHeader)> {
    let (mut stream, mut current, mut out) = (pictures(), None, Vec::new());
    let (mut asked, mut last): (usize, Option<Instant>) = (0, None);
    for (place, came) in recorded().into_iter().enumerate() {
        // Chromium answers one request with keyframes of all layers at once.
        if came.starts {
            let at = came.packet.received_at;
            let is_new = last.is_some_and(|last| at > last + Duration::from_millis(500));
            asked += usize::from(is_new);
            last = Some(at);
        }
        let wanted = Some(WANTED[asked.min(WANTED.len() - 1)]);
        if came.starts && wanted == Some(came.layer) && current != wanted {
            current = wanted;
            stream.switch_source();
        }
        let lost = lose > 0 && place % lose == lose - 1 && !came.starts;
        if current == Some(came.layer) && !lost {
            out.extend(stream.munge(&came.packet).map(|new| (came, new)));
        }
    }
    out
}

#[test]
fn a_recorded_camera_becomes_one_continuous_stream() {
    let out = received(0);
    let switches = out
        .windows(2)
        .filter(|two| two[0].0.layer != two[1].0.layer);
    assert!(switches.count() >= 3, "the trace moves between its layers");
    for two in out.windows(2) {
        let [(before, old), (after, new)] = two else {
            continue;
        };
        assert_eq!(new.seq, old.seq + 1, "no gap and no number twice");
        let ticks = new.time.wrapping_sub(old.time);
        assert!(ticks < VIDEO_CLOCK, "time goes on: {ticks}");
        let same = ticks == 0 && before.layer == after.layer;
        let step = new
            .picture_id
            .zip(old.picture_id)
            .map(|(new, old)| new.wrapping_sub(old) & PICTURE_ID_MASK);
        assert_eq!(step, Some(u16::from(!same)), "one picture ID per frame");
        let base = new.tl0.zip(old.tl0).map(|(new, old)| new.wrapping_sub(old));
        assert!(
            base.is_some_and(|step| step <= 1),
            "TL0PICIDX counts base-layer frames"
        );
        assert!(!same || !before.marker, "the marker ends a frame");
    }
}

#[test]
fn lost_packets_of_a_recorded_camera_leave_gaps() {
    let (whole, with_losses) = (received(0), received(20));
    let lost = whole.len() - with_losses.len();
    assert!(lost > 10);
    let layers = whole.chunk_by(|a, b| a.0.layer == b.0.layer);
    let gaps: u64 = with_losses
        .chunk_by(|a, b| a.0.layer == b.0.layer)
        .flat_map(|run| run.windows(2))
        .map(|two| two[1].1.seq - two[0].1.seq - 1)
        .sum();
    // Losses right before a switch leave no gap, because no packet of the layer follows.
    assert!(
        gaps <= lost as u64 && gaps + layers.count() as u64 * 2 >= lost as u64,
        "{gaps} of {lost}"
    );
}
