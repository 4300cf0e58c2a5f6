//! Picks the free down track for a new subscription: preferably in the MediaStream that
//! carries the same participant's counterpart (audio for video, video for audio).
//!
//! Browsers synchronise the tracks of one MediaStream
//! ([`crate::server::sfu::peer::sdp::msid`]), so unrelated tracks should not share one.

/// The state of a down track that decides the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownTrackState<'a> {
    /// The MediaStream ID (RFC 8830).
    pub stream_id: &'a str,
    /// Whether the media kind is video; audio otherwise.
    pub video: bool,
    /// The index of the subscribed track in the room; none while free.
    pub track: Option<usize>,
}

/// What the other down track of the same MediaStream carries; the least is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StreamNeighbour {
    /// The counterpart of the new track.
    Counterpart,
    /// No track, or there is no other down track; the counterpart may still arrive.
    Unassigned,
    /// A track of another participant.
    OtherParticipant,
}

/// The index of the preferred free down track of one kind; the first among equals.
/// `other_half`: the counterpart of the new track, if it is published.
pub fn best_down_track(
    places: &[DownTrackState<'_>],
    video: bool,
    other_half: Option<usize>,
) -> Option<usize> {
    let free = places
        .iter()
        .enumerate()
        .filter(|(_, place)| place.video == video && place.track.is_none());
    let best = free.min_by_key(|(_, place)| neighbour(places, place, other_half));
    best.map(|(index, _)| index)
}

/// What the other down track of the same MediaStream carries.
fn neighbour(
    places: &[DownTrackState<'_>],
    place: &DownTrackState<'_>,
    other_half: Option<usize>,
) -> StreamNeighbour {
    let beside = |other: &&DownTrackState<'_>| {
        other.video != place.video && other.stream_id == place.stream_id
    };
    let track = places.iter().find(beside).and_then(|other| other.track);
    match track {
        None => StreamNeighbour::Unassigned,
        track if track == other_half => StreamNeighbour::Counterpart,
        Some(_) => StreamNeighbour::OtherParticipant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Audio and video down tracks with the track that each carries.
    fn places(
        sounds: &[Option<usize>],
        pictures: &[Option<usize>],
    ) -> Vec<DownTrackState<'static>> {
        const STREAMS: [&str; 4] = ["slot0", "slot1", "slot2", "slot3"];
        let kind = |video: bool, tracks: &[Option<usize>]| {
            let each = STREAMS.into_iter().zip(tracks.to_vec());
            let each = each.map(move |(stream, track)| DownTrackState {
                stream_id: stream,
                video,
                track,
            });
            each.collect::<Vec<_>>()
        };
        [kind(false, sounds), kind(true, pictures)].concat()
    }

    #[test]
    fn audio_joins_the_stream_of_its_own_video() {
        /// Audio tracks, video tracks, the counterpart of the new audio track, the expected index.
        type Case<'a> = (
            &'a [Option<usize>],
            &'a [Option<usize>],
            Option<usize>,
            Option<usize>,
        );
        let cases: [Case<'_>; 7] = [
            (&[None, None], &[Some(1), Some(2)], Some(2), Some(1)),
            (&[None, None], &[Some(1), Some(2)], Some(1), Some(0)),
            (&[None, Some(9)], &[Some(1), Some(2)], Some(2), Some(0)),
            (&[None, None], &[Some(1), None], Some(3), Some(1)),
            (&[None, None], &[Some(1), None], None, Some(1)),
            (&[None, None], &[Some(1), Some(2)], None, Some(0)),
            (&[Some(8), Some(9)], &[Some(1), None], Some(1), None),
        ];
        for (sounds, pictures, face, place) in cases {
            let places = places(sounds, pictures);
            assert_eq!(
                best_down_track(&places, false, face),
                place,
                "{places:?} {face:?}"
            );
        }
    }

    #[test]
    fn video_avoids_the_stream_of_another_participants_audio() {
        let places = places(&[Some(7), None, Some(9)], &[None, None, None]);
        assert_eq!(
            best_down_track(&places, true, Some(9)),
            Some(5),
            "in the stream of its audio"
        );
        assert_eq!(
            best_down_track(&places, true, Some(4)),
            Some(4),
            "in an unassigned stream"
        );
    }

    #[test]
    fn a_down_track_alone_in_its_stream_counts_as_unassigned() {
        let places = places(&[], &[None, None]);
        assert_eq!(best_down_track(&places, true, Some(1)), Some(0));
    }
}
