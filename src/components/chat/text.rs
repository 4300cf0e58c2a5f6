//! The text of a message: plain text with links.

use crate::protocol::text::links::{Piece, pieces};
use leptos::prelude::*;
use percent_encoding::percent_decode_str;

/// The target of a link: its address without the parameter `prejoin`. Another participant wrote
/// the link, so it must not enter a call, with camera and microphone on, without the prejoin
/// page.
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
    let remaining: Vec<&str> = query.split('&').filter(|pair| !is_prejoin(pair)).collect();
    let mut destination = path.to_owned();
    if !remaining.is_empty() {
        destination = format!("{destination}?{}", remaining.join("&"));
    }
    if let Some(fragment) = fragment {
        destination = format!("{destination}#{fragment}");
    }
    destination
}

/// Draws a text as text nodes and links, never as markup. Each paragraph has the direction of
/// its first letter (`style/chat.css`); links run from left to right.
#[component]
pub fn MessageText(
    /// Text of the message.
    text: String,
) -> impl IntoView {
    let pieces = pieces(&text).into_iter().map(|piece| match piece {
        Piece::Words(words) => words.into_any(),
        Piece::Link(address) => {
            let href = destination(&address);
            view! {
                <a href=href dir="ltr" target="_blank" rel="noopener noreferrer nofollow ugc">
                    {address}
                </a>
            }
            .into_any()
        }
    });
    view! {
        <p class="message__text" dir="auto">
            {pieces.collect_view()}
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_a_message_never_skips_the_prejoin_question() {
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
}
