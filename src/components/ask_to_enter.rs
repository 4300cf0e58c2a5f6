//! The pages of somebody without script whom a room does not let in at once: they ask to enter, and
//! wait. Only the server renders them, and for a room of which the reader sees nothing they are the
//! same as for a name that was never used.

use crate::api::{EnterRoom, RoomStart, Wait};
use crate::components::{Masthead, NAME_PLACEHOLDERS, TimeZone, isolate_names, page_address};
use crate::i18n::*;
use crate::paths::address;
use crate::protocol::{ChatText, ErrorCode, MAX_KNOCK_CHARS, RoomName};
use crate::words;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Meta;
use leptos_router::hooks::use_query_map;
use time::OffsetDateTime;

/// How often the page of somebody who waits loads again, in seconds.
const REFRESH_S: &str = "5";

/// What the page of a room without script shows instead of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// The person waits at this place; whether a host is here.
    Waiting(u32, bool),
    /// A host turned the person away, for this reason.
    TurnedAway(Option<ChatText>),
    /// Nobody admitted the person in time.
    Ended,
    /// The room refused a request or a message, for the reason in this sentence.
    Refused(String),
    /// The person wants to ask.
    Asks,
}

impl Outside {
    /// What the page shows instead of the room; nothing for somebody who is in, or sees the room.
    pub fn of(locale: Locale, start: &RoomStart) -> Option<Self> {
        let query = use_query_map().get_untracked();
        let wait = start.visit.as_ref().and_then(|visit| visit.wait.clone());
        let sees_nothing = start.position.is_none();
        let code = query.get("refused");
        let code = code.and_then(|code| serde_json::from_value(code.into()).ok());
        let time = |name| query.get(name).and_then(|time: String| time.parse().ok());
        let (opens, closes) = (time("opens"), time("closes"));
        // Everybody may learn when a room opens that they see.
        let has_time = code == Some(ErrorCode::NotOpen) && opens.or(closes).is_some();
        let refused = match code {
            Some(ErrorCode::NotOpen) => Some(not_open(locale, opens, closes)),
            code => code
                .and_then(|code| refusal(locale, code))
                .map(str::to_owned),
        };
        match (refused, wait) {
            (Some(sentence), _) => (sees_nothing || has_time).then_some(Self::Refused(sentence)),
            (None, Some(Wait::Waiting { place, host_here })) => {
                Some(Self::Waiting(place, host_here))
            }
            (None, Some(Wait::TurnedAway(reason))) => Some(Self::TurnedAway(reason)),
            (None, Some(Wait::Ended)) => sees_nothing.then_some(Self::Ended),
            (None, None) if query.get("asked").is_some() => sees_nothing.then_some(Self::Ended),
            (None, None) if query.get("ask").is_some() => sees_nothing.then_some(Self::Asks),
            (None, None) => None,
        }
    }
}

/// Waiting, or the form that asks to enter.
#[component]
pub fn OutsidePage(
    /// Data of the page.
    start: RoomStart,
    /// What the page shows.
    outside: Outside,
) -> impl IntoView {
    let i18n = use_i18n();
    let locale = i18n.get_locale_untracked();
    let RoomStart {
        name,
        nickname,
        visit,
        ..
    } = start;
    let kept = visit.and_then(|visit| visit.text);
    let (title, sentence, reason) = match outside {
        Outside::Waiting(place, host_here) => {
            return view! { <WaitingPage name place host_here /> }.into_any();
        }
        Outside::TurnedAway(reason) => (
            td_string!(locale, room.denied_title),
            td_string!(locale, room.denied_text).to_owned(),
            reason,
        ),
        Outside::Ended => (
            td_string!(locale, room.wait_ended_title),
            td_string!(locale, room.wait_ended_text).to_owned(),
            None,
        ),
        Outside::Refused(sentence) => (td_string!(locale, room.ask_title), sentence, None),
        Outside::Asks => (
            td_string!(locale, room.ask_title),
            td_string!(locale, room.ask_text).to_owned(),
            None,
        ),
    };
    let reason = reason.map(|reason| {
        let [place, _] = NAME_PLACEHOLDERS;
        let given = td_string!(locale, hosts.reason_given, reason = place).to_string();
        view! { <p>{isolate_names(&given, &[reason.as_str()])}</p> }
    });
    let kept = kept.map(|text| {
        view! {
            <p>{words!(i18n, room.ask_kept)}</p>
            <blockquote class="ask__kept" dir="auto">
                {text.to_string()}
            </blockquote>
        }
    });
    view! {
        <Masthead />
        <main id="content" class="full">
            <h1>{title}</h1>
            <p>
                <bdi translate="no">{name.to_string()}</bdi>
            </p>
            <p role="status">{sentence}</p>
            {reason}
            <AskForm name=name.clone() nickname=nickname.to_string() />
            {kept}
            <HomeLink />
        </main>
    }
    .into_any()
}

