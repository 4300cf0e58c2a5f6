//! Files that are kept with chat messages.

use super::{FileId, FileName};
use serde::{Deserialize, Serialize};

/// Most files of one message.
pub const MAX_MESSAGE_FILES: usize = 10;

/// The header that carries the session of who uploads.
pub const SESSION_HEADER: &str = "noom-session";

/// The media type of a kept file: an image whose header the server has read, or any other file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// Portable Network Graphics.
    #[serde(rename = "image/png")]
    Png,
    /// JPEG (ISO/IEC 10918).
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// Graphics Interchange Format.
    #[serde(rename = "image/gif")]
    Gif,
    /// WebP (RFC 9649).
    #[serde(rename = "image/webp")]
    Webp,
    /// AV1 image file format.
    #[serde(rename = "image/avif")]
    Avif,
    /// Anything else. A browser saves it and never shows it.
    #[default]
    #[serde(rename = "application/octet-stream", other)]
    Binary,
}

impl MediaType {
    /// Every type, in order.
    pub const ALL: [Self; 6] = [
        Self::Png,
        Self::Jpeg,
        Self::Gif,
        Self::Webp,
        Self::Avif,
        Self::Binary,
    ];

    /// The name of the type on the wire and in the store (RFC 6838).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Binary => "application/octet-stream",
        }
    }

    /// A type from the store; one that this version does not know is [`Self::Binary`].
    pub fn from_stored(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.unwrap_or_default()
    }

    /// Whether a page may show the file as an image.
    pub const fn is_image(self) -> bool {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::Webp | Self::Avif => true,
            Self::Binary => false,
        }
    }
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Id of the file, which its upload had.
    pub id: FileId,
    /// The name for people. It is no path.
    pub name: FileName,
    /// Size in bytes.
    pub size: u64,
    /// What the server found at the start of the file.
    #[serde(rename = "type")]
    pub media_type: MediaType,
    /// Width in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels, for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The path of the file on this site, without the base path. It is signed and expires; each
    /// message that the server sends has a fresh one. Empty in an export.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_media_type_serialises_to_its_name_and_unknown_ones_are_binary() {
        for media_type in MediaType::ALL {
            let json = serde_json::to_value(media_type).expect("serialises");
            assert_eq!(json, media_type.name());
            assert_eq!(MediaType::from_stored(media_type.name()), media_type);
            assert_eq!(media_type.is_image(), media_type != MediaType::Binary);
        }
        for other in ["image/svg+xml", "text/html", ""] {
            assert_eq!(MediaType::from_stored(other), MediaType::Binary);
            let read: MediaType = serde_json::from_value(other.into()).expect("read");
            assert_eq!(read, MediaType::Binary);
        }
    }
}
