//! The WebSocket of the room protocol.
//!
//! [`upgrade`] opens a WebSocket, [`check_upgrade`] returns the refusal of an upgrade. [`socket`]
//! reads frames for its [`Connection`](super::connection::Connection). Only [`writer`] writes.
//! [`read_half`] passes the responses of tungstenite to the writer.
//!
//! tungstenite parses inbound frames only. The writer sends bytes that are framed already: all
//! sockets of a room share the bytes of a broadcast ([`Frames`](crate::server::rooms::Frames)),
//! and tungstenite would frame the message for each socket.

mod read_half;
mod socket;
mod writer;

use super::connection::{Transport, admit};
use crate::server::{context::AppContext, net::ClientAddress};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use socket::Socket;
use tungstenite::{error::ProtocolError, handshake::server::create_response_with_body};

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
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => match Socket::open(context, upgraded, client).await {
                Some(socket) => socket.serve().await,
                None => tracing::error!("a WebSocket is not on a TCP connection"),
            },
            Err(error) => tracing::debug!(%error, "a socket was not opened"),
        }
        drop(permit);
    });
    answer
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
