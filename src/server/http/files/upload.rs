//! Receives files: the tus protocol 1.0 (<https://tus.io/protocols/resumable-upload>) with its
//! extensions creation, expiration and termination.
//!
//! A refusal says its reason as the `error` of the room protocol does: the code in `Noom-Refusal`,
//! and a sentence in the body.

use crate::{
    protocol::{
        ErrorCode, FileId, FileName, ParticipantId, REFUSAL_HEADER, RoomName, SESSION_HEADER,
        SessionToken,
    },
    server::{
        context::AppContext,
        error::sentence,
        files::{NewUpload, UploadError, Writing},
        identity::participant_id,
        limits::MIN_ANSWER_RATE,
        log_throttle::{self, LogThrottle},
        net::{ClientAddress, PermitError, RequestKind, ban_network},
    },
};
use axum::{
    Extension,
    body::{Body, BodyDataStream},
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::{
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};
use tokio::time::{error::Elapsed, timeout};

/// The version of tus.
const TUS_VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
/// The header with the version of tus.
const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// The header with the size of the whole file.
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// The header with the number of received bytes.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The header with the name of the file.
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// The header with the time at which an unfinished upload is forgotten.
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The media type of the body that continues an upload.
const OFFSET_STREAM: &str = "application/offset+octet-stream";
/// Longest name in the metadata, in letters of base64: 255 bytes of UTF-8 may come from a name four
/// times as long.
const MAX_NAME_LETTERS: usize = 4096;
/// Seconds after which a refused upload may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// Why a request is refused: its status, and the code for programs.
pub(super) struct Refused(StatusCode, ErrorCode);

impl Refused {
    /// A refusal by the room.
    fn by_room(code: ErrorCode) -> Self {
        Self(StatusCode::FORBIDDEN, code)
    }

    /// The code for programs.
    pub(super) fn code(&self) -> ErrorCode {
        self.1
    }

    /// A malformed request.
    const MALFORMED: Self = Self(StatusCode::BAD_REQUEST, ErrorCode::BadMessage);
}

impl From<UploadError> for Refused {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::NotFound => Self(StatusCode::NOT_FOUND, ErrorCode::NoSuchFile),
            UploadError::WrongOffset(_) => Self(StatusCode::CONFLICT, ErrorCode::BadMessage),
            UploadError::TooLarge => Self(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::FileTooLarge),
            UploadError::TooMany => Self(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyUploads),
            UploadError::NoSpace => Self(
                StatusCode::INSUFFICIENT_STORAGE,
                ErrorCode::ServerStorageFull,
            ),
            UploadError::Interrupted => Self(StatusCode::CONFLICT, ErrorCode::Busy),
            UploadError::Disk(error) => {
                static FAILED: LogThrottle = LogThrottle::new();
                log_throttle::error(&FAILED, &error, "an upload could not be written");
                Self(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, code) = self;
        let mut response = (status, sentence(code)).into_response();
        let headers = response.headers_mut();
        if let Ok(name) = HeaderValue::from_str(&code.name()) {
            headers.insert(HeaderName::from_static(REFUSAL_HEADER), name);
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        with_version(response)
    }
}

/// Adds the headers of every answer.
fn with_version(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(TUS_RESUMABLE, TUS_VERSION);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Who uploads, to which room.
struct Uploader {
    /// The participant who uploads.
    id: ParticipantId,
    /// The room to which the file is sent.
    room: RoomName,
}

/// Checks the version of tus, the session and the right to send files in the room.
async fn authorize(
    context: &AppContext,
    room: &str,
    headers: &HeaderMap,
) -> Result<Uploader, Refused> {
    if headers.get(TUS_RESUMABLE) != Some(&TUS_VERSION) {
        return Err(Refused(
            StatusCode::PRECONDITION_FAILED,
            ErrorCode::BadMessage,
        ));
    }
    if context.store.uploads().limits().max_file_bytes == 0 {
        return Err(Refused::by_room(ErrorCode::FilesOff));
    }
    let session = headers.get(SESSION_HEADER).and_then(|it| it.to_str().ok());
    let session = session.and_then(|text| SessionToken::parse(text).ok());
    let session = session.ok_or(Refused::by_room(ErrorCode::NotJoined))?;
    let room = RoomName::parse(room)
        .map_err(|_| Refused(StatusCode::BAD_REQUEST, ErrorCode::BadRoomName))?;
    let id = participant_id(&session);
    let allowed = context.rooms.may_upload(&room, &id).await;
    allowed.map_err(Refused::by_room)?;
    Ok(Uploader { id, room })
}

/// `OPTIONS`: what this server knows of tus.
pub async fn options(State(context): State<AppContext>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let name = HeaderName::from_static;
    let extensions = HeaderValue::from_static("creation,expiration,termination");
    headers.insert(name("tus-version"), TUS_VERSION);
    headers.insert(name("tus-extension"), extensions);
    let max = context.store.uploads().limits().max_file_bytes;
    headers.insert(name("tus-max-size"), HeaderValue::from(max));
    with_version(response)
}

/// `POST`: begins an upload.
pub async fn begin(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Response {
    let begun = try_begin(&context, ip, &room, &headers).await;
    let (room, id) = match begun {
        Ok(begun) => begun,
        Err(refused) => return refused.into_response(),
    };
    let path = format!("/uploads/{}/{}", room.path_segment(), id.as_str());
    let json = serde_json::json!({ "id": id });
    let mut response = (StatusCode::CREATED, axum::Json(json)).into_response();
    if let Ok(location) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    with_version(with_end(response, context.timing.upload_lasts))
}

/// Begins an upload. Returns its room and its id.
async fn try_begin(
    context: &AppContext,
    ip: IpAddr,
    room: &str,
    headers: &HeaderMap,
) -> Result<(RoomName, FileId), Refused> {
    let Uploader { id: owner, room } = authorize(context, room, headers).await?;
    if headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_TYPE)
    {
        return Err(Refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadMessage,
        ));
    }
    let length = number(headers, &UPLOAD_LENGTH).ok_or(Refused::MALFORMED)?;
    let uploads = context.store.uploads();
    if !(1..=uploads.limits().max_file_bytes).contains(&length) {
        return Err(UploadError::TooLarge.into());
    }
    let name = file_name(headers).ok_or(Refused::MALFORMED)?;
    let unavailable = |_| Refused(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable);
    let stored = context.store.file_bytes(&room).await.map_err(unavailable)?;
    if let Some(full) = context.config.store.quota.refuses_files(stored, length) {
        return Err(Refused(StatusCode::INSUFFICIENT_STORAGE, full.code()));
    }
    let bytes = u32::try_from(length).unwrap_or(u32::MAX);
    for (kind, amount) in [(RequestKind::Upload, 1), (RequestKind::UploadBytes, bytes)] {
        let charged = context.charge(kind, ip, amount);
        charged.map_err(|code| Refused(StatusCode::TOO_MANY_REQUESTS, code))?;
    }
    let new = NewUpload {
        owner,
        room: room.clone(),
        network: ban_network(ip),
        name,
        length,
    };
    Ok((room, uploads.begin(new, Instant::now())?))
}

/// `HEAD`: how far an upload is.
pub async fn progress(
    State(context): State<AppContext>,
    Path((room, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let Uploader { id: owner, room } = authorize(&context, &room, &headers).await?;
        let id = FileId::parse(&id).map_err(|_| Refused::from(UploadError::NotFound))?;
        let progress = context.store.uploads().progress(&id, &owner, &room).await;
        progress.map_err(Refused::from)
    };
    match found.await {
        Err(refused) => refused.into_response(),
        Ok(progress) => {
            let mut response = at_offset(StatusCode::OK, progress.offset);
            let length = HeaderValue::from(progress.length);
            response.headers_mut().insert(UPLOAD_LENGTH, length);
            with_end(response, context.timing.upload_lasts)
        }
    }
}

/// `DELETE`: ends an upload.
pub async fn end(
    State(context): State<AppContext>,
    Path((room, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Uploader { id: owner, room } = match authorize(&context, &room, &headers).await {
        Ok(uploader) => uploader,
        Err(refused) => return refused.into_response(),
    };
    let uploads = context.store.uploads();
    let ended = FileId::parse(&id).is_ok_and(|id| uploads.end(&id, &owner, &room));
    match ended {
        true => with_version(StatusCode::NO_CONTENT.into_response()),
        false => Refused::from(UploadError::NotFound).into_response(),
    }
}

/// `PATCH`: continues an upload at its offset.
pub async fn append(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    Path((room, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match try_append(&context, ip, (&room, &id), &headers, body).await {
        Ok(offset) => {
            let response = at_offset(StatusCode::NO_CONTENT, offset);
            with_end(response, context.timing.upload_lasts)
        }
        Err(refused) => {
            let mut response = refused.into_response();
            // The rest of the body is not read.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            response
        }
    }
}

/// Continues an upload. Returns its offset.
async fn try_append(
    context: &AppContext,
    ip: IpAddr,
    (room, id): (&str, &str),
    headers: &HeaderMap,
    body: Body,
) -> Result<u64, Refused> {
    let is_stream = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)
        == Some(OFFSET_STREAM.as_bytes());
    if !is_stream || headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadMessage,
        ));
    }
    let offset = number(headers, &UPLOAD_OFFSET).ok_or(Refused::MALFORMED)?;
    let Uploader { id: owner, room } = authorize(context, room, headers).await?;
    let id = FileId::parse(id).map_err(|_| Refused::from(UploadError::NotFound))?;
    let _permit = context.upload_permits.acquire(ip).map_err(|error| {
        let status = match error {
            PermitError::PerAddress => StatusCode::TOO_MANY_REQUESTS,
            PermitError::Total => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refused(status, ErrorCode::TooManyUploads)
    })?;
    let uploads = context.store.uploads();
    let mut writing = uploads.resume(&id, &owner, &room, offset).await?;
    let received = receive(&mut writing, body, context.timing.upload_stall).await;
    // What has arrived is kept, whatever ended the request.
    let offset = writing.flush().await?;
    received.map(|()| offset)
}

/// The next bytes of a body; nothing at its end.
///
/// # Errors
/// Nothing comes in time.
pub(super) async fn next_bytes(
    body: &mut BodyDataStream,
    stall: Duration,
) -> Result<Option<Result<Bytes, axum::Error>>, Elapsed> {
    timeout(stall, body.next()).await
}

/// Receives the body of a request.
///
/// # Errors
/// The client sends too little, or too much, or another request takes over.
async fn receive(writing: &mut Writing, body: Body, stall: Duration) -> Result<(), Refused> {
    let too_slow = || Refused(StatusCode::REQUEST_TIMEOUT, ErrorCode::Unavailable);
    let (mut body, started) = (body.into_data_stream(), Instant::now());
    let start = writing.received();
    loop {
        let next = tokio::select! {
            next = next_bytes(&mut body, stall) => next.map_err(|_| too_slow())?,
            () = writing.interrupted() => return Err(UploadError::Interrupted.into()),
        };
        let bytes = match next {
            None => return Ok(()),
            // The connection is lost, and with it the answer.
            Some(Err(_)) => return Err(Refused::MALFORMED),
            Some(Ok(bytes)) => bytes,
        };
        writing.push(bytes).await?;
        let received = writing.received().saturating_sub(start);
        let allowed = stall + Duration::from_secs(received / u64::from(MIN_ANSWER_RATE));
        if writing.missing() > 0 && started.elapsed() > allowed {
            return Err(too_slow());
        }
    }
}

/// An answer with the offset of an upload.
fn at_offset(status: StatusCode, offset: u64) -> Response {
    let mut response = status.into_response();
    let offset = HeaderValue::from(offset);
    response.headers_mut().insert(UPLOAD_OFFSET, offset);
    with_version(response)
}

/// Adds the time at which an upload is forgotten if nothing more comes.
fn with_end(mut response: Response, lasts: Duration) -> Response {
    let end = SystemTime::now() + lasts;
    if let Ok(end) = HeaderValue::from_str(&httpdate::fmt_http_date(end)) {
        response.headers_mut().insert(UPLOAD_EXPIRES, end);
    }
    response
}

/// A header that holds a number.
fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The name of the file in the metadata: `filename` with the name in base64. Without one the file is
/// called `file`; `None` if the metadata cannot be read.
fn file_name(headers: &HeaderMap) -> Option<FileName> {
    let Some(metadata) = headers.get(UPLOAD_METADATA) else {
        return Some(FileName::clean(""));
    };
    for pair in metadata.to_str().ok()?.split(',') {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        if key == "filename" {
            if value.len() > MAX_NAME_LETTERS {
                return None;
            }
            let name = BASE64_STANDARD.decode(value.trim()).ok()?;
            return Some(FileName::clean(&String::from_utf8_lossy(&name)));
        }
    }
    Some(FileName::clean(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name in a request with this metadata.
    fn name_in(metadata: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(UPLOAD_METADATA, metadata.parse().expect("a header"));
        file_name(&headers).map(String::from)
    }

    #[test]
    fn the_name_of_a_file_is_in_the_metadata_and_cleaned() {
        let encoded = |name: &str| BASE64_STANDARD.encode(name);
        let metadata = format!("filetype dGV4dA==,filename {}", encoded("../보고서.pdf"));
        assert_eq!(name_in(&metadata).as_deref(), Some("보고서.pdf"));
        for unnamed in ["filename", "is_confidential", ""] {
            assert_eq!(name_in(unnamed).as_deref(), Some("file"), "{unnamed}");
        }
        assert_eq!(name_in("filename %%%"), None);
        assert_eq!(name_in(&format!("filename {}", "A".repeat(5000))), None);
        assert_eq!(
            file_name(&HeaderMap::new()).map(String::from).as_deref(),
            Some("file")
        );
    }

    #[test]
    fn a_number_in_a_header_has_digits_only() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(UPLOAD_LENGTH, HeaderValue::from_static(text));
            number(&headers, &UPLOAD_LENGTH)
        };
        assert_eq!(read("12"), Some(12));
        for text in ["", "-1", "+1", "1.5", "1e3", "99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
