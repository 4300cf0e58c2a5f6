//! One transfer of the list.

use crate::components::{ErasedShow, Icon, IconName, NAME_PLACEHOLDERS, isolate_names};
use crate::i18n::*;
use crate::session::Session;
use crate::state::files::size_words;
use crate::state::transfers::frame::Reason;
use crate::state::transfers::progress::{percent, seconds_left};
use crate::state::transfers::{Direction, Ending, Stage, TransferRow};
use crate::words;
use leptos::prelude::*;

/// What an item offers to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choices {
    /// Accept or refuse.
    Answer,
    /// Cancel the transfer.
    Cancel,
    /// Take it out of the list.
    Remove,
}

/// One transfer of the list.
#[component]
pub(super) fn TransferItem(
    /// The number of the row.
    row: u32,
) -> impl IntoView {
    let i18n = use_i18n();
    let session = expect_context::<Session>();
    let find = move || {
        let transfers = session.transfers.read();
        transfers.rows.iter().find(|one| one.row == row).cloned()
    };
    let transfer = Memo::new(move |_| find());
    // The name, the size and the person never change.
    let Some(first) = transfer.get_untracked() else {
        return ().into_any();
    };
    let TransferRow {
        name,
        nickname,
        direction,
        size,
        ..
    } = first;
    let file = StoredValue::new(name.as_str().to_owned());
    let person = move || {
        let [place, _] = NAME_PLACEHOLDERS;
        let sentence = match direction {
            Direction::Outgoing => t_string!(i18n, transfers.to, name = place).to_string(),
            Direction::Incoming => t_string!(i18n, transfers.from, name = place).to_string(),
        };
        isolate_names(&sentence, &[nickname.as_str()])
    };
    let choices = Memo::new(move |_| {
        transfer
            .read()
            .as_ref()
            .map(|transfer| match transfer.stage {
                Stage::Offered if direction == Direction::Incoming => Choices::Answer,
                Stage::Offered | Stage::Moving => Choices::Cancel,
                Stage::Ended(_) => Choices::Remove,
            })
    });
    let status = move || {
        let transfer = transfer.get()?;
        Some(status(i18n.get_locale(), &transfer))
    };
    let moves = Memo::new(move |_| {
        let transfer = transfer.read();
        transfer
            .as_ref()
            .is_some_and(|one| one.stage == Stage::Moving)
    });
    let progress = Signal::derive(move || {
        transfer
            .read()
            .as_ref()
            .map_or(0, |one| percent(size, one.bytes))
    });
    let link = Memo::new(move |_| transfer.read().as_ref().and_then(|one| one.link.clone()));
    let words_of = move |choice: Choice| {
        Signal::derive(move || file.with_value(|file| choice.name(i18n.get_locale(), file)))
    };
    view! {
        <li class="transfer">
            <bdi class="transfer__name">{name.as_str().to_owned()}</bdi>
            <p class="transfer__about field__hint">
                <span>{person}</span>
                " · "
                <span>{size_words(size)}</span>
            </p>
            <ErasedShow when=moves>
                <progress
                    class="transfer__progress"
                    max="100"
                    value=Signal::derive(move || progress.get().to_string())
                    aria-label=words_of(Choice::Progress)
                ></progress>
            </ErasedShow>
            <p class="transfer__status">{status}</p>
            <div class="transfer__choices">
                {move || {
                    link.get()
                        .map(|link| {
                            view! {
                                <a
                                    class="button button--primary button--small"
                                    href=link
                                    download=file.get_value()
                                    aria-label=words_of(Choice::Save)
                                >
                                    {words!(i18n, transfers.save)}
                                </a>
                            }
                        })
                }}
                {move || match choices.get()? {
                    Choices::Answer => {
                        Some(
                            view! {
                                <button
                                    class="button button--primary button--small"
                                    type="button"
                                    aria-label=words_of(Choice::Accept)
                                    on:click=move |_| session.accept_file(row)
                                >
                                    {words!(i18n, transfers.accept)}
                                </button>
                                <button
                                    class="button button--quiet button--small"
                                    type="button"
                                    aria-label=words_of(Choice::Refuse)
                                    on:click=move |_| session.cancel_transfer(row)
                                >
                                    {words!(i18n, transfers.refuse)}
                                </button>
                            }
                                .into_any(),
                        )
                    }
                    Choices::Cancel => {
                        Some(
                            view! {
                                <button
                                    class="button button--quiet button--small"
                                    type="button"
                                    aria-label=words_of(Choice::Cancel)
                                    on:click=move |_| session.cancel_transfer(row)
                                >
                                    {words!(i18n, transfers.cancel)}
                                </button>
                            }
                                .into_any(),
                        )
                    }
                    Choices::Remove => {
                        Some(
                            view! {
                                <button
                                    class="button button--quiet button--small"
                                    type="button"
                                    aria-label=words_of(Choice::Remove)
                                    on:click=move |_| session.dismiss_transfer(row)
                                >
                                    <Icon name=IconName::Close />
                                </button>
                            }
                                .into_any(),
                        )
                    }
                }}
            </div>
        </li>
    }
    .into_any()
}

