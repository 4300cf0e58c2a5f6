//! Holes that other products had to close, as claims about private rooms.

use super::{
    harness::{Client, TestApp, form, join, long_timing, new_id, until},
    private::{
        again, app_and_host, ask, by_invite, change, enter, invite, lobby, next_answer, password,
        request, set_password, set_room, until_waiting,
    },
};
use crate::protocol::{
    Access, CallPerson, ChatDraft, ClientMessage, Devices, ErrorCode, InviteDraft, InviteId,
    JoinRequest, MAX_FRAME_BYTES, MAX_KNOCK_CHARS, MAX_NICKNAME_CHARS, MediaOffer, MessageType,
    Obstacle, Role, ServerMessage, SettingsChange, Signal, Source,
};

/// A word of the room that nobody outside may receive.
const CANARY: &str = "canary-of-the-room";

/// Requests of one socket: fewer than its limits refuse.
const REQUESTS_OF_SOCKET: usize = 12;

/// Every message of the protocol that somebody who waits might send, except `join`, `ping` and
/// `watch_rooms`.
fn messages(host: &Client) -> Vec<ClientMessage> {
    let who = || host.id();
    let id = new_id();
    let of = |kind| match kind {
        MessageType::Join | MessageType::Ping | MessageType::WatchRooms => None,
        MessageType::History => Some(ClientMessage::History {
            before: 99,
            limit: None,
        }),
        MessageType::Chat => Some(ClientMessage::Chat(ChatDraft {
            id,
            text: "hello".to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        })),
        MessageType::Edit => Some(ClientMessage::Edit {
            id,
            text: "edited".to_owned(),
        }),
        MessageType::Delete => Some(ClientMessage::Delete { id }),
        MessageType::React => Some(ClientMessage::React {
            id,
            emoji: "👍".to_owned(),
            on: true,
        }),
        MessageType::Pin => Some(ClientMessage::Pin { id, on: true }),
        MessageType::Typing => Some(ClientMessage::Typing),
        MessageType::Nickname => Some(ClientMessage::Nickname {
            nickname: "Another".to_owned(),
        }),
        MessageType::EnterCall => Some(ClientMessage::EnterCall {
            leg: 1,
            devices: Devices::default(),
            hide_address: false,
        }),
        MessageType::LeaveCall => Some(ClientMessage::LeaveCall),
        MessageType::Devices => Some(ClientMessage::Devices {
            devices: Devices::default(),
            unmute: true,
        }),
        MessageType::Signal => Some(ClientMessage::Signal {
            to: who(),
            leg: Some(1),
            signal: Signal::Offer {
                connection: 1,
                sdp: "v=0".to_owned(),
            },
        }),
        MessageType::IceServers => Some(ClientMessage::IceServers),
        MessageType::Offer => Some(ClientMessage::Offer(MediaOffer {
            connection: 1,
            offer_id: 1,
            sdp: include_str!("corpus/offer.sdp").to_owned(),
            tracks: vec![],
        })),
        MessageType::CloseMedia => Some(ClientMessage::CloseMedia { connection: 1 }),
        MessageType::Subscribe => Some(ClientMessage::Subscribe { tiles: vec![] }),
        MessageType::MediaBlocked => Some(ClientMessage::MediaBlocked {
            obstacle: Obstacle::ServerIce,
        }),
        MessageType::Mute => Some(ClientMessage::Mute {
            who: None,
            source: Source::Microphone,
        }),
        MessageType::AskToUnmute => Some(ClientMessage::AskToUnmute { who: who() }),
        MessageType::Rename => Some(ClientMessage::Rename {
            who: who(),
            nickname: "Renamed".to_owned(),
        }),
        MessageType::SetRole => Some(ClientMessage::SetRole {
            who: who(),
            role: Role::Viewer,
        }),
        MessageType::Remove => Some(ClientMessage::Remove {
            who: who(),
            reason: None,
        }),
        MessageType::Ban => Some(ClientMessage::Ban {
            who: who(),
            reason: None,
            address: true,
        }),
        MessageType::LiftBan => Some(ClientMessage::LiftBan { who: who() }),
        MessageType::Bans => Some(ClientMessage::Bans),
        MessageType::ClearMessages => Some(ClientMessage::ClearMessages),
        MessageType::Announce => Some(ClientMessage::Announce {
            text: "hear".to_owned(),
        }),
        MessageType::SetRoom => Some(ClientMessage::SetRoom {
            change: lobby_off(),
        }),
        MessageType::SetPassword => Some(ClientMessage::SetPassword {
            password: password("correct horse"),
        }),
        MessageType::Admit => Some(ClientMessage::Admit { who: None }),
        MessageType::Deny => Some(ClientMessage::Deny {
            who: None,
            reason: None,
        }),
        MessageType::CreateInvite => Some(ClientMessage::CreateInvite(InviteDraft::default())),
        MessageType::Invites => Some(ClientMessage::Invites),
        MessageType::RevokeInvite => Some(ClientMessage::RevokeInvite {
            id: InviteId::parse("abcdefghijkl").expect("valid"),
        }),
        MessageType::EndMeeting => Some(ClientMessage::EndMeeting),
    };
    MessageType::ALL.into_iter().filter_map(of).collect()
}

