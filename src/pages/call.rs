//! Stub.
use leptos::prelude::*;
/// Stub.
#[component]
pub fn CallPage() -> impl IntoView {
    view! { <p>"call"</p> }
}
