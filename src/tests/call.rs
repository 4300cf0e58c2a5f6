//! The call of a room: sessions, devices, and the routing of signals.

use super::harness::{TestApp, long_timing};
use crate::protocol::{ClientMessage, Devices, ErrorCode, Obstacle, ServerMessage, Signal};

#[tokio::test]
async fn a_signal_reaches_the_session_it_names_and_nobody_else_with_a_from_set_by_the_server() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let mut cem = app.join("team", "Cem").await;
    ann.enter_call(1).await;
    let people = ben.enter_call(2).await;
    assert_eq!(people.iter().map(|p| p.leg).collect::<Vec<_>>(), [1, 2]);
    cem.received_so_far().await;
    ann.received_so_far().await;
    // A forged `from` is an unknown field, and ignored.
    let to = ben.id();
    let forged = format!(
        r#"{{"type":"signal","to":"{to}","leg":2,"from":"{}","signal":{{"kind":"offer","connection":1,"sdp":"v=0"}}}}"#,
        cem.id()
    );
    ann.send_text(&forged).await;
    let (from, leg) = ben
        .wait_for(|message| match message {
            ServerMessage::Signal {
                from,
                leg,
                signal: Signal::Offer { .. },
            } => Some((from, leg)),
            _ => None,
        })
        .await;
    assert_eq!((from, leg), (ann.id(), Some(1)));
    assert_eq!(cem.received_so_far().await, []);
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn signals_of_or_to_others_are_refused() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let mut eve = app.join("elsewhere", "Eve").await;
    ben.enter_call(2).await;
    eve.enter_call(3).await;
    ann.send_offer(&ben.id(), 2, "v=0").await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::NotInCall);
    ann.send(&ClientMessage::Devices {
        devices: Devices::default(),
        unmute: false,
    })
    .await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::NotInCall);
    ann.enter_call(1).await;
    let own = ann.id();
    let table = [
        (ben.id(), 9, "stale leg"),
        (eve.id(), 3, "other room"),
        (own, 1, "oneself"),
    ];
    for (to, leg, what) in table {
        ann.send_offer(&to, leg, "v=0").await;
        assert_eq!(
            ann.wait_for_refusal().await.0,
            ErrorCode::NoSuchPerson,
            "{what}"
        );
    }
    ann.send_offer(&ben.id(), 2, &"x".repeat(49 * 1024)).await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::SignalTooLong);
    assert_eq!(eve.received_so_far().await, []);
    let received = ben.received_so_far().await;
    assert!(
        !received
            .iter()
            .any(|m| matches!(m, ServerMessage::Signal { .. })),
        "{received:?}"
    );
    ann.send_offer(&ben.id(), 2, "v=0").await;
    ben.wait_for(|m| matches!(m, ServerMessage::Signal { .. }).then_some(()))
        .await;
}

#[tokio::test]
async fn the_call_is_left_before_the_room() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ben.enter_call(7).await;
    ann.received_so_far().await;
    let id = ben.id();
    ben.close(Some(1000)).await;
    assert_eq!(
        ann.next().await,
        ServerMessage::CallLeft {
            id,
            leg: 7,
            away: false
        }
    );
    assert!(matches!(
        ann.next().await,
        ServerMessage::Left { count: 1, .. }
    ));
}

#[tokio::test]
async fn the_same_leg_continues_a_session_and_another_leg_starts_one() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let ben = app.join("team", "Ben").await;
    let was = ben.joined().clone();
    let mut ben = ben;
    ben.enter_call(7).await;
    ann.received_so_far().await;
    drop(ben);
    let mut ben = app.resume("team", "Ben", &was, 0).await;
    assert_eq!(ben.joined().call.len(), 1, "kept over the broken line");
    ben.enter_call(7).await;
    assert_eq!(ann.received_so_far().await, [], "going on is no news");
    let people = ben.enter_call(8).await;
    assert_eq!(people.len(), 1);
    let received = ann.received_so_far().await;
    assert!(
        matches!(received[0], ServerMessage::CallLeft { leg: 7, .. }),
        "{received:?}"
    );
    assert!(matches!(&received[1], ServerMessage::CallEntered { person } if person.leg == 8));
}

#[tokio::test]
async fn a_change_of_devices_reaches_the_others_and_late_joiners() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ann.enter_call(1).await;
    ben.received_so_far().await;
    let devices = Devices {
        camera: true,
        ..Devices::default()
    };
    ann.send(&ClientMessage::Devices {
        devices,
        unmute: false,
    })
    .await;
    assert_eq!(
        ben.next().await,
        ServerMessage::Devices {
            id: ann.id(),
            devices
        }
    );
    let late = app.join("team", "Late").await;
    assert_eq!(late.joined().call[0].devices, devices);
}

#[tokio::test]
async fn a_full_call_refuses_until_somebody_leaves() {
    let app = TestApp::start_with(long_timing(), &["--call-capacity", "1"]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ann.enter_call(1).await;
    let devices = Devices::default();
    ben.send(&ClientMessage::EnterCall {
        leg: 2,
        devices,
        hide_address: false,
    })
    .await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::CallFull);
    ann.send(&ClientMessage::LeaveCall).await;
    ben.wait_for(|m| matches!(m, ServerMessage::CallLeft { leg: 1, .. }).then_some(()))
        .await;
    assert_eq!(ben.enter_call(2).await.len(), 1);
}

#[tokio::test]
async fn everybody_in_the_call_gets_the_configured_ice_servers() {
    let app = TestApp::start_with(long_timing(), &["--ice-servers", "turn:u:p@t.org"]).await;
    let mut ann = app.join("team", "Ann").await;
    ann.send(&ClientMessage::EnterCall {
        leg: 1,
        devices: Devices::default(),
        hide_address: false,
    })
    .await;
    let ServerMessage::Call { ice_servers, .. } = ann.next().await else {
        panic!("the call")
    };
    assert_eq!(ice_servers[0].urls, ["turn:t.org"]);
    assert_eq!(ice_servers[0].credential.as_deref(), Some("p"));
}

#[tokio::test]
async fn blocked_media_is_counted_once_a_connection_and_shown_in_readyz() {
    let app = TestApp::start().await;
    let counted = async || {
        let name = "noom_media_blocked_total{obstacle=\"server_ice\"}";
        app.metrics().await.value(name)
    };
    assert_eq!(counted().await, 0.0);
    let report = |obstacle| ClientMessage::MediaBlocked { obstacle };

    let mut outside = app.connect().await;
    outside.send(&report(Obstacle::ServerIce)).await;
    assert_eq!(outside.wait_for_refusal().await.0, ErrorCode::NotJoined);
    assert!(app.get("/readyz").await.contains("\"notes\":{}"));

    let mut ann = app.join("team", "Ann").await;
    for _ in 0..3 {
        ann.send(&report(Obstacle::ServerIce)).await;
    }
    ann.send_text(r#"{"type":"media_blocked","obstacle":"gremlins"}"#)
        .await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::BadMessage);
    assert_eq!(ann.received_so_far().await, []);
    assert_eq!(counted().await, 1.0);
    let ready = app.get("/readyz").await;
    assert!(ready.contains("\"media\":\"1 reports"), "{ready}");
    assert!(ready.contains("\"ready\":true"), "{ready}");
}
