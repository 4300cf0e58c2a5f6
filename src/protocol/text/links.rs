//! Detection of web addresses in text.
//!
//! Only `http` and `https` addresses are links. An address ends before white space, before
//! quotes and unbalanced brackets, before punctuation at the end of a sentence, and before
//! words that languages without spaces append to it: `https://ex.example/abc에서` is the
//! address `https://ex.example/abc` and a particle. In `https://ko.wikipedia.org/wiki/한국` the
//! syllables are part of the address. The character before the first syllable decides, see
//! [`runs_on`].

use super::invisible::is_unseen;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text between two links.
    Words(String),
    /// An `http` or `https` address.
    Link(String),
}

/// Splits a text into links and the words between them. The concatenated pieces are the text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut words, mut at) = (0, 0);
    while let Some(found) = text[at..].find("://") {
        let colon = at + found;
        at = colon + 3;
        let Some(start) = scheme_start(&text[words..colon]).map(|start| words + start) else {
            continue;
        };
        let Some(length) = address_length(&text[at..]) else {
            continue;
        };
        at += length;
        if words < start {
            pieces.push(Piece::Words(text[words..start].to_owned()));
        }
        pieces.push(Piece::Link(text[start..at].to_owned()));
        words = at;
    }
    if words < text.len() {
        pieces.push(Piece::Words(text[words..].to_owned()));
    }
    pieces
}

/// Byte offset at which the scheme `http` or `https` begins in the text before `://`.
fn scheme_start(before: &str) -> Option<usize> {
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_ascii_alphanumeric() || "+-.".contains(*c))
        .last()?
        .0;
    let scheme = &before[start..];
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known.then_some(start)
}

/// Length in bytes of the address at the start of `text`, which follows `://`; `None` if it
/// has no valid host.
fn address_length(text: &str) -> Option<usize> {
    let host = match bracketed_length(text) {
        Some(length) => length,
        None => part_length(text, "-._~%@:"),
    };
    if bracketed_length(text).is_none() && !is_authority(&text[..host]) {
        return None;
    }
    match bracketed_length(text) {
        Some(bracketed) => {
            let rest = &text[bracketed..];
            let digits = rest.strip_prefix(':').map_or(0, |port| {
                port.bytes().take_while(u8::is_ascii_digit).count()
            });
            let port = if digits > 0 { 1 + digits } else { 0 };
            Some(bracketed + port + path_length(&rest[port..]))
        }
        None => Some(host + path_length(&text[host..])),
    }
}

/// Whether browsers accept this as an authority (RFC 3986 3.2): optional user information, a
/// host, and an optional port. A host whose last label is a number must be an IPv4 address
/// (WHATWG URL 3.5).
fn is_authority(text: &str) -> bool {
    let host_and_port = text.rsplit_once('@').map_or(text, |(_, behind)| behind);
    let (host, port) = match host_and_port.split_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().is_ok()),
        None => (host_and_port, true),
    };
    let of_host = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let last = host.trim_end_matches('.').rsplit('.').next();
    let is_number = last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    let is_ipv4 = || host.parse::<std::net::Ipv4Addr>().is_ok();
    port && host.contains(char::is_alphanumeric)
        && host.chars().all(of_host)
        && (!is_number || is_ipv4())
}

/// Length in bytes of an IPv6 address in brackets (RFC 3986 3.2.2) at the start of `text`.
fn bracketed_length(text: &str) -> Option<usize> {
    let (address, _) = text.strip_prefix('[')?.split_once(']')?;
    let of_ipv6 = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
    let colons = address.matches(':').count();
    ((2..=7).contains(&colons) && address.chars().all(of_ipv6)).then(|| address.len() + 2)
}

/// Length in bytes of path, query and fragment at the start of `text`.
fn path_length(text: &str) -> usize {
    match text.starts_with(['/', '?', '#']) {
        true => part_length(text, "-._~%!$&'()*+,;=:@/?#[]"),
        false => 0,
    }
}

/// Length in bytes of the letters, digits and `marks` at the start of `text`, without trailing
/// punctuation and unbalanced closing brackets.
fn part_length(text: &str, marks: &str) -> usize {
    let mut end = 0;
    let (mut open, mut before, mut foreign) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        let belongs = match c.is_ascii() {
            true => c.is_ascii_alphanumeric() || marks.contains(c),
            false => is_part(c) && (foreign || !runs_on(before, c)),
        };
        if !belongs {
            break;
        }
        match c {
            '(' | '[' => open += 1,
            ')' | ']' if open == 0 => break,
            ')' | ']' => {
                open -= 1;
                end = at + 1;
            }
            '.' | ',' | ':' | ';' | '!' | '?' | '\'' | '*' | '~' | '@' | '&' => {}
            _ => end = at + c.len_utf8(),
        }
        foreign |= is_unspaced(c);
        before = Some(c);
    }
    end
}

