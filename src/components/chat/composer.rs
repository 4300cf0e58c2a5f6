//! The composer. Enter sends, Shift+Enter inserts a line break, and Enter that ends the
//! composition of an input method (Korean and others) does neither. A message with files is sent once
//! they have arrived.
//!
//! Without the script it is a plain form that posts one message.

use crate::api::PostMessage;
use crate::components::chat::ReplyTarget;
use crate::components::chat::attach::{AttachButton, FileChooser, FilesToSend};
use crate::components::chat::emoji::{self, EmojiButton, EmojiChooser};
use crate::components::chat::mention;
use crate::components::chat::quote::QuoteView;
use crate::components::chat::settings::ChatSettings;
use crate::components::chat::slash;
use crate::components::chat::suggestions::{
    SUGGESTIONS_ID, Suggestion, SuggestionKey, SuggestionKind, SuggestionList, Suggestions,
    is_composing,
};
use crate::components::hosts::RefusedRequest;
use crate::components::{
    ErasedShow, Icon, IconName, WithoutScriptField, is_without_script, refused_text,
};
use crate::i18n::*;
use crate::paths::address;
use crate::protocol::{
    Action, ChatText, MAX_CHAT_CHARS, MAX_MENTIONS, MAX_MESSAGE_FILES, NameError, ParticipantId,
};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::completion;
use crate::state::duplicate_names::DuplicateNames;
use crate::state::rows::Quote;
use crate::state::slash::{ComposerInput, SlashProblem, SlashTask};
use crate::state::uploads::{Readiness, Uploads};
use crate::words;
use leptos::ev::{ClipboardEvent, KeyboardEvent, SubmitEvent};
use leptos::html::Textarea;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_router::hooks::{use_navigate, use_query_map};

