//! The implementation of the server functions.

use super::{
    ApiError, Field, FoundMessages, MAX_READS, MAX_UNREAD, NICKNAME_COOKIE, ReadPosition,
    RoomStart, Visit, Wait,
};
use crate::i18n::guest_name;
use crate::protocol::{
    ChatDraft, ChatText, ErrorCode, InviteId, InviteToken, MAX_CHAT_CHARS, MessageId, NameError,
    Nickname, PRIVATE_FRAGMENT, RoomName, RoomPassword, Seq, SessionToken, text,
};
use crate::server::context::AppContext;
use crate::server::entry::{CheckedEntry, Shown};
use crate::server::error::refusal_of_rate;
use crate::server::http::FormFiles;
use crate::server::invites::{self, MeetingTime};
use crate::server::rooms::{Reader, RoomError, Rooms, VisitStatus, Visitor};
use crate::server::store::{Page, StoreError};
use crate::server::visits::VisitKey;
use crate::server::{
    log_throttle::{self, LogThrottle},
    net::{RequestKind, ban_network, stored_bytes},
};
use crate::server::{new_session_token, participant_id};
use crate::server::{request, room_names};
use crate::state::Position;
use axum::http::{HeaderMap, request::Parts};
use leptos::prelude::*;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Instant;
use time::OffsetDateTime;

/// Messages in a page of search results.
const FOUND_PAGE: u32 = 50;
/// Messages loaded before and after the chosen one.
const AROUND_EACH_SIDE: u32 = 25;

/// The secret cookie that identifies the author of plain-form messages, and shows a room that it
/// may see to a person without script.
const DEVICE_COOKIE: &str = "noom_device";

pub(super) fn context() -> AppContext {
    expect_context::<AppContext>()
}

pub(super) fn is_plain_form() -> bool {
    request::header("accept").is_some_and(|accept| accept.contains("text/html"))
}

/// A path of this site, as the page without script.
pub fn plain_path(path: String) -> String {
    let (path, fragment) = match path.split_once('#') {
        Some((path, fragment)) => (path, format!("#{fragment}")),
        None => (path.as_str(), String::new()),
    };
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{path}{join}plain=1{fragment}")
}

/// The path a form redirects to: a page without script if the form is on one.
pub(super) fn answer_path(path: String, plain: bool) -> String {
    if plain { plain_path(path) } else { path }
}

pub(super) fn remembered_nickname() -> Option<Nickname> {
    request::cookie(NICKNAME_COOKIE).and_then(|text| Nickname::parse(&text).ok())
}

/// The path of the room that a welcome form names, or of a room for which a name is proposed.
pub(super) fn join_room(nickname: &str, room: &str, private: bool) -> Result<String, ApiError> {
    let nickname = match nickname.trim() {
        "" => None,
        typed => Some(Nickname::parse(typed).map_err(|problem| ApiError::Invalid {
            field: Field::Nickname,
            problem,
        })?),
    };
    let name = match RoomName::parse(room) {
        Err(NameError::Empty) if private => room_names::propose(request::locale()),
        _ => parse_room(room)?,
    };
    context().rooms.open(&name).map_err(room_error)?;
    request::set_cookie(
        NICKNAME_COOKIE,
        nickname.as_ref().map(Nickname::as_str),
        false,
    );
    Ok(match private {
        // Without script nobody but the server reads why the room is opened.
        true if is_plain_form() => format!("{}?private=1{PRIVATE_FRAGMENT}", name.path()),
        true => name.private_path(),
        false => name.path(),
    })
}

/// Takes `amount` from a rate limit of the client's address.
fn allow(kind: RequestKind, amount: u32) -> Result<(), ApiError> {
    let ip = request::client_address().0;
    let taken = context().request_rates.try_take(kind, ip, amount);
    taken.map_err(|_| ApiError::TooMany)
}

