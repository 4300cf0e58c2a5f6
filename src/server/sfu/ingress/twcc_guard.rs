//! Rejects transport-wide sequence numbers that make str0m allocate without bound
//! (draft-holmer-rmcat-transport-wide-cc-extensions).
//!
//! The number has 16 bits. str0m extends it from the largest one so far to the nearest value, also
//! backwards; below zero it wraps to 2^64, and the next report lists all packets in between. This
//! guard drops numbers that would go below zero before str0m reads them. A packet is not decrypted
//! at that point, so until one has been, any earlier packet may be the only authentic one.

/// How far a number may be ahead of the one before. 30,000: less than half of 16 bits, from where
/// str0m goes backwards.
const MAX_FORWARD_JUMP: u16 = 30_000;

/// The guard of one peer.
#[derive(Debug, Default)]
pub struct TwccGuard {
    /// The id of the header extension; none if not negotiated.
    extension_id: Option<u8>,
    /// How far the peer has counted.
    progress: Progress,
}

/// How far a peer has counted.
#[derive(Debug)]
enum Progress {
    /// The lowest number received; none of the packets is known to be authentic.
    Unverified(Option<u16>),
    /// The largest number of an authentic packet.
    Verified(u16),
    /// So far that no number goes below zero any more.
    Unrestricted,
}

impl Default for Progress {
    fn default() -> Self {
        Self::Unverified(None)
    }
}

impl TwccGuard {
    /// Sets the id of the negotiated header extension.
    pub fn set_extension_id(&mut self, id: Option<u8>) {
        self.extension_id = id;
    }

    /// Whether str0m may read a datagram.
    pub fn allows(&mut self, datagram: &[u8]) -> bool {
        match (self.extension_id, &self.progress) {
            (Some(id), Progress::Unverified(_) | Progress::Verified(_)) => {
                let extensions = header_extensions(datagram).unwrap_or_default();
                sequence_numbers(id, extensions).all(|seq| self.is_reachable(seq))
            }
            _ => true,
        }
    }

    /// Whether a number stays above zero whichever of the earlier packets were authentic.
    fn is_reachable(&mut self, seq: u16) -> bool {
        let from = match self.progress {
            Progress::Unverified(least) => least.unwrap_or(seq),
            Progress::Verified(largest) => largest,
            Progress::Unrestricted => return true,
        };
        if seq.saturating_sub(from) > MAX_FORWARD_JUMP {
            return false;
        }
        if let Progress::Unverified(least) = &mut self.progress {
            *least = Some(from.min(seq));
        }
        true
    }

    /// Records the number of an authentic packet.
    pub fn on_packet(&mut self, seq: u16) {
        let largest = match self.progress {
            Progress::Unverified(_) => seq,
            Progress::Verified(largest) => largest.max(seq),
            Progress::Unrestricted => return,
        };
        self.progress = match u16::MAX - largest > MAX_FORWARD_JUMP {
            true => Progress::Verified(largest),
            false => Progress::Unrestricted,
        };
    }
}

/// The header extensions of an RTP packet (RFC 3550 5.3.1), and whether they have the two-byte
/// form (RFC 8285 4.3).
fn header_extensions(datagram: &[u8]) -> Option<(&[u8], bool)> {
    let (first, _) = datagram.split_first()?;
    let is_extended = first >> 6 == 2 && first & 0x10 != 0;
    let sources = usize::from(first & 0x0f);
    let rest = datagram.get(12 + 4 * sources..).filter(|_| is_extended)?;
    let (&[p, q, n, m], rest) = rest.split_first_chunk()?;
    let two_bytes = match u16::from_be_bytes([p, q]) {
        0xbede => false,
        profile if profile & 0xfff0 == 0x1000 => true,
        _ => return None,
    };
    let length = 4 * usize::from(u16::from_be_bytes([n, m]));
    Some((rest.get(..length)?, two_bytes))
}

