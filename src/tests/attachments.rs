//! Files that are kept with messages: uploads, messages, links, quotas, deletion and backups.

use super::harness::{Client, DEADLINE, TestApp, long_timing, new_id, short_timing, until};
use super::private::{enter, lobby, request as join_request, set_room};
use crate::{
    protocol::{
        ChatMessage, ClientMessage, ErrorCode, FileId, MediaType, Role, RoomName, ServerMessage,
        SessionToken,
    },
    server::{
        context::AppContext,
        doctor::{self, Check, Diagnosis},
        files::ContentHash,
        limits::Timing,
        store::{self, Format},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::join_all;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The answer to a request.
#[derive(Debug)]
struct Answer {
    /// The status code.
    status: u16,
    /// The headers, by their names in lower case.
    headers: BTreeMap<String, String>,
    /// The bytes of the body.
    body: Vec<u8>,
}

impl Answer {
    /// Parses a response.
    fn parse(response: &[u8]) -> Self {
        let end = response.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in {response:?}"));
        let head = String::from_utf8_lossy(&response[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let pairs = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.and_then(|it| it.parse().ok()).expect("a status"),
            headers: pairs
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: response[end + 4..].to_vec(),
        }
    }

    /// A header; empty if there is none.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The status and the code of a refusal.
    fn refusal(&self) -> (u16, &str) {
        (self.status, self.header("noom-refusal"))
    }
}

/// The text of a request.
fn head(method: &str, path: &str, headers: &str, length: Option<usize>) -> String {
    let length = length.map_or_else(String::new, |length| {
        format!("Content-Length: {length}\r\n")
    });
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n"
    )
}

/// Sends a request from this address of the loopback network.
async fn send_from(
    app: &TestApp,
    source: &str,
    (method, path, headers): (&str, &str, &str),
    body: &[u8],
) -> Answer {
    let mut stream = app.tcp_from(source).await;
    let length = (method != "GET" && method != "HEAD").then_some(body.len());
    // The server may answer before it has read everything.
    let _ = stream
        .write_all(head(method, path, headers, length).as_bytes())
        .await;
    let _ = stream.write_all(body).await;
    let mut response = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut response)).await;
    read.expect("an answer").ok();
    Answer::parse(&response)
}

/// Sends a request from this machine.
async fn send(app: &TestApp, request: (&str, &str, &str), body: &[u8]) -> Answer {
    send_from(app, "127.0.0.1", request, body).await
}

/// Loads a file by its link.
async fn load(app: &TestApp, url: &str) -> Answer {
    send(app, ("GET", url, ""), b"").await
}

/// The headers of every request of an uploader.
fn own(session: &SessionToken) -> String {
    format!(
        "Tus-Resumable: 1.0.0\r\nNoom-Session: {}\r\n",
        session.expose()
    )
}

/// The headers that begin an upload.
fn beginning(session: &SessionToken, name: &str, length: usize) -> String {
    let (own, name) = (own(session), BASE64_STANDARD.encode(name));
    format!("{own}Upload-Length: {length}\r\nUpload-Metadata: filename {name}\r\n")
}

/// The headers that continue an upload.
fn continuing(session: &SessionToken, offset: usize) -> String {
    let own = own(session);
    format!("{own}Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n")
}

/// Begins an upload in a room. Returns its path and id.
async fn begin(
    app: &TestApp,
    session: &SessionToken,
    (room, name): (&str, &str),
    length: usize,
) -> Result<(String, FileId), Answer> {
    let (path, headers) = (format!("/uploads/{room}"), beginning(session, name, length));
    let answer = send(app, ("POST", &path, &headers), b"").await;
    if answer.status != 201 {
        return Err(answer);
    }
    let path = answer.header("location").to_owned();
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let id = FileId::parse(json["id"].as_str().expect("an id")).expect("valid");
    assert!(path.ends_with(id.as_str()), "{path}");
    Ok((path, id))
}

/// Uploads a whole file to the room `team`. Returns its id.
async fn upload(app: &TestApp, session: &SessionToken, name: &str, content: &[u8]) -> FileId {
    let begun = begin(app, session, ("team", name), content.len()).await;
    let (path, id) = begun.expect("begun");
    let answer = send(app, ("PATCH", &path, &continuing(session, 0)), content).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.header("upload-offset"), content.len().to_string());
    id
}

/// The session of a client.
fn session(client: &Client) -> SessionToken {
    client.joined().session.clone()
}

