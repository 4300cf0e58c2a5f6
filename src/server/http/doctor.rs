//! `POST /doctor` of the metrics listener: the checks, for `noom doctor` on this machine.

use crate::{
    i18n::Locale,
    server::{
        addresses::machine_addresses,
        context::AppContext,
        doctor,
        net::{forwarded, is_exempt},
    },
};
use axum::{
    Json,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use std::net::SocketAddr;

/// Runs the checks for a program of this machine. A page cannot send the header without asking
/// first (CORS), which nothing here allows.
pub async fn run(
    State(context): State<AppContext>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let ip = peer.ip().to_canonical();
    let is_local = is_exempt(ip) || machine_addresses().contains(&ip);
    if !is_local || forwarded::has_forwarding(&headers) || !headers.contains_key(doctor::HEADER) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match doctor::run(&context).await {
        Some(report) => {
            let caching = [(header::CACHE_CONTROL, "no-store")];
            (caching, Json(report.findings(Locale::en))).into_response()
        }
        None => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}
