//! Rooms over WebSocket: joining, chat, nicknames, leaving, history.

use super::harness::{TestApp, draft, join, new_id};
use crate::{
    protocol::{ChatDraft, ClientMessage, ErrorCode, Nickname, RoomName, Rooms, ServerMessage},
    server::{new_session_token, participant_id, rooms::RoomError},
};

fn name(text: &str) -> RoomName {
    RoomName::parse(text).expect("valid")
}

#[tokio::test]
async fn a_message_reaches_everybody_in_its_room_and_nobody_else() {
    let app = TestApp::start().await;
    let mut ann = app.join("here", "Ann").await;
    let mut ben = app.join("here", "Ben").await;
    let mut eve = app.join("elsewhere", "Eve").await;
    let said = ann.send_chat("hello").await;
    let seen = ben.wait_for_chat("hello").await;
    assert_eq!((&said, said.seq), (&seen, 1));
    assert_eq!(said.from.id, ann.id());
    assert_eq!(eve.received_so_far().await, []);
    // Positive control: Eve receives messages of her own room.
    let mut bob = app.join("elsewhere", "Bob").await;
    bob.send_chat("psst").await;
    eve.wait_for_chat("psst").await;
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn everybody_is_notified_of_entering_renaming_and_leaving() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let ServerMessage::Entered { person, count, .. } = ann.next().await else {
        panic!("Ben enters")
    };
    assert_eq!((person.id, count), (ben.id(), 2));
    assert_eq!(ben.joined().people.len(), 2);
    ben.send(&ClientMessage::Nickname {
        nickname: " Benny ".to_owned(),
    })
    .await;
    for client in [&mut ann, &mut ben] {
        let ServerMessage::Renamed { person, was } = client.next().await else {
            panic!("Ben is renamed")
        };
        assert_eq!((person.nickname.as_str(), was.as_str()), ("Benny", "Ben"));
    }
    ben.send(&ClientMessage::Nickname {
        nickname: "Benny".to_owned(),
    })
    .await;
    assert_eq!(
        ben.received_so_far().await,
        [],
        "the same nickname is no news"
    );
    ben.send(&ClientMessage::Nickname {
        nickname: "\u{202e}".to_owned(),
    })
    .await;
    assert_eq!(ben.wait_for_refusal().await, (ErrorCode::BadNickname, None));
    ben.close(Some(1000)).await;
    assert_eq!(ann.wait_for_left("Benny").await, 1);
}

#[tokio::test]
async fn two_people_of_the_same_nickname_are_two_people() {
    let app = TestApp::start().await;
    let one = app.join("team", "Guest").await;
    let other = app.join("team", "Guest").await;
    assert_ne!(one.id(), other.id());
    assert_eq!(other.joined().people.len(), 2);
}

#[tokio::test]
async fn a_late_joiner_receives_the_last_fifty_messages_and_asks_for_the_rest() {
    let app = TestApp::start().await;
    let room = app.context.rooms.open(&name("team")).expect("opens");
    let author = new_session_token();
    let nickname = Nickname::parse("Ann").expect("valid");
    for number in 1..=70 {
        room.post(
            &author,
            nickname.clone(),
            None,
            draft(&number.to_string()),
            false,
        )
        .await
        .expect("posted");
    }
    let mut late = app.join("team", "Late").await;
    let history = &late.joined().history;
    assert_eq!(
        (history.len(), history[0].seq, late.joined().more),
        (50, 21, true)
    );
    late.send(&ClientMessage::History {
        before: 21,
        limit: Some(5),
    })
    .await;
    let ServerMessage::History { messages, more } = late.next().await else {
        panic!("a page")
    };
    assert_eq!(
        messages.iter().map(|m| m.seq).collect::<Vec<_>>(),
        [16, 17, 18, 19, 20]
    );
    assert!(more);
    late.send(&ClientMessage::History {
        before: 21,
        limit: Some(9999),
    })
    .await;
    let ServerMessage::History { messages, more } = late.next().await else {
        panic!("a page")
    };
    assert_eq!((messages.len(), more), (20, false));
}

#[tokio::test]
async fn long_messages_make_a_shorter_history_never_a_frame_beyond_the_limit() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    for _ in 0..10 {
        ann.send_chat(&"👋".repeat(4000)).await;
    }
    let late = app.join("team", "Late").await;
    let json = serde_json::to_string(late.joined()).expect("serialises");
    assert!(
        json.len() < crate::protocol::MAX_FRAME_BYTES && json.len() > 40_000,
        "{}",
        json.len()
    );
    assert_eq!(late.joined().history.last().map(|m| m.seq), Some(10));
    assert!(late.joined().more);
}

