//! A setting that is on or off.

use leptos::html::Input;
use leptos::prelude::*;

/// A setting that is on or off. It shows the setting, which a press asks to change: the server may
/// refuse it.
#[component]
pub fn Switch(
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
    let switch = NodeRef::<Input>::new();
    // A cancelled click would restore the former state after the handler, also that of a setting
    // which has changed meanwhile.
    let press = move |_| {
        let is_on = on.get_untracked();
        if let Some(switch) = switch.get_untracked() {
            switch.set_checked(is_on);
        }
        set.run(!is_on);
    };
    view! {
        <div class="choice">
            <input
                class="choice__box"
                type="checkbox"
                role="switch"
                id=id
                prop:checked=on
                aria-describedby=hint_id.clone()
                node_ref=switch
                on:change=press
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
