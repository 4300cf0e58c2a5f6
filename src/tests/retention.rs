//! Messages that are not to be kept: deleted, told to nobody, gone from the file.

use super::harness::{TestApp, hasty, new_id, patient};
use crate::{
    protocol::{ChatText, ClientMessage, Nickname, Person, RoomName, Seq, ServerMessage},
    server::{
        AppContext,
        config::{Config, Keep, Retention},
        new_session_token, participant_id, retention,
        store::NewMessage,
    },
};
use std::{sync::Arc, time::Duration};

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("valid")
}

/// Stores something said so many days ago.
async fn said(app: &TestApp, room: &str, days: u64, text: &str) -> Seq {
    let at = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let since = at
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let message = NewMessage {
        id: new_id(),
        from: Person::new(
            participant_id(&new_session_token()),
            Nickname::parse("Ann").expect("valid"),
        ),
        text: ChatText::parse(text).expect("valid"),
        at: i64::try_from(since.as_millis()).expect("fits"),
        reply_to: None,
    };
    let stored = app.context.store.append(&name(room), message).await;
    stored.expect("stored").message.seq
}

/// The server's state under other rules.
fn keeping(app: &TestApp, everywhere: Keep, rooms: &[(&str, Keep)]) -> AppContext {
    let rooms = rooms.iter().map(|(room, keep)| (name(room), *keep));
    let retention = Retention {
        everywhere,
        rooms: rooms.collect(),
    };
    let config = (*app.context.config).clone();
    let config = Arc::new(Config {
        retention,
        ..config
    });
    AppContext {
        config,
        ..app.context.clone()
    }
}

/// What a room's log holds.
async fn seqs(app: &TestApp, room: &str) -> Vec<Seq> {
    let page = app.context.store.page(&name(room), None, 1000).await;
    page.expect("read").messages.iter().map(|m| m.seq).collect()
}

/// How many messages of the team a search finds.
async fn found(app: &TestApp, query: &str) -> usize {
    let team = name("team");
    let page = app.context.store.search(&team, query, None, 50).await;
    page.expect("read").messages.len()
}

#[tokio::test]
async fn only_the_newest_messages_stay_and_whoever_comes_later_is_given_no_other() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    for number in 1..=10 {
        ann.says(&format!("number {number}")).await;
    }
    let newest = Keep {
        messages: 3,
        ..Keep::default()
    };
    let context = keeping(&app, newest, &[]);
    assert_eq!(retention::sweep(&context).await.expect("swept"), 7);
    assert_eq!(retention::sweep(&context).await.expect("swept"), 0);
    let mut late = app.join("team", "Late").await;
    let joined = late.joined();
    let history = joined.history.iter().map(|m| m.seq).collect::<Vec<_>>();
    assert_eq!(
        (history, joined.more, joined.seq),
        (vec![8, 9, 10], false, 10)
    );
    assert_eq!(late.epoch(), ann.epoch());
    late.sends(&ClientMessage::History {
        before: 8,
        limit: None,
    })
    .await;
    let page = late.next().await;
    assert!(
        matches!(&page, ServerMessage::History { messages, more: false } if messages.is_empty()),
        "{page:?}"
    );
    assert_eq!(found(&app, "number").await, 3);
    assert_eq!(late.says("next").await.seq, 11, "numbers go on");
    // After a restart it is no different.
    let app = app.restart().await;
    let late = app.join("team", "Later").await;
    assert_eq!(late.joined().history.first().map(|m| m.seq), Some(8));
    assert!(!late.joined().more);
}

#[tokio::test]
async fn old_messages_go_by_their_own_time_and_a_room_may_keep_them_otherwise() {
    let app = TestApp::start().await;
    // The third one was said while the clock was wrong.
    for (days, text) in [(9, "old"), (8, "old"), (0, "new"), (8, "old"), (6, "new")] {
        said(&app, "team", days, text).await;
        said(&app, "archive", days, text).await;
        said(&app, "short", days, text).await;
    }
    let week = Keep {
        days: 7,
        messages: 0,
    };
    let short = Keep {
        days: 7,
        messages: 1,
    };
    let context = keeping(
        &app,
        week,
        &[("archive", Keep::default()), ("short", short)],
    );
    retention::sweep(&context).await.expect("swept");
    assert_eq!(seqs(&app, "team").await, [3, 5]);
    assert_eq!(seqs(&app, "archive").await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&app, "short").await, [5]);
}

#[tokio::test]
async fn a_long_log_is_swept_in_pieces_while_people_talk() {
    let app = TestApp::start().await;
    for number in 0..1100 {
        said(&app, "team", 9, &number.to_string()).await;
    }
    let mut ann = app.join("team", "Ann").await;
    let week = Keep {
        days: 7,
        messages: 0,
    };
    let context = keeping(&app, week, &[]);
    let sweeping = tokio::spawn(async move { retention::sweep(&context).await });
    let mut spoken = vec![ann.says("meanwhile").await.seq];
    while !sweeping.is_finished() && spoken.len() < 30 {
        spoken.push(ann.says("meanwhile").await.seq);
    }
    assert_eq!(sweeping.await.expect("ends").expect("swept"), 1100);
    assert_eq!(seqs(&app, "team").await, spoken);
}

#[tokio::test]
async fn what_was_deleted_is_not_in_the_files_any_more() {
    let app = TestApp::start().await;
    // Letters that stand nowhere else, also in the index of words.
    let (secret, public) = ("\u{a66e}\u{a66d}\u{a66e}", "\u{a64b}\u{a64d}\u{a64b}");
    for number in 0..50 {
        said(&app, "team", 9, &format!("{secret} {number}")).await;
        said(&app, "team", 1, &format!("{public} {number}")).await;
    }
    let holds = |text: &str| {
        let letter = text.chars().next().expect("a letter").to_string();
        let files = ["noom.db", "noom.db-wal"].map(|file| app.data().join(file));
        let bytes = files.map(|file| std::fs::read(file).unwrap_or_default());
        let letter = letter.as_bytes();
        bytes
            .iter()
            .any(|bytes| bytes.windows(letter.len()).any(|part| part == letter))
    };
    assert!(holds(secret) && holds(public));
    let week = Keep {
        days: 7,
        messages: 0,
    };
    let context = keeping(&app, week, &[]);
    assert_eq!(retention::sweep(&context).await.expect("swept"), 50);
    assert!(!holds(secret), "gone from table, index and log");
    assert!(holds(public), "the positive control");
    assert_eq!(found(&app, public).await, 50);
}

#[tokio::test]
async fn a_server_sweeps_by_itself_and_does_not_by_default() {
    let app = TestApp::start_with(hasty(), &["--keep-messages", "2"]).await;
    for number in 1..=5 {
        said(&app, "team", 0, &number.to_string()).await;
    }
    while seqs(&app, "team").await != [4, 5] {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let timing = crate::server::limits::Timing {
        sweep_every: Duration::from_millis(10),
        ..patient()
    };
    let app = TestApp::start_with(timing, &[]).await;
    said(&app, "team", 20_000, "very old").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(seqs(&app, "team").await, [1]);
}
