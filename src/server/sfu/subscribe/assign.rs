//! Which free slot a track is bound to: the one that plays in step with the same person's
//! other half, where there is one.
//!
//! Slots of one stream are played in step by browsers ([`crate::server::sfu::peer::sdp::msid`]). A voice belongs
//! beside its face, and not beside somebody else's.

/// A slot, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownTrackState<'a> {
    /// The stream it belongs to.
    pub stream_id: &'a str,
    /// Whether it is for pictures.
    pub video: bool,
    /// The track it is bound to.
    pub track: Option<usize>,
}

/// How well a free slot suits; the least is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StreamNeighbour {
    /// The same person's other half is there.
    Counterpart,
    /// Nobody is there; the other half may come.
    Unassigned,
    /// Somebody else is there.
    OtherParticipant,
}

/// The free slot of one kind that suits a track best, the first of equal ones.
/// `other_half` is the face of a voice, the voice of a face, and so on.
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

/// Who is beside a slot.
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

    /// Slots of sound and of pictures, by their stream: what each carries.
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
    fn a_voice_goes_beside_its_face_and_not_beside_anothers() {
        /// Sounds, pictures, the face of the voice, and the place it gets.
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
    fn a_face_leaves_the_place_beside_a_strangers_voice_free() {
        let places = places(&[Some(7), None, Some(9)], &[None, None, None]);
        assert_eq!(
            best_down_track(&places, true, Some(9)),
            Some(5),
            "beside its voice"
        );
        assert_eq!(
            best_down_track(&places, true, Some(4)),
            Some(4),
            "beside nobody"
        );
    }

    #[test]
    fn a_slot_without_a_neighbour_is_as_good_as_one_beside_nobody() {
        let places = places(&[], &[None, None]);
        assert_eq!(best_down_track(&places, true, Some(1)), Some(0));
    }
}
