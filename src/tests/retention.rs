//! Retention: expired messages are deleted, erased from the files, and not sent to anybody.

use super::harness::{DEADLINE, TestApp, draft, long_timing, short_timing};
use crate::{
    protocol::{ClientMessage, Nickname, Person, RoomName, Seq, ServerMessage, SettingsChange},
    server::{
        AppContext,
        authority::AuthorityEvent,
        clock::Moment,
        config::{Config, Retention, RetentionLimits},
        new_session_token, participant_id,
        retention::{self, Sweeper},
        store::{self, NewMessage, NewRecord, Recorded, StoreError},
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("valid")
}

/// Stores a message that is this many days old.
async fn store_message(app: &TestApp, room: &str, days: u64, text: &str) -> Seq {
    let at = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let since = at
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let message = NewMessage {
        draft: draft(text),
        from: Person::new(
            participant_id(&new_session_token()),
            Nickname::parse("Ann").expect("valid"),
        ),
        at: i64::try_from(since.as_millis()).expect("fits"),
        mentions: Vec::new(),
    };
    let stored = app.context.store.append(&name(room), message).await;
    stored.expect("stored").message.seq
}

/// The server's state with other retention rules.
fn context_with_retention(
    app: &TestApp,
    defaults: RetentionLimits,
    rooms: &[(&str, RetentionLimits)],
) -> AppContext {
    let rooms = rooms.iter().map(|(room, limits)| (name(room), *limits));
    let retention = Retention {
        defaults,
        rooms: rooms.collect(),
    };
    let config = (*app.context.config).clone();
    let config = Arc::new(Config {
        retention,
        ..config
    });
    app.context.clone().with(|shared| shared.config = config)
}

/// Deletes all expired messages, without a check of the clock.
async fn swept(context: &AppContext) -> Result<u64, StoreError> {
    retention::sweep(context, Moment::now().wall_ms, true).await
}

/// The `seq` of each stored message of a room.
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
async fn a_sweep_by_count_keeps_the_newest_messages_and_later_joins_receive_no_other() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    for number in 1..=10 {
        ann.send_chat(&format!("number {number}")).await;
    }
    let newest = RetentionLimits {
        messages: 3,
        ..RetentionLimits::default()
    };
    let context = context_with_retention(&app, newest, &[]);
    assert_eq!(swept(&context).await.expect("swept"), 7);
    assert_eq!(swept(&context).await.expect("swept"), 0);
    let mut late = app.join("team", "Late").await;
    let joined = late.joined();
    let history = joined.history.iter().map(|m| m.seq).collect::<Vec<_>>();
    assert_eq!(
        (history, joined.more, joined.seq),
        (vec![8, 9, 10], false, 10)
    );
    assert_eq!(late.epoch(), ann.epoch());
    late.send(&ClientMessage::History {
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
    assert_eq!(late.send_chat("next").await.seq, 11, "numbers go on");
    // The same holds after a restart.
    let app = app.restart().await;
    let late = app.join("team", "Later").await;
    assert_eq!(late.joined().history.first().map(|m| m.seq), Some(8));
    assert!(!late.joined().more);
}

#[tokio::test]
async fn each_message_expires_by_its_own_time_and_the_rule_of_its_room() {
    let app = TestApp::start().await;
    // The third message was stored while the clock was wrong.
    for (days, text) in [(9, "old"), (8, "old"), (0, "new"), (8, "old"), (6, "new")] {
        store_message(&app, "team", days, text).await;
        store_message(&app, "archive", days, text).await;
        store_message(&app, "short", days, text).await;
    }
    let week = RetentionLimits {
        days: 7,
        messages: 0,
    };
    let short = RetentionLimits {
        days: 7,
        messages: 1,
    };
    let context = context_with_retention(
        &app,
        week,
        &[("archive", RetentionLimits::default()), ("short", short)],
    );
    swept(&context).await.expect("swept");
    assert_eq!(seqs(&app, "team").await, [3, 5]);
    assert_eq!(seqs(&app, "archive").await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&app, "short").await, [5]);
}

#[tokio::test]
async fn a_long_log_is_swept_in_batches_while_people_chat() {
    let app = TestApp::start().await;
    for number in 0..1100 {
        store_message(&app, "team", 9, &number.to_string()).await;
    }
    let mut ann = app.join("team", "Ann").await;
    let week = RetentionLimits {
        days: 7,
        messages: 0,
    };
    let context = context_with_retention(&app, week, &[]);
    let sweeping = tokio::spawn(async move { swept(&context).await });
    let mut spoken = vec![ann.send_chat("meanwhile").await.seq];
    while !sweeping.is_finished() && spoken.len() < 30 {
        spoken.push(ann.send_chat("meanwhile").await.seq);
    }
    assert_eq!(sweeping.await.expect("ends").expect("swept"), 1100);
    assert_eq!(seqs(&app, "team").await, spoken);
}

#[tokio::test]
async fn swept_messages_are_erased_from_the_database_files() {
    let app = TestApp::start().await;
    // Letters that stand nowhere else, also in the index of words.
    let (secret, public) = ("\u{a66e}\u{a66d}\u{a66e}", "\u{a64b}\u{a64d}\u{a64b}");
    for number in 0..50 {
        store_message(&app, "team", 9, &format!("{secret} {number}")).await;
        store_message(&app, "team", 1, &format!("{public} {number}")).await;
    }
    let is_stored = |text: &str| {
        let letter = text.chars().next().expect("a letter").to_string();
        let files = ["noom.db", "noom.db-wal"].map(|file| app.data().join(file));
        let bytes = files.map(|file| std::fs::read(file).unwrap_or_default());
        let letter = letter.as_bytes();
        bytes
            .iter()
            .any(|bytes| bytes.windows(letter.len()).any(|part| part == letter))
    };
    assert!(is_stored(secret) && is_stored(public));
    let week = RetentionLimits {
        days: 7,
        messages: 0,
    };
    let context = context_with_retention(&app, week, &[]);
    assert_eq!(swept(&context).await.expect("swept"), 50);
    assert!(!is_stored(secret), "gone from table, index and log");
    assert!(is_stored(public), "the positive control");
    assert_eq!(found(&app, public).await, 50);
}

#[tokio::test]
async fn a_server_sweeps_by_its_rules_and_keeps_everything_by_default() {
    let app = TestApp::start_with(short_timing(), &["--keep-messages", "2"]).await;
    for number in 1..=5 {
        store_message(&app, "team", 0, &number.to_string()).await;
    }
    let swept = async {
        while seqs(&app, "team").await != [4, 5] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, swept).await.expect("the server sweeps");
    let timing = crate::server::limits::Timing {
        sweep_interval: Duration::from_millis(10),
        ..long_timing()
    };
    let app = TestApp::start_with(timing, &[]).await;
    store_message(&app, "team", 20_000, "very old").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(seqs(&app, "team").await, [1]);
}

/// The server's state with a retention of ninety days.
fn ninety_days(app: &TestApp) -> AppContext {
    let limits = RetentionLimits {
        days: 90,
        messages: 0,
    };
    context_with_retention(app, limits, &[])
}

/// A moment this many hours later, with the wall clock set ahead by this many days besides.
fn later(moment: Moment, hours: u64, days: i64) -> Moment {
    let hours_ms = i64::try_from(hours).expect("few") * 60 * 60 * 1000;
    Moment {
        wall_ms: moment.wall_ms + hours_ms + days * 24 * 60 * 60 * 1000,
        monotonic: moment.monotonic + Duration::from_secs(hours * 60 * 60),
    }
}

#[tokio::test]
async fn a_clock_set_a_year_ahead_deletes_nothing_for_a_day_and_is_reported() {
    let app = TestApp::start().await;
    for number in 1..=150 {
        store_message(&app, "team", 1, &number.to_string()).await;
    }
    let context = ninety_days(&app);
    let mut sweeper = Sweeper::new(context.clone());
    let now = Moment::now();
    assert_eq!(sweeper.sweep(now).await.expect("swept"), 0);
    let is_reported = || async {
        let ready = app.get("/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        let reported = ready.contains("confirm-sweep");
        let waiting = app.metrics().await.value("noom_sweep_waiting");
        assert_eq!(waiting, f64::from(u8::from(reported)));
        reported
    };
    assert!(!is_reported().await);
    // The clock is a year ahead, in this process and in the next one.
    for hours in [1, 2, 24] {
        let jumped = later(now, hours, 365);
        assert_eq!(sweeper.sweep(jumped).await.expect("swept"), 0, "{hours}");
        assert!(is_reported().await);
    }
    let mut restarted = Sweeper::new(context.clone());
    for (hours, expected) in [(24, 0), (25, 150)] {
        let jumped = later(now, hours, 365);
        let deleted = restarted.sweep(jumped).await.expect("swept");
        assert_eq!(deleted, expected, "{hours}");
    }
    assert!(!is_reported().await);
    assert_eq!(seqs(&app, "team").await, [0; 0]);
}

#[tokio::test]
async fn a_clock_that_is_corrected_in_time_deletes_nothing_wrongly() {
    let app = TestApp::start().await;
    store_message(&app, "team", 89, "young enough").await;
    store_message(&app, "team", 91, "too old").await;
    let context = ninety_days(&app);
    let now = Moment::now();
    // The record of a former process.
    let record = store::SweepRecord {
        swept_at: Some(later(now, 0, -1).wall_ms),
        waiting: None,
    };
    app.context
        .store
        .write_sweep_record(record)
        .await
        .expect("noted");
    let mut wrong = Sweeper::new(context.clone());
    let ahead = later(now, 0, 365);
    assert_eq!(wrong.sweep(ahead).await.expect("swept"), 0);
    assert_eq!(seqs(&app, "team").await, [1, 2]);
    let mut right = Sweeper::new(context);
    assert_eq!(right.sweep(later(now, 1, 0)).await.expect("swept"), 1);
    assert_eq!(seqs(&app, "team").await, [1]);
}

#[tokio::test]
async fn a_large_share_waits_for_the_operator_while_deletion_by_count_continues() {
    let app = TestApp::start().await;
    for number in 1..=150 {
        store_message(&app, "team", 100, &number.to_string()).await;
        store_message(&app, "short", 100, &number.to_string()).await;
    }
    let defaults = RetentionLimits {
        days: 90,
        messages: 0,
    };
    let short = RetentionLimits {
        days: 90,
        messages: 20,
    };
    let context = context_with_retention(&app, defaults, &[("short", short)]);
    let mut sweeper = Sweeper::new(context.clone());
    let now = Moment::now();
    assert_eq!(sweeper.sweep(now).await.expect("swept"), 130);
    assert_eq!(seqs(&app, "team").await.len(), 150);
    let database = app.database();
    let confirm = move || store::confirm_sweep(&database, now.wall_ms);
    let confirmed = tokio::task::spawn_blocking(confirm).await.expect("ends");
    confirmed.expect("noted");
    assert_eq!(sweeper.sweep(now).await.expect("swept"), 170);
    assert_eq!(context.sweeps.waiting(), None);
}

#[tokio::test]
async fn the_hosts_of_a_room_shorten_its_retention_and_never_lengthen_it() {
    let app = TestApp::start().await;
    for (room, keep_days) in [("short", 7), ("long", 3000)] {
        for days in [40, 20, 2] {
            store_message(&app, room, days, "hello").await;
        }
        let record = NewRecord {
            event: AuthorityEvent::Settings {
                change: SettingsChange {
                    retention_days: Some(Some(keep_days)),
                    ..SettingsChange::default()
                },
                admitted: Vec::new(),
            },
            at: 0,
        };
        let recorded = app.context.store.record(&name(room), record).await;
        assert!(matches!(recorded, Ok(Recorded::Applied(_))), "{recorded:?}");
    }
    for days in [40, 2] {
        store_message(&app, "other", days, "hello").await;
    }
    let counts = async || {
        let mut counts = Vec::new();
        for room in ["short", "long", "other"] {
            counts.push(seqs(&app, room).await.len());
        }
        counts
    };
    // Without a setting of the operator.
    let forever = context_with_retention(&app, RetentionLimits::default(), &[]);
    assert!(app.context.store.any_keeps_days().await.expect("read"));
    swept(&forever).await.expect("swept");
    assert_eq!(counts().await, [1, 3, 2]);
    let month = RetentionLimits {
        days: 30,
        messages: 0,
    };
    let context = context_with_retention(&app, month, &[]);
    swept(&context).await.expect("swept");
    assert_eq!(counts().await, [1, 2, 1]);
}