/// As [`allow`], for limits that last for hours.
///
/// # Errors
/// The code for the page of the room, which says what to do.
fn allow_to_store(kind: RequestKind, amount: u32) -> Result<(), ErrorCode> {
    let (context, ip) = (context(), request::client_address().0);
    let taken = context.request_rates.try_take(kind, ip, amount);
    taken.map_err(|limit| {
        let code = refusal_of_rate(kind, limit);
        context.rooms.metrics().refused(code, true);
        code
    })
}

fn parse_room(room: &str) -> Result<RoomName, ApiError> {
    RoomName::parse(room).map_err(|problem| ApiError::Invalid {
        field: Field::Room,
        problem,
    })
}

fn room_error(error: RoomError) -> ApiError {
    match error {
        RoomError::TooManyRooms => ApiError::TooManyRooms,
        RoomError::TooManyMessages => ApiError::TooMany,
        RoomError::Full
        | RoomError::StorageFull(_)
        | RoomError::Denied(_)
        | RoomError::Unavailable => ApiError::Unavailable,
    }
}

/// The path of the welcome page with the typed text and the error.
pub(super) fn back_to_welcome(nickname: &str, room: &str, error: &ApiError) -> String {
    let short = |text: &str| text.chars().take(200).collect::<String>();
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let problem = serde_json::to_string(error).unwrap_or_default();
    let (nickname, room) = (encode(&short(nickname)), encode(&short(room)));
    format!(
        "/?nickname={nickname}&room={room}&problem={}",
        encode(&problem)
    )
}

pub(super) async fn room_start(room: &str) -> Result<RoomStart, ApiError> {
    let name = parse_room(room)?;
    // The request is read before the wait: it is gone where the client has left meanwhile.
    let context = context();
    let nickname = remembered_nickname().unwrap_or_else(|| guest(rand::random()));
    let own_navigation = request::is_own_navigation();
    let reader = reader(None);
    let reader_without_script = reader_without_script(&name);
    let snapshot = context.rooms.snapshot(&name, reader.as_ref()).await;
    let is_new = snapshot.seq == 0 && snapshot.people.is_empty();
    let other_case = is_new.then(|| open_in_other_case(&context.rooms, &name));
    let position = Position {
        epoch: snapshot.epoch,
        seq: snapshot.seq,
    };
    Ok(RoomStart {
        name,
        people: snapshot.people,
        messages: snapshot.messages,
        pins: snapshot.pins,
        more: snapshot.more,
        position: (!is_new).then_some(position),
        call: snapshot.call,
        nickname,
        own_navigation,
        hide_addresses: context.config.hide_addresses,
        max_file_bytes: context.store.uploads().limits().max_file_bytes,
        other_case: other_case.flatten(),
        visit: match reader_without_script {
            Some(key) => Some(visit(&context, key).await),
            None => None,
        },
    })
}

/// Who reads a page without script, by the cookie of the device.
fn reader_without_script(room: &RoomName) -> Option<VisitKey> {
    request::query("plain")?;
    Some(VisitKey {
        id: participant_id(&known_device()?),
        room: room.clone(),
    })
}

/// What the server keeps for the reader of a page without script. Asks the room only where the
/// reader has asked to enter it.
async fn visit(context: &AppContext, key: VisitKey) -> Visit {
    let (visits, now) = (&context.visits, Instant::now());
    let mut wait = None;
    if visits.has_asked(&key, now)
        && let Ok(room) = context.rooms.open(&key.room)
        && let Ok(status) = room.visit_status(key.id.clone()).await
    {
        wait = match status {
            VisitStatus::Waiting { place, host_here } => Some(Wait::Waiting { place, host_here }),
            VisitStatus::TurnedAway(reason) => Some(Wait::TurnedAway(reason)),
            VisitStatus::Outside | VisitStatus::NotOpen { .. } => Some(Wait::Ended),
            VisitStatus::Inside(_) => {
                visits.on_entered(&key, now);
                None
            }
        };
    }
    let text = visits.text(&key, now);
    Visit { wait, text }
}