/// The values of the extensions with this id.
fn sequence_numbers(id: u8, (mut rest, two_bytes): (&[u8], bool)) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        loop {
            let (&first, after) = rest.split_first()?;
            if first == 0 {
                rest = after;
                continue;
            }
            let (found, length, after) = match two_bytes {
                true => {
                    let (&length, after) = after.split_first()?;
                    (first, usize::from(length), after)
                }
                // Id 15 ends the list (RFC 8285 4.2).
                false if first >> 4 == 15 => return None,
                false => (first >> 4, usize::from(first & 0x0f) + 1, after),
            };
            let (data, after) = after.split_at_checked(length)?;
            rest = after;
            if let (true, &[high, low, ..]) = (found == id, data) {
                return Some(u16::from_be_bytes([high, low]));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet that counts so far, by extension 3 of one byte, after another of them.
    fn packet(seq: u16) -> Vec<u8> {
        let [high, low] = seq.to_be_bytes();
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 2];
        packet.extend([0x10, 7, 0, 0x31, high, low, 0, 0, 1, 2, 3]);
        packet
    }

    /// One that was agreed to be 3.
    fn agreed() -> TwccGuard {
        let mut seq = TwccGuard::default();
        seq.set_extension_id(Some(3));
        seq
    }

    #[test]
    fn numbers_are_found_in_both_forms() {
        let read = |bytes: &[u8]| {
            sequence_numbers(3, header_extensions(bytes).unwrap_or_default()).collect()
        };
        let cases: [(&[u8], Vec<u16>); 6] = [
            (&packet(0x1234), vec![0x1234]),
            // A source, two bytes, an empty one, two of them.
            (
                &[
                    0x91, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 0x10, 5, 0, 3, 1, 0, 3, 2,
                    1, 2, 3, 3, 4, 5, 6, 0,
                ],
                vec![0x0102, 0x0405],
            ),
            // The end before the number, another profile, one that ends too soon, none.
            (
                &[
                    0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0xf0, 0x31, 1, 2,
                ],
                vec![],
            ),
            (
                &[
                    0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 1, 0x31, 1, 2, 0,
                ],
                vec![],
            ),
            (
                &[
                    0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 2, 0x31, 1, 2, 0,
                ],
                vec![],
            ),
            (&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x31, 1], vec![]),
        ];
        for (bytes, expected) in cases {
            let found: Vec<u16> = read(bytes);
            assert_eq!(found, expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_number_before_the_first_is_dropped() {
        let mut seq = agreed();
        assert!(seq.allows(&packet(3)));
        assert!(!seq.allows(&packet(65_000)), "whether 3 was real or not");
        seq.on_packet(3);
        assert!(!seq.allows(&packet(65_000)));
        assert!(seq.allows(&packet(1)));
    }

    #[test]
    fn nothing_is_looked_at_where_nothing_was_agreed() {
        let mut seq = TwccGuard::default();
        assert!(seq.allows(&packet(3)) && seq.allows(&packet(65_000)));
    }

    #[test]
    fn an_honest_count_goes_on_for_ever() {
        for first in [0, 1, 30_000, 40_000, 65_535_u16] {
            let mut seq = agreed();
            for number in (0..200_000_u32).map(|n| first.wrapping_add(n as u16)) {
                assert!(seq.allows(&packet(number)), "{first} {number}");
                seq.on_packet(number);
            }
        }
    }

    /// How `str0m` counts: from the one before by the nearest way.
    fn extended(before: Option<i64>, seq: u16) -> i64 {
        before.map_or(i64::from(seq), |before| {
            before + i64::from(seq.wrapping_sub(before as u16) as i16)
        })
    }

    proptest! {
        /// Some of what is let through counts, and of that some is seen to.
        #[test]
        fn nothing_goes_below_zero(
            packets in prop::collection::vec((any::<u16>(), any::<bool>(), any::<bool>()), 0..200),
        ) {
            let (mut seq, mut largest) = (agreed(), None);
            for (number, is_real, is_seen) in packets {
                if !seq.allows(&packet(number)) || !is_real {
                    continue;
                }
                let counted = extended(largest, number);
                prop_assert!(counted >= 0);
                largest = largest.max(Some(counted));
                if is_seen {
                    seq.on_packet(number);
                }
            }
        }

        #[test]
        fn any_datagram_is_read(id in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let all = sequence_numbers(id, header_extensions(&bytes).unwrap_or_default());
            prop_assert!(all.count() < 40);
        }
    }
}
