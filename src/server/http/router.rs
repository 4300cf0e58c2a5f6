//! Routes and middleware of the HTTP listeners.

use super::{
    assets, base_path, client_address, cross_origin, doctor, files, health,
    host::{self, HostNames},
    lan, long_poll, metrics, options, pages, refusal, security, ws,
};
use crate::{
    app::{App, shell},
    server::{check, context::AppContext, limits::MAX_BODY_BYTES, operator},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{Method, StatusCode, header};
use leptos::prelude::provide_context;
use leptos_axum::{
    AxumRouteListing, LeptosRoutes, generate_route_list, render_app_async_with_context,
};
use std::sync::{Arc, LazyLock};
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer};

/// Path of the room protocol by long polling.
const POLL: &str = "/poll";
/// Path of the WebSocket: its upgrade (GET), its stream of HTTP/2 (CONNECT), and the check whether
/// either would succeed (POST).
const WS: &str = "/ws";

/// The pages of the application, which Leptos lists. It is made once, before the first router serves
/// a page: while Leptos makes a list (`SuppressResourceLoad`), a resource that starts to load on any
/// thread of the process stays pending for ever, and its page is never answered. This was reported
/// to Leptos as "SSR render hangs forever when a `Resource` first polls during a concurrent
/// `RouteList::generate`".
static PAGES: LazyLock<Vec<AxumRouteListing>> = LazyLock::new(|| generate_route_list(App));

/// The routes of the HTTP listener.
pub fn router(context: AppContext) -> Router {
    let options = context.leptos.clone();
    let pages = Router::new()
        .leptos_routes(&context, PAGES.clone(), move || shell(options.clone()))
        .layer(from_fn(pages::stamp_fingerprint))
        .layer(from_fn(refusal::set_error_status))
        .layer(pages::compression())
        .layer(from_fn_with_state(context.clone(), pages::on_page_runtime))
        .layer(from_fn_with_state(
            context.clone(),
            refusal::limit_page_rate,
        ));
    let operator = operator::router(&context).layer(from_fn_with_state(
        context.clone(),
        refusal::limit_page_rate,
    ));
    let exports = files::export_routes().layer(from_fn_with_state(
        context.clone(),
        refusal::limit_page_rate,
    ));
    let router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route(
            WS,
            get(ws::upgrade)
                .connect(ws::connect)
                .post(ws::check_upgrade),
        )
        .route(POLL, get(long_poll::get).post(long_poll::post))
        .route("/pkg/{*path}", get(assets::serve))
        .merge(files::routes())
        .merge(lan::routes())
        .merge(pages)
        .merge(exports)
        .merge(operator)
        .merge(check::router(&context))
        .fallback(fallback);
    // Without a token there is no such page here.
    let router = match &context.metrics_token {
        Some(_) => router.route("/metrics", get(metrics::serve_with_token)),
        None => router,
    };
    let base = context.config.base_path.clone();
    base_path::mount(protect(router, &context).with_state(context), &base)
}

/// The routes of the metrics listener.
pub fn metrics_router(context: AppContext) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(metrics::serve))
        .route("/doctor", post(doctor::run))
        .route("/readyz", get(health::ready_in_detail));
    // With DNS rebinding, a page could read metrics that are meant for this machine only.
    let listen = context.config.metrics_listen;
    if listen.is_some_and(|address| address.ip().is_loopback()) {
        let names = Arc::new(HostNames::new(&context.config));
        router = router.layer(from_fn_with_state(names, host::guard));
    }
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(context.clone(), security::add_headers))
        .with_state(context)
}

/// Adds the middleware of all routes, the outermost last, and the routes of uploads, whose bodies have
/// their own limits.
fn protect(router: Router<AppContext>, context: &AppContext) -> Router<AppContext> {
    router
        .layer(from_fn_with_state(context.clone(), refusal::read_body))
        .layer(from_fn(check_content_type))
        .layer(from_fn(options::answer))
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .merge(files::upload_routes())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(context.clone(), cross_origin::guard))
        .layer(from_fn_with_state(
            Arc::new(HostNames::new(&context.config)),
            host::guard,
        ))
        .layer(from_fn_with_state(
            context.clone(),
            client_address::identify,
        ))
        .layer(from_fn_with_state(context.clone(), security::add_headers))
        .layer(from_fn_with_state(context.clone(), metrics::count))
}

/// Serves a file of the site's root, or the 404 page.
pub(super) async fn fallback(State(context): State<AppContext>, request: Request) -> Response {
    if let Some(file) = assets::find(context.assets, &request) {
        return file;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(first_page) = base_path::to_first_page(&request).filter(|_| reads) {
        return first_page;
    }
    if reads && accepts_html(&request) {
        if !refusal::page_is_allowed(&context, &request) {
            return refusal::too_many_requests(request.headers());
        }
        return not_found_page(context, request).await;
    }
    (StatusCode::NOT_FOUND, "not found").into_response()
}

/// Whether the client accepts HTML, as a browser's navigation does.
fn accepts_html(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html") || accept == "*/*")
}

/// Renders the application's 404 page.
async fn not_found_page(context: AppContext, request: Request) -> Response {
    let options = context.leptos.clone();
    let provided = context.clone();
    let provide = move || provide_context(provided.clone());
    let render = render_app_async_with_context(provide, move || shell(options.clone()));
    let rendering = async move { pages::with_fingerprint(render(request).await).await };
    let mut response = pages::render_on_page_runtime(&context, rendering).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// Middleware: refuses bodies of an unexpected media type with 415 before reading them. Server
/// functions take forms, polling takes JSON or nothing, `/ws` takes nothing, and the test at `/check`
/// names what it takes.
async fn check_content_type(request: Request, next: Next) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let fits = match request.uri().path() {
        POLL => kind.is_empty() || kind.starts_with("application/json"),
        WS => kind.is_empty(),
        path => match check::content_type(path) {
            Some(taken) => kind == taken,
            None => kind.starts_with("application/x-www-form-urlencoded"),
        },
    };
    match request.method() == Method::POST && !fits {
        true => StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
        false => next.run(request).await,
    }
}

/// Answers 500 without details when a handler panics.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<Body> {
    tracing::error!("a handler panicked");
    let text = "something went wrong on the server";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
