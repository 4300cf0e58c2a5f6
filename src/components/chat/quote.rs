//! The quote of the message that another one replies to.

use crate::i18n::*;
use crate::state::rows::Quote;
use leptos::prelude::*;

/// Most characters of a quote.
const SHOWN_CHARS: usize = 120;

/// Draws a quote.
#[component]
pub fn QuoteView(
    /// The quoted message.
    quote: Quote,
) -> impl IntoView {
    let i18n = use_i18n();
    let (name, tag) = match &quote {
        Quote::Known { from, tag, .. } => (Some(from.nickname.to_string()), tag.clone()),
        Quote::Earlier => (None, None),
    };
    let words = Signal::derive(move || match &quote {
        Quote::Known {
            text: Some(text), ..
        } => shortened(text),
        Quote::Known { text: None, .. } => t_string!(i18n, room.deleted).to_owned(),
        Quote::Earlier => t_string!(i18n, room.earlier).to_owned(),
    });
    view! {
        <blockquote class="quote">
            {name
                .map(|name| {
                    view! {
                        <b class="quote__name" dir="auto">
                            {name}
                        </b>
                    }
                })} {tag.map(|tag| view! { <span class="tag">{tag}</span> })}
            <span class="quote__text" dir="auto">
                {words}
            </span>
        </blockquote>
    }
}

/// The start of a text, on one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