/// Uploads a file and sends it with a text.
async fn share(
    app: &TestApp,
    client: &mut Client,
    text: &str,
    (name, content): (&str, &[u8]),
) -> ChatMessage {
    let id = upload(app, &session(client), name, content).await;
    let sent = client.try_chat(new_id(), text, vec![id]).await;
    sent.expect("stored")
}

/// The contents on the disk, by their hashes.
fn contents(data: &Path) -> Vec<ContentHash> {
    let found = store::ContentStore::beside(&data.join("noom.db")).all();
    found.expect("read")
}

/// The files in the directory of uploads.
fn incoming(data: &Path) -> usize {
    fs::read_dir(data.join("files/incoming"))
        .expect("read")
        .count()
}

/// The hash of a content.
fn hash(content: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(content).into())
}

/// The start of a PNG of this size, and some more bytes.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    content.extend(width.to_be_bytes());
    content.extend(height.to_be_bytes());
    content.extend((0..3000_u32).map(|byte| u8::try_from(byte % 251).unwrap_or_default()));
    content
}

/// A message of the room `team` in the store.
async fn newest(context: &AppContext) -> ChatMessage {
    let room = RoomName::parse("team").expect("valid");
    let page = context.store.page(&room, None, 1).await.expect("read");
    page.messages.into_iter().next().expect("a message")
}

#[tokio::test]
async fn a_picture_reaches_everybody_with_its_size_and_is_there_after_a_restart() {
    let app = TestApp::start().await;
    let (mut ann, mut ben) = (app.join("team", "Ann").await, app.join("team", "Ben").await);
    let (content, session) = (png(640, 480), session(&ann));
    let begun = begin(
        &app,
        &session,
        ("team", "C:\\me\\휴가 사진.png"),
        content.len(),
    )
    .await;
    let (path, id) = begun.expect("begun");
    for (start, end) in [(0, 1000), (1000, content.len())] {
        let headers = continuing(&session, start);
        let answer = send(&app, ("PATCH", &path, &headers), &content[start..end]).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let at = send(&app, ("HEAD", &path, &own(&session)), b"").await;
        assert_eq!(at.header("upload-offset"), end.to_string(), "{at:?}");
        assert_eq!(at.header("upload-length"), content.len().to_string());
    }
    let message = new_id();
    let sent = ann.try_chat(message, "", vec![id.clone()]).await;
    let sent = sent.expect("stored");
    let [file] = &sent.files[..] else {
        panic!("one file: {sent:?}");
    };
    assert_eq!(
        (file.name.as_str(), file.size),
        ("휴가 사진.png", content.len() as u64)
    );
    assert_eq!(file.media_type, MediaType::Png);
    assert_eq!(
        (file.width, file.height, &file.id),
        (Some(640), Some(480), &id)
    );
    assert!(sent.text.is_none() && !sent.is_deleted());
    let seen = ben.wait_for_chat("").await;
    assert_eq!(seen, sent);
    // The same message again is the same message, although its upload is gone.
    let again = ann.try_chat(message, "", vec![id.clone()]).await;
    assert_eq!(again.as_ref(), Ok(&sent));
    assert_eq!(
        ann.try_chat(new_id(), "", vec![id]).await,
        Err(ErrorCode::NoSuchFile)
    );
    assert_eq!(contents(app.data()), [hash(&content)]);
    assert_eq!(
        (incoming(app.data()), app.context.store.uploads().count()),
        (0, 0)
    );

    let loaded = load(&app, &file.url).await;
    assert_eq!((loaded.status, &loaded.body), (200, &content));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("accept-ranges", "bytes"),
        ("set-cookie", ""),
    ] {
        assert_eq!(loaded.header(name), value, "{name}");
    }
    let disposition = loaded.header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename="),
        "{disposition}"
    );
    assert!(disposition.ends_with(".png"), "{disposition}");
    assert!(
        loaded
            .header("cache-control")
            .starts_with("private, max-age=")
    );
    let part = send(&app, ("GET", &file.url, "Range: bytes=10-19\r\n"), b"").await;
    assert_eq!((part.status, &part.body[..]), (206, &content[10..20]));
    let whole = format!("bytes 10-19/{}", content.len());
    assert_eq!(part.header("content-range"), whole);
    let beyond = send(&app, ("GET", &file.url, "Range: bytes=99999-\r\n"), b"").await;
    assert_eq!(beyond.status, 416);
    let etag = format!("If-None-Match: {}\r\n", loaded.header("etag"));
    assert_eq!(send(&app, ("GET", &file.url, &etag), b"").await.status, 304);
    let forged = file.url.replacen("/files/", "/files/A", 1);
    assert_eq!(load(&app, &forged).await.status, 404);

    let store = &app.context.store;
    let room = RoomName::parse("team").expect("valid");
    let found = store
        .search(&room, "휴가", None, 9)
        .await
        .expect("searched");
    assert_eq!(found.messages, std::slice::from_ref(&sent));
    store.index().await.expect("indexed");
    let found = store
        .search(&room, "사진 png", None, 9)
        .await
        .expect("searched");
    assert_eq!(found.messages, std::slice::from_ref(&sent));
    for (format, words) in [
        (Format::Json, "\"type\":\"image/png\""),
        (Format::Markdown, "휴가 사진\\.png, 3.0 KiB"),
    ] {
        let mut output = Vec::new();
        store::export(&app.database(), &room, format, &mut output).expect("exported");
        let output = String::from_utf8(output).expect("UTF-8");
        assert!(
            output.contains(words) && !output.contains("/files/"),
            "{output}"
        );
    }
    let url = file.url.clone();
    drop((ann, ben));
    let app = app.restart().await;
    let cem = app.join("team", "Cem").await;
    assert_eq!(cem.joined().history, [sent]);
    assert_eq!(load(&app, &url).await.body, content);
}

