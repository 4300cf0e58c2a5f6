//! `/`: the form to join a room, and the open rooms.

use crate::api::{ApiError, Field, JoinRoom, welcome};
use crate::components::{Icon, IconName, Masthead, OpenRooms, PageTitle, WithoutScriptField};
use crate::i18n::*;
use crate::paths::address;
use crate::protocol::{MAX_NICKNAME_CHARS, MAX_ROOM_NAME_CHARS};
use crate::words;
use leptos::attr::custom::custom_attribute;
use leptos::ev::SubmitEvent;
use leptos::form::FromFormData;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::hooks::use_query_map;

/// The welcome page.
#[component]
pub fn WelcomePage() -> impl IntoView {
    let i18n = use_i18n();
    let start = Resource::new(|| (), |()| welcome());
    view! {
        <PageTitle text=words!(i18n, welcome.title) />
        <Masthead />
        <main id="content" class="welcome">
            <section class="welcome__hero">
                <h1>{words!(i18n, welcome.heading)}</h1>
                <p class="welcome__lead">{words!(i18n, welcome.lead)}</p>
            </section>
            <section class="welcome__join card" aria-label=words!(i18n, welcome.join_heading)>
                <Suspense>
                    {move || Suspend::new(async move {
                        let nickname = start.await.unwrap_or_default().nickname;
                        let nickname = nickname.map(String::from).unwrap_or_default();
                        view! { <JoinForm nickname /> }
                    })}
                </Suspense>
            </section>
            <section class="welcome__rooms">
                <h2>{words!(i18n, welcome.open_rooms)}</h2>
                <Suspense>
                    {move || Suspend::new(async move {
                        let start = start.await.unwrap_or_default();
                        match start.unlisted {
                            true => {
                                view! { <p class="empty">{words!(i18n, welcome.unlisted)}</p> }
                                    .into_any()
                            }
                            false => view! { <OpenRooms rooms=start.rooms /> }.into_any(),
                        }
                    })}
                </Suspense>
            </section>
        </main>
    }
}

/// The form to join a room. Works as a plain form; a refusal is returned as the action's value
/// or, without script, in the query.
#[component]
fn JoinForm(
    /// The nickname stored on this device, or empty.
    nickname: String,
) -> impl IntoView {
    let i18n = use_i18n();
    let query = use_query_map().get_untracked();
    let typed_nickname = query.get("nickname").unwrap_or(nickname);
    let typed_room = query.get("room").unwrap_or_default();
    let refused = query
        .get("problem")
        .and_then(|text| serde_json::from_str(&text).ok());
    let action = ServerAction::<JoinRoom>::new();
    let problem = Signal::derive(move || match action.value().get() {
        Some(result) => result.unwrap_or_else(Some),
        None => refused.clone(),
    });
    let join = move |event: SubmitEvent| {
        // Otherwise the browser sends the form.
        if let Ok(form) = JoinRoom::from_event(&event) {
            event.prevent_default();
            action.dispatch(form);
        }
    };
    view! {
        <form
            class="form"
            method="post"
            action=address(JoinRoom::url())
            novalidate=true
            autocomplete="off"
            on:submit=join
        >
            <WithoutScriptField />
            <TextField
                name="nickname"
                label=words!(i18n, welcome.nickname)
                hint=words!(i18n, welcome.nickname_hint)
                value=typed_nickname
                problem=Signal::derive(move || {
                    field_problem(i18n.get_locale(), problem.get(), Field::Nickname)
                })
                exact=false
            />
            <TextField
                name="room"
                label=words!(i18n, welcome.room_name)
                hint=words!(i18n, welcome.room_hint)
                value=typed_room
                problem=Signal::derive(move || {
                    field_problem(i18n.get_locale(), problem.get(), Field::Room)
                })
                exact=true
            />
            <p class="field__error" role="alert">
                {Signal::derive(move || server_problem(i18n.get_locale(), problem.get()))}
            </p>
            <button class="button button--primary" type="submit">
                {words!(i18n, welcome.join)}
                <Icon name=IconName::Forward />
            </button>
            <div class="field">
                <button
                    class="button"
                    type="submit"
                    name="private"
                    value="1"
                    aria-describedby="private-hint"
                >
                    {words!(i18n, welcome.open_private)}
                </button>
                <p class="field__hint" id="private-hint">
                    {words!(i18n, welcome.private_hint)}
                </p>
            </div>
        </form>
    }
}

/// A labelled text input with a hint and an error message.
#[component]
fn TextField(
    /// Name in the form and `id` of the element.
    name: &'static str,
    /// Visible label of the field.
    label: Signal<&'static str>,
    /// Hint below the field.
    hint: Signal<&'static str>,
    /// Initial value of the field.
    value: String,
    /// Error message about the value.
    problem: Signal<Option<String>>,
    /// Whether to switch off autocorrection and capitalisation.
    exact: bool,
) -> impl IntoView {
    let (hint_id, error_id) = (format!("{name}-hint"), format!("{name}-error"));
    let described_by = format!("{hint_id} {error_id}");
    view! {
        <div class="field">
            <label class="field__label" for=name>
                {label}
            </label>
            <input
                class="input"
                id=name
                name=name
                type="text"
                dir="auto"
                autocapitalize=exact.then_some("none")
                {..custom_attribute("autocorrect", exact.then_some("off"))}
                spellcheck=exact.then_some("false")
                value=value
                aria-describedby=described_by
                aria-invalid=Signal::derive(move || problem.get().is_some().then_some("true"))
            />
            <p class="field__hint" id=hint_id>
                {hint}
            </p>
            <p class="field__error" id=error_id role="alert">
                {problem}
            </p>
        </div>
    }
}

/// The error message of one field.
fn field_problem(locale: Locale, problem: Option<ApiError>, field: Field) -> Option<String> {
    let max = match field {
        Field::Nickname => MAX_NICKNAME_CHARS,
        Field::Room => MAX_ROOM_NAME_CHARS,
    };
    match problem {
        Some(ApiError::Invalid { field: at, problem }) if at == field => {
            Some(name_problem(locale, problem, max))
        }
        _ => None,
    }
}

/// The error message of the server.
fn server_problem(locale: Locale, problem: Option<ApiError>) -> Option<&'static str> {
    match problem? {
        ApiError::Invalid { .. } => None,
        ApiError::TooManyRooms => Some(td_string!(locale, welcome.too_many_rooms)),
        ApiError::TooMany
        | ApiError::SearchTimedOut
        | ApiError::SearchBusy
        | ApiError::Unavailable
        | ApiError::Request => Some(td_string!(locale, welcome.unavailable)),
    }
}