/// A change that switches the lobby off.
fn lobby_off() -> SettingsChange {
    SettingsChange {
        lobby: Some(false),
        ..SettingsChange::default()
    }
}

#[tokio::test]
async fn whoever_waits_sends_nothing_to_the_room_and_receives_nothing_of_it() {
    let (app, mut ann, _) = app_and_host().await;
    ann.send_chat(CANARY).await;
    ann.enter_call(1).await;
    set_room(&mut ann, lobby()).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    let (session, ..) = answer.waiting();
    until_waiting(&mut ann, 1).await;
    ann.received_so_far().await;
    for (number, message) in messages(&ann).into_iter().enumerate() {
        if number > 0 && number % REQUESTS_OF_SOCKET == 0 {
            (ben, _) = enter(&app, again("Ben", session.clone())).await;
        }
        ben.send(&message).await;
        let code = ben.wait_for_refusal().await.0;
        assert_eq!(code, ErrorCode::NotJoined, "{message:?}");
    }
    let is_effect = |message: &ServerMessage| !matches!(message, ServerMessage::Lobby { .. });
    let received = ann.received_so_far().await;
    assert!(!received.iter().any(is_effect), "{received:?}");
    // What happens in the room meanwhile.
    let invite = invite(&mut ann, InviteDraft::default()).await;
    let (mut cleo, answer) = enter(&app, by_invite(CANARY, &invite)).await;
    answer.joined();
    ann.send_chat(CANARY).await;
    ann.send(&ClientMessage::Typing).await;
    cleo.enter_call(2).await;
    ann.send(&ClientMessage::Announce {
        text: CANARY.to_owned(),
    })
    .await;
    cleo.send(&ClientMessage::Nickname {
        nickname: format!("{CANARY}-2"),
    })
    .await;
    set_room(
        &mut ann,
        SettingsChange {
            host_unmutes: Some(true),
            ..SettingsChange::default()
        },
    )
    .await;
    cleo.close(Some(1000)).await;
    ann.wait_for_left(&format!("{CANARY}-2")).await;
    let frames = ben.frames_so_far().await;
    assert_eq!(frames, Vec::<String>::new(), "Ben waits and learns nothing");
    // Neither by the pages with the same session.
    for path in [
        "/room/team".to_owned(),
        format!("/room/team?q={CANARY}"),
        format!("/room/team?q={CANARY}&session={}", session.expose()),
        "/".to_owned(),
    ] {
        let page = app.get(&path).await;
        assert!(!page.contains("Ann"), "{path}");
        let echoed = page.matches(CANARY).count();
        let asked = path.matches(CANARY).count();
        assert!(asked > 0 || echoed == 0, "{path}");
        assert!(!page.contains("in the call"), "{path}");
    }
    ann.send(&ClientMessage::Admit { who: None }).await;
    next_answer(&mut ben).await.joined();
}