/// What a control of an item is for, in its accessible name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Accept,
    Refuse,
    Cancel,
    Remove,
    Save,
    Progress,
}

impl Choice {
    fn name(self, locale: Locale, file: &str) -> String {
        match self {
            Self::Accept => td_string!(locale, transfers.accept_file, file = file).to_string(),
            Self::Refuse => td_string!(locale, transfers.refuse_file, file = file).to_string(),
            Self::Cancel => td_string!(locale, transfers.cancel_file, file = file).to_string(),
            Self::Remove => td_string!(locale, transfers.remove_file, file = file).to_string(),
            Self::Save => td_string!(locale, transfers.save_file, file = file).to_string(),
            Self::Progress => td_string!(locale, transfers.progress, file = file).to_string(),
        }
    }
}

/// What a transfer does, as a sentence.
fn status(locale: Locale, transfer: &TransferRow) -> String {
    let is_connected = transfer.is_connected;
    match (transfer.stage, transfer.direction) {
        (Stage::Offered, Direction::Incoming) => td_string!(locale, transfers.asks).to_owned(),
        (Stage::Offered, Direction::Outgoing) if is_connected => {
            td_string!(locale, transfers.waits).to_owned()
        }
        (Stage::Offered, Direction::Outgoing) => {
            td_string!(locale, transfers.connecting).to_owned()
        }
        (Stage::Moving, _) if !is_connected => td_string!(locale, transfers.interrupted).to_owned(),
        (Stage::Moving, _) => moved(locale, transfer),
        (Stage::Ended(how), direction) => {
            ending(locale, direction, how, transfer.link.is_some()).to_owned()
        }
    }
}

/// "12 MB of 32 MB · 4.1 MB a second · 5 s left".
fn moved(locale: Locale, transfer: &TransferRow) -> String {
    let (done, size) = (size_words(transfer.bytes), size_words(transfer.size));
    let mut parts = vec![td_string!(locale, transfers.moved, done = done, size = size).to_string()];
    if transfer.speed >= 1.0 {
        let speed = size_words(transfer.speed as u64);
        parts.push(td_string!(locale, transfers.speed, speed = speed).to_string());
    }
    parts.extend(
        seconds_left(transfer.size, transfer.bytes, transfer.speed).map(|left| match left {
            0..=90 => td_string!(locale, transfers.left_s, count = left).to_string(),
            _ => td_string!(locale, transfers.left_min, count = left.div_ceil(60)).to_string(),
        }),
    );
    parts.join(" · ")
}

/// How a transfer ended, as a sentence. `saves`: whether the file waits to be saved.
pub(super) fn ending(
    locale: Locale,
    direction: Direction,
    how: Ending,
    saves: bool,
) -> &'static str {
    match (how, direction) {
        (Ending::Done, Direction::Outgoing) => td_string!(locale, transfers.sent),
        (Ending::Done, Direction::Incoming) if saves => td_string!(locale, transfers.received),
        (Ending::Done, Direction::Incoming) => td_string!(locale, transfers.saved),
        (Ending::Stopped, _) => td_string!(locale, transfers.stopped),
        (Ending::Refused(Reason::Declined), _) => td_string!(locale, transfers.refused),
        (Ending::Refused(reason) | Ending::Cancelled(reason), _) => by_other(locale, reason),
        (Ending::Failed(Reason::TooLarge), _) => td_string!(locale, transfers.my_space),
        (Ending::Failed(reason), _) => by_other(locale, reason),
    }
}

/// Why a transfer ended, as a sentence.
fn by_other(locale: Locale, reason: Reason) -> &'static str {
    match reason {
        Reason::Declined => td_string!(locale, transfers.cancelled),
        Reason::Busy => td_string!(locale, transfers.busy),
        Reason::TooLarge => td_string!(locale, transfers.their_space),
        Reason::NotAllowed => td_string!(locale, transfers.not_allowed),
        Reason::NotStored => td_string!(locale, transfers.not_stored),
        Reason::NotRead => td_string!(locale, transfers.not_read),
        Reason::WrongHash => td_string!(locale, transfers.damaged),
        Reason::BadFrame => td_string!(locale, transfers.failed),
        Reason::Unknown => td_string!(locale, transfers.gone),
    }
}
