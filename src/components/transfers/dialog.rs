//! The dialog that chooses files for one participant or for everybody.

use crate::components::{NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::state::transfers::{Sharing, Target};
use crate::words;
use leptos::html::{Dialog, Input};
use leptos::prelude::*;

/// The dialog. A native one: Escape closes it and the focus returns.
#[component]
pub fn ShareDialog() -> impl IntoView {
    let session = expect_context::<Session>();
    let sharing = Memo::new(move |_| session.transfers.with(|shown| shown.sharing.clone()));
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        match (sharing.read().is_some(), dialog.open()) {
            (true, false) => {
                let _ = dialog.show_modal();
            }
            // Files were dropped or pasted.
            (false, true) => dialog.close(),
            (true, true) | (false, false) => {}
        }
    });
    let done = Callback::new(move |()| end(session));
    view! {
        <dialog
            class="dialog"
            aria-labelledby="share-file-title"
            node_ref=dialog
            on:close=move |_| end(session)
            on:paste=move |event| {
                if session.share_pasted(&event) {
                    event.prevent_default();
                    end(session);
                }
            }
        >
            {move || { sharing.get().map(|sharing| view! { <ShareForm sharing done /> }) }}
        </dialog>
    }
}

/// Closes the dialog.
fn end(session: Session) {
    session
        .transfers
        .maybe_update(|shown| shown.sharing.take().is_some());
}

/// The form in the dialog.
#[component]
fn ShareForm(
    /// To whom the files go.
    sharing: Sharing,
    /// Closes the dialog.
    done: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let input = NodeRef::<Input>::new();
    let Sharing { target, nickname } = sharing;
    let to_everybody = target == Target::Everybody;
    let title = move || {
        let [place, _] = NAME_PLACEHOLDERS;
        let sentence = match to_everybody {
            true => t_string!(i18n, transfers.share_all_title).to_owned(),
            false => t_string!(i18n, transfers.share_with, name = place).to_string(),
        };
        isolate_names(&sentence, &[nickname.as_str()])
    };
    let on_chosen = move |_| {
        if let Some(input) = input.get_untracked() {
            session.share_chosen(&input);
        }
        done.run(());
    };
    let choose = move |_| {
        if let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    view! {
        <div class="dialog__form">
            <h2 class="dialog__title" id="share-file-title">
                {title}
            </h2>
            <p>{words!(i18n, transfers.share_text)}</p>
            <p class="field__hint">{words!(i18n, transfers.drop_hint)}</p>
            <HideOwnAddress />
            // The button stands for it.
            <input
                class="visually-hidden"
                type="file"
                multiple
                tabindex="-1"
                aria-hidden="true"
                node_ref=input
                on:change=on_chosen
            />
            <div class="dialog__actions">
                <button class="button button--primary" type="button" on:click=choose>
                    {words!(i18n, transfers.choose)}
                </button>
                <button class="button button--quiet" type="button" on:click=move |_| done.run(())>
                    {words!(i18n, transfers.cancel)}
                </button>
            </div>
        </div>
    }
}

/// The switch of this device that the call has, too.
#[component]
fn HideOwnAddress() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let forced = session.call.server_hides().get_untracked();
    let hint = Signal::derive(move || match forced {
        true => t_string!(i18n, transfers.forced_hint),
        false => t_string!(i18n, transfers.hide_hint),
    });
    view! {
        <div class="choice">
            <input
                class="choice__box"
                type="checkbox"
                id="share-hidden"
                disabled=forced
                prop:checked=move || forced || session.call.hide_address().get()
                aria-describedby="share-hidden-hint"
                on:change=move |event| session.hide_address(event_target_checked(&event))
            />
            <label class="choice__label" for="share-hidden">
                {words!(i18n, call.hide_address)}
            </label>
            <p class="choice__hint field__hint" id="share-hidden-hint">
                {hint}
            </p>
        </div>
    }
}
