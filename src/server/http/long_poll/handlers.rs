//! The handlers of `/poll`.
//!
//! A header carries the secret of the connection. The URL does not, because proxies log URLs, and a
//! reader of the log could impersonate the participant.

use super::{
    inbound::{Batch, ClientInput, frames},
    registry::PollHandle,
    responder::PollRequest,
    task,
};
use crate::server::{
    context::AppContext,
    http::connection::{Transport, admit},
    net::ClientAddress,
};
use axum::{
    Extension,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use tokio::sync::oneshot;

/// The header with the secret of a connection.
const CONNECTION: &str = "noom-connection";

/// The query of a POST.
#[derive(Deserialize)]
pub struct PostQuery {
    /// The number of this batch.
    batch: Option<u64>,
    /// Closes the connection with this code.
    close: Option<u16>,
}

/// The query of a GET.
#[derive(Deserialize)]
pub struct GetQuery {
    /// The number of the last frame the client has.
    after: u64,
}

/// `POST /poll`: opens a connection, submits a batch, or closes.
pub async fn post(
    State(context): State<AppContext>,
    Extension(client): Extension<ClientAddress>,
    Query(query): Query<PostQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(secret) = secret(&headers) else {
        return open(context, client, &headers);
    };
    let handle = context.polls.find(secret);
    match (handle, query.close, query.batch) {
        (handle, Some(code), _) => close(handle, code).await,
        (None, None, _) => unknown_connection(),
        (Some(handle), None, Some(number)) => submit_batch(&handle, number, &body).await,
        (Some(_), None, None) => refuse(StatusCode::BAD_REQUEST, "batch or close is missing"),
    }
}

/// `GET /poll`: answers with the next frames, or with none after a timeout.
pub async fn get(
    State(context): State<AppContext>,
    Query(query): Query<GetQuery>,
    headers: HeaderMap,
) -> Response {
    let Some(secret) = secret(&headers) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the header noom-connection is missing",
        );
    };
    let Some(handle) = context.polls.find(secret) else {
        return unknown_connection();
    };
    // If the mailbox is full, the inputs in it keep the connection alive.
    let _ = handle.inputs.try_send(ClientInput::KeepAlive);
    let (answer, response) = oneshot::channel();
    let after = query.after;
    if handle
        .requests
        .send(PollRequest { after, answer })
        .await
        .is_err()
    {
        return unknown_connection();
    }
    match response.await {
        Ok(Ok(json)) => answer_json(StatusCode::OK, json),
        Ok(Err(_)) => refuse(StatusCode::CONFLICT, "these frames are not here"),
        Err(_) => unknown_connection(),
    }
}

/// The secret of the connection. A header that is not ASCII matches no connection.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let secret = headers.get(CONNECTION)?;
    Some(secret.to_str().unwrap_or_default())
}

/// Opens a connection and answers with its secret.
fn open(context: AppContext, client: ClientAddress, headers: &HeaderMap) -> Response {
    match admit(&context, client, headers, Transport::LongPoll) {
        Ok(permit) => {
            let secret = task::open(context, client, permit);
            let json = format!("{{\"connection\":\"{secret}\"}}");
            answer_json(StatusCode::CREATED, json)
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Submits a batch of frames. Answers after all of them have been processed.
async fn submit_batch(handle: &PollHandle, number: u64, body: &[u8]) -> Response {
    let Some(frames) = frames(body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is no JSON array");
    };
    let (done, all_processed) = oneshot::channel();
    let batch = Batch {
        number,
        frames,
        done,
    };
    if handle.inputs.send(ClientInput::Batch(batch)).await.is_err() {
        return unknown_connection();
    }
    match all_processed.await {
        Ok(Ok(())) => no_content(),
        Ok(Err(_)) => refuse(StatusCode::CONFLICT, "a batch before this one is missing"),
        Err(_) => unknown_connection(),
    }
}

/// Closes a connection. A connection that has ended already counts as closed.
async fn close(handle: Option<PollHandle>, code: u16) -> Response {
    if let Some(handle) = handle {
        let _ = handle.inputs.send(ClientInput::Close(code)).await;
    }
    no_content()
}

fn no_content() -> Response {
    (
        StatusCode::NO_CONTENT,
        [(header::CACHE_CONTROL, "no-store")],
    )
        .into_response()
}

/// The response for a secret without an open connection.
fn unknown_connection() -> Response {
    refuse(StatusCode::NOT_FOUND, "no such connection")
}

/// A refusal with a text for people.
fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// A response with a JSON body.
fn answer_json(status: StatusCode, json: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (status, headers, json).into_response()
}
