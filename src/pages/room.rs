//! `/room/{name}`: participants, chat and the link into the call.
//!
//! [`RoomRoute`] is the parent of room and call: it loads the page's data, makes the
//! [`Session`] and keeps it during navigation between the two.

use crate::api::{ApiError, Packed, RoomStart, load_room};
use crate::components::ErasedShow;
use crate::components::call::JoinCall;
use crate::components::chat::{Chat, ChatSettings, SearchBox, is_search};
use crate::components::hosts::{
    LobbyBell, LobbySound, RoomSettingsButton, RoomSettingsDialog, WaitingBadge, show_people_name,
};
use crate::components::transfers::DirectFiles;
use crate::components::{
    AdmittedTo, Banner, DeferredHydration, Hydration, Icon, IconName, Masthead, PeopleSidebar,
    TimeZone, is_without_script, page_address, preload_dialogs,
};
#[cfg(feature = "ssr")]
use crate::components::{AskLink, Outside, OutsidePage, provide_refused_text};
use crate::i18n::*;
use crate::pages::CallPage;
use crate::paths;
use crate::protocol::{Nickname, PRIVATE_FRAGMENT, RoomName};
use crate::session::Session;
use crate::state::call::CallState;
use crate::state::connection::Phase;
use crate::state::log::Log;
use crate::state::{People, RoomState, RoomStateStoreFields};
use crate::words;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::Outlet;
use leptos_router::hooks::{use_location, use_query_map};
use leptos_router::{LazyRoute, lazy_route};
use std::time::Duration;

/// How long the room has been joined when the code of its dialogs is loaded: by then the page and its
/// pictures are there, and few people have opened a dialog.
const PRELOAD_AFTER: Duration = Duration::from_secs(3);

/// The route of a room and its call.
///
/// Lazy: the code is in a separate wasm module, so that the welcome page does not load it. The
/// data loads concurrently.
pub struct RoomRoute {
    start: Resource<Result<Packed, ApiError>>,
}

#[lazy_route]
impl LazyRoute for RoomRoute {
    fn data() -> Self {
        // The router's parameter is decoded twice, so the path is parsed here.
        let path = use_location().pathname;
        #[cfg(feature = "hydrate")]
        crate::browser::dom::page::heading_for(path.get_untracked());
        let name = Memo::new(move |before: Option<&String>| {
            let name = RoomName::in_path(paths::path_of(&path.read()));
            name.or(before.cloned()).unwrap_or_default()
        });
        Self {
            start: Resource::new(move || name.get(), load_room),
        }
    }

    fn view(this: Self) -> AnyView {
        #[cfg(feature = "hydrate")]
        {
            crate::browser::dom::host_link::take();
            crate::browser::dom::invite_link::take();
            crate::browser::dom::page::arrived();
        }
        view! { <RoomLayout start=this.start /> }.into_any()
    }
}

