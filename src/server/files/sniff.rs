//! What a file is, from its first bytes.
//!
//! Only an image whose header names its size gets an image type. The name and the type that a client
//! claims say nothing. Nothing is decoded, so a small file cannot become a large picture here.

use crate::protocol::MediaType;
use imagesize::{Compression, ImageType};

/// Bytes at the start of a file in which the header of an image is looked for. 256 KiB: a JPEG may
/// have a colour profile and a preview before its size.
pub const HEAD_BYTES: usize = 256 * 1024;
/// Most pixels of an image that a page shows. 50 million: more than phones take, and 200 MB once a
/// browser has decoded it.
const MAX_PIXELS: u64 = 50_000_000;

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sniffed {
    /// The type of the file.
    pub media_type: MediaType,
    /// Width and height in pixels of an image.
    pub pixels: Option<(u32, u32)>,
}

/// Reads the type and, for an image, the size from the first [`HEAD_BYTES`] of a file.
pub fn sniff(head: &[u8]) -> Sniffed {
    let Some(media_type) = image_type(head) else {
        return Sniffed::default();
    };
    let Ok(size) = imagesize::blob_size(head) else {
        return Sniffed::default();
    };
    let side = |length: usize| u32::try_from(length).ok().filter(|length| *length > 0);
    let (Some(width), Some(height)) = (side(size.width), side(size.height)) else {
        return Sniffed::default();
    };
    match u64::from(width) * u64::from(height) <= MAX_PIXELS {
        true => Sniffed {
            media_type,
            pixels: Some((width, height)),
        },
        false => Sniffed::default(),
    }
}

/// The type of an image that every current browser shows.
fn image_type(head: &[u8]) -> Option<MediaType> {
    match imagesize::image_type(head).ok()? {
        ImageType::Png => Some(MediaType::Png),
        ImageType::Jpeg => Some(MediaType::Jpeg),
        ImageType::Gif => Some(MediaType::Gif),
        ImageType::Webp => Some(MediaType::Webp),
        ImageType::Heif(Compression::Av1) => Some(MediaType::Avif),
        _ => None,
    }
}

/// The start of a PNG of this size.
#[cfg(test)]
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// A box of the ISO base media file format (ISO/IEC 14496-12).
    fn iso_box(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + content.len()).expect("short");
        [&length.to_be_bytes(), name.as_slice(), content].concat()
    }

    /// The start of an AVIF of this size.
    fn avif(width: u32, height: u32) -> Vec<u8> {
        let size = [[0; 4], width.to_be_bytes(), height.to_be_bytes()].concat();
        let properties = iso_box(b"iprp", &iso_box(b"ipco", &iso_box(b"ispe", &size)));
        let meta = iso_box(b"meta", &[&[0; 4], properties.as_slice()].concat());
        [iso_box(b"ftyp", b"avif\0\0\0\0mif1avif"), meta].concat()
    }

    #[test]
    fn images_have_the_type_and_the_size_of_their_header() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x10\0\x20";
        let gif = b"GIF89a\x20\0\x10\0\xf7\0\0";
        let webp = b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x1f\0\0\x0f\0\0";
        let all: [(MediaType, &[u8]); 5] = [
            (MediaType::Png, &png(32, 16)),
            (MediaType::Jpeg, jpeg),
            (MediaType::Gif, gif),
            (MediaType::Webp, webp),
            (MediaType::Avif, &avif(32, 16)),
        ];
        for (media_type, head) in all {
            let pixels = Some((32, 16));
            assert_eq!(sniff(head), Sniffed { media_type, pixels });
        }
    }

    #[test]
    fn documents_and_broken_images_are_binary() {
        let wide = png(50_000, 50_000);
        let flat = png(0, 9);
        let all: [&[u8]; 12] = [
            b"",
            b"<!doctype html><script>alert(1)</script>",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            b"<?xml version='1.0'?><svg/>",
            b"%PDF-1.7",
            b"PK\x03\x04",
            b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x20\0\0\0\x10\0\0\0",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            &wide,
            &flat,
        ];
        for head in all {
            assert_eq!(sniff(head), Sniffed::default(), "{head:?}");
        }
    }

    #[test]
    fn a_picture_of_50000_times_50000_pixels_is_refused_in_no_time() {
        let (head, started) = (png(50_000, 50_000), Instant::now());
        assert_eq!(sniff(&head).pixels, None);
        assert!(started.elapsed() < Duration::from_millis(50));
        assert_eq!(sniff(&png(10_000, 5_000)).pixels, Some((10_000, 5_000)));
        assert_eq!(sniff(&png(10_000, 5_001)).pixels, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn arbitrary_files_are_sniffed_quickly_and_do_not_panic(
            start in prop::sample::select(vec![
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
                b"\xff\xd8\xff\xe0".to_vec(),
                b"GIF89a".to_vec(),
                b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(),
                b"RIFF\x10\0\0\0WEBPVP8L".to_vec(),
                b"\0\0\0\x18ftypavif\0\0\0\0mif1avif".to_vec(),
                avif(1, 1),
                Vec::new(),
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..600),
            zeros in 0_usize..2_000,
        ) {
            let head = [start, rest, vec![0; zeros]].concat();
            let found = sniff(&head);
            prop_assert_eq!(found.media_type.is_image(), found.pixels.is_some());
            if let Some((width, height)) = found.pixels {
                prop_assert!(u64::from(width) * u64::from(height) <= MAX_PIXELS);
            }
        }
    }
}