/// The fullest open room whose name differs from this one in letter case only, because phones
/// capitalise the first letter of a field. Looks at the rooms of the welcome page only.
fn open_in_other_case(rooms: &Rooms, name: &RoomName) -> Option<RoomName> {
    let folded = name.as_str().to_lowercase();
    let rooms = rooms.summaries();
    let mut others = rooms.iter().map(|room| &room.name);
    let other = others.find(|other| *other != name && other.as_str().to_lowercase() == folded);
    other.cloned()
}

pub(super) async fn find_messages(
    room: &str,
    words: &str,
    before: Option<Seq>,
    session: Option<SessionToken>,
) -> Result<FoundMessages, ApiError> {
    let name = parse_room(room)?;
    allow(RequestKind::Search, 1)?;
    let context = context();
    if !is_visible(&context.rooms, &name, session).await? {
        return Ok(FoundMessages::default());
    }
    let store = &context.store;
    // The index compares letter by letter, and messages are stored in this form.
    let words = text::nfc(words);
    let page = store.search(&name, &words, before, FOUND_PAGE);
    let Page { messages, more } = page.await.map_err(store_error)?;
    Ok(FoundMessages { messages, more })
}

pub(super) async fn messages_around(
    room: &str,
    seq: Seq,
    session: Option<SessionToken>,
) -> Result<FoundMessages, ApiError> {
    let name = parse_room(room)?;
    allow(RequestKind::History, 1)?;
    let context = context();
    if !is_visible(&context.rooms, &name, session).await? {
        return Ok(FoundMessages::default());
    }
    let store = &context.store;
    let before = store.page(&name, Some(seq.saturating_add(1)), AROUND_EACH_SIDE + 1);
    let mut messages = before.await.map_err(store_error)?.messages;
    let after = store.after(&name, seq, AROUND_EACH_SIDE);
    messages.extend(after.await.map_err(store_error)?);
    Ok(FoundMessages {
        messages,
        more: false,
    })
}

pub(super) async fn unread(reads: &str) -> Result<Vec<u32>, ApiError> {
    let reads: Vec<ReadPosition> = serde_json::from_str(reads).map_err(|_| ApiError::Request)?;
    if reads.len() > MAX_READS {
        return Err(ApiError::Request);
    }
    allow(RequestKind::History, 1)?;
    let context = context();
    let (reader, listed) = (reader(None), context.rooms.summaries());
    let mut counted = vec![0; reads.len()];
    let mut asked = Vec::new();
    for (index, ReadPosition { room, position }) in reads.into_iter().enumerate() {
        // Who knows the name of another room learns nothing of it.
        if !listed.iter().any(|it| it.name == room) {
            continue;
        }
        let visible = context.rooms.is_visible(&room, reader.as_ref()).await;
        if visible.map_err(room_error)? {
            asked.push((index, room, position));
        }
    }
    let positions = asked.iter();
    let positions = positions.map(|(_, room, Position { epoch, seq })| (room, epoch, *seq));
    let unread = context.store.unread(positions, MAX_UNREAD).await;
    for ((index, ..), count) in asked.iter().zip(unread.map_err(store_error)?) {
        counted[*index] = count;
    }
    Ok(counted)
}

/// Whether there is a room of this name that the author of the request may see.
async fn is_visible(
    rooms: &Rooms,
    name: &RoomName,
    session: Option<SessionToken>,
) -> Result<bool, ApiError> {
    let reader = reader(session);
    let visible = rooms.is_visible(name, reader.as_ref()).await;
    visible.map_err(room_error)
}

/// The author of a request to read: the participant of this session, or else of the device, which a
/// person without script has.
fn reader(session: Option<SessionToken>) -> Option<Reader> {
    let token = session.or_else(known_device)?;
    Some(Reader {
        id: participant_id(&token),
        network: ban_network(request::client_address().0),
    })
}

