//! Fingerprint of the DOM tree of a page's body.
//!
//! Browser extensions, translators and proxies change HTML before the script runs. Hydration binds
//! handlers to nodes by position. On a changed tree it panics, or binds handlers to the wrong
//! nodes. Each page therefore carries a fingerprint of the tree as it was sent, and `src/start.js`
//! computes the fingerprint of the tree in the browser. If they differ, the browser renders the
//! page instead of hydrating it.
//!
//! The fingerprint covers elements, comments, texts, and the attributes that distinguish siblings.
//! Other attributes, which extensions add, do not affect hydration. The fingerprint covers only
//! hydrated nodes: those of `<body>` up to its first element, and a comment that may follow it.
//!
//! The parser supports only the HTML that the Leptos renderer writes. A page with other HTML has no
//! fingerprint and is hydrated unchecked.

use crate::server::log_throttle::LogThrottle;
use std::borrow::Cow;

/// Placeholder of the fingerprint, with a value of the same length. `Hydration` in `src/app.rs`
/// writes it.
const PLACEHOLDER: &[u8] = b"data-page=\"????????\"";

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 8;

/// Attributes in the fingerprint, in this order. `start.js` has the same list.
const ATTRIBUTES: [&str; 4] = ["id", "class", "name", "d"];

/// Elements without an end tag (HTML 13.1.2).
const VOID: [&[u8]; 13] = [
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta",
    b"source", b"track", b"wbr",
];

/// Elements whose content an HTML parser reads as raw text. `<noscript>` is one if scripts run, and
/// only scripts read the fingerprint.
const RAW: [&[u8]; 5] = [b"script", b"style", b"noscript", b"iframe", b"xmp"];

/// Writes the fingerprint of a page into its placeholder. A page without placeholder stays
/// unchanged.
pub(super) fn write_fingerprint(page: &mut [u8]) {
    let Some(placeholder) = find(page, PLACEHOLDER) else {
        return;
    };
    let Some(fingerprint) = fingerprint(page) else {
        static UNCHECKED: LogThrottle = LogThrottle::new();
        if let Some(count) = UNCHECKED.record() {
            tracing::warn!(
                count,
                "a page holds HTML that cannot be checked in the browser"
            );
        }
        return;
    };
    let digits = format!("{fingerprint:0DIGITS$x}");
    let start = placeholder + PLACEHOLDER.len() - DIGITS - 1;
    page[start..start + DIGITS].copy_from_slice(digits.as_bytes());
}

/// The fingerprint of a page; `None` if the page holds HTML that this module does not parse.
fn fingerprint(page: &[u8]) -> Option<u32> {
    let body = find(page, b"<body")?;
    let mut reader = Reader {
        rest: &page[body..],
        trace: Vec::with_capacity(page.len() / 2),
    };
    reader.element_head()?;
    reader.trace.clear();
    reader.hydrated()?;
    Some(hash(&reader.trace))
}

/// The hash of a trace in words of 4 bytes; `start.js` has the same hash. A remainder of fewer
/// bytes is ignored, because the trace ends with padding.
fn hash(trace: &[u8]) -> u32 {
    let words = trace.chunks_exact(4);
    words.fold(0, |hash: u32, word| {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        (hash ^ word).wrapping_mul(0x9e37_79b1).rotate_left(15)
    })
}

