//! The search of messages: a search box, its results, and a message in its context.
//!
//! Plain links and a plain form, rendered on the server: `?q=` is the query, `?at=` is
//! the `seq` of a chosen message.

use crate::api::{ApiError, FoundMessages, Packed, find_messages, messages_around};
use crate::components::chat::files::FileList;
use crate::components::chat::message::MessageHead;
use crate::components::chat::text::MessageText;
use crate::components::{
    Icon, IconName, NAME_PLACEHOLDERS, WithoutScriptField, isolate_names, page_address,
};
use crate::i18n::*;
use crate::paths::{address, to_address};
use crate::protocol::{ChatMessage, RoomName, Seq};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::duplicate_names::DuplicateNames;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::Input;
use leptos::prelude::*;
use leptos_router::hooks::{use_navigate, use_query_map};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The search in the page's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Messages that contain these words, optionally older than a `seq`.
    Words(String, Option<Seq>),
    /// The message with this `seq` and those around it.
    At(Seq),
}

/// Whether the address contains a search.
pub fn is_search() -> Memo<bool> {
    let finding = finding();
    Memo::new(move |_| finding.read().is_some())
}

/// The search in the address.
fn finding() -> Memo<Option<Finding>> {
    let query = use_query_map();
    Memo::new(move |_| {
        let query = query.read();
        let number = |key: &str| query.get(key).and_then(|text| text.parse().ok());
        let words = query.get("q").filter(|words| !words.trim().is_empty());
        match (number("at"), words) {
            (Some(seq), _) => Some(Finding::At(seq)),
            (None, Some(words)) => Some(Finding::Words(words, number("before"))),
            (None, None) => None,
        }
    })
}

/// The path of a search.
fn search_path(room: &RoomName, words: &str, before: Option<Seq>) -> String {
    let words = utf8_percent_encode(words, NON_ALPHANUMERIC);
    let before = before.map(|seq| format!("&before={seq}"));
    format!("{}?q={words}{}", room.path(), before.unwrap_or_default())
}

/// The search box of the room in the context.
#[component]
pub fn SearchBox() -> impl IntoView {
    let i18n = use_i18n();
    let name = expect_context::<Session>().name();
    let typed = use_query_map().read_untracked().get("q");
    let input = NodeRef::<Input>::new();
    let navigate = use_navigate();
    let action = address(&name.path());
    let on_submit = move |event: SubmitEvent| {
        let Some(input) = input.get_untracked() else {
            return;
        };
        event.prevent_default();
        let words = input.value();
        let path = match words.trim() {
            "" => name.path(),
            words => search_path(&name, words, None),
        };
        navigate(&address(&path), to_address());
    };
    view! {
        <form class="search" role="search" method="get" action=action on:submit=on_submit>
            <WithoutScriptField />
            <input
                class="search__input"
                type="search"
                dir="auto"
                name="q"
                maxlength="100"
                value=typed
                aria-label=words!(i18n, room.search_messages)
                placeholder=words!(i18n, room.search_messages)
                node_ref=input
            />
            <button class="search__submit" type="submit" aria-label=words!(i18n, room.search)>
                <Icon name=IconName::Search />
            </button>
        </form>
    }
}

/// The results, in place of the log.
#[component]
pub fn SearchResults() -> impl IntoView {
    let i18n = use_i18n();
    let name = expect_context::<Session>().name();
    let finding = finding();
    let room = name.to_string();
    let standing = expect_context::<Session>().room.standing();
    let proof = Memo::new(move |_| standing.read().proof());
    let messages = Resource::new(
        move || (finding.get(), proof.get()),
        move |(finding, proof)| {
            let room = room.clone();
            async move {
                match finding {
                    Some(Finding::Words(words, before)) => {
                        find_messages(room, words, before, proof).await
                    }
                    Some(Finding::At(seq)) => messages_around(room, seq, proof).await,
                    None => Err(ApiError::Request),
                }
            }
        },
    );
    let (path, rel) = (page_address(&name.path()), name.link_rel());
    view! {
        <div class="found" role="region" aria-label=words!(i18n, room.search)>
            <a class="button button--quiet button--small" href=path rel=rel>
                <Icon name=IconName::Back />
                {words!(i18n, room.back_to_now)}
            </a>
            <Suspense>
                {move || Suspend::new(async move {
                    let found = messages.await.and_then(Packed::unpack);
                    view! { <FoundView finding=finding.get_untracked() found /> }
                })}
            </Suspense>
        </div>
    }
}

