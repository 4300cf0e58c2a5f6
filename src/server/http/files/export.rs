//! Writes down the log of a room for a participant, as a file.
//!
//! The participant proves by the secret of the session, in a header, that they are in the room. The
//! log is read in pages while the client takes them, so an export holds no transaction and little
//! memory.

use super::download::{POLICY, disposition};
use crate::{
    protocol::{ErrorCode, FileName, REFUSAL_HEADER, RoomName, SESSION_HEADER, Seq, SessionToken},
    server::{
        context::AppContext,
        error::sentence,
        identity::participant_id,
        limits::{EXPORT_PAGE, EXPORT_QUOTES},
        log_throttle::{self, LogThrottle},
        net::{ClientAddress, Permit, PermitError, RequestKind, ban_network},
        rooms::{Reader, RoomError},
        store::{ExportWriter, Format, Store},
    },
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::{io, net::IpAddr, time::Instant};

/// Seconds after which a refused export may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");

/// The query of an export.
#[derive(serde::Deserialize)]
pub struct ExportQuery {
    /// The format of the file.
    format: Format,
}

/// Why an export is refused: its status, and the code for programs.
struct Refused(StatusCode, ErrorCode);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, code) = self;
        let text = match code {
            ErrorCode::TooManyMessages => "Too many exports; try again later.",
            code => sentence(code),
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        if let Ok(name) = HeaderValue::from_str(&code.name()) {
            headers.insert(HeaderName::from_static(REFUSAL_HEADER), name);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// An export that is being sent.
struct Export {
    /// Where the messages are.
    store: Store,
    /// The room that is written down.
    room: RoomName,
    /// Writes the messages in the format.
    writer: ExportWriter,
    /// What is written and not sent.
    written: Vec<u8>,
    /// `seq` of the last message that is written.
    after: Seq,
    /// `seq` of the last message when the export began; later ones are left out.
    last: Seq,
    /// When the export is given up.
    ends: Instant,
    /// The place among the exports at once.
    _permit: Permit,
}

/// `GET /room/{name}/export`: the log of a room, for a participant who is in it.
pub async fn serve(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    Path(room): Path<String>,
    Query(ExportQuery { format }): Query<ExportQuery>,
    headers: HeaderMap,
) -> Response {
    let export = match begin(&context, ip, (&room, format), &headers).await {
        Ok(export) => export,
        Err(refused) => return refused.into_response(),
    };
    let (media_type, ending) = match format {
        Format::Json => ("application/json", "json"),
        Format::Markdown => ("text/markdown; charset=utf-8", "md"),
    };
    let name = FileName::clean(&format!("{}.{ending}", export.room));
    let parts = stream::try_unfold(Some(export), |export| async move {
        match export {
            Some(export) => export.next_part().await.map(Some),
            None => Ok(None),
        }
    });
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Checks the session and the rates, and begins an export.
async fn begin(
    context: &AppContext,
    ip: IpAddr,
    (room, format): (&str, Format),
    headers: &HeaderMap,
) -> Result<Export, Refused> {
    let not_joined = || Refused(StatusCode::FORBIDDEN, ErrorCode::NotJoined);
    let unavailable = || Refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable);
    let room = RoomName::parse(room)
        .map_err(|_| Refused(StatusCode::BAD_REQUEST, ErrorCode::BadRoomName))?;
    let session = headers.get(SESSION_HEADER).and_then(|it| it.to_str().ok());
    let session = session.and_then(|text| SessionToken::parse(text).ok());
    let reader = Reader {
        id: participant_id(&session.ok_or_else(not_joined)?),
        network: ban_network(ip),
    };
    let is_here = context.rooms.is_here(&room, &reader).await;
    let is_here = is_here
        .map_err(|error: RoomError| Refused(StatusCode::SERVICE_UNAVAILABLE, error.code()))?;
    if !is_here {
        return Err(not_joined());
    }
    let permit = context.export_permits.acquire(ip).map_err(|error| {
        let status = match error {
            PermitError::PerAddress => StatusCode::TOO_MANY_REQUESTS,
            PermitError::Total => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refused(status, ErrorCode::TooManyMessages)
    })?;
    let charged = context.charge(RequestKind::Export, ip, 1);
    charged.map_err(|code| Refused(StatusCode::TOO_MANY_REQUESTS, code))?;
    let store = context.store.clone();
    let head = store.head(&room).await.map_err(|_| unavailable())?;
    let (epoch, last) = head.unwrap_or_else(|| (store.fresh_epoch(), 0));
    let writer = ExportWriter::new(format, EXPORT_QUOTES);
    let mut written = Vec::new();
    let begun = writer.begin(&mut written, &room, (&epoch, last));
    begun.map_err(|_| unavailable())?;
    Ok(Export {
        store,
        room,
        writer,
        written,
        after: 0,
        last,
        ends: Instant::now() + context.timing.export_lasts,
        _permit: permit,
    })
}

impl Export {
    /// The next part of the file, and the rest of the export unless that was all. A message that was
    /// edited or deleted since the beginning is written as it is now.
    async fn next_part(mut self) -> io::Result<(Bytes, Option<Self>)> {
        static FAILED: LogThrottle = LogThrottle::new();
        if Instant::now() > self.ends {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = self
            .store
            .after_without_links(&self.room, self.after, EXPORT_PAGE);
        let mut page = read.await.map_err(|error| {
            log_throttle::error(&FAILED, &error, "a room could not be exported");
            io::Error::other(error)
        })?;
        page.retain(|message| message.seq <= self.last);
        for message in &page {
            self.writer.add(&mut self.written, message)?;
        }
        let written = |export: &mut Self| Bytes::from(std::mem::take(&mut export.written));
        match page.last() {
            Some(message) if message.seq < self.last => {
                self.after = message.seq;
                Ok((written(&mut self), Some(self)))
            }
            Some(_) | None => {
                self.writer.end(&mut self.written)?;
                Ok((written(&mut self), None))
            }
        }
    }
}