#[tokio::test]
async fn the_acknowledgement_comes_after_the_message_is_durable() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    for number in 1..=20 {
        let said = ann.send_chat("again").await;
        let stored = app
            .context
            .store
            .page(&name("team"), None, 1)
            .await
            .expect("read");
        assert_eq!(stored.messages, [said], "message {number} is on the disk");
    }
}

#[tokio::test]
async fn the_same_id_twice_is_one_message() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let id = new_id();
    let first = ann.send_chat_with_id(id, "once").await;
    let again = ann.send_chat_with_id(id, "changed").await;
    assert_eq!(first, again);
    ben.wait_for_chat("once").await;
    assert_eq!(ben.received_so_far().await, []);
}

#[tokio::test]
async fn an_invalid_message_is_refused_by_its_id() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let long = "x".repeat(4001);
    let table = [
        (" \n ", ErrorCode::MessageEmpty),
        (long.as_str(), ErrorCode::MessageTooLong),
        ("a\u{0}b", ErrorCode::MessageNotAllowed),
    ];
    for (text, code) in table {
        let id = new_id();
        ann.send(&ClientMessage::Chat(ChatDraft {
            id,
            text: text.to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        }))
        .await;
        assert_eq!(ann.wait_for_refusal().await, (code, Some(id)));
    }
}

#[tokio::test]
async fn a_full_room_refuses_joins_until_somebody_leaves() {
    let app = TestApp::start_with(super::harness::long_timing(), &["--room-capacity", "1"]).await;
    let ann = app.join("team", "Ann").await;
    let mut ben = app.connect().await;
    ben.send(&join("team", "Ben", None)).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::RoomFull);
    assert!(app.context.rooms.snapshot(&name("team"), None).await.full);
    ann.close(None).await;
    let mut rooms = app.context.rooms.watch();
    rooms
        .wait_for(|list| list.rooms.is_empty())
        .await
        .expect("emptied");
    ben.join("team", "Ben").await;
    assert_eq!(ben.joined().people.len(), 1);
}

#[tokio::test]
async fn a_join_beyond_max_rooms_is_refused() {
    let app = TestApp::start_with(super::harness::long_timing(), &["--max-rooms", "1"]).await;
    let _ann = app.join("one", "Ann").await;
    let mut ben = app.connect().await;
    ben.send(&join("two", "Ben", None)).await;
    assert_eq!(ben.wait_for_refusal().await.0, ErrorCode::TooManyRooms);
    ben.join("one", "Ben").await;
}

