//! The WebSocket of the room protocol.
//!
//! [`upgrade`] opens a WebSocket on a connection of HTTP/1.1, [`connect`] on a stream of HTTP/2;
//! [`check_upgrade`] returns the refusal of either. [`socket`]
//! reads frames for its [`Connection`](super::connection::Connection). Only [`writer`] writes.
//! [`read_half`] passes the responses of tungstenite to the writer.
//!
//! tungstenite parses inbound frames only. The writer sends bytes that are framed already: all
//! sockets of a room share the bytes of a broadcast ([`Frames`](crate::server::rooms::Frames)),
//! and tungstenite would frame the message for each socket.

mod read_half;
mod socket;
mod writer;

use super::connection::{ConnectionPermit, Transport, admit};
use crate::server::{
    context::AppContext,
    net::{ClientAddress, H2Stream, PermitError},
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use socket::Socket;
use std::sync::Arc;
use tungstenite::{error::ProtocolError, handshake::server::create_response_with_body};

/// The version of the protocol (RFC 6455 section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// `GET /ws`: answers 101, the refusal of [`admit`], or the error of the handshake.
pub async fn upgrade(
    State(context): State<AppContext>,
    Extension(client): Extension<ClientAddress>,
    mut request: Request,
) -> Response {
    let answer = match create_response_with_body(&request, Body::empty) {
        Ok(answer) => answer,
        Err(error) => return reject_handshake(&error),
    };
    let permit = match admit(&context, client, request.headers(), Transport::WebSocket) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(upgrading) = request.extensions_mut().remove::<OnUpgrade>() else {
        return reject_handshake(&ProtocolError::MissingConnectionUpgradeHeader.into());
    };
    context.http_metrics.websocket_opened(Version::HTTP_11);
    tokio::spawn(serve(context, client, permit, upgrading, None));
    answer
}

/// `CONNECT /ws` (RFC 8441): answers 200, the refusal of [`admit`], or the error of the handshake.
pub async fn connect(
    State(context): State<AppContext>,
    Extension(client): Extension<ClientAddress>,
    mut request: Request,
) -> Response {
    let extensions = request.extensions_mut();
    let protocol = extensions.remove::<Protocol>();
    let stream = extensions.remove::<Arc<H2Stream>>();
    let upgrading = extensions.remove::<OnUpgrade>();
    let (Some(protocol), Some(stream), Some(upgrading)) = (protocol, stream, upgrading) else {
        return reject_handshake(&ProtocolError::MissingUpgradeWebSocketHeader.into());
    };
    if protocol.as_str() != "websocket" {
        return StatusCode::NOT_IMPLEMENTED.into_response();
    }
    let headers = request.headers();
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let known = [(header::SEC_WEBSOCKET_VERSION, VERSION)];
        return (StatusCode::BAD_REQUEST, known).into_response();
    }
    let permit = match admit(&context, client, headers, Transport::WebSocket) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };
    if !stream.become_socket() {
        return PermitError::PerAddress.into_response();
    }
    context.http_metrics.websocket_opened(Version::HTTP_2);
    tokio::spawn(serve(context, client, permit, upgrading, Some(stream)));
    StatusCode::OK.into_response()
}

/// Serves a WebSocket once the client has the answer. `stream` is that of HTTP/2.
async fn serve(
    context: AppContext,
    client: ClientAddress,
    permit: ConnectionPermit,
    upgrading: OnUpgrade,
    stream: Option<Arc<H2Stream>>,
) {
    match upgrading.await {
        Ok(upgraded) => match Socket::open(context, upgraded, stream, client).await {
            Some(socket) => socket.serve().await,
            None => tracing::error!("a WebSocket is on no connection of the listener"),
        },
        Err(error) => tracing::debug!(%error, "a socket was not opened"),
    }
    drop(permit);
}

/// `POST /ws`: answers 204 if an upgrade would succeed, otherwise the refusal of the upgrade.
///
/// Scripts call this handler because browsers hide the response to a refused upgrade. Other layers
/// refuse a foreign origin and an unknown host before this handler.
pub async fn check_upgrade(
    State(context): State<AppContext>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Response {
    match admit(&context, client, &headers, Transport::WebSocket) {
        Ok(_) => {
            let headers = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::NO_CONTENT, headers).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Answers a request that is no valid handshake (RFC 6455 section 4.2.1): 426 without an upgrade,
/// 400 with a malformed one.
fn reject_handshake(error: &tungstenite::Error) -> Response {
    use ProtocolError::{MissingConnectionUpgradeHeader, MissingUpgradeWebSocketHeader};
    let has_no_upgrade = matches!(
        error,
        tungstenite::Error::Protocol(
            MissingConnectionUpgradeHeader | MissingUpgradeWebSocketHeader
        )
    );
    let status = match has_no_upgrade {
        true => StatusCode::UPGRADE_REQUIRED,
        false => StatusCode::BAD_REQUEST,
    };
    let headers = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "upgrade"),
    ];
    (status, headers, "this is a WebSocket: see docs/protocol.md").into_response()
}
