//! The link into the call.

use crate::components::{Icon, IconName, is_without_script, page_address};
use crate::i18n::*;
use crate::protocol::RoomName;
use crate::session::Session;
use crate::words;
use leptos::prelude::*;

/// The link into the call. A press enters the call without the prejoin page.
#[component]
pub fn JoinCall(
    /// Name of the room.
    name: RoomName,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let rel = name.link_rel();
    // If the browser follows the link, the next document learns of the press by its
    // address.
    let path = match rel {
        Some(_) => format!("{}?prejoin=0", name.call_path()),
        None => name.call_path(),
    };
    let href = page_address(&path);
    let press = move |event: leptos::ev::MouseEvent| {
        let elsewhere = event.ctrl_key() || event.meta_key() || event.shift_key();
        if !elsewhere && !event.alt_key() {
            session.press_join();
        }
    };
    // Calls need the script.
    (!is_without_script()).then(|| {
        view! {
            <a class="button button--primary" href=href rel=rel on:click=press>
                <Icon name=IconName::Camera />
                <span>{words!(i18n, room.join_call)}</span>
            </a>
        }
    })
}
