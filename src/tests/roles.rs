//! The table of roles over real sockets: every role sends every message of the protocol to
//! participants of every role, in an open and in a locked room.
//!
//! What is expected comes from [`permit`], and the messages from [`MessageType`]: a new message
//! without a row in [`rows`] does not compile.

use super::harness::{Client, TestApp, join, new_id};
use crate::protocol::{
    Action, ChatDraft, ClientMessage, Devices, ErrorCode, FeatureSet, HostKey, InviteDraft,
    InviteId, JoinRequest, MediaOffer, MessageId, MessageType, Obstacle, ParticipantId, Powers,
    Role, RoomPassword, ServerMessage, SettingsChange, Signal, Source, permit,
};
use futures::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// Rooms that are tried at the same time.
const ROOMS_AT_ONCE: usize = 6;
/// Requests of one socket: fewer than its limits refuse.
const REQUESTS_OF_SOCKET: usize = 15;

/// What the messages of the actor name.
struct Subject {
    /// The participant whom the message concerns.
    who: ParticipantId,
    /// A message of the actor.
    own: MessageId,
    /// A message of the participant whom it concerns.
    theirs: MessageId,
}

/// How it shows that an allowed message was carried out.
#[derive(Clone, Copy)]
enum Proof {
    /// The actor receives a message like this one.
    Actor(fn(&ServerMessage) -> bool),
    /// The participant whom it concerns, or a bystander, receives a message like this one.
    Other(fn(&ServerMessage) -> bool),
    /// The socket of that participant closes with this code.
    OtherCloses(u16),
    /// Nothing but that it is not refused.
    NotRefused,
}

/// A message of the protocol, and what it needs.
struct Row {
    /// The type of the message.
    kind: MessageType,
    /// The action of [`permit`]; nothing for a message that needs none.
    action: Option<Action>,
    /// Whether the action concerns one other participant.
    has_target: bool,
    /// Makes the message for its subject.
    message: Box<dyn Fn(&Subject) -> ClientMessage + Send + Sync>,
    /// How it shows that it was carried out.
    proof: Proof,
    /// The code of the refusal.
    refusal: ErrorCode,
}

/// One try: a row, and the role of the participant whom it concerns.
#[derive(Clone, Copy)]
struct Case<'a> {
    row: &'a Row,
    target: Option<Role>,
}

impl Case<'_> {
    fn is_allowed(&self, actor: Role) -> bool {
        let action = self.row.action.expect("cases have an action");
        permit(actor, action, self.target, &Powers::default()).is_ok()
    }

    /// Whether the case leaves the others in the room, so that further ones can follow in it.
    fn can_share(&self) -> bool {
        self.target.is_none() && !matches!(self.row.proof, Proof::OtherCloses(_))
    }
}

fn devices(on: Source) -> Devices {
    Devices {
        microphone: on == Source::Microphone,
        camera: on == Source::Camera,
        screen: on == Source::Screen,
    }
}

