//! The list of transfers, beside the room and the call.

use super::dialog::ShareDialog;
use super::item::{TransferItem, ending};
use crate::components::ErasedShow;
use crate::i18n::*;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::state::transfers::frame::Reason;
use crate::state::transfers::{Direction, Stage};
use crate::words;
use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

/// Loads the module, and returns what draws the list and the dialog.
///
/// # Errors
/// The module did not load.
#[wasm_split(dialogs, wasm_split_path = ::leptos::wasm_split, fallible)]
pub(super) fn load_panel() -> Result<fn() -> AnyView, SplitLoaderError> {
    Ok(|| view! { <TransferPanel /> }.into_any())
}

/// The list, while there is anything to say, and the dialog.
#[component]
fn TransferPanel() -> impl IntoView {
    let session = expect_context::<Session>();
    let shown = Memo::new(move |_| {
        let transfers = session.transfers.read();
        !transfers.rows.is_empty() || transfers.problem.is_some()
    });
    view! {
        <ErasedShow when=shown>
            <Panel />
        </ErasedShow>
        <Notice />
        <ShareDialog />
    }
}

#[component]
fn Panel() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let rows = Memo::new(move |_| {
        let transfers = session.transfers.read();
        transfers.rows.iter().map(|row| row.row).collect::<Vec<_>>()
    });
    let problem = Memo::new(move |_| session.transfers.read().problem);
    let sentence = move || {
        Some(match problem.get()? {
            Reason::TooLarge => t_string!(i18n, transfers.too_large),
            Reason::Unknown => t_string!(i18n, transfers.nobody),
            Reason::Declined
            | Reason::Busy
            | Reason::NotAllowed
            | Reason::NotStored
            | Reason::NotRead
            | Reason::WrongHash
            | Reason::BadFrame => t_string!(i18n, transfers.too_many),
        })
    };
    let lacks_relay = Memo::new(move |_| {
        let hides = session.call.hide_address().get() || session.call.server_hides().get();
        hides && session.transfers.read().lacks_relay
    });
    view! {
        <section class="transfers" aria-labelledby="transfers-title">
            <h2 class="transfers__title" id="transfers-title">
                {words!(i18n, transfers.title)}
            </h2>
            <p class="field__error" role="alert">
                {sentence}
            </p>
            <ErasedShow when=lacks_relay>
                <p class="field__hint">{words!(i18n, transfers.no_relay)}</p>
            </ErasedShow>
            <ul class="transfers__list" translate="no">
                <For
                    each=move || rows.get()
                    key=|row| *row
                    children=|row| view! { <TransferItem row /> }
                />
            </ul>
        </section>
    }
}

/// The newest offer or end, for screen readers.
#[component]
fn Notice() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let noticed = Memo::new(move |_| {
        let transfers = session.transfers.read();
        let row = transfers
            .rows
            .iter()
            .find(|row| Some(row.row) == transfers.noticed)?;
        let saves = row.link.is_some();
        Some((
            row.direction,
            row.stage,
            row.nickname.clone(),
            row.name.clone(),
            saves,
        ))
    });
    let sentence = move || {
        let (direction, stage, nickname, file, saves) = noticed.get()?;
        let (nickname, file) = (nickname.as_str(), file.as_str());
        match (direction, stage) {
            (Direction::Incoming, Stage::Offered) => {
                Some(t_string!(i18n, transfers.offers, name = nickname, file = file).to_string())
            }
            (_, Stage::Ended(how)) => {
                let end = ending(i18n.get_locale(), direction, how, saves);
                Some(format!("{file}: {end}"))
            }
            (Direction::Outgoing, Stage::Offered) | (_, Stage::Moving) => None,
        }
    };
    view! {
        <p class="visually-hidden" role="status">
            {sentence}
        </p>
    }
}
