//! Who can come in: the access, the lobby, the password, the capacity, the window and the retention
//! of the room.

use crate::components::hosts::lobby::LobbySoundSwitch;
use crate::components::hosts::room_settings::change;
use crate::components::{ErasedShow, PasswordField, Switch, TimeZone};
use crate::i18n::*;
use crate::protocol::{
    Access, ClientMessage, ErrorCode, MAX_CAPACITY, MAX_RETENTION_DAYS, RoomPassword, RoomSettings,
    SettingsChange,
};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::rows::datetime_value;
use crate::words;
use leptos::ev::{MouseEvent, SubmitEvent};
use leptos::html::Input;
use leptos::prelude::*;

/// The field whose value was sent last. A refusal of the server is shown at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The password of the room.
    Password,
    /// The capacity of the room.
    Capacity,
    /// The window of the room.
    Window,
    /// The retention of the room.
    Retention,
}

/// What the section says about a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// The value was sent; the server may still refuse it.
    Sent,
    /// The page does not send this value.
    Wrong(Wrong),
}

/// Why the page does not send a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// The password is too short.
    Short,
    /// The value is no number from 1 to this.
    Range(u32),
    /// The room would close before it opens.
    Order,
}

/// The state that the fields of the section share.
#[derive(Clone, Copy)]
struct Answers {
    /// The answer to the value that was sent last, and its field.
    last: RwSignal<Option<(Field, Answer)>>,
    session: Session,
    i18n: I18n,
}

impl Answers {
    fn set(self, field: Field, answer: Answer) {
        self.last.set(Some((field, answer)));
    }

    /// Requests a change of the settings.
    fn send(self, field: Field, settings: SettingsChange) {
        self.set(field, Answer::Sent);
        change(self.session, settings);
    }

    /// Why the last value of a field is refused.
    fn refused(self) -> Option<ErrorCode> {
        self.session.room.standing().read().refused
    }

    /// The error of a field.
    fn error(self, field: Field) -> Signal<Option<String>> {
        Signal::derive(move || {
            let (_, answer) = self.last.get().filter(|(of, _)| *of == field)?;
            let locale = self.i18n.get_locale();
            match answer {
                Answer::Wrong(Wrong::Short) => {
                    let min = RoomPassword::MIN_CHARS;
                    Some(td_string!(locale, entry.password_short, min = min).to_string())
                }
                Answer::Wrong(Wrong::Range(max)) => {
                    Some(td_string!(locale, entry.number_range, max = max).to_string())
                }
                Answer::Wrong(Wrong::Order) => {
                    Some(td_string!(locale, entry.window_wrong).to_owned())
                }
                Answer::Sent => self.refused().map(|code| match code {
                    ErrorCode::BadText if field == Field::Password => {
                        let min = RoomPassword::MIN_CHARS;
                        td_string!(locale, entry.password_short, min = min).to_string()
                    }
                    ErrorCode::Unavailable => {
                        td_string!(locale, hosts.refused_unavailable).to_owned()
                    }
                    ErrorCode::NotAllowed => {
                        td_string!(locale, hosts.refused_not_allowed).to_owned()
                    }
                    _ => td_string!(locale, entry.refused_setting).to_owned(),
                }),
            }
        })
    }

    /// Whether the server has a value of a field, as far as is known.
    fn is_sent(self, field: Field) -> Signal<bool> {
        Signal::derive(move || {
            let is_last = self.last.get() == Some((field, Answer::Sent));
            is_last && self.refused().is_none()
        })
    }
}