#[tokio::test]
async fn documents_and_polyglots_are_attachments_in_a_sandbox_and_of_no_type_that_runs() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let script = b"<script>alert(document.domain)</script>";
    let gif = [b"GIF89a/*\0\x01\0\xf7*/=1;alert(1)//".as_slice(), script].concat();
    let page_in_png = [png(4, 4), script.to_vec()].concat();
    let huge = png(50_000, 50_000);
    let all: [(&str, &[u8], MediaType); 8] = [
        ("page.html", script, MediaType::Binary),
        (
            "drawing.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            MediaType::Binary,
        ),
        (
            "data.xml",
            b"<?xml version='1.0'?><?xml-stylesheet href='x'?><a/>",
            MediaType::Binary,
        ),
        ("paper.pdf", b"%PDF-1.7 /JavaScript", MediaType::Binary),
        ("not.png", b"<html>\x89PNG", MediaType::Binary),
        ("script.gif", &gif, MediaType::Gif),
        ("page.png", &page_in_png, MediaType::Png),
        ("bomb.png", &huge, MediaType::Binary),
    ];
    for (name, content, media_type) in all {
        let sent = share(&app, &mut ann, name, (name, content)).await;
        let file = &sent.files[0];
        assert_eq!(file.media_type, media_type, "{name}");
        assert_eq!(file.width.is_some(), media_type.is_image(), "{name}");
        let loaded = load(&app, &file.url).await;
        assert_eq!(loaded.header("content-type"), media_type.name(), "{name}");
        assert_eq!(
            loaded.header("content-security-policy"),
            "sandbox; default-src 'none'"
        );
        assert_eq!(loaded.header("x-content-type-options"), "nosniff", "{name}");
        assert!(
            loaded
                .header("content-disposition")
                .starts_with("attachment;")
        );
        assert_eq!(loaded.body, content, "{name}");
    }
}

