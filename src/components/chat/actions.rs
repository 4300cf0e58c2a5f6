//! The actions on a message: reply, react, copy, pin, edit, delete.

use crate::components::chat::ReplyTarget;
use crate::components::chat::emoji::{EmojiChooser, EmojiUse};
use crate::components::{Icon, IconName, dismiss_outside};
use crate::i18n::*;
use crate::protocol::{Action, ChatText, Emoji, MAX_PINS, MessageId, ParticipantId};
use crate::session::Session;
use crate::state::RoomStateStoreFields;
use crate::state::rows::ReactionRow;
use crate::words;
use leptos::ev::KeyboardEvent;
use leptos::html::{Div, Textarea};
use leptos::prelude::*;

/// The offered emoji. Other clients may send any emoji.
const OFFERED: [&str; 6] = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/// The state of one message's menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActionMenu {
    /// Only the button that opens it is shown.
    #[default]
    Closed,
    /// The list of actions is shown.
    Open,
    /// The message is being edited.
    Editing,
    /// The author is asked to confirm the deletion.
    ConfirmingDelete,
}

/// The button that opens the actions of a message, and the actions.
#[component]
pub fn Actions(
    /// Id of the message.
    id: MessageId,
    /// Id of the author, if known.
    author: Option<ParticipantId>,
    /// Whether this participant is the author.
    mine: bool,
    /// State of the menu.
    menu: RwSignal<ActionMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let may_delete = move || {
        let standing = session.room.standing();
        mine || standing.read_untracked().may_delete_of(author.as_ref())
    };
    let toggle = move |_| {
        menu.update(|menu| {
            *menu = match *menu {
                ActionMenu::Closed => ActionMenu::Open,
                ActionMenu::Open | ActionMenu::Editing | ActionMenu::ConfirmingDelete => {
                    ActionMenu::Closed
                }
            };
        });
    };
    let on_key = move |event: KeyboardEvent| {
        if event.key() == "Escape" {
            menu.set(ActionMenu::Closed);
        }
    };
    let element = NodeRef::<Div>::new();
    let is_open = Signal::derive(move || menu.get() == ActionMenu::Open);
    let close = Callback::new(move |()| menu.set(ActionMenu::Closed));
    dismiss_outside(element, is_open, close);
    view! {
        <div class="actions" node_ref=element on:keydown=on_key>
            {move || match menu.get() {
                ActionMenu::Open => {
                    let deletable = may_delete();
                    Some(view! { <ActionList id mine deletable menu /> }.into_any())
                }
                ActionMenu::ConfirmingDelete => Some(view! { <ConfirmDelete id menu /> }.into_any()),
                ActionMenu::Closed | ActionMenu::Editing => None,
            }}
            <button
                class="actions__more"
                type="button"
                aria-label=words!(i18n, room.actions)
                aria-expanded=Signal::derive(move || (menu.get() == ActionMenu::Open).to_string())
                on:click=toggle
            >
                <Icon name=IconName::More />
            </button>
        </div>
    }
}

/// The list of actions.
#[component]
fn ActionList(
    /// Id of the message.
    id: MessageId,
    /// Whether this participant is the author.
    mine: bool,
    /// Whether this participant may delete it.
    deletable: bool,
    /// State of the menu.
    menu: RwSignal<ActionMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let ReplyTarget(replying) = expect_context();
    let may = |action| {
        let standing = session.room.standing();
        standing.read_untracked().may(action, None)
    };
    let (may_react, may_write) = (may(Action::React), may(Action::SendMessage));
    let react = OFFERED.map(|emoji| {
        let give = move |_| {
            if let Ok(emoji) = Emoji::parse(emoji) {
                session.react(id, emoji, true);
            }
            menu.set(ActionMenu::Closed);
        };
        let name =
            Signal::derive(move || t_string!(i18n, room.react_with, emoji = emoji).to_string());
        view! {
            <button class="actions__emoji" type="button" aria-label=name on:click=give>
                {emoji}
            </button>
        }
        .into_any()
    });
    let chooser = expect_context::<EmojiChooser>();
    let more = may_react.then(|| {
        let choose = move |_| {
            menu.set(ActionMenu::Closed);
            chooser.open(EmojiUse::Reaction(id));
        };
        view! {
            <button
                class="actions__emoji"
                type="button"
                aria-label=words!(i18n, chat.emoji_more)
                on:click=choose
            >
                <Icon name=IconName::Face />
            </button>
        }
        .into_any()
    });
    let reply = move |_| {
        replying.set(Some(id));
        menu.set(ActionMenu::Closed);
    };
    let own = (mine && may(Action::EditMessage)).then(|| {
        view! {
            <button
                class="actions__choice"
                type="button"
                on:click=move |_| menu.set(ActionMenu::Editing)
            >
                {words!(i18n, room.edit)}
            </button>
        }
        .into_any()
    });
    let delete = deletable.then(|| {
        view! {
            <button
                class="actions__choice"
                type="button"
                on:click=move |_| menu.set(ActionMenu::ConfirmingDelete)
            >
                {words!(i18n, room.delete)}
            </button>
        }
        .into_any()
    });
    let answer = may_write.then(|| {
        view! {
            <button class="actions__choice" type="button" on:click=reply>
                {words!(i18n, room.reply)}
            </button>
        }
        .into_any()
    });
    let log = session.room.log();
    let (is_pinned, all_taken) = {
        let pins = &log.read_untracked().pins;
        let is_pinned = pins.iter().any(|pin| pin.id == id);
        (is_pinned, !is_pinned && pins.len() >= MAX_PINS as usize)
    };
    let no_pin = (may(Action::Pin) && all_taken)
        .then(|| view! { <p class="person__why">{words!(i18n, room.no_more_pins)}</p> }.into_any());
    let pin = (may(Action::Pin) && !all_taken).then(|| {
        let toggle = move |_| {
            session.pin_message(id, !is_pinned);
            menu.set(ActionMenu::Closed);
        };
        let name = Signal::derive(move || match is_pinned {
            true => t_string!(i18n, room.unpin),
            false => t_string!(i18n, room.pin),
        });
        view! {
            <button class="actions__choice" type="button" on:click=toggle>
                {name}
            </button>
        }
        .into_any()
    });
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let log = session.room.log();
        let text = log
            .read_untracked()
            .message(id)
            .map(|message| message.words().to_owned());
        #[cfg(feature = "hydrate")]
        if let Some(text) = text {
            crate::browser::dom::clipboard::copy(text, move || {
                copied.try_set(true);
            });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (text, copied);
    };
    let why = (!may_react && !may_write)
        .then(|| view! { <p class="person__why">{words!(i18n, hosts.no_chat)}</p> }.into_any());
    view! {
        <div class="actions__list" role="group" aria-label=words!(i18n, room.actions)>
            {may_react.then(|| react.collect_view())}
            {more}
            {answer}
            <button class="actions__choice" type="button" on:click=copy>
                {Signal::derive(move || match copied.get() {
                    true => t_string!(i18n, room.text_copied),
                    false => t_string!(i18n, room.copy_text),
                })}
            </button>
            <span class="visually-hidden" role="status">
                {Signal::derive(move || match copied.get() {
                    true => t_string!(i18n, room.text_copied),
                    false => "",
                })}
            </span>
            {why}
            {pin}
            {no_pin}
            {own}
            {delete}
        </div>
    }
}

