//! The WebSocket of the room protocol.
//!
//! [`upgrade`] answers who asks for one, [`check_upgrade`] who asks why there is none; [`socket`] reads it for its
//! [`Connection`](super::connection::Connection), [`writer`] is the only one that writes it,
//! and [`read_half`] brings it what reading asks to be answered.
//!
//! Frames are read by tungstenite. They are written as they are: whatever a room tells is one
//! run of bytes for all its sockets ([`Frames`](crate::server::rooms::Frames)), which a
//! library that frames each message for each socket could not share.

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
                None => tracing::error!("a socket came over something else than TCP"),
            },
            Err(error) => tracing::debug!(%error, "a socket was not opened"),
        }
        drop(permit);
    });
    answer
}

/// `POST /ws`: whether an upgrade would be answered 101. 204, or the refusal of the upgrade.
///
/// For pages: a browser tells them nothing of an upgrade that was refused. What other layers
/// refuse (a foreign origin, an unknown host) does not come as far as this.
pub async fn check_upgrade(
    State(context): State<AppContext>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Response {
    match admit(&context, client, &headers, Transport::WebSocket) {
        Ok(_) => {
            let fresh = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::NO_CONTENT, fresh).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Says what a request lacks to become a socket (RFC 6455, 4.2.1): the upgrade as a whole is
/// 426, a part of it 400.
fn reject_handshake(error: &tungstenite::Error) -> Response {
    use ProtocolError::{MissingConnectionUpgradeHeader, MissingUpgradeWebSocketHeader};
    let asks_for_none = matches!(
        error,
        tungstenite::Error::Protocol(
            MissingConnectionUpgradeHeader | MissingUpgradeWebSocketHeader
        )
    );
    let status = match asks_for_none {
        true => StatusCode::UPGRADE_REQUIRED,
        false => StatusCode::BAD_REQUEST,
    };
    let headers = [
        (header::UPGRADE, "websocket"),
        (header::CONNECTION, "upgrade"),
    ];
    (status, headers, "this is a WebSocket: see docs/protocol.md").into_response()
}
