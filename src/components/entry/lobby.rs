//! The lobby: this participant waits until a host lets them in.

use crate::components::entry::room_name;
use crate::components::{
    Banner, Masthead, NAME_PLACEHOLDERS, TimeZone, isolate_names, page_address,
};
use crate::i18n::*;
use crate::protocol::{ChatText, MAX_KNOCK_CHARS, MAX_NICKNAME_CHARS, NameError, Nickname};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::{H1, Input};
use leptos::prelude::*;

/// The page of somebody who waits.
#[component]
pub(super) fn LobbyPage() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let zone = expect_context::<TimeZone>();
    let heading = NodeRef::<H1>::new();
    Effect::new(move || {
        // The page before this one held the focus.
        if let Some(heading) = heading.get() {
            let _ = heading.focus();
        }
    });
    let lobby = Memo::new(move |_| session.room.entry().read().lobby);
    let [name_place, _] = NAME_PLACEHOLDERS;
    let room = room_name();
    let text = move || {
        let sentence = t_string!(i18n, entry.waiting_text, room = name_place).to_string();
        isolate_names(&sentence, &[room.as_str()])
    };
    let place = Signal::derive(move || match lobby.get()?.place {
        1 => Some(t_string!(i18n, entry.place_next).to_owned()),
        place => Some(t_string!(i18n, entry.place, place = place).to_string()),
    });
    let host = Signal::derive(move || match lobby.get()?.host_here {
        true => Some(t_string!(i18n, entry.host_here)),
        false => Some(t_string!(i18n, entry.host_away)),
    });
    let until = Signal::derive(move || {
        let at = zone.time(lobby.get()?.until);
        Some(t_string!(i18n, entry.until, time = at).to_string())
    });
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1 tabindex="-1" node_ref=heading>
                {words!(i18n, entry.waiting_title)}
            </h1>
            <Banner />
            <p>{text}</p>
            <p class="lobby__state" role="status">
                <strong>{place}</strong>
                " "
                <span>{host}</span>
            </p>
            <p>{until}</p>
            <KnockForm />
            <div class="full__actions">
                <a class="button button--quiet" href=page_address("/")>
                    {words!(i18n, entry.stop_waiting)}
                </a>
            </div>
        </main>
    }
}

/// The nickname, and a line that the hosts read.
#[component]
fn KnockForm() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let (name, line) = (NodeRef::<Input>::new(), NodeRef::<Input>::new());
    let problem = RwSignal::new(None);
    let line_problem = RwSignal::new(None);
    let is_sent = RwSignal::new(false);
    let nickname = session.room.entry().read_untracked().nickname.clone();
    let nickname = nickname.map_or_else(String::new, |nickname| nickname.to_string());
    let refused = Memo::new(move |_| session.room.entry().read().line_refused);
    let value = |field: NodeRef<Input>| {
        field
            .get_untracked()
            .map_or_else(String::new, |f| f.value())
    };
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        is_sent.set(false);
        let nickname = Nickname::parse(&value(name));
        let words = parse_line(&value(line));
        problem.set(nickname.as_ref().err().copied());
        line_problem.set(words.as_ref().err().copied());
        match (nickname, words) {
            (Ok(nickname), Ok(words)) => {
                session.knock(nickname, words);
                is_sent.set(true);
            }
            (Err(_), _) => focus(name),
            (Ok(_), Err(_)) => focus(line),
        }
    };
    let sentence = Signal::derive(move || {
        let error = problem.get()?;
        Some(name_problem(i18n.get_locale(), error, MAX_NICKNAME_CHARS))
    });
    let line_sentence = Signal::derive(move || match line_problem.get() {
        Some(_) => Some(t_string!(i18n, entry.line_refused)),
        None => refused.get().then(|| t_string!(i18n, entry.line_refused)),
    });
    let sent = Signal::derive(move || {
        let is_seen = is_sent.get() && !refused.get();
        is_seen.then(|| t_string!(i18n, entry.line_sent))
    });
    view! {
        <form class="lobby__form" on:submit=send>
            <div class="field">
                <label class="field__label" for="knock-name">
                    {words!(i18n, welcome.nickname)}
                </label>
                <input
                    class="input"
                    id="knock-name"
                    type="text"
                    dir="auto"
                    autocomplete="nickname"
                    node_ref=name
                    value=nickname
                    aria-invalid=Signal::derive(move || problem.get().is_some().then_some("true"))
                    aria-describedby="knock-name-error"
                />
                <p class="field__error" id="knock-name-error" role="alert">
                    {sentence}
                </p>
            </div>
            <div class="field">
                <label class="field__label" for="knock-line">
                    {words!(i18n, entry.line)}
                </label>
                <input
                    class="input"
                    id="knock-line"
                    type="text"
                    dir="auto"
                    autocomplete="off"
                    maxlength=MAX_KNOCK_CHARS.to_string()
                    node_ref=line
                    aria-invalid=Signal::derive(move || {
                        line_sentence.get().is_some().then_some("true")
                    })
                    aria-describedby="knock-line-hint knock-line-error"
                />
                <p class="field__hint" id="knock-line-hint">
                    {words!(i18n, entry.line_hint)}
                </p>
                <p class="field__error" id="knock-line-error" role="alert">
                    {line_sentence}
                </p>
            </div>
            <div class="full__actions">
                <button class="button button--primary" type="submit">
                    {words!(i18n, entry.line_send)}
                </button>
                <p class="field__hint" role="status">
                    {sent}
                </p>
            </div>
        </form>
    }
}

/// Moves the focus to a field.
fn focus(field: NodeRef<Input>) {
    if let Some(field) = field.get_untracked() {
        let _ = field.focus();
    }
}

/// A line for the hosts; `None` if nothing was typed.
fn parse_line(typed: &str) -> Result<Option<String>, NameError> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(None);
    }
    ChatText::parse(typed).map(|line| Some(line.to_string()))
}
