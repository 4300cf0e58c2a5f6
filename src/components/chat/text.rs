//! The text of a message: plain words, with web addresses made into links.

use crate::protocol::text::links::{Piece, pieces};
use leptos::prelude::*;

/// Draws a text: text nodes and links, never markup. Each paragraph has the direction of its
/// own first letter (`style/chat.css`), and a link runs from left to right in it.
#[component]
pub fn MessageText(
    /// What was said.
    text: String,
) -> impl IntoView {
    let pieces = pieces(&text).into_iter().map(|piece| match piece {
        Piece::Words(words) => words.into_any(),
        Piece::Link(address) => {
            let href = address.clone();
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
