//! The chat: log above, composer below. The same beside the call.

mod actions;
mod announce;
mod composer;
mod log;
mod message;
mod quote;
mod search;
mod text;
mod typing;

pub use search::{SearchBox, is_search};

use crate::components::{If, Later};
use crate::protocol::MessageId;
use announce::Announcements;
use composer::Composer;
use leptos::prelude::*;
use log::MessageLog;
use search::Found;
use typing::TypingPeople;

/// Which message the next one answers; shared by the log and the composer.
#[derive(Clone, Copy)]
struct Replying(RwSignal<Option<MessageId>>);

/// Log and composer of the room in the context; what was searched for in their place.
#[component]
pub fn Chat() -> impl IntoView {
    provide_context(Replying(RwSignal::new(None)));
    let found = is_search();
    view! {
        <section class="chat">
            // Not in what is hidden while one searches.
            <Announcements />
            <If when=found>
                <Found />
            </If>
            // Kept while one searches: it goes on where one was.
            <div class="chat__live" hidden=found>
                <Later>
                    <MessageLog />
                </Later>
                <TypingPeople />
                <Later>
                    <Composer />
                </Later>
            </div>
        </section>
    }
}
