//! Receives a message with files by the form of the page, for browsers without script.
//!
//! The files become uploads of the author as they arrive; then the form is posted as one without files
//! is. Whatever ends the request before leaves nothing.

use super::{
    multipart::{Field, Part, Reader},
    upload::{Refused, next_bytes},
};
use crate::{
    api,
    protocol::{ErrorCode, FileId, FileName, MAX_MESSAGE_FILES, RoomName, SessionToken},
    server::{
        context::AppContext,
        files::{NewUpload, UploadError, Uploads, Writing},
        http::IsHttps,
        identity::{new_session_token, participant_id},
        limits::{MAX_BODY_BYTES, MIN_ANSWER_RATE},
        net::{ClientAddress, PermitError, RequestKind, ban_network},
        rooms::RoomError,
    },
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use leptos::{prelude::provide_context, server_fn::ServerFn};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// Most fields of a form: the files, the text, and what a page adds.
const MAX_FIELDS: usize = MAX_MESSAGE_FILES + 10;
/// The media type of the form without files.
const URL_ENCODED: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The files of a form that is posted, as the handler of forms finds them in the request.
#[derive(Debug, Clone)]
pub struct FormFiles {
    /// The finished uploads, in the order of the form.
    pub files: Vec<FileId>,
    /// The secret of the author's device, to whom the uploads belong.
    pub device: SessionToken,
    /// Why the message is not to be stored, if its files were refused.
    pub refused: Option<ErrorCode>,
}

/// Why a form is not received.
enum FormError {
    /// The answer is this status, without more.
    Status(StatusCode),
    /// Nothing was read; the page of the room says why.
    Unread(ErrorCode),
}

/// `POST /uploads/{room}/message`: a message with files.
pub async fn post(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    Path(room): Path<String>,
    request: Request,
) -> Response {
    let Ok(room) = RoomName::parse(&room) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (parts, body) = request.into_parts();
    let device = api::device_of(
        &parts.headers,
        parts.extensions.get() == Some(&IsHttps(true)),
    );
    let device = device.unwrap_or_else(new_session_token);
    let mut form = ReceivedForm::new(&context, room.clone(), ip, device);
    match receive(&context, &parts.headers, body, &mut form).await {
        Ok(refused) => post_received(&context, parts, &form, refused).await,
        // The rest of the body is not read.
        Err(FormError::Status(status)) => {
            let close = [(header::CONNECTION, "close")];
            (status, close).into_response()
        }
        Err(FormError::Unread(code)) => {
            context.rooms.metrics().refused(code, true);
            let path = format!("{}?refused={}", room.path(), code.name());
            let headers = [
                (header::LOCATION, path),
                (header::CONNECTION, "close".to_owned()),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
    }
}

/// Posts a form that was received, as the form without files is posted. One with `refused` stores
/// nothing, and its page says why.
async fn post_received(
    context: &AppContext,
    mut parts: Parts,
    form: &ReceivedForm,
    refused: Option<ErrorCode>,
) -> Response {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let text = String::from_utf8_lossy(&form.text);
    let mut fields = format!("room={}&text={}", encode(form.room.as_str()), encode(&text));
    for (is_set, field) in [(form.private, "&private=1"), (form.plain, "&plain=1")] {
        if is_set {
            fields.push_str(field);
        }
    }
    parts.uri = http::Uri::from_static(api::PostMessage::PATH);
    parts.headers.insert(header::CONTENT_TYPE, URL_ENCODED);
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(fields.len()));
    parts.extensions.insert(FormFiles {
        files: form.files.clone(),
        device: form.device.clone(),
        refused,
    });
    let request = Request::from_parts(parts, Body::from(fields));
    let provided = context.clone();
    let provide = move || provide_context(provided.clone());
    leptos_axum::handle_server_fns_with_context(provide, request)
        .await
        .into_response()
}

/// Receives a form; returns why its files are refused. A form that is refused is read to its end,
/// because a browser shows no answer before it has sent everything.
async fn receive(
    context: &AppContext,
    headers: &HeaderMap,
    body: Body,
    form: &mut ReceivedForm,
) -> Result<Option<ErrorCode>, FormError> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|it: &HeaderValue| it.to_str().ok())
    };
    let reader = text(header::CONTENT_TYPE).and_then(Reader::of);
    let Some(mut reader) = reader.filter(|_| !headers.contains_key(header::CONTENT_ENCODING))
    else {
        return Err(FormError::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    };
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let length = length.ok_or(FormError::Status(StatusCode::LENGTH_REQUIRED))?;
    let files = MAX_MESSAGE_FILES as u64;
    let most = context.store.uploads().limits().max_file_bytes * files + MAX_BODY_BYTES as u64;
    if length > most {
        return Err(FormError::Unread(ErrorCode::FileTooLarge));
    }
    let permit = context.upload_permits.acquire(form.ip);
    let _permit = permit.map_err(|error| match error {
        PermitError::PerAddress | PermitError::Total => {
            FormError::Unread(ErrorCode::TooManyUploads)
        }
    })?;
    (form.left, form.length) = (length, length);
    let mut body = body.into_data_stream();
    let stall = context.timing.upload_stall;
    let (started, mut received) = (Instant::now(), 0_u64);
    let mut refused = None;
    loop {
        let timed_out = FormError::Status(StatusCode::REQUEST_TIMEOUT);
        let bytes = match next_bytes(&mut body, stall).await {
            Err(_) => return Err(timed_out),
            Ok(None) => break,
            // The connection is lost, and with it the answer.
            Ok(Some(Err(_))) => return Err(FormError::Status(StatusCode::BAD_REQUEST)),
            Ok(Some(Ok(bytes))) => bytes,
        };
        let malformed = |_| FormError::Status(StatusCode::BAD_REQUEST);
        for part in reader.feed(&bytes).map_err(malformed)? {
            if refused.is_none() {
                refused = form.take(context, part).await.err();
            }
        }
        received += bytes.len() as u64;
        form.left = length.saturating_sub(received);
        let allowed = stall + Duration::from_secs(received / u64::from(MIN_ANSWER_RATE));
        if started.elapsed() > allowed {
            return Err(timed_out);
        }
    }
    match reader.is_over() {
        true => Ok(refused),
        false => Err(FormError::Status(StatusCode::BAD_REQUEST)),
    }
}

