//! The requests of an upload (tus 1.0, docs/protocol.md "Files").

use crate::paths::address;
use crate::protocol::{ErrorCode, FileId, REFUSAL_HEADER, RoomName, SESSION_HEADER, SessionToken};
use crate::state::uploads::{Failure, base64};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestInit, Response};

/// The header with the number of received bytes.
const UPLOAD_OFFSET: &str = "upload-offset";

/// Who uploads to which room, and how the requests are aborted.
pub struct Uploader {
    /// The room to which the file is sent.
    pub room: RoomName,
    /// The secret of this participant's session.
    pub session: SessionToken,
    /// Aborts the requests.
    pub signal: AbortSignal,
}

impl Uploader {
    /// Begins an upload.
    ///
    /// # Errors
    /// A [`Failure`].
    pub async fn begin(&self, name: &str, size: u64) -> Result<FileId, Failure> {
        let headers = [
            ("upload-length", size.to_string()),
            ("upload-metadata", format!("filename {}", base64(name))),
        ];
        let answer = self.request("POST", None, &headers, None).await?;
        let place = header(&answer, "location").ok_or(Failure::Lost)?;
        let id = place.rsplit('/').next().map(FileId::parse);
        id.and_then(Result::ok).ok_or(Failure::Lost)
    }

    /// Asks how many bytes the server has.
    ///
    /// # Errors
    /// A [`Failure`].
    pub async fn ask(&self, file: &FileId) -> Result<u64, Failure> {
        let answer = self.request("HEAD", Some(file), &[], None).await?;
        offset(&answer)
    }

    /// Sends the next bytes. Returns how many the server has.
    ///
    /// # Errors
    /// A [`Failure`].
    pub async fn send(&self, file: &FileId, from: u64, bytes: &JsValue) -> Result<u64, Failure> {
        let headers = [
            (UPLOAD_OFFSET, from.to_string()),
            ("content-type", "application/offset+octet-stream".to_owned()),
        ];
        let answer = self.request("PATCH", Some(file), &headers, Some(bytes));
        offset(&answer.await?)
    }

    /// Ends an upload. Its answer changes nothing: the server forgets the upload in time.
    pub async fn end(&self, file: &FileId) {
        drop(self.request("DELETE", Some(file), &[], None).await);
    }

    /// Sends a request; returns when the head of its answer has arrived.
    async fn request(
        &self,
        method: &str,
        file: Option<&FileId>,
        headers: &[(&str, String)],
        body: Option<&JsValue>,
    ) -> Result<Response, Failure> {
        let path = self.path(file);
        let answer = fetch(&path, method, &self.signal, &self.session, headers, body);
        let answer = answer.await.map_err(|_| Failure::Lost)?;
        match answer.status() {
            200..300 => Ok(answer),
            status => Err(Failure::Refused {
                status,
                code: header(&answer, REFUSAL_HEADER).and_then(|name| code(&name)),
                retry_after_s: header(&answer, "retry-after").and_then(|it| it.parse().ok()),
            }),
        }
    }

    fn path(&self, file: Option<&FileId>) -> String {
        let room = format!("/uploads/{}", self.room.path_segment());
        match file {
            Some(file) => format!("{room}/{}", file.as_str()),
            None => room,
        }
    }
}

/// Sends a request; returns when the head of its answer has arrived.
async fn fetch(
    path: &str,
    method: &str,
    signal: &AbortSignal,
    session: &SessionToken,
    headers: &[(&str, String)],
    body: Option<&JsValue>,
) -> Result<Response, JsValue> {
    let request = RequestInit::new();
    request.set_method(method);
    request.set_signal(Some(signal));
    let sent = Headers::new()?;
    sent.set("tus-resumable", "1.0.0")?;
    sent.set(SESSION_HEADER, session.expose())?;
    for (name, value) in headers {
        sent.set(name, value)?;
    }
    request.set_headers(&sent);
    if let Some(body) = body {
        request.set_body(body);
    }
    let window = web_sys::window().ok_or(JsValue::UNDEFINED)?;
    let answer = window.fetch_with_str_and_init(&address(path), &request);
    Ok(JsFuture::from(answer).await?.into())
}

/// A header of an answer.
fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).ok().flatten()
}

/// The number of received bytes in an answer.
fn offset(answer: &Response) -> Result<u64, Failure> {
    let offset = header(answer, UPLOAD_OFFSET).and_then(|offset| offset.parse().ok());
    offset.ok_or(Failure::Lost)
}

/// A code by its name; `None` for one of a newer server.
fn code(name: &str) -> Option<ErrorCode> {
    let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        name.into_deserializer();
    ErrorCode::deserialize(name).ok()
}
