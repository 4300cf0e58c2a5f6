//! Stream ids of receiving media sections, so that a browser plays audio and video in sync.
//!
//! Browsers play the tracks of one stream in sync; `a=msid` names the stream (RFC 8830). Browsers
//! offer none for sections that they only receive in, and str0m's answer repeats the offer's or
//! invents one for each. So the k-th receiving section of audio and of video get one stream id
//! before str0m parses the offer.

/// The kinds of sections: how each begins, and the suffix of its track id.
const KINDS: [(&str, &str); 2] = [("m=audio", "a"), ("m=video", "v")];

/// The offer with a stream id in each receiving section that has none. Any text is accepted;
/// everything else stays as it is.
pub fn add_stream_ids(offer: &str) -> String {
    let mut named = String::with_capacity(offer.len() + 512);
    let mut slots = [0, 0];
    for section in sections(offer) {
        match msid_position(section) {
            Some((kind, place)) => {
                let stream = format!("slot{}", slots[kind]);
                slots[kind] += 1;
                named.push_str(&section[..place]);
                if !has_line(section, "a=msid:") {
                    let (track, end) = (KINDS[kind].1, line_end(section));
                    named.push_str(&format!("a=msid:{stream} {stream}-{track}{end}"));
                }
                named.push_str(&section[place..]);
            }
            None => named.push_str(section),
        }
    }
    named
}

/// An SDP split before each `m=` line. The parts joined are the SDP.
pub fn sections(sdp: &str) -> Vec<&str> {
    let (mut sections, mut start, mut at) = (Vec::new(), 0, 0);
    for line in sdp.split_inclusive('\n') {
        if line.starts_with("m=") && at > start {
            sections.push(&sdp[start..at]);
            start = at;
        }
        at += line.len();
    }
    sections.push(&sdp[start..]);
    sections
}

/// The kind of a receiving section, and the position of its `a=msid`, before its direction.
fn msid_position(section: &str) -> Option<(usize, usize)> {
    let is = |kind: &(&str, &str)| {
        section
            .strip_prefix(kind.0)
            .is_some_and(|r| r.starts_with(' '))
    };
    let kind = KINDS.iter().position(is)?;
    let mut at = 0;
    for line in section.split_inclusive('\n') {
        if line.trim_end() == "a=recvonly" {
            return Some((kind, at));
        }
        at += line.len();
    }
    None
}

/// Whether a line of the section begins with `start`.
fn has_line(section: &str, start: &str) -> bool {
    section.lines().any(|line| line.starts_with(start))
}

/// The line end of a section.
fn line_end(section: &str) -> &'static str {
    match section.split_inclusive('\n').next() {
        Some(line) if line.ends_with("\r\n") => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An offer of these sections, each a kind and its attributes.
    fn offer(sections: &[(&str, &str)], end: &str) -> String {
        let head = format!("v=0{end}a=group:BUNDLE 0{end}");
        let each = sections.iter().map(|(kind, attributes)| {
            let media = format!("m={kind} 9 UDP/TLS/RTP/SAVPF 96{end}c=IN IP4 0.0.0.0{end}");
            let lines = attributes.split_whitespace().map(|a| format!("a={a}{end}"));
            media + &lines.collect::<String>()
        });
        head + &each.collect::<String>()
    }

    /// The streams named in an offer, section by section.
    fn named(sdp: &str) -> Vec<Option<&str>> {
        let msid = |section: &&'_ str| section.starts_with("m=");
        let sections = sections(sdp).into_iter().filter(msid);
        sections
            .map(|s| s.lines().find_map(|line| line.strip_prefix("a=msid:")))
            .collect()
    }

    #[test]
    fn the_slots_of_one_place_share_a_stream() {
        let sections = [
            ("audio", "mid:0 sendonly msid:-"),
            ("audio", "mid:1 recvonly"),
            ("video", "mid:2 recvonly"),
            ("video", "mid:3 recvonly rtcp-mux"),
            ("audio", "mid:4 recvonly"),
        ];
        let streams = [
            Some("-"),
            Some("slot0 slot0-a"),
            Some("slot0 slot0-v"),
            Some("slot1 slot1-v"),
            Some("slot1 slot1-a"),
        ];
        for end in ["\r\n", "\n"] {
            let sdp = add_stream_ids(&offer(&sections, end));
            assert_eq!(named(&sdp), streams);
            let bare = sdp.matches('\n').count() != sdp.matches("\r\n").count();
            assert_eq!(bare, end == "\n", "line ends are as they were");
        }
    }

    #[test]
    fn what_is_no_nameless_slot_stays_as_it_is() {
        let cases: [&[(&str, &str)]; 6] = [
            &[("audio", "mid:0 sendonly")],
            &[("video", "mid:0 sendrecv")],
            &[("video", "mid:0 inactive")],
            &[("application", "mid:0 recvonly")],
            &[("audiox", "mid:0 recvonly")],
            &[("audio", "mid:0 recvonly msid:theirs")],
        ];
        for case in cases {
            let sdp = offer(case, "\r\n");
            assert_eq!(add_stream_ids(&sdp), sdp);
        }
        for junk in [
            "",
            "\n",
            "m=",
            "m=audio",
            "a=recvonly",
            "m=audio \na=recvonly:x",
        ] {
            assert_eq!(add_stream_ids(junk), junk);
        }
    }

    #[test]
    fn a_slot_that_names_its_own_stream_keeps_its_place_in_the_count() {
        let sections = [("audio", "recvonly msid:theirs"), ("audio", "recvonly")];
        let sdp = add_stream_ids(&offer(&sections, "\n"));
        assert_eq!(named(&sdp), [Some("theirs"), Some("slot1 slot1-a")]);
    }

    #[test]
    fn a_last_line_without_an_end_is_no_trouble() {
        let sdp = add_stream_ids("m=audio 9 x 0\r\na=recvonly");
        assert_eq!(sdp, "m=audio 9 x 0\r\na=msid:slot0 slot0-a\r\na=recvonly");
    }

    proptest! {
        /// Only lines are put in, and only once.
        #[test]
        fn nothing_is_taken_away(
            sdp in "((m=(audio|video) 9 x|a=recvonly|a=msid:q|a=[a-z]{0,4}|[\\PC]{0,6})(\r\n|\n|)){0,20}",
        ) {
            let once = add_stream_ids(&sdp);
            let ours = |line: &&str| !line.starts_with("a=msid:slot");
            let without: String = once.split_inclusive('\n').filter(ours).collect();
            prop_assert_eq!(without, sdp);
            prop_assert_eq!(add_stream_ids(&once), once);
        }
    }
}