/// The form of the room in the context.
#[component]
pub fn Composer() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let area = NodeRef::<Textarea>::new();
    let ReplyTarget(replying) = expect_context();
    let settings = expect_context::<ChatSettings>();
    Effect::new(move || {
        if replying.get().is_some()
            && let Some(area) = area.get_untracked()
        {
            let _ = area.focus();
        }
    });
    let closed = Memo::new(move |_| {
        let standing = session.room.standing();
        !standing.read().may(Action::SendMessage, None)
    });
    let refused = use_query_map().read_untracked().get("refused");
    let problem = RwSignal::new(refused.map(|why| Problem::of_form(&why)));
    let navigate = StoredValue::new(use_navigate());
    let suggestions = Suggestions::new();
    let emojis = expect_context::<EmojiChooser>();
    let commanded = RwSignal::new(false);
    let uploads = session.uploads;
    let chooser = FileChooser::new(session);
    let waits = Memo::new(move |_| uploads.with(|uploads| uploads.sends));
    // The people of the mentions that were taken from the list.
    let mentioned = StoredValue::new(Vec::<ParticipantId>::new());
    let suggest = move |typed: &str| {
        let (locale, caret) = (i18n.get_locale_untracked(), caret(area));
        let mut found = mention::suggested(session, typed, caret);
        if found.is_empty() {
            found = emoji::suggested(emojis, locale, typed, caret);
        }
        if found.is_empty() {
            found = slash::suggested(session, locale, typed);
        }
        suggestions.show(found);
    };
    let take = move |taken: Suggestion| {
        if let Some(field) = area.get_untracked() {
            field.set_value(&taken.text);
            keep_draft(session, &taken.text);
            if let Some(caret) = taken.caret {
                move_caret(area, caret);
            }
            match taken.kind {
                SuggestionKind::Person(person) => {
                    mentioned.update_value(|mentioned| mentioned.push(person));
                }
                SuggestionKind::Command | SuggestionKind::Emoji => {}
            }
            suggest(&taken.text);
        }
    };
    // Emoji have come while the name of one is typed.
    Effect::new(move || {
        if emojis.is_ready()
            && let Some(area) = area.get_untracked()
        {
            untrack(|| suggest(&area.value()));
        }
    });
    Effect::new(move || {
        if let (Some(emoji), Some(field)) = (emojis.take_chosen(), area.get_untracked()) {
            let at = caret(area).unwrap_or(u32::MAX);
            let completed = completion::inserted(&field.value(), at, &emoji);
            field.set_value(&completed.text);
            keep_draft(session, &completed.text);
            let _ = field.focus();
            move_caret(area, completed.caret);
        }
    });
    restore_draft(session, area);
    let send = move || {
        let Some(area) = area.get_untracked() else {
            return;
        };
        let typed = area.value();
        suggestions.close();
        if waits.get_untracked() {
            return;
        }
        let typed = match slash::parsed(session, i18n.get_locale_untracked(), &typed) {
            ComposerInput::Message(text) => text,
            ComposerInput::Command(Ok(task)) => {
                area.set_value("");
                keep_draft(session, "");
                problem.set(None);
                if task == SlashTask::Help {
                    area.set_value("/");
                    suggest("/");
                }
                if task == SlashTask::ChooseFiles {
                    chooser.open();
                }
                if task == SlashTask::Settings {
                    settings.open();
                }
                commanded.set(matches!(task, SlashTask::Request(_)));
                slash::run(session, task, &navigate.with_value(Clone::clone));
                return;
            }
            ComposerInput::Command(Err(why)) => {
                problem.set(Some(Problem::Command(why)));
                return;
            }
        };
        let readiness = uploads.with_untracked(Uploads::readiness);
        let text = match ChatText::parse(&typed) {
            Err(NameError::Empty) if readiness != Readiness::NoFiles => Ok(ChatText::none()),
            parsed => parsed,
        };
        match (text, readiness) {
            (Ok(_), Readiness::Failed) => problem.set(Some(Problem::Files)),
            (Ok(_), Readiness::Busy) => {
                problem.set(None);
                uploads.update(|uploads| uploads.sends = true);
            }
            (Ok(text), Readiness::NoFiles | Readiness::Ready) => {
                let mut people = mentioned
                    .try_update_value(std::mem::take)
                    .unwrap_or_default();
                people.truncate(MAX_MENTIONS);
                session.send_chat(text, replying.get_untracked(), people);
                replying.set(None);
                area.set_value("");
                keep_draft(session, "");
                problem.set(None);
            }
            (Err(NameError::Empty), _) => {}
            (Err(error), _) => {
                let count = typed.trim().chars().count();
                problem.set(Some(Problem::Text(error, count)));
            }
        }
    };
    let readiness = Memo::new(move |_| uploads.with(Uploads::readiness));
    Effect::new(move || {
        let is_over = readiness.get() != Readiness::Busy;
        if waits.get() && is_over && area.get().is_some() {
            uploads.update(|uploads| uploads.sends = false);
            send();
        }
    });
    take_returned(session, area);
    let on_key = move |event: KeyboardEvent| {
        let typed = area.get_untracked().map(|area| area.value());
        match suggestions.on_key(&event, &typed.unwrap_or_default()) {
            SuggestionKey::Other => {}
            SuggestionKey::Used => return event.prevent_default(),
            SuggestionKey::Taken(taken) => {
                event.prevent_default();
                return take(taken);
            }
        }
        if sends(&event) {
            event.prevent_default();
            send();
        }
    };
    let focus = Callback::new(move |()| {
        if let Some(area) = area.get_untracked() {
            let _ = area.focus();
        }
    });
    let on_paste = move |event: ClipboardEvent| {
        #[cfg(feature = "hydrate")]
        if session.attach_pasted(&event) {
            event.prevent_default();
        }
        #[cfg(not(feature = "hydrate"))]
        drop(event);
    };
    let on_submit = move |event: SubmitEvent| {
        event.prevent_default();
        send();
        if let Some(area) = area.get_untracked() {
            let _ = area.focus();
        }
    };
    let sentence = move || {
        problem
            .get()
            .map(|problem| refusal(i18n.get_locale(), problem))
    };
    // The welcome page has led a browser without script here, to open a private room.
    let opens_private = use_query_map().read_untracked().get("private").is_some();
    let opens_private =
        opens_private.then(|| view! { <input type="hidden" name="private" value="1" /> });
    let takes_files = uploads.with_untracked(|uploads| uploads.max_bytes > 0);
    let with_files = takes_files.then(|| {
        address(&format!(
            "/uploads/{}/message",
            session.name().path_segment()
        ))
    });
    let offered = move || {
        let count = suggestions.count();
        let locale = i18n.get_locale();
        (count > 0).then(|| match (suggestions.kind(), count) {
            (SuggestionKind::Command, _) => {
                td_string!(locale, slash.offered, count = count).to_string()
            }
            (SuggestionKind::Person(_), 1) => td_string!(locale, chat.offered_one).to_owned(),
            (SuggestionKind::Person(_), _) => {
                td_string!(locale, chat.offered, count = count).to_string()
            }
            (SuggestionKind::Emoji, 1) => td_string!(locale, chat.offered_one_emoji).to_owned(),
            (SuggestionKind::Emoji, _) => {
                td_string!(locale, chat.offered_emoji, count = count).to_string()
            }
        })
    };
    view! {
        <form class="composer" method="post" action=address(PostMessage::url()) on:submit=on_submit>
            <input type="hidden" name="room" value=session.name().to_string() />
            <WithoutScriptField />
            {opens_private}
            <ReplyingTo />
            <FilesToSend focus />
            <SuggestionList
                suggestions
                name=Signal::derive(move || match suggestions.kind() {
                    SuggestionKind::Person(_) => t_string!(i18n, chat.people).to_owned(),
                    SuggestionKind::Emoji => t_string!(i18n, chat.emoji).to_owned(),
                    SuggestionKind::Command => t_string!(i18n, slash.commands).to_owned(),
                })
                take=Callback::new(take)
            />
            <p class="visually-hidden" role="status">
                {offered}
            </p>
            <ErasedShow when=closed>
                <p class="composer__error field__hint" id="composer-closed">
                    {words!(i18n, hosts.no_chat)}
                </p>
            </ErasedShow>
            <ErasedShow when=commanded>
                <div class="composer__error">
                    <RefusedRequest />
                </div>
            </ErasedShow>
            <p class="field__error composer__error" id="composer-error" role="alert">
                {sentence}
            </p>
            <AttachButton chooser />
            <textarea
                class="composer__text"
                name="text"
                rows="1"
                dir="auto"
                aria-label=words!(i18n, room.message)
                aria-autocomplete="list"
                aria-controls=SUGGESTIONS_ID
                aria-activedescendant=Signal::derive(move || suggestions.active_id())
                aria-describedby="composer-closed composer-error"
                disabled=closed
                aria-invalid=Signal::derive(move || problem.get().is_some().then_some("true"))
                placeholder=words!(i18n, room.placeholder)
                node_ref=area
                inner_html=refused_text()
                readonly=waits
                on:keydown=on_key
                on:paste=on_paste
                on:input=move |_| {
                    if let Some(area) = area.get_untracked() {
                        let typed = area.value();
                        keep_draft(session, &typed);
                        suggest(&typed);
                        commanded.set(false);
                        if !typed.starts_with('/') {
                            session.typing();
                        }
                    }
                    if problem.get_untracked().is_some() {
                        problem.set(None);
                    }
                }
            ></textarea>
            {(!is_without_script()).then(|| view! { <EmojiButton closed /> })}
            // Without script the form sends files, too.
            <button
                class="button button--primary composer__send"
                type="submit"
                disabled=closed
                formaction=with_files.clone()
                formenctype=with_files.map(|_| "multipart/form-data")
            >
                <Icon name=IconName::Send />
                <span>{words!(i18n, room.send)}</span>
            </button>
        </form>
    }
}