/// Parses HTML into a trace of the DOM tree: `\1` and a text, `\2` and a comment, `\3` with name
/// and attributes for an element, `\4` for its end.
struct Reader<'a> {
    /// HTML that is not parsed yet.
    rest: &'a [u8],
    /// Trace of the parsed HTML.
    trace: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Parses the children of `<body>` up to the first element, and a comment behind it.
    fn hydrated(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let mut ends = false;
            match self.rest {
                [b'<', b'/', ..] => {
                    let (_, rest) = split(self.rest, b">")?;
                    self.rest = rest;
                    self.trace.push(4);
                    depth = depth.checked_sub(1)?;
                    ends = depth == 0;
                }
                [b'<', b'!', ..] => self.comment()?,
                [b'<', ..] => {
                    let name = self.element_head()?;
                    if VOID.contains(&name) {
                        self.trace.push(4);
                        ends = depth == 0;
                    } else {
                        depth += 1;
                        self.content(name)?;
                    }
                }
                _ => self.text(b"<")?,
            }
            if ends {
                if self.rest.starts_with(b"<!") {
                    self.comment()?;
                }
                // Padding, so that the last word of the hash covers the whole trace.
                self.trace.extend([4; 4]);
                return Some(());
            }
        }
    }

    /// Parses `<!---->`, or `<!>`, which is an empty comment (HTML 13.2.5.42).
    fn comment(&mut self) -> Option<()> {
        let (content, rest) = match self.rest.strip_prefix(b"<!>") {
            Some(rest) => (&b""[..], rest),
            None => split(self.rest.strip_prefix(b"<!--")?, b"-->")?,
        };
        self.rest = rest;
        self.trace.push(2);
        self.trace.extend(content);
        Some(())
    }

    /// Parses a start tag and returns its name.
    fn element_head(&mut self) -> Option<&'a [u8]> {
        let tag = self.rest.strip_prefix(b"<")?;
        let end = tag
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')?;
        let (name, mut rest) = tag.split_at(end);
        if name.is_empty() || name.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut values: [&[u8]; ATTRIBUTES.len()] = [b""; ATTRIBUTES.len()];
        loop {
            match rest {
                [b'>', after @ ..] => {
                    self.rest = after;
                    break;
                }
                [b' ' | b'\n', after @ ..] => rest = after,
                _ => {
                    let end = rest
                        .iter()
                        .position(|byte| matches!(byte, b'=' | b' ' | b'>' | b'\n'))?;
                    let (key, after) = rest.split_at(end);
                    let (value, after) = match after.strip_prefix(b"=\"") {
                        Some(after) => split(after, b"\"")?,
                        None if after.first() == Some(&b'=') => return None,
                        None => (&b""[..], after),
                    };
                    if let Some(at) = ATTRIBUTES.iter().position(|name| name.as_bytes() == key) {
                        values[at] = value;
                    }
                    rest = after;
                }
            }
        }
        self.trace.push(3);
        self.trace.extend(name);
        for value in values {
            self.trace.push(b'|');
            self.trace.extend(&*decoded(value)?);
        }
        Some(name)
    }

    /// Parses the text after the start tag of an element with special parsing rules.
    fn content(&mut self, name: &[u8]) -> Option<()> {
        if matches!(name, b"textarea" | b"pre") {
            // HTML parsers drop a line break right after this start tag (HTML 13.2.6.4.7).
            self.rest = self.rest.strip_prefix(b"\n").unwrap_or(self.rest);
        }
        if name == b"textarea" || name == b"title" {
            return self.text(b"</");
        }
        if RAW.contains(&name) {
            let (text, _) = split(self.rest, &[b"</", name].concat())?;
            self.rest = &self.rest[text.len()..];
            if !text.is_empty() {
                self.trace.push(1);
                self.trace.extend(text);
            }
        }
        Some(())
    }

    /// Parses a text up to `end`.
    fn text(&mut self, end: &[u8]) -> Option<()> {
        let (text, _) = split(self.rest, end)?;
        self.rest = &self.rest[text.len()..];
        if !text.is_empty() {
            self.trace.push(1);
            self.trace.extend(&*decoded(text)?);
        }
        Some(())
    }
}

/// Decodes the character references that the Leptos renderer writes, and normalizes line breaks as
/// an HTML parser does. `None` for other references and for NUL.
fn decoded(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'&' | b'\r' | 0)) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Some(Cow::Owned(out)),
            [0, ..] => return None,
            [b'\r', after @ ..] => {
                out.push(b'\n');
                rest = after.strip_prefix(b"\n").unwrap_or(after);
            }
            [b'&', ..] => {
                let references: [(&[u8], u8); 6] = [
                    (b"&amp;", b'&'),
                    (b"&lt;", b'<'),
                    (b"&gt;", b'>'),
                    (b"&quot;", b'"'),
                    (b"&#x27;", b'\''),
                    (b"&#39;", b'\''),
                ];
                let found = references.iter().find_map(|(reference, letter)| {
                    rest.strip_prefix(*reference).map(|after| (*letter, after))
                });
                let (letter, after) = found?;
                out.push(letter);
                rest = after;
            }
            [letter, after @ ..] => {
                out.push(*letter);
                rest = after;
            }
        }
    }
}

/// The parts of `text` before and after the first `part`.
fn split<'a>(text: &'a [u8], part: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, part)?;
    Some((&text[..at], &text[at + part.len()..]))
}

