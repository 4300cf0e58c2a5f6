//! The menu about one participant: a button, and under it the actions that a host may take.

use crate::components::{
    ErasedShow, Icon, IconName, NAME_PLACEHOLDERS, dismiss_outside, isolate_names,
};
use crate::i18n::*;
use crate::protocol::{Nickname, ParticipantId, Role};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::call::CallStateStoreFields;
use crate::state::moderation::{PersonAction, PersonMenu, PersonTask};
use leptos::ev::KeyboardEvent;
use leptos::html::{Button, Div};
use leptos::prelude::*;

/// The open menu and the open dialog of a list of people, which has one of each at most.
#[derive(Clone, Copy)]
pub struct PersonMenus {
    /// The participant whose menu is open.
    open: RwSignal<Option<ParticipantId>>,
    /// The dialog that is open.
    pub task: RwSignal<Option<PersonTask>>,
}

impl PersonMenus {
    /// Provides the state for the components of one list.
    pub fn provide() -> Self {
        let menus = Self {
            open: RwSignal::new(None),
            task: RwSignal::new(None),
        };
        provide_context(menus);
        menus
    }
}

/// The button and the actions; nothing for those who moderate nothing, and about oneself.
#[component]
pub fn PersonActions(
    /// Id of the participant.
    id: ParticipantId,
    /// The participant's nickname.
    nickname: Nickname,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let about = id.clone();
    let menu = Memo::new(move |_| {
        let call = session.call.people();
        let devices = call
            .read()
            .iter()
            .find(|p| p.id == about)
            .map(|p| p.devices);
        PersonMenu::about(&session.room.standing().read(), &about, devices)
    });
    view! {
        <ErasedShow when=Signal::derive(move || !menu.read().actions.is_empty())>
            <ActionsButton id=id.clone() nickname=nickname.clone() menu />
        </ErasedShow>
    }
}

/// The button, and the actions while it is expanded. Escape and a press elsewhere close them.
#[component]
fn ActionsButton(
    /// Id of the participant.
    id: ParticipantId,
    /// The participant's nickname.
    nickname: Nickname,
    /// The actions about the participant.
    menu: Memo<PersonMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let PersonMenus { open, .. } = expect_context();
    let button = NodeRef::<Button>::new();
    let is_open = {
        let id = id.clone();
        Memo::new(move |_| open.read().as_ref() == Some(&id))
    };
    let name = {
        let nickname = nickname.clone();
        Signal::derive(move || {
            t_string!(i18n, hosts.actions_for, name = nickname.as_str()).to_string()
        })
    };
    let close = move || {
        open.set(None);
        if let Some(button) = button.get_untracked() {
            let _ = button.focus();
        }
    };
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" && is_open.get_untracked() {
            // A dialog around the list stays open.
            event.prevent_default();
            event.stop_propagation();
            close();
        }
    };
    let element = NodeRef::<Div>::new();
    // A press elsewhere moves the focus by itself.
    let leave = Callback::new(move |()| open.set(None));
    dismiss_outside(element, is_open.into(), leave);
    let about = id.clone();
    let toggle = move |_| {
        let next = (!is_open.get_untracked()).then(|| about.clone());
        open.set(next);
    };
    view! {
        <div class="person__menu" node_ref=element on:keydown=on_key>
            <button
                class="person__more"
                type="button"
                aria-label=name
                aria-expanded=Signal::derive(move || is_open.get().to_string())
                node_ref=button
                on:click=toggle
            >
                <Icon name=IconName::More />
            </button>
            <ErasedShow when=is_open>
                <ActionList
                    id=id.clone()
                    nickname=nickname.clone()
                    menu
                    name
                    close=Callback::new(move |()| close())
                />
            </ErasedShow>
        </div>
    }
}

