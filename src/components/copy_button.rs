//! A button that copies a link and says so.

use crate::components::{Icon, IconName};
use leptos::prelude::*;

/// Copies by `copy`, which sets the signal once that is done.
#[component]
pub fn CopyButton(
    /// Class of the button.
    class: &'static str,
    /// What the button does.
    label: Signal<&'static str>,
    /// That it is done.
    done: Signal<&'static str>,
    /// Copies; given the signal that says that it is done.
    copy: Callback<RwSignal<bool>>,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    view! {
        <button class=class type="button" on:click=move |_| copy.run(copied)>
            <Icon name=IconName::Link />
            // Not in a live region, which would give the button no name.
            {Signal::derive(move || match copied.get() {
                true => done.get(),
                false => label.get(),
            })}
        </button>
        <span class="visually-hidden" role="status">
            {Signal::derive(move || match copied.get() {
                true => done.get(),
                false => "",
            })}
        </span>
    }
}