/// The caret of the field; `None` while a part of the text is selected.
fn caret(area: NodeRef<Textarea>) -> Option<u32> {
    let field = area.get_untracked()?;
    #[cfg(feature = "hydrate")]
    return crate::browser::dom::caret::of(&field);
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = field;
        None
    }
}

/// Moves the caret of the field.
fn move_caret(area: NodeRef<Textarea>, caret: u32) {
    #[cfg(feature = "hydrate")]
    if let Some(area) = area.get_untracked() {
        crate::browser::dom::caret::set(&area, caret);
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (area, caret);
}

/// Puts the text of this tab before the reload into an empty composer.
fn restore_draft(session: Session, area: NodeRef<Textarea>) {
    Effect::new(move || {
        #[cfg(feature = "hydrate")]
        if let Some(area) = area.get()
            && area.value().is_empty()
            && let Some(draft) = crate::browser::dom::storage::draft(&session.name())
        {
            area.set_value(&draft);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (session, area);
    });
}

/// Puts the text of a message that comes back before the text in the composer.
fn take_returned(session: Session, area: NodeRef<Textarea>) {
    let returned = Memo::new(move |_| session.uploads.with(|uploads| uploads.returned.clone()));
    Effect::new(move || {
        if let (Some(text), Some(area)) = (returned.get(), area.get()) {
            let typed = area.value();
            let text = match typed.is_empty() || text.is_empty() {
                true => text + &typed,
                false => format!("{text}\n{typed}"),
            };
            area.set_value(&text);
            keep_draft(session, &text);
            session.uploads.update(|uploads| uploads.returned = None);
            let _ = area.focus();
        }
    });
}

/// Keeps the text in the composer until it is sent, in this tab.
fn keep_draft(session: Session, text: &str) {
    #[cfg(feature = "hydrate")]
    crate::browser::dom::storage::set_draft(&session.name(), text);
    #[cfg(not(feature = "hydrate"))]
    let _ = (session, text);
}

/// The message that the composer replies to, and a button to cancel the reply.
#[component]
fn ReplyingTo() -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let ReplyTarget(replying) = expect_context();
    move || {
        let log = session.room.log();
        let quoted = replying.get()?;
        let people = session.room.people();
        let quote = log.read_untracked().message(quoted).map(|message| {
            let people = people.read_untracked();
            let shown = people.here.iter().chain([&message.from]);
            Quote::of(message, &DuplicateNames::among(shown))
        });
        let quote = quote.unwrap_or(Quote::Earlier);
        let cancel = view! {
            <div class="composer__reply">
                <QuoteView quote />
                <button
                    class="button button--quiet button--small"
                    type="button"
                    aria-label=words!(i18n, room.cancel_reply)
                    on:click=move |_| replying.set(None)
                >
                    <Icon name=IconName::Close />
                </button>
            </div>
        };
        Some(cancel)
    }
}

/// Whether a key press sends the message.
pub(super) fn sends(event: &KeyboardEvent) -> bool {
    event.key() == "Enter" && !event.shift_key() && !is_composing(event)
}

/// Why a text was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// The text is not valid; with its length in characters, 0 if unknown.
    Text(NameError, usize),
    /// The room has reached its storage limit.
    RoomFull,
    /// This address has stored as much as it may in a day.
    AddressFull,
    /// The server has reached its storage limit.
    ServerFull,
    /// The server has reached its limit of rooms that store messages.
    TooManyRooms,
    /// Too many new rooms were opened.
    TooManyNewRooms,
    /// The role of this participant cannot write.
    Role,
    /// The room is locked.
    Locked,
    /// The room is not open at this time.
    NotOpen,
    /// A host keeps this participant out.
    Banned,
    /// Some files of the message have not arrived.
    Files,
    /// The form had a file that is empty or larger than the server takes.
    FileSize,
    /// The form had more files than a message may.
    FileCount,
    /// Too many uploads at once.
    Uploads,
    /// The server keeps no files.
    FilesOff,
    /// The server cannot store the message now.
    Unavailable,
    /// A command was not done.
    Command(SlashProblem),
}

