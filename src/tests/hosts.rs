//! Hosts: who is one, what hosts do to others, and what a locked or banned person cannot do.

use super::harness::{Client, TestApp, draft, form, join, long_timing, status};
use crate::protocol::{
    ClientMessage, Devices, ErrorCode, HostKey, JoinRequest, Joined, Mode, ParticipantId, Resume,
    Role, ServerMessage, SettingsChange, Source,
};

const MICROPHONE: Devices = Devices {
    microphone: true,
    camera: false,
    screen: false,
};

/// A `join` that shows this host key.
fn join_with_key(nickname: &str, key: &HostKey) -> ClientMessage {
    ClientMessage::Join(JoinRequest {
        room: "team".to_owned(),
        nickname: nickname.to_owned(),
        host_key: Some(key.clone()),
        ..JoinRequest::default()
    })
}

/// A `join` that resumes the session of `was`.
fn rejoin(nickname: &str, was: &Joined) -> ClientMessage {
    let resume = Resume {
        session: was.session.clone(),
        epoch: was.epoch.clone(),
        seq: was.seq,
    };
    join("team", nickname, Some(resume))
}

/// The answer to a `join`: the state of the room, or the code of the refusal.
async fn answer(client: &mut Client, message: &ClientMessage) -> Result<Joined, ErrorCode> {
    client.send(message).await;
    let answer = client.wait_for(|message| match message {
        ServerMessage::Joined(joined) => Some(Ok(joined)),
        ServerMessage::Error { code, .. } => Some(Err(code)),
        _ => None,
    });
    answer.await
}

/// A server, the host of the room `team` with the key, and a guest.
async fn host_and_guest() -> (TestApp, Client, HostKey, Client) {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let ann = app.join("team", "Ann").await;
    let key = ann.joined().host_key.clone().expect("Ann opened the room");
    let ben = app.join("team", "Ben").await;
    (app, ann, key, ben)
}

/// Waits for a change of role. Returns the participant and the role.
async fn role_change(client: &mut Client) -> (ParticipantId, Role) {
    let change = client.wait_for(|message| match message {
        ServerMessage::RoleChanged { id, role, .. } => Some((id, role)),
        ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
        _ => None,
    });
    change.await
}

/// Changes the settings of the room and waits until that is durable.
async fn set_room(host: &mut Client, change: SettingsChange) {
    host.send(&ClientMessage::SetRoom { change }).await;
    let changed = host.wait_for(|message| match message {
        ServerMessage::RoomChanged { .. } => Some(()),
        ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
        _ => None,
    });
    changed.await;
}

fn locked(locked: bool) -> SettingsChange {
    SettingsChange {
        locked: Some(locked),
        ..SettingsChange::default()
    }
}

#[tokio::test]
async fn whoever_opens_a_room_is_its_host_on_every_device_with_the_key_and_after_a_restart() {
    let (app, ann, key, ben) = host_and_guest().await;
    assert_eq!(ann.joined().role, Role::Host);
    assert_eq!(
        (ben.joined().role, &ben.joined().host_key),
        (Role::Guest, &None)
    );
    let roles: Vec<_> = ben
        .joined()
        .roles
        .iter()
        .map(|of| (&of.id, of.role))
        .collect();
    assert_eq!(roles, [(&ann.id(), Role::Host)]);
    assert!(ben.joined().room.hosted);
    let mut phone = app.connect().await;
    let joined = answer(&mut phone, &join_with_key("Ann", &key)).await;
    assert_eq!(
        joined.map(|joined| joined.role),
        Ok(Role::Host),
        "two devices"
    );

    let app = app.restart().await;
    let mut again = app.connect().await;
    let guess = HostKey::parse(&"x".repeat(22)).expect("valid");
    let joined = answer(&mut again, &join_with_key("Eve", &guess))
        .await
        .expect("joins");
    assert_eq!(
        (joined.role, joined.host_key),
        (Role::Guest, None),
        "a guessed key"
    );
    let mut again = app.connect().await;
    let joined = answer(&mut again, &join_with_key("Ann", &key)).await;
    assert_eq!(joined.map(|joined| joined.role), Ok(Role::Host));
}

#[tokio::test]
async fn a_new_room_takes_the_key_that_its_first_person_shows() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let key = HostKey::parse(&"k".repeat(22)).expect("valid");
    let mut ann = app.connect().await;
    let joined = answer(&mut ann, &join_with_key("Ann", &key))
        .await
        .expect("joins");
    assert_eq!((joined.role, joined.host_key), (Role::Host, Some(key)));
}

