//! Serves files by signed links that expire. The path reads no cookie and sets none.
//!
//! Every file is an attachment in a sandbox, so that a browser neither runs nor draws it as a page.
//! Only a type that the server has found itself is named, so that `<img>` shows images.

use crate::{
    protocol::FileName,
    server::{
        clock::Moment,
        context::AppContext,
        files::ContentHash,
        log_throttle::{self, LogThrottle},
        net::{ClientAddress, RequestKind},
        store::StoredFile,
    },
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};
use tokio::task::spawn_blocking;

/// Bytes that are read at once. 64 KiB: the memory of one download.
const CHUNK_BYTES: u64 = 64 * 1024;
/// What a browser may do with a file: nothing.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
/// All characters but those that RFC 8187 allows in a value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `GET /files/{token}/{name}`: a file, or a range of its bytes. The name is for people and decides
/// nothing.
pub async fn serve(
    State(context): State<AppContext>,
    Extension(ClientAddress(ip)): Extension<ClientAddress>,
    Path((token, _)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if !context.request_rates.allow(RequestKind::Download, ip) {
        let later = [(header::RETRY_AFTER, "10")];
        return (StatusCode::TOO_MANY_REQUESTS, later).into_response();
    }
    let now_ms = Moment::now().wall_ms;
    let Some((id, until_ms)) = context.store.file_key().verify(&token, now_ms) else {
        return not_found();
    };
    let file = match context.store.file(id).await {
        Ok(Some(file)) => file,
        Ok(None) => return not_found(),
        Err(error) => {
            static FAILED: LogThrottle = LogThrottle::new();
            log_throttle::error(&FAILED, &error, "a file could not be found");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let lasts_s = until_ms.saturating_sub(now_ms) / 1000;
    let etag = etag(&file.hash);
    if is_known(&headers, &etag) {
        return with_headers(
            StatusCode::NOT_MODIFIED.into_response(),
            &file,
            &etag,
            lasts_s,
        );
    }
    let range = match requested(&headers, &etag, file.size) {
        Ok(range) => range,
        Err(Unsatisfiable) => {
            let whole = format!("bytes */{}", file.size);
            let headers = [(header::CONTENT_RANGE, whole)];
            return (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response();
        }
    };
    let (start, end) = range.unwrap_or((0, file.size));
    let body = match method == Method::HEAD {
        true => Body::empty(),
        false => {
            let path = context.store.content_path(&file.hash);
            let opened = spawn_blocking(move || File::open(path)).await;
            match opened.map_err(io::Error::other).flatten() {
                Ok(content) => content_of(content, start, end),
                // Deleted since the look into the database.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return not_found(),
                Err(error) => {
                    static FAILED: LogThrottle = LogThrottle::new();
                    log_throttle::error(&FAILED, &error, "a file could not be read");
                    return StatusCode::SERVICE_UNAVAILABLE.into_response();
                }
            }
        }
    };
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let mut response = with_headers((status, body).into_response(), &file, &etag, lasts_s);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    if range.is_some() {
        let part = format!("bytes {start}-{}/{}", end.saturating_sub(1), file.size);
        let part = HeaderValue::from_str(&part);
        headers.extend(part.map(|part| (header::CONTENT_RANGE, part)));
    }
    response
}

/// The answer for a link that is forged, has expired, or whose file was deleted.
fn not_found() -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::NOT_FOUND, headers, "not found").into_response()
}

/// The bytes from `start` to before `end`, read in parts.
fn content_of(content: File, start: u64, end: u64) -> Body {
    let parts = stream::try_unfold(
        (Arc::new(content), start),
        move |(content, at)| async move {
            let length = end.saturating_sub(at).min(CHUNK_BYTES);
            if length == 0 {
                return Ok::<_, io::Error>(None);
            }
            let file = content.clone();
            let read = spawn_blocking(move || {
                let mut part = vec![0; usize::try_from(length).unwrap_or_default()];
                file.read_exact_at(&mut part, at).map(|()| part)
            });
            let part = read.await.map_err(io::Error::other)??;
            Ok(Some((Bytes::from(part), (content, at + length))))
        },
    );
    Body::from_stream(parts)
}

/// Adds the headers of every answer with a file.
fn with_headers(mut response: Response, file: &StoredFile, etag: &str, lasts_s: i64) -> Response {
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let media_type = HeaderValue::from_static(file.media_type.name());
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let caching = format!("private, max-age={lasts_s}, immutable");
    headers.extend(text(&caching).map(|it| (header::CACHE_CONTROL, it)));
    headers.extend(text(etag).map(|it| (header::ETAG, it)));
    let disposition = text(&disposition(&file.name));
    headers.extend(disposition.map(|it| (header::CONTENT_DISPOSITION, it)));
    response
}

/// The `Content-Disposition` of a file (RFC 6266): an attachment under its name, in UTF-8 and for
/// older programs in ASCII.
pub(super) fn disposition(name: &FileName) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || " -._()[]+=@,'".contains(c) => c,
        _ => '_',
    };
    let ascii: String = name.as_str().chars().map(plain).collect();
    let encoded = utf8_percent_encode(name.as_str(), VALUE);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// The entity tag of content: half of its hash.
fn etag(hash: &ContentHash) -> String {
    let hex = hash.hex();
    format!("\"{}\"", hex.get(..32).unwrap_or_default())
}

/// Whether the client has the content already.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known.and_then(|known| known.to_str().ok());
    known.is_some_and(|known| {
        let mut tags = known.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// No byte of the requested range exists.
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// The requested range of bytes, from the first one to before the end (RFC 9110 14.2); nothing for
/// the whole file. Several ranges, and ranges that cannot be read, are the whole file.
fn requested(
    headers: &HeaderMap,
    etag: &str,
    size: u64,
) -> Result<Option<(u64, u64)>, Unsatisfiable> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|it: &HeaderValue| it.to_str().ok())
    };
    let is_same = text(header::IF_RANGE).is_none_or(|condition| condition == etag);
    let range = text(header::RANGE).filter(|_| is_same);
    let range = range.and_then(|range| range.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| {
        let text = text.trim();
        let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_plain.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => return Ok(None),
            Some(length) => (
                size.saturating_sub(length),
                if length == 0 { 0 } else { size },
            ),
        },
        (first, "") => match number(first) {
            None => return Ok(None),
            Some(first) => (first, size),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
            _ => return Ok(None),
        },
    };
    match start < end {
        true => Ok(Some((start, end))),
        false => Err(Unsatisfiable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a request with this range of a file of ten bytes gets.
    fn range(text: &str) -> Result<Option<(u64, u64)>, Unsatisfiable> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, text.parse().expect("a header"));
        requested(&headers, "\"a\"", 10)
    }

    #[test]
    fn one_range_is_served_and_other_requests_get_the_whole_file() {
        for (text, part) in [
            ("bytes=0-3", (0, 4)),
            ("bytes=4-", (4, 10)),
            ("bytes=-3", (7, 10)),
            ("bytes=-30", (0, 10)),
            ("bytes=2-99999999999999999999999", (2, 10)),
        ] {
            assert_eq!(range(text), Ok(Some(part)), "{text}");
        }
        for text in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(range(text), Err(Unsatisfiable), "{text}");
        }
        for text in [
            "bytes=3-1",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=",
            "lines=0-1",
            "bytes=-",
        ] {
            assert_eq!(range(text), Ok(None), "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-3"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(requested(&headers, "\"a\"", 10), Ok(None));
    }

    #[test]
    fn a_name_is_quoted_in_ascii_and_whole_in_utf_8() {
        let name = FileName::clean("보고서 \"1\";\r\nX: y.pdf");
        assert_eq!(
            disposition(&name),
            "attachment; filename=\"___ _1__X_ y.pdf\"; \
             filename*=UTF-8''%EB%B3%B4%EA%B3%A0%EC%84%9C%20%221%22%3BX%3A%20y.pdf"
        );
    }

    proptest! {
        #[test]
        fn any_name_makes_one_header_without_line_breaks(typed in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            let disposition = disposition(&FileName::clean(&typed));
            prop_assert!(HeaderValue::from_str(&disposition).is_ok());
            prop_assert!(disposition.starts_with("attachment; filename=\""));
            prop_assert_eq!(disposition.matches('"').count(), 2);
        }

        #[test]
        fn any_range_lies_within_the_file(text in "bytes=[0-9,-]{0,20}", size in 1_u64..100) {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().expect("a header"));
            if let Ok(Some((start, end))) = requested(&headers, "", size) {
                prop_assert!(start < end && end <= size);
            }
        }
    }
}
