//! The lobby as hosts see it: who waits, and the buttons that decide about them.

use crate::components::hosts::PersonMenus;
use crate::components::{Avatar, ErasedShow, Switch};
use crate::i18n::*;
use crate::protocol::{Action, ClientMessage, Knock};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::entry::WaitingList;
use crate::state::moderation::{PersonTask, Question};
use crate::words;
use leptos::html::Div;
use leptos::prelude::*;
use std::time::Duration;

/// Arrivals within this time are announced together, so that a crowd does not interrupt a host every
/// second.
const GATHER: Duration = Duration::from_secs(3);
/// How often the list shows how long people have waited.
#[cfg(feature = "hydrate")]
const CLOCK_INTERVAL: Duration = Duration::from_secs(20);

/// Whether this device plays a sound when somebody comes to the lobby.
#[derive(Clone, Copy)]
pub struct LobbySound(RwSignal<bool>);

impl LobbySound {
    /// Provides the choice of this device for the components of the room.
    pub fn provide() {
        let sound = Self(RwSignal::new(false));
        provide_context(sound);
        #[cfg(feature = "hydrate")]
        Effect::new(move || sound.0.set(crate::browser::dom::storage::lobby_sound()));
    }

    /// Changes the choice. A device that is switched on plays the sound once.
    fn set(self, on: bool) {
        self.0.set(on);
        #[cfg(feature = "hydrate")]
        crate::browser::dom::storage::set_lobby_sound(on);
        self.play();
    }

    /// Plays the sound, if it is on.
    fn play(self) {
        #[cfg(feature = "hydrate")]
        if self.0.get_untracked() {
            use crate::browser::dom::chime::{Tone, play};
            play(Tone::Lobby);
        }
    }
}

/// The people who wait for this participant; nobody for those who admit nobody.
fn waiting(session: Session) -> Memo<WaitingList> {
    Memo::new(move |_| {
        let may_admit = session.room.standing().read().may(Action::Admit, None);
        let list = may_admit.then(|| session.room.entry().read().waiting.clone());
        list.unwrap_or_default()
    })
}

/// The name of the button that shows the people, with the number of those who wait.
pub fn show_people_name(session: Session) -> Signal<String> {
    let i18n = use_i18n();
    let waiting = waiting(session);
    Signal::derive(move || match waiting.read().count {
        0 => t_string!(i18n, room.show_people).to_owned(),
        count => t_string!(i18n, entry.badge, count = count).to_string(),
    })
}

/// The number of people who wait, as a badge on a button whose name has it.
#[component]
pub fn WaitingBadge() -> impl IntoView {
    let session = expect_context::<Session>();
    let waiting = waiting(session);
    view! {
        <ErasedShow when=Signal::derive(move || { waiting.read().count > 0 })>
            <span class="badge" aria-hidden="true">
                {Signal::derive(move || waiting.read().count.to_string())}
            </span>
        </ErasedShow>
    }
}

/// Announces who comes to the lobby, by a sentence for screen readers and by the sound.
#[component]
pub fn LobbyBell() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let sound = expect_context::<LobbySound>();
    let waiting = waiting(session);
    let sentence = RwSignal::new(String::new());
    let gathering = StoredValue::new(false);
    let speak = move || {
        gathering.try_set_value(false);
        let Some(list) = waiting.try_get_untracked() else {
            return;
        };
        let locale = i18n.get_locale_untracked();
        sentence.set(match (list.count, list.people.first()) {
            (0, _) => String::new(),
            (1, Some(knock)) => {
                let name = knock.person.nickname.as_str();
                td_string!(locale, entry.arrived_one, name = name).to_string()
            }
            (count, _) => td_string!(locale, entry.arrived, count = count).to_string(),
        });
    };
    Effect::new(move |before: Option<WaitingList>| {
        let now = waiting.get();
        let arrives = now.has_arrivals_since(&before.unwrap_or_default());
        if arrives && !gathering.get_value() {
            gathering.set_value(true);
            // A region that gets the same sentence again announces nothing.
            sentence.set(String::new());
            sound.play();
            set_timeout(speak, GATHER);
        }
        now
    });
    view! {
        <p class="visually-hidden" role="status">
            {sentence}
        </p>
    }
}

/// The switch of the sound.
#[component]
pub(super) fn LobbySoundSwitch(
    /// Value of the element's `id`.
    id: &'static str,
) -> impl IntoView {
    let i18n = use_i18n();
    let sound = expect_context::<LobbySound>();
    view! {
        <Switch
            id
            label=words!(i18n, entry.sound)
            hint=Signal::stored("")
            on=sound.0.into()
            set=Callback::new(move |on| sound.set(on))
        />
    }
}

/// The people who wait, above the list of people; nothing for those who admit nobody.
#[component]
pub fn WaitingPeople() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let waiting = waiting(session);
    let may_admit = Memo::new(move |_| session.room.standing().read().may(Action::Admit, None));
    let group = NodeRef::<Div>::new();
    // The pressed button disappears with its row; the focus would be lost with it.
    let keep_focus = Callback::new(move |()| {
        if let Some(group) = group.get_untracked() {
            let _ = group.focus();
        }
    });
    let title = Signal::derive(move || {
        let count = waiting.read().count;
        t_string!(i18n, entry.list, count = count).to_string()
    });
    let has_any = Signal::derive(move || waiting.read().count > 0);
    view! {
        <ErasedShow when=may_admit>
            <div class="waiting" role="group" aria-label=title tabindex="-1" node_ref=group>
                <ErasedShow when=has_any>
                    <WaitingRows waiting title keep_focus />
                </ErasedShow>
            </div>
        </ErasedShow>
    }
}

