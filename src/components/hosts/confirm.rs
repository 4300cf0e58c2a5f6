//! A button that asks before it acts.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::words;
use leptos::html::Button;
use leptos::prelude::*;

/// A button, replaced by its question until that is answered.
#[component]
pub fn Confirm(
    /// Name of the button.
    label: Signal<&'static str>,
    /// The question to answer.
    question: Signal<&'static str>,
    /// Name of the button that agrees.
    agree: Signal<&'static str>,
    /// Called when the user agrees.
    action: Callback<()>,
) -> impl IntoView {
    let asking = RwSignal::new(false);
    let button = NodeRef::<Button>::new();
    let was_asking = StoredValue::new(false);
    Effect::new(move || {
        // The button is back: the focus was in the question.
        if let Some(button) = button.get()
            && was_asking.get_value()
        {
            was_asking.set_value(false);
            let _ = button.focus();
        }
    });
    let ask = move |_| {
        was_asking.set_value(true);
        asking.set(true);
    };
    view! {
        <ErasedShow when=Signal::derive(move || !asking.get())>
            <button class="button button--danger" type="button" node_ref=button on:click=ask>
                {label}
            </button>
        </ErasedShow>
        <ErasedShow when=asking>
            <Asked question agree action asking />
        </ErasedShow>
    }
}

/// The question and its two answers.
#[component]
fn Asked(
    /// The question to answer.
    question: Signal<&'static str>,
    /// Name of the button that agrees.
    agree: Signal<&'static str>,
    /// Called when the user agrees.
    action: Callback<()>,
    /// Set to false when answered.
    asking: RwSignal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let cancel = NodeRef::<Button>::new();
    Effect::new(move || {
        if let Some(cancel) = cancel.get() {
            let _ = cancel.focus();
        }
    });
    let on_agree = move |_| {
        asking.set(false);
        action.run(());
    };
    view! {
        <div class="confirm" role="group" aria-label=question>
            <p class="confirm__text">{question}</p>
            <button class="button button--danger" type="button" on:click=on_agree>
                {agree}
            </button>
            <button
                class="button button--quiet"
                type="button"
                node_ref=cancel
                on:click=move |_| asking.set(false)
            >
                {words!(i18n, room.cancel)}
            </button>
        </div>
    }
}
