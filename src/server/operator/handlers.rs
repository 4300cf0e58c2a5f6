//! Answers the requests to the operator's pages.

use super::{
    action::{self, Action, ActionKind, BadForm, Fields, Outcome},
    backups::{self, BackupName},
    page::{self, Overview, PageOf, RoomPage},
    password,
    session::{self, Access, SignedIn},
    visit::Visit,
};
use crate::{
    protocol::RoomName,
    server::{context::AppContext, log_throttle::LogThrottle, store::StoreError},
};
use axum::{
    extract::{Form, FromRequestParts, Query, Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Instant;

/// The content security policy of the operator's pages: a style sheet and a script of this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// Value of `Retry-After` while the password may not be tried, in seconds. 15 min.
const LOCKED_S: HeaderValue = HeaderValue::from_static("900");
/// Entries of the log of actions on the overview.
const RECENT_ACTIONS: u32 = 30;
/// Entries of the log of actions where the operator asks for all.
const ALL_ACTIONS: u32 = 1_000;

/// Middleware: bounds the requests at once, refuses connections over which no password may go, and
/// keeps the answers out of caches.
pub async fn guard(State(context): State<AppContext>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let visit = Visit::of(&parts);
    let mut response = match context.operator.requests.try_acquire() {
        Err(_) => busy(&visit),
        Ok(_) if !visit.is_private() => {
            let page = page::sentence(&visit, PageOf::Insecure);
            (StatusCode::FORBIDDEN, page).into_response()
        }
        Ok(_one_request) => next.run(Request::from_parts(parts, body)).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    let caching = HeaderValue::from_static("no-store, no-transform");
    headers.insert(header::CACHE_CONTROL, caching);
    if let Some(language) = visit.chosen {
        let cookie = crate::server::request::language_cookie(&visit.cookies, language);
        headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    }
    response
}

/// `GET /admin`: the overview, the form to sign in, or how to become the operator.
pub async fn overview(
    State(context): State<AppContext>,
    visit: Visit,
    signed_in: SignedIn,
    Query(query): Query<Fields>,
) -> Response {
    let actions = match query.contains_key("log") {
        true => ALL_ACTIONS,
        false => RECENT_ACTIONS,
    };
    match Overview::load(&context, actions).await {
        Ok(overview) => page::overview(&visit, &signed_in, &overview, said(&query)).into_response(),
        Err(error) => unavailable(&visit, &error),
    }
}

/// `GET /admin/room`: the people of a room and their connections.
pub async fn room(
    State(context): State<AppContext>,
    visit: Visit,
    signed_in: SignedIn,
    Query(query): Query<Fields>,
) -> Response {
    let name = named_room(&query);
    match RoomPage::load(&context, name).await {
        Ok(room) => page::room(&visit, &signed_in, &room, said(&query)).into_response(),
        Err(error) => unavailable(&visit, &error),
    }
}

/// `GET /admin/history`: asks whether every message of a room is to be deleted.
pub async fn confirm_history(
    visit: Visit,
    signed_in: SignedIn,
    Query(query): Query<Fields>,
) -> Html<String> {
    page::confirm_history(&visit, &signed_in, &named_room(&query))
}

/// `GET /admin/doctor`: what the last run of the checks found, and a button to run them.
pub async fn checks(
    State(context): State<AppContext>,
    visit: Visit,
    signed_in: SignedIn,
    Query(query): Query<Fields>,
) -> Html<String> {
    let last = context.doctor.last();
    page::checks(&visit, &signed_in, last.as_deref(), said(&query))
}

/// `GET /admin/backup`: downloads a backup.
pub async fn download(
    State(context): State<AppContext>,
    _: SignedIn,
    Query(query): Query<Fields>,
) -> Response {
    let Some(name) = query.get("name").and_then(|name| BackupName::parse(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let directory = backups::directory(&context.config.data_dir);
    let file = name.clone();
    let opened = tokio::task::spawn_blocking(move || backups::open(&directory, &file)).await;
    let Ok(Ok((body, bytes))) = opened else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let disposition = format!("attachment; filename=\"{}\"", name.as_str());
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, body).into_response()
}

/// `POST /admin/action`: does what a form of the operator's own page asks for.
pub async fn act(
    State(context): State<AppContext>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let signed_in = match session::access(&context, &visit).await {
        Ok(Access::SignedIn(signed_in)) => signed_in,
        Ok(Access::SignedOut | Access::Nobody) => return forged(&visit),
        Err(error) => return unavailable(&visit, &error),
    };
    let token = fields.get("token").map(String::as_str).unwrap_or_default();
    if !signed_in.has_token(token) {
        return forged(&visit);
    }
    let action = match Action::parse(&fields) {
        Ok(action) => action,
        Err(BadForm::Text) => return see("/admin", &[], Outcome::BadText),
        Err(BadForm::Other) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let (kind, page, room) = (action.kind(), action.page(), action.room().cloned());
    let host_link = match &action {
        Action::NewHostKey(room, key) => Some(format!("{}#host={}", room.path(), key.expose())),
        _ => None,
    };
    let outcome = action::run(&context, action, signed_in.session.id).await;
    let mut response = match (&room, host_link) {
        // Browsers keep the key on the device, and send no fragment to a server.
        (Some(_), Some(link)) if outcome == Outcome::HostKeySet => redirect(&link),
        (Some(room), _) => see("/admin/room", &[("name", room.as_str())], outcome),
        (None, _) => see(page, &[], outcome),
    };
    if kind == ActionKind::SignOut {
        add_cookie(&mut response, session::no_cookie(&visit));
    }
    response
}

/// `POST /admin/sign-in`: starts a session for the right password.
pub async fn sign_in(
    State(context): State<AppContext>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let operator = &context.operator;
    let Some(attempt) = operator.tries.begin(visit.address, Instant::now()) else {
        let page = page::sign_in(&visit, Some(page::SignInProblem::TooMany));
        let wait = [(header::RETRY_AFTER, LOCKED_S)];
        return (StatusCode::TOO_MANY_REQUESTS, wait, page).into_response();
    };
    let known = match context.store.operator_password().await {
        Ok(known) => known,
        Err(error) => return unavailable(&visit, &error),
    };
    let password = fields.get("password").cloned().unwrap_or_default();
    // A longer one is not the password, which takes the same work to say.
    let password = password.chars().take(password::MAX_CHARS + 1).collect();
    if operator.hasher.verify(password, known).await {
        operator.tries.forgive(&attempt);
        return begin_session(&context, &visit, ActionKind::SignedIn).await;
    }
    static WRONG: LogThrottle = LogThrottle::new();
    if let Some(count) = WRONG.record() {
        tracing::warn!(count, "somebody tried a wrong password at /admin");
    }
    let page = page::sign_in(&visit, Some(page::SignInProblem::Wrong));
    (StatusCode::FORBIDDEN, page).into_response()
}

/// `GET /admin/setup`: the form behind the one-time link.
pub async fn setup_form(
    State(context): State<AppContext>,
    visit: Visit,
    Query(query): Query<Fields>,
) -> Response {
    let token = query.get("token").map(String::as_str).unwrap_or_default();
    match context.operator.link.accepts(token, Instant::now()) {
        true => page::set_up(&visit, token, None).into_response(),
        false => dead_link(&visit),
    }
}

/// `POST /admin/setup`: makes whoever has the link the operator.
pub async fn set_up(
    State(context): State<AppContext>,
    visit: Visit,
    Form(fields): Form<Fields>,
) -> Response {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (token, password) = (field("token"), field("password"));
    let operator = &context.operator;
    if !operator.link.accepts(&token, Instant::now()) {
        return dead_link(&visit);
    }
    if let Err(problem) = password::check(&password, &field("again")) {
        let page = page::set_up(&visit, &token, Some(problem));
        return (StatusCode::UNPROCESSABLE_ENTITY, page).into_response();
    }
    // A client that disconnects meanwhile must not use the link up.
    let creating = tokio::spawn(create_operator(context.clone(), token, password));
    match creating.await {
        Ok(Some(Ok(0)) | None) | Err(_) => dead_link(&visit),
        Ok(Some(Ok(_))) => begin_session(&context, &visit, ActionKind::BecameOperator).await,
        Ok(Some(Err(error))) => unavailable(&visit, &error),
    }
}

/// Uses the link up and stores the operator. Returns the number of stored rows; `None` if the link
/// was used or is too old. After an error the link works again.
async fn create_operator(
    context: AppContext,
    token: String,
    password: String,
) -> Option<Result<usize, StoreError>> {
    let operator = &context.operator;
    let link = operator.link.take(&token, Instant::now())?;
    let created = match operator.hasher.hash(password).await {
        Some(hash) => {
            let create = crate::server::store::OperatorWrite::Create(hash);
            context.store.write_operator(create).await
        }
        None => Err(StoreError::Busy),
    };
    if created.is_err() {
        operator.link.put_back(link);
    }
    Some(created)
}

/// `GET /admin/admin.css`: the style of the operator's pages.
pub async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("admin.css")).into_response()
}

/// `GET /admin/admin.js`: the script that refreshes the operator's pages.
pub async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("admin.js")).into_response()
}

/// The session of a request, or the page for somebody without one.
impl FromRequestParts<AppContext> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, context: &AppContext) -> Result<Self, Response> {
        let visit = Visit::of(parts);
        match session::access(context, &visit).await {
            Ok(Access::SignedIn(signed_in)) => Ok(signed_in),
            Ok(Access::SignedOut) => Err(page::sign_in(&visit, None).into_response()),
            Ok(Access::Nobody) => Err(page::sentence(&visit, PageOf::Nobody).into_response()),
            Err(error) => Err(unavailable(&visit, &error)),
        }
    }
}

