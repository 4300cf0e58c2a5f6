//! Messages with files by the form of the page, for browsers without script.

use super::harness::{Client, DEADLINE, TestApp, long_timing, status, until};
use super::private::{lobby, set_room};
use crate::protocol::{ClientMessage, Feature, FeatureSet, Powers, ServerMessage, SettingsChange};
use crate::server::limits::Timing;
use std::{fs, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The boundary of the forms.
const BOUNDARY: &str = "----noomTest";

/// A form with a text and files.
fn body(text: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut add = |head: &str, content: &[u8]| {
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes(),
        );
        body.extend(content);
        body.extend(b"\r\n");
    };
    add("name=\"room\"", b"ignored");
    add("name=\"text\"", text.as_bytes());
    for (name, content) in files {
        add(&format!("name=\"file\"; filename=\"{name}\""), content);
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

/// The head of a request with a form of this length.
fn head(headers: &str, length: usize) -> String {
    format!(
        "POST /uploads/team/message HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Content-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    )
}

/// Reads an answer to its end.
async fn answer(mut stream: TcpStream) -> String {
    let mut response = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut response)).await;
    read.expect("an answer").ok();
    String::from_utf8_lossy(&response).into_owned()
}

/// Sends a form from this machine; returns the answer.
async fn send(app: &TestApp, headers: &str, body: &[u8]) -> String {
    let mut stream = app.tcp_from("127.0.0.1").await;
    let head = head(headers, body.len());
    // The server may answer before it has read everything.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    answer(stream).await
}

/// The path to which an answer leads.
fn location(answer: &str) -> &str {
    let mut lines = answer.lines().take_while(|line| !line.is_empty());
    let place = lines.find_map(|line| line.strip_prefix("location: "));
    place.unwrap_or_else(|| panic!("a redirect: {answer}"))
}

/// Nothing of a form is left: no upload, and no file on the disk.
async fn expect_nothing(app: &TestApp) {
    let uploads = app.context.store.uploads();
    until("nothing is left", || {
        let directory = app.data().join("files/incoming");
        uploads.count() == 0 && fs::read_dir(directory).expect("read").count() == 0
    })
    .await;
}

/// A participant of the room `team`, which the forms are posted to.
async fn ann(app: &TestApp) -> Client {
    app.join("team", "Ann").await
}

#[tokio::test]
async fn a_form_without_script_sends_a_text_with_its_files() {
    let app = TestApp::start().await;
    let mut ann = ann(&app).await;
    let plan = vec![7; 300_000];
    let files: [(&str, &[u8]); 3] = [("휴가 %22a%22.pdf", &plan), ("b.txt", b"x"), ("", b"")];
    let answer = send(&app, "", &body("hello\r\nyou", &files)).await;
    assert_eq!((status(&answer), location(&answer)), (302, "/room/team"));
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: "));
    let cookie = cookie.expect("the device is remembered");
    assert!(cookie.contains("noom_device=") && cookie.contains("HttpOnly"));
    let message = ann.wait_for_chat("hello\nyou").await;
    let seen: Vec<_> = message
        .files
        .iter()
        .map(|it| (it.name.as_str(), it.size))
        .collect();
    assert_eq!(seen, [("휴가 \"a\".pdf", 300_000), ("b.txt", 1)]);
    let loaded = app.get(&message.files[1].url).await;
    assert!(loaded.ends_with("\r\n\r\nx"), "{loaded}");
    expect_nothing(&app).await;

    // The next form of the device is of the same author; a file alone is a message, too.
    let cookie = cookie.trim_start_matches("set-cookie: ").split(';').next();
    let headers = format!("Cookie: {}\r\n", cookie.unwrap_or_default());
    let answer = send(&app, &headers, &body("", &[("c.bin", b"yz")])).await;
    assert_eq!(location(&answer), "/room/team");
    let next = ann.wait_for_chat("").await;
    assert_eq!((next.from.id, next.files.len()), (message.from.id, 1));
    // Without files the form is that of a text.
    let answer = send(&app, &headers, &body("only words", &[("", b"")])).await;
    assert_eq!(location(&answer), "/room/team");
    assert!(ann.wait_for_chat("only words").await.files.is_empty());
}

#[tokio::test]
async fn a_form_with_files_that_are_refused_says_why_and_leaves_nothing() {
    let flags = ["--max-file-size", "1000", "--room-file-bytes", "3000"];
    let app = TestApp::start_with(long_timing(), &flags).await;
    let mut ann = ann(&app).await;
    let (large, full, small) = (vec![1; 1001], vec![2; 1000], vec![3; 10]);
    let many: Vec<(&str, &[u8])> = (0..11).map(|_| ("a.bin", &small[..])).collect();
    let four: Vec<(&str, &[u8])> = (0..4).map(|_| ("a.bin", &full[..])).collect();
    let with_large: Vec<(&str, &[u8])> = vec![("a.bin", &small), ("large.bin", &large)];
    let with_empty: Vec<(&str, &[u8])> = vec![("a.bin", &small), ("empty.bin", b"")];
    let cases = [
        (with_large, "file_too_large"),
        (with_empty, "file_too_large"),
        (many, "too_many_files"),
        (four, "room_storage_full"),
    ];
    for (files, code) in cases {
        let answer = send(&app, "", &body("refused", &files)).await;
        assert_eq!(location(&answer), format!("/room/team?refused={code}"));
        expect_nothing(&app).await;
        let page = app.get(location(&answer)).await;
        assert!(page.contains("Not sent:"), "{code} is said in the page");
    }
    // Nothing of them was stored, and the next form is.
    let answer = send(&app, "", &body("stored", &[("a.bin", &full)])).await;
    assert_eq!(location(&answer), "/room/team");
    assert_eq!(ann.wait_for_chat("stored").await.seq, 1);
}

#[tokio::test]
async fn a_form_of_a_stranger_uploads_nothing_and_leads_to_the_page_that_asks() {
    let app = TestApp::start().await;
    let mut ann = ann(&app).await;
    set_room(&mut ann, lobby()).await;
    let answer = send(&app, "", &body("let me in", &[("a.bin", &[1; 5000])])).await;
    assert_eq!(location(&answer), "/room/team?refused=not_joined&plain=1");
    expect_nothing(&app).await;

    let words_only = SettingsChange {
        lobby: Some(false),
        powers: Some(Powers {
            guest: FeatureSet::of(&[Feature::Chat]),
            ..Powers::default()
        }),
        ..SettingsChange::default()
    };
    set_room(&mut ann, words_only).await;
    let answer = send(&app, "", &body("words", &[("a.bin", b"x")])).await;
    assert_eq!(location(&answer), "/room/team?refused=not_allowed");
    expect_nothing(&app).await;
    let answer = send(&app, "", &body("words", &[("", b"")])).await;
    assert_eq!(location(&answer), "/room/team");
    ann.wait_for_chat("words").await;
}

#[tokio::test]
async fn a_form_of_another_site_or_of_another_kind_is_refused() {
    let app = TestApp::start().await;
    let mut ann = ann(&app).await;
    let form = body("forged", &[("a.bin", b"x")]);
    let foreign = send(&app, "Origin: https://evil.example\r\n", &form).await;
    assert_eq!(status(&foreign), 403);
    let foreign = send(&app, "Sec-Fetch-Site: cross-site\r\n", &form).await;
    assert_eq!(status(&foreign), 403);
    let packed = send(&app, "Content-Encoding: gzip\r\n", &form).await;
    assert_eq!(status(&packed), 415);
    assert_eq!(status(&send(&app, "", b"no form at all").await), 400);
    assert_eq!(status(&send(&app, "", &form[..form.len() - 8]).await), 400);
    let endless = [format!("--{BOUNDARY}\r\n").as_bytes(), &[b'a'; 20_000]].concat();
    assert_eq!(status(&send(&app, "", &endless).await), 400);
    let plain = head("", 0).replace("multipart/form-data", "text/plain");
    let mut stream = app.tcp_from("127.0.0.1").await;
    stream.write_all(plain.as_bytes()).await.expect("sent");
    assert_eq!(status(&answer(stream).await), 415);
    let chunked = head("Transfer-Encoding: chunked\r\n", 0).replace("Content-Length: 0\r\n", "");
    let mut stream = app.tcp_from("127.0.0.1").await;
    stream.write_all(chunked.as_bytes()).await.expect("sent");
    assert_eq!(status(&answer(stream).await), 411);
    expect_nothing(&app).await;
    ann.send(&ClientMessage::Ping).await;
    let frames = ann.received_so_far().await;
    let is_chat = |frame: &ServerMessage| matches!(frame, ServerMessage::Chat(_));
    assert!(!frames.iter().any(is_chat), "{frames:?}");
}

#[tokio::test]
async fn a_form_that_is_cut_or_too_slow_leaves_nothing() {
    let timing = Timing {
        upload_stall: Duration::from_millis(100),
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    let _ann = ann(&app).await;
    let form = body("half", &[("a.bin", &[1; 200_000])]);
    let uploads = app.context.store.uploads().clone();
    for cut in [true, false] {
        let mut stream = app.tcp_from("127.0.0.1").await;
        let head = head("", form.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&form[..150_000]).await.expect("sent");
        if cut {
            until("the upload has begun", || uploads.count() == 1).await;
            drop(stream);
        } else {
            assert_eq!(status(&answer(stream).await), 408);
        }
        expect_nothing(&app).await;
    }
}