#[tokio::test]
async fn only_a_participant_who_may_send_files_uploads_and_only_its_owner_uses_an_upload() {
    let app = TestApp::start().await;
    let (mut ann, opened) = enter(&app, join_request("Ann")).await;
    let ann_session = opened.joined().session;
    let (mut ben, entered) = enter(&app, join_request("Ben")).await;
    let entered = entered.joined();
    let (ben_id, ben_session) = (entered.me.clone(), entered.session);
    let elsewhere = app.join("other", "Eve").await;
    let stranger = crate::server::new_session_token();
    for session in [&session(&elsewhere), &stranger] {
        for room in ["team", "nowhere"] {
            let refused = begin(&app, session, (room, "a.txt"), 5).await;
            assert_eq!(refused.expect_err("refused").refusal(), (403, "not_joined"));
        }
    }
    let bare = "Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n";
    let refused = send(&app, ("POST", "/uploads/team", bare), b"").await;
    assert_eq!(refused.refusal(), (403, "not_joined"));
    let old = format!("{}Upload-Length: 5\r\n", own(&ann_session)).replace("1.0.0", "0.2.2");
    let refused = send(&app, ("POST", "/uploads/team", &old), b"").await;
    assert_eq!(refused.status, 412);
    let foreign = beginning(&ann_session, "a.txt", 5) + "Origin: http://evil.com\r\n";
    let refused = send(&app, ("POST", "/uploads/team", &foreign), b"").await;
    assert_eq!(refused.refusal(), (403, "foreign_origin"));

    let (path, id) = begin(&app, &ann_session, ("team", "a.txt"), 5)
        .await
        .expect("begun");
    for (method, headers) in [
        ("HEAD", own(&ben_session)),
        ("PATCH", continuing(&ben_session, 0)),
        ("DELETE", own(&ben_session)),
    ] {
        assert_eq!(
            send(&app, (method, &path, &headers), b"hello").await.status,
            404,
            "{method}"
        );
    }
    let early = ann.try_chat(new_id(), "x", vec![id.clone()]).await;
    assert_eq!(early, Err(ErrorCode::NoSuchFile), "it is not finished");
    let done = send(
        &app,
        ("PATCH", &path, &continuing(&ann_session, 0)),
        b"hello",
    )
    .await;
    assert_eq!(done.status, 204);
    let stolen = ben.try_chat(new_id(), "x", vec![id.clone()]).await;
    assert_eq!(stolen, Err(ErrorCode::NoSuchFile));
    let twice = ann
        .try_chat(new_id(), "x", vec![id.clone(), id.clone()])
        .await;
    assert_eq!(twice, Err(ErrorCode::NoSuchFile));
    let many = ann.try_chat(new_id(), "x", vec![id.clone(); 11]).await;
    assert_eq!(many, Err(ErrorCode::TooManyFiles));

    // A viewer, somebody in the lobby and somebody who is banned.
    let viewer = ClientMessage::SetRole {
        who: ben_id.clone(),
        role: Role::Viewer,
    };
    ann.send(&viewer).await;
    let changed = |message| matches!(message, ServerMessage::RoleChanged { .. }).then_some(());
    ben.wait_for(changed).await;
    let refused = begin(&app, &ben_session, ("team", "a.txt"), 5).await;
    assert_eq!(
        refused.expect_err("refused").refusal(),
        (403, "not_allowed")
    );
    set_room(&mut ann, lobby()).await;
    let (_dan, waiting) = enter(&app, join_request("Dan")).await;
    let (dan, ..) = waiting.waiting();
    let refused = begin(&app, &dan, ("team", "a.txt"), 5).await;
    assert_eq!(refused.expect_err("refused").refusal(), (403, "not_joined"));
    let ban = ClientMessage::Ban {
        who: ben_id,
        reason: None,
        address: false,
    };
    ann.send(&ban).await;
    assert_eq!(ben.wait_for_close().await, Some(4401));
    let refused = begin(&app, &ben_session, ("team", "a.txt"), 5).await;
    assert_eq!(refused.expect_err("refused").refusal(), (403, "not_joined"));
    let ended = send(&app, ("DELETE", &path, &own(&ann_session)), b"").await;
    assert_eq!((ended.status, incoming(app.data())), (204, 0));
}

#[tokio::test]
async fn an_upload_that_was_cut_continues_at_its_offset_and_at_no_other() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let session = session(&ann);
    let content: Vec<u8> = (0..300_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    let begun = begin(&app, &session, ("team", "big.bin"), content.len()).await;
    let (path, id) = begun.expect("begun");
    let head = head(
        "PATCH",
        &path,
        &continuing(&session, 0),
        Some(content.len()),
    );
    let mut stream = TcpStream::connect(app.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&content[..150_000]).await.expect("sent");
    let partial = app.data().join("files/incoming").join(id.as_str());
    let arrived = || fs::metadata(&partial).is_ok_and(|file| file.len() > 0);
    until("some bytes are written", arrived).await;
    drop(stream);
    let at = send(&app, ("HEAD", &path, &own(&session)), b"").await;
    let offset: usize = at.header("upload-offset").parse().expect("a number");
    assert!((1..=150_000).contains(&offset), "{offset}");
    for wrong in [0, offset - 1, offset + 1] {
        let refused = send(&app, ("PATCH", &path, &continuing(&session, wrong)), b"x").await;
        assert_eq!(refused.status, 409, "{wrong}");
    }
    for (headers, status) in [
        (own(&session) + &format!("Upload-Offset: {offset}\r\n"), 415),
        (
            continuing(&session, offset) + "Content-Encoding: gzip\r\n",
            415,
        ),
        (
            continuing(&session, offset).replace("Upload-Offset", "X"),
            400,
        ),
    ] {
        let refused = send(&app, ("PATCH", &path, &headers), b"x").await;
        assert_eq!(refused.status, status, "{headers}");
    }
    let longer = [&content[offset..], b"x"].concat();
    let refused = send(
        &app,
        ("PATCH", &path, &continuing(&session, offset)),
        &longer,
    )
    .await;
    assert_eq!(refused.refusal(), (413, "file_too_large"));
    let at = send(&app, ("HEAD", &path, &own(&session)), b"").await;
    let offset: usize = at.header("upload-offset").parse().expect("a number");
    let rest = &content[offset..];
    let done = send(&app, ("PATCH", &path, &continuing(&session, offset)), rest).await;
    assert_eq!(done.status, 204, "{done:?}");
    let sent = ann
        .try_chat(new_id(), "whole", vec![id])
        .await
        .expect("stored");
    assert_eq!(load(&app, &sent.files[0].url).await.body, content);
}

