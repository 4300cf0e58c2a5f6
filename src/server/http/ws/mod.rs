//! The WebSocket of the room protocol.
//!
//! [`upgrade`] opens one, [`check_upgrade`] explains why an upgrade would be refused. [`socket`]
//! reads frames for its [`Connection`](super::connection::Connection); [`writer`] alone writes;
//! [`read_half`] passes tungstenite's own answers to the writer.
//!
//! tungstenite reads the frames. The writer sends bytes as they are: a broadcast is one run of
//! bytes for all sockets of a room ([`Frames`](crate::server::rooms::Frames)), which a library
//! that frames each message for each socket could not share.

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

/// `/ws`: 101, the refusal of [`admit`], or what was wrong with the handshake.
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

/// `POST /ws`: whether an upgrade would be answered 101. 204, or the refusal of the upgrade.
///
/// For pages: a browser hides the answer to a refused upgrade from them. Other layers refuse a
/// foreign origin and an unknown host before this handler.
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
