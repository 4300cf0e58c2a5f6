//! The banner about a lost connection.

use crate::components::ErasedShow;
use crate::i18n::*;
use crate::protocol::{ErrorCode, Refusal};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::connection::Reason;
use crate::words;
use leptos::prelude::*;

/// The banner above the log, while the connection is down for a while.
#[component]
pub fn Banner() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let down = Memo::new(move |_| session.room.connection().read().banner);
    let reason = Memo::new(move |_| session.room.connection().read().reason);
    let text = Signal::derive(move || sentence(i18n.get_locale(), reason.get()));
    view! {
        <div role="status" class="banner-place">
            <ErasedShow when=down>
                <div class="banner banner--warn">
                    <span class="banner__text">{text}</span>
                    <button
                        class="button button--small"
                        type="button"
                        on:click=move |_| session.retry_now()
                    >
                        {words!(i18n, room.retry_now)}
                    </button>
                </div>
            </ErasedShow>
        </div>
    }
}

/// The text of the banner.
fn sentence(locale: Locale, reason: Option<Reason>) -> String {
    match reason {
        None => td_string!(locale, room.lost).to_owned(),
        Some(Reason::Refused(Refusal::ForeignOrigin | Refusal::UnknownHost)) => {
            td_string!(locale, room.refused_address).to_owned()
        }
        Some(Reason::Refused(Refusal::TooManyConnections)) => {
            td_string!(locale, room.refused_connections).to_owned()
        }
        Some(Reason::Refused(Refusal::ServerFull)) => {
            td_string!(locale, room.refused_server_full).to_owned()
        }
        Some(Reason::Status(status)) => {
            td_string!(locale, room.refused_status, status = status).to_string()
        }
        Some(Reason::Join(ErrorCode::TooManyJoins)) => {
            td_string!(locale, room.refused_joins).to_owned()
        }
        Some(Reason::Join(ErrorCode::TooManyNewRooms)) => {
            td_string!(locale, room.refused_new_rooms).to_owned()
        }
        Some(Reason::Join(ErrorCode::TooManyRooms)) => {
            td_string!(locale, room.refused_rooms).to_owned()
        }
        Some(Reason::Join(ErrorCode::BadNickname)) => {
            td_string!(locale, room.refused_nickname).to_owned()
        }
        Some(Reason::Join(_)) => td_string!(locale, room.refused_join).to_owned(),
    }
}