#[tokio::test]
async fn whoever_waits_searches_nothing() {
    let (app, mut ann, _) = app_and_host().await;
    ann.send_chat(CANARY).await;
    set_room(&mut ann, lobby()).await;
    let (_ben, answer) = enter(&app, request("Ben")).await;
    let session = answer.waiting().0;
    let of = |session: &str| format!("room=team&words=canary&session={session}");
    let find = async |session: &str| {
        app.http(&form("/api/find_messages", "", &of(session)))
            .await
    };
    let found = find(ann.joined().session.expose()).await;
    assert!(found.contains(CANARY), "who is here searches: {found}");
    let found = find(session.expose()).await;
    assert!(!found.contains(CANARY), "{found}");
    let around = format!("room=team&seq=1&session={}", session.expose());
    let around = app.http(&form("/api/messages_around", "", &around)).await;
    assert!(!around.contains(CANARY), "{around}");
}

#[tokio::test]
async fn watchers_of_the_open_rooms_learn_nothing_of_a_lobby() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    // The list is published some time after the change.
    let is_listed = || {
        let rooms = app.context.rooms.summaries();
        rooms.iter().any(|room| room.name.as_str() == "team")
    };
    until("the room leaves the list", || !is_listed()).await;
    let mut watcher = app.connect().await;
    watcher.send(&ClientMessage::WatchRooms).await;
    let list = watcher.next_text().await;
    assert!(!list.contains("team"), "{list}");
    let mut waiting = Vec::new();
    for number in 0..3 {
        waiting.push(enter(&app, request(&format!("Guest {number}"))).await);
    }
    until_waiting(&mut ann, 3).await;
    ann.send(&ClientMessage::Admit { who: None }).await;
    for (client, _) in &mut waiting {
        next_answer(client).await.joined();
    }
    // The list after it has another room, so earlier changes would have arrived.
    let _other = app.join("another", "Dan").await;
    loop {
        let frame = watcher.next_text().await;
        assert!(!frame.contains("team"), "{frame}");
        if frame.contains("another") {
            return;
        }
    }
}

#[tokio::test]
async fn hosts_read_name_and_line_of_whoever_waits_as_they_were_written() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let name = "<img src=x onerror=a()>";
    let line = "\"><script>alert(1)</script>&amp;</title>";
    let knock = JoinRequest {
        line: Some(line.to_owned()),
        ..request(name)
    };
    let (_eve, answer) = enter(&app, knock).await;
    answer.waiting();
    let people = until_waiting(&mut ann, 1).await;
    assert_eq!(people[0].person.nickname.as_str(), name);
    let shown = people[0].line.as_ref().map(|line| line.as_str());
    assert_eq!(shown, Some(line), "text, for the page to escape");
}