/// Index of the first `part` in `text`.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    loop {
        from += text[from..].iter().position(|byte| *byte == first)?;
        if text[from..].starts_with(part) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The trace of a body.
    fn trace(body: &str) -> Option<String> {
        let mut reader = Reader {
            rest: body.as_bytes(),
            trace: Vec::new(),
        };
        reader.hydrated()?;
        let trace = String::from_utf8(reader.trace).expect("what goes in is UTF-8");
        Some(trace)
    }

    /// The fingerprint of a page with this body.
    fn of(body: &str) -> Option<u32> {
        fingerprint(format!("<html><head></head><body>{body}</body></html>").as_bytes())
    }

    #[test]
    fn a_body_is_read_as_a_parser_reads_it() {
        let cases = [
            (
                "<div class=\"page\"><!--x-->a<!>b<br></div><!>",
                "\x03div||page||\x02x\x01a\x02\x01b\x03br||||\x04\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<p>a &amp; &lt;b&gt; &quot;c&quot; &#x27;d&#x27;</p><!>",
                "\x03p||||\x01a & <b> \"c\" 'd'\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<input hidden id=\"a&amp;b\" value=\"1>2\" name=\"n\"><!>",
                "\x03input|a&b||n|\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<p><textarea>\n&lt;p> <b></textarea></p><!>",
                "\x03p||||\x03textarea||||\x01<p> <b>\x04\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<p><script>if (a < b && c) {}</script></p><!>",
                "\x03p||||\x03script||||\x01if (a < b && c) {}\x04\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<p><noscript><a href=\"/\">x</a></noscript></p><!>",
                "\x03p||||\x03noscript||||\x01<a href=\"/\">x</a>\x04\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<svg><path d=\"M1 2\"></path></svg><!>",
                "\x03svg||||\x03path||||M1 2\x04\x04\x02\x04\x04\x04\x04",
            ),
            (
                "<p>one</p><script></script>",
                "\x03p||||\x01one\x04\x04\x04\x04\x04",
            ),
            (
                "<p>한글 👋 \u{202e}r\r\nn</p><!>",
                "\x03p||||\x01한글 👋 \u{202e}r\nn\x04\x02\x04\x04\x04\x04",
            ),
        ];
        for (body, wanted) in cases {
            assert_eq!(trace(body).as_deref(), Some(wanted), "{body}");
        }
    }

    #[test]
    fn html_that_leptos_does_not_write_has_no_fingerprint() {
        for body in [
            "",
            "<p>&nbsp;</p><!>",
            "<p a='b'></p><!>",
            "<p a=b></p><!>",
            "<P></P><!>",
            "<p>\0&amp;</p><!>",
            "</p><!>",
            "<!x>",
            "<p><!--</p>",
        ] {
            assert_eq!(of(body), None, "{body}");
        }
    }

    #[test]
    fn insertions_removals_wrappers_and_reorderings_change_the_fingerprint() {
        let clean = "<div class=\"page\"><p id=\"a\">x<!></p><p id=\"b\">x<!></p></div><!>";
        let fingerprint = of(clean).expect("our own HTML");
        for changed in [
            "<i></i><div class=\"page\"><p id=\"a\">x<!></p><p id=\"b\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"a\">x<!></p><i></i><p id=\"b\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"a\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"b\">x<!></p><p id=\"a\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"a\"><i>x</i><!></p><p id=\"b\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"a\">x</p><p id=\"b\">x</p></div><!>",
            "<div class=\"page\"><p id=\"a\">y<!></p><p id=\"b\">x<!></p></div><!>",
            "<div class=\"page\"> <p id=\"a\">x<!></p><p id=\"b\">x<!></p></div><!>",
            "<div class=\"page\"><p id=\"a\">x<!></p><p id=\"b\">x<!></p></div>\n<!>",
        ] {
            assert_ne!(of(changed), Some(fingerprint), "{changed}");
        }
        for harmless in [
            "<div class=\"page\"><p id=\"a\">x<!></p><p id=\"b\">x<!></p></div><!><i></i>",
            "<div data-x=\"1\" class=\"page\"><p id=\"a\">x<!></p><p title id=\"b\">x<!></p></div><!>",
        ] {
            assert_eq!(of(harmless), Some(fingerprint), "{harmless}");
        }
    }

    #[test]
    fn the_fingerprint_replaces_its_placeholder_only() {
        let page = |digits: &str| {
            format!("<head><script data-page=\"{digits}\"></script></head><body><p></p><!></body>")
        };
        let mut written = page("????????").into_bytes();
        write_fingerprint(&mut written);
        let fingerprint = fingerprint(&written).expect("our own HTML");
        assert_eq!(written, page(&format!("{fingerprint:08x}")).into_bytes());
        let mut other = b"<head></head><body><p></p><!></body>".to_vec();
        write_fingerprint(&mut other);
        assert_eq!(other, b"<head></head><body><p></p><!></body>");
    }

    proptest! {
        #[test]
        fn no_input_panics(page in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut page = [b"<script data-page=\"????????\"></script><body>".to_vec(), page].concat();
            write_fingerprint(&mut page);
        }

        #[test]
        fn no_markup_panics(parts in proptest::collection::vec("<[a-z/!-]{0,3}|>|=|\"|&(amp;)?|-->|[a-z] ", 0..40)) {
            let _ = of(&parts.concat());
        }
    }
}