#[tokio::test]
async fn a_compressed_body_is_refused_before_it_is_read() {
    let app = TestApp::start().await;
    let ann = app.join("team", "Ann").await;
    let headers = beginning(&session(&ann), "a.gz", 5) + "Content-Encoding: gzip\r\n";
    let refused = send(&app, ("POST", "/uploads/team", &headers), &[0; 10_000]).await;
    assert_eq!(refused.status, 415);
    assert_eq!(app.context.store.uploads().count(), 0);
}

#[tokio::test]
async fn a_stalled_upload_ends_and_can_be_resumed_and_an_abandoned_one_is_forgotten() {
    let timing = Timing {
        upload_stall: Duration::from_millis(100),
        upload_lasts: Duration::from_secs(3),
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    let ann = app.join("team", "Ann").await;
    let session = session(&ann);
    let (path, _) = begin(&app, &session, ("team", "a.bin"), 10)
        .await
        .expect("begun");
    let head = head("PATCH", &path, &continuing(&session, 0), Some(10));
    let mut stream = TcpStream::connect(app.address).await.expect("connects");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(b"abc").await.expect("sent");
    let mut response = Vec::new();
    let ended = timeout(DEADLINE, stream.read_to_end(&mut response)).await;
    ended.expect("it ends").expect("read");
    assert_eq!(Answer::parse(&response).status, 408);
    let at = send(&app, ("HEAD", &path, &own(&session)), b"").await;
    assert_eq!(at.header("upload-offset"), "3");
    assert!(!at.header("upload-expires").is_empty());
    until("it is forgotten", || {
        app.context.store.uploads().count() == 0
    })
    .await;
    assert_eq!(incoming(app.data()), 0);
    let gone = send(&app, ("HEAD", &path, &own(&session)), b"").await;
    assert_eq!(gone.refusal(), (404, "no_such_file"));
}

#[tokio::test]
async fn content_is_stored_once_and_leaves_the_disk_with_its_last_message() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("other", "Ben").await;
    let content = png(8, 8);
    let first = share(&app, &mut ann, "one", ("a.png", &content)).await;
    let second = share(&app, &mut ann, "two", ("b.png", &content)).await;
    let size = content.len() as u64;
    assert_eq!(contents(app.data()), [hash(&content)], "once");
    assert_eq!(
        app.context.store.stored_file_bytes(),
        2 * size,
        "each counts"
    );
    assert_ne!(first.files[0].url, second.files[0].url);
    ben.send_chat("beside").await;

    ann.send(&ClientMessage::Delete { id: first.id }).await;
    let deleted = ann.wait_for_changed().await;
    assert!(
        deleted.is_deleted() && deleted.files.is_empty(),
        "{deleted:?}"
    );
    assert_eq!(load(&app, &first.files[0].url).await.status, 404);
    assert_eq!(load(&app, &second.files[0].url).await.body, content);
    ann.send(&ClientMessage::Delete { id: second.id }).await;
    ann.wait_for_changed().await;
    assert_eq!(contents(app.data()), []);
    assert_eq!(app.context.store.stored_file_bytes(), 0);

    // One of another person, by a host.
    let mut cleo = app.join("team", "Cleo").await;
    let foreign = share(&app, &mut cleo, "of Cleo", ("d.png", &content)).await;
    ann.send(&ClientMessage::Delete { id: foreign.id }).await;
    cleo.wait_for_changed().await;
    assert_eq!(contents(app.data()), []);
    assert_eq!(load(&app, &foreign.files[0].url).await.status, 404);

    // Everything of a room, by a host.
    share(&app, &mut ann, "three", ("a.png", &content)).await;
    let url = share(&app, &mut ann, "four", ("c.txt", b"text"))
        .await
        .files[0]
        .url
        .clone();
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(ann.wait_for_close().await, Some(1012));
    assert_eq!(contents(app.data()), []);
    assert_eq!(load(&app, &url).await.status, 404);
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("noom_file_bytes"), 0.0);
    assert_eq!(metrics.value("noom_uploads"), 0.0);
}

