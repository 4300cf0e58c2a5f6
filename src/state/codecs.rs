//! Which codecs a browser offers for what, and in which order.
//!
//! Pure. A browser knows a dozen video formats, and each costs as many lines in each media
//! description of an offer. One profile of each codec is enough: what every browser has.

/// What a media description of an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Sound, one's own or others'.
    Sound,
    /// One's own camera: in the one codec that every browser sends in several sizes.
    Camera,
    /// One's own screen: in a better codec where everybody takes it.
    Screen,
    /// Others' pictures, in whatever they are sent.
    Slot,
}

/// The rank of a format for a purpose, the first is preferred; none if it is not offered.
/// `mime` and `fmtp` are as `RTCRtpReceiver.getCapabilities` gives them.
pub fn rank(purpose: Purpose, mime: &str, fmtp: &str) -> Option<usize> {
    let codecs: &[&str] = match purpose {
        // RED first: sent twice, a voice takes 32 kbit/s more and survives every single loss.
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

/// Whether it is the profile that everybody has; where none is named, it is.
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
            // Constrained baseline (RFC 6184 8.1), in pieces where it does not fit a packet.
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

    /// What Chromium lists of a receiver of pictures, shortened.
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

    /// Places in [`LISTED`], in the order they are offered in.
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
    fn formats_are_known_however_they_are_spelt() {
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
        fn nothing_a_browser_lists_is_too_strange(mime in "video/[a-zA-Z0-9]{0,5}", fmtp in "\\PC{0,30}") {
            for purpose in [Purpose::Sound, Purpose::Camera, Purpose::Screen, Purpose::Slot] {
                rank(purpose, &mime, &fmtp);
            }
        }
    }
}