/// The way to the welcome page.
#[component]
fn HomeLink() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <a class="button button--quiet" href=page_address("/")>
            {words!(i18n, common.home)}
        </a>
    }
}

/// The place in the lobby. The page loads again until the person is in.
#[component]
fn WaitingPage(
    /// Name of the room.
    name: RoomName,
    /// The place, from 1.
    place: u32,
    /// Whether anybody is here who can admit the person.
    host_here: bool,
) -> impl IntoView {
    let i18n = use_i18n();
    let locale = i18n.get_locale_untracked();
    let place = match place {
        1 => td_string!(locale, room.wait_next).to_owned(),
        place => td_string!(locale, room.wait_place, place = place).to_string(),
    };
    let host = match host_here {
        true => td_string!(locale, room.wait_host_here),
        false => td_string!(locale, room.wait_host_away),
    };
    let again = page_address(&format!("{}?asked=1", name.path()));
    view! {
        <Meta http_equiv="refresh" content=REFRESH_S />
        <Masthead />
        <main id="content" class="full">
            <h1>{words!(i18n, room.wait_title)}</h1>
            <p>
                <bdi translate="no">{name.to_string()}</bdi>
            </p>
            <p>{words!(i18n, room.wait_text)}</p>
            <p role="status">
                <strong>{place}</strong>
                " "
                <span>{host}</span>
            </p>
            <p>{words!(i18n, room.wait_refresh)}</p>
            <a class="button button--primary" href=again>
                {words!(i18n, room.wait_again)}
            </a>
            <HomeLink />
        </main>
    }
}

/// The form that asks to enter.
#[component]
fn AskForm(
    /// Name of the room.
    name: RoomName,
    /// The nickname of this device.
    nickname: String,
) -> impl IntoView {
    let i18n = use_i18n();
    let field =
        |id: &'static str, label: Signal<&'static str>, kind: &'static str, value: String| {
            view! {
                <div class="field">
                    <label class="field__label" for=id>
                        {label}
                    </label>
                    <input
                        class="input"
                        id=id
                        name=id
                        type=kind
                        dir="auto"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        maxlength=(id == "line").then(|| MAX_KNOCK_CHARS.to_string())
                        value=value
                    />
                </div>
            }
        };
    let none = String::new;
    view! {
        <form class="form ask" method="post" action=address(EnterRoom::url())>
            <input type="hidden" name="room" value=name.to_string() />
            {field("nickname", words!(i18n, welcome.nickname), "text", nickname)}
            {field("password", words!(i18n, room.ask_password), "password", none())}
            {field("invite", words!(i18n, room.ask_invite), "text", none())}
            {field("line", words!(i18n, room.ask_line), "text", none())}
            <button class="button button--primary" type="submit">
                {words!(i18n, room.ask_submit)}
            </button>
        </form>
    }
}

/// A link to the form, on the page of a room of which the reader sees nothing.
#[component]
pub fn AskLink(
    /// Name of the room.
    name: RoomName,
) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <p class="banner">
            <a class="button button--small" href=page_address(&format!("{}?ask=1", name.path()))>
                {words!(i18n, room.ask_link)}
            </a>
        </p>
    }
}