#[tokio::test]
async fn a_room_that_was_stored_without_a_host_has_none() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    app.context
        .store
        .append(
            &crate::protocol::RoomName::parse("team").expect("valid"),
            crate::server::store::NewMessage {
                draft: draft("hello"),
                from: crate::protocol::Person::new(
                    ParticipantId::parse("p_x").expect("valid"),
                    crate::protocol::Nickname::parse("Old").expect("valid"),
                ),
                at: 1,
                mentions: Vec::new(),
            },
        )
        .await
        .expect("stored");
    // As the migration leaves the rooms of former versions.
    let connection = rusqlite::Connection::open(app.database()).expect("opens");
    connection
        .execute("UPDATE rooms SET authority = ''", [])
        .expect("updated");
    let ann = app.join("team", "Ann").await;
    let joined = ann.joined();
    assert_eq!((joined.role, &joined.host_key), (Role::Guest, &None));
    assert!(!joined.room.hosted);

    // Unless the operator lets somebody present take the key.
    let data = app.stop_and_keep().await;
    let app = TestApp::start_in(data, &["--claim-rooms", "on"]).await;
    let ben = app.join("team", "Ben").await;
    assert_eq!(ben.joined().role, Role::Host);
    assert!(ben.joined().host_key.is_some());
    let cleo = app.join("team", "Cleo").await;
    assert_eq!(cleo.joined().role, Role::Guest);
}

#[tokio::test]
async fn a_guest_can_do_nothing_to_others() {
    let (_app, ann, _, mut ben) = host_and_guest().await;
    let who = ann.id();
    let requests = [
        ClientMessage::Mute {
            who: Some(who.clone()),
            source: Source::Microphone,
        },
        ClientMessage::Mute {
            who: None,
            source: Source::Camera,
        },
        ClientMessage::AskToUnmute { who: who.clone() },
        ClientMessage::Rename {
            who: who.clone(),
            nickname: "Mallory".into(),
        },
        ClientMessage::SetRole {
            who: who.clone(),
            role: Role::Viewer,
        },
        ClientMessage::Remove {
            who: who.clone(),
            reason: None,
        },
        ClientMessage::Ban {
            who: who.clone(),
            reason: None,
            address: true,
        },
        ClientMessage::LiftBan { who },
        ClientMessage::Bans,
        ClientMessage::ClearMessages,
        ClientMessage::Announce { text: "ha".into() },
        ClientMessage::SetRoom {
            change: locked(true),
        },
        ClientMessage::EndMeeting,
    ];
    for request in &requests {
        ben.send(request).await;
        let refused = ben.wait_for_refusal().await;
        assert_eq!(refused, (ErrorCode::NotAllowed, None), "{request:?}");
    }
}

#[tokio::test]
async fn a_muted_microphone_stays_off_until_its_owner_switches_it_on() {
    let (_app, mut ann, _, mut ben) = host_and_guest().await;
    ann.enter_call(1).await;
    ben.enter_call(2).await;
    ann.send(&ClientMessage::Mute {
        who: Some(ben.id()),
        source: Source::Microphone,
    })
    .await;
    let host = ann.id();
    let may_unmute = ben.wait_for(|message| match message {
        ServerMessage::Muted {
            sources,
            may_unmute,
            by,
        } if sources == [Source::Microphone] && by.as_ref() == Some(&host) => Some(may_unmute),
        _ => None,
    });
    assert!(may_unmute.await);
    let guest = ben.id();
    let devices_of_ben = |message| match message {
        ServerMessage::Devices { id, devices } if id == guest => Some(devices.microphone),
        _ => None,
    };
    assert!(!ann.wait_for(devices_of_ben).await);
    let mode = ann.wait_for(|message| match message {
        ServerMessage::MediaMode { mode } => Some(mode),
        _ => None,
    });
    assert_eq!(
        mode.await,
        Mode::Sfu,
        "packets of a muted track must pass the server"
    );
    // A message that crossed `muted` does not switch the microphone on.
    for (unmute, is_on) in [(false, false), (true, true)] {
        let devices = MICROPHONE;
        ben.send(&ClientMessage::Devices { devices, unmute }).await;
        assert_eq!(ann.wait_for(devices_of_ben).await, is_on);
    }
}

