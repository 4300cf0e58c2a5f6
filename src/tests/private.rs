//! Private rooms: passwords, the lobby, invites, capacity and windows.

use super::harness::{Client, TestApp, join, long_timing};
use crate::protocol::{
    Access, ClientMessage, Epoch, ErrorCode, HostKey, Invite, InviteDraft, JoinRequest, Joined,
    Knock, Resume, Role, RoomPassword, ServerMessage, SessionToken, SettingsChange,
};

/// The first answer to a `join`.
#[derive(Debug)]
pub enum Answer {
    /// They have entered.
    Joined(Box<Joined>),
    /// They wait at this place; whether a host is here.
    Waiting(SessionToken, u32, bool),
    /// They may not enter.
    Refused(ErrorCode),
}

impl Answer {
    /// The state of the room, of somebody who has entered.
    pub fn joined(self) -> Joined {
        match self {
            Self::Joined(joined) => *joined,
            other => panic!("has not entered: {other:?}"),
        }
    }

    /// The code, of somebody who was refused.
    pub fn refused(self) -> ErrorCode {
        match self {
            Self::Refused(code) => code,
            other => panic!("was not refused: {other:?}"),
        }
    }

    /// The session and the place, of somebody who waits.
    pub fn waiting(self) -> (SessionToken, u32, bool) {
        match self {
            Self::Waiting(session, place, host_here) => (session, place, host_here),
            other => panic!("does not wait: {other:?}"),
        }
    }
}

/// A `join` of the room `team`.
pub fn request(nickname: &str) -> JoinRequest {
    JoinRequest {
        room: "team".to_owned(),
        nickname: nickname.to_owned(),
        ..JoinRequest::default()
    }
}

/// Sends a `join` and returns its first answer.
pub async fn ask(client: &mut Client, request: JoinRequest) -> Answer {
    client.send(&ClientMessage::Join(request)).await;
    next_answer(client).await
}

/// The next message that tells whether somebody may enter.
pub async fn next_answer(client: &mut Client) -> Answer {
    let answer = client.wait_for(|message| match message {
        ServerMessage::Joined(joined) => Some(Answer::Joined(Box::new(joined))),
        ServerMessage::Waiting {
            session,
            place,
            host_here,
            ..
        } => Some(Answer::Waiting(session, place, host_here)),
        ServerMessage::Error { code, .. } => Some(Answer::Refused(code)),
        _ => None,
    });
    answer.await
}

/// Sends a `join` on a new socket and returns the socket with the first answer.
pub async fn enter(app: &TestApp, request: JoinRequest) -> (Client, Answer) {
    let mut client = app.connect().await;
    let answer = ask(&mut client, request).await;
    (client, answer)
}

/// A `join` that resumes a session without a position.
pub fn again(nickname: &str, session: SessionToken) -> JoinRequest {
    JoinRequest {
        resume: Some(Resume {
            session,
            epoch: Epoch::none(),
            seq: 0,
        }),
        ..request(nickname)
    }
}

/// Sends a request of a host and waits until the settings have changed.
pub async fn change(host: &mut Client, message: ClientMessage) {
    host.send(&message).await;
    let changed = host.wait_for(|message| match message {
        ServerMessage::RoomChanged { .. } => Some(()),
        ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
        _ => None,
    });
    changed.await;
}

/// Changes the settings of the room.
pub async fn set_room(host: &mut Client, change_: SettingsChange) {
    change(host, ClientMessage::SetRoom { change: change_ }).await;
}

/// A change that switches the lobby on.
pub fn lobby() -> SettingsChange {
    SettingsChange {
        lobby: Some(true),
        ..SettingsChange::default()
    }
}

/// A password that parses.
pub fn password(text: &str) -> Option<RoomPassword> {
    Some(RoomPassword::parse(text).expect("valid"))
}

/// Gives the room a password.
pub async fn set_password(host: &mut Client, text: &str) {
    let password = password(text);
    change(host, ClientMessage::SetPassword { password }).await;
}

