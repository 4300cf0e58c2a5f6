//! Conditional content with erased types.
//!
//! `leptos::Show` is compiled once per condition and content type, [`ErasedShow`] only once.

use leptos::prelude::*;

/// Draws its children while `when` holds.
#[component]
pub fn ErasedShow(
    /// Shows the children while true.
    #[prop(into)]
    when: Signal<bool>,
    /// Children to draw while `when` is true.
    children: ChildrenFn,
) -> impl IntoView {
    let when = Memo::new(move |_| when.get());
    move || when.get().then(|| children())
}
