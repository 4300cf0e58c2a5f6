//! The rows of the log.

use crate::components::TimeZone;
use crate::components::chat::actions::{ActionMenu, Actions, Editor, Reactions};
use crate::components::chat::files::FileList;
use crate::components::chat::notice::NoticeSentence;
use crate::components::chat::quote::QuoteView;
use crate::components::chat::text::MessageText;
use crate::components::{Avatar, isolate_names};
use crate::i18n::{day, time_of_day, *};
use crate::protocol::{ErrorCode, Mark, MessageId, Person};
use crate::session::Session;
use crate::state::log::Notice;
use crate::state::rows::{MessageRow, Progress, Row, local};
use crate::words;
use leptos::prelude::*;
use time::Date;

/// Draws one row of the log.
#[component]
pub fn LogRow(
    /// The row to draw.
    row: Row,
) -> impl IntoView {
    match row {
        Row::Day(date) => view! { <DayRow date /> }.into_any(),
        Row::New => view! { <NewRow /> }.into_any(),
        Row::Notice(_, notice) => view! { <NoticeRow notice /> }.into_any(),
        Row::Message(row) => view! { <Message row=*row /> }.into_any(),
    }
}

/// The separator at the start of a day.
#[component]
fn DayRow(
    /// The date of that day.
    date: Date,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <li class="day">
            <time datetime=date
                .to_string()>{Signal::derive(move || day(i18n.get_locale(), date))}</time>
        </li>
    }
}

/// The separator before the first unread message.
#[component]
fn NewRow() -> impl IntoView {
    let i18n = use_i18n();
    view! { <li class="new-mark">{words!(i18n, room.new_mark)}</li> }
}

/// A notice: a participant joined, left or was renamed, a role or the settings changed, or somebody
/// announced something.
#[component]
fn NoticeRow(
    /// The event to describe.
    notice: Notice,
) -> impl IntoView {
    let i18n = use_i18n();
    let zone = expect_context::<TimeZone>();
    let sentence = move || {
        let NoticeSentence { sentence, names } =
            NoticeSentence::of(i18n.get_locale(), &|at| zone.offset_minutes(at), &notice);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        isolate_names(&sentence, &names)
    };
    view! { <li class="notice">{sentence}</li> }
}

/// A chat message.
#[component]
pub fn Message(
    /// The message to draw.
    row: MessageRow,
) -> impl IntoView {
    let MessageRow {
        id,
        seq,
        from,
        tag,
        text,
        marks,
        files,
        at,
        mine,
        follows,
        edited,
        quote,
        reactions,
        progress,
        ..
    } = row;
    let author = from.as_ref().map(|from| from.id.clone());
    let head = (!follows).then(|| view! { <MessageHead from=from.clone() tag mine at /> });
    let avatar = from
        .filter(|_| !follows)
        .map(|Person { id, nickname, .. }| {
            view! { <Avatar id nickname=nickname.to_string() /> }
        });
    let class = class_of(mine, follows, progress);
    let busy = (progress == Progress::Sending).then_some("true");
    let quote = quote.map(|quote| view! { <QuoteView quote /> });
    // A pending message has files without links.
    let linked = seq.is_some();
    let files = view! { <FileList files seq=seq.unwrap_or_default() linked /> };
    let menu = RwSignal::new(ActionMenu::Closed);
    let actions = (progress == Progress::Stored && text.is_some())
        .then(|| view! { <Actions id author mine menu /> });
    view! {
        <li class=class aria-busy=busy id=seq.map(|seq| format!("m-{seq}"))>
            {avatar}
            <div class="message__body">
                {head} {quote} <MessageBody id text marks edited menu /> {files}
                <Reactions id reactions /> <MessageState id progress />
            </div>
            {actions}
        </li>
    }
}

/// The text of a message, its editor, or a note that it was deleted.
#[component]
fn MessageBody(
    /// Id of the message.
    id: MessageId,
    /// Text of the message; `None` once it is deleted.
    text: Option<String>,
    /// The form of the text.
    marks: Vec<Mark>,
    /// Whether the author edited it.
    edited: bool,
    /// State of the message's menu.
    menu: RwSignal<ActionMenu>,
) -> impl IntoView {
    let i18n = use_i18n();
    let editing = Memo::new(move |_| menu.get() == ActionMenu::Editing);
    move || match text.clone() {
        None => view! { <p class="message__deleted">{words!(i18n, room.deleted)}</p> }.into_any(),
        Some(text) if editing.get() => view! { <Editor id text menu /> }.into_any(),
        Some(text) => {
            let sign = edited.then(
                || view! { <span class="message__edited">{words!(i18n, room.edited)}</span> },
            );
            let marks = marks.clone();
            let text = (!text.is_empty()).then(|| view! { <MessageText text marks /> });
            view! {
                {text}
                {sign}
            }
            .into_any()
        }
    }
}

fn class_of(mine: bool, follows: bool, progress: Progress) -> String {
    let parts = [
        (true, "message"),
        (mine, "message--me"),
        (follows, "message--follows"),
        (progress == Progress::Sending, "message--pending"),
        (matches!(progress, Progress::Refused(_)), "message--failed"),
    ];
    let parts: Vec<&str> = parts
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| name)
        .collect();
    parts.join(" ")
}

