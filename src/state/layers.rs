//! Scale factors of the camera's simulcast layers.
//!
//! libwebrtc encodes three layers from 960 by 540, two from 480 by 270 and one below, and drops
//! the highest of the requested layers. For a small camera the lower layers are therefore
//! scaled up, or its full resolution would never be sent.

/// Pixels from which three layers are encoded.
const THREE_FROM: u32 = 960 * 540;
/// Pixels from which two layers are encoded.
const TWO_FROM: u32 = 480 * 270;

/// `scaleResolutionDownBy` of each layer, lowest layer first. Width and height in pixels.
pub fn scales(width: u32, height: u32) -> [f64; 3] {
    match width.saturating_mul(height) {
        THREE_FROM.. => [4.0, 2.0, 1.0],
        TWO_FROM.. => [2.0, 1.0, 1.0],
        _ => [1.0; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_size_of_every_camera_is_among_the_layers_browsers_encode() {
        for (width, height, encoded) in [
            (1920, 1080, 3),
            (1280, 720, 3),
            (960, 540, 3),
            (640, 480, 2),
            (640, 360, 2),
            (480, 270, 2),
            (320, 240, 1),
            (176, 144, 1),
            (u32::MAX, u32::MAX, 3),
        ] {
            let scales = scales(width, height);
            assert!(scales[..encoded].contains(&1.0), "{width} by {height}");
            assert!(scales.is_sorted_by(|a, b| a >= b), "lowest first");
        }
    }
}
