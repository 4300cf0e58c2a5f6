//! Stub.
use leptos::prelude::*;
/// Stub.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum IconName {
    Back,
    Camera,
    People,
    Send,
    Link,
    Leave,
    Moon,
    Forward,
}
/// Stub.
#[component]
pub fn Icon(name: IconName) -> impl IntoView {
    let _ = name;
    view! { <svg class="icon" aria-hidden="true"></svg> }
}