/// The section of the dialog.
#[component]
pub(super) fn AccessSettings() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let answers = Answers {
        last: RwSignal::new(None),
        session,
        i18n,
    };
    let settings = settings(session);
    let lobby = Callback::new(move |on| {
        answers.last.set(None);
        change(
            session,
            SettingsChange {
                lobby: Some(on),
                ..SettingsChange::default()
            },
        );
    });
    let has_lobby = Signal::derive(move || settings.read().lobby);
    view! {
        <section class="dialog__part" aria-labelledby="access-title">
            <h3 class="field__label" id="access-title">
                {words!(i18n, entry.access)}
            </h3>
            <div role="radiogroup" aria-labelledby="access-title" class="choices">
                <AccessChoice access=Access::Listed answers />
                <AccessChoice access=Access::Unlisted answers />
                <AccessChoice access=Access::Closed answers />
            </div>
            <Switch
                id="room-lobby"
                label=words!(i18n, entry.lobby)
                hint=words!(i18n, entry.lobby_hint)
                on=has_lobby
                set=lobby
            />
            <ErasedShow when=has_lobby>
                <LobbySoundSwitch id="lobby-sound" />
            </ErasedShow>
            <PasswordSetting answers />
            <NumberSetting
                id="room-capacity"
                field=Field::Capacity
                max=MAX_CAPACITY
                label=words!(i18n, entry.capacity)
                hint=words!(i18n, entry.capacity_hint)
                answers
            />
            <WindowSetting answers />
            <NumberSetting
                id="room-retention"
                field=Field::Retention
                max=MAX_RETENTION_DAYS
                label=words!(i18n, entry.retention)
                hint=words!(i18n, entry.retention_hint)
                answers
            />
        </section>
    }
}

/// The settings of the room.
fn settings(session: Session) -> Memo<RoomSettings> {
    Memo::new(move |_| session.room.standing().read().settings)
}

/// One of the three accesses. As with a switch, it shows what the server has.
#[component]
fn AccessChoice(
    /// The access to choose.
    access: Access,
    /// The answers to the fields.
    answers: Answers,
) -> impl IntoView {
    let i18n = use_i18n();
    let Answers { session, .. } = answers;
    let settings = settings(session);
    let id = match access {
        Access::Listed => "access-listed",
        Access::Unlisted => "access-unlisted",
        Access::Closed => "access-closed",
    };
    let label = Signal::derive(move || match access {
        Access::Listed => t_string!(i18n, entry.listed),
        Access::Unlisted => t_string!(i18n, entry.unlisted),
        Access::Closed => t_string!(i18n, entry.closed),
    });
    let hint = Signal::derive(move || match access {
        Access::Listed => t_string!(i18n, entry.listed_hint),
        Access::Unlisted => t_string!(i18n, entry.unlisted_hint),
        Access::Closed => t_string!(i18n, entry.closed_hint),
    });
    let choose = move |event: MouseEvent| {
        event.prevent_default();
        answers.last.set(None);
        if settings.read_untracked().access != access {
            change(
                session,
                SettingsChange {
                    access: Some(access),
                    ..SettingsChange::default()
                },
            );
        }
    };
    let hint_id = format!("{id}-hint");
    view! {
        <div class="choice">
            <input
                class="choice__box"
                type="radio"
                name="room-access"
                id=id
                prop:checked=Signal::derive(move || settings.read().access == access)
                aria-describedby=hint_id.clone()
                on:click=choose
            />
            <label class="choice__label" for=id>
                {label}
            </label>
            <p class="choice__hint field__hint" id=hint_id>
                {hint}
            </p>
        </div>
    }
}