fn store_error(error: StoreError) -> ApiError {
    static FAILED: LogThrottle = LogThrottle::new();
    match error {
        StoreError::SearchTimedOut => ApiError::SearchTimedOut,
        StoreError::SearchBusy => ApiError::SearchBusy,
        error => {
            log_throttle::error(&FAILED, &error, "messages could not be read");
            ApiError::Unavailable
        }
    }
}

/// A guest nickname with a four-digit number.
fn guest(seed: u32) -> Nickname {
    let number = u16::try_from(1_000 + seed % 9_000).unwrap_or(1_000);
    let name = guest_name(request::locale(), number);
    Nickname::parse(&name).expect("the locales' guest names are short words")
}

/// An invite, and the link of it on this site.
struct SignedInvite {
    /// The room of the invite.
    room: RoomName,
    /// Id of the invite.
    id: InviteId,
    /// The link that lets somebody in.
    link: String,
}

/// Reads the token of an invite. Looks at no room, so that the answer says nothing about one.
fn signed_invite(room: &str, token: &InviteToken) -> Result<SignedInvite, ApiError> {
    let room = parse_room(room)?;
    let context = context();
    let id = context.store.invite_key().verify(&room, token);
    let id = id.ok_or(ApiError::Request)?;
    let public = context.config.public_url.as_ref();
    let site = public.map(|url| url.origin().clone());
    let site = site.or_else(request::origin).ok_or(ApiError::Request)?;
    let link = invites::invite_link(&site, &request::base_path(), &room, token);
    Ok(SignedInvite { room, id, link })
}

pub(super) fn invite_code(room: &str, token: &InviteToken) -> Result<String, ApiError> {
    let SignedInvite { link, .. } = signed_invite(room, token)?;
    invites::qr_code(&link).ok_or(ApiError::Request)
}

pub(super) fn invite_calendar(
    room: &str,
    token: &InviteToken,
    starts: i64,
    ends: i64,
) -> Result<String, ApiError> {
    let SignedInvite { room, id, link } = signed_invite(room, token)?;
    let time = MeetingTime::between(starts, ends).ok_or(ApiError::Request)?;
    let (locale, now) = (request::locale(), OffsetDateTime::now_utc());
    Ok(invites::calendar_file(locale, &room, &id, &link, time, now))
}