/// A server, and the host of the room `team` with the key.
pub async fn app_and_host() -> (TestApp, Client, HostKey) {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let ann = app.join("team", "Ann").await;
    let key = ann.joined().host_key.clone().expect("Ann opened the room");
    (app, ann, key)
}

/// The next list of those who wait.
async fn next_lobby(host: &mut Client) -> (u32, Vec<Knock>) {
    let lobby = host.wait_for(|message| match message {
        ServerMessage::Lobby { count, people } => Some((count, people)),
        _ => None,
    });
    lobby.await
}

/// Waits until so many people wait.
pub async fn until_waiting(host: &mut Client, wanted: u32) -> Vec<Knock> {
    loop {
        let (count, people) = next_lobby(host).await;
        if count == wanted {
            return people;
        }
    }
}

/// Makes an invite.
pub async fn invite(host: &mut Client, draft: InviteDraft) -> Invite {
    host.send(&ClientMessage::CreateInvite(draft)).await;
    let made = host.wait_for(|message| match message {
        ServerMessage::Invites { invites, created } => Some((invites, created)),
        ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
        _ => None,
    });
    let (invites, created) = made.await;
    let found = invites
        .into_iter()
        .find(|invite| Some(&invite.id) == created.as_ref());
    found.expect("the new invite is in the list")
}

/// A `join` by an invite.
pub fn by_invite(nickname: &str, invite: &Invite) -> JoinRequest {
    JoinRequest {
        invite: Some(invite.token.clone()),
        ..request(nickname)
    }
}

#[tokio::test]
async fn a_room_with_a_password_admits_only_who_knows_it() {
    let (app, mut ann, key) = app_and_host().await;
    set_password(&mut ann, "correct horse").await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    assert_eq!(answer.refused(), ErrorCode::PasswordRequired);
    let wrong = JoinRequest {
        password: password("correct horsf"),
        ..request("Ben")
    };
    assert_eq!(
        ask(&mut ben, wrong).await.refused(),
        ErrorCode::WrongPassword
    );
    let right = JoinRequest {
        password: password("correct horse"),
        ..request("Ben")
    };
    let joined = ask(&mut ben, right.clone()).await.joined();
    assert!(joined.room.password);
    let with_key = JoinRequest {
        host_key: Some(key),
        ..request("Ann")
    };
    enter(&app, with_key).await.1.joined();

    let app = app.restart().await;
    let (_, answer) = enter(&app, request("Cleo")).await;
    assert_eq!(
        answer.refused(),
        ErrorCode::PasswordRequired,
        "after a restart"
    );
    enter(&app, right).await.1.joined();
}

#[tokio::test]
async fn a_changed_password_leaves_everybody_inside_and_binds_who_comes() {
    let (app, mut ann, _) = app_and_host().await;
    set_password(&mut ann, "the first one").await;
    let first = JoinRequest {
        password: password("the first one"),
        ..request("Ben")
    };
    let (mut ben, answer) = enter(&app, first.clone()).await;
    let session = answer.joined().session;
    set_password(&mut ann, "the second one").await;
    ben.send_chat("still here").await;
    let (_, answer) = enter(&app, first).await;
    assert_eq!(answer.refused(), ErrorCode::WrongPassword);
    // Who was inside may return without the new one.
    ben.close(Some(1000)).await;
    ann.wait_for_left("Ben").await;
    enter(&app, again("Ben", session)).await.1.joined();
    change(&mut ann, ClientMessage::SetPassword { password: None }).await;
    enter(&app, request("Cleo")).await.1.joined();
}

#[tokio::test]
async fn a_short_password_is_refused_and_changes_nothing() {
    let (app, mut ann, _) = app_and_host().await;
    let short = password("12345");
    ann.send(&ClientMessage::SetPassword { password: short })
        .await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::BadText);
    enter(&app, request("Ben")).await.1.joined();
}

