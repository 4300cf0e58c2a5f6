//! The clear part of RTP: what can be read and written without a key.

/// Bytes of the fixed header.
pub const FIXED_BYTES: usize = 12;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of all of it: contributing sources and extensions included.
    pub length: usize,
    /// What the payload is.
    pub payload_type: u8,
    /// The place in the stream.
    pub seq: u16,
    /// When it was sampled, in units of the clock.
    pub time: u32,
    /// The stream.
    pub ssrc: u32,
}

/// Whether a datagram is RTCP (RFC 5761, 4), given that it is not STUN or DTLS.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

/// Whether a datagram is RTP or RTCP, not STUN or DTLS (RFC 7983).
pub fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, ..])
}

impl Header {
    /// Reads the header of a packet.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let fixed = packet.get(..FIXED_BYTES)?;
        let mut length = FIXED_BYTES + usize::from(fixed[0] & 0x0f) * 4;
        if fixed[0] & 0x10 != 0 {
            let words = packet.get(length + 2..length + 4)?;
            length += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
        }
        (length <= packet.len()).then_some(Self {
            length,
            payload_type: fixed[1] & 0x7f,
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            time: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }

    /// Writes the fields that a forwarder changes into a packet.
    pub fn write(&self, packet: &mut [u8]) {
        packet[2..4].copy_from_slice(&self.seq.to_be_bytes());
        packet[4..8].copy_from_slice(&self.time.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A fixed header of a new packet.
pub fn fixed_header(payload_type: u8, marker: bool, header: Header) -> [u8; FIXED_BYTES] {
    let mut fixed = [0; FIXED_BYTES];
    fixed[0] = 0x80;
    fixed[1] = payload_type | u8::from(marker) << 7;
    header.write(&mut fixed);
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            length: FIXED_BYTES,
            payload_type: 96,
            seq: 65_000,
            time: 0xdead_beef,
            ssrc: 42,
        };
        let fixed = fixed_header(96, true, header);
        assert_eq!(Header::read(&fixed), Some(header));
        assert!(is_media(&fixed) && !is_rtcp(&fixed));
    }

    #[test]
    fn extensions_belong_to_the_header_and_must_be_whole() {
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0xbe, 0xde, 0, 1];
        assert_eq!(Header::read(&packet), None);
        packet.extend([0x10, 0x80, 0, 0, 0xfc]);
        assert_eq!(Header::read(&packet).map(|header| header.length), Some(20));
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
    }
}