/// Posts a message by a plain form. Returns the path of the page that answers. `private`: the message
/// opens a private room, if the room does not exist.
pub(super) async fn post_message(
    room: &str,
    text: &str,
    private: bool,
    plain: bool,
) -> Result<String, ApiError> {
    let name = parse_room(room)?;
    let answer = |path| answer_path(path, plain);
    let uploaded = uploaded();
    let text = match ChatText::parse(text) {
        Ok(text) => text,
        Err(NameError::Empty) if uploaded.is_some() => ChatText::none(),
        Err(NameError::Empty) => return Ok(answer(name.path())),
        Err(_) => return Ok(answer(format!("{}?refused={MAX_CHAT_CHARS}", name.path()))),
    };
    allow(RequestKind::Post, 1)?;
    let context = context();
    let rooms = &context.rooms;
    let handle = rooms.open(&name).map_err(room_error)?;
    let bytes = stored_bytes(text.as_str().len());
    if !rooms.is_open(&name) {
        allow(RequestKind::NewRoom, 1)?;
        if rooms.is_new(&name).await
            && let Err(code) = allow_to_store(RequestKind::NewName, 1)
        {
            return Ok(answer(refused_path(&name, code)));
        }
    }
    // Last, because a message that is refused before costs no bytes.
    allow(RequestKind::ChatBytes, bytes)?;
    if let Err(code) = allow_to_store(RequestKind::DayBytes, bytes) {
        return Ok(answer(refused_path(&name, code)));
    }
    let device = device();
    let key = VisitKey {
        id: participant_id(&device),
        room: name.clone(),
    };
    let nickname = remembered_nickname().unwrap_or_else(|| guest(number_of(&device)));
    let draft = ChatDraft {
        id: MessageId(uuid::Uuid::from_u128(rand::random())),
        text: text.clone(),
        reply_to: None,
        files: uploaded
            .as_ref()
            .map_or_else(Vec::new, |form| form.files.clone()),
        mentions: Vec::new(),
    };
    let network = ban_network(request::client_address().0);
    let posted = match uploaded.and_then(|form| form.refused) {
        Some(code) => {
            context.rooms.metrics().refused(code, true);
            Err(RoomError::Denied(code))
        }
        None => {
            handle
                .post(&device, nickname, network, draft, private)
                .await
        }
    };
    match posted {
        Ok(_) => {
            context.visits.forget(&key, Instant::now());
            Ok(answer(name.path()))
        }
        Err(RoomError::StorageFull(full)) => Ok(answer(refused_path(&name, full.code()))),
        Err(RoomError::Denied(code)) if asks_to_enter(code) => {
            // Files are not kept: the room may never let their author in.
            if !text.as_str().is_empty() {
                context.visits.keep(key, network, text, Instant::now());
            }
            Ok(plain_path(refused_path(&name, code)))
        }
        Err(RoomError::Denied(code)) => Ok(answer(refused_path(&name, code))),
        Err(error) => Err(room_error(error)),
    }
}

/// What somebody has typed into the form that asks to enter a room.
pub(super) struct TypedEntry {
    /// The nickname; the one of the device if empty.
    pub nickname: String,
    /// The password of the room.
    pub password: String,
    /// The link of an invite, or what it holds.
    pub invite: String,
    /// What the hosts read.
    pub line: String,
}

/// Asks to enter a room for the person with this device. Returns the path of the page that answers.
pub(super) async fn enter_room(room: &str, typed: TypedEntry) -> Result<String, ApiError> {
    let name = parse_room(room)?;
    let context = context();
    match ask_to_enter(&context, &name, typed).await {
        Ok(VisitStatus::Inside(_)) => Ok(name.path()),
        Ok(VisitStatus::NotOpen { opens, closes }) => {
            context.rooms.metrics().refused(ErrorCode::NotOpen, false);
            let times = [("opens", opens), ("closes", closes)];
            let times = times
                .into_iter()
                .filter_map(|(name, time)| Some((name, time?)));
            let times = times.map(|(name, time)| format!("&{name}={time}"));
            let path = refused_path(&name, ErrorCode::NotOpen);
            Ok([path].into_iter().chain(times).collect())
        }
        Ok(VisitStatus::Waiting { .. } | VisitStatus::TurnedAway(_) | VisitStatus::Outside) => {
            Ok(format!("{}?asked=1", name.path()))
        }
        Err(code) => {
            context.rooms.metrics().refused(code, false);
            Ok(refused_path(&name, code))
        }
    }
}