/// Asks the author to confirm the deletion.
#[component]
fn ConfirmDelete(
    /// Id of the message.
    id: MessageId,
    /// State of the menu.
    menu: RwSignal<ActionMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let delete = move |_| {
        session.delete(id);
        menu.set(ActionMenu::Closed);
    };
    view! {
        <div class="actions__list" role="group" aria-label=words!(i18n, room.actions)>
            <button class="actions__choice actions__choice--danger" type="button" on:click=delete>
                {words!(i18n, room.delete_for_all)}
            </button>
            <button
                class="actions__choice"
                type="button"
                on:click=move |_| menu.set(ActionMenu::Closed)
            >
                {words!(i18n, room.cancel)}
            </button>
        </div>
    }
}

/// Edits a message in place: Enter saves, Escape cancels.
#[component]
pub fn Editor(
    /// Id of the message.
    id: MessageId,
    /// Text of the message.
    text: String,
    /// State of the menu.
    menu: RwSignal<ActionMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let area = NodeRef::<Textarea>::new();
    Effect::new(move || {
        if let Some(area) = area.get() {
            let _ = area.focus();
        }
    });
    let save = move || {
        let Some(area) = area.get_untracked() else {
            return;
        };
        if let Ok(text) = ChatText::parse(&area.value()) {
            session.edit(id, text);
            menu.set(ActionMenu::Closed);
        }
    };
    let on_key = move |event: KeyboardEvent| {
        if crate::components::chat::composer::sends(&event) {
            event.prevent_default();
            save();
        } else if event.key() == "Escape" {
            menu.set(ActionMenu::Closed);
        }
    };
    view! {
        <div class="editor">
            <textarea
                class="composer__text"
                rows="1"
                dir="auto"
                aria-label=words!(i18n, room.edit_message)
                node_ref=area
                prop:value=text
                on:keydown=on_key
            ></textarea>
            <button class="button button--small" type="button" on:click=move |_| save()>
                {words!(i18n, room.save)}
            </button>
            <button
                class="button button--small button--quiet"
                type="button"
                on:click=move |_| menu.set(ActionMenu::Closed)
            >
                {words!(i18n, room.cancel)}
            </button>
        </div>
    }
}

/// The reactions under a message: a press adds or removes this participant's reaction.
#[component]
pub fn Reactions(
    /// Id of the message.
    id: MessageId,
    /// Reactions of the message.
    reactions: Vec<ReactionRow>,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let buttons = reactions.into_iter().map(move |reaction| {
        let ReactionRow { emoji, count, mine } = reaction;
        let (shown, given) = (emoji.as_str().to_owned(), emoji.as_str().to_owned());
        let name = Signal::derive(move || {
            t_string!(i18n, room.reaction, emoji = given.as_str(), count = count).to_string()
        });
        let may_toggle =
            Memo::new(move |_| mine || session.room.standing().read().may(Action::React, None));
        let toggle = move |_| {
            if may_toggle.get_untracked() {
                session.react(id, emoji.clone(), !mine);
            }
        };
        view! {
            <button
                class="reaction"
                type="button"
                aria-pressed=mine.to_string()
                aria-disabled=Signal::derive(move || (!may_toggle.get()).then_some("true"))
                aria-label=name
                on:click=toggle
            >
                <span>{shown}</span>
                <span>{count}</span>
            </button>
        }
        .into_any()
    });
    let buttons: Vec<_> = buttons.collect();
    (!buttons.is_empty()).then(|| view! { <div class="reactions">{buttons}</div> })
}