#[tokio::test]
async fn a_pin_of_files_without_text_has_their_names() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let sent = share(&app, &mut ann, "", ("plan.png", &png(8, 8))).await;
    let (id, on) = (sent.id, true);
    ann.send(&ClientMessage::Pin { id, on }).await;
    let pinned = ann.wait_for_changed().await;
    assert!(pinned.pinned > 0 && !pinned.files[0].url.is_empty());
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().pins[0].text.as_str(), "plan.png");
    let app = app.restart().await;
    let cleo = app.join("team", "Cleo").await;
    assert_eq!(cleo.joined().pins, ben.joined().pins);
}

#[tokio::test]
async fn the_retention_frees_the_disk() {
    let flags = ["--keep-messages", "1"];
    let app = TestApp::start_with(short_timing(), &flags).await;
    let mut ann = app.join("team", "Ann").await;
    share(&app, &mut ann, "old", ("old.png", &png(2, 2))).await;
    let kept = share(&app, &mut ann, "new", ("new.png", &png(3, 3))).await;
    let is_swept = || contents(app.data()) == [hash(&png(3, 3))];
    until("the older one is swept", is_swept).await;
    assert_eq!(load(&app, &kept.files[0].url).await.body, png(3, 3));
}

#[tokio::test]
async fn fifty_uploads_at_once_never_exceed_the_quota_of_a_room() {
    const BYTES: usize = 10_000;
    let bound = (20 * BYTES).to_string();
    let flags = ["--room-file-bytes", bound.as_str()];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(app.join("team", &format!("Person {number}")).await);
    }
    // All are uploaded before any of them is stored, so that only the store can refuse.
    let uploads = people.iter().enumerate().map(|(number, person)| {
        let (app, session) = (&app, session(person));
        async move {
            let content = vec![u8::try_from(number).expect("small"); BYTES];
            upload(app, &session, "a.bin", &content).await
        }
    });
    let ids = join_all(uploads).await;
    let sends = people
        .iter_mut()
        .zip(ids)
        .map(|(person, id)| async move { person.try_chat(new_id(), "", vec![id]).await });
    let results = join_all(sends).await;
    let stored = results.iter().filter(|result| result.is_ok()).count();
    let refused = results
        .iter()
        .filter(|it| **it == Err(ErrorCode::RoomStorageFull));
    assert_eq!((stored, refused.count()), (20, 30));
    assert_eq!(contents(app.data()).len(), 20);
    assert_eq!(app.context.store.stored_file_bytes(), 20 * BYTES as u64);
    let refused = begin(&app, &session(&people[0]), ("team", "b.bin"), 1).await;
    let refused = refused.expect_err("full");
    assert_eq!(refused.refusal(), (507, "room_storage_full"));
}

#[tokio::test]
async fn a_message_that_is_not_stored_leaves_no_file_and_can_be_sent_again() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let content = png(5, 5);
    let file = upload(&app, &session(&ann), "a.png", &content).await;
    let short_timeout = |connection: &rusqlite::Connection| {
        let set = connection.busy_timeout(Duration::from_millis(20));
        set.expect("set");
    };
    app.context.store.on_writer(short_timeout).await;
    let other = rusqlite::Connection::open(app.database()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let id = new_id();
    let refused = ann.try_chat(id, "now", vec![file.clone()]).await;
    assert_eq!(refused, Err(ErrorCode::Unavailable));
    assert_eq!(contents(app.data()), []);
    other.execute_batch("ROLLBACK").expect("unlocked");
    // The commit fails, after the content was put in its place.
    let fail = |connection: &rusqlite::Connection| {
        let query = "CREATE TEMP TRIGGER fails BEFORE INSERT ON main.files BEGIN
                     SELECT raise(ABORT, 'a test asked for this'); END";
        connection.execute_batch(query).expect("made");
    };
    app.context.store.on_writer(fail).await;
    let refused = ann.try_chat(id, "now", vec![file.clone()]).await;
    assert_eq!(refused, Err(ErrorCode::Unavailable));
    assert_eq!(contents(app.data()), [], "taken back");
    let mend = |connection: &rusqlite::Connection| {
        connection
            .execute_batch("DROP TRIGGER temp.fails")
            .expect("dropped");
    };
    app.context.store.on_writer(mend).await;
    let sent = ann.try_chat(id, "now", vec![file]).await.expect("stored");
    assert_eq!(load(&app, &sent.files[0].url).await.body, content);
}