#[tokio::test]
async fn the_list_of_a_lobby_with_the_longest_names_and_lines_fits_into_a_frame() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let mut waiting = Vec::new();
    for number in 0..26 {
        let letter = match number % 2 {
            0 => "😀",
            _ => "\"",
        };
        let name = format!("{}{number:02}", letter.repeat(MAX_NICKNAME_CHARS - 2));
        let knock = JoinRequest {
            line: Some(letter.repeat(MAX_KNOCK_CHARS)),
            ..request(&name)
        };
        let (client, answer) = enter(&app, knock).await;
        answer.waiting();
        waiting.push(client);
    }
    loop {
        let frame = ann.next_text().await;
        if frame.contains(r#""count":26"#) {
            assert!(frame.len() < MAX_FRAME_BYTES / 2, "{} bytes", frame.len());
            assert_eq!(frame.matches(r#""since""#).count(), 25, "a window");
            return;
        }
    }
}

#[tokio::test]
async fn a_claimed_address_evades_no_limit_of_guesses_without_a_trusted_proxy() {
    let (app, mut ann, _) = app_and_host().await;
    set_password(&mut ann, "correct horse").await;
    let guess = |number: usize| JoinRequest {
        password: password(&format!("guess {number}")),
        ..request("Eve")
    };
    for number in 0..10 {
        let mut eve = app
            .connect_claiming("127.0.0.2", &format!("203.0.113.{number}"))
            .await;
        let code = ask(&mut eve, guess(number)).await.refused();
        assert_eq!(code, ErrorCode::WrongPassword, "{number}");
    }
    let mut eve = app.connect_claiming("127.0.0.2", "203.0.113.99").await;
    let code = ask(&mut eve, guess(10)).await.refused();
    assert_eq!(code, ErrorCode::TooManyGuesses);
    // Nor does it use up the tries of somebody else.
    let mut victim = app.connect_claiming("127.0.0.3", "127.0.0.2").await;
    let code = ask(&mut victim, guess(11)).await.refused();
    assert_eq!(code, ErrorCode::WrongPassword);
}

#[tokio::test]
async fn a_claimed_address_neither_evades_nor_causes_a_ban_without_a_trusted_proxy() {
    let (app, mut ann, _) = app_and_host().await;
    let mut eve = app.connect_claiming("127.0.0.2", "203.0.113.7").await;
    let who = ask(&mut eve, request("Eve")).await.joined().me;
    let ban = ClientMessage::Ban {
        who,
        reason: None,
        address: true,
    };
    ann.send(&ban).await;
    assert_eq!(eve.wait_for_close().await, Some(4401));
    let banned = ann.wait_for(|message| match message {
        ServerMessage::Bans { bans } => Some(bans.len()),
        _ => None,
    });
    assert_eq!(banned.await, 1);
    let mut again = app.connect_claiming("127.0.0.2", "203.0.113.8").await;
    let code = ask(&mut again, request("Eve 2")).await.refused();
    assert_eq!(code, ErrorCode::Banned, "of the real address");
    let mut ben = app.connect_claiming("127.0.0.3", "203.0.113.7").await;
    ask(&mut ben, request("Ben")).await.joined();
}

#[tokio::test]
async fn lobby_bans_and_invites_are_for_those_whose_role_allows_them() {
    let (app, mut ann, _) = app_and_host().await;
    let mut ben = app.join("team", "Ben").await;
    set_room(&mut ann, lobby()).await;
    let (mut cleo, answer) = enter(&app, request("Cleo")).await;
    answer.waiting();
    let who = until_waiting(&mut ann, 1).await[0].person.id.clone();
    let tries = [
        ClientMessage::Admit {
            who: Some(who.clone()),
        },
        ClientMessage::Admit { who: None },
        ClientMessage::Deny {
            who: Some(who.clone()),
            reason: None,
        },
        ClientMessage::Ban {
            who: who.clone(),
            reason: None,
            address: false,
        },
        ClientMessage::LiftBan { who },
        ClientMessage::Bans,
        ClientMessage::CreateInvite(InviteDraft::default()),
        ClientMessage::Invites,
        ClientMessage::SetPassword { password: None },
        ClientMessage::SetRoom {
            change: lobby_off(),
        },
        ClientMessage::EndMeeting,
    ];
    for message in tries {
        ben.send(&message).await;
        let code = ben.wait_for_refusal().await.0;
        assert_eq!(code, ErrorCode::NotAllowed, "{message:?}");
    }
    assert_eq!(cleo.received_so_far().await, [], "still waits");
    let received = ben.received_so_far().await;
    assert_eq!(received, [], "a guest is told nothing of the lobby");
}

#[tokio::test]
async fn the_identity_of_a_request_is_that_of_its_socket_whatever_it_claims() {
    let (app, mut ann, key) = app_and_host().await;
    let mut ben = app.join("team", "Ben").await;
    set_room(&mut ann, lobby()).await;
    let (mut cleo, answer) = enter(&app, request("Cleo")).await;
    answer.waiting();
    let who = until_waiting(&mut ann, 1).await[0].person.id.clone();
    let (host, session) = (ann.id(), ann.joined().session.clone());
    for (kind, whom) in [("admit", &who), ("deny", &who), ("remove", &host)] {
        // The secrets of the host do not belong into these messages, so even they change nothing.
        let message = format!(
            r#"{{"type":"{kind}","who":"{}","by":"{}","from":"{}","me":"{}","session":"{}","host_key":"{}","role":"host"}}"#,
            whom.as_str(),
            host.as_str(),
            host.as_str(),
            host.as_str(),
            session.expose(),
            key.expose(),
        );
        ben.send_text(&message).await;
        let code = ben.wait_for_refusal().await.0;
        assert_eq!(code, ErrorCode::NotAllowed, "{kind}");
    }
    assert_eq!(cleo.received_so_far().await, []);
    ann.send_chat("still here").await;
}

#[tokio::test]
async fn no_key_password_or_secret_is_the_same_on_two_servers() {
    let (first, mut ann, key) = app_and_host().await;
    let (second, mut ben, other_key) = app_and_host().await;
    assert_ne!(key.expose(), other_key.expose());
    let invite = invite(&mut ann, InviteDraft::default()).await;
    let (_, answer) = enter(&second, by_invite("Eve", &invite)).await;
    assert_eq!(answer.refused(), ErrorCode::BadInvite, "signed elsewhere");
    change(
        &mut ben,
        ClientMessage::SetRoom {
            change: SettingsChange {
                access: Some(Access::Closed),
                ..lobby()
            },
        },
    )
    .await;
    set_password(&mut ben, "correct horse").await;
    for guess in ["admin", "password", "noom", "123456"] {
        let request = JoinRequest {
            password: password(guess),
            ..request("Eve")
        };
        let code = enter(&second, request).await.1.refused();
        assert_eq!(code, ErrorCode::WrongPassword, "{guess}");
    }
    drop(first);
}

#[tokio::test]
async fn guesses_of_others_keep_out_nobody_who_needs_no_password() {
    let (app, mut ann, key) = app_and_host().await;
    set_password(&mut ann, "correct horse").await;
    let invite = invite(&mut ann, InviteDraft::default()).await;
    let right = |nickname| JoinRequest {
        password: password("correct horse"),
        ..request(nickname)
    };
    let mut ben = app.connect_from("127.0.0.2").await;
    let session = ask(&mut ben, right("Ben")).await.joined().session;
    // Somebody behind the same address uses up the tries.
    let mut eve = app.connect_from("127.0.0.2").await;
    for _ in 0..10 {
        let wrong = JoinRequest {
            password: password("a wrong one"),
            ..request("Eve")
        };
        assert_eq!(
            ask(&mut eve, wrong).await.refused(),
            ErrorCode::WrongPassword
        );
    }
    let code = ask(&mut eve, right("Eve")).await.refused();
    assert_eq!(code, ErrorCode::TooManyGuesses);
    let enters = async |request: JoinRequest| {
        let mut client = app.connect_from("127.0.0.2").await;
        ask(&mut client, request).await.joined();
        client
    };
    let pass = password("correct horse");
    enters(JoinRequest {
        host_key: Some(key),
        ..right("Ann")
    })
    .await;
    enters(JoinRequest {
        password: pass.clone(),
        ..by_invite("Dan", &invite)
    })
    .await;
    // A member whose connection broke is back, with the password as every `join` has it.
    ben.close(Some(1001)).await;
    enters(JoinRequest {
        password: pass,
        ..again("Ben", session)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_is_told_before_the_refusal() {
    let (app, mut ann, _) = app_and_host().await;
    let later = SettingsChange {
        opens: Some(Some(4_000_000_000_000)),
        ..SettingsChange::default()
    };
    set_room(&mut ann, later).await;
    let mut ben = app.connect().await;
    for number in 0..20 {
        ben.send(&join("team", "Ben", None)).await;
        let first = ben.next().await;
        let is_window = matches!(first, ServerMessage::Window { .. });
        assert!(is_window, "{number}: {first:?}");
        assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::NotOpen);
    }
}

#[tokio::test]
async fn whoever_waits_takes_part_once_the_lobby_is_switched_off() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    answer.waiting();
    set_room(&mut ann, lobby_off()).await;
    let joined = next_answer(&mut ben).await.joined();
    assert_eq!(joined.people.len(), 2);
    ben.send_chat("here I am").await;
    ann.wait_for_chat("here I am").await;
    let nobody: Vec<CallPerson> = Vec::new();
    assert_eq!(joined.call, nobody);
}

#[tokio::test]
async fn a_session_that_waits_and_enters_by_an_invite_is_in_the_room_once() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let mut ann = app.join("team", "Ann").await;
    set_room(&mut ann, lobby()).await;
    let invite = invite(&mut ann, InviteDraft::default()).await;
    let (mut first, answer) = enter(&app, request("Ben")).await;
    let session = answer.waiting().0;
    until_waiting(&mut ann, 1).await;
    let by_link = JoinRequest {
        invite: Some(invite.token.clone()),
        ..again("Ben", session)
    };
    let (_second, answer) = enter(&app, by_link).await;
    assert_eq!(answer.joined().people.len(), 2);
    assert_eq!(first.wait_for_close().await, Some(4409));
    until_waiting(&mut ann, 0).await;
}