#[tokio::test]
async fn passwords_are_guessed_ten_times_from_an_address_and_not_more() {
    let (app, mut ann, _) = app_and_host().await;
    set_password(&mut ann, "correct horse").await;
    let mut eve = app.connect_from("127.0.0.2").await;
    let guess = |number: usize| JoinRequest {
        password: password(&format!("guess {number}")),
        ..request("Eve")
    };
    for number in 0..10 {
        let code = ask(&mut eve, guess(number)).await.refused();
        assert_eq!(code, ErrorCode::WrongPassword, "{number}");
    }
    let right = JoinRequest {
        password: password("correct horse"),
        ..request("Eve")
    };
    let code = ask(&mut eve, right.clone()).await.refused();
    assert_eq!(code, ErrorCode::TooManyGuesses);
    // Another address is not affected.
    enter(&app, right).await.1.joined();
}

#[tokio::test]
async fn somebody_in_the_lobby_enters_when_a_host_admits_them() {
    let (app, mut ann, _) = app_and_host().await;
    let mut cleo = app.join("team", "Cleo").await;
    set_room(&mut ann, lobby()).await;
    let knock = JoinRequest {
        line: Some("it is me".to_owned()),
        ..request("Ben")
    };
    let (mut ben, answer) = enter(&app, knock).await;
    let (session, place, host_here) = answer.waiting();
    assert_eq!((place, host_here), (1, true));
    let people = until_waiting(&mut ann, 1).await;
    assert_eq!(people[0].person.nickname.as_str(), "Ben");
    let line = people[0].line.as_ref().map(|line| line.as_str());
    assert_eq!(line, Some("it is me"));
    let who = Some(people[0].person.id.clone());
    cleo.send(&ClientMessage::Admit { who: who.clone() }).await;
    assert_eq!(cleo.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    ann.send(&ClientMessage::Admit { who }).await;
    let joined = next_answer(&mut ben).await.joined();
    assert_eq!(joined.people.len(), 3);
    assert_eq!(joined.session, session);
    ben.send_chat("thank you").await;
    cleo.wait_for_chat("thank you").await;
    until_waiting(&mut ann, 0).await;

    // Who was admitted may return, after a restart too; others wait.
    let app = app.restart().await;
    enter(&app, again("Ben", session)).await.1.joined();
    let (_, answer) = enter(&app, request("Dan")).await;
    assert!(!answer.waiting().2, "no host is here");
}

#[tokio::test]
async fn a_place_in_the_lobby_survives_the_socket_and_moves_up() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    assert_eq!(answer.waiting().1, 1);
    let (cleo, answer) = enter(&app, request("Cleo")).await;
    let (session, place, _) = answer.waiting();
    assert_eq!(place, 2);
    cleo.close(Some(1001)).await;
    let (mut dan, answer) = enter(&app, request("Dan")).await;
    assert_eq!(answer.waiting().1, 3);
    let (mut cleo, answer) = enter(&app, again("Cleo", session)).await;
    assert_eq!(answer.waiting().1, 2, "the same place");
    ben.send(&ClientMessage::Ping).await;
    ben.close(Some(1000)).await;
    assert_eq!(next_answer(&mut cleo).await.waiting().1, 1);
    assert_eq!(next_answer(&mut dan).await.waiting().1, 2);
    ann.send(&ClientMessage::Admit { who: None }).await;
    next_answer(&mut cleo).await.joined();
    next_answer(&mut dan).await.joined();
}

#[tokio::test]
async fn somebody_who_is_turned_away_reads_why_and_cannot_ask_again_at_once() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    let session = answer.waiting().0;
    let who = Some(until_waiting(&mut ann, 1).await[0].person.id.clone());
    let reason = Some("not today".to_owned());
    ann.send(&ClientMessage::Deny { who, reason }).await;
    let reason = ben.wait_for(|message| match message {
        ServerMessage::Denied { reason } => Some(reason),
        _ => None,
    });
    let reason = reason.await.map(|reason| reason.as_str().to_owned());
    assert_eq!(reason.as_deref(), Some("not today"));
    assert_eq!(ben.wait_for_close().await, Some(4401));
    let (_, answer) = enter(&app, again("Ben", session)).await;
    assert_eq!(answer.refused(), ErrorCode::TurnedAway);
    enter(&app, request("Cleo")).await.1.waiting();
}

