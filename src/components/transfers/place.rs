//! The place of the list and the dialog, which are loaded when they are needed.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::session::Session;
use crate::words;
use leptos::prelude::*;

/// The list of transfers and the dialog that shares files, once they are loaded.
#[component]
pub fn DirectFiles() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let panel = RwSignal::new(None::<fn() -> AnyView>);
    let is_loaded = Memo::new(move |_| session.transfers.with(|shown| shown.is_loaded));
    let failed = Memo::new(move |_| session.transfers.with(|shown| shown.load_failed));
    Effect::new(move || {
        if is_loaded.get() && panel.read_untracked().is_none() {
            #[cfg(feature = "hydrate")]
            leptos::task::spawn_local(async move {
                // The transfers have loaded the module already.
                if let Ok(loaded) = super::panel::load_panel().await {
                    panel.try_set(Some(loaded));
                }
            });
        }
    });
    view! {
        {move || panel.get().map(|panel| panel())}
        <ErasedShow when=failed>
            <p class="transfers field__error" role="alert">
                {words!(i18n, transfers.not_loaded)}
            </p>
        </ErasedShow>
    }
}