/// The field that arrives.
enum Current {
    /// A field without effect.
    Ignored,
    /// The text of the message.
    Text,
    /// A file, which is an upload from its first byte on.
    File(String, Option<Writing>),
}

/// What was received of a form. Ends its uploads when dropped; those that a message has are no longer
/// among them.
struct ReceivedForm {
    /// The room of the message.
    room: RoomName,
    /// The address of the author.
    ip: IpAddr,
    /// The secret of the author's device.
    device: SessionToken,
    /// Where uploads are.
    uploads: Uploads,
    /// Bytes of the whole form.
    length: u64,
    /// Bytes of the form that have not arrived, the present part included.
    left: u64,
    /// Fields so far.
    fields: usize,
    /// The field that arrives.
    current: Current,
    /// The text of the message.
    text: Vec<u8>,
    /// Whether the message opens a private room.
    private: bool,
    /// Whether the form is on a page without script.
    plain: bool,
    /// The uploads, in the order of the form.
    files: Vec<FileId>,
}

impl ReceivedForm {
    fn new(context: &AppContext, room: RoomName, ip: IpAddr, device: SessionToken) -> Self {
        Self {
            room,
            ip,
            device,
            uploads: context.store.uploads().clone(),
            length: 0,
            left: 0,
            fields: 0,
            current: Current::Ignored,
            text: Vec::new(),
            private: false,
            plain: false,
            files: Vec::new(),
        }
    }

