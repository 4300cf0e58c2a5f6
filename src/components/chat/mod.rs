//! The chat: log above, composer below. Also shown beside the call.

mod actions;
mod announce;
mod attach;
mod composer;
mod emoji;
mod files;
mod log;
mod mention;
mod message;
mod notice;
mod pins;
mod quote;
mod search;
mod settings;
mod slash;
mod suggestions;
mod text;
mod typing;

pub use search::{SearchBox, is_search};
pub use settings::{ChatSettings, ChatSettingsButton};

use crate::components::{DeferredHydration, ErasedShow};
use crate::protocol::MessageId;
use announce::Announcements;
use composer::Composer;
use emoji::{EmojiChooser, EmojiDialog};
use files::{FileViewer, PictureDialog};
use leptos::prelude::*;
use log::MessageLog;
use pins::Pins;
use search::SearchResults;
use settings::ChatSettingsDialog;
use typing::TypingPeople;

/// The message that the next one replies to; shared by the log and the composer.
#[derive(Clone, Copy)]
struct ReplyTarget(RwSignal<Option<MessageId>>);

/// Log and composer of the room in the context, or search results in their place.
#[component]
pub fn Chat() -> impl IntoView {
    provide_context(ReplyTarget(RwSignal::new(None)));
    FileViewer::provide();
    EmojiChooser::provide();
    let found = is_search();
    view! {
        <section class="chat">
            // Outside the part that a search hides.
            <Announcements />
            <PictureDialog />
            <ChatSettingsDialog />
            <EmojiDialog />
            <ErasedShow when=found>
                <SearchResults />
            </ErasedShow>
            // Hidden during a search, which keeps its scroll position.
            <div class="chat__live" hidden=found>
                <Pins />
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