#[tokio::test]
async fn whoever_waits_learns_whether_a_host_is_here() {
    let (app, mut ann, key) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    assert!(answer.waiting().2);
    ann.close(Some(1000)).await;
    assert!(!next_answer(&mut ben).await.waiting().2);
    let with_key = JoinRequest {
        host_key: Some(key),
        ..request("Ann")
    };
    let (mut ann, answer) = enter(&app, with_key).await;
    answer.joined();
    assert!(next_answer(&mut ben).await.waiting().2);
    assert_eq!(until_waiting(&mut ann, 1).await.len(), 1, "with `joined`");
}

#[tokio::test]
async fn a_locked_room_with_a_lobby_lets_new_people_wait() {
    let (app, mut ann, _) = app_and_host().await;
    let both = SettingsChange {
        locked: Some(true),
        ..lobby()
    };
    set_room(&mut ann, both).await;
    let (mut ben, answer) = enter(&app, request("Ben")).await;
    let session = answer.waiting().0;
    until_waiting(&mut ann, 1).await;
    ann.send(&ClientMessage::Admit { who: None }).await;
    next_answer(&mut ben).await.joined();
    ben.close(Some(1000)).await;
    ann.wait_for_left("Ben").await;
    enter(&app, again("Ben", session)).await.1.joined();
}

#[tokio::test]
async fn a_closed_room_admits_whom_an_invite_names_with_role_and_name() {
    let (app, mut ann, _) = app_and_host().await;
    let closed = SettingsChange {
        access: Some(Access::Closed),
        ..SettingsChange::default()
    };
    set_room(&mut ann, closed).await;
    let (_, answer) = enter(&app, request("Ben")).await;
    assert_eq!(answer.refused(), ErrorCode::InviteRequired);
    let draft = InviteDraft {
        role: Role::Speaker,
        name: Some("Dr. Ben".to_owned()),
        lasts_s: None,
        uses: Some(1),
    };
    let invite = invite(&mut ann, draft).await;
    let (ben, answer) = enter(&app, by_invite("Somebody", &invite)).await;
    let joined = answer.joined();
    assert_eq!(joined.role, Role::Speaker);
    let me = joined.people.iter().find(|person| person.id == joined.me);
    assert_eq!(me.expect("is here").nickname.as_str(), "Dr. Ben");
    let (_, answer) = enter(&app, by_invite("Cleo", &invite)).await;
    assert_eq!(answer.refused(), ErrorCode::InviteUsedUp);
    // The same person comes back without a further use, with and without the link.
    ben.close(Some(1000)).await;
    ann.wait_for_left("Dr. Ben").await;
    let app = app.restart().await;
    let back = JoinRequest {
        invite: Some(invite.token.clone()),
        ..again("Dr. Ben", joined.session.clone())
    };
    assert_eq!(enter(&app, back).await.1.joined().role, Role::Speaker);
}

#[tokio::test]
async fn an_invite_passes_password_and_lobby_and_not_a_lock() {
    let (app, mut ann, _) = app_and_host().await;
    set_password(&mut ann, "correct horse").await;
    set_room(&mut ann, lobby()).await;
    let invite = invite(&mut ann, InviteDraft::default()).await;
    enter(&app, by_invite("Ben", &invite)).await.1.joined();
    let lock = SettingsChange {
        locked: Some(true),
        lobby: Some(false),
        ..SettingsChange::default()
    };
    set_room(&mut ann, lock).await;
    let (_, answer) = enter(&app, by_invite("Cleo", &invite)).await;
    assert_eq!(answer.refused(), ErrorCode::RoomLocked);
}

