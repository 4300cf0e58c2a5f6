//! The prejoin page: the call starts only when "Join now" is pressed.

use crate::components::call::{HideAddress, MediaBlocked};
use crate::components::{Banner, Icon, IconName, Masthead, page_address};
use crate::i18n::{people, *};
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::words;
use leptos::html::Button;
use leptos::prelude::*;

/// Ignores repeated key events: a key may be down since another site, which then navigated
/// here.
fn refuse_held_key(event: leptos::ev::KeyboardEvent) {
    if event.repeat() {
        event.prevent_default();
    }
}

/// The name of the call and the button that enters it.
#[component]
pub fn Prejoin(
    /// Whether the button is enabled: once the page is hydrated, and never without script.
    #[prop(into)]
    ready: Signal<bool>,
    /// Enters the call.
    on_join: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let name = session.name();
    let button = NodeRef::<Button>::new();
    Effect::new(move || {
        if let (true, Some(button)) = (ready.get(), button.get()) {
            // A disabled button cannot take the focus, and the view may enable it later.
            button.set_disabled(false);
            let _ = button.focus();
        }
    });
    let sentence = Signal::derive(move || match ready.get() {
        true => t_string!(i18n, call.prejoin_text),
        false => t_string!(i18n, call.prejoin_script),
    });
    let count = Signal::derive(move || {
        let count = session.call.people().read().len();
        if count == 0 {
            return t_string!(i18n, call.prejoin_nobody).to_owned();
        }
        let count = people(i18n.get_locale(), u32::try_from(count).unwrap_or(u32::MAX));
        t_string!(i18n, call.prejoin_count, people = count).to_string()
    });
    view! {
        <Masthead />
        <Banner />
        <main id="content" class="prejoin">
            <section class="prejoin__card card" aria-labelledby="prejoin-title">
                <header>
                    <p class="prejoin__lead">{words!(i18n, call.prejoin_lead)}</p>
                    <h1 class="prejoin__title" id="prejoin-title">
                        {name.to_string()}
                    </h1>
                    <p class="prejoin__count">{count}</p>
                </header>
                <div role="status">
                    <MediaBlocked />
                </div>
                <HideAddress id="hide-address" ready=ready />
                <button
                    class="button button--primary"
                    type="button"
                    node_ref=button
                    disabled=Signal::derive(move || !ready.get())
                    aria-describedby="prejoin-text"
                    on:keydown=refuse_held_key
                    on:click=move |_| on_join.run(())
                >
                    <Icon name=IconName::Camera />
                    <span>{words!(i18n, call.join_now)}</span>
                </button>
                <p class="field__hint" id="prejoin-text">
                    {sentence}
                </p>
                <a class="button button--quiet" href=page_address(&name.path()) rel=name.link_rel()>
                    {words!(i18n, call.back_to_room)}
                </a>
                <a class="button button--quiet" href=page_address("/check") rel="external">
                    {words!(i18n, call.test_connection)}
                </a>
            </section>
        </main>
    }
}
