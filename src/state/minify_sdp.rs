//! Removes the lines of an offer that the server does not use.
//!
//! Browsers repeat the transport in each media description and list a dozen header extensions
//! and feedback types. With four codecs in each of 25 video descriptions the offer would
//! exceed [`crate::protocol::MAX_SDP_BYTES`]. Removing lines is safe, because browsers use what
//! the answer accepts.

/// The header extensions that are used (`docs/protocol.md`, "Codecs").
const EXTENSIONS: [&str; 7] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "urn:3gpp:video-orientation",
];
/// The feedback types (RFC 4585 4.2) that are not used.
const NO_FEEDBACK: [&str; 2] = ["goog-remb", "ccm fir"];
/// The attributes of the transport, which a bundle needs once (RFC 9143 7.1.3).
const TRANSPORT: [&str; 5] = [
    "a=ice-ufrag:",
    "a=ice-pwd:",
    "a=ice-options:",
    "a=fingerprint:",
    "a=setup:",
];

/// Returns the offer without unused lines.
pub fn minify_sdp(offer: &str) -> String {
    let bundled = offer.contains("a=group:BUNDLE ");
    let mut sections = 0;
    let used_lines = offer.split_inclusive('\n').filter(|line| {
        sections += usize::from(line.starts_with("m="));
        let repeated = bundled && sections > 1 && starts_with_any(line, &TRANSPORT);
        !repeated && is_used(line.trim_end())
    });
    used_lines.collect()
}

/// Whether the server uses a line.
fn is_used(line: &str) -> bool {
    if let Some(extension) = line.strip_prefix("a=extmap:") {
        let uri = extension.split(' ').nth(1);
        return uri.is_some_and(|uri| EXTENSIONS.contains(&uri));
    }
    if let Some(feedback) = line.strip_prefix("a=rtcp-fb:") {
        let kind = feedback.split_once(' ');
        return kind.is_none_or(|(_, kind)| !NO_FEEDBACK.contains(&kind));
    }
    // The RTCP port (RFC 3605) is unused with `rtcp-mux`.
    !line.starts_with("a=rtcp:")
}

/// Whether a line begins with one of `starts`.
fn starts_with_any(line: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_SDP_BYTES;
    use proptest::prelude::*;

    /// A video description similar to Chromium's.
    fn picture(mid: usize) -> String {
        let transport = "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
            a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=setup:actpass\r\n";
        let fingerprint = format!("a=fingerprint:sha-256 {}\r\n", vec!["AB"; 32].join(":"));
        let others = [
            "urn:ietf:params:rtp-hdrext:toffset",
            "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
            "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
            "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
        ];
        let extensions = EXTENSIONS.iter().chain(&others).zip(1..);
        let extensions = extensions.map(|(uri, id)| format!("a=extmap:{id} {uri}\r\n"));
        let codecs = [(96, "VP8"), (98, "VP9"), (108, "H264"), (45, "AV1")].map(|(pt, name)| {
            let feedback = ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"];
            let feedback = feedback
                .map(|kind| format!("a=rtcp-fb:{pt} {kind}\r\n"))
                .concat();
            let format = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
            let resent = format!("a=rtpmap:{0} rtx/90000\r\na=fmtp:{0} apt={pt}\r\n", pt + 1);
            format!("a=rtpmap:{pt} {name}/90000\r\n{feedback}a=fmtp:{pt} {format}\r\n{resent}")
        });
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 108 109 45 46\r\n{transport}{fingerprint}\
            a=mid:{mid}\r\n{}a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n{}",
            extensions.collect::<String>(),
            codecs.concat(),
        )
    }

    /// An audio description similar to Chromium's.
    fn sound(mid: usize) -> String {
        let mut section = picture(mid);
        let codecs = section.find("a=rtpmap:").expect("codecs");
        section.truncate(codecs);
        let names = [
            (111, "opus/48000/2"),
            (63, "red/48000/2"),
            (9, "G722/8000"),
            (0, "PCMU/8000"),
            (8, "PCMA/8000"),
            (13, "CN/8000"),
            (110, "telephone-event/48000"),
            (126, "telephone-event/8000"),
        ];
        section += "a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
            a=fmtp:63 111/111\r\n";
        names
            .iter()
            .for_each(|(pt, name)| section += &format!("a=rtpmap:{pt} {name}\r\n"));
        section.replace("m=video", "m=audio")
    }

    #[test]
    fn an_offer_with_every_slot_fits_a_message() {
        // 25 video slots, six audio slots and the four own sources.
        let sections: String = (0..27).map(picture).chain((27..35).map(sound)).collect();
        let offer = format!("v=0\r\na=group:BUNDLE 0\r\n{sections}");
        assert!(offer.len() > MAX_SDP_BYTES);
        let slim = minify_sdp(&offer);
        assert!(slim.len() < MAX_SDP_BYTES, "{}", slim.len());
        let json = serde_json::to_string(&slim).expect("text").len();
        assert!(json < 60 * 1024, "a frame is 64 KiB at most: {json}");
    }

    #[test]
    fn used_lines_stay() {
        let offer = minify_sdp(&format!(
            "v=0\r\na=group:BUNDLE 0 1\r\n{}{}",
            picture(0),
            picture(1)
        ));
        let count = |text: &str| offer.matches(text).count();
        for used in [
            "a=mid:",
            "a=recvonly",
            "a=rtcp-mux",
            "VP8/",
            "H264/",
            "apt=",
        ] {
            assert!(count(used) >= 2, "{used}");
        }
        assert_eq!(count("a=extmap:"), 2 * EXTENSIONS.len());
        assert_eq!(count("a=rtcp-fb:"), 2 * 4 * 3);
        let once = TRANSPORT.map(count);
        assert_eq!(once, [1; 5], "of one transport for all");
    }

    #[test]
    fn an_offer_without_a_bundle_keeps_its_transports() {
        let offer = minify_sdp(&format!("v=0\r\n{}{}", picture(0), picture(1)));
        assert_eq!(offer.matches("a=ice-ufrag:").count(), 2);
    }

    proptest! {
        #[test]
        fn any_text_only_loses_lines(text in "(a=extmap:|a=rtcp-fb:|a=rtcp:|m=|[\\PC]{0,6}|\r|\n){0,30}") {
            let slim = minify_sdp(&text);
            let mut lines = text.split_inclusive('\n');
            prop_assert!(slim.split_inclusive('\n').all(|line| lines.any(|other| other == line)));
        }
    }
}