#[tokio::test]
async fn where_hosts_unmute_nobody_else_does() {
    let (app, mut ann, _, mut ben) = host_and_guest().await;
    ben.enter_call(2).await;
    let change = SettingsChange {
        host_unmutes: Some(true),
        ..SettingsChange::default()
    };
    set_room(&mut ann, change).await;
    let may_unmute = ben.wait_for(|message| match message {
        ServerMessage::Muted { may_unmute, .. } => Some(may_unmute),
        _ => None,
    });
    assert!(!may_unmute.await);
    let unmute = ClientMessage::Devices {
        devices: MICROPHONE,
        unmute: true,
    };
    ben.send(&unmute).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    // Coming in again does not help.
    let mut carol = app.join("team", "Carol").await;
    assert_eq!(carol.joined().muted, [Source::Microphone]);
    let people = carol.enter_call(3).await;
    assert!(people.iter().all(|person| !person.devices.microphone));
    ann.send(&ClientMessage::AskToUnmute { who: ben.id() })
        .await;
    let asked = ben.wait_for(|message| match message {
        ServerMessage::AskedToUnmute { by } => Some(by),
        _ => None,
    });
    assert_eq!(asked.await, ann.id());
    ben.send(&unmute).await;
    let guest = ben.id();
    let is_on = carol.wait_for(|message| match message {
        ServerMessage::Devices { id, devices } if id == guest => Some(devices.microphone),
        _ => None,
    });
    assert!(is_on.await);
}