/// Starts a session, logs it and leads to the overview.
async fn begin_session(context: &AppContext, visit: &Visit, kind: ActionKind) -> Response {
    match session::start(context, visit).await {
        Ok(Some(cookie)) => {
            action::log(context, kind, "").await;
            let mut response = redirect("/admin");
            add_cookie(&mut response, Some(cookie));
            response
        }
        // The operator was removed meanwhile.
        Ok(None) => redirect("/admin"),
        Err(error) => unavailable(visit, &error),
    }
}

/// The room that the query names, as it is stored.
fn named_room(query: &Fields) -> RoomName {
    RoomName::from_stored(query.get("name").map(String::as_str).unwrap_or_default())
}

/// The outcome that the query names.
fn said(query: &Fields) -> Option<Outcome> {
    query.get("said")?.parse().ok()
}

/// Leads to a page that shows an outcome.
fn see(path: &str, query: &[(&str, &str)], outcome: Outcome) -> Response {
    let code: &'static str = outcome.into();
    let mut address = format!("{path}?said={code}");
    for (name, value) in query {
        address.push_str(&format!(
            "&{name}={}",
            utf8_percent_encode(value, NON_ALPHANUMERIC)
        ));
    }
    redirect(&address)
}

/// Leads to a page, by GET.
fn redirect(address: &str) -> Response {
    let mut headers = HeaderMap::new();
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(header::LOCATION, address);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Sets a cookie.
fn add_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    let cookie = cookie.map(|cookie| (header::SET_COOKIE, cookie));
    response.headers_mut().extend(cookie);
}

/// The answer to a form that is not of the operator's own page, or whose session ended.
fn forged(visit: &Visit) -> Response {
    let page = page::sentence(visit, PageOf::Forged);
    (StatusCode::FORBIDDEN, page).into_response()
}

/// The answer to a link that was used or is too old.
fn dead_link(visit: &Visit) -> Response {
    let page = page::sentence(visit, PageOf::DeadLink);
    (StatusCode::FORBIDDEN, page).into_response()
}

/// The answer to more requests than the pages take at once.
fn busy(visit: &Visit) -> Response {
    let page: Html<String> = page::sentence(visit, PageOf::Busy);
    (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
}

/// The answer while the store fails. The log says why, the page does not.
fn unavailable(visit: &Visit, error: &StoreError) -> Response {
    tracing::error!(%error, "a page of the operator could not be answered");
    let page = page::sentence(visit, PageOf::Failed);
    (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
}
