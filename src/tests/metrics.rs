//! The metrics at `/metrics`. Each server has its own registry, so a test sees its own values only.

use super::harness::{TestApp, new_id};
use crate::{
    protocol::{ChatDraft, ClientMessage},
    server::limits::Timing,
};

#[tokio::test]
async fn joins_refusals_commits_and_requests_are_counted_under_their_names() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let said = ann.send_chat("hello").await;
    let (id, text, reply_to) = (new_id(), " ".to_owned(), None);
    ann.send(&ClientMessage::Chat(ChatDraft {
        id,
        text,
        reply_to,
        files: Vec::new(),
        mentions: Vec::new(),
    }))
    .await;
    ann.wait_for_refusal().await;
    let nickname = String::new();
    ann.send(&ClientMessage::Nickname { nickname }).await;
    ann.wait_for_refusal().await;
    let joined = ann.joined().clone();
    app.resume("team", "Ann", &joined, said.seq).await;
    app.resume("team", "Ann", &joined, said.seq + 99).await;
    let metrics = app.metrics().await;
    for (name, expected) in [
        ("noom_joins_total", 3.0),
        ("noom_resumes_total{outcome=\"resumed\"}", 1.0),
        ("noom_resumes_total{outcome=\"snapshot\"}", 1.0),
        ("noom_refusals_total{code=\"message_empty\"}", 1.0),
        ("noom_refusals_total{code=\"bad_nickname\"}", 1.0),
        ("noom_messages_total", 1.0),
        ("noom_messages_refused_total", 1.0),
        // The host key of the new room, and the message.
        ("noom_commit_rows_sum", 2.0),
        ("noom_commit_failures_total", 0.0),
        ("noom_writer_queue", 0.0),
    ] {
        assert_eq!(metrics.value(name), expected, "{name}");
    }
    for name in [
        "noom_commit_seconds_count",
        "noom_commit_seconds_bucket{le=\"+Inf\"}",
        "noom_frames_total",
        "noom_http_requests_total",
        "noom_disk_free_bytes",
    ] {
        assert!(metrics.value(name) > 0.0, "{name}");
    }
}

#[tokio::test]
async fn two_servers_of_one_process_count_separately() {
    let (busy, idle) = (TestApp::start().await, TestApp::start().await);
    busy.join("team", "Ann").await.send_chat("hello").await;
    for (name, expected) in [
        ("noom_joins_total", 1.0),
        ("noom_messages_total", 1.0),
        ("noom_commit_rows_sum", 2.0),
    ] {
        assert_eq!(busy.metrics().await.value(name), expected, "{name}");
        assert_eq!(idle.metrics().await.value(name), 0.0, "{name}");
    }
}

#[tokio::test]
#[should_panic(expected = "no metric noom_no_such_metric")]
async fn a_metric_that_is_missing_fails_the_test_that_reads_it() {
    TestApp::start()
        .await
        .metrics()
        .await
        .value("noom_no_such_metric");
}

#[tokio::test]
async fn the_operators_manual_lists_every_metric_and_no_other() {
    let app = TestApp::start_with(Timing::default(), &["--turn-listen", "127.0.0.1:0"]).await;
    // A code has no series before its first refusal.
    let mut ann = app.join("team", "Ann").await;
    let nickname = String::new();
    ann.send(&ClientMessage::Nickname { nickname }).await;
    ann.wait_for_refusal().await;
    let manual = include_str!("../../docs/operating.md");
    let exposed = app.metrics().await.names;
    for name in &exposed {
        assert!(
            manual.contains(&format!("`{name}`")),
            "undocumented: {name}"
        );
    }
    let table = manual.lines().filter(|line| line.starts_with("| `noom_"));
    let listed = table.flat_map(|line| line.split('|').nth(1).unwrap_or_default().split('`'));
    let listed: Vec<_> = listed.filter(|word| word.starts_with("noom_")).collect();
    assert!(listed.len() >= exposed.len(), "the table is read");
    for name in listed {
        assert!(
            exposed.iter().any(|exposed| exposed == name),
            "not exposed: {name}"
        );
    }
    assert!(exposed.len() > 40, "{}", exposed.len());
}