#[tokio::test]
async fn revoked_expired_and_foreign_invites_let_nobody_in() {
    let (app, mut ann, _) = app_and_host().await;
    let draft = InviteDraft {
        lasts_s: Some(1),
        ..InviteDraft::default()
    };
    let short = invite(&mut ann, draft).await;
    let revoked = invite(&mut ann, InviteDraft::default()).await;
    let id = revoked.id.clone();
    ann.send(&ClientMessage::RevokeInvite { id }).await;
    let left = ann.wait_for(|message| match message {
        ServerMessage::Invites { invites, .. } => Some(invites),
        _ => None,
    });
    assert!(left.await.iter().all(|invite| invite.id != revoked.id));
    let (_, answer) = enter(&app, by_invite("Ben", &revoked)).await;
    assert_eq!(answer.refused(), ErrorCode::BadInvite);
    let elsewhere = JoinRequest {
        room: "another".to_owned(),
        ..by_invite("Ben", &short)
    };
    let (_, answer) = enter(&app, elsewhere).await;
    assert_eq!(answer.refused(), ErrorCode::BadInvite);
    let page = app.get("/room/another").await;
    assert!(!page.contains("Ben"), "the room was not opened");
    loop {
        let (ben, answer) = enter(&app, by_invite("Ben", &short)).await;
        match answer {
            Answer::Joined(_) => ben.close(Some(1000)).await,
            Answer::Refused(code) => break assert_eq!(code, ErrorCode::InviteExpired),
            Answer::Waiting(..) => panic!("there is no lobby"),
        }
    }
}

#[tokio::test]
async fn two_people_at_once_use_an_invite_for_one_only_once() {
    let (app, mut ann, _) = app_and_host().await;
    let closed = SettingsChange {
        access: Some(Access::Closed),
        ..SettingsChange::default()
    };
    set_room(&mut ann, closed).await;
    let draft = InviteDraft {
        uses: Some(1),
        ..InviteDraft::default()
    };
    let invite = invite(&mut ann, draft).await;
    let tries = (0..10).map(|number| {
        let request = by_invite(&format!("Guest {number}"), &invite);
        enter(&app, request)
    });
    let answers = futures::future::join_all(tries).await;
    let entered = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, Answer::Joined(_)));
    assert_eq!(
        entered.count(),
        1,
        "{answers:?}",
        answers = answers.iter().map(|a| &a.1).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_ban_sticks_to_the_invite() {
    let (app, mut ann, _) = app_and_host().await;
    set_room(&mut ann, lobby()).await;
    let invite = invite(&mut ann, InviteDraft::default()).await;
    let (_cleo, answer) = enter(&app, by_invite("Cleo", &invite)).await;
    let cleo = answer.joined().session;
    let (mut ben, answer) = enter(&app, by_invite("Ben", &invite)).await;
    let who = answer.joined().me;
    let ban = ClientMessage::Ban {
        who,
        reason: None,
        address: false,
    };
    ann.send(&ban).await;
    assert_eq!(ben.wait_for_close().await, Some(4401));
    let banned = ann.wait_for(|message| match message {
        ServerMessage::Bans { .. } => Some(()),
        _ => None,
    });
    banned.await;
    let (_, answer) = enter(&app, by_invite("Ben again", &invite)).await;
    assert_eq!(answer.refused(), ErrorCode::Banned);
    let back = JoinRequest {
        invite: Some(invite.token.clone()),
        ..again("Cleo", cleo)
    };
    enter(&app, back).await.1.joined();
}

#[tokio::test]
async fn guests_make_no_invites_and_nobody_makes_one_for_the_own_role() {
    let (app, mut ann, _) = app_and_host().await;
    let mut ben = app.join("team", "Ben").await;
    let of = |role| {
        ClientMessage::CreateInvite(InviteDraft {
            role,
            ..InviteDraft::default()
        })
    };
    ben.send(&of(Role::Guest)).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    ann.send(&of(Role::Host)).await;
    assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    let draft = InviteDraft {
        role: Role::CoHost,
        ..InviteDraft::default()
    };
    let invite = invite(&mut ann, draft).await;
    let (mut cleo, answer) = enter(&app, by_invite("Cleo", &invite)).await;
    assert_eq!(answer.joined().role, Role::CoHost);
    cleo.send(&of(Role::CoHost)).await;
    assert_eq!(cleo.wait_for_refusal().await.0, ErrorCode::NotAllowed);
    for draft in [
        InviteDraft {
            uses: Some(0),
            ..InviteDraft::default()
        },
        InviteDraft {
            uses: Some(101),
            ..InviteDraft::default()
        },
        InviteDraft {
            lasts_s: Some(0),
            ..InviteDraft::default()
        },
    ] {
        ann.send(&ClientMessage::CreateInvite(draft)).await;
        assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::BadSetting);
    }
}