/// Author and time of a message.
#[component]
pub fn MessageHead(
    /// The author; unknown for a pending message before the room is joined.
    from: Option<Person>,
    /// Part of the author's id, if another participant has the same nickname.
    tag: Option<String>,
    /// Whether this participant is the author.
    mine: bool,
    /// Time of the message, in milliseconds since the Unix epoch.
    at: Option<i64>,
) -> impl IntoView {
    let i18n = use_i18n();
    let zone = expect_context::<TimeZone>();
    let hue = from
        .as_ref()
        .map_or(0, |from| crate::components::hue_of(&from.id));
    let name = Signal::derive(move || match (mine, &from) {
        (false, Some(from)) => from.nickname.to_string(),
        _ => t_string!(i18n, common.you).to_owned(),
    });
    let time = at.map(|at| {
        let local_time =
            Signal::derive(move || time_of_day(local(at, &|at| zone.offset_minutes(at))));
        view! { <time class="message__time">{local_time}</time> }
    });
    view! {
        <div class="message__head">
            <bdi class=format!("message__name hue-text-{hue}") translate="no">
                {name}
            </bdi>
            {tag.filter(|_| !mine).map(|tag| view! { <span class="tag">{tag}</span> })}
            {time}
        </div>
    }
}

/// The delivery state of a pending message.
#[component]
fn MessageState(
    /// Id of the message.
    id: MessageId,
    /// State of its delivery.
    progress: Progress,
) -> impl IntoView {
    let i18n = use_i18n();
    match progress {
        Progress::Stored => ().into_any(),
        Progress::Sending => {
            view! { <p class="message__state">{words!(i18n, room.sending)}</p> }.into_any()
        }
        Progress::Refused(code) => view! { <Refused id code /> }.into_any(),
    }
}

/// The reason of a refusal, with buttons to retry and discard.
#[component]
fn Refused(
    /// Id of the message.
    id: MessageId,
    /// Code of the refusal.
    code: ErrorCode,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let sentence = Signal::derive(move || match code {
        ErrorCode::Unavailable => t_string!(i18n, room.refused_unavailable),
        ErrorCode::RoomStorageFull => t_string!(i18n, room.refused_room_storage),
        ErrorCode::AddressStorageFull => t_string!(i18n, room.refused_address_storage),
        ErrorCode::ServerStorageFull => t_string!(i18n, room.refused_server_storage),
        ErrorCode::TooManyRooms => t_string!(i18n, room.refused_stored_rooms),
        ErrorCode::MessageTooLong => t_string!(i18n, room.refused_too_long),
        ErrorCode::MessageNotAllowed => t_string!(i18n, room.refused_not_allowed),
        ErrorCode::NotAllowed => t_string!(i18n, room.refused_role),
        ErrorCode::NoSuchFile => t_string!(i18n, files.refused_gone),
        ErrorCode::FilesOff => t_string!(i18n, files.off),
        ErrorCode::BadMessage
        | ErrorCode::UnknownType
        | ErrorCode::NotJoined
        | ErrorCode::AlreadyJoined
        | ErrorCode::BadRoomName
        | ErrorCode::BadNickname
        | ErrorCode::MessageEmpty
        | ErrorCode::NoSuchMessage
        | ErrorCode::NotYours
        | ErrorCode::BadEmoji
        | ErrorCode::TooManyReactions
        | ErrorCode::TooManyMessages
        | ErrorCode::TooManyJoins
        | ErrorCode::TooManyNewRooms
        | ErrorCode::RoomFull
        | ErrorCode::CallFull
        | ErrorCode::NotInCall
        | ErrorCode::NoSuchPerson
        | ErrorCode::Busy
        | ErrorCode::AddressesHidden
        | ErrorCode::SignalTooLong
        | ErrorCode::BadOffer
        | ErrorCode::RoomLocked
        | ErrorCode::Banned
        | ErrorCode::BadText
        | ErrorCode::TooManyEntries
        | ErrorCode::PasswordRequired
        | ErrorCode::WrongPassword
        | ErrorCode::TooManyGuesses
        | ErrorCode::InviteRequired
        | ErrorCode::BadInvite
        | ErrorCode::InviteExpired
        | ErrorCode::InviteUsedUp
        | ErrorCode::NotOpen
        | ErrorCode::LobbyFull
        | ErrorCode::WaitedTooLong
        | ErrorCode::TurnedAway
        | ErrorCode::BadSetting
        | ErrorCode::FileTooLarge
        | ErrorCode::TooManyFiles
        | ErrorCode::TooManyUploads => t_string!(i18n, room.refused),
    });
    view! {
        <div class="message__state" role="alert">
            <span>{sentence}</span>
            <button class="button button--small" type="button" on:click=move |_| session.retry(id)>
                {words!(i18n, room.retry)}
            </button>
            <button
                class="button button--small button--quiet"
                type="button"
                on:click=move |_| session.discard(id)
            >
                {words!(i18n, room.delete)}
            </button>
        </div>
    }
}
