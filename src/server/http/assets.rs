//! Serves the files that pages load, embedded into the binary.
//!
//! The build embeds `target/site`; debug builds read it from the disk. A file may have `.br` and
//! `.gz` siblings from the build of the site; the server sends the best one that the browser
//! accepts. Files with a hash in their name are immutable for a year. Browsers revalidate all
//! others by their strong `ETag`. Responses have no `Last-Modified`, because the times of the files
//! do not depend on their content.

use super::asset_names::{AssetNames, names_in};
use crate::server::context::AppContext;
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{borrow::Cow, fmt::Write, sync::OnceLock};

/// The files of the site directory.
#[derive(RustEmbed)]
#[folder = "target/site"]
#[allow_missing = true]
struct Site;

/// Directory of scripts, WebAssembly modules and styles.
pub(super) const PKG: &str = "pkg/";
/// `Cache-Control` of hashed files. A year is the conventional maximum of `max-age`.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Length of the hash that cargo-leptos puts into names: MD5 as base64url without padding.
pub(super) const HASH_LETTERS: usize = 22;
/// Content codings of the build, best first, with the suffix of their files.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The files of one build.
pub struct Assets {
    /// Names of the files that pages load; computed once in a release build.
    names: OnceLock<AssetNames>,
    /// Finds a file by its path.
    get: fn(&str) -> Option<EmbeddedFile>,
    /// Lists the paths of all files.
    paths: fn() -> Vec<String>,
}

/// The file that is selected for a request.
struct SelectedFile {
    /// Body of the response, in the selected coding.
    data: Cow<'static, [u8]>,
    /// The strong validator, quoted.
    etag: String,
    /// Content coding, if the body is compressed.
    coding: Option<&'static str>,
}

impl Assets {
    /// The files embedded into this binary.
    pub fn embedded() -> &'static Self {
        static ASSETS: Assets = Assets {
            names: OnceLock::new(),
            get: Site::get,
            paths: || Site::iter().map(Cow::into_owned).collect(),
        };
        &ASSETS
    }

    /// Names of the files that pages load. Debug builds list the directory at each call, because
    /// the site is rebuilt beside them.
    pub fn names(&self) -> AssetNames {
        let find = || {
            let read = |path: &str| (self.get)(path).map(|file| file.data.into_owned());
            names_in(&(self.paths)(), read)
        };
        match cfg!(debug_assertions) {
            true => find(),
            false => self.names.get_or_init(find).clone(),
        }
    }

    /// Selects the best coding of a file that the client accepts.
    fn choose(&self, path: &str, accepted: &str) -> Option<SelectedFile> {
        if CODINGS.iter().any(|(_, ending)| path.ends_with(ending)) {
            return None;
        }
        let plain = (self.get)(path)?;
        let compressed = CODINGS.iter().find_map(|(coding, ending)| {
            let file = accepts(accepted, coding).then(|| (self.get)(&format!("{path}{ending}")));
            file.flatten().map(|file| (file, *coding))
        });
        Some(match compressed {
            Some((file, coding)) => select(file, Some(coding)),
            None => select(plain, None),
        })
    }
}

/// Adds the `ETag`, which differs for each coding (RFC 9110 section 8.8.3).
fn select(file: EmbeddedFile, coding: Option<&'static str>) -> SelectedFile {
    let mut etag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        let _ = write!(etag, "{byte:02x}");
    }
    if let Some(coding) = coding {
        let _ = write!(etag, "-{coding}");
    }
    etag.push('"');
    SelectedFile {
        data: file.data,
        etag,
        coding,
    }
}

/// Serves the files under `/pkg/`.
pub async fn serve(State(context): State<AppContext>, request: Request) -> Response {
    find(context.assets, &request)
        .unwrap_or_else(|| (StatusCode::NOT_FOUND, "not found").into_response())
}

/// The response for the requested file, if the file exists.
pub fn find(assets: &Assets, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = percent_encoding::percent_decode_str(request.uri().path());
    let path = path.decode_utf8().ok()?;
    let path = path.strip_prefix('/').filter(|path| is_plain(path))?;
    let accepted = joined(request.headers(), &header::ACCEPT_ENCODING);
    let chosen = assets.choose(path, &accepted)?;
    Some(respond(path, chosen, request))
}

/// Whether a path has no `.`, `..` or hidden parts. Debug builds read the path from the disk.
fn is_plain(path: &str) -> bool {
    let part_is_plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    !path.contains(['\\', '\0']) && path.split('/').all(part_is_plain)
}

/// The response for a file: 200 or 304; the body only with 200 and GET.
fn respond(path: &str, chosen: SelectedFile, request: &Request) -> Response {
    let mut headers = HeaderMap::new();
    let mime = mime_guess::from_path(path).first_raw();
    let kind = match mime.unwrap_or("application/octet-stream") {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    };
    let cache = if is_hashed(path) {
        IMMUTABLE
    } else {
        "no-cache"
    };
    let coding = chosen
        .coding
        .map(|coding| (header::CONTENT_ENCODING, coding));
    let table = [
        (header::CONTENT_TYPE, kind.as_str()),
        (header::CACHE_CONTROL, cache),
        (header::VARY, "accept-encoding"),
        (header::ETAG, chosen.etag.as_str()),
    ];
    for (name, value) in table.into_iter().chain(coding) {
        headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
    }
    if matches_etag(request.headers(), &chosen.etag) {
        headers.remove(header::CONTENT_ENCODING);
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_LENGTH, chosen.data.len().into());
    let body = match *request.method() {
        Method::HEAD => Body::empty(),
        _ => Body::from(match chosen.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        }),
    };
    (StatusCode::OK, headers, body).into_response()
}

/// All values of a header as one list.
fn joined(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// Whether `If-None-Match` holds the `ETag` (weak comparison, RFC 9110 section 13.1.2).
fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let etags = joined(headers, &header::IF_NONE_MATCH);
    etags
        .split(',')
        .map(str::trim)
        .any(|other| other == "*" || other.strip_prefix("W/").unwrap_or(other) == etag)
}

/// Whether `Accept-Encoding` allows a coding: named or `*`, with a weight above 0 (RFC 9110,
/// 12.5.3).
fn accepts(accepted: &str, coding: &str) -> bool {
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|part| part.strip_prefix("q=").map(str::to_owned));
            named.then(|| weight.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight(coding)
        .or_else(|| weight("*"))
        .is_some_and(|weight| weight > 0.0)
}

/// Whether a name under `pkg/` changes with its content: `name.<hash>.ext`.
fn is_hashed(path: &str) -> bool {
    let Some(name) = path.strip_prefix(PKG) else {
        return false;
    };
    let is_hash = |part: &str| {
        let letters = part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        part.len() == HASH_LETTERS && letters
    };
    name.split('.').skip(1).any(is_hash)
}

#[cfg(test)]
#[path = "assets_tests.rs"]
mod tests;
