//! A field for a password, with a button that shows what is typed.

use crate::components::{Icon, IconName};
use crate::i18n::*;
use crate::words;
use leptos::html::Input;
use leptos::prelude::*;

/// The field with its label, hint and error. Nothing fills it in or keeps what is typed.
#[component]
pub fn PasswordField(
    /// Value of the element's `id`.
    id: &'static str,
    /// Visible label of the field.
    label: Signal<&'static str>,
    /// What the field is for.
    hint: Signal<Option<&'static str>>,
    /// What is wrong with the password.
    error: Signal<Option<String>>,
    /// The element of the field.
    input: NodeRef<Input>,
) -> impl IntoView {
    let i18n = use_i18n();
    let shown = RwSignal::new(false);
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    view! {
        <div class="field">
            <label class="field__label" for=id>
                {label}
            </label>
            <div class="password">
                <input
                    class="input"
                    id=id
                    type=Signal::derive(move || if shown.get() { "text" } else { "password" })
                    dir="auto"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    maxlength="200"
                    node_ref=input
                    aria-invalid=Signal::derive(move || error.get().is_some().then_some("true"))
                    aria-describedby=format!("{hint_id} {error_id}")
                />
                <button
                    class="password__show"
                    type="button"
                    aria-pressed=Signal::derive(move || shown.get().to_string())
                    aria-label=words!(i18n, entry.password_show)
                    title=words!(i18n, entry.password_show)
                    on:click=move |_| shown.update(|shown| *shown = !*shown)
                >
                    <Icon name=Signal::derive(move || match shown.get() {
                        true => IconName::EyeOff,
                        false => IconName::Eye,
                    }) />
                </button>
            </div>
            <p class="field__hint" id=hint_id>
                {hint}
            </p>
            <p class="field__error" id=error_id role="alert">
                {error}
            </p>
        </div>
    }
}
