//! Answers the page and the script of the test.
//!
//! A test begins with a ticket, whose secret its further requests carry in a header.

use super::{
    page,
    tickets::{TICKET_LIFETIME, UPLOAD_BYTES},
};
use crate::{
    protocol::{IceServer, MAX_SDP_BYTES, MediaOffer, ParticipantId, RoomName},
    server::{
        context::AppContext,
        http::content_security_policy,
        identity::{new_session_token, participant_id},
        net::{ClientAddress, RequestKind},
        operator::Visit,
        request,
        rooms::RelayUse,
        sfu::{Command, Event, Offer, PeerKey},
    },
};
use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};

/// The header that carries the secret of a ticket.
const TICKET: &str = "noom-check";
/// How long a peer connection of a test stays open. 20 s: the script gives up after 10 s.
const MEDIA_LIFETIME: Duration = Duration::from_secs(20);
/// How long the SFU may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds after which a refused test may be tried again.
const RETRY_AFTER_S: &str = "60";
/// Bytes of the download: random, so that nothing on the way compresses them. 64 KiB is more than
/// the window of gzip.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut noise = vec![0; 64 * 1024];
    rand::rng().fill_bytes(&mut noise);
    Bytes::from(noise)
});

/// The answer to the start of a test.
#[derive(Serialize)]
struct Started {
    /// The secret of the ticket.
    ticket: String,
    /// Bytes that the test may upload.
    upload_bytes: u64,
    /// The STUN and TURN servers, as a call gets them.
    ice_servers: Vec<IceServer>,
}

/// An offer of the script, and the answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Description {
    /// The SDP (RFC 8866).
    sdp: String,
}

/// Middleware: keeps all answers out of caches, and unchanged by proxies.
pub async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let caching = HeaderValue::from_static("no-store, no-transform");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, caching);
    response
}

/// `GET /check`: the page.
pub async fn page(visit: Visit, parts: Parts) -> Response {
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let policy = content_security_policy(None, host);
    let mut response = page::page(&visit, parts.version).into_response();
    let policy = HeaderValue::from_str(&policy).map(|it| (header::CONTENT_SECURITY_POLICY, it));
    response.headers_mut().extend(policy);
    if let Some(language) = visit.chosen {
        let cookie = request::language_cookie(&visit.cookies, language);
        let cookie = cookie.map(|cookie| (header::SET_COOKIE, cookie));
        response.headers_mut().extend(cookie);
    }
    response
}

/// `GET /check/check.css`: the style of the page.
pub async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("check.css")).into_response()
}

/// `GET /check/check.js`: the script of the test.
pub async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("check.js")).into_response()
}

/// `POST /check/start`: a ticket, and the ICE servers.
pub async fn start(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
) -> Response {
    if !context.request_rates.allow(RequestKind::Check, ip) {
        return refused(StatusCode::TOO_MANY_REQUESTS);
    }
    let Some(ticket) = context.checks.start(ip, Instant::now()) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE);
    };
    let mut ice_servers = context.config.ice_servers.to_vec();
    if let (Some(relays), Some((room, person))) = (context.rooms.relays(), relay_names(&ticket)) {
        ice_servers.extend(relays.servers(&room, &person, RelayUse::Call));
    }
    let (later, secret) = (context.clone(), ticket.clone());
    tokio::spawn(async move {
        tokio::time::sleep(TICKET_LIFETIME).await;
        finish(&later, &secret);
    });
    Json(Started {
        ticket,
        upload_bytes: UPLOAD_BYTES,
        ice_servers,
    })
    .into_response()
}

/// `POST /check/end`: the test is over.
pub async fn end(State(context): State<AppContext>, headers: HeaderMap) -> Response {
    finish(&context, ticket_of(&headers));
    StatusCode::NO_CONTENT.into_response()
}

