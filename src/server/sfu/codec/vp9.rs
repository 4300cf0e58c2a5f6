//! The VP9 payload descriptor (RFC 9628 4.2): the start of a keyframe, and the picture ID and
//! TL0PICIDX, which must continue when the source changes.
//!
//! ```text
//! |I|P|L|F|B|E|V|Z|   required
//! |M| picture id  |   I: 7 bits, with M another 8
//! |TID|U| SID |D|     L
//! |  TL0PICIDX    |   L without F
//! ```

use std::sync::Arc;
use str0m::format::detect_vp9_keyframe;

/// The I bit: a picture ID is present.
const HAS_PICTURE_ID: u8 = 0x80;
/// The L bit: layer indices are present.
const HAS_LAYERS: u8 = 0x20;
/// The F bit: flexible mode, without TL0PICIDX.
const FLEXIBLE: u8 = 0x10;
/// The B bit: a frame begins with this packet.
const BEGINS_FRAME: u8 = 0x08;
/// The M bit of the picture ID: it has 15 bits.
const WIDE: u8 = 0x80;
/// The mask of the spatial layer (SID) in the layer indices.
const SPATIAL_LAYER: u8 = 0x0e;

/// A parsed payload descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp9Descriptor {
    /// The picture ID and whether it has 15 bits; it begins at byte 1.
    picture_id: Option<(u16, bool)>,
    /// TL0PICIDX and its byte offset.
    tl0: Option<(u8, usize)>,
    /// Whether a keyframe begins with this packet.
    is_keyframe_start: bool,
}

impl Vp9Descriptor {
    /// Parses a descriptor; none if the payload ends within it.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let flags = *payload.first()?;
        let (mut at, mut picture_id) = (1, None);
        if flags & HAS_PICTURE_ID != 0 {
            let first = *payload.get(at)?;
            let wide = first & WIDE != 0;
            picture_id = Some(match wide {
                true => (
                    u16::from_be_bytes([first & !WIDE, *payload.get(at + 1)?]),
                    true,
                ),
                false => (u16::from(first), false),
            });
            at += 1 + usize::from(wide);
        }
        let (mut tl0, mut upper) = (None, false);
        if flags & HAS_LAYERS != 0 {
            upper = payload.get(at)? & SPATIAL_LAYER != 0;
            if flags & FLEXIBLE == 0 {
                tl0 = Some((*payload.get(at + 1)?, at + 1));
            }
        }
        let begins = flags & BEGINS_FRAME != 0 && !upper;
        Some(Self {
            picture_id,
            tl0,
            is_keyframe_start: begins && detect_vp9_keyframe(payload),
        })
    }

    /// Whether a keyframe begins with this packet, so that a receiver can start decoding.
    pub fn is_keyframe_start(&self) -> bool {
        self.is_keyframe_start
    }

    /// The picture ID, if present.
    pub fn picture_id(&self) -> Option<u16> {
        self.picture_id.map(|(id, _)| id)
    }

    /// TL0PICIDX, if present.
    pub fn tl0(&self) -> Option<u8> {
        self.tl0.map(|(index, _)| index)
    }

    /// The payload with a new picture ID and TL0PICIDX where the descriptor has them: a copy, or
    /// the same allocation if nothing changes. A 7-bit picture ID takes the low bits.
    pub fn patch(
        &self,
        payload: &Arc<[u8]>,
        picture_id: Option<u16>,
        tl0: Option<u8>,
    ) -> Arc<[u8]> {
        let id = self
            .picture_id
            .zip(picture_id)
            .map(|((_, wide), id)| match wide {
                true => (id & 0x7fff, true),
                false => (id & 0x7f, false),
            });
        let index = self.tl0.zip(tl0).map(|((_, at), index)| (index, at));
        if id == self.picture_id && index == self.tl0 {
            return payload.clone();
        }
        let mut patched: Arc<[u8]> = Arc::from(&payload[..]);
        if let Some(bytes) = Arc::get_mut(&mut patched) {
            write(bytes, id, index);
        }
        patched
    }
}

