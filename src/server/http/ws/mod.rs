//! The WebSocket of the room protocol.
//!
//! [`upgrade`] answers who asks for one; [`socket`] reads it for its
//! [`Connection`](super::connection::Connection), [`writer`] writes it.

mod socket;
mod writer;

use super::connection::admit;
use crate::{protocol::MAX_FRAME_BYTES, server::context::AppContext};
use axum::{
    extract::{ConnectInfo, State, WebSocketUpgrade},
    response::{IntoResponse, Response},
};
use http::HeaderMap;
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

/// `/ws`: 101, or the refusal of [`admit`].
pub async fn upgrade(
    State(context): State<AppContext>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let admission = match admit(&context, peer.ip(), &headers) {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    upgrade
        .max_message_size(TRANSPORT_BYTES)
        .max_frame_size(TRANSPORT_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .on_upgrade(move |socket| async move {
            socket::run(context, socket).await;
            drop(admission);
        })
}