impl Problem {
    /// Parses the reason that the server puts into the address after a plain form.
    fn of_form(why: &str) -> Self {
        match why {
            "room_storage_full" => Self::RoomFull,
            "address_storage_full" => Self::AddressFull,
            "server_storage_full" => Self::ServerFull,
            "too_many_rooms" => Self::TooManyRooms,
            "too_many_new_rooms" => Self::TooManyNewRooms,
            "not_allowed" => Self::Role,
            "room_locked" => Self::Locked,
            "not_open" => Self::NotOpen,
            "banned" => Self::Banned,
            "file_too_large" => Self::FileSize,
            "too_many_files" => Self::FileCount,
            "too_many_uploads" | "no_such_file" => Self::Uploads,
            "files_off" => Self::FilesOff,
            "unavailable" => Self::Unavailable,
            _ => Self::Text(NameError::TooLong, 0),
        }
    }
}

/// Why a text was not sent, as a sentence.
fn refusal(locale: Locale, problem: Problem) -> String {
    match problem {
        Problem::Text(NameError::TooLong, count) if count > 0 => {
            td_string!(locale, room.too_long, count = count, max = MAX_CHAT_CHARS).to_string()
        }
        Problem::Text(NameError::TooLong, _) => {
            td_string!(locale, room.refused_too_long).to_owned()
        }
        Problem::Text(NameError::Empty | NameError::NotAllowed, _) => {
            td_string!(locale, room.not_allowed).to_owned()
        }
        Problem::RoomFull => td_string!(locale, room.refused_room_storage).to_owned(),
        Problem::AddressFull => td_string!(locale, room.refused_address_storage).to_owned(),
        Problem::ServerFull => td_string!(locale, room.refused_server_storage).to_owned(),
        Problem::TooManyRooms => td_string!(locale, room.refused_stored_rooms).to_owned(),
        Problem::TooManyNewRooms => td_string!(locale, room.refused_new_rooms).to_owned(),
        Problem::Role => td_string!(locale, room.refused_role).to_owned(),
        Problem::Locked => td_string!(locale, room.refused_locked).to_owned(),
        Problem::NotOpen => td_string!(locale, room.refused_not_open).to_owned(),
        Problem::Banned => td_string!(locale, room.refused_banned).to_owned(),
        Problem::FileSize => td_string!(locale, files.refused_size).to_owned(),
        Problem::FileCount => {
            td_string!(locale, files.refused_count, max = MAX_MESSAGE_FILES).to_string()
        }
        Problem::Uploads => td_string!(locale, files.refused_uploads).to_owned(),
        Problem::FilesOff => td_string!(locale, files.off).to_owned(),
        Problem::Unavailable => td_string!(locale, room.refused_unavailable).to_owned(),
        Problem::Files => td_string!(locale, files.some_failed).to_owned(),
        Problem::Command(why) => slash::sentence(locale, &why),
    }
}
