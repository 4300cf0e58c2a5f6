//! A setting that is on or off.

use leptos::prelude::*;

/// A setting that is on or off. It shows the setting of the server, which a press asks to change.
#[component]
pub(super) fn Switch(
    /// Value of the element's `id`.
    id: &'static str,
    /// Visible label of the setting.
    label: Signal<&'static str>,
    /// What the setting does.
    hint: Signal<&'static str>,
    /// Whether it is on.
    on: Signal<bool>,
    /// Asks to change it.
    set: Callback<bool>,
) -> impl IntoView {
    let hint_id = format!("{id}-hint");
    view! {
        <div class="choice">
            <input
                class="choice__box"
                type="checkbox"
                role="switch"
                id=id
                prop:checked=on
                aria-describedby=hint_id.clone()
                on:click=move |event| {
                    event.prevent_default();
                    set.run(!on.get_untracked());
                }
            />
            <label class="choice__label" for=id>
                {label}
            </label>
            <p class="choice__hint field__hint" id=hint_id>
                {hint}
            </p>
        </div>
    }
}