/// The results of a query, or the context of a message.
#[component]
fn FoundView(
    /// The search in the page's address.
    finding: Option<Finding>,
    /// The messages found.
    found: Result<FoundMessages, ApiError>,
) -> impl IntoView {
    let i18n = use_i18n();
    match (finding, found) {
        (Some(Finding::Words(words, before)), Ok(found)) => {
            view! { <Results words before found /> }.into_any()
        }
        (Some(Finding::At(seq)), Ok(found)) => view! { <Around seq found /> }.into_any(),
        (_, Err(ApiError::SearchTimedOut)) => {
            view! { <p role="alert">{words!(i18n, room.search_timed_out)}</p> }.into_any()
        }
        (_, Err(ApiError::SearchBusy)) => {
            view! { <p role="alert">{words!(i18n, room.search_busy)}</p> }.into_any()
        }
        _ => view! { <p role="alert">{words!(i18n, room.search_failed)}</p> }.into_any(),
    }
}

/// The messages that contain the words, newest first.
#[component]
fn Results(
    /// Words of the query.
    words: String,
    /// The query was limited to messages with a smaller `seq`.
    before: Option<Seq>,
    /// The messages found.
    found: FoundMessages,
) -> impl IntoView {
    let i18n = use_i18n();
    let name = expect_context::<Session>().name();
    let FoundMessages { messages, more } = found;
    let duplicate_names = duplicate_names(&messages);
    let count = messages.len();
    let older = messages.last().map(|message| message.seq).filter(|_| more);
    let older = older.map(|seq| {
        let path = page_address(&search_path(&name, &words, Some(seq)));
        let rel = name.link_rel();
        view! {
            <a class="button button--quiet button--small" href=path rel=rel>
                {words!(i18n, room.show_older_found)}
            </a>
        }
    });
    let sentence = move || {
        let [query, _] = NAME_PLACEHOLDERS;
        let sentence = match (count, more || before.is_some()) {
            (0, _) => t_string!(i18n, room.found_none, query = query).to_string(),
            (1, false) => t_string!(i18n, room.found_one, count = 1, query = query).to_string(),
            (_, false) => t_string!(i18n, room.found, count = count, query = query).to_string(),
            (_, true) => t_string!(i18n, room.found_more, count = count, query = query).to_string(),
        };
        isolate_names(&sentence, &[words.as_str()])
    };
    let rows = messages.into_iter().map(|message| {
        let path = page_address(&format!("{}?at={}#found", name.path(), message.seq));
        let tag = duplicate_names.tag(&message.from.id);
        view! {
            <li class="found__item">
                <a class="found__link" href=path rel=name.link_rel()>
                    <Plain message tag />
                </a>
            </li>
        }
        .into_any()
    });
    view! {
        <p class="found__count" role="status">
            {sentence}
        </p>
        <ol class="found__list">{rows.collect_view()}</ol>
        {older}
    }
}

/// A message and those around it, oldest first.
#[component]
fn Around(
    /// Sequence number of the message.
    seq: Seq,
    /// The messages found.
    found: FoundMessages,
) -> impl IntoView {
    let i18n = use_i18n();
    Effect::new(move || {
        #[cfg(feature = "hydrate")]
        crate::browser::dom::scroll::into_view("found");
    });
    let duplicate_names = duplicate_names(&found.messages);
    let rows = found.messages.into_iter().map(move |message| {
        let chosen = message.seq == seq;
        let tag = duplicate_names.tag(&message.from.id);
        view! {
            <li
                class="found__item"
                class:found__item--chosen=chosen
                id=chosen.then_some("found")
                aria-current=chosen.then_some("true")
            >
                <Plain message tag linked=true />
            </li>
        }
        .into_any()
    });
    view! {
        <ol class="found__list" aria-label=words!(i18n, room.in_context)>
            {rows.collect_view()}
        </ol>
    }
}

/// The duplicate names among the participants and the authors of messages.
fn duplicate_names(messages: &[ChatMessage]) -> DuplicateNames {
    let people = expect_context::<Session>().room.people();
    let people = people.read_untracked();
    let authors = messages.iter().map(|message| &message.from);
    DuplicateNames::among(people.here.iter().chain(authors))
}

/// A message without actions.
#[component]
fn Plain(
    /// The message that was found.
    message: ChatMessage,
    /// Part of the author's id, if another participant has the same nickname.
    tag: Option<String>,
    /// Whether the form of the text is drawn, links and files included; false inside another link.
    #[prop(optional)]
    linked: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let from = message.from.clone();
    let mine = {
        let id = from.id.clone();
        Memo::new(move |_| session.room.people().read().is_me(&id))
    };
    let mine = mine.get_untracked();
    let content = match message.plain() {
        None => view! { <p class="message__deleted">{words!(i18n, room.deleted)}</p> }.into_any(),
        Some(plain) if plain.is_empty() => ().into_any(),
        Some(_) if linked => {
            let text = message.words().to_owned();
            view! { <MessageText text marks=message.marks /> }.into_any()
        }
        Some(plain) => view! {
            <p class="message__text" dir="auto">
                {plain}
            </p>
        }
        .into_any(),
    };
    view! {
        <MessageHead from=Some(from) tag mine at=Some(message.at) />
        {content}
        <FileList files=message.files seq=message.seq linked />
    }
}
