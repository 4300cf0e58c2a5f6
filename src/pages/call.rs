//! `/room/{name}/call`: the prejoin page, then the stage with the chat beside it.
//!
//! Opening this page enters no call and requests no device: that takes a press of "Join now",
//! or of "Join call" on the room's page. [`crate::state::prejoin`] decides when the prejoin
//! page is skipped.

use crate::components::call::{
    CallControls, CallStage, DeviceProblems, DeviceSettings, PeopleDialog, Prejoin,
};
use crate::components::chat::Chat;
use crate::components::hosts::{
    RoomSettingsButton, RoomSettingsDialog, WaitingBadge, show_people_name,
};
use crate::components::{
    Banner, ErasedShow, Hydration, Icon, IconName, LanguageSwitch, page_address,
};
use crate::i18n::{people, *};
use crate::protocol::Devices;
use crate::session::Session;
use crate::state::call::{CallStage as Stage, CallStateStoreFields};
use crate::words;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The call of the room in the context, and its prejoin page.
#[component]
pub fn CallPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let hydration = expect_context::<Hydration>();
    let query = use_query_map().get_untracked();
    let on = |name: &str| query.get(name).as_deref() != Some("0");
    let wanted = Devices {
        microphone: on("audio"),
        camera: on("video"),
        ..Devices::default()
    };
    let asks_to_skip = !on("prejoin");
    let entering = RwSignal::new(session.take_join_press());
    let ready = RwSignal::new(false);
    // The browser decides by how the page was opened; the server always renders prejoin.
    Effect::new(move || {
        if hydration.is_over() {
            if session.enters_at_once(asks_to_skip) {
                entering.set(true);
            }
            ready.set(true);
        }
    });
    Effect::new(move || {
        if entering.get() {
            session.enter_call(wanted);
        }
    });
    on_cleanup(move || session.leave_call());
    view! {
        <ErasedShow when=Signal::derive(move || !entering.get())>
            <Prejoin ready on_join=Callback::new(move |()| entering.set(true)) />
        </ErasedShow>
        <ErasedShow when=entering>
            <EnteredCall wanted />
        </ErasedShow>
    }
}

/// The call after it is entered.
#[component]
fn EnteredCall(
    /// Devices to switch on.
    wanted: Devices,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let full = Memo::new(move |_| session.call.stage().get() == Stage::Full);
    let settings = RwSignal::new(0_u32);
    let (people, set_people) = signal(0_u32);
    let room_settings = RwSignal::new(0_u32);
    let chat_open = RwSignal::new(false);
    view! {
        <div class="call">
            <CallBar
                on_people=Callback::new(move |()| set_people.update(|n| *n += 1))
                room_settings
            />
            <Banner />
            <div class="call__main">
                <main id="content" class="call__stage">
                    <ErasedShow when=full>
                        <CallFull wanted />
                    </ErasedShow>
                    <ErasedShow when=Signal::derive(move || !full.get())>
                        <CallStage />
                    </ErasedShow>
                    <DeviceProblems />
                    <CallControls
                        on_settings=Callback::new(move |()| settings.update(|n| *n += 1))
                        on_chat=Callback::new(move |()| chat_open.update(|open| *open = !*open))
                    />
                </main>
                <aside
                    class="call__chat"
                    class:is-open=chat_open
                    aria-label=words!(i18n, call.chat)
                >
                    <Chat />
                </aside>
            </div>
            <DeviceSettings open=settings />
            <PeopleDialog open=people />
            <RoomSettingsDialog open=room_settings />
        </div>
    }
}

/// The name of the room, the number of participants in its call, the list of people, and for hosts
/// the settings of the room.
#[component]
fn CallBar(
    /// Opens the list of people.
    on_people: Callback<()>,
    /// Counts the requests to open the settings of the room.
    room_settings: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let count = Signal::derive(move || {
        let count = session.call.people().read().len();
        people(i18n.get_locale(), u32::try_from(count).unwrap_or(u32::MAX))
    });
    let name = session.name();
    let people_name = show_people_name(session);
    view! {
        <header class="call__bar">
            <a
                class="back"
                href=page_address(&name.path())
                rel=name.link_rel()
                aria-label=words!(i18n, call.back_to_room)
            >
                <Icon name=IconName::Back />
            </a>
            <h1 class="call__title" translate="no">
                {name.to_string()}
            </h1>
            <p class="call__count" translate="no">
                {count}
            </p>
            <button
                class="call__tool"
                type="button"
                aria-label=people_name
                title=people_name
                on:click=move |_| on_people.run(())
            >
                <Icon name=IconName::People />
                <WaitingBadge />
            </button>
            <RoomSettingsButton class="call__tool" open=room_settings />
            <LanguageSwitch />
        </header>
    }
}

/// The page of a full call.
#[component]
fn CallFull(
    /// Devices to switch on.
    wanted: Devices,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let retry = move |_| {
        session.leave_call();
        session.enter_call(wanted);
    };
    view! {
        <div class="full" role="status">
            <h2>{words!(i18n, call.full_title)}</h2>
            <p>{words!(i18n, call.full_text)}</p>
            <button class="button button--primary" type="button" on:click=retry>
                {words!(i18n, common.try_again)}
            </button>
        </div>
    }
}
