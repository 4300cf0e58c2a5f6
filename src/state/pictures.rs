//! Pictures before they are sent: what the first bytes of a file say, and how the browser encodes the
//! picture again, so that neither the place nor anything else that a camera stored goes with it.

use crate::protocol::MediaType;

/// Most pixels of a picture that the browser decodes: 50 million, as many as the server shows. Decoded
/// they are 200 MB.
const MAX_PIXELS: u64 = 50_000_000;

/// Bytes at the start of a file in which its size is looked for. 1 MiB: a JPEG may hold a preview and
/// colour profiles before it.
pub const HEAD_BYTES: u32 = 1024 * 1024;

/// What the first bytes of a picture say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// The format of the picture.
    media_type: MediaType,
    /// Pixels in a row.
    width: u32,
    /// Rows of pixels.
    height: u32,
    /// Whether the picture moves.
    moves: bool,
}

/// How the browser encodes a picture again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    /// The format to ask for.
    pub media_type: MediaType,
    /// The format where the browser does not write the first one.
    pub otherwise: MediaType,
    /// Quality from 0 to 1. 1 writes a WebP without loss.
    pub quality: f64,
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preparation {
    /// The picture is encoded again.
    Encode(Encoding),
    /// The file is sent as it is. `is_picture`: whether a picture keeps what a camera stored in it.
    Keep {
        /// Whether the file is a picture.
        is_picture: bool,
    },
}

/// What is done with a file that begins with these bytes. `declared`: the media type that the browser
/// tells by the ending of the name.
pub fn preparation(head: &[u8], declared: &str) -> Preparation {
    let is_picture = declared.starts_with("image/")
        && !matches!(declared, "image/gif" | "image/svg+xml" | "image/bmp");
    let keep = Preparation::Keep { is_picture };
    let Some(header) = header(head) else {
        return keep;
    };
    let pixels = u64::from(header.width) * u64::from(header.height);
    if header.moves || pixels == 0 || pixels > MAX_PIXELS {
        return Preparation::Keep { is_picture: true };
    }
    let (otherwise, quality) = match header.media_type {
        MediaType::Png => (MediaType::Png, 1.0),
        MediaType::Jpeg | MediaType::Webp => (MediaType::Jpeg, 0.9),
        MediaType::Gif | MediaType::Avif | MediaType::Binary => return keep,
    };
    Preparation::Encode(Encoding {
        media_type: MediaType::Webp,
        otherwise,
        quality,
    })
}

/// The name of a picture in another format.
pub fn renamed(name: &str, media_type: MediaType) -> String {
    let (ending, others): (&str, &[&str]) = match media_type {
        MediaType::Webp => ("webp", &[]),
        MediaType::Jpeg => ("jpg", &["jpeg"]),
        MediaType::Png => ("png", &[]),
        MediaType::Gif | MediaType::Avif | MediaType::Binary => return name.to_owned(),
    };
    let (stem, former) = match name.rsplit_once('.') {
        Some((stem, former)) if !stem.is_empty() => (stem, former.to_ascii_lowercase()),
        _ => (name, String::new()),
    };
    match former == ending || others.contains(&former.as_str()) {
        true => name.to_owned(),
        false => format!("{stem}.{ending}"),
    }
}

/// The header of a PNG, JPEG or WebP.
fn header(head: &[u8]) -> Option<Header> {
    png(head).or_else(|| jpeg(head)).or_else(|| webp(head))
}

/// The number of two bytes at a place, the high byte first.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let two = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*two).into())
}

/// The number of four bytes at a place, the highest byte first.
fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*four))
}

