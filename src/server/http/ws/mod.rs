//! The socket of the room protocol.
//!
//! [`upgrade`] decides who gets one; [`connection`] reads it, [`dialogue`]
//! answers it, [`writer`] writes it; [`rates`]
//! holds what one socket may send, [`address`] what one address may hold. Every refusal
//! here is in `docs/protocol.md`.

mod address;
mod connection;
mod dialogue;
mod rates;
mod writer;

pub use address::Addresses;

use crate::{
    protocol::MAX_FRAME_BYTES,
    server::{context::AppContext, limits::MAX_SOCKETS},
};
use address::client_address;
use axum::{
    extract::{ConnectInfo, State, WebSocketUpgrade},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use std::net::SocketAddr;

/// What tungstenite takes before it gives a connection up: twice what the protocol allows,
/// so that a frame just too large is read to its end and its sender can still be told why.
const TRANSPORT_BYTES: usize = 2 * MAX_FRAME_BYTES;
/// Bytes read at once; chat frames are smaller, and 20 000 of them stay under 100 MiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that may wait inside the socket; the queue before it holds as much again.
const MAX_WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// `/ws`: 101, or 429 for too many sockets of one address, or 503 for too many in all.
pub async fn upgrade(
    State(context): State<AppContext>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let client = client_address(peer.ip(), &headers, &context.config.trusted_proxies);
    let Some(seat) = context
        .addresses
        .enter(client, context.config.sockets_per_address)
    else {
        let text = "too many connections from your address";
        return (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, "10")],
            text,
        )
            .into_response();
    };
    let Some(place) = context.gauges.clone().enter(MAX_SOCKETS) else {
        let text = "too many connections";
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "10")],
            text,
        )
            .into_response();
    };
    upgrade
        .max_message_size(TRANSPORT_BYTES)
        .max_frame_size(TRANSPORT_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .on_upgrade(move |socket| async move {
            connection::run(context, socket).await;
            drop((seat, place));
        })
}