/// The rows of one type of message.
fn rows(kind: MessageType) -> Vec<Row> {
    let row = |action: Option<Action>,
               has_target: bool,
               proof: Proof,
               message: Box<dyn Fn(&Subject) -> ClientMessage + Send + Sync>| Row {
        kind,
        action,
        has_target,
        message,
        proof,
        refusal: ErrorCode::NotAllowed,
    };
    let own = |action, proof, message| vec![row(Some(action), false, proof, message)];
    let to = |action, proof, message| vec![row(Some(action), true, proof, message)];
    // The room does not bind these to a role.
    let free = |message: ClientMessage| {
        let message = move |_: &Subject| message.clone();
        vec![row(None, false, Proof::NotRefused, Box::new(message))]
    };
    let is_changed = |message: &ServerMessage| matches!(message, ServerMessage::Changed { .. });
    let are_bans = |message: &ServerMessage| matches!(message, ServerMessage::Bans { .. });
    let are_invites = |message: &ServerMessage| matches!(message, ServerMessage::Invites { .. });
    match kind {
        MessageType::WatchRooms => free(ClientMessage::WatchRooms),
        MessageType::Join => free(join("team", "Ann", None)),
        MessageType::Ping => free(ClientMessage::Ping),
        MessageType::History => free(ClientMessage::History {
            before: 9,
            limit: None,
        }),
        MessageType::LeaveCall => free(ClientMessage::LeaveCall),
        MessageType::CloseMedia => free(ClientMessage::CloseMedia { connection: 1 }),
        MessageType::Subscribe => free(ClientMessage::Subscribe { tiles: vec![] }),
        MessageType::MediaBlocked => free(ClientMessage::MediaBlocked {
            obstacle: Obstacle::ServerIce,
        }),
        MessageType::Offer => free(ClientMessage::Offer(MediaOffer {
            connection: 1,
            offer_id: 1,
            sdp: String::new(),
            tracks: vec![],
        })),
        MessageType::Signal => {
            let of_call = free(ClientMessage::Signal {
                to: ParticipantId::parse("p_1").expect("valid"),
                leg: Some(1),
                signal: Signal::Offer {
                    connection: 1,
                    sdp: String::new(),
                },
            });
            let direct = own(
                Action::ShareFiles,
                Proof::Other(|message| matches!(message, ServerMessage::Signal { leg: None, .. })),
                Box::new(|subject| ClientMessage::Signal {
                    to: subject.who.clone(),
                    leg: None,
                    signal: Signal::Offer {
                        connection: 1,
                        sdp: String::new(),
                    },
                }),
            );
            // Whoever may not share files answers.
            let answer = own(
                Action::ReceiveFiles,
                Proof::Other(|message| matches!(message, ServerMessage::Signal { leg: None, .. })),
                Box::new(|subject| ClientMessage::Signal {
                    to: subject.who.clone(),
                    leg: None,
                    signal: Signal::Answer {
                        connection: 1,
                        sdp: String::new(),
                    },
                }),
            );
            of_call.into_iter().chain(direct).chain(answer).collect()
        }
        MessageType::IceServers => own(
            Action::ReceiveFiles,
            Proof::Actor(|message| matches!(message, ServerMessage::IceServers { .. })),
            Box::new(|_| ClientMessage::IceServers),
        ),
        MessageType::EnterCall => own(
            Action::JoinCall,
            Proof::Actor(|message| matches!(message, ServerMessage::Call { .. })),
            Box::new(|_| ClientMessage::EnterCall {
                leg: 1,
                devices: Devices::default(),
                hide_address: false,
            }),
        ),
        MessageType::Chat => own(
            Action::SendMessage,
            Proof::Actor(|message| matches!(message, ServerMessage::Chat(_))),
            Box::new(|_| {
                ClientMessage::Chat(ChatDraft {
                    id: new_id(),
                    text: "hello".to_owned(),
                    reply_to: None, files: Vec::new(), mentions: Vec::new() })
            }),
        ),
        MessageType::Edit => own(
            Action::EditMessage,
            Proof::Actor(is_changed),
            Box::new(|subject| ClientMessage::Edit {
                id: subject.own,
                text: "edited".to_owned(),
            }),
        ),
        MessageType::Delete => {
            let delete_own = row(
                Some(Action::DeleteMessage),
                false,
                Proof::Actor(is_changed),
                Box::new(|subject| ClientMessage::Delete { id: subject.own }),
            );
            let delete_others = row(
                Some(Action::DeleteOthersMessage),
                true,
                Proof::Other(is_changed),
                Box::new(|subject| ClientMessage::Delete { id: subject.theirs }),
            );
            let delete_others = Row {
                refusal: ErrorCode::NotYours,
                ..delete_others
            };
            vec![delete_own, delete_others]
        }
        MessageType::React => [true, false]
            .into_iter()
            .map(|on| {
                let (action, proof): (_, fn(&ServerMessage) -> bool) = match on {
                    true => (Action::React, |message| {
                        matches!(message, ServerMessage::Reaction { .. })
                    }),
                    false => (Action::RemoveReaction, |message| {
                        matches!(
                            message,
                            ServerMessage::Reaction { .. } | ServerMessage::Changed { .. }
                        )
                    }),
                };
                let react = move |subject: &Subject| ClientMessage::React {
                    id: subject.theirs,
                    emoji: "👍".to_owned(),
                    on,
                };
                row(Some(action), false, Proof::Actor(proof), Box::new(react))
            })
            .collect(),
        MessageType::Pin => [true, false]
            .into_iter()
            .map(|on| {
                let pin = move |subject: &Subject| ClientMessage::Pin {
                    id: subject.theirs,
                    on,
                };
                let action = Some(Action::Pin);
                row(action, false, Proof::Actor(is_changed), Box::new(pin))
            })
            .collect(),
        MessageType::Typing => own(
            Action::Type,
            Proof::NotRefused,
            Box::new(|_| ClientMessage::Typing),
        ),
        MessageType::Nickname => own(
            Action::ChangeNickname,
            Proof::Actor(|message| matches!(message, ServerMessage::Renamed { .. })),
            Box::new(|_| ClientMessage::Nickname {
                nickname: "Another".to_owned(),
            }),
        ),
        MessageType::Devices => [
            (Action::UseMicrophone, Source::Microphone),
            (Action::UseCamera, Source::Camera),
            (Action::ShareScreen, Source::Screen),
        ]
        .into_iter()
        .map(|(action, source)| {
            let message = move |_: &Subject| ClientMessage::Devices {
                devices: devices(source),
                unmute: true,
            };
            let proof =
                Proof::Other(|message| matches!(message, ServerMessage::Devices { devices, .. } if *devices != Devices::default()));
            row(Some(action), false, proof, Box::new(message))
        })
        .collect(),
        MessageType::Mute => [
            (Action::Mute, Source::Microphone),
            (Action::StopCamera, Source::Camera),
            (Action::StopScreen, Source::Screen),
            (Action::StopScreen, Source::ScreenAudio),
        ]
        .into_iter()
        .flat_map(|(action, source)| {
            let proof = Proof::Other(|message| matches!(message, ServerMessage::Muted { .. }));
            let one = move |subject: &Subject| ClientMessage::Mute {
                who: Some(subject.who.clone()),
                source,
            };
            let all = move |_: &Subject| ClientMessage::Mute { who: None, source };
            // The screen is stopped with its audio, so the second of them is no news to a bystander.
            let proof_of_all = match source {
                Source::ScreenAudio => Proof::NotRefused,
                Source::Microphone | Source::Camera | Source::Screen => proof,
            };
            [
                row(Some(action), true, proof, Box::new(one)),
                row(Some(action), false, proof_of_all, Box::new(all)),
            ]
        })
        .collect(),
        MessageType::AskToUnmute => to(
            Action::AskToUnmute,
            Proof::Other(|message| matches!(message, ServerMessage::AskedToUnmute { .. })),
            Box::new(|subject| ClientMessage::AskToUnmute {
                who: subject.who.clone(),
            }),
        ),
        MessageType::Rename => to(
            Action::RenameOther,
            Proof::Other(|message| matches!(message, ServerMessage::Renamed { .. })),
            Box::new(|subject| ClientMessage::Rename {
                who: subject.who.clone(),
                nickname: "Renamed".to_owned(),
            }),
        ),
        MessageType::SetRole => to(
            Action::ChangeRole,
            Proof::Actor(|message| matches!(message, ServerMessage::RoleChanged { .. })),
            Box::new(|subject| ClientMessage::SetRole {
                who: subject.who.clone(),
                role: Role::Viewer,
            }),
        ),
        MessageType::Remove => to(
            Action::Remove,
            Proof::OtherCloses(4403),
            Box::new(|subject| ClientMessage::Remove {
                who: subject.who.clone(),
                reason: None,
            }),
        ),
        MessageType::Ban => to(
            Action::Ban,
            Proof::OtherCloses(4401),
            Box::new(|subject| ClientMessage::Ban {
                who: subject.who.clone(),
                reason: None,
                address: false,
            }),
        ),
        MessageType::LiftBan => to(
            Action::LiftBan,
            Proof::Actor(are_bans),
            Box::new(|subject| ClientMessage::LiftBan {
                who: subject.who.clone(),
            }),
        ),
        MessageType::Bans => own(
            Action::LiftBan,
            Proof::Actor(are_bans),
            Box::new(|_| ClientMessage::Bans),
        ),
        MessageType::SetPassword => own(
            Action::ChangeSettings,
            Proof::Other(|message| matches!(message, ServerMessage::RoomChanged { .. })),
            Box::new(|_| ClientMessage::SetPassword {
                password: RoomPassword::parse("correct horse").ok(),
            }),
        ),
        MessageType::Admit => own(
            Action::Admit,
            Proof::NotRefused,
            Box::new(|_| ClientMessage::Admit { who: None }),
        ),
        MessageType::Deny => own(
            Action::Admit,
            Proof::NotRefused,
            Box::new(|_| ClientMessage::Deny {
                who: None,
                reason: None,
            }),
        ),
        MessageType::CreateInvite => own(
            Action::Invite,
            Proof::Actor(are_invites),
            Box::new(|_| ClientMessage::CreateInvite(InviteDraft {
                role: Role::Viewer,
                ..InviteDraft::default()
            })),
        ),
        MessageType::Invites => own(
            Action::Invite,
            Proof::Actor(are_invites),
            Box::new(|_| ClientMessage::Invites),
        ),
        // For one's own see `whoever_may_invite_sees_and_revokes_their_own_invites_and_no_others`.
        MessageType::RevokeInvite => own(
            Action::RevokeOthersInvite,
            Proof::Actor(are_invites),
            Box::new(|_| ClientMessage::RevokeInvite {
                id: InviteId::parse("abcdefghijkl").expect("valid"),
            }),
        ),
        MessageType::ClearMessages => own(
            Action::ClearMessages,
            Proof::OtherCloses(1012),
            Box::new(|_| ClientMessage::ClearMessages),
        ),
        MessageType::Announce => own(
            Action::Announce,
            Proof::Other(|message| matches!(message, ServerMessage::Announcement { .. })),
            Box::new(|_| ClientMessage::Announce {
                text: "hear".to_owned(),
            }),
        ),
        MessageType::SetRoom => own(
            Action::ChangeSettings,
            Proof::Other(|message| matches!(message, ServerMessage::RoomChanged { .. })),
            Box::new(|_| ClientMessage::SetRoom {
                change: SettingsChange {
                    host_unmutes: Some(true),
                    ..SettingsChange::default()
                },
            }),
        ),
        MessageType::EndMeeting => own(
            Action::EndMeeting,
            Proof::OtherCloses(4410),
            Box::new(|_| ClientMessage::EndMeeting),
        ),
    }
}

