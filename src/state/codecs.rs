//! Selection and order of the codecs in an offer.
//!
//! Pure. A browser supports a dozen video formats, and each adds a dozen lines to each media
//! description. An offer contains one profile of each codec: the one that every browser has.

/// The use of a media description in an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Audio, sent or received.
    Sound,
    /// The sent camera: VP8, which every browser can simulcast.
    Camera,
    /// The sent screen: VP8, or VP9 while every receiver supports it.
    Screen,
    /// A received video, in any codec that a sender may use.
    Slot,
}

/// The rank of a format for a purpose, 0 first; `None` if the format is not offered. `mime` and
/// `fmtp` are the `mimeType` and `sdpFmtpLine` of `RTCRtpReceiver.getCapabilities`.
pub fn rank(purpose: Purpose, mime: &str, fmtp: &str) -> Option<usize> {
    let codecs: &[&str] = match purpose {
        // RED first: it costs 32 kbit/s more and recovers every single loss.
        Purpose::Sound => &["audio/red", "audio/opus"],
        Purpose::Camera => &["video/vp8", "video/rtx"],
        Purpose::Screen => &["video/vp8", "video/vp9", "video/rtx"],
        Purpose::Slot => &[
            "video/vp8",
            "video/vp9",
            "video/h264",
            "video/av1",
            "video/rtx",
        ],
    };
    let rank = codecs.iter().position(|c| c.eq_ignore_ascii_case(mime))?;
    is_usual_profile(codecs[rank], fmtp).then_some(rank)
}

/// Whether the format is of the profile that every browser has, or names no profile.
fn is_usual_profile(codec: &str, fmtp: &str) -> bool {
    let value = |name: &str| {
        let mut pairs = fmtp.split(';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let is_first = |name| value(name).is_none_or(|profile| profile == "0");
    match codec {
        "video/vp9" => is_first("profile-id"),
        "video/av1" => is_first("profile"),
        "video/h264" => {
            // Constrained baseline, non-interleaved packetization mode (RFC 6184 8.1).
            let baseline = value("profile-level-id").is_some_and(|id| id.starts_with("42e0"));
            baseline && value("packetization-mode").as_deref() == Some("1")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The capabilities of a video receiver in Chromium, shortened.
    const LISTED: [(&str, &str); 11] = [
        ("video/VP8", ""),
        ("video/rtx", ""),
        ("video/VP9", "profile-id=0"),
        ("video/VP9", "profile-id=2"),
        (
            "video/H264",
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        ),
        (
            "video/H264",
            "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
        ),
        (
            "video/H264",
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
        ("video/AV1", "level-idx=5;profile=0;tier=0"),
        ("video/AV1", "level-idx=5;profile=1;tier=0"),
        ("video/red", ""),
        ("video/ulpfec", ""),
    ];

    /// Indices into [`LISTED`], in the order of the offer.
    fn offered(purpose: Purpose) -> Vec<usize> {
        let ranked = LISTED.iter().enumerate();
        let ranked = ranked.filter_map(|(place, (m, f))| Some((rank(purpose, m, f)?, place)));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort();
        ranked.into_iter().map(|(_, place)| place).collect()
    }

    #[test]
    fn one_profile_of_each_codec_is_offered_and_vp8_first() {
        assert_eq!(offered(Purpose::Slot), [0, 2, 6, 7, 1]);
        assert_eq!(offered(Purpose::Screen), [0, 2, 1]);
        assert_eq!(offered(Purpose::Camera), [0, 1]);
        assert_eq!(offered(Purpose::Sound), [0; 0]);
    }

    #[test]
    fn formats_are_matched_in_any_case_and_spacing() {
        let h264 = "Profile-Level-Id=42E01F; packetization-mode=1";
        assert_eq!(rank(Purpose::Slot, "video/h264", h264), Some(2));
        assert_eq!(rank(Purpose::Slot, "video/H264", ""), None);
        assert_eq!(rank(Purpose::Slot, "VIDEO/vp9", ""), Some(1));
        assert_eq!(rank(Purpose::Sound, "audio/OPUS", "minptime=10"), Some(1));
        assert_eq!(rank(Purpose::Sound, "audio/red", "111/111"), Some(0));
        assert_eq!(rank(Purpose::Sound, "audio/PCMU", ""), None);
    }

    proptest! {
        #[test]
        fn arbitrary_formats_do_not_panic(mime in "video/[a-zA-Z0-9]{0,5}", fmtp in "\\PC{0,30}") {
            for purpose in [Purpose::Sound, Purpose::Camera, Purpose::Screen, Purpose::Slot] {
                rank(purpose, &mime, &fmtp);
            }
        }
    }
}