/// Sets, changes and removes the password.
#[component]
fn PasswordSetting(
    /// The answers to the fields.
    answers: Answers,
) -> impl IntoView {
    let i18n = use_i18n();
    let Answers { session, .. } = answers;
    let settings = settings(session);
    let input = NodeRef::<Input>::new();
    let has_password = Signal::derive(move || settings.read().password);
    let hint = Signal::derive(move || match has_password.get() {
        true => Some(t_string!(i18n, entry.password_has)),
        false => Some(t_string!(i18n, entry.password_none)),
    });
    let error = answers.error(Field::Password);
    let is_sent = answers.is_sent(Field::Password);
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else {
            return;
        };
        let typed = RoomPassword::parse(&input.value()).ok();
        let Some(password) = typed.filter(RoomPassword::is_long_enough) else {
            answers.set(Field::Password, Answer::Wrong(Wrong::Short));
            let _ = input.focus();
            return;
        };
        answers.set(Field::Password, Answer::Sent);
        session.moderate(ClientMessage::SetPassword {
            password: Some(password),
        });
        input.set_value("");
    };
    let remove = move |_| {
        answers.last.set(None);
        session.moderate(ClientMessage::SetPassword { password: None });
        if let Some(input) = input.get_untracked() {
            let _ = input.focus();
        }
    };
    let label = Signal::derive(move || match has_password.get() {
        true => t_string!(i18n, entry.password_change),
        false => t_string!(i18n, entry.password_set),
    });
    let saved = Signal::derive(move || {
        let is_saved = is_sent.get() && has_password.get();
        is_saved.then(|| t_string!(i18n, entry.password_saved))
    });
    view! {
        <form class="setting" on:submit=send>
            <PasswordField
                id="set-password"
                label=words!(i18n, entry.room_password)
                hint
                error
                input
            />
            <div class="dialog__actions">
                <button class="button" type="submit">
                    {label}
                </button>
                <ErasedShow when=has_password>
                    <button class="button button--danger" type="button" on:click=remove>
                        {words!(i18n, entry.password_remove)}
                    </button>
                </ErasedShow>
                <p class="field__hint" role="status">
                    {saved}
                </p>
            </div>
        </form>
    }
}

/// A setting that is a number or absent.
#[component]
fn NumberSetting(
    /// Value of the element's `id`.
    id: &'static str,
    /// Which setting it is.
    field: Field,
    /// The largest number.
    max: u32,
    /// Visible label of the setting.
    label: Signal<&'static str>,
    /// What the setting does.
    hint: Signal<&'static str>,
    /// The answers to the fields.
    answers: Answers,
) -> impl IntoView {
    let settings = settings(answers.session);
    let input = NodeRef::<Input>::new();
    let now = Signal::derive(move || {
        let settings = settings.get();
        let number = match field {
            Field::Retention => settings.retention_days,
            Field::Capacity | Field::Password | Field::Window => settings.capacity,
        };
        number.map_or_else(String::new, |number| number.to_string())
    });
    let (error, is_sent) = (answers.error(field), answers.is_sent(field));
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else {
            return;
        };
        let typed = input.value();
        // The browser hides what is no number, and knows that it is there.
        let is_absent = typed.trim().is_empty() && input.check_validity();
        let number = typed.trim().parse::<u32>().ok();
        let number = number.filter(|number| (1..=max).contains(number));
        if number.is_none() && !is_absent {
            answers.set(field, Answer::Wrong(Wrong::Range(max)));
            let _ = input.focus();
            return;
        }
        let settings = match field {
            Field::Retention => SettingsChange {
                retention_days: Some(number),
                ..SettingsChange::default()
            },
            Field::Capacity | Field::Password | Field::Window => SettingsChange {
                capacity: Some(number),
                ..SettingsChange::default()
            },
        };
        answers.send(field, settings);
    };
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    view! {
        <form class="setting" novalidate on:submit=send>
            <div class="field">
                <label class="field__label" for=id>
                    {label}
                </label>
                <div class="setting__row">
                    <input
                        class="input"
                        id=id
                        type="number"
                        inputmode="numeric"
                        min="1"
                        max=max.to_string()
                        node_ref=input
                        prop:value=now
                        aria-invalid=Signal::derive(move || error.get().is_some().then_some("true"))
                        aria-describedby=format!("{hint_id} {error_id}")
                    />
                    <Save label is_sent />
                </div>
                <p class="field__hint" id=hint_id>
                    {hint}
                </p>
                <p class="field__error" id=error_id role="alert">
                    {error}
                </p>
            </div>
        </form>
    }
}

