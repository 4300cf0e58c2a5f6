//! The part of VP8 that a server reads: the payload descriptor (RFC 7741) with picture id,
//! TL0PICIDX and temporal layer, and the frame header (RFC 6386) with the keyframe bit.

/// The frame that is being sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Frame {
    /// Bytes that are not sent yet.
    pub remaining: usize,
    /// Whether the next packet is the first of the frame.
    pub is_start: bool,
    /// Whether the frame is a keyframe.
    pub is_keyframe: bool,
    /// Its temporal layer.
    pub layer: u8,
    /// Its RTP timestamp.
    pub time: u32,
    /// Width and height, in pixels.
    pub size: [u16; 2],
}

/// Writes the payload descriptor and the frame header of a packet of frame `number`.
pub fn describe(payload: &mut [u8], frame: Frame, number: u64, base_layer: u8) {
    let Frame {
        is_start,
        is_keyframe,
        layer,
        ..
    } = frame;
    let picture = (number & 0x7fff) as u16;
    // X; N for a frame without dependants; S at the start of a frame.
    payload[0] = 0x80 | u8::from(layer == 1) << 5 | u8::from(is_start) << 4;
    // I, L, T: picture id, TL0PICIDX and temporal layer follow.
    payload[1] = 0xe0;
    payload[2] = 0x80 | (picture >> 8) as u8;
    payload[3] = picture as u8;
    payload[4] = base_layer;
    payload[5] = layer << 6;
    if is_start {
        // Frame tag: show_frame, and the inverse keyframe bit.
        payload[6] = 0x10 | u8::from(!is_keyframe);
    }
    if is_start && is_keyframe {
        payload[9..12].copy_from_slice(&[0x9d, 0x01, 0x2a]);
        let [width, height] = frame.size.map(u16::to_le_bytes);
        payload[12..14].copy_from_slice(&width);
        payload[14..16].copy_from_slice(&height);
    }
}
