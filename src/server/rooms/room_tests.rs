//! Single claims about [`Room`] and [`Recent`] that need an exact moment or an exact size.

use super::{
    RoomError, RoomRules,
    command::{Asker, Command, Departure, Effect, Intent, Join, LinkId, Now, Ticket},
    recent::Recent,
    room::Room,
};
use crate::{
    protocol::{
        ChatMessage, ChatText, Epoch, ErrorCode, MAX_FRAME_BYTES, MessageId, Nickname, Person,
        RoomName, Seq, ServerMessage,
    },
    server::{
        identity::{new_session_token, participant_id},
        limits::ROOM_PENDING,
    },
};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(5);

fn room() -> Room {
    let rules = RoomRules {
        capacity: 9,
        call_capacity: 9,
        grace: GRACE,
        ice_servers: [].into(),
    };
    let name = RoomName::parse("team").expect("valid");
    Room::new(
        name,
        Epoch::parse("e").expect("valid"),
        Recent::default(),
        rules,
    )
}

fn join(link: u64) -> Command {
    let session = new_session_token();
    Command::Join(Join {
        link: LinkId(link),
        id: participant_id(&session),
        session,
        nickname: Nickname::parse("Ann").expect("valid"),
        seen: None,
    })
}

fn message(seq: Seq, text: &str) -> ChatMessage {
    ChatMessage {
        seq,
        id: MessageId(uuid::Uuid::from_u128(u128::from(seq))),
        from: Person {
            id: participant_id(&new_session_token()),
            nickname: Nickname::parse("Ann").expect("valid"),
        },
        text: ChatText::parse(text).expect("valid"),
        at: 0,
    }
}

#[test]
fn the_grace_ends_at_its_moment_and_not_before() {
    let start = Instant::now();
    let at = |after: Duration| Now {
        instant: start + after,
        unix_ms: 0,
    };
    let mut room = room();
    room.handle(join(1), at(Duration::ZERO));
    assert_eq!(room.next_deadline(), None);
    let how = Departure::Lost;
    let effects = room.handle(
        Command::Gone {
            link: LinkId(1),
            how,
        },
        at(Duration::ZERO),
    );
    assert_eq!(effects, []);
    assert_eq!(room.next_deadline(), Some(start + GRACE));
    assert_eq!(
        room.handle(Command::Tick, at(GRACE - Duration::from_nanos(1))),
        []
    );
    let effects = room.handle(Command::Tick, at(GRACE));
    assert!(effects.contains(&Effect::SummaryChanged) && room.is_idle());
}

#[test]
fn more_than_the_disk_can_follow_is_refused_by_id() {
    let now = Now {
        instant: Instant::now(),
        unix_ms: 0,
    };
    let mut room = room();
    room.handle(join(1), now);
    let say = |number: usize| {
        let id = MessageId(uuid::Uuid::from_u128(number as u128));
        let text = ChatText::parse("x").expect("valid");
        let link = LinkId(1);
        Command::Member {
            link,
            intent: Intent::Chat { id, text },
        }
    };
    for number in 0..ROOM_PENDING {
        assert!(matches!(
            room.handle(say(number), now)[..],
            [Effect::Persist { .. }]
        ));
    }
    let refused = room.handle(say(ROOM_PENDING), now);
    let [
        Effect::Send {
            message: ServerMessage::Error { code, id, .. },
            ..
        },
    ] = &refused[..]
    else {
        panic!("{refused:?}")
    };
    assert_eq!(*code, ErrorCode::Unavailable);
    let id = id.expect("named");
    let asker = Asker::Link(LinkId(1));
    room.handle(
        Command::Stored {
            asker,
            id,
            answer: None,
        },
        now,
    );
    assert!(
        matches!(room.handle(say(0), now)[..], [Effect::Persist { .. }]),
        "one place is free"
    );
}

#[test]
fn a_post_that_cannot_be_stored_is_answered_so() {
    let now = Now {
        instant: Instant::now(),
        unix_ms: 0,
    };
    let mut room = room();
    let (asker, id) = (Asker::Post(Ticket(1)), MessageId(uuid::Uuid::nil()));
    let effects = room.handle(
        Command::Stored {
            asker,
            id,
            answer: None,
        },
        now,
    );
    let answer = Err(RoomError::Unavailable);
    assert_eq!(
        effects,
        [Effect::Answer {
            ticket: Ticket(1),
            answer
        }]
    );
}

#[test]
fn recent_keeps_what_fits_a_frame_and_tells_only_what_it_knows_whole() {
    let mut recent = Recent::default();
    assert_eq!(recent.since(0, MAX_FRAME_BYTES), Some(Vec::new()));
    assert_eq!(recent.since(1, MAX_FRAME_BYTES), None, "ahead of the log");
    for seq in 1..=300 {
        recent.push(message(seq, "short"));
    }
    let seqs = |messages: Vec<ChatMessage>| messages.first().map(|m| (m.seq, messages.len()));
    assert_eq!(
        recent.since(250, MAX_FRAME_BYTES).and_then(seqs),
        Some((251, 50))
    );
    assert_eq!(
        recent.since(100, MAX_FRAME_BYTES).and_then(seqs),
        Some((101, 200))
    );
    assert_eq!(
        recent.since(99, MAX_FRAME_BYTES),
        None,
        "one is not kept any more"
    );
    assert_eq!(recent.since(250, 1000), None, "does not fit");
    for seq in 301..=310 {
        recent.push(message(seq, &"x".repeat(4000)));
    }
    let (newest, more) = recent.newest(20 * 1024);
    assert_eq!(
        (newest.len(), newest.last().map(|m| m.seq), more),
        (4, Some(310), true)
    );
}

#[test]
fn a_log_that_ends_beyond_what_is_kept_is_not_taken_for_whole() {
    let recent = Recent::new(7, Vec::new());
    assert_eq!(recent.since(5, MAX_FRAME_BYTES), None);
    assert_eq!(recent.newest(MAX_FRAME_BYTES), (Vec::new(), true));
}