/// Somebody in a room, and a message of theirs.
struct Person {
    client: Client,
    said: MessageId,
}

/// A room with an actor and others.
struct Stage<'a> {
    app: &'a TestApp,
    room: String,
    /// The host who opened the room, and gives the roles.
    opener: Client,
    key: HostKey,
}

impl Stage<'_> {
    async fn open(app: &TestApp, room: String) -> Stage<'_> {
        let opener = app.join(&room, "Opener").await;
        let key = opener.joined().host_key.clone().expect("opened the room");
        Stage {
            app,
            room,
            opener,
            key,
        }
    }

    /// Somebody who has written a message, is in the call with every device off, and has this role.
    async fn person(&mut self, nickname: &str, role: Role) -> Person {
        let mut client = self.app.connect().await;
        let host_key = (role == Role::Host).then(|| self.key.clone());
        client
            .join_as(ClientMessage::Join(JoinRequest {
                room: self.room.clone(),
                nickname: nickname.to_owned(),
                host_key,
                ..JoinRequest::default()
            }))
            .await;
        let said = client.send_chat("hello").await.id;
        client.enter_call_as(1, Devices::default(), false).await;
        if !matches!(role, Role::Host | Role::Guest) {
            let who = client.id();
            self.opener
                .send(&ClientMessage::SetRole { who, role })
                .await;
            for client in [&mut self.opener, &mut client] {
                let changed = client.wait_for(|message| match message {
                    ServerMessage::RoleChanged { role, .. } => Some(role),
                    ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
                    _ => None,
                });
                assert_eq!(changed.await, role);
            }
        }
        Person { client, said }
    }

    async fn lock(&mut self) {
        let change = SettingsChange {
            locked: Some(true),
            ..SettingsChange::default()
        };
        self.set(change).await;
    }

    /// Changes the settings, which differ.
    async fn set(&mut self, change: SettingsChange) {
        self.opener.send(&ClientMessage::SetRoom { change }).await;
        let changed = self.opener.wait_for(|message| match message {
            ServerMessage::RoomChanged { room, .. } => Some(room),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        });
        let room = changed.await;
        assert_eq!(change.apply(&mut { room }), Some(false), "{room:?}");
    }
}

