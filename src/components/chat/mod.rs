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

use crate::components::{DeferredHydration, ErasedShow};
use crate::protocol::MessageId;
use announce::Announcements;
use composer::Composer;
use leptos::prelude::*;
use log::MessageLog;
use search::SearchResults;
use typing::TypingPeople;

/// Which message the next one answers; shared by the log and the composer.
#[derive(Clone, Copy)]
struct ReplyTarget(RwSignal<Option<MessageId>>);

/// Log and composer of the room in the context; what was searched for in their place.
#[component]
pub fn Chat() -> impl IntoView {
    provide_context(ReplyTarget(RwSignal::new(None)));
    let found = is_search();
    view! {
        <section class="chat">
            // Not in what is hidden while one searches.
            <Announcements />
            <ErasedShow when=found>
                <SearchResults />
            </ErasedShow>
            // Kept while one searches: it goes on where one was.
            <div class="chat__live" hidden=found>
                <DeferredHydration>
                    <MessageLog />
                </DeferredHydration>
                <TypingPeople />
                <DeferredHydration>
                    <Composer />
                </DeferredHydration>
            </div>
        </section>
    }
}
