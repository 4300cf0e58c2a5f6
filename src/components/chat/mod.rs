//! The chat: log above, composer below. The same beside the call.

mod composer;
mod log;
mod message;
mod text;

use composer::Composer;
use leptos::prelude::*;
use log::MessageLog;

/// Log and composer of the room in the context.
#[component]
pub fn Chat() -> impl IntoView {
    view! {
        <section class="chat">
            <MessageLog />
            <Composer />
        </section>
    }
}
