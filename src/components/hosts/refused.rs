//! Why the server refused the last request of a host.

use crate::i18n::*;
use crate::protocol::ErrorCode;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use leptos::prelude::*;

/// A status with the refusal of the last request, until the next request.
#[component]
pub fn RefusedRequest() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let refused = Memo::new(move |_| session.room.standing().read().refused);
    let sentence = Signal::derive(move || match refused.get() {
        Some(ErrorCode::TooManyEntries) => Some(t_string!(i18n, hosts.refused_entries)),
        Some(ErrorCode::Unavailable) => Some(t_string!(i18n, hosts.refused_unavailable)),
        Some(ErrorCode::BadText) => Some(t_string!(i18n, hosts.refused_text)),
        Some(ErrorCode::BadSetting) => Some(t_string!(i18n, entry.refused_setting)),
        Some(_) => Some(t_string!(i18n, hosts.refused_not_allowed)),
        None => None,
    });
    view! {
        <p class="field__error" role="status">
            {sentence}
        </p>
    }
}
