//! The clear part of RTP, which needs no key (RFC 3550).

/// Size of the fixed header, in bytes.
pub const FIXED_BYTES: usize = 12;

/// The fields of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Size in bytes, with contributing sources and extensions.
    pub length: usize,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number; wraps after 65535.
    pub seq: u16,
    /// RTP timestamp, in units of the codec's clock.
    pub time: u32,
    /// Synchronization source of the stream.
    pub ssrc: u32,
}

/// Whether a datagram is RTCP, given that it is not STUN or DTLS (RFC 5761, section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

/// Whether a datagram is RTP or RTCP, not STUN or DTLS (RFC 7983).
pub fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, ..])
}

impl Header {
    /// Parses the header of a packet.
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

    /// Writes sequence number, timestamp and SSRC into a packet.
    pub fn write(&self, packet: &mut [u8]) {
        packet[2..4].copy_from_slice(&self.seq.to_be_bytes());
        packet[4..8].copy_from_slice(&self.time.to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// Builds the fixed header of a new packet.
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
    fn a_header_round_trips() {
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