/// Asks to enter a room, by the same checks as a `join` of a connection.
async fn ask_to_enter(
    context: &AppContext,
    name: &RoomName,
    typed: TypedEntry,
) -> Result<VisitStatus, ErrorCode> {
    // The request is read before the wait: it is gone where the client has left meanwhile.
    let ip = request::client_address().0;
    let typed_nickname = match typed.nickname.trim() {
        "" => None,
        typed => Some(Nickname::parse(typed).map_err(|_| ErrorCode::BadNickname)?),
    };
    let password = Some(typed.password.as_str()).filter(|typed| !typed.is_empty());
    let password = password.map(|typed| {
        let parsed = RoomPassword::parse(typed);
        parsed.map_err(|_| ErrorCode::WrongPassword)
    });
    let invite = Some(invite_in(&typed.invite)).filter(|typed| !typed.is_empty());
    let invite = invite.map(|typed| {
        let parsed = InviteToken::parse(typed);
        parsed.map_err(|_| ErrorCode::BadInvite)
    });
    let shown = Shown {
        invite: invite.transpose()?,
        password: password.transpose()?,
        line: Some(typed.line),
    };
    let device = device();
    if let Some(nickname) = &typed_nickname {
        request::set_cookie(NICKNAME_COOKIE, Some(nickname.as_str()), false);
    }
    let nickname = typed_nickname.or_else(remembered_nickname);
    let nickname = nickname.unwrap_or_else(|| guest(number_of(&device)));
    let CheckedEntry {
        room,
        invite,
        password,
        line,
        network,
    } = context.check_entry(name, ip, shown).await?;
    let visitor = Visitor {
        invite,
        password,
        line,
        network,
        ..Visitor::new(device, nickname)
    };
    let key = VisitKey {
        id: visitor.id.clone(),
        room: name.clone(),
    };
    let status = room.visit(visitor).await?;
    match &status {
        VisitStatus::Inside(name) => {
            context.visits.on_entered(&key, Instant::now());
            if let Some(name) = name {
                request::set_cookie(NICKNAME_COOKIE, Some(name.as_str()), false);
            }
        }
        VisitStatus::NotOpen { .. } => {}
        VisitStatus::Waiting { .. } | VisitStatus::TurnedAway(_) | VisitStatus::Outside => {
            context.visits.on_asked(key, network, Instant::now());
        }
    }
    Ok(status)
}

/// What an invite holds, in a typed link or alone.
fn invite_in(typed: &str) -> &str {
    let typed = typed.trim();
    let fragment = typed
        .rsplit_once('#')
        .map_or(typed, |(_, fragment)| fragment);
    fragment.strip_prefix("invite=").unwrap_or(fragment)
}

/// Whether somebody whose message is refused with this code has to ask to enter first.
fn asks_to_enter(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotJoined
            | ErrorCode::RoomLocked
            | ErrorCode::PasswordRequired
            | ErrorCode::InviteRequired
            | ErrorCode::NotOpen
    )
}

/// The page of a room, which says why a request was refused.
fn refused_path(name: &RoomName, code: ErrorCode) -> String {
    format!("{}?refused={}", name.path(), code.name())
}

/// The device's secret, from its cookie.
fn known_device() -> Option<SessionToken> {
    request::cookie(DEVICE_COOKIE).and_then(|text| SessionToken::parse(&text).ok())
}

/// The device's secret, from the cookie in these headers.
pub fn device_of(headers: &HeaderMap, https: bool) -> Option<SessionToken> {
    let text = request::cookie_of(headers, https, DEVICE_COOKIE)?;
    SessionToken::parse(&text).ok()
}

/// The files of the form that is posted, if it has any.
fn uploaded() -> Option<FormFiles> {
    let form = form_files()?;
    let any = form.refused.is_some() || !form.files.is_empty();
    any.then_some(form)
}

/// What came with the form that is posted, if its route receives files.
fn form_files() -> Option<FormFiles> {
    let parts = use_context::<Parts>()?;
    parts.extensions.get::<FormFiles>().cloned()
}

/// The device's secret, from its cookie or new.
fn device() -> SessionToken {
    known_device().unwrap_or_else(|| {
        // The files of a form belong to the device that the form was given.
        let token = form_files().map_or_else(new_session_token, |form| form.device);
        request::set_cookie(DEVICE_COOKIE, Some(token.expose()), true);
        token
    })
}

/// A number derived from the device, for its guest nickname.
fn number_of(device: &SessionToken) -> u32 {
    participant_id(device)
        .as_str()
        .bytes()
        .fold(7, |sum, byte| {
            u32::wrapping_add(u32::wrapping_mul(sum, 31), u32::from(byte))
        })
}