#[tokio::test]
async fn a_removed_person_learns_why_and_may_come_back() {
    let (app, mut ann, _, mut ben) = host_and_guest().await;
    ann.send(&ClientMessage::Remove {
        who: ben.id(),
        reason: Some(" too loud ".into()),
    })
    .await;
    let removed = ben.wait_for(|message| match message {
        ServerMessage::Removed { reason, banned, .. } => Some((reason, banned)),
        _ => None,
    });
    let (reason, banned) = removed.await;
    assert_eq!(
        (reason.as_ref().map(|text| text.as_str()), banned),
        (Some("too loud"), false)
    );
    assert_eq!(ben.wait_for_close().await, Some(4403));
    ann.wait_for_left("Ben").await;
    let mut again = app.connect().await;
    assert!(
        answer(&mut again, &rejoin("Ben", ben.joined()))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_banned_person_stays_out_by_session_and_address_until_the_ban_is_lifted() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.connect_from("127.0.0.2").await;
    ben.join("team", "Ben").await;
    let who = ben.id();
    ann.send(&ClientMessage::Ban {
        who: who.clone(),
        reason: None,
        address: true,
    })
    .await;
    assert_eq!(ben.wait_for_close().await, Some(4401));
    let bans = ann.wait_for(|message| match message {
        ServerMessage::Bans { bans } => Some(bans),
        _ => None,
    });
    let bans = bans.await;
    assert!(bans[0].address && bans[0].person.id == who, "{bans:?}");

    let key = ann.joined().host_key.clone().expect("opened");
    let app = app.restart().await;
    for (source, message, what) in [
        ("127.0.0.3", rejoin("Ben", ben.joined()), "the same session"),
        ("127.0.0.2", join("team", "Ben", None), "the same address"),
    ] {
        let mut again = app.connect_from(source).await;
        let refused = answer(&mut again, &message).await.map(|joined| joined.me);
        assert_eq!(refused, Err(ErrorCode::Banned), "{what}");
    }
    let post = form(
        "/api/post_message",
        "Accept: text/html\r\n",
        "room=team&text=hello",
    );
    let answered = app.http_from("127.0.0.2", &post).await;
    assert!(answered.contains("refused=banned"), "{answered}");

    let mut ann = app.connect().await;
    assert!(answer(&mut ann, &join_with_key("Ann", &key)).await.is_ok());
    ann.send(&ClientMessage::LiftBan { who }).await;
    let left = ann.wait_for(|message| match message {
        ServerMessage::Bans { bans } => Some(bans.len()),
        _ => None,
    });
    assert_eq!(left.await, 0);
    let mut again = app.connect_from("127.0.0.2").await;
    assert!(
        answer(&mut again, &rejoin("Ben", ben.joined()))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_locked_room_admits_only_who_was_there() {
    let (app, mut ann, key, ben) = host_and_guest().await;
    ann.send_chat("a secret").await;
    set_room(&mut ann, locked(true)).await;
    let mut carol = app.connect().await;
    let refused = answer(&mut carol, &join("team", "Carol", None)).await;
    assert_eq!(refused.map(|joined| joined.me), Err(ErrorCode::RoomLocked));
    let page = app.get("/room/team").await;
    assert_eq!(status(&page), 200);
    assert!(
        !page.contains("a secret") && !page.contains("Ben"),
        "{page}"
    );
    let was = ben.joined().clone();
    ben.close(Some(1000)).await;
    ann.wait_for_left("Ben").await;

    let app = app.restart().await;
    let mut again = app.connect().await;
    assert!(
        answer(&mut again, &rejoin("Ben", &was)).await.is_ok(),
        "was there"
    );
    let mut carol = app.connect().await;
    let refused = answer(&mut carol, &join("team", "Carol", None)).await;
    assert_eq!(refused.map(|joined| joined.me), Err(ErrorCode::RoomLocked));
    let mut ann = app.connect().await;
    assert!(answer(&mut ann, &join_with_key("Ann", &key)).await.is_ok());
    set_room(&mut ann, locked(false)).await;
    assert!(
        answer(&mut carol, &join("team", "Carol", None))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_co_host_stays_one_after_a_restart_and_cannot_act_on_a_host() {
    let (app, mut ann, _, mut ben) = host_and_guest().await;
    let (host, who) = (ann.id(), ben.id());
    let role = Role::CoHost;
    ann.send(&ClientMessage::SetRole {
        who: who.clone(),
        role,
    })
    .await;
    assert_eq!(role_change(&mut ben).await, (who.clone(), role));
    let raise = ClientMessage::SetRole {
        who: host.clone(),
        role: Role::Viewer,
    };
    ben.send(&raise).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    let mut carol = app.join("team", "Carol").await;
    for role in [Role::CoHost, Role::Host] {
        let who = carol.id();
        ben.send(&ClientMessage::SetRole { who, role }).await;
        assert_eq!(
            ben.wait_for_refusal().await.0,
            ErrorCode::NotAllowed,
            "{role:?}"
        );
    }
    ben.send(&ClientMessage::SetRole {
        who: carol.id(),
        role: Role::Viewer,
    })
    .await;
    assert_eq!(role_change(&mut carol).await, (carol.id(), Role::Viewer));
    carol
        .send(&ClientMessage::Chat(crate::protocol::ChatDraft::from(
            draft("hi"),
        )))
        .await;
    let (code, id) = carol.wait_for_refusal().await;
    assert!(
        code == ErrorCode::NotAllowed && id.is_some(),
        "a viewer reads"
    );

    let app = app.restart().await;
    let mut again = app.connect().await;
    let joined = answer(&mut again, &rejoin("Ben", ben.joined())).await;
    assert_eq!(joined.map(|joined| joined.role), Ok(Role::CoHost));
}

#[tokio::test]
async fn hosts_delete_messages_of_others_and_all_of_them() {
    let (app, mut ann, _, mut ben) = host_and_guest().await;
    let said = ben.send_chat("spam").await;
    let own = ann.send_chat("hello").await;
    ben.send(&ClientMessage::Delete { id: own.id }).await;
    assert_eq!(
        ben.wait_for_refusal().await,
        (ErrorCode::NotYours, Some(own.id))
    );
    ann.send(&ClientMessage::Delete { id: said.id }).await;
    let changed = ben.wait_for_changed().await;
    assert_eq!((changed.id, changed.text), (said.id, None));
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(
        ben.wait_for_close().await,
        Some(1012),
        "clients load a snapshot"
    );
    let mut again = app.connect().await;
    let joined = answer(&mut again, &rejoin("Ben", ben.joined()))
        .await
        .expect("joins");
    assert!(!joined.resumed && joined.history.is_empty());
    assert!(joined.room.hosted, "the host key stays");
}

#[tokio::test]
async fn a_host_announces_renames_and_ends_the_meeting() {
    let (_app, mut ann, _, mut ben) = host_and_guest().await;
    ann.send(&ClientMessage::Announce {
        text: "five minutes".into(),
    })
    .await;
    let announced = ben.wait_for(|message| match message {
        ServerMessage::Announcement { text, from } => Some((text.to_string(), from)),
        _ => None,
    });
    let (text, from) = announced.await;
    assert_eq!(
        (text.as_str(), from.map(|from| from.id)),
        ("five minutes", Some(ann.id()))
    );
    ann.send(&ClientMessage::Rename {
        who: ben.id(),
        nickname: "Benjamin".into(),
    })
    .await;
    let renamed = ben.wait_for(|message| match message {
        ServerMessage::Renamed { person, .. } => Some(person),
        _ => None,
    });
    assert_eq!(renamed.await.nickname.as_str(), "Benjamin");
    ann.send(&ClientMessage::EndMeeting).await;
    assert_eq!(ann.wait_for_close().await, Some(4410));
    assert_eq!(ben.wait_for_close().await, Some(4410));
}

/// Runs a statement on the database of a running server.
fn execute(app: &TestApp, statement: &str) {
    let database = rusqlite::Connection::open(app.database()).expect("opens");
    database.execute_batch(statement).expect("runs");
}

#[tokio::test]
async fn a_host_learns_that_there_was_nothing_to_delete_or_that_it_failed() {
    let (app, mut ann, _, _ben) = host_and_guest().await;
    ann.send(&ClientMessage::ClearMessages).await;
    let refused = ann.wait_for_refusal().await;
    assert_eq!(
        refused,
        (ErrorCode::NoSuchMessage, None),
        "nothing was said"
    );
    ann.send_chat("hello").await;
    let failing = "CREATE TRIGGER fails BEFORE DELETE ON messages \
                   BEGIN SELECT RAISE(ABORT, 'a test'); END";
    execute(&app, failing);
    ann.send(&ClientMessage::ClearMessages).await;
    let refused = ann.wait_for_refusal().await;
    assert_eq!(refused, (ErrorCode::Unavailable, None));
    execute(&app, "DROP TRIGGER fails");
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(ann.wait_for_close().await, Some(1012), "a retry works");
}

#[tokio::test]
async fn clients_start_over_after_a_deletion_even_if_the_store_keeps_the_epoch() {
    let (app, mut ann, _, mut ben) = host_and_guest().await;
    ann.send_chat("spam").await;
    let failing = "CREATE TRIGGER fails BEFORE UPDATE OF epoch ON rooms \
                   BEGIN SELECT RAISE(ABORT, 'a test'); END";
    execute(&app, failing);
    ann.send(&ClientMessage::ClearMessages).await;
    assert_eq!(ben.wait_for_close().await, Some(1012));
    let mut again = app.connect().await;
    let joined = answer(&mut again, &rejoin("Ben", ben.joined()))
        .await
        .expect("joins");
    assert!(!joined.resumed && joined.history.is_empty());
}

/// Waits for news about who is a host. Returns whether one is here, who acts as one, and from when.
async fn host_news(client: &mut Client) -> (bool, Option<ParticipantId>, Option<i64>) {
    let news = client.wait_for(|message| match message {
        ServerMessage::Hosts { here, acting, from } => Some((here, acting, from)),
        _ => None,
    });
    news.await
}

#[tokio::test]
async fn everybody_learns_that_no_host_is_here_and_who_acts_as_host_from_when() {
    let (app, ann, key, mut ben) = host_and_guest().await;
    ann.close(Some(1000)).await;
    assert_eq!(host_news(&mut ben).await, (false, None, None));
    // Whoever comes later, too.
    let mut cleo = app.join("team", "Cleo").await;
    assert_eq!(host_news(&mut cleo).await, (false, None, None));
    let mut ann = app.connect().await;
    ann.join_as(join_with_key("Ann", &key)).await;
    assert_eq!(host_news(&mut ben).await, (true, None, None));
    let (who, role) = (ben.id(), Role::CoHost);
    ann.send(&ClientMessage::SetRole {
        who: who.clone(),
        role,
    })
    .await;
    assert_eq!(role_change(&mut cleo).await, (who.clone(), role));
    let before = super::private::now_ms();
    ann.close(Some(1000)).await;
    let (here, acting, from) = host_news(&mut cleo).await;
    assert_eq!((here, acting.as_ref()), (false, Some(&who)));
    let wait = from.expect("a time") - before;
    let (wait, five_minutes) = (u64::try_from(wait).unwrap_or_default(), 300_000);
    assert!(
        (five_minutes..five_minutes + 60_000).contains(&wait),
        "{wait} ms"
    );
    // The co-host leaves: nobody is left who could act.
    ben.close(Some(1000)).await;
    assert_eq!(host_news(&mut cleo).await, (false, None, None));
    let mut ann = app.connect().await;
    ann.join_as(join_with_key("Ann", &key)).await;
    assert_eq!(host_news(&mut cleo).await, (true, None, None));
}
