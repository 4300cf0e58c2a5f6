//! Things that are there only sometimes.
//!
//! `leptos::Show` is compiled once for each condition and content; this once for all.

use leptos::prelude::*;

/// Draws its children while `when` holds.
#[component]
pub fn ErasedShow(
    /// Shows the children while true.
    #[prop(into)]
    when: Signal<bool>,
    /// What to draw while it holds.
    children: ChildrenFn,
) -> impl IntoView {
    let when = Memo::new(move |_| when.get());
    move || when.get().then(|| children())
}