/// Waits until the room has handled every request of the actor, and checks that it refused none.
async fn expect_not_refused(actor: &mut Client, what: &str) {
    let id = new_id();
    actor.send(&ClientMessage::Delete { id }).await;
    let refused = actor.wait_for_refusal().await;
    assert_eq!(refused, (ErrorCode::NoSuchMessage, Some(id)), "{what}");
}

/// Waits for a message like this one.
async fn expect(client: &mut Client, is_meant: fn(&ServerMessage) -> bool, what: &str) {
    let found = client.wait_for(|message| match message {
        ServerMessage::Error { code, .. } => panic!("{what}: {code:?}"),
        message => is_meant(&message).then_some(()),
    });
    found.await;
}

/// Tries cases in one room, in order.
async fn try_cases(
    app: &TestApp,
    room: String,
    (actor_role, locked): (Role, bool),
    cases: Vec<Case<'_>>,
) {
    let mut stage = Stage::open(app, room).await;
    let mut actor = stage.person("Actor", actor_role).await;
    let roles: BTreeSet<Role> = cases
        .iter()
        .map(|case| case.target.unwrap_or_default())
        .collect();
    let mut others = BTreeMap::new();
    for role in roles {
        others.insert(role, stage.person("Other", role).await);
    }
    if locked {
        stage.lock().await;
    }
    for (number, case) in cases.iter().enumerate() {
        let what = format!(
            "{actor_role:?} sends {:?} ({:?}) to {:?}, locked: {locked}",
            case.row.kind, case.row.action, case.target
        );
        if number > 0 && number % REQUESTS_OF_SOCKET == 0 {
            let was = actor.client.joined().clone();
            actor.client = app.resume(&stage.room, "Actor", &was, was.seq).await;
        }
        let other = others.get_mut(&case.target.unwrap_or_default());
        let Person {
            client: other,
            said,
        } = other.expect("is here");
        let subject = Subject {
            who: other.id(),
            own: actor.said,
            theirs: *said,
        };
        // What came before must not count as the effect.
        other.received_so_far().await;
        actor.client.received_so_far().await;
        let message = (case.row.message)(&subject);
        actor.client.send(&message).await;
        if !case.is_allowed(actor_role) {
            let (code, id) = actor.client.wait_for_refusal().await;
            let about = match message {
                ClientMessage::Chat(ChatDraft { id, .. })
                | ClientMessage::Edit { id, .. }
                | ClientMessage::Delete { id }
                | ClientMessage::React { id, .. }
                | ClientMessage::Pin { id, .. } => Some(id),
                _ => None,
            };
            assert_eq!((code, id), (case.row.refusal, about), "{what}");
            continue;
        }
        let is_viewer = case.target == Some(Role::Viewer);
        match case.row.proof {
            // The devices of a viewer are muted before.
            Proof::Other(_) if is_viewer && case.row.kind == MessageType::Mute => {
                expect_not_refused(&mut actor.client, &what).await;
            }
            Proof::Actor(is_meant) => expect(&mut actor.client, is_meant, &what).await,
            Proof::Other(is_meant) => expect(other, is_meant, &what).await,
            Proof::OtherCloses(code) => {
                assert_eq!(other.wait_for_close().await, Some(code), "{what}");
            }
            Proof::NotRefused => expect_not_refused(&mut actor.client, &what).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_can_do_to_every_role_what_the_table_says_and_nothing_else() {
    let app = TestApp::start().await;
    let rows: Vec<Row> = MessageType::ALL.into_iter().flat_map(rows).collect();
    let mut rooms = Vec::new();
    for actor in Role::ALL {
        let mut cases = Vec::new();
        for row in rows.iter().filter(|row| row.action.is_some()) {
            match row.has_target {
                true => cases.extend(Role::ALL.map(|role| (row, Some(role)))),
                false => cases.push((row, None)),
            }
        }
        let cases = cases.into_iter().map(|(row, target)| Case { row, target });
        let (allowed, denied): (Vec<_>, Vec<_>) = cases.partition(|case| case.is_allowed(actor));
        assert!(!denied.is_empty(), "{actor:?}");
        let (shared, own): (Vec<_>, Vec<_>) = allowed.into_iter().partition(Case::can_share);
        // A row in its own room: all whom it concerns are in it.
        let own = own.chunk_by(|a, b| std::ptr::eq(a.row, b.row));
        let groups: Vec<Vec<Case>> = own.map(<[_]>::to_vec).chain([denied, shared]).collect();
        for group in groups.into_iter().filter(|group| !group.is_empty()) {
            for locked in [false, true] {
                rooms.push(((actor, locked), group.clone()));
            }
        }
    }
    let tried = stream::iter(rooms.into_iter().enumerate());
    let tried = tried.map(|(number, (who, cases))| {
        let room = format!("room-{number}");
        try_cases(&app, room, who, cases)
    });
    tried
        .buffer_unordered(ROOMS_AT_ONCE)
        .for_each(async |()| ())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_banned_or_locked_out_sends_nothing_to_the_room() {
    let app = TestApp::start().await;
    let mut stage = Stage::open(&app, "team".to_owned()).await;
    let mut banned = stage.person("Eve", Role::Guest).await;
    let who = banned.client.id();
    stage
        .opener
        .send(&ClientMessage::Ban {
            who,
            reason: None,
            address: false,
        })
        .await;
    assert_eq!(banned.client.wait_for_close().await, Some(4401));
    let durable = stage.opener.wait_for(|message| match message {
        ServerMessage::Bans { bans } => Some(bans.len()),
        _ => None,
    });
    assert_eq!(durable.await, 1);
    stage.lock().await;
    let was = banned.client.joined();
    let resume = crate::protocol::Resume {
        session: was.session.clone(),
        epoch: was.epoch.clone(),
        seq: was.seq,
    };
    let subject = Subject {
        who: stage.opener.id(),
        own: banned.said,
        theirs: banned.said,
    };
    for (resume, refusal) in [
        (Some(resume), ErrorCode::Banned),
        (None, ErrorCode::RoomLocked),
    ] {
        let enter = join("team", "Eve", resume);
        for row in MessageType::ALL.into_iter().flat_map(rows) {
            let mut client = app.connect().await;
            client.send(&enter).await;
            assert_eq!(client.wait_for_refusal().await.0, refusal);
            let message = match row.kind {
                MessageType::Join => enter.clone(),
                _ => (row.message)(&subject),
            };
            client.send(&message).await;
            let answer = client.next().await;
            match (row.kind, answer) {
                (MessageType::Ping, ServerMessage::Pong)
                | (MessageType::WatchRooms, ServerMessage::Rooms(_)) => {}
                (kind, ServerMessage::Error { code, .. }) => {
                    let expected = match kind {
                        MessageType::Join => refusal,
                        _ => ErrorCode::NotJoined,
                    };
                    assert_eq!(code, expected, "{kind:?}");
                }
                (kind, answer) => panic!("{kind:?}: {answer:?}"),
            }
        }
    }
    let members = stage.opener.received_so_far().await;
    let is_effect =
        |message: &&ServerMessage| !matches!(message, ServerMessage::RoomChanged { .. });
    assert_eq!(members.iter().find(is_effect), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_can_do_to_somebody_who_waits_what_the_table_says_and_nothing_else() {
    let app = TestApp::start().await;
    for actor_role in Role::ALL {
        for (number, what) in ["admit", "deny", "ban"].into_iter().enumerate() {
            let room = format!("{actor_role:?}-{number}");
            let mut stage = Stage::open(&app, room.clone()).await;
            let mut actor = stage.person("Actor", actor_role).await.client;
            stage
                .set(SettingsChange {
                    lobby: Some(true),
                    ..SettingsChange::default()
                })
                .await;
            let enter = join(&room, "Eve", None);
            let mut eve = app.connect().await;
            eve.send(&enter).await;
            let (who, session) = eve
                .wait_for(|message| match message {
                    ServerMessage::Waiting { me, session, .. } => Some((me, session)),
                    _ => None,
                })
                .await;
            let (message, action, target) = match what {
                "admit" => {
                    let who = Some(who);
                    (ClientMessage::Admit { who }, Action::Admit, None)
                }
                "deny" => {
                    let (who, reason) = (Some(who), None);
                    (ClientMessage::Deny { who, reason }, Action::Admit, None)
                }
                _ => {
                    let ban = ClientMessage::Ban {
                        who,
                        reason: None,
                        address: false,
                    };
                    (ban, Action::Ban, Some(Role::Guest))
                }
            };
            actor.send(&message).await;
            let case = format!("{actor_role:?} sends {what}");
            if permit(actor_role, action, target, &Powers::default()).is_err() {
                let code = actor.wait_for_refusal().await.0;
                assert_eq!(code, ErrorCode::NotAllowed, "{case}");
                assert_eq!(eve.received_so_far().await, [], "{case}");
                continue;
            }
            if what == "admit" {
                expect(&mut eve, |m| matches!(m, ServerMessage::Joined(_)), &case).await;
                continue;
            }
            assert_eq!(eve.wait_for_close().await, Some(4401), "{case}");
            let again = crate::protocol::Resume {
                session,
                epoch: crate::protocol::Epoch::none(),
                seq: 0,
            };
            if what == "ban" {
                expect(
                    &mut actor,
                    |m| matches!(m, ServerMessage::Bans { .. }),
                    &case,
                )
                .await;
            }
            let mut eve = app.connect().await;
            eve.send(&join(&room, "Eve", Some(again))).await;
            let expected = match what {
                "ban" => ErrorCode::Banned,
                _ => ErrorCode::TurnedAway,
            };
            assert_eq!(eve.wait_for_refusal().await.0, expected, "{case}");
        }
    }
}

/// Sends a request about invites, and waits for the list of them or for the code of the refusal.
async fn about_invites(
    client: &mut Client,
    message: ClientMessage,
) -> Result<(Vec<InviteId>, Option<InviteId>), ErrorCode> {
    client.send(&message).await;
    let answer = client.wait_for(|message| match message {
        ServerMessage::Invites { invites, created } => {
            let ids = invites.into_iter().map(|invite| invite.id).collect();
            Some(Ok((ids, created)))
        }
        ServerMessage::Error { code, .. } => Some(Err(code)),
        _ => None,
    });
    answer.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_invite_sees_and_revokes_their_own_invites_and_no_others() {
    let app = TestApp::start().await;
    for (role, may_invite) in Role::ALL.into_iter().flat_map(|r| [(r, true), (r, false)]) {
        let what = format!("{role:?}, with the power: {may_invite}");
        let mut stage = Stage::open(&app, format!("{role:?}-{may_invite}")).await;
        let mut actor = stage.person("Actor", role).await.client;
        if may_invite {
            let powers = Powers {
                viewer: FeatureSet::ALL,
                guest: FeatureSet::ALL,
                speaker: FeatureSet::ALL,
            };
            let change = SettingsChange {
                powers: Some(powers),
                ..SettingsChange::default()
            };
            stage.set(change).await;
        }
        let make = || {
            ClientMessage::CreateInvite(InviteDraft {
                role: Role::Viewer,
                ..InviteDraft::default()
            })
        };
        let theirs = about_invites(&mut stage.opener, make()).await;
        let theirs = theirs.expect("a host invites").1.expect("made");
        let revoke = |id: &InviteId| ClientMessage::RevokeInvite { id: id.clone() };
        let made = about_invites(&mut actor, make()).await;
        if !may_invite && !role.moderates() {
            assert_eq!(made, Err(ErrorCode::NotAllowed), "{what}");
            let refused = about_invites(&mut actor, revoke(&theirs)).await;
            assert_eq!(refused, Err(ErrorCode::NotAllowed), "{what}");
            continue;
        }
        let own = made.expect("may invite").1.expect("made");
        let seen = match role.moderates() {
            true => vec![theirs.clone(), own.clone()],
            false => vec![own.clone()],
        };
        let listed = about_invites(&mut actor, ClientMessage::Invites).await;
        assert_eq!(listed, Ok((seen.clone(), None)), "{what}");
        let revoked = about_invites(&mut actor, revoke(&theirs)).await;
        let left = match role.moderates() {
            true => Ok((vec![own.clone()], None)),
            false => Err(ErrorCode::NotAllowed),
        };
        assert_eq!(revoked, left, "{what}");
        let revoked = about_invites(&mut actor, revoke(&own)).await;
        assert_eq!(revoked, Ok((Vec::new(), None)), "{what}");
        let listed = about_invites(&mut stage.opener, ClientMessage::Invites).await;
        let left = match role.moderates() {
            true => Vec::new(),
            false => vec![theirs],
        };
        assert_eq!(listed, Ok((left, None)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_invite_leaves_others_and_hosts_their_invites() {
    let app = TestApp::start().await;
    let mut stage = Stage::open(&app, "team".to_owned()).await;
    let change = SettingsChange {
        powers: Some(Powers {
            guest: FeatureSet::ALL,
            ..Powers::default()
        }),
        ..SettingsChange::default()
    };
    stage.set(change).await;
    let make = || ClientMessage::CreateInvite(InviteDraft::default());
    // Of one participant, and of as many sessions as somebody opens.
    let mut made = 0;
    loop {
        let mut session = stage.person("Eve", Role::Guest).await.client;
        let mut of_session = 0;
        let refused = loop {
            match about_invites(&mut session, make()).await {
                Ok(_) => of_session += 1,
                Err(code) => break code,
            }
        };
        assert_eq!(refused, ErrorCode::TooManyEntries);
        assert!(of_session <= 10, "{of_session} invites");
        if of_session == 0 {
            break;
        }
        made += of_session;
    }
    assert_eq!(made, 80);
    let made = about_invites(&mut stage.opener, make()).await;
    assert_eq!(made.expect("a host invites").0.len(), 81);
}