#[tokio::test]
async fn the_doctor_finds_content_that_is_missing_or_has_another_size() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let (kept, cut, lost) = (png(8, 8), png(9, 9), png(10, 10));
    for content in [&kept, &cut, &lost] {
        share(&app, &mut ann, "one", ("a.png", content)).await;
    }
    let found = async |app: &TestApp| {
        let ran = doctor::run(&app.context).await.expect("runs");
        let found = ran.found.iter();
        let of_files = found.filter(|found| found.check() == Check::KeptFiles);
        of_files.cloned().collect::<Vec<_>>()
    };
    assert_eq!(found(&app).await, [Diagnosis::KeptFilesThere(3)]);

    let content = store::ContentStore::beside(&app.data().join("noom.db"));
    let (cut, lost) = (content.path(&hash(&cut)), content.path(&hash(&lost)));
    fs::write(&cut, b"less").expect("written");
    fs::remove_file(&lost).expect("removed");
    let missing = found(&app).await;
    let [
        Diagnosis::KeptFilesMissing {
            missing: 2,
            example,
            ..
        },
    ] = &missing[..]
    else {
        panic!("{missing:?}");
    };
    assert!(
        [&cut, &lost].contains(&&PathBuf::from(example)),
        "{example}"
    );

    // What no message refers to any more is not missed.
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(ann.wait_for_close().await, Some(1012));
    assert_eq!(found(&app).await, [Diagnosis::KeptFilesNone]);
}

#[tokio::test]
async fn content_without_a_message_is_removed_at_the_start_and_other_files_stay() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let content = png(6, 6);
    share(&app, &mut ann, "kept", ("a.png", &content)).await;
    drop(ann);
    let data = app.stop_and_keep().await;
    let orphan = hash(b"orphan").hex();
    let folder = data.path().join("files").join(&orphan[..2]);
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join(&orphan[2..]), "orphan").expect("written");
    let note = data.path().join("files/README");
    fs::write(&note, "of the operator").expect("written");
    let half = data.path().join("files/incoming/f_half");
    fs::write(&half, "half").expect("written");
    let app = TestApp::start_in(data, &[]).await;
    assert_eq!(contents(app.data()), [hash(&content)]);
    assert!(note.exists() && !half.exists());
    let message = newest(&app.context).await;
    assert_eq!(load(&app, &message.files[0].url).await.body, content);
}

#[tokio::test]
async fn a_backup_holds_the_files_and_a_restore_puts_them_back() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let (small, large) = (png(6, 6), vec![7; 2_500_000]);
    let before = share(&app, &mut ann, "small", ("a.png", &small)).await;
    share(&app, &mut ann, "large", ("b.bin", &large)).await;
    let copies = tempfile::tempdir().expect("a directory");
    let copy = copies.path().join("copy.db");
    let bytes = store::backup(&app.database(), &copy, false).expect("copied");
    assert!(bytes > 2_500_000, "{bytes}");
    // Both are deleted, and a third one is stored.
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(ann.wait_for_close().await, Some(1012));
    let mut ann = app.join("team", "Ann").await;
    let later = png(9, 9);
    share(&app, &mut ann, "later", ("c.png", &later)).await;
    assert_eq!(contents(app.data()), [hash(&later)]);
    drop(ann);
    let mut former = None;
    let app = app
        .restart_after(|database| {
            let restored = store::restore(database, &copy).expect("restored");
            assert_eq!((restored.messages, restored.missing_files), (2, 0));
            former = restored.former;
            let size = fs::metadata(database).expect("there").len();
            assert!(
                size < 1_000_000,
                "the content is not in the database: {size}"
            );
        })
        .await;
    let mut found = contents(app.data());
    found.sort_by_key(ContentHash::hex);
    let mut expected = vec![hash(&small), hash(&large)];
    expected.sort_by_key(ContentHash::hex);
    assert_eq!(found, expected);
    let message = newest(&app.context).await;
    assert_eq!(load(&app, &message.files[0].url).await.body, large);
    let url = &before.files[0].url;
    assert_eq!(load(&app, url).await.body, small, "links stay valid");
    // The way back to the former database has its files, too.
    let former = former.expect("kept");
    let app = app
        .restart_after(|database| {
            let restored = store::restore(database, &former).expect("restored");
            assert_eq!((restored.messages, restored.missing_files), (1, 0));
        })
        .await;
    let message = newest(&app.context).await;
    assert_eq!(load(&app, &message.files[0].url).await.body, later);
}