/// The actions about one participant.
#[component]
fn ActionList(
    /// Id of the participant.
    id: ParticipantId,
    /// The participant's nickname.
    nickname: Nickname,
    /// The actions about the participant.
    menu: Memo<PersonMenu>,
    /// Name of the list.
    name: Signal<String>,
    /// Closes the list.
    close: Callback<()>,
) -> impl IntoView {
    let note_id = format!("why-{id}");
    let choices = {
        let (nickname, note_id) = (nickname.clone(), note_id.clone());
        move || {
            let menu = menu.get();
            let is_possible = menu.too_high.is_none();
            let choice = |action| {
                let why = (!is_possible).then(|| note_id.clone());
                let (id, nickname) = (id.clone(), nickname.clone());
                view! { <Choice id nickname action why close /> }.into_any()
            };
            menu.actions.into_iter().map(choice).collect_view()
        }
    };
    view! {
        <div class="person__actions" role="group" aria-label=name>
            {choices}
            <TooHigh nickname menu note_id />
        </div>
    }
}

/// One action of the list.
#[component]
fn Choice(
    /// Id of the participant.
    id: ParticipantId,
    /// The participant's nickname.
    nickname: Nickname,
    /// The action of the button.
    action: PersonAction,
    /// Id of the sentence that says why the action is not possible; `None` if it is.
    why: Option<String>,
    /// Closes the list.
    close: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let PersonMenus { task, .. } = expect_context();
    let is_disabled = why.is_some();
    let act = move |_| {
        if is_disabled {
            return;
        }
        let who = id.clone();
        close.run(());
        match (action.question(), action.request(who.clone())) {
            (Some(question), _) => task.set(Some(PersonTask {
                who,
                nickname: nickname.clone(),
                question,
            })),
            (None, Some(request)) => session.moderate(request),
            (None, None) => {}
        }
    };
    view! {
        <button
            class="person__choice"
            class:person__choice--danger=matches!(action, PersonAction::Remove | PersonAction::Ban)
            type="button"
            aria-disabled=is_disabled.then_some("true")
            aria-describedby=why
            on:click=act
        >
            {Signal::derive(move || label(i18n.get_locale(), action))}
        </button>
    }
}

/// Why the actions are not possible: the participant's role is not below one's own.
#[component]
fn TooHigh(
    /// The participant's nickname.
    nickname: Nickname,
    /// The actions about the participant.
    menu: Memo<PersonMenu>,
    /// Value of the element's `id`.
    note_id: String,
) -> impl IntoView {
    let i18n = use_i18n();
    let [one, _] = NAME_PLACEHOLDERS;
    move || {
        let sentence = match menu.read().too_high? {
            Role::Host => t_string!(i18n, hosts.is_host, name = one).to_string(),
            Role::Viewer | Role::Guest | Role::Speaker | Role::CoHost => {
                t_string!(i18n, hosts.is_co_host, name = one).to_string()
            }
        };
        let sentence = isolate_names(&sentence, &[nickname.as_str()]);
        Some(view! {
            <p class="person__why" id=note_id.clone()>
                {sentence}
            </p>
        })
    }
}

/// The name of an action.
fn label(locale: Locale, action: PersonAction) -> &'static str {
    match action {
        PersonAction::Mute => td_string!(locale, hosts.mute),
        PersonAction::StopCamera => td_string!(locale, hosts.stop_camera),
        PersonAction::StopScreen => td_string!(locale, hosts.stop_screen),
        PersonAction::AskToUnmute => td_string!(locale, hosts.ask_to_unmute),
        PersonAction::Rename => td_string!(locale, hosts.rename),
        // Nobody makes a host, who holds the key.
        PersonAction::SetRole(Role::CoHost | Role::Host) => td_string!(locale, hosts.make_co_host),
        PersonAction::SetRole(Role::Speaker) => td_string!(locale, hosts.make_speaker),
        PersonAction::SetRole(Role::Guest) => td_string!(locale, hosts.make_guest),
        PersonAction::SetRole(Role::Viewer) => td_string!(locale, hosts.make_viewer),
        PersonAction::Remove => td_string!(locale, hosts.remove),
        PersonAction::Ban => td_string!(locale, hosts.ban),
    }
}
