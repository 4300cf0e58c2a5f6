//! The rows of the log.

use super::text::MessageText;
use crate::app::Zone;
use crate::components::Avatar;
use crate::i18n::{day, time_of_day, *};
use crate::protocol::{ErrorCode, MessageId, Person};
use crate::session::Session;
use crate::state::log::Notice;
use crate::state::rows::{MessageRow, Progress, Row, local};
use crate::words;
use leptos::prelude::*;
use time::Date;

/// One row.
#[component]
pub fn LogRow(
    /// What to draw.
    row: Row,
) -> impl IntoView {
    match row {
        Row::Day(date) => view! { <DayRow date /> }.into_any(),
        Row::Notice(_, notice) => view! { <NoticeRow notice /> }.into_any(),
        Row::Message(row) => view! { <Message row /> }.into_any(),
    }
}

/// A day begins.
#[component]
fn DayRow(
    /// Which.
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

/// Something happened.
#[component]
fn NoticeRow(
    /// What.
    notice: Notice,
) -> impl IntoView {
    let i18n = use_i18n();
    let sentence = Signal::derive(move || match &notice {
        Notice::Joined(_, name) => {
            t_string!(i18n, room.joined, nickname = name.as_str()).to_string()
        }
        Notice::Left(_, name) => t_string!(i18n, room.left, nickname = name.as_str()).to_string(),
        Notice::Renamed { was, now, .. } => {
            t_string!(i18n, room.renamed, was = was.as_str(), now = now.as_str()).to_string()
        }
    });
    view! { <li class="notice">{sentence}</li> }
}

/// Something was said.
#[component]
fn Message(
    /// What, by whom, and how far it got.
    row: MessageRow,
) -> impl IntoView {
    let MessageRow {
        id,
        from,
        tag,
        text,
        at,
        mine,
        follows,
        progress,
    } = row;
    let head = (!follows).then(|| view! { <MessageHead from=from.clone() tag mine at /> });
    let avatar = from.filter(|_| !follows).map(|Person { id, nickname }| {
        view! { <Avatar id nickname=nickname.to_string() /> }
    });
    let class = class_of(mine, follows, progress);
    let busy = (progress == Progress::Sending).then_some("true");
    view! {
        <li class=class aria-busy=busy>
            {avatar}
            <div class="message__body">
                {head} <MessageText text /> <MessageState id progress />
            </div>
        </li>
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

/// Who and when.
#[component]
fn MessageHead(
    /// Who; unknown before one has joined.
    from: Option<Person>,
    /// What tells them from others of the same nickname.
    tag: Option<String>,
    /// Whether that is oneself.
    mine: bool,
    /// When, in milliseconds since the Unix epoch.
    at: Option<i64>,
) -> impl IntoView {
    let i18n = use_i18n();
    let zone = expect_context::<Zone>();
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
            <span class=format!("message__name hue-text-{hue}")>{name}</span>
            {tag.filter(|_| !mine).map(|tag| view! { <span class="tag">{tag}</span> })}
            {time}
        </div>
    }
}

/// How far a message of one's own got, while it is not in the log.
#[component]
fn MessageState(
    /// Which message.
    id: MessageId,
    /// How far it got.
    progress: Progress,
) -> impl IntoView {
    let i18n = use_i18n();
    match progress {
        Progress::Said => ().into_any(),
        Progress::Sending => {
            view! { <p class="message__state">{words!(i18n, room.sending)}</p> }.into_any()
        }
        Progress::Refused(code) => view! { <Refused id code /> }.into_any(),
    }
}

/// Why a message was refused, and what to do about it.
#[component]
fn Refused(
    /// Which message.
    id: MessageId,
    /// Why.
    code: ErrorCode,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let sentence = Signal::derive(move || match code {
        ErrorCode::Unavailable => t_string!(i18n, room.refused_unavailable),
        ErrorCode::MessageTooLong => t_string!(i18n, room.refused_too_long),
        ErrorCode::MessageNotAllowed => t_string!(i18n, room.refused_not_allowed),
        _ => t_string!(i18n, room.refused),
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