    /// Takes the next part of the form.
    async fn take(&mut self, context: &AppContext, part: Part) -> Result<(), ErrorCode> {
        match part {
            Part::Begin(field) => self.begin(field),
            Part::Bytes(bytes) => match &mut self.current {
                Current::Ignored => Ok(()),
                Current::Text if self.text.len() + bytes.len() > MAX_BODY_BYTES => {
                    Err(ErrorCode::MessageTooLong)
                }
                Current::Text => {
                    self.text.extend(bytes);
                    Ok(())
                }
                Current::File(_, Some(writing)) => {
                    writing.push(bytes.into()).await.map_err(code_of)
                }
                Current::File(name, None) => {
                    let name = FileName::clean(name);
                    let mut writing = self.begin_upload(context, name).await?;
                    writing.push(bytes.into()).await.map_err(code_of)?;
                    self.current = Current::File(String::new(), Some(writing));
                    Ok(())
                }
            },
            Part::End => match std::mem::replace(&mut self.current, Current::Ignored) {
                Current::Ignored | Current::Text => Ok(()),
                Current::File(_, Some(writing)) => writing.close().await.map_err(code_of),
                // What a browser sends where no file is chosen.
                Current::File(name, None) if name.is_empty() => Ok(()),
                Current::File(_, None) => Err(ErrorCode::FileTooLarge),
            },
        }
    }

    fn begin(&mut self, field: Field) -> Result<(), ErrorCode> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(ErrorCode::TooManyFiles);
        }
        self.current = match (field.name.as_str(), field.file_name) {
            ("file", Some(name)) => Current::File(name, None),
            ("text", None) => Current::Text,
            (name, _) => {
                self.private |= name == "private";
                self.plain |= name == "plain";
                Current::Ignored
            }
        };
        Ok(())
    }

    /// Begins the upload of a file. Before the first one the room decides, so that nobody sends it
    /// bytes in vain.
    async fn begin_upload(
        &mut self,
        context: &AppContext,
        name: FileName,
    ) -> Result<Writing, ErrorCode> {
        let max_bytes = self.uploads.limits().max_file_bytes;
        if max_bytes == 0 {
            return Err(ErrorCode::FilesOff);
        }
        if self.files.len() >= MAX_MESSAGE_FILES {
            return Err(ErrorCode::TooManyFiles);
        }
        context.charge(RequestKind::Upload, self.ip, 1)?;
        let owner = participant_id(&self.device);
        let network = ban_network(self.ip);
        if self.files.is_empty() {
            context.charge_new_room(&self.room, self.ip).await?;
            let room = context.rooms.open(&self.room).map_err(RoomError::code)?;
            room.may_share(owner.clone(), network).await?;
            let stored = context.store.file_bytes(&self.room).await;
            let stored = stored.map_err(|_| ErrorCode::Unavailable)?;
            if let Some(full) = context.config.store.quota.refuses_files(stored, self.left) {
                return Err(full.code());
            }
            let bytes = u32::try_from(self.length).unwrap_or(u32::MAX);
            context.charge(RequestKind::UploadBytes, self.ip, bytes)?;
        }
        let new = NewUpload {
            owner: owner.clone(),
            room: self.room.clone(),
            network,
            name,
            length: self.left.min(max_bytes),
        };
        let id = self.uploads.begin(new, Instant::now()).map_err(code_of)?;
        self.files.push(id.clone());
        let writing = self.uploads.resume(&id, &owner, &self.room, 0).await;
        writing.map_err(code_of)
    }
}

impl Drop for ReceivedForm {
    fn drop(&mut self) {
        let owner = participant_id(&self.device);
        for id in &self.files {
            self.uploads.end(id, &owner, &self.room);
        }
    }
}

/// The code of a failed upload.
fn code_of(error: UploadError) -> ErrorCode {
    Refused::from(error).code()
}