/// The rows, and the button that admits everybody.
#[component]
fn WaitingRows(
    /// Everybody who waits.
    waiting: Memo<WaitingList>,
    /// Title of the list, with the number of people.
    title: Signal<String>,
    /// Moves the focus to the list, before a row disappears.
    keep_focus: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let now_ms = clock();
    let more = Memo::new(move |_| waiting.read().hidden());
    let admit_all = move |_| {
        keep_focus.run(());
        session.moderate(ClientMessage::Admit { who: None });
    };
    view! {
        <h2 class="waiting__title">{title}</h2>
        <ul class="waiting__list" translate="no" aria-label=title>
            <For
                each=move || waiting.get().people
                key=|knock| {
                    let Knock { person, line, since } = knock;
                    let line = line.as_ref().map(ToString::to_string);
                    (person.id.clone(), person.nickname.clone(), line, *since)
                }
                children=move |knock| {
                    view! { <WaitingRow knock waiting now_ms keep_focus /> }
                }
            />
        </ul>
        <ErasedShow when=Signal::derive(move || { more.get() > 0 })>
            <p class="field__hint">
                {Signal::derive(move || {
                    t_string!(i18n, entry.list_more, count = more.get()).to_string()
                })}
            </p>
        </ErasedShow>
        <ErasedShow when=Signal::derive(move || { waiting.read().count > 1 })>
            <button class="button" type="button" on:click=admit_all>
                {words!(i18n, entry.admit_all)}
            </button>
        </ErasedShow>
        <LobbySoundSwitch id="waiting-sound" />
    }
}

/// The clock of the list, in milliseconds since the Unix epoch.
fn clock() -> RwSignal<i64> {
    let now_ms = RwSignal::new(0);
    #[cfg(feature = "hydrate")]
    {
        let set = move || {
            let _ = now_ms.try_set(crate::browser::dom::clock::now_ms());
        };
        set();
        if let Ok(interval) = set_interval_with_handle(set, CLOCK_INTERVAL) {
            on_cleanup(move || interval.clear());
        }
    }
    now_ms
}

/// One person who waits.
#[component]
fn WaitingRow(
    /// The person who waits.
    knock: Knock,
    /// Everybody who waits.
    waiting: Memo<WaitingList>,
    /// The clock of the list.
    now_ms: RwSignal<i64>,
    /// Moves the focus to the list, before the row disappears.
    keep_focus: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let PersonMenus { task, .. } = expect_context();
    let Knock {
        person,
        line,
        since,
    } = knock;
    let (id, nickname) = (person.id, person.nickname);
    let name = nickname.to_string();
    let tag = {
        let id = id.clone();
        Memo::new(move |_| {
            let (people, waiting) = (session.room.people(), waiting.read());
            let here = people.read();
            let names = waiting.people.iter().map(|knock| &knock.person);
            DuplicateNames::among(names.chain(here.here.iter())).tag(&id)
        })
    };
    let time = Signal::derive(move || match now_ms.get().saturating_sub(since) / 60_000 {
        ..=0 => t_string!(i18n, entry.just_now).to_owned(),
        count => t_string!(i18n, entry.minutes, count = count).to_string(),
    });
    let (admit_name, deny_name) = {
        let (one, other) = (name.clone(), name.clone());
        (
            Signal::derive(move || {
                t_string!(i18n, entry.admit_name, name = one.as_str()).to_string()
            }),
            Signal::derive(move || {
                t_string!(i18n, entry.deny_name, name = other.as_str()).to_string()
            }),
        )
    };
    let admit = {
        let who = id.clone();
        move |_| {
            keep_focus.run(());
            let who = Some(who.clone());
            session.moderate(ClientMessage::Admit { who });
        }
    };
    let deny = {
        let (who, nickname) = (id.clone(), nickname.clone());
        move |_| {
            task.set(Some(PersonTask {
                who: who.clone(),
                nickname: nickname.clone(),
                question: Question::TurnAway,
            }));
        }
    };
    let line = line.map(|line| {
        view! {
            <p class="waiting__line" dir="auto">
                {line.to_string()}
            </p>
        }
    });
    view! {
        <li class="waiting__row">
            <Avatar id nickname=name.clone() />
            <div class="waiting__who">
                <bdi class="person__name">{name}</bdi>
                {move || tag.get().map(|tag| view! { <span class="tag">{tag}</span> })}
                <span class="person__note">{time}</span>
                {line}
            </div>
            <div class="waiting__actions">
                <button
                    class="button button--primary"
                    type="button"
                    aria-label=admit_name
                    on:click=admit
                >
                    {words!(i18n, entry.admit)}
                </button>
                <button
                    class="button button--quiet"
                    type="button"
                    aria-label=deny_name
                    on:click=deny
                >
                    {words!(i18n, entry.deny)}
                </button>
            </div>
        </li>
    }
}
