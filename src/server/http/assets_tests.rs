//! Tests of the selection of a file's coding, with files in memory.

use super::*;
use rust_embed::utils::Metadata;

const HASHED: &str = "pkg/noom.0123456789abcdefABCD-_.js";

fn get(path: &str) -> Option<EmbeddedFile> {
    let data: &'static [u8] = match path {
        HASHED => b"plain",
        "pkg/noom.0123456789abcdefABCD-_.js.br" => b"br",
        "pkg/noom.0123456789abcdefABCD-_.js.gz" => b"gz",
        "pkg/noom.wasm" | "favicon.svg" => b"x",
        // Paths that a disk would resolve and the server must not serve.
        "" | "a//b" | "pkg/../favicon.svg" | "pkg/../x" => b"outside",
        _ => return None,
    };
    let metadata = Metadata::__rust_embed_new([data[0]; 32], None, None);
    let data = Cow::Borrowed(data);
    Some(EmbeddedFile { data, metadata })
}

static ASSETS: Assets = Assets {
    names: OnceLock::new(),
    get,
    paths: Vec::new,
};

fn response_to(path: &str, headers: &[(&str, &str)]) -> Option<Response> {
    let mut request = Request::builder().uri(format!("/{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    find(&ASSETS, &request.body(Body::empty()).expect("request"))
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

#[test]
fn the_best_accepted_coding_is_sent_and_a_weight_of_zero_refuses_one() {
    let table = [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br", Some("br")),
        ("gzip;q=1, br;q=0", Some("gzip")),
        ("GZIP", Some("gzip")),
        ("*", Some("br")),
        ("*;q=0", None),
        ("br;q=0, *", Some("gzip")),
    ];
    for (accepted, coding) in table {
        let response = response_to(HASHED, &[("accept-encoding", accepted)]).expect("found");
        assert_eq!(header(&response, "content-encoding"), coding, "{accepted}");
        assert_eq!(header(&response, "vary"), Some("accept-encoding"));
    }
}

#[test]
fn a_known_etag_is_answered_with_304_and_each_coding_has_its_own() {
    let plain = response_to(HASHED, &[]).expect("found");
    let packed = response_to(HASHED, &[("accept-encoding", "br")]).expect("found");
    let etag = |response: &Response| header(response, "etag").map(str::to_owned).expect("etag");
    assert_ne!(etag(&plain), etag(&packed));
    let status = |known: &str| {
        response_to(HASHED, &[("if-none-match", known)])
            .expect("found")
            .status()
    };
    assert_eq!(status(&etag(&plain)), StatusCode::NOT_MODIFIED);
    assert_eq!(
        status(&format!("\"x\", W/{}", etag(&plain))),
        StatusCode::NOT_MODIFIED
    );
    assert_eq!(status(&etag(&packed)), StatusCode::OK);
    assert_eq!(header(&plain, "last-modified"), None);
}

#[test]
fn hashed_names_are_immutable_and_others_are_revalidated() {
    let cache = |path: &str| {
        let response = response_to(path, &[]).expect("found");
        header(&response, "cache-control").map(str::to_owned)
    };
    assert_eq!(cache(HASHED).as_deref(), Some(IMMUTABLE));
    assert_eq!(cache("pkg/noom.wasm").as_deref(), Some("no-cache"));
    assert_eq!(cache("favicon.svg").as_deref(), Some("no-cache"));
}

#[test]
fn content_types_are_those_that_browsers_require() {
    let kind = |path: &str| {
        let response = response_to(path, &[]).expect("found");
        header(&response, "content-type").map(str::to_owned)
    };
    assert_eq!(
        kind(HASHED).as_deref(),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(kind("pkg/noom.wasm").as_deref(), Some("application/wasm"));
    assert_eq!(kind("favicon.svg").as_deref(), Some("image/svg+xml"));
}

#[test]
fn nothing_outside_and_no_packed_sibling_is_served() {
    let packed = format!("{HASHED}.br");
    for path in [
        packed.as_str(),
        "pkg/none.js",
        "pkg/../favicon.svg",
        "pkg/%2e%2e/x",
        "",
        "a//b",
    ] {
        assert!(response_to(path, &[]).is_none(), "{path}");
    }
}

#[test]
fn the_names_of_a_build_are_found_with_and_without_hashes() {
    let names = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(|p| (*p).to_owned()).collect();
        names_in(&paths, |_| None)
    };
    let hashed = names(&[
        "pkg/noom.0123456789abcdefABCD-_.js",
        "pkg/noom.0123456789abcdefABCD-_.js.br",
        "pkg/noom_bg.0123456789abcdefABCD-_.wasm",
        "pkg/noom.css",
        "favicon.svg",
    ]);
    assert_eq!(hashed.js, "noom.0123456789abcdefABCD-_.js");
    assert_eq!(hashed.wasm, "noom_bg.0123456789abcdefABCD-_.wasm");
    assert_eq!(
        (hashed.css.as_str(), names(&[]).wasm.as_str()),
        ("noom.css", "noom.wasm")
    );
    assert_eq!(hashed.room, None);
}

#[test]
fn the_page_of_a_room_names_the_modules_of_its_route_and_none_that_loads_later() {
    let paths = [
        "pkg/__wasm_split.x.js",
        "pkg/__wasm_split_manifest.z.json",
        "pkg/__wasm_split_manifest.z.json.br",
        "pkg/chunk_1.c.wasm",
        "pkg/split_dialogs.d.wasm",
        "pkg/split___room_route_view_7.y.wasm",
        "pkg/split___room_route_view_7.y.wasm.br",
    ];
    let paths = paths.map(str::to_owned);
    let room = |manifest: &'static str| {
        let read = |path: &str| {
            let is_manifest = path == "pkg/__wasm_split_manifest.z.json";
            is_manifest.then(|| manifest.as_bytes().to_vec())
        };
        names_in(&paths, read).room
    };
    let manifest = r#"{"dialogs": ["chunk_1.c", "split_dialogs.d"],
        "__room_route_view_7": ["chunk_1.c", "split___room_route_view_7.y"]}"#;
    let names = [
        "__wasm_split.x.js",
        "chunk_1.c.wasm",
        "split___room_route_view_7.y.wasm",
    ];
    assert_eq!(room(manifest), Some(names.map(str::to_owned).to_vec()));
    assert_eq!(room(r#"{"dialogs": ["split_dialogs.d"]}"#), None);
    assert_eq!(room("no manifest"), None);
}