/// The button that sends a setting, and whether the server has it.
#[component]
fn Save(
    /// Label of the setting.
    label: Signal<&'static str>,
    /// Whether the server has the value.
    is_sent: Signal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let name = Signal::derive(move || format!("{}: {}", label.get(), t_string!(i18n, room.save)));
    view! {
        <button class="button" type="submit" aria-label=name>
            {words!(i18n, room.save)}
        </button>
        <span class="field__hint" role="status">
            {Signal::derive(move || is_sent.get().then(|| t_string!(i18n, entry.saved)))}
        </span>
    }
}

/// When the room opens and closes, in local time.
#[component]
fn WindowSetting(
    /// The answers to the fields.
    answers: Answers,
) -> impl IntoView {
    let i18n = use_i18n();
    let zone = expect_context::<TimeZone>();
    let settings = settings(answers.session);
    let (opens, closes) = (NodeRef::<Input>::new(), NodeRef::<Input>::new());
    let value = move |at: Option<i64>| {
        at.map_or_else(String::new, |at| {
            datetime_value(at, zone.offset_minutes(at))
        })
    };
    let (opens_now, closes_now) = (
        Signal::derive(move || value(settings.read().opens)),
        Signal::derive(move || value(settings.read().closes)),
    );
    let has_window =
        Signal::derive(move || settings.read().opens.is_some() || settings.read().closes.is_some());
    let (error, is_sent) = (answers.error(Field::Window), answers.is_sent(Field::Window));
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        let [opens, closes] = [opens, closes].map(moment);
        if let (Some(from), Some(to)) = (opens, closes)
            && to <= from
        {
            return answers.set(Field::Window, Answer::Wrong(Wrong::Order));
        }
        answers.send(
            Field::Window,
            SettingsChange {
                opens: Some(opens),
                closes: Some(closes),
                ..SettingsChange::default()
            },
        );
    };
    let clear = move |_| {
        for input in [opens, closes]
            .into_iter()
            .filter_map(|input| input.get_untracked())
        {
            input.set_value("");
        }
        answers.send(
            Field::Window,
            SettingsChange {
                opens: Some(None),
                closes: Some(None),
                ..SettingsChange::default()
            },
        );
    };
    view! {
        <form class="setting" novalidate on:submit=send>
            <div class="setting__times">
                <TimeField
                    id="room-opens"
                    label=words!(i18n, entry.opens)
                    value=opens_now
                    error
                    input=opens
                />
                <TimeField
                    id="room-closes"
                    label=words!(i18n, entry.closes)
                    value=closes_now
                    error
                    input=closes
                />
            </div>
            <p class="field__hint" id="window-hint">
                {words!(i18n, entry.window_hint)}
            </p>
            <p class="field__error" id="window-error" role="alert">
                {error}
            </p>
            <div class="dialog__actions">
                <Save label=words!(i18n, entry.window) is_sent />
                <ErasedShow when=has_window>
                    <button class="button button--quiet" type="button" on:click=clear>
                        {words!(i18n, entry.clear)}
                    </button>
                </ErasedShow>
            </div>
        </form>
    }
}

/// A field for a moment in local time.
#[component]
fn TimeField(
    /// Value of the element's `id`.
    id: &'static str,
    /// Visible label of the field.
    label: Signal<&'static str>,
    /// The value of the server.
    value: Signal<String>,
    /// What is wrong with the window.
    error: Signal<Option<String>>,
    /// The element of the field.
    input: NodeRef<Input>,
) -> impl IntoView {
    view! {
        <div class="field">
            <label class="field__label" for=id>
                {label}
            </label>
            <input
                class="input"
                id=id
                type="datetime-local"
                node_ref=input
                prop:value=value
                aria-invalid=Signal::derive(move || error.get().is_some().then_some("true"))
                aria-describedby="window-hint window-error"
            />
        </div>
    }
}

/// The moment in a field, in milliseconds since the Unix epoch; `None` if it is empty.
fn moment(field: NodeRef<Input>) -> Option<i64> {
    let typed = field.get_untracked()?.value();
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::clock::local_ms(&typed);
    #[cfg(not(feature = "hydrate"))]
    return typed.parse().ok();
}