/// Whether `c` starts a word after the address: a letter of a script without spaces directly
/// after an ASCII letter or digit.
fn runs_on(before: Option<char>, c: char) -> bool {
    is_unspaced(c) && before.is_some_and(|before| before.is_ascii_alphanumeric() || before == ')')
}

/// Whether a character outside ASCII can be part of an address: not white space or punctuation
/// of any script.
fn is_part(c: char) -> bool {
    !(is_unseen(c)
        || matches!(
            c,
            // Latin punctuation and signs.
            '\u{A0}'..='\u{BF}'
                // General punctuation: dashes, quotes, dots.
                | '\u{2000}'..='\u{206F}'
                // Punctuation of Chinese, Japanese and Korean, but not the signs among them
                // that are read as letters.
                | '\u{3000}'..='\u{3004}'
                | '\u{3008}'..='\u{3020}'
                | '\u{3030}'
                | '\u{303D}'
                | '\u{30FB}'
                | '\u{FE10}'..='\u{FE19}'
                | '\u{FE30}'..='\u{FE6F}'
                // Full-width and half-width punctuation.
                | '\u{FF00}'..='\u{FF0F}'
                | '\u{FF1A}'..='\u{FF20}'
                | '\u{FF3B}'..='\u{FF40}'
                | '\u{FF5B}'..='\u{FF65}'
                | '\u{FFE0}'..='\u{FFEE}'
                // Full stops and commas of other scripts.
                | '\u{55A}'..='\u{55F}'
                | '\u{589}'
                | '\u{60C}'
                | '\u{61B}'
                | '\u{61F}'
                | '\u{66A}'..='\u{66D}'
                | '\u{6D4}'
                | '\u{964}'..='\u{965}'
                | '\u{E2F}'
                | '\u{E5A}'..='\u{E5B}'
                | '\u{104A}'..='\u{104F}'
                | '\u{1362}'..='\u{1368}'
                | '\u{17D4}'..='\u{17DA}'
        ))
}

