//! What `/metrics` counts. All tests of a process count into the same numbers, so each
//! looks at what has become more.

use super::harness::{TestApp, new_id};
use crate::protocol::ClientMessage;

/// A number by the name and labels it has in the text.
async fn number(app: &TestApp, name: &str) -> f64 {
    let text = app.counts().await;
    let line = text
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|v| v.starts_with(' ')));
    let value = line.and_then(|line| line.rsplit_once(' '));
    value.map_or(0.0, |(_, value)| value.parse().expect("a number"))
}

#[tokio::test]
async fn what_happens_is_counted_under_its_name() {
    let app = TestApp::start().await;
    let names = [
        "noom_joins_total",
        "noom_resumes_total{outcome=\"resumed\"}",
        "noom_resumes_total{outcome=\"snapshot\"}",
        "noom_frames_total",
        "noom_errors_total{code=\"message_empty\"}",
        "noom_errors_total{code=\"bad_nickname\"}",
        "noom_messages_refused_total",
        "noom_commit_seconds_count",
        "noom_commit_seconds_bucket{le=\"+Inf\"}",
        "noom_commit_rows_sum",
        "noom_http_requests_total",
    ];
    let mut before = Vec::new();
    for name in names {
        before.push(number(&app, name).await);
    }
    let mut ann = app.join("team", "Ann").await;
    let said = ann.says("hello").await;
    let (id, text, reply_to) = (new_id(), " ".to_owned(), None);
    ann.sends(&ClientMessage::Chat { id, text, reply_to }).await;
    ann.is_refused().await;
    let nickname = String::new();
    ann.sends(&ClientMessage::Nickname { nickname }).await;
    ann.is_refused().await;
    let joined = ann.joined().clone();
    app.resume("team", "Ann", &joined, said.seq).await;
    app.resume("team", "Ann", &joined, said.seq + 99).await;
    for (name, before) in names.into_iter().zip(before) {
        let after = number(&app, name).await;
        assert!(after > before, "{name}: {before} and then {after}");
    }
    assert!(number(&app, "noom_disk_free_bytes").await > 0.0);
    assert!(number(&app, "noom_writer_queue").await >= 0.0);
}

#[tokio::test]
async fn every_number_is_in_the_manual() {
    let app = TestApp::start().await;
    let manual = include_str!("../../docs/operating.md");
    let text = app.counts().await;
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next());
    let mut count = 0;
    for name in names {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}