#[tokio::test]
async fn a_restore_without_the_content_keeps_the_messages_and_says_what_is_missing() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    share(&app, &mut ann, "words stay", ("a.png", &png(6, 6))).await;
    drop(ann);
    let data = app.stop_and_keep().await;
    let alone = tempfile::tempdir().expect("a directory");
    let copy = alone.path().join("only.db");
    fs::copy(data.path().join("noom.db"), &copy).expect("copied");
    let fresh = super::harness::data_directory();
    let restored = store::restore(&fresh.path().join("noom.db"), &copy).expect("restored");
    assert_eq!((restored.messages, restored.missing_files), (1, 1));
    let app = TestApp::start_in(fresh, &[]).await;
    let message = newest(&app.context).await;
    assert_eq!((message.words(), message.files.len()), ("words stay", 0));
}

#[tokio::test]
async fn a_flood_of_uploads_is_refused_for_one_address_and_others_go_on() {
    let rates = ["--address-rates", "uploads=1/5"];
    let app = TestApp::start_with(long_timing(), &rates).await;
    let (eve, ann) = (app.join("team", "Eve").await, app.join("team", "Ann").await);
    let flood = |source: &'static str, session: SessionToken| {
        let app = &app;
        async move {
            let headers = beginning(&session, "a.bin", 1000);
            let request = ("POST", "/uploads/team", headers.as_str());
            send_from(app, source, request, b"").await
        }
    };
    let answers = join_all((0..40).map(|_| flood("127.0.0.66", session(&eve)))).await;
    let begun = answers.iter().filter(|answer| answer.status == 201).count();
    assert!((5..20).contains(&begun), "{begun}");
    let refused = answers.iter().find(|answer| answer.status != 201);
    let refused = refused.expect("refused");
    assert_eq!(refused.refusal(), (429, "too_many_uploads"));
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(flood("127.0.0.7", session(&ann)).await.status, 201);
    // From many addresses, one participant has 20 uploads.
    let mut begun = 0;
    for host in 100..200 {
        let headers = beginning(&session(&ann), "a.bin", 1000);
        let request = ("POST", "/uploads/team", headers.as_str());
        let answer = send_from(&app, &format!("127.0.1.{host}"), request, b"").await;
        match answer.status {
            201 => begun += 1,
            _ => assert_eq!(answer.refusal(), (429, "too_many_uploads")),
        }
    }
    assert_eq!(begun, 19);
}

#[tokio::test]
async fn a_server_without_files_takes_none_and_one_with_a_bound_takes_no_larger_one() {
    let app = TestApp::start_with(long_timing(), &["--max-file-size", "off"]).await;
    let ann = app.join("team", "Ann").await;
    let refused = begin(&app, &session(&ann), ("team", "a.txt"), 5).await;
    assert_eq!(refused.expect_err("refused").refusal(), (403, "files_off"));
    assert!(!app.data().join("files").exists());
    let app = TestApp::start_with(long_timing(), &["--max-file-size", "1000"]).await;
    let ann = app.join("team", "Ann").await;
    for length in [0, 1001, usize::MAX] {
        let refused = begin(&app, &session(&ann), ("team", "a.txt"), length).await;
        let refused = refused.expect_err("refused");
        assert_eq!(refused.refusal(), (413, "file_too_large"), "{length}");
    }
    begin(&app, &session(&ann), ("team", "a.txt"), 1000)
        .await
        .expect("begun");
    let known = send(&app, ("OPTIONS", "/uploads/team", ""), b"").await;
    assert_eq!((known.status, known.header("tus-max-size")), (204, "1000"));
}

#[tokio::test]
async fn the_links_of_a_server_below_a_base_path_are_below_it_and_those_of_messages_are_not() {
    let app = TestApp::start_with(long_timing(), &["--base-path", "/noom"]).await;
    let mut ann = app.connect_at("/noom/ws").await;
    ann.join("team", "Ann").await;
    let headers = beginning(&session(&ann), "a.txt", 5);
    let begun = send(&app, ("POST", "/noom/uploads/team", &headers), b"").await;
    let path = begun.header("location").to_owned();
    assert!(path.starts_with("/noom/uploads/team/f_"), "{path}");
    let headers = continuing(&session(&ann), 0);
    assert_eq!(
        send(&app, ("PATCH", &path, &headers), b"hello")
            .await
            .status,
        204
    );
    let id = FileId::parse(path.rsplit('/').next().expect("an id")).expect("valid");
    let sent = ann.try_chat(new_id(), "", vec![id]).await.expect("stored");
    let url = &sent.files[0].url;
    assert!(url.starts_with("/files/"), "{url}");
    assert_eq!(load(&app, &format!("/noom{url}")).await.body, b"hello");
}
