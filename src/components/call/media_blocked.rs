//! The card about blocked media, with advice.

use crate::components::{ErasedShow, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::paths::address;
use crate::session::Session;
use crate::state::call::CallStateStoreFields;
use crate::state::reachability::Blocked;
use crate::words;
use leptos::prelude::*;

/// The card, while media is blocked. The caller puts it into a live region. Dismissing it hides
/// it until the cause changes.
#[component]
pub fn MediaBlocked() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let blocked = Memo::new(move |_| session.call.blocked().get());
    let dismissed = RwSignal::new(None);
    let shown = Memo::new(move |_| {
        let blocked = blocked.get();
        blocked.filter(|blocked| dismissed.read().as_ref() != Some(blocked))
    });
    // Keeps the text while the card is removed.
    let last_shown = Memo::new(move |before: Option<&Option<Blocked>>| {
        shown.get().or_else(|| before.cloned().flatten())
    });
    let title = move || {
        let last_shown = last_shown.get();
        let name = match &last_shown {
            Some(Blocked::People { ids, .. }) => ids.first().map(|id| session.nickname_of(id)),
            Some(Blocked::NoWebRtc | Blocked::Server { .. }) | None => None,
        };
        let title = title(i18n.get_locale(), last_shown.as_ref());
        isolate_names(&title, &[&name.unwrap_or_default()])
    };
    let text = Signal::derive(move || advice(i18n.get_locale(), last_shown.read().as_ref()));
    view! {
        <ErasedShow when=Signal::derive(move || shown.read().is_some())>
            <div class="problem">
                <p class="problem__title">{title}</p>
                <p class="problem__text">{text}</p>
                <div class="problem__actions">
                    // In a tab of its own: the call goes on.
                    <a
                        class="button button--small"
                        href=address("/check")
                        target="_blank"
                        rel="external noopener"
                    >
                        {words!(i18n, call.test_connection)}
                    </a>
                    <button
                        class="button button--small button--quiet"
                        type="button"
                        on:click=move |_| dismissed.set(blocked.get_untracked())
                    >
                        {words!(i18n, call.close)}
                    </button>
                </div>
            </div>
        </ErasedShow>
    }
}

/// The blocked connections.
fn title(locale: Locale, blocked: Option<&Blocked>) -> String {
    let [one, _] = NAME_PLACEHOLDERS;
    match blocked {
        None => String::new(),
        Some(Blocked::NoWebRtc) => td_string!(locale, call.no_webrtc).to_owned(),
        Some(Blocked::Server { .. }) => td_string!(locale, call.blocked_server).to_owned(),
        Some(Blocked::People { ids, .. }) => match ids.len() {
            0 | 1 => td_string!(locale, call.blocked_person, name = one).to_string(),
            count => td_string!(
                locale,
                call.blocked_people,
                name = one,
                count = count.saturating_sub(1)
            )
            .to_string(),
        },
    }
}

/// The advice for the cause.
fn advice(locale: Locale, blocked: Option<&Blocked>) -> &'static str {
    match blocked {
        None => "",
        Some(Blocked::NoWebRtc) => td_string!(locale, call.no_webrtc_text),
        Some(Blocked::Server { dtls_failed: false }) => {
            td_string!(locale, call.blocked_server_text)
        }
        Some(Blocked::People {
            dtls_failed: false, ..
        }) => td_string!(locale, call.blocked_people_text),
        Some(
            Blocked::Server { dtls_failed: true }
            | Blocked::People {
                dtls_failed: true, ..
            },
        ) => {
            td_string!(locale, call.blocked_keys_text)
        }
    }
}