#[tokio::test]
async fn a_room_has_the_capacity_that_its_host_gives_it() {
    let (app, mut ann, _) = app_and_host().await;
    let two = SettingsChange {
        capacity: Some(Some(2)),
        ..SettingsChange::default()
    };
    set_room(&mut ann, two).await;
    let _ben = app.join("team", "Ben").await;
    let (_, answer) = enter(&app, request("Cleo")).await;
    assert_eq!(answer.refused(), ErrorCode::RoomFull);
    for change in [
        SettingsChange {
            capacity: Some(Some(0)),
            ..SettingsChange::default()
        },
        SettingsChange {
            retention_days: Some(Some(0)),
            ..SettingsChange::default()
        },
        SettingsChange {
            opens: Some(Some(9)),
            closes: Some(Some(9)),
            ..SettingsChange::default()
        },
    ] {
        ann.send(&ClientMessage::SetRoom { change }).await;
        assert_eq!(ann.wait_for_refusal().await.0, ErrorCode::BadSetting);
    }
    let no_limit = SettingsChange {
        capacity: Some(None),
        ..SettingsChange::default()
    };
    set_room(&mut ann, no_limit).await;
    enter(&app, request("Cleo")).await.1.joined();
}

/// Now, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("fits")
}

#[tokio::test]
async fn a_room_admits_within_its_window_and_closes_at_its_end() {
    let (app, mut ann, key) = app_and_host().await;
    let mut ben = app.join("team", "Ben").await;
    let opens = now_ms() + 3_600_000;
    let later = SettingsChange {
        opens: Some(Some(opens)),
        ..SettingsChange::default()
    };
    set_room(&mut ann, later).await;
    let mut cleo = app.connect().await;
    cleo.send(&join("team", "Cleo", None)).await;
    let window = cleo.wait_for(|message| match message {
        ServerMessage::Window { opens, closes } => Some((opens, closes)),
        _ => None,
    });
    assert_eq!(window.await, (Some(opens), None));
    assert_eq!(cleo.wait_for_refusal().await.0, ErrorCode::NotOpen);
    let with_key = JoinRequest {
        host_key: Some(key),
        ..request("Ann")
    };
    enter(&app, with_key).await.1.joined();
    ben.send_chat("who is here stays").await;

    let closes = now_ms() + 1_500;
    let soon = SettingsChange {
        opens: Some(None),
        closes: Some(Some(closes)),
        ..SettingsChange::default()
    };
    set_room(&mut ann, soon).await;
    let warned = ben.wait_for(|message| match message {
        ServerMessage::Window { closes, .. } => Some(closes),
        _ => None,
    });
    assert_eq!(warned.await, Some(closes));
    assert_eq!(ben.wait_for_close().await, Some(4410));
    assert!(now_ms() >= closes);
    ann.send_chat("hosts stay").await;
    let (_, answer) = enter(&app, request("Cleo")).await;
    assert_eq!(answer.refused(), ErrorCode::NotOpen);
}

#[tokio::test]
async fn the_settings_of_an_opening_join_apply_to_a_new_room_only() {
    let app = TestApp::start_with(long_timing(), &[]).await;
    let unlisted = JoinRequest {
        opening: Some(SettingsChange {
            access: Some(Access::Unlisted),
            ..SettingsChange::default()
        }),
        ..request("Ann")
    };
    let (_ann, answer) = enter(&app, unlisted.clone()).await;
    assert_eq!(answer.joined().room.access, Access::Unlisted);
    let listed = JoinRequest {
        opening: Some(SettingsChange {
            access: Some(Access::Listed),
            ..SettingsChange::default()
        }),
        ..request("Ben")
    };
    let (_ben, answer) = enter(&app, listed).await;
    assert_eq!(answer.joined().room.access, Access::Unlisted);
    let app = app.restart().await;
    let (_, answer) = enter(&app, request("Ann")).await;
    assert_eq!(answer.joined().room.access, Access::Unlisted, "stored");
}