/// Writes the picture ID and TL0PICIDX into the descriptor.
fn write(bytes: &mut [u8], id: Option<(u16, bool)>, index: Option<(u8, usize)>) {
    if let Some((id, wide)) = id {
        let [high, low] = id.to_be_bytes();
        match wide {
            true => bytes[1..3].copy_from_slice(&[WIDE | high, low]),
            false => bytes[1] = low,
        }
    }
    if let Some((index, at)) = index {
        bytes[at] = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn picture_ids_and_tl0picidx_are_parsed_and_patched() {
        /// A payload, its picture ID and TL0PICIDX, and the payload patched with 0x1234 and 0x56.
        type Case<'a> = (&'a [u8], Option<u16>, Option<u8>, &'a [u8]);
        let cases: [Case<'_>; 7] = [
            (&[0x00, 1], None, None, &[0x00, 1]),
            (&[0x80, 0x05, 1], Some(5), None, &[0x80, 0x34, 1]),
            (
                &[0x80, 0x85, 6, 1],
                Some(0x506),
                None,
                &[0x80, 0x92, 0x34, 1],
            ),
            (
                &[0xa0, 0x05, 0x20, 7],
                Some(5),
                Some(7),
                &[0xa0, 0x34, 0x20, 0x56],
            ),
            (
                &[0xa0, 0x85, 6, 0x20, 7, 9],
                Some(0x506),
                Some(7),
                &[0xa0, 0x92, 0x34, 0x20, 0x56, 9],
            ),
            // Flexible mode: the byte after the layer indices is not TL0PICIDX.
            (
                &[0xb0, 0x05, 0x20, 7],
                Some(5),
                None,
                &[0xb0, 0x34, 0x20, 7],
            ),
            (&[0x20, 0x20, 7], None, Some(7), &[0x20, 0x20, 0x56]),
        ];
        for (payload, id, tl0, patched) in cases {
            let read = Vp9Descriptor::parse(payload).expect("whole");
            assert_eq!((read.picture_id(), read.tl0()), (id, tl0), "{payload:x?}");
            let payload = Arc::from(payload);
            assert_eq!(*read.patch(&payload, Some(0x1234), Some(0x56)), *patched);
        }
    }

    #[test]
    fn an_unchanged_payload_is_not_copied() {
        let payload: Arc<[u8]> = Arc::from([0xa0, 0x85, 6, 0x20, 7, 9]);
        let read = Vp9Descriptor::parse(&payload).expect("whole");
        for (id, tl0, same) in [
            (Some(0x506), Some(7), true),
            (Some(0x8506), Some(7), true),
            (Some(0x507), Some(7), false),
            (Some(0x506), Some(8), false),
        ] {
            let patched = read.patch(&payload, id, tl0);
            assert_eq!(Arc::ptr_eq(&patched, &payload), same, "{id:?} {tl0:?}");
        }
    }

    #[test]
    fn a_keyframe_starts_at_its_lowest_spatial_layer() {
        for (payload, starts) in [
            (&[0x08_u8, 0, 0][..], true),
            (&[0x28, 0x00, 0], true),
            (&[0x28, 0x02, 0], false),
            (&[0x48, 0, 0], false),
            (&[0x00, 0, 0], false),
        ] {
            let read = Vp9Descriptor::parse(payload).expect("whole");
            assert_eq!(read.is_keyframe_start(), starts, "{payload:x?}");
        }
    }

    proptest! {
        /// A patched payload parses to the new values, keeps its length and differs nowhere else.
        #[test]
        fn a_patch_changes_only_the_picture_id_and_tl0picidx(
            payload in prop::collection::vec(any::<u8>(), 0..12),
            id in any::<Option<u16>>(),
            tl0 in any::<Option<u8>>(),
        ) {
            let Some(read) = Vp9Descriptor::parse(&payload) else {
                prop_assert!(payload.len() < 5);
                return Ok(());
            };
            let payload: Arc<[u8]> = payload.into();
            let patched = read.patch(&payload, id, tl0);
            prop_assert_eq!(patched.len(), payload.len());
            let again = Vp9Descriptor::parse(&patched).expect("as whole as before");
            prop_assert_eq!(again.is_keyframe_start(), read.is_keyframe_start());
            prop_assert_eq!(again.tl0(), read.tl0().map(|was| tl0.unwrap_or(was)));
            let mask = if read.picture_id.is_some_and(|(_, wide)| wide) { 0x7fff } else { 0x7f };
            prop_assert_eq!(again.picture_id(), read.picture_id().map(|was| id.map_or(was, |id| id & mask)));
            let back = again.patch(&patched, read.picture_id(), read.tl0());
            prop_assert_eq!(back, payload);
        }
    }
}