/// Awaits the page's data and draws it.
#[component]
fn RoomLayout(
    /// Data of the page.
    start: Resource<Result<Packed, ApiError>>,
) -> impl IntoView {
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match start.await.and_then(Packed::unpack) {
                    Ok(start) => view! { <OpenRoom start /> }.into_any(),
                    Err(error) => view! { <NoRoom error /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// Makes the session of a loaded room, connects it, and draws room or call.
#[component]
fn OpenRoom(
    /// Data of the page.
    start: RoomStart,
) -> impl IntoView {
    let i18n = use_i18n();
    #[cfg(feature = "ssr")]
    if is_without_script() {
        if let Some(outside) = Outside::of(i18n.get_locale_untracked(), &start) {
            let title = title_text(&start.name);
            let title = t_string!(i18n, room.title, room = title.as_str()).to_string();
            let page = view! {
                <Title text=title />
                <Outlet />
                <OutsidePage start outside />
            };
            return page.into_any();
        }
        let text = start.visit.as_ref().and_then(|visit| visit.text.clone());
        text.into_iter().for_each(provide_refused_text);
    }
    let preset = use_query_map().read_untracked().get("name");
    let preset = preset.and_then(|name| Nickname::parse(&name).ok());
    let nickname = preset.unwrap_or_else(|| start.nickname.clone());
    let name = start.name.clone();
    provide_context(OtherCase(start.other_case.clone()));
    provide_context(SeesNothing(start.position.is_none()));
    let session = start_session(start);
    provide_context(session);
    LobbySound::provide();
    ChatSettings::provide();
    let hydration = Hydration::provide();
    let zone = expect_context::<TimeZone>();
    // The router knows the fragment before the browser shows it.
    let fragment = use_location().hash;
    Effect::new(move || {
        if hydration.is_over() {
            zone.ask_browser();
            let private = *fragment.read_untracked() == PRIVATE_FRAGMENT;
            session.connect(nickname.clone(), private);
        }
    });
    on_cleanup(move || session.disconnect());
    preload_when_idle(session);
    count_unread_in_title(session);
    // A plain string: the head is written after this view's signals are disposed, and the
    // title is the same in both languages.
    let title = title_text(&name);
    let title = t_string!(i18n, room.title, room = title.as_str()).to_string();
    view! {
        <Title text=title />
        // Draws nothing; the router waits for it before it changes the address.
        <Outlet />
        <LobbyBell />
        <AdmittedTo>
            <RoomOrCall />
        </AdmittedTo>
    }
    .into_any()
}

/// An open room whose name differs from this one in letter case only.
#[derive(Clone)]
struct OtherCase(Option<RoomName>);

/// The hint that such a room is open, until this one has a message.
#[component]
fn OtherCaseHint() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let OtherCase(other) = expect_context::<OtherCase>();
    let silent = Memo::new(move |_| session.room.log().read().messages().next().is_none());
    other.map(|other| {
        view! {
            <ErasedShow when=silent>
                <p class="banner">
                    <span class="banner__text">{words!(i18n, room.other_case)}</span>
                    " "
                    <a
                        class="button button--small"
                        href=page_address(&other.path())
                        rel=other.link_rel()
                    >
                        <bdi>{other.to_string()}</bdi>
                    </a>
                </p>
            </ErasedShow>
        }
    })
}

/// Whether the page was rendered without anything of the room, which may be hidden.
#[derive(Clone, Copy)]
struct SeesNothing(bool);

/// The link to the form that asks to enter, for a browser without script to which nothing is shown
/// of the room.
fn ask_link() -> Option<AnyView> {
    let SeesNothing(true) = expect_context() else {
        return None;
    };
    let name = expect_context::<Session>().name();
    #[cfg(feature = "ssr")]
    if is_without_script() {
        return Some(view! { <AskLink name /> }.into_any());
    }
    let locale = use_i18n().get_locale_untracked();
    let href = paths::address(&format!("{}?ask=1&plain=1", name.path()));
    let [href, words] = [href.as_str(), td_string!(locale, room.ask_link)].map(|text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        text.replace('"', "&quot;")
    });
    // Text to a browser with script, which would not find these elements as it hydrates.
    let link = format!(
        r#"<p class="banner"><a class="button button--small" href="{href}">{words}</a></p>"#
    );
    Some(view! { <noscript inner_html=link></noscript> }.into_any())
}

/// Loads the code of the dialogs when the room has been joined for a while, so that they open at once.
fn preload_when_idle(session: Session) {
    let is_live = Memo::new(move |_| session.room.connection().read().phase == Phase::Live);
    Effect::new(move || {
        if is_live.get() {
            let preload = move || {
                if is_live.try_get_untracked() == Some(true) {
                    preload_dialogs();
                }
            };
            set_timeout(preload, PRELOAD_AFTER);
        }
    });
}

/// Shows the number of unread messages in the title, while the page is hidden.
fn count_unread_in_title(session: Session) {
    let unread = Memo::new(move |_| {
        let (log, people) = (session.room.log(), session.room.people());
        session
            .room
            .read_marker()
            .read()
            .unread(&log.read(), &people.read())
    });
    Effect::new(move || {
        let unread = unread.get();
        #[cfg(feature = "hydrate")]
        crate::browser::dom::title::set_unread(unread);
        #[cfg(not(feature = "hydrate"))]
        let _ = unread;
    });
}

/// A name for the title, escaped on the server: the framework writes the title into the HTML
/// unescaped; in the browser it sets it as text.
fn title_text(name: &RoomName) -> String {
    let name = name.as_str();
    match cfg!(feature = "ssr") {
        true => name.replace('&', "&amp;").replace('<', "&lt;"),
        false => name.to_owned(),
    }
}

/// The session of a room, with the state that the server rendered.
fn start_session(start: RoomStart) -> Session {
    let room = RoomState {
        people: People {
            me: None,
            here: start.people,
        },
        log: Log::from_history(start.messages, start.pins, start.more, start.position),
        ..RoomState::default()
    };
    let call = CallState {
        people: start.call,
        server_hides: start.hide_addresses,
        ..CallState::default()
    };
    Session::new(
        start.name,
        room,
        call,
        start.max_file_bytes,
        start.own_navigation,
    )
}

/// The room or its call, by the path. Not an outlet, because nested routes would make the
/// welcome page load both pages.
#[component]
fn RoomOrCall() -> impl IntoView {
    let path = use_location().pathname;
    // Calls need the script; the chat does not.
    let plain = is_without_script();
    let in_call = Memo::new(move |_| is_call_path(paths::path_of(&path.read())) && !plain);
    view! {
        {move || match in_call.get() {
            true => view! { <CallPage /> }.into_any(),
            false => view! { <RoomPage /> }.into_any(),
        }}
        <DirectFiles />
    }
}

/// Whether a path is that of a call: `/room/{name}/call`.
fn is_call_path(path: &str) -> bool {
    let mut segments = path.trim_matches('/').split('/');
    segments.nth(2) == Some("call")
}

/// The room page itself.
#[component]
fn RoomPage() -> impl IntoView {
    let people_open = RwSignal::new(false);
    let settings = RwSignal::new(0_u32);
    // Search results are hydrated with the page, not deferred: a later task would load them
    // again and find other nodes than it renders.
    let chat = match is_search().get_untracked() {
        true => view! { <Chat /> }.into_any(),
        false => view! {
            <DeferredHydration>
                <Chat />
            </DeferredHydration>
        }
        .into_any(),
    };
    view! {
        <div class="room">
            <DeferredHydration>
                <RoomBar people_open settings />
            </DeferredHydration>
            <DeferredHydration>
                <PeopleSidebar open=people_open settings />
            </DeferredHydration>
            <RoomSettingsDialog open=settings />
            <main id="content" class="room__main">
                <Banner />
                <OtherCaseHint />
                {ask_link()}
                <DeferredHydration>
                    <SearchBox />
                </DeferredHydration>
                {chat}
            </main>
        </div>
    }
}

/// The bar at the top of the page.
#[component]
fn RoomBar(
    /// Whether the list of participants is open on narrow screens.
    people_open: RwSignal<bool>,
    /// Counts the requests to open the settings of the room.
    settings: RwSignal<u32>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let i18n = use_i18n();
    let name = session.name();
    view! {
        <header class="room__bar" translate="no">
            <a class="back" href=page_address("/") aria-label=words!(i18n, room.back)>
                <Icon name=IconName::Back />
            </a>
            <bdi class="room__bar-name">{name.to_string()}</bdi>
            <button
                class="button button--quiet button--small"
                type="button"
                aria-expanded=Signal::derive(move || people_open.get().to_string())
                aria-controls="people"
                on:click=move |_| people_open.update(|open| *open = !*open)
            >
                <Icon name=IconName::People />
                <span class="visually-hidden">{show_people_name(session)}</span>
                <HeadCount />
                <WaitingBadge />
            </button>
            <RoomSettingsButton class="button button--quiet button--small" open=settings />
            <JoinCall name=name.clone() />
        </header>
    }
}

/// The number of participants.
#[component]
fn HeadCount() -> impl IntoView {
    let session = expect_context::<Session>();
    view! { <span>{Signal::derive(move || session.room.people().read().here.len().to_string())}</span> }
}

/// The page of an invalid room name or an unavailable server.
#[component]
fn NoRoom(
    /// The error to explain.
    error: ApiError,
) -> impl IntoView {
    let i18n = use_i18n();
    let bad_name = matches!(error, ApiError::Invalid { .. });
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        use axum::http::StatusCode;
        let status = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::NOT_FOUND];
        response.set_status(status[usize::from(bad_name)]);
    }
    let (title, text) = match bad_name {
        true => (
            t_string!(i18n, room.bad_name_title),
            t_string!(i18n, room.bad_name_text),
        ),
        false => (
            t_string!(i18n, common.problem_title),
            t_string!(i18n, common.problem_text),
        ),
    };
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{title}</h1>
            <p>{text}</p>
            // A link that loads a new document: a page of an older build may not match this
            // server.
            <a class="button button--primary" href=page_address("/") rel="external">
                {words!(i18n, common.home)}
            </a>
        </main>
    }
}
