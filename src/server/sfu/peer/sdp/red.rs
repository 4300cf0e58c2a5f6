//! Which media sections of an offer take redundant audio (RED, RFC 2198).

use super::msid::sections;

/// Whether a media section of an offer names RED. str0m knows the payload types of the whole
/// offer only.
pub fn is_offered(offer: &str, mid: &str) -> bool {
    let sections = sections(offer).into_iter();
    let mut here = sections.filter(|s| s.lines().any(|l| l.strip_prefix("a=mid:") == Some(mid)));
    here.any(|s| {
        s.lines()
            .any(|l| l.starts_with("a=rtpmap:") && l.contains(" red/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_is_offered_of_a_description_that_names_it() {
        let (first, second) = ("m=audio 9 x 0\r\na=mid:0\r\n", "m=audio 9 x 63\na=mid:1\n");
        let offer = format!("v=0\r\n{first}{second}a=rtpmap:63 red/48000/2\n");
        let offered = ["0", "1", "2", ""].map(|mid| is_offered(&offer, mid));
        assert_eq!(offered, [false, true, false, false]);
    }
}
