//! The message another one answers, in short.

use crate::i18n::*;
use crate::state::rows::Quote;
use leptos::prelude::*;

/// Characters of a quoted message that are shown.
const SHOWN_CHARS: usize = 120;

/// Draws a quote.
#[component]
pub fn QuoteView(
    /// What is quoted.
    quote: Quote,
) -> impl IntoView {
    let i18n = use_i18n();
    let name = match &quote {
        Quote::Known(from, _) => Some(from.nickname.to_string()),
        Quote::Earlier => None,
    };
    let words = Signal::derive(move || match &quote {
        Quote::Known(_, Some(text)) => shortened(text),
        Quote::Known(_, None) => t_string!(i18n, room.deleted).to_owned(),
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
                })} <span class="quote__text" dir="auto">
                {words}
            </span>
        </blockquote>
    }
}

/// The beginning of a text, in one line.
fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