/// Whether a letter belongs to a script whose words may follow an address without a space:
/// Korean (particles), Chinese, Japanese, Thai, Lao, Burmese, Khmer.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{E00}'..='\u{EFF}'
            | '\u{1000}'..='\u{109F}'
            | '\u{1100}'..='\u{11FF}'
            | '\u{1780}'..='\u{17FF}'
            | '\u{2E80}'..='\u{2FDF}'
            | '\u{3005}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{FF10}'..='\u{FFDC}'
            | '\u{20000}'..='\u{3FFFD}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(text: &str) -> Vec<String> {
        let links = pieces(text).into_iter().filter_map(|piece| match piece {
            Piece::Link(address) => Some(address),
            Piece::Words(_) => None,
        });
        links.collect()
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert_eq!(
            links("see https://noom.example/a?b=c, ok"),
            ["https://noom.example/a?b=c"]
        );
        assert_eq!(links("(http://a.example)"), ["http://a.example"]);
        assert_eq!(
            links("주소는 https://ko.example/방 이에요"),
            ["https://ko.example/방"]
        );
        assert_eq!(
            links("javascript:alert(1) javascript://a.b/%0aalert(1)"),
            [""; 0]
        );
        assert_eq!(
            links("data:text/html,x ftp://a.example vbscript://x mailto:a@b.c"),
            [""; 0]
        );
        assert_eq!(
            links("xhttp://a.example http+x://b http:// https://. ://"),
            [""; 0]
        );
    }

    #[test]
    fn an_address_in_a_sentence_ends_before_the_sentence_does() {
        for (text, link) in [
            ("Is it HTTPS://Ex.Example/a?", "HTTPS://Ex.Example/a"),
            ("http://a.example.", "http://a.example"),
            ("http://a.example:3000/x/!", "http://a.example:3000/x/"),
            ("<http://a.example/b>", "http://a.example/b"),
            ("\"http://a.example/b\"", "http://a.example/b"),
            ("**http://a.example/b**", "http://a.example/b"),
            ("(see http://a.example/b_(c))", "http://a.example/b_(c)"),
            ("[x](http://a.example/b)", "http://a.example/b"),
            ("http://a.example/b), c", "http://a.example/b"),
            (
                "http://a.example/a=1&b=2#c-d",
                "http://a.example/a=1&b=2#c-d",
            ),
            ("http://user@a.example/~x", "http://user@a.example/~x"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://a.example/Köln/été", "http://a.example/Köln/été"),
            ("http://a.example/हिन्दी।", "http://a.example/हिन्दी"),
            ("http://a.example/b — c", "http://a.example/b"),
            ("http://a.example/b…", "http://a.example/b"),
            ("http://a.example/b‘s", "http://a.example/b"),
            ("«http://a.example/b»", "http://a.example/b"),
            ("http://a.example/b\u{202E}c", "http://a.example/b"),
            ("http://a.example/👍", "http://a.example/👍"),
        ] {
            assert_eq!(links(text), [link], "{text}");
        }
        assert_eq!(links("http://a.example,http://b.example").len(), 2);
    }

    #[test]
    fn an_address_ends_before_particles_and_full_width_punctuation() {
        for (text, link) in [
            ("https://ex.example/abc에서 봐요", "https://ex.example/abc"),
            ("https://ex.example에서", "https://ex.example"),
            ("https://ex.example:3000입니다", "https://ex.example:3000"),
            ("（https://ex.example）", "https://ex.example"),
            ("「https://ex.example/a」", "https://ex.example/a"),
            ("https://ex.example/a。", "https://ex.example/a"),
            ("https://ex.example/a、b", "https://ex.example/a"),
            ("见https://ex.example/a，谢谢", "https://ex.example/a"),
            ("https://ex.example/a！", "https://ex.example/a"),
            ("https://ex.example/a？", "https://ex.example/a"),
            ("https://ex.example/aです", "https://ex.example/a"),
            ("https://ex.example/a在这里", "https://ex.example/a"),
            ("https://ex.example/aครับ", "https://ex.example/a"),
            (
                "https://ex.example/%EC%9D%B4은",
                "https://ex.example/%EC%9D%B4",
            ),
            ("https://ex.example/?q=abc를", "https://ex.example/?q=abc"),
            ("https://ex.example/a(b)는", "https://ex.example/a(b)"),
        ] {
            assert_eq!(links(text), [link], "{text}");
        }
    }

    #[test]
    fn an_address_may_contain_letters_of_scripts_without_spaces() {
        for link in [
            "https://ko.wikipedia.org/wiki/한국",
            "https://ko.wikipedia.org/wiki/서울특별시_강남구",
            "https://ja.wikipedia.org/wiki/日本/東京",
            "https://ex.example/a-한국",
            "https://ex.example/?q=한국&x=회의",
            "https://ex.example/#%ED%95%9C-한",
            "https://한국.example/방",
            "https://例え.example",
        ] {
            assert_eq!(links(link), [link]);
        }
        assert_eq!(
            links("https://ko.wikipedia.org/wiki/한국」。"),
            ["https://ko.wikipedia.org/wiki/한국"]
        );
    }

    #[test]
    fn invalid_addresses_stay_text() {
        for words in [
            "http://a%b.example",
            "http://1.2.3.4.5/",
            "http://256.1.1.1",
            "http://a.example:99999/",
            "http://a.example:x",
            "http://~@/",
        ] {
            assert_eq!(links(words), [""; 0], "{words}");
        }
        for link in [
            "http://ann@a.example:8080/b",
            "https://1.2.3.4:3000/",
            "http://한국.example/",
        ] {
            assert_eq!(links(link), [link]);
        }
    }

    #[test]
    fn an_ipv6_address_is_a_host() {
        assert_eq!(
            links("try http://[::1]:3000/x or http://[2001:db8::1]."),
            ["http://[::1]:3000/x", "http://[2001:db8::1]"]
        );
        assert_eq!(links("(http://[::1])"), ["http://[::1]"]);
        assert_eq!(links("http://[::1]에서"), ["http://[::1]"]);
        assert_eq!(
            links("http://[x] http://[] http://[::1 http://[1:2"),
            [""; 0]
        );
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in "(https?://|[a(\\[\\])./:?에。 é\u{301}]|.){0,80}") {
            let joined: String = pieces(&text).into_iter().map(|piece| match piece {
                Piece::Words(text) | Piece::Link(text) => text,
            }).collect();
            prop_assert_eq!(joined, text);
        }

        #[test]
        fn a_link_is_a_web_address_without_spaces(text in "(https?://|[a(\\[\\])./:?에。 é]|.){0,80}") {
            for link in links(&text) {
                let rest = link.to_ascii_lowercase();
                prop_assert!(rest.starts_with("http://") || rest.starts_with("https://"));
                prop_assert!(!link.contains(is_unseen));
                prop_assert!(link.split_once("://").is_some_and(|(_, rest)| !rest.is_empty()));
            }
        }
    }
}
