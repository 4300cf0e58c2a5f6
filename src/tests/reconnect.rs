//! Connections that break and resume, slow readers, and restarts of the server.

use super::harness::{Client, DEADLINE, TestApp, long_timing, new_id, short_timing};
use crate::protocol::ServerMessage;
use futures::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Breaks the connection without a close frame.
async fn break_connection(client: Client) {
    drop(client);
}

#[tokio::test]
async fn closing_on_purpose_leaves_at_once() {
    // The grace period is a minute here, so Ben's `left` cannot be due to its end.
    let app = TestApp::start_with(long_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    for code in [Some(1000), None] {
        app.join("team", "Ben").await.close(code).await;
        assert_eq!(ann.wait_for_left("Ben").await, 1);
    }
}

#[tokio::test]
async fn a_reload_within_the_grace_shows_no_pair_of_notices() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    for code in [None, Some(1001)] {
        let ben = app.join("team", "Ben").await;
        let was = ben.joined().clone();
        match code {
            Some(code) => ben.close(Some(code)).await,
            None => break_connection(ben).await,
        }
        // A `left` here would be the first notice of the pair.
        let received = ann.received_so_far().await;
        let [ServerMessage::Entered { .. }] = received.as_slice() else {
            panic!("Ben entered, and nothing else: {received:?}")
        };
        let ben = app.resume("team", "Ben", &was, was.seq).await;
        assert!(ben.joined().resumed);
        assert_eq!((ben.id(), ben.joined().people.len()), (was.me, 2));
        assert_eq!(ann.received_so_far().await, []);
        ben.close(Some(1000)).await;
        ann.wait_for_left("Ben").await;
    }
}

#[tokio::test]
async fn returning_under_another_nickname_is_a_rename() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let ben = app.join("team", "Ben").await;
    let was = ben.joined().clone();
    break_connection(ben).await;
    let _ben = app.resume("team", "Benny", &was, was.seq).await;
    let received = ann.received_so_far().await;
    assert!(
        matches!(received.last(), Some(ServerMessage::Renamed { .. })),
        "{received:?}"
    );
    assert_eq!(received.len(), 2, "entered, renamed: {received:?}");
}

#[tokio::test]
async fn a_member_with_a_broken_connection_leaves_after_the_grace_period() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    let ben = app.join("team", "Ben").await;
    break_connection(ben).await;
    assert_eq!(ann.wait_for_left("Ben").await, 1);
}

#[tokio::test]
async fn a_silent_connection_times_out_without_a_grace_period() {
    let mut timing = short_timing();
    timing.grace = DEADLINE * 10;
    let app = TestApp::start_with(timing, &[]).await;
    let mut ann = app.join("team", "Ann").await;
    // Ben's socket stays open, but the test does not read it, so it answers no ping.
    let mut ben = app.join("team", "Ben").await;
    assert_eq!(ann.wait_for_left("Ben").await, 1);
    assert_eq!(ben.wait_for_close().await, Some(4408));
}

#[tokio::test]
async fn a_client_that_only_answers_pings_stays_connected() {
    let app = TestApp::start_with(short_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    // 30 pings, 100 ms apart, take longer than `dead_after`.
    let thirty_pings = async {
        let mut pings = 0;
        while pings < 30 {
            let frame = ann.socket.next().await.expect("open").expect("read");
            pings += usize::from(matches!(frame, Message::Ping(_)));
        }
    };
    timeout(DEADLINE, thirty_pings).await.expect("pings come");
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn resuming_replays_exactly_what_was_missed() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ann.send_chat("seen").await;
    let seen = ben.wait_for_chat("seen").await.seq;
    let was = ben.joined().clone();
    break_connection(ben).await;
    for text in ["one", "two", "three"] {
        ann.send_chat(text).await;
    }
    let mut ben = app.resume("team", "Ben", &was, seen).await;
    assert!(ben.joined().resumed);
    let missed = ben.joined().history.iter().map(|m| m.words());
    assert_eq!(missed.collect::<Vec<_>>(), ["one", "two", "three"]);
    ann.send_chat("four").await;
    ben.wait_for_chat("four").await;
}

#[tokio::test]
async fn a_resume_from_an_unknown_position_gets_a_snapshot() {
    let app = TestApp::start().await;
    let ann = app.join("team", "Ann").await;
    let mut was = ann.joined().clone();
    let ahead = app.resume("team", "Ann", &was, 7).await;
    assert!(!ahead.joined().resumed, "seq is ahead of the log");
    was.epoch = crate::protocol::Epoch::parse("another").expect("valid");
    let other = app.resume("team", "Ann", &was, 0).await;
    assert!(!other.joined().resumed && other.id() == was.me);
}

#[tokio::test]
async fn a_second_join_of_a_session_replaces_its_former_socket() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let was = ben.joined().clone();
    ann.received_so_far().await;
    let mut again = app.resume("team", "Ben", &was, 0).await;
    assert_eq!(ben.wait_for_close().await, Some(4409));
    assert_eq!(ann.received_so_far().await, [], "nobody left or entered");
    again.send_chat("still me").await;
    assert_eq!(ann.wait_for_chat("still me").await.from.id, was.me);
    assert_eq!(ann.received_so_far().await, [], "nobody left or entered");
}

