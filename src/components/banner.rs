//! Says that the line is down, once it has been for a while.

use crate::components::If;
use crate::i18n::*;
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::words;
use leptos::prelude::*;

/// Over the log while the line is down.
#[component]
pub fn Banner() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let down = Memo::new(move |_| session.room.line().read().banner);
    view! {
        <div role="status" class="banner-place">
            <If when=down>
                <div class="banner banner--warn">
                    <span class="banner__text">{words!(i18n, room.lost)}</span>
                    <button
                        class="button button--small"
                        type="button"
                        on:click=move |_| session.retry_now()
                    >
                        {words!(i18n, room.retry_now)}
                    </button>
                </div>
            </If>
        </div>
    }
}
