//! The text of a message: plain words, with web addresses made into links.

use leptos::prelude::*;
use linkify::{LinkFinder, LinkKind};
use percent_encoding::percent_decode_str;

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words.
    Words(String),
    /// An `http` or `https` address.
    Link(String),
}

/// Takes a text apart. Put together again, the pieces are the text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let mut pieces: Vec<Piece> = Vec::new();
    for span in finder.spans(text) {
        let link = span.kind().is_some() && is_web_address(span.as_str());
        match (link, pieces.last_mut()) {
            (true, _) => pieces.push(Piece::Link(span.as_str().to_owned())),
            (false, Some(Piece::Words(words))) => words.push_str(span.as_str()),
            (false, _) => pieces.push(Piece::Words(span.as_str().to_owned())),
        }
    }
    pieces
}

/// Only these two schemes become links; anything else stays words.
fn is_web_address(address: &str) -> bool {
    let scheme = address
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// Where a link leads: its address without the parameter `prejoin`. A link in a message is
/// somebody else's word, on a page of ours; it must not lead into a call, with camera and
/// microphone on, without a question.
fn destination(address: &str) -> String {
    let (rest, fragment) = match address.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (address, None),
    };
    let Some((path, query)) = rest.split_once('?') else {
        return address.to_owned();
    };
    let is_prejoin = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default();
        percent_decode_str(key).eq(*b"prejoin")
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_prejoin(pair)).collect();
    let mut destination = path.to_owned();
    if !kept.is_empty() {
        destination = format!("{destination}?{}", kept.join("&"));
    }
    if let Some(fragment) = fragment {
        destination = format!("{destination}#{fragment}");
    }
    destination
}

/// Draws a text: text nodes and links, never markup.
#[component]
pub fn MessageText(
    /// What was said.
    text: String,
) -> impl IntoView {
    let pieces = pieces(&text).into_iter().map(|piece| match piece {
        Piece::Words(words) => words.into_any(),
        Piece::Link(address) => {
            let href = destination(&address);
            view! {
                <a href=href target="_blank" rel="noopener noreferrer nofollow ugc">
                    {address}
                </a>
            }
            .into_any()
        }
    });
    view! { <p class="message__text">{pieces.collect_view()}</p> }
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
    }

    #[test]
    fn a_link_in_a_message_never_skips_the_question_before_a_call() {
        let table = [
            (
                "https://a.b/room/x/call?prejoin=0",
                "https://a.b/room/x/call",
            ),
            (
                "https://a.b/c?prejoin=0&name=Ann#d",
                "https://a.b/c?name=Ann#d",
            ),
            ("https://a.b/c?x=1&%70rejo%69n=0", "https://a.b/c?x=1"),
            ("https://a.b/c?prejoin&prejoin=0", "https://a.b/c"),
            (
                "https://a.b/prejoin=0?a=prejoin",
                "https://a.b/prejoin=0?a=prejoin",
            ),
            ("https://a.b/c#?prejoin=0", "https://a.b/c#?prejoin=0"),
            ("https://a.b/c?", "https://a.b/c?"),
            ("https://a.b/c?d=%20&&e", "https://a.b/c?d=%20&&e"),
        ];
        for (address, expected) in table {
            assert_eq!(destination(address), expected);
        }
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in ".{0,300}") {
            let joined: String = pieces(&text).into_iter().map(|piece| match piece {
                Piece::Words(text) | Piece::Link(text) => text,
            }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