#[tokio::test]
async fn a_restart_keeps_history_ids_and_epoch_and_closes_sockets_with_1012() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("before").await;
    let was = ann.joined().clone();
    let (app, closed) = tokio::join!(app.restart(), ann.wait_for_close());
    assert_eq!(closed, Some(1012));
    let ann = app.resume("team", "Ann", &was, 0).await;
    assert_eq!(
        (ann.id(), ann.epoch(), ann.joined().resumed),
        (was.me, was.epoch, true)
    );
    assert_eq!(ann.joined().history[0].words(), "before");
    let mut ben = app.join("team", "Ben").await;
    assert_eq!(ben.send_chat("after").await.seq, 2);
}

#[tokio::test]
async fn a_message_sent_again_after_a_restart_is_still_one_message() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let id = new_id();
    let first = ann.send_chat_with_id(id, "once").await;
    let was = ann.joined().clone();
    let app = app.restart().await;
    let mut ann = app.resume("team", "Ann", &was, 0).await;
    assert_eq!(ann.send_chat_with_id(id, "once").await, first);
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn stuck_clients_do_not_keep_the_server_from_stopping() {
    let app = TestApp::start().await;
    let stuck = app.join("team", "Stuck").await;
    let _idle = app.connect().await;
    let _half = tokio::net::TcpStream::connect(app.address)
        .await
        .expect("connects");
    app.stop().await;
    drop(stuck);
}

/// 15 senders of 40 offers of 47 KiB each to a client that reads none. Relayed messages fill a part
/// of its queue only; then the client is closed because it answers no ping. Returns when all have
/// left the room.
async fn overwhelm(app: &TestApp, slow: &mut Client) {
    slow.enter_call(9).await;
    let sdp = "x".repeat(47 * 1024);
    // Each sends no more than the rate limit of one socket allows at once.
    for number in 0..15 {
        let mut sender = app.join("team", &format!("Eve {number}")).await;
        sender.enter_call(1).await;
        for _ in 0..40 {
            sender.send_offer(&slow.id(), 9, &sdp).await;
        }
        sender.received_so_far().await;
        sender.close(Some(1000)).await;
    }
    let totals = || app.context.rooms.totals().people;
    let mut rooms = app.context.rooms.watch();
    rooms.wait_for(|_| totals() == 0).await.expect("all gone");
}

#[tokio::test]
async fn a_slow_reader_is_closed_with_4408_and_others_are_not_affected() {
    let mut timing = long_timing();
    (timing.grace, timing.close_timeout) = (short_timing().grace, DEADLINE);
    let app = TestApp::start_with(timing, &[]).await;
    let mut slow = app.join("team", "Slow").await;
    overwhelm(&app, &mut slow).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send_chat("going on").await;
    assert_eq!(slow.wait_for_close().await, Some(4408));
}

#[tokio::test]
async fn a_client_that_does_not_read_the_close_frame_is_reset() {
    let mut timing = long_timing();
    (timing.grace, timing.close_timeout) = (short_timing().grace, short_timing().close_timeout);
    let app = TestApp::start_with(timing, &[]).await;
    let mut slow = app.join("team", "Slow").await;
    overwhelm(&app, &mut slow).await;
    app.context.open_sockets.wait_for_none().await;
    // A reset discards the kernel's send buffer, so only frames received before it come first.
    let reset = loop {
        match slow.socket.next().await {
            Some(Ok(Message::Text(_) | Message::Ping(_))) => {}
            end => break end,
        }
    };
    assert!(matches!(reset, Some(Err(Error::Io(_)))), "{reset:?}");
}

#[tokio::test]
async fn a_closing_handshake_is_answered() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    ann.socket.send(Message::Close(None)).await.expect("sent");
    assert_eq!(ann.wait_for_close().await, None);
}

#[tokio::test]
async fn a_panic_in_one_room_affects_no_other_and_the_room_restarts() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut eve = app.join("elsewhere", "Eve").await;
    ann.send_chat("before").await;
    let was = ann.joined().clone();
    let name = crate::protocol::RoomName::parse("team").expect("valid");
    app.context.rooms.fail(&name).await;
    assert_eq!(ann.wait_for_close().await, Some(1012));
    assert_eq!(eve.received_so_far().await, []);
    let mut ann = app.resume("team", "Ann", &was, 0).await;
    assert_eq!((ann.id(), ann.joined().history.len()), (was.me, 1));
    assert_eq!(ann.send_chat("after").await.seq, 2);
}
