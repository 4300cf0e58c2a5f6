//! The people of the room, as a dialog beside the call.

use crate::components::PeopleList;
use crate::i18n::*;
use crate::words;
use leptos::html::Dialog;
use leptos::prelude::*;

/// The dialog with the list of people.
#[component]
pub fn PeopleDialog(
    /// Counts the requests to open the dialog, which opens when this grows.
    open: ReadSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move || {
        if let (true, Some(dialog)) = (open.get() > 0, dialog.get_untracked()) {
            let _ = dialog.show_modal();
        }
    });
    let close = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    view! {
        <dialog class="dialog" aria-labelledby="people-title" node_ref=dialog>
            <h2 class="dialog__title" id="people-title">
                {words!(i18n, room.people)}
            </h2>
            <PeopleList />
            <button class="button button--primary" type="button" on:click=close>
                {words!(i18n, call.close)}
            </button>
        </dialog>
    }
}
