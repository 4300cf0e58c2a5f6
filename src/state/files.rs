//! What the page shows of a file: the box of a picture, the size and the kind in letters.

use crate::protocol::{Attachment, ChatMessage};

/// Largest box of a picture in the log, in CSS pixels: width and height.
const PICTURE_BOX: (u32, u32) = (400, 320);
/// Most letters of the ending of a name that is shown as the kind of the file.
const MAX_KIND_LETTERS: usize = 5;

/// The size at which the log shows a picture, in CSS pixels: within [`PICTURE_BOX`], never larger than
/// the picture. `None` if the file is no picture, or if its size is unknown.
pub fn picture_size(file: &Attachment) -> Option<(u32, u32)> {
    let (width, height) = (file.width?, file.height?);
    if !file.media_type.is_image() || width == 0 || height == 0 {
        return None;
    }
    let (width, height) = (f64::from(width), f64::from(height));
    let (most_width, most_height) = PICTURE_BOX;
    let scale = (f64::from(most_width) / width)
        .min(f64::from(most_height) / height)
        .min(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 1, and within the box"
    )]
    let pixels = |length: f64| (length * scale).round().max(1.0) as u32;
    Some((pixels(width), pixels(height)))
}

/// A size in bytes for people: "812 B", "3.4 KB", "25 MB". A KB has 1,024 bytes.
pub fn size_words(bytes: u64) -> String {
    let units = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that no floating-point number is needed.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", units[unit]),
        (whole, _) if whole >= 100 => format!("{whole} {}", units[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", units[unit]),
    }
}

/// The kind of a file by the ending of its name, in capital letters: "PDF". `None` without an ending
/// of a few letters and digits.
pub fn kind_words(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_kind = !stem.is_empty()
        && (1..=MAX_KIND_LETTERS).contains(&ending.len())
        && ending.chars().all(|c| c.is_ascii_alphanumeric());
    is_kind.then(|| ending.to_ascii_uppercase())
}

/// What a message says in one line: its text without syntax, or the names of its files without one. `None` if it was
/// deleted.
pub fn one_line(message: &ChatMessage) -> Option<String> {
    let plain = message.plain()?;
    Some(match plain.is_empty() {
        true => names(&message.files),
        false => plain,
    })
}

/// The names of files, with commas.
pub fn names(files: &[Attachment]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FileId, FileName, MediaType};

    fn picture(width: u32, height: u32) -> Attachment {
        Attachment {
            id: FileId::parse("f_3qf0Yp0m8fWw2S1b7cXy4Q").expect("valid"),
            name: FileName::clean("photo.png"),
            size: 1,
            media_type: MediaType::Png,
            width: Some(width),
            height: Some(height),
            url: String::new(),
        }
    }

    #[test]
    fn a_picture_is_fitted_into_the_box_and_never_enlarged() {
        let table = [
            ((100, 50), (100, 50)),
            ((4000, 2000), (400, 200)),
            ((1000, 4000), (80, 320)),
            ((50_000_000, 1), (400, 1)),
            ((u32::MAX, u32::MAX), (320, 320)),
        ];
        for ((width, height), expected) in table {
            assert_eq!(picture_size(&picture(width, height)), Some(expected));
        }
        assert_eq!(picture_size(&picture(0, 5)), None);
        let file = Attachment {
            media_type: MediaType::Binary,
            ..picture(5, 5)
        };
        assert_eq!(picture_size(&file), None);
        let unknown = Attachment {
            width: None,
            ..picture(5, 5)
        };
        assert_eq!(picture_size(&unknown), None);
    }

    #[test]
    fn a_size_is_written_in_the_largest_unit_that_fits() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (1536, "1.5 KB"),
            (25 * 1024 * 1024, "25 MB"),
            (25 * 1024 * 1024 - 1, "24.9 MB"),
            (850 * 1024 + 512, "850 KB"),
            (1 << 30, "1 GB"),
            (u64::MAX, "16777215 TB"),
        ];
        for (bytes, expected) in table {
            assert_eq!(size_words(bytes), expected);
        }
    }

    #[test]
    fn the_kind_of_a_file_is_a_short_ending() {
        let kinds = [
            "a.pdf",
            "a.tar.gz",
            ".profile",
            "a.",
            "a.<b>",
            "a.toolong",
            "a",
        ];
        let found = kinds.map(|name| kind_words(name).unwrap_or_default());
        assert_eq!(found, ["PDF", "GZ", "", "", "", "", ""]);
    }
}
