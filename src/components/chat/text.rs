//! The text of a message: text nodes, the elements of its marks, and links.

use crate::i18n::*;
use crate::protocol::text::links::{Piece, pieces};
use crate::protocol::{Mark, MarkKind, Node, ParticipantId, nodes};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
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

/// Draws a text as text nodes and the elements of its marks, never as markup. Each paragraph has the
/// direction of its first letter (`style/chat.css`); links run from left to right.
#[component]
pub fn MessageText(
    /// Text of the message.
    text: String,
    /// The form of the text.
    marks: Vec<Mark>,
) -> impl IntoView {
    let nodes = draw_all(nodes(&text, &marks), true);
    view! {
        <div class="message__text" dir="auto">
            {nodes}
        </div>
    }
}

fn draw_all(nodes: Vec<Node>, linked: bool) -> Vec<AnyView> {
    nodes.into_iter().map(|node| draw(node, linked)).collect()
}

/// Draws a part of a text; `linked` is whether addresses in it are links. The server bounds the depth
/// of the recursion.
fn draw(node: Node, linked: bool) -> AnyView {
    let (kind, inside) = match node {
        Node::Text(text) if linked => return draw_text(&text),
        Node::Text(text) => return text.into_any(),
        Node::Marked(MarkKind::CodeBlock, inside) => {
            return view! { <CodeBlock nodes=inside /> }.into_any();
        }
        Node::Marked(kind, inside) => (kind, inside),
    };
    let inside = draw_all(inside, linked && kind.has_addresses());
    match kind {
        MarkKind::Bold => view! { <strong>{inside}</strong> }.into_any(),
        MarkKind::Italic => view! { <em>{inside}</em> }.into_any(),
        MarkKind::Strike => view! { <s>{inside}</s> }.into_any(),
        MarkKind::Code => view! { <code translate="no">{inside}</code> }.into_any(),
        MarkKind::Quote => view! { <blockquote dir="auto">{inside}</blockquote> }.into_any(),
        MarkKind::List => view! { <ul>{inside}</ul> }.into_any(),
        MarkKind::OrderedList(first) => view! { <ol start=first>{inside}</ol> }.into_any(),
        MarkKind::Item => view! { <li dir="auto">{inside}</li> }.into_any(),
        MarkKind::Link(target) => link(&target, inside.into_any(), "auto"),
        MarkKind::Mention(id) => mention(id, inside.into_any()),
        MarkKind::Syntax | MarkKind::CodeBlock | MarkKind::Unknown => inside.into_any(),
    }
}

/// Draws text and the addresses in it.
fn draw_text(text: &str) -> AnyView {
    let pieces = pieces(text).into_iter().map(|piece| match piece {
        Piece::Words(words) => words.into_any(),
        Piece::Link(address) => link(&address, address.clone().into_any(), "ltr"),
    });
    pieces.collect_view().into_any()
}

fn link(target: &str, words: AnyView, dir: &'static str) -> AnyView {
    let href = destination(target);
    view! {
        <a href=href dir=dir target="_blank" rel="noopener noreferrer nofollow ugc">
            {words}
        </a>
    }
    .into_any()
}

/// A mention, which stands out if it is of this participant.
fn mention(id: ParticipantId, name: AnyView) -> AnyView {
    let session = expect_context::<Session>();
    let is_me = Memo::new(move |_| session.room.people().read().is_me(&id));
    view! {
        <mark class="mention" class:mention--me=is_me translate="no">
            {name}
        </mark>
    }
    .into_any()
}

/// Lines of code, and a button that copies them.
#[component]
fn CodeBlock(
    /// The parts of the block.
    nodes: Vec<Node>,
) -> impl IntoView {
    let i18n = use_i18n();
    let copied = RwSignal::new(false);
    let lines = nodes.iter().filter_map(|node| match node {
        Node::Text(text) => Some(text.as_str()),
        Node::Marked(..) => None,
    });
    let code: String = lines.collect();
    let shown = code.clone();
    let copy = move |_| {
        let code = code.clone();
        #[cfg(feature = "hydrate")]
        crate::browser::dom::clipboard::copy(code, move || copied.set(true));
        #[cfg(not(feature = "hydrate"))]
        drop(code);
    };
    let words = Signal::derive(move || match copied.get() {
        true => t_string!(i18n, room.text_copied),
        false => t_string!(i18n, room.copy_code),
    });
    view! {
        <div class="code">
            <pre dir="ltr" translate="no">
                <code>{shown}</code>
            </pre>
            <button
                class="button button--small button--quiet code__copy"
                type="button"
                on:click=copy
            >
                {words}
            </button>
            <span class="visually-hidden" role="status">
                {Signal::derive(move || match copied.get() {
                    true => t_string!(i18n, room.text_copied),
                    false => "",
                })}
            </span>
        </div>
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
