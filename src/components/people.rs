//! The participants of the room, and the actions of this participant.

use crate::components::ErasedShow;
use crate::components::call::JoinCall;
use crate::components::chat::ChatSettingsButton;
use crate::components::hosts::{
    InvitePeople, PersonActions, PersonDialog, PersonMenus, RefusedRequest, RoleBadge,
    RoomSettingsButton, WaitingPeople,
};
use crate::components::transfers::{ShareWithEverybody, ShareWithPerson};
use crate::components::{
    Avatar, CopyButton, Icon, IconName, LanguageSwitch, NAME_PLACEHOLDERS, Rename, ThemeSwitch,
    TimeZone, isolate_names, page_address,
};
use crate::i18n::{people, *};
use crate::paths::{address, to_address};
use crate::protocol::{ParticipantId, Person};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::call::CallStateStoreFields;
use crate::state::standing::HostAbsence;
use crate::words;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

/// The sidebar of the room: its name, the participants, links to join the call and to leave. A
/// sheet on phones.
#[component]
pub fn PeopleSidebar(
    /// Whether the sheet is open.
    open: RwSignal<bool>,
    /// Counts the requests to open the settings of the room.
    settings: RwSignal<u32>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let name = session.name();
    let count = Signal::derive(move || {
        let here = session.room.people().read().here.len();
        people(i18n.get_locale(), u32::try_from(here).unwrap_or(u32::MAX))
    });
    view! {
        <aside id="people" class="room__side" class:is-open=open>
            <div class="room__tools">
                <a class="back" href=page_address("/")>
                    <Icon name=IconName::Back />
                    <span>{words!(i18n, room.back)}</span>
                </a>
                <LanguageSwitch />
                <ThemeSwitch />
            </div>
            <h1 class="room__name" dir="auto">
                {name.to_string()}
            </h1>
            <p class="room__count" translate="no">
                {count}
            </p>
            <LockedNote />
            <div class="room__actions">
                <JoinCall name=name.clone() />
                <CallCount />
                <RoomSettingsButton class="button button--quiet" named=true open=settings />
                <InvitePeople class="button button--quiet" />
                <ChatSettingsButton />
            </div>
            <PeopleList />
            <Rename />
            <div class="room__foot">
                <CopyLink />
                <LeaveRoom />
            </div>
        </aside>
    }
}

/// "2 in the call", while there is a call.
#[component]
fn CallCount() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let count = Memo::new(move |_| session.call.people().read().len());
    view! {
        <ErasedShow when=Signal::derive(move || { count.get() > 0 })>
            <p class="room__talking">
                {Signal::derive(move || {
                    t_string!(i18n, room.talking, count = count.get()).to_string()
                })}
            </p>
        </ErasedShow>
    }
}

/// The participants, in order of arrival, each with the actions of a host.
#[component]
pub fn PeopleList() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    PersonMenus::provide();
    view! {
        <HostAbsent />
        <WaitingPeople />
        <ul class="people" translate="no" aria-label=words!(i18n, room.people)>
            <For
                each=move || session.room.people().read().here.clone()
                key=|person| (person.id.clone(), person.nickname.clone())
                children=|person| view! { <PersonRow person /> }
            />
        </ul>
        <ShareWithEverybody />
        <RefusedRequest />
        <PersonDialog />
    }
}

/// "No host is here", and who acts as host meanwhile, while that is so.
#[component]
fn HostAbsent() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let absence = Memo::new(move |_| session.room.standing().read().absence.clone());
    let sentence = move || {
        let HostAbsence { acting, from } = absence.get()?;
        let is_me = |id: &ParticipantId| session.room.standing().read().is_me(id);
        let me = acting.as_ref().is_some_and(is_me);
        let name = acting.map(|id| session.nickname_of(&id));
        let time = from.map(|at| zone.time(at));
        let [place, _] = NAME_PLACEHOLDERS;
        let sentence = match (name.is_some(), me, time) {
            (false, _, _) => t_string!(i18n, hosts.absent).to_owned(),
            (true, true, None) => t_string!(i18n, hosts.absent_acting_me).to_owned(),
            (true, true, Some(time)) => {
                t_string!(i18n, hosts.absent_next_me, time = time).to_string()
            }
            (true, false, None) => t_string!(i18n, hosts.absent_acting, name = place).to_string(),
            (true, false, Some(time)) => {
                t_string!(i18n, hosts.absent_next, name = place, time = time).to_string()
            }
        };
        Some(isolate_names(
            &sentence,
            &[name.as_deref().unwrap_or_default()],
        ))
    };
    // The element stays, so that a screen reader hears the change.
    view! {
        <p class="field__hint people__hosts" role="status">
            {sentence}
        </p>
    }
}

/// "Locked by a host", while the room admits nobody new.
#[component]
fn LockedNote() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let locked = Memo::new(move |_| session.room.standing().read().settings.locked);
    view! {
        <ErasedShow when=locked>
            <p class="room__locked">
                <Icon name=IconName::Lock />
                {words!(i18n, hosts.locked_note)}
            </p>
        </ErasedShow>
    }
}

/// One row of the list.
#[component]
fn PersonRow(
    /// The participant, with the current nickname.
    person: Person,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let Person { id, nickname, .. } = person;
    let mine = {
        let id = id.clone();
        Memo::new(move |_| session.room.people().read().is_me(&id))
    };
    let in_call = in_call(session, id.clone());
    let tag = session.tag_of(id.clone());
    let (name, role_id, actions_id) = (nickname.to_string(), id.clone(), id.clone());
    let (share_id, data_id) = (id.clone(), id.to_string());
    view! {
        <li class="person" class:person--me=mine data-person=data_id>
            <Avatar id nickname=name.clone() />
            <bdi class="person__name">{name}</bdi>
            {move || tag.get().map(|tag| view! { <span class="tag">{tag}</span> })}
            <RoleBadge id=role_id class="person__note" />
            <ErasedShow when=mine>
                <span class="person__note">{words!(i18n, common.you)}</span>
            </ErasedShow>
            <ErasedShow when=in_call>
                <span class="person__call">
                    <Icon name=IconName::Camera />
                    <span class="visually-hidden">{words!(i18n, room.in_the_call)}</span>
                </span>
            </ErasedShow>
            <ShareWithPerson id=share_id nickname=nickname.clone() />
            <PersonActions id=actions_id nickname />
        </li>
    }
}

fn in_call(session: Session, id: ParticipantId) -> Memo<bool> {
    Memo::new(move |_| {
        session
            .call
            .people()
            .read()
            .iter()
            .any(|person| person.id == id)
    })
}

/// Copies the room's address.
#[component]
fn CopyLink() -> impl IntoView {
    let i18n = use_i18n();
    let name = expect_context::<Session>().name();
    let copy = Callback::new(move |copied: RwSignal<bool>| {
        let path = address(&name.path());
        #[cfg(feature = "hydrate")]
        crate::browser::dom::clipboard::copy_address(&path, move || copied.set(true));
        #[cfg(not(feature = "hydrate"))]
        drop((path, copied));
    });
    view! {
        <CopyButton
            class="button button--quiet"
            label=words!(i18n, room.copy_link)
            done=words!(i18n, room.copied)
            copy
        />
    }
}

/// Leaves the room: the others are notified at once.
#[component]
fn LeaveRoom() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let navigate = use_navigate();
    let leave = move |_| {
        session.disconnect();
        navigate(&address("/"), to_address());
    };
    view! {
        <button class="button button--quiet" type="button" on:click=leave>
            <Icon name=IconName::Leave />
            {words!(i18n, room.leave)}
        </button>
    }
}
