//! The dialog before a participant is renamed, removed, banned or turned away.

use crate::components::hosts::PersonMenus;
use crate::components::{ErasedShow, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::protocol::{MAX_NICKNAME_CHARS, MAX_REASON_CHARS, Nickname};
use crate::session::Session;
use crate::state::moderation::{PersonTask, Question};
use crate::words;
use leptos::ev::SubmitEvent;
use leptos::html::{Dialog, Input};
use leptos::prelude::*;

/// The dialog of a list of people. A native dialog: Escape closes it and the focus returns.
#[component]
pub fn PersonDialog() -> impl IntoView {
    let PersonMenus { task, .. } = expect_context();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move || {
        if let (true, Some(dialog)) = (task.read().is_some(), dialog.get()) {
            let _ = dialog.show_modal();
        }
    });
    let done = Callback::new(move |()| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    });
    view! {
        <dialog
            class="dialog"
            aria-labelledby="person-dialog-title"
            node_ref=dialog
            on:close=move |_| task.set(None)
        >
            {move || task.get().map(|task| view! { <PersonForm task done /> })}
        </dialog>
    }
}

/// The form in the dialog.
#[component]
fn PersonForm(
    /// What the dialog asks.
    task: PersonTask,
    /// Closes the dialog.
    done: Callback<()>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let (text, address) = (NodeRef::<Input>::new(), NodeRef::<Input>::new());
    let problem = RwSignal::new(None);
    let PersonTask {
        nickname, question, ..
    } = task.clone();
    let is_rename = question == Question::Rename;
    Effect::new(move || {
        if let Some(text) = text.get() {
            let _ = text.focus();
            text.select();
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = text.get_untracked().map(|text| text.value());
        let typed = typed.unwrap_or_default();
        if is_rename && let Err(error) = Nickname::parse(&typed) {
            return problem.set(Some(error));
        }
        let address = address.get_untracked().is_some_and(|box_| box_.checked());
        session.moderate(task.request(&typed, address));
        done.run(());
    };
    let sentence = Signal::derive(move || {
        let error = problem.get()?;
        Some(name_problem(i18n.get_locale(), error, MAX_NICKNAME_CHARS))
    });
    let title = {
        let nickname = nickname.clone();
        move || {
            let sentence = title(i18n.get_locale(), question);
            isolate_names(&sentence, &[nickname.as_str()])
        }
    };
    let explanation = Signal::derive(move || match question {
        Question::Rename => "",
        Question::Remove => t_string!(i18n, hosts.remove_text),
        Question::Ban => t_string!(i18n, hosts.ban_text),
        Question::TurnAway => t_string!(i18n, entry.deny_text),
    });
    let label = Signal::derive(move || match question {
        Question::Rename => t_string!(i18n, room.new_nickname),
        Question::Remove | Question::Ban | Question::TurnAway => t_string!(i18n, hosts.reason),
    });
    let hint = Signal::derive(move || match question {
        Question::Rename => "",
        Question::Remove | Question::Ban | Question::TurnAway => t_string!(i18n, hosts.reason_hint),
    });
    let agree = Signal::derive(move || match question {
        Question::Rename => t_string!(i18n, room.save),
        Question::Remove => t_string!(i18n, hosts.remove),
        Question::Ban => t_string!(i18n, hosts.ban),
        Question::TurnAway => t_string!(i18n, entry.deny),
    });
    let limit = match question {
        Question::Rename => MAX_NICKNAME_CHARS,
        Question::Remove | Question::Ban | Question::TurnAway => MAX_REASON_CHARS,
    };
    let value = is_rename.then(|| nickname.to_string());
    view! {
        <form class="dialog__form" on:submit=submit>
            <h2 class="dialog__title" id="person-dialog-title">
                {title}
            </h2>
            <ErasedShow when=Signal::stored(!is_rename)>
                <p>{explanation}</p>
            </ErasedShow>
            <div class="field">
                <label class="field__label" for="person-text">
                    {label}
                </label>
                <input
                    class="input"
                    id="person-text"
                    type="text"
                    dir="auto"
                    autocomplete="off"
                    maxlength=limit.to_string()
                    node_ref=text
                    value=value
                    aria-invalid=Signal::derive(move || problem.get().is_some().then_some("true"))
                    aria-describedby="person-text-hint person-text-error"
                />
                <p class="field__hint" id="person-text-hint">
                    {hint}
                </p>
                <p class="field__error" id="person-text-error" role="alert">
                    {sentence}
                </p>
            </div>
            <ErasedShow when=Signal::stored(question == Question::Ban)>
                <div class="choice">
                    <input
                        class="choice__box"
                        type="checkbox"
                        id="ban-address"
                        aria-describedby="ban-address-hint"
                        node_ref=address
                    />
                    <label class="choice__label" for="ban-address">
                        {words!(i18n, hosts.ban_address)}
                    </label>
                    <p class="choice__hint field__hint" id="ban-address-hint">
                        {words!(i18n, hosts.ban_address_hint)}
                    </p>
                </div>
            </ErasedShow>
            <div class="dialog__actions">
                <button
                    class="button"
                    class:button--primary=is_rename
                    class:button--danger=!is_rename
                    type="submit"
                >
                    {agree}
                </button>
                <button
                    class="button button--quiet"
                    type="button"
                    on:click=move |_| done.run(())
                >
                    {words!(i18n, room.cancel)}
                </button>
            </div>
        </form>
    }
}

/// The title of the dialog, with a placeholder for the name.
fn title(locale: Locale, question: Question) -> String {
    let [one, _] = NAME_PLACEHOLDERS;
    match question {
        Question::Rename => td_string!(locale, hosts.rename_title, name = one).to_string(),
        Question::Remove => td_string!(locale, hosts.remove_title, name = one).to_string(),
        Question::Ban => td_string!(locale, hosts.ban_title, name = one).to_string(),
        Question::TurnAway => td_string!(locale, entry.deny_title, name = one).to_string(),
    }
}