#[tokio::test]
async fn watchers_receive_the_open_rooms_fullest_first_until_they_are_empty() {
    let app = TestApp::start().await;
    let mut watcher = app.connect().await;
    watcher.send(&ClientMessage::WatchRooms).await;
    assert_eq!(watcher.next().await, ServerMessage::Rooms(Rooms::default()));
    let ann = app.join("b", "Ann").await;
    let ben = app.join("a", "Ben").await;
    let _cem = app.join("a", "Cem").await;
    let mut list = Vec::new();
    let mut shown = |message: ServerMessage| match message {
        ServerMessage::RoomsChanged(change) => {
            change.apply(&mut list);
            let row = list
                .iter()
                .map(|room: &crate::protocol::RoomSummary| (room.name.to_string(), room.people));
            Some(row.collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    let wanted = [("a".to_owned(), 2), ("b".to_owned(), 1)];
    watcher
        .wait_for(|message| (shown(message)? == wanted).then_some(()))
        .await;
    ann.close(Some(1000)).await;
    ben.close(Some(1000)).await;
    let wanted = [("a".to_owned(), 1)];
    watcher
        .wait_for(|message| (shown(message)? == wanted).then_some(()))
        .await;
    watcher.join("a", "Watcher").await;
    assert_eq!(watcher.joined().people.len(), 2);
}

#[tokio::test]
async fn a_plain_form_posts_durably_and_everybody_sees_it() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let author = new_session_token();
    let nickname = Nickname::parse("Form").expect("valid");
    let posted_draft = draft("no script");
    let room = app.context.rooms.open(&name("team")).expect("opens");
    let posted = room
        .post(&author, nickname.clone(), None, posted_draft.clone(), false)
        .await
        .expect("posted");
    assert_eq!(posted.from.id, participant_id(&author));
    assert_eq!(ann.wait_for_chat("no script").await, posted);
    let again = room
        .post(&author, nickname, None, posted_draft, false)
        .await
        .expect("posted");
    assert_eq!(again, posted);
    assert_eq!(ann.received_so_far().await, []);
}

#[tokio::test]
async fn a_flood_of_plain_posts_is_refused() {
    let app = TestApp::start().await;
    let room = app.context.rooms.open(&name("team")).expect("opens");
    let _ann = app.join("team", "Ann").await;
    let author = new_session_token();
    let nickname = Nickname::parse("Form").expect("valid");
    let posts = (0..200).map(|_| room.post(&author, nickname.clone(), None, draft("x"), false));
    let answers = futures::future::join_all(posts).await;
    let refused = answers
        .iter()
        .filter(|a| **a == Err(RoomError::TooManyMessages))
        .count();
    assert!(refused > 0 && refused <= 100, "{refused}");
}

#[tokio::test]
async fn a_page_shows_a_room_without_creating_one() {
    let app = TestApp::start().await;
    let rooms = &app.context.rooms;
    assert!(rooms.find(&name("team")).await.is_none());
    let empty = rooms.snapshot(&name("team"), None).await;
    assert_eq!((empty.seq, empty.people.len(), empty.full), (0, 0, false));
    assert!(
        rooms.find(&name("team")).await.is_none(),
        "looking makes none"
    );
    let mut ann = app.join("team", "Ann").await;
    assert_eq!(empty.epoch, ann.epoch(), "an epoch handed out stays true");
    ann.send_chat("hi").await;
    assert!(rooms.find(&name("team")).await.is_some());
    let seen = rooms.snapshot(&name("team"), None).await;
    assert_eq!(
        (seen.seq, seen.people.len(), seen.messages.len()),
        (1, 1, 1)
    );
    ann.close(Some(1000)).await;
    rooms
        .watch()
        .wait_for(|list| list.rooms.is_empty())
        .await
        .expect("emptied");
    let later = rooms.snapshot(&name("team"), None).await;
    assert_eq!(
        (later.seq, later.people.len(), later.messages.len()),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn rooms_that_empty_and_fill_again_lose_no_member() {
    let app = TestApp::start().await;
    let visits = (0..20).map(|visit| {
        let app = &app;
        async move {
            for _ in 0..5 {
                let mut guest = app.join("door", &format!("Guest {visit}")).await;
                guest.send_chat("hi").await;
                guest.close(Some(1000)).await;
            }
        }
    });
    futures::future::join_all(visits).await;
    let last = app.join("door", "Last").await;
    assert_eq!((last.joined().seq, last.joined().people.len()), (100, 1));
}

#[tokio::test]
async fn edits_reactions_and_deletions_reach_everybody_and_clients_that_resume() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    let said = ann.send_chat("helo").await;
    ben.wait_for_chat("helo").await;
    let was = ben.joined().clone();
    ben.close(Some(3000)).await;

    let id = said.id;
    let text = "hello".to_owned();
    ann.send(&ClientMessage::Edit { id, text }).await;
    let edited = ann.wait_for_changed().await;
    assert_eq!(
        (edited.words(), edited.seq, edited.changed),
        ("hello", said.seq, said.seq + 1)
    );
    let mut ben = app.resume("team", "Ben", &was, said.seq).await;
    assert!(ben.joined().resumed && ben.joined().history.is_empty());
    assert_eq!(ben.joined().changed, [edited]);

    let emoji = "🎉".to_owned();
    ben.send(&ClientMessage::React {
        id,
        emoji,
        on: true,
    })
    .await;
    let reaction = |message| match message {
        ServerMessage::Reaction { id, from, on, .. } => Some((id, from, on)),
        _ => None,
    };
    let liked = ann.wait_for(reaction).await;
    assert_eq!(liked, (id, ben.id(), true));
    assert_eq!(ben.wait_for(reaction).await, liked);
    ben.send(&ClientMessage::Delete { id }).await;
    assert_eq!(
        ben.wait_for_refusal().await,
        (ErrorCode::NotYours, Some(id))
    );
    ann.send(&ClientMessage::Delete { id }).await;
    assert_eq!(ben.wait_for_changed().await.text, None);
    let late = app.join("team", "Cleo").await;
    assert_eq!(late.joined().history[0].words(), "");
}

#[tokio::test]
async fn typing_reaches_the_others_once_a_second_at_most() {
    let app = TestApp::start().await;
    let mut ann = app.join("team", "Ann").await;
    let mut ben = app.join("team", "Ben").await;
    ann.received_so_far().await;
    for _ in 0..3 {
        ann.send(&ClientMessage::Typing).await;
    }
    assert_eq!(ben.next().await, ServerMessage::Typing { id: ann.id() });
    assert_eq!(ann.received_so_far().await, []);
    assert_eq!(
        ben.received_so_far().await,
        [],
        "broadcast at most once a second"
    );
}
