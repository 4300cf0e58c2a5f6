//! "Hide my address": a setting of this device, before and during the call.

use crate::i18n::*;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::words;
use leptos::prelude::*;

/// The setting with its explanation. Fixed if the server hides the addresses of all
/// participants.
#[component]
pub fn HideAddress(
    /// Value of the element's `id`.
    id: &'static str,
    /// Whether the page is hydrated. Disabled before, because hydration would reset the choice.
    #[prop(into)]
    ready: Signal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let forced = session.call.server_hides().get_untracked();
    let hidden = Signal::derive(move || forced || session.call.hide_address().get());
    let sentence = Signal::derive(move || match forced {
        true => t_string!(i18n, call.server_hides_addresses),
        false => t_string!(i18n, call.hide_address_text),
    });
    let hint = format!("{id}-hint");
    view! {
        <div class="choice">
            <input
                class="choice__box"
                type="checkbox"
                id=id
                disabled=Signal::derive(move || forced || !ready.get())
                checked=forced
                prop:checked=hidden
                aria-describedby=hint.clone()
                on:change=move |event| session.hide_address(event_target_checked(&event))
            />
            <label class="choice__label" for=id>
                {words!(i18n, call.hide_address)}
            </label>
            <p class="choice__hint field__hint" id=hint>
                {sentence}
            </p>
        </div>
    }
}