/// `GET /check/download`: random bytes, until the ticket is used up or the time is over.
pub async fn download(State(context): State<AppContext>, headers: HeaderMap) -> Response {
    let tickets = &context.checks;
    let Some(bytes) = tickets.take_download(ticket_of(&headers), Instant::now()) else {
        return refused(StatusCode::FORBIDDEN);
    };
    let chunks = stream::unfold(bytes, |mut bytes| async move {
        let chunk = bytes.next_chunk(NOISE.len(), Instant::now())?;
        Some((Ok::<_, Infallible>(NOISE.slice(..chunk)), bytes))
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    (kind, Body::from_stream(chunks)).into_response()
}

/// `POST /check/upload`: takes some bytes and forgets them.
pub async fn upload(
    State(context): State<AppContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let ticket = ticket_of(&headers);
    match context
        .checks
        .take_upload(ticket, bytes.len(), Instant::now())
    {
        true => StatusCode::NO_CONTENT.into_response(),
        false => refused(StatusCode::FORBIDDEN),
    }
}

/// `POST /check/media`: answers an offer by a peer connection of the SFU in a media room of its
/// own, which closes after [`MEDIA_LIFETIME`]. It forwards nothing.
pub async fn media(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    headers: HeaderMap,
    Json(Description { sdp }): Json<Description>,
) -> Response {
    if sdp.len() > MAX_SDP_BYTES
        || !context
            .checks
            .take_offer(ticket_of(&headers), Instant::now())
    {
        return refused(StatusCode::FORBIDDEN);
    }
    if !context.request_rates.allow(RequestKind::Offer, ip) {
        return refused(StatusCode::TOO_MANY_REQUESTS);
    }
    let offer = Offer::parse(MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp,
        tracks: Vec::new(),
    });
    let offer = offer.await;
    let Some((handle, mut events)) = context.sfu.open_room() else {
        return refused(StatusCode::SERVICE_UNAVAILABLE);
    };
    let sent = handle.send(Command::Offer {
        peer: PeerKey(1),
        person: participant_id(&new_session_token()),
        offer,
    });
    let answer = match sent {
        true => timeout(ANSWER_TIMEOUT, answer_of(&mut events)).await,
        false => return refused(StatusCode::SERVICE_UNAVAILABLE),
    };
    let Ok(Some(sdp)) = answer else {
        return refused(StatusCode::BAD_REQUEST);
    };
    tokio::spawn(async move {
        let _ = timeout(MEDIA_LIFETIME, closed(&mut events)).await;
        drop(handle);
    });
    Json(Description { sdp }).into_response()
}

/// Waits for the answer of the SFU; `None` if it refuses the offer.
async fn answer_of(events: &mut mpsc::Receiver<Event>) -> Option<String> {
    loop {
        match events.recv().await? {
            Event::Answer { sdp, .. } => return Some(sdp),
            Event::Refused { .. } | Event::Closed { .. } => return None,
            Event::Slots { .. }
            | Event::Layers { .. }
            | Event::Codec { .. }
            | Event::Speakers { .. }
            | Event::Qualities { .. } => {}
        }
    }
}

/// Waits until the connection ends.
async fn closed(events: &mut mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Closed { .. } | Event::Refused { .. } => return,
            Event::Answer { .. }
            | Event::Slots { .. }
            | Event::Layers { .. }
            | Event::Codec { .. }
            | Event::Speakers { .. }
            | Event::Qualities { .. } => {}
        }
    }
}

/// Ends a test: its ticket, and its credentials for the relay.
fn finish(context: &AppContext, ticket: &str) {
    if context.checks.end(ticket)
        && let (Some(relays), Some((room, person))) = (context.rooms.relays(), relay_names(ticket))
    {
        relays.forget(&room, &person, RelayUse::Call);
    }
}

/// The room and the person for whom the relay issues the credentials of a test. The secret makes
/// the room's name one that nobody else has.
pub fn relay_names(ticket: &str) -> Option<(RoomName, ParticipantId)> {
    let room = RoomName::parse(&format!("check {ticket}")).ok()?;
    Some((room, ParticipantId::parse("p_check").ok()?))
}

/// The secret of the ticket in the headers of a request.
fn ticket_of(headers: &HeaderMap) -> &str {
    let ticket = headers.get(TICKET);
    ticket.and_then(|it| it.to_str().ok()).unwrap_or_default()
}

/// A refusal without a body.
fn refused(status: StatusCode) -> Response {
    (status, [(header::RETRY_AFTER, RETRY_AFTER_S)]).into_response()
}