/// When a room opens that is not open, or that it has closed. The address of the page says it, so
/// the page is the same for every room.
fn not_open(locale: Locale, opens: Option<i64>, closes: Option<i64>) -> String {
    let zone = expect_context::<TimeZone>();
    let now = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000);
    let now = now.unwrap_or_default();
    // A browser without script has told the server no zone.
    let time = |at| {
        let minutes = zone.offset_minutes(at);
        let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
        let offset = match minutes {
            0 => String::new(),
            _ => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        };
        format!("{} (UTC{offset})", zone.day_and_time(locale, at))
    };
    match (opens, closes) {
        (_, Some(closes)) if closes <= now => {
            td_string!(locale, room.ask_closed_at, time = time(closes)).to_string()
        }
        (Some(opens), _) if opens > now => {
            td_string!(locale, room.ask_opens_at, time = time(opens)).to_string()
        }
        (_, _) => td_string!(locale, room.ask_not_open).to_owned(),
    }
}

/// Why somebody does not enter, as a sentence; nothing for a code about something else.
fn refusal(locale: Locale, code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::NotJoined => td_string!(locale, room.ask_lobby),
        ErrorCode::RoomLocked => td_string!(locale, room.ask_locked),
        ErrorCode::PasswordRequired => td_string!(locale, room.ask_password_required),
        ErrorCode::WrongPassword => td_string!(locale, room.ask_wrong_password),
        ErrorCode::TooManyGuesses => td_string!(locale, room.ask_too_many_guesses),
        ErrorCode::InviteRequired => td_string!(locale, room.ask_invite_required),
        ErrorCode::BadInvite => td_string!(locale, room.ask_bad_invite),
        ErrorCode::InviteExpired => td_string!(locale, room.ask_invite_expired),
        ErrorCode::InviteUsedUp => td_string!(locale, room.ask_invite_used_up),
        ErrorCode::NotOpen => td_string!(locale, room.ask_not_open),
        ErrorCode::LobbyFull => td_string!(locale, room.ask_lobby_full),
        ErrorCode::WaitedTooLong => td_string!(locale, room.wait_ended_text),
        ErrorCode::TurnedAway => td_string!(locale, room.denied_text),
        ErrorCode::RoomFull => td_string!(locale, room.ask_full),
        ErrorCode::Banned => td_string!(locale, room.banned_text),
        ErrorCode::BadNickname => td_string!(locale, room.refused_nickname),
        ErrorCode::BadText => td_string!(locale, room.ask_bad_line),
        ErrorCode::TooManyJoins => td_string!(locale, room.ask_too_many),
        ErrorCode::TooManyRooms | ErrorCode::Unavailable => {
            td_string!(locale, room.ask_unavailable)
        }
        ErrorCode::BadMessage
        | ErrorCode::UnknownType
        | ErrorCode::AlreadyJoined
        | ErrorCode::BadRoomName
        | ErrorCode::MessageEmpty
        | ErrorCode::MessageTooLong
        | ErrorCode::MessageNotAllowed
        | ErrorCode::NoSuchMessage
        | ErrorCode::NotYours
        | ErrorCode::BadEmoji
        | ErrorCode::TooManyReactions
        | ErrorCode::TooManyMessages
        | ErrorCode::TooManyNewRooms
        | ErrorCode::CallFull
        | ErrorCode::NotInCall
        | ErrorCode::NoSuchPerson
        | ErrorCode::Busy
        | ErrorCode::AddressesHidden
        | ErrorCode::SignalTooLong
        | ErrorCode::BadOffer
        | ErrorCode::RoomStorageFull
        | ErrorCode::AddressStorageFull
        | ErrorCode::ServerStorageFull
        | ErrorCode::NotAllowed
        | ErrorCode::TooManyEntries
        | ErrorCode::BadSetting
        | ErrorCode::FilesOff
        | ErrorCode::FileTooLarge
        | ErrorCode::NoSuchFile
        | ErrorCode::TooManyFiles
        | ErrorCode::TooManyUploads => return None,
    })
}