/// The number of three bytes at a place, the lowest byte first.
fn low_three(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = *bytes.get(at..)?.first_chunk::<3>()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

/// Portable Network Graphics: the chunk IHDR is the first. An animation has `acTL` before the first
/// chunk of pixels.
fn png(head: &[u8]) -> Option<Header> {
    let chunks = head.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    if chunks.get(4..8)? != b"IHDR" {
        return None;
    }
    let (width, height) = (long(chunks, 8)?, long(chunks, 12)?);
    let (mut rest, mut moves) = (chunks, false);
    while let (Some(length), Some(kind)) = (long(rest, 0), rest.get(4..8)) {
        moves |= kind == b"acTL";
        // Length, kind and checksum are 12 bytes.
        let next = usize::try_from(length).ok()?.checked_add(12)?;
        match rest.get(next..) {
            Some(after) if kind != b"IDAT" => rest = after,
            _ => break,
        }
    }
    Some(Header {
        media_type: MediaType::Png,
        width,
        height,
        moves,
    })
}

/// JPEG (ITU-T T.81): the size is in the first segment that starts a frame.
fn jpeg(head: &[u8]) -> Option<Header> {
    let mut rest = head.strip_prefix(b"\xff\xd8")?;
    loop {
        let marker = match *rest.first_chunk::<2>()? {
            // Bytes of 0xFF may fill up the space before a marker.
            [0xff, 0xff] => {
                rest = rest.get(1..)?;
                continue;
            }
            [0xff, marker] => marker,
            _ => return None,
        };
        let is_frame = (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            return Some(Header {
                media_type: MediaType::Jpeg,
                height: word(rest, 5)?,
                width: word(rest, 7)?,
                moves: false,
            });
        }
        let length = usize::try_from(word(rest, 2)?).ok()?;
        rest = rest.get(2 + length.max(2)..)?;
    }
}

/// WebP (RFC 9649): lossy, lossless, or extended, which may move.
fn webp(head: &[u8]) -> Option<Header> {
    if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WEBP" {
        return None;
    }
    let (width, height, moves) = match head.get(12..16)? {
        b"VP8X" => {
            let flags = *head.get(20)?;
            (
                low_three(head, 24)? + 1,
                low_three(head, 27)? + 1,
                flags & 2 != 0,
            )
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(*head.get(21..)?.first_chunk()?);
            ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1, false)
        }
        b"VP8 " => {
            let side = |at| Some(low_three(head, at)? & 0x3fff);
            (side(26)?, side(28)?, false)
        }
        _ => return None,
    };
    Some(Header {
        media_type: MediaType::Webp,
        width,
        height,
        moves,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png_of(width: u32, height: u32, chunk: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0, 1, 2, 3, 4]);
        bytes.extend(chunk);
        bytes.extend(b"\0\0\0\0IDAT\0\0\0\0");
        bytes
    }

    fn jpeg_of(width: u16, height: u16, before: usize) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe1".to_vec();
        let length = u16::try_from(before + 2).expect("a segment");
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![7; before]);
        bytes.extend(b"\xff\xff\xc2\0\x11\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes
    }

    fn webp_of(kind: &[u8], rest: &[u8]) -> Vec<u8> {
        [b"RIFF\x1a\0\0\0WEBP".as_slice(), kind, b"\x0a\0\0\0", rest].concat()
    }

    fn size(head: &[u8]) -> Option<(MediaType, u32, u32)> {
        header(head).map(|it| (it.media_type, it.width, it.height))
    }

    #[test]
    fn the_size_of_a_picture_is_in_its_header() {
        let png = png_of(640, 480, b"");
        assert_eq!(size(&png), Some((MediaType::Png, 640, 480)));
        let jpeg = jpeg_of(4000, 3000, 60_000);
        assert_eq!(size(&jpeg), Some((MediaType::Jpeg, 4000, 3000)));
        let extended = webp_of(b"VP8X", &[0, 0, 0, 0, 0x7f, 2, 0, 0xdf, 1, 0]);
        assert_eq!(size(&extended), Some((MediaType::Webp, 640, 480)));
        let lossless = webp_of(b"VP8L", &[0x2f, 0x7f, 0xc2, 0x77, 0]);
        assert_eq!(size(&lossless), Some((MediaType::Webp, 640, 480)));
        let lossy = webp_of(b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, 0x80, 2, 0xe0, 1, 0, 0]);
        assert_eq!(size(&lossy), Some((MediaType::Webp, 640, 480)));
        assert_eq!(size(b"GIF89a"), None);
    }

    #[test]
    fn pictures_are_encoded_again_unless_they_move_or_are_too_large() {
        let again = |otherwise, quality| {
            Preparation::Encode(Encoding {
                media_type: MediaType::Webp,
                otherwise,
                quality,
            })
        };
        let keep = |is_picture| Preparation::Keep { is_picture };
        let png = png_of(9, 9, b"");
        assert_eq!(preparation(&png, "image/png"), again(MediaType::Png, 1.0));
        // What the file is counts, not what its name says.
        assert_eq!(preparation(&png, "text/plain"), again(MediaType::Png, 1.0));
        let photo = jpeg_of(8000, 6000, 9);
        assert_eq!(
            preparation(&photo, "image/jpeg"),
            again(MediaType::Jpeg, 0.9)
        );
        let huge = jpeg_of(8000, 6251, 9);
        assert_eq!(preparation(&huge, "image/jpeg"), keep(true));
        let moving = png_of(9, 9, b"\0\0\0\x02acTL\0\0\0\0\0\0");
        assert_eq!(preparation(&moving, "image/png"), keep(true));
        let moving = webp_of(b"VP8X", &[2, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
        assert_eq!(preparation(&moving, "image/webp"), keep(true));
        assert_eq!(preparation(b"GIF89a", "image/gif"), keep(false));
        assert_eq!(preparation(b"....ftypheic", "image/heic"), keep(true));
        assert_eq!(preparation(b"%PDF-1.7", "application/pdf"), keep(false));
        assert_eq!(preparation(b"\xff\xd8\xff", "image/jpeg"), keep(true));
    }

    #[test]
    fn a_name_gets_the_ending_of_the_new_format() {
        let webp = |name| renamed(name, MediaType::Webp);
        assert_eq!(webp("holiday.jpg"), "holiday.webp");
        assert_eq!(webp("a.b.PNG"), "a.b.webp");
        assert_eq!(webp("a.WEBP"), "a.WEBP");
        assert_eq!(webp("photo"), "photo.webp");
        assert_eq!(webp(".png"), ".png.webp");
        assert_eq!(renamed("a.jpeg", MediaType::Jpeg), "a.jpeg");
        assert_eq!(renamed("a.webp", MediaType::Jpeg), "a.jpg");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = preparation(&bytes, "image/png");
            for start in [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], b"\xff\xd8\xff", b"RIFF....WEBPVP8"] {
                let _ = preparation(&[start, &bytes].concat(), "");
            }
        }
    }
}
