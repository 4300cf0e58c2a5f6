//! Effects of server messages on the state of a room.

use super::*;
use crate::protocol::{
    ChatDraft, ChatMessage, ChatText, ErrorCode, MessageId, Role, RoomSettings, SessionToken,
};
use crate::state::announce::{Announced, Announcement};
use crate::state::log::{Entry, Notice};
use crate::state::rows::{Progress, Row, Window, rows};

const UTC: &dyn Fn(i64) -> i32 = &|_| 0;

pub(super) fn person(name: &str) -> Person {
    Person::new(
        ParticipantId::parse(&format!("p_{name}")).expect("valid"),
        Nickname::parse(name).expect("valid"),
    )
}

pub(super) fn id(number: u64) -> MessageId {
    MessageId(uuid::Uuid::from_u128(u128::from(number)))
}

fn draft(id: MessageId, text: ChatText) -> ChatDraft {
    let reply_to = None;
    ChatDraft {
        id,
        text,
        reply_to,
        files: Vec::new(),
        mentions: Vec::new(),
    }
}

fn text(text: &str) -> ChatText {
    ChatText::parse(text).expect("valid")
}

pub(super) fn message_by(seq: u64, name: &str) -> ChatMessage {
    let at = 1_760_000_000_000 + i64::try_from(seq).expect("small") * 1_000;
    ChatMessage::new(
        seq,
        person(name),
        draft(id(seq), text(&format!("text {seq}"))),
        at,
    )
}

pub(super) fn joined(resumed: bool, seq: u64, history: Vec<ChatMessage>) -> ServerMessage {
    ServerMessage::Joined(Joined {
        me: person("Ann").id,
        session: SessionToken::parse(&"s".repeat(22)).expect("valid"),
        epoch: Epoch::parse("e").expect("valid"),
        seq,
        resumed,
        people: vec![person("Ben"), person("Ann")],
        history,
        changed: vec![],
        pins: vec![],
        more: false,
        call: vec![],
        role: Role::default(),
        roles: vec![],
        room: RoomSettings::default(),
        muted: vec![],
        may_unmute: true,
        host_key: None,
    })
}

fn joined_room() -> RoomState {
    let mut state = RoomState::default();
    state.apply(&joined(
        false,
        2,
        vec![message_by(1, "Ben"), message_by(2, "Ben")],
    ));
    state
}

fn drawn(state: &RoomState, offset: &dyn Fn(i64) -> i32) -> Vec<Row> {
    let window = Window::default();
    rows(
        &state.log,
        &state.people,
        &state.read_marker,
        window,
        offset,
    )
}

fn seqs(state: &RoomState) -> Vec<u64> {
    state.log.messages().map(|message| message.seq).collect()
}

#[test]
fn joining_shows_people_and_history() {
    let state = joined_room();
    assert_eq!(
        state.people.my_nickname().map(Nickname::as_str),
        Some("Ann")
    );
    assert_eq!(seqs(&state), [1, 2]);
    assert_eq!(state.connection.phase, connection::Phase::Live);
}

#[test]
fn a_message_that_arrives_repeatedly_is_shown_once_and_in_order() {
    let mut state = joined_room();
    for seq in [4, 3, 4, 2, 5, 3] {
        state.apply(&ServerMessage::Chat(message_by(seq, "Ben")));
    }
    assert_eq!(seqs(&state), [1, 2, 3, 4, 5]);
    assert_eq!(
        state.log.position.as_ref().map(|position| position.seq),
        Some(5)
    );
}

#[test]
fn a_pending_message_is_confirmed_by_its_id() {
    let mut state = joined_room();
    state.log.send(draft(id(3), text("hello")), Vec::new());
    let before = drawn(&state, UTC);
    assert!(
        matches!(before.last(), Some(Row::Message(row)) if row.progress == Progress::Sending && row.mine)
    );
    state.apply(&ServerMessage::Chat(message_by(3, "Ann")));
    assert!(state.log.pending.is_empty());
    let after = drawn(&state, UTC);
    assert_eq!(after.len(), before.len());
    assert!(
        matches!(after.last(), Some(Row::Message(row)) if row.progress == Progress::Stored && row.mine)
    );
}

#[test]
fn pending_messages_survive_a_lost_connection_and_a_new_snapshot() {
    let mut state = joined_room();
    state.log.send(draft(id(8), text("one")), Vec::new());
    state.log.send(draft(id(9), text("two")), Vec::new());
    let mut confirmed = message_by(3, "Ann");
    confirmed.id = id(8);
    state.apply(&joined(false, 3, vec![message_by(2, "Ben"), confirmed]));
    assert_eq!(seqs(&state), [2, 3]);
    assert_eq!(
        state
            .log
            .pending
            .iter()
            .map(|p| p.draft.id)
            .collect::<Vec<_>>(),
        [id(9)]
    );
}

#[test]
fn a_resumed_log_continues() {
    let mut state = joined_room();
    state.apply(&joined(
        true,
        4,
        vec![message_by(3, "Ben"), message_by(4, "Ben")],
    ));
    assert_eq!(seqs(&state), [1, 2, 3, 4]);
}

#[test]
fn older_messages_are_prepended_and_notices_keep_their_position() {
    let mut state = RoomState::default();
    state.apply(&joined(
        false,
        9,
        vec![message_by(8, "Ben"), message_by(9, "Ben")],
    ));
    state.apply(&ServerMessage::Entered {
        person: person("Cai"),
        count: 3,
        back: false,
        role: Role::default(),
    });
    state.apply(&ServerMessage::History {
        messages: vec![message_by(6, "Ben"), message_by(7, "Ben")],
        more: true,
    });
    state.apply(&ServerMessage::Chat(message_by(10, "Cai")));
    assert_eq!(seqs(&state), [6, 7, 8, 9, 10]);
    assert!(matches!(
        &state.log.entries[4],
        Entry::Notice(_, Notice::Joined(..))
    ));
    assert!(state.log.more);
}

#[test]
fn participants_join_leave_and_are_renamed() {
    let mut state = joined_room();
    state.apply(&ServerMessage::Entered {
        person: person("Cai"),
        count: 3,
        back: false,
        role: Role::default(),
    });
    let renamed = Person::new(person("Cai").id, Nickname::parse("Dan").expect("valid"));
    state.apply(&ServerMessage::Renamed {
        person: renamed.clone(),
        was: person("Cai").nickname,
    });
    assert_eq!(
        state.people.nickname(&renamed.id).map(Nickname::as_str),
        Some("Dan")
    );
    state.apply(&ServerMessage::Left {
        person: renamed.clone(),
        count: 2,
        away: false,
    });
    assert_eq!(state.people.here.len(), 2);
    let notices = state
        .log
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Notice(..)));
    assert_eq!(notices.count(), 3);
}

#[test]
fn an_announcement_is_a_notice_that_is_read_aloud_once_and_changes_no_position() {
    let mut state = joined_room();
    let (mut announced, before) = (Announced::all_of(&state.log), state.log.position.clone());
    state.apply(&ServerMessage::Announcement {
        text: text("noon"),
        from: None,
    });
    let notice = Notice::Announcement {
        from: None,
        text: text("noon"),
    };
    let last = state.log.entries.last();
    assert_eq!(last, Some(&Entry::Notice(1, notice.clone())));
    assert_eq!(state.log.position, before);
    assert_eq!(
        new_announcements(&mut announced, &state),
        [Announcement::Notice(notice)]
    );
    assert_eq!(new_announcements(&mut announced, &state), []);
}

#[test]
fn a_refusal_stays_with_its_message_and_a_rate_limit_is_no_refusal() {
    let mut state = joined_room();
    state.log.send(draft(id(3), text("hello")), Vec::new());
    let error = |code| ServerMessage::Error {
        code,
        message: String::new(),
        id: Some(id(3)),
    };
    state.apply(&error(ErrorCode::TooManyMessages));
    assert_eq!(state.log.pending[0].refused, None);
    state.apply(&error(ErrorCode::Unavailable));
    assert_eq!(state.log.pending[0].refused, Some(ErrorCode::Unavailable));
    state.log.retry(id(3));
    assert_eq!(state.log.pending[0].refused, None);
    // A message refused for lack of storage is sent again only when its author retries.
    for code in [ErrorCode::RoomStorageFull, ErrorCode::ServerStorageFull] {
        state.apply(&error(code));
        assert_eq!(state.log.pending[0].refused, Some(code));
    }
    let mut outbox = outbox::Outbox::new(0.0);
    assert_eq!(outbox.due(&state.log.pending, 0.0), (vec![], false));
}

#[test]
fn a_message_never_becomes_a_nickname() {
    let mut state = joined_room();
    state.apply(&ServerMessage::Chat(message_by(3, "Ben")));
    let names: Vec<_> = state
        .people
        .here
        .iter()
        .map(|p| p.nickname.as_str().to_owned())
        .collect();
    assert_eq!(names, ["Ben", "Ann"]);
}

#[test]
fn the_number_of_notices_is_bounded() {
    let mut state = joined_room();
    for _ in 0..1_000 {
        state.apply(&ServerMessage::Entered {
            person: person("Cai"),
            count: 3,
            back: false,
            role: Role::default(),
        });
        state.apply(&ServerMessage::Left {
            person: person("Cai"),
            count: 2,
            away: false,
        });
    }
    assert_eq!(state.log.entries.len(), 200 + 2);
}

#[test]
fn days_are_separated_in_the_time_zone_of_the_reader() {
    let mut state = RoomState::default();
    let hour = 3_600_000;
    let at = |seq: u64, at: i64| ChatMessage {
        at,
        ..message_by(seq, "Ben")
    };
    // 22:00 and 23:30 UTC of one day; in Seoul both are the next day.
    let (first, second) = (at(1, 22 * hour), at(2, 23 * hour + hour / 2));
    state.apply(&joined(false, 3, vec![first, second, at(3, 24 * hour)]));
    let days = |offset: &dyn Fn(i64) -> i32| {
        let rows = drawn(&state, offset);
        rows.iter().filter(|row| matches!(row, Row::Day(_))).count()
    };
    assert_eq!(days(UTC), 2);
    assert_eq!(days(&|_| 540), 1);
}

#[test]
fn consecutive_messages_of_one_author_are_grouped() {
    let state = joined_room();
    let follows: Vec<bool> = drawn(&state, UTC)
        .iter()
        .filter_map(|row| match row {
            Row::Message(row) => Some(row.follows),
            _ => None,
        })
        .collect();
    assert_eq!(follows, [false, true]);
}

#[test]
fn a_return_removes_the_notice_of_leaving() {
    let mut state = joined_room();
    let (person, count) = (person("Ben"), 1);
    let left = |away| ServerMessage::Left {
        person: person.clone(),
        count,
        away,
    };
    let entered = |back| ServerMessage::Entered {
        person: person.clone(),
        count,
        back,
        role: Role::default(),
    };
    let notices = |state: &RoomState| state.log.entries.len() - seqs(state).len();
    state.apply(&left(true));
    assert_eq!(notices(&state), 1);
    state.apply(&entered(true));
    assert_eq!(notices(&state), 0);
    state.apply(&left(true));
    state.apply(&ServerMessage::Gone {
        person: person.clone(),
    });
    state.apply(&entered(false));
    assert_eq!(notices(&state), 2);
    state.apply(&entered(true));
    assert_eq!(notices(&state), 2, "there is no notice to remove");
}

#[test]
fn a_change_applies_to_an_older_page_that_arrives_later() {
    let mut state = joined_room();
    let changed = |seq: u64, event: u64, words: &str| ChatMessage {
        changed: event,
        ..ChatMessage {
            text: Some(text(words)),
            ..message_by(seq, "Ben")
        }
    };
    let tell = |state: &mut RoomState, message: &ChatMessage| {
        let (seq, message) = (message.changed, message.clone());
        state.apply(&ServerMessage::Changed { seq, message });
    };
    tell(&mut state, &changed(2, 4, "new"));
    tell(&mut state, &changed(2, 3, "old"));
    let words: Vec<_> = state.log.messages().map(ChatMessage::words).collect();
    assert_eq!(words, ["text 1", "new"]);
    assert_eq!(state.log.position.as_ref().map(|at| at.seq), Some(4));

    // A message that is not loaded: the server read its page before the change.
    let mut state = RoomState::default();
    state.apply(&joined(false, 9, vec![message_by(9, "Ben")]));
    tell(&mut state, &changed(3, 10, "new"));
    let messages = vec![message_by(3, "Ben"), message_by(4, "Ben")];
    state.apply(&ServerMessage::History {
        messages,
        more: false,
    });
    let words: Vec<_> = state.log.messages().map(ChatMessage::words).collect();
    assert_eq!(words, ["new", "text 4", "text 9"]);
}

#[test]
fn a_reaction_applies_once_to_an_older_page_that_arrives_later() {
    let reaction = |to: &ChatMessage, event: u64, on: bool| ServerMessage::Reaction {
        seq: event,
        id: to.id,
        emoji: crate::protocol::Emoji::parse("👍").expect("valid"),
        from: person("Ben").id,
        on,
    };
    let given = |state: &RoomState, place: usize| {
        let message = state.log.messages().nth(place).expect("shown");
        message.reactions.first().map_or(0, |first| first.by.len())
    };
    let mut state = joined_room();
    let message = state.log.messages().next().expect("shown").clone();
    for _ in 0..2 {
        state.apply(&reaction(&message, 5, true));
    }
    assert_eq!(given(&state, 0), 1);
    assert_eq!(state.log.position.as_ref().map(|at| at.seq), Some(5));
    state.apply(&reaction(&message, 6, false));
    assert_eq!(given(&state, 0), 0);
    state.apply(&reaction(&message, 5, true));
    assert_eq!(given(&state, 0), 0, "a reaction is applied once");

    // A message that is not loaded: the server read its page before the reaction.
    let mut state = RoomState::default();
    state.apply(&joined(false, 9, vec![message_by(9, "Ben")]));
    state.apply(&reaction(&message_by(3, "Ben"), 10, true));
    let more = false;
    let messages = vec![message_by(3, "Ben")];
    state.apply(&ServerMessage::History { messages, more });
    assert_eq!(given(&state, 0), 1);
}

#[test]
fn a_jump_to_the_end_draws_the_visible_rows_first() {
    let mut window = Window::default();
    assert_eq!(window.range(1_000), 700..1_000);
    assert_eq!(window.at_end(), window, "nothing is redrawn");
    assert!(window.older(1_000));
    let mut window = window.at_end();
    assert_eq!(window.range(1_000), 940..1_000);
    let mut before = window.range(1_000);
    while !window.is_full() {
        window.fill();
        let now = window.range(1_000);
        assert!(now.start < before.start && before.start - now.start <= Window::STEP);
        before = now;
    }
    assert_eq!(window, Window::default());
    assert_eq!(Window::default().at_end().range(10), 0..10);
}

/// The announcements of the new entries of a room.
fn new_announcements(announced: &mut Announced, state: &RoomState) -> Vec<Announcement> {
    announced.new_announcements(&state.log, &state.people)
}

/// The announcement of a message.
fn words(seq: u64, name: &str) -> Announcement {
    Announcement::Said(person(name).nickname, format!("text {seq}"))
}

#[test]
fn messages_of_others_are_announced_once_and_own_or_older_ones_never() {
    let mut state = joined_room();
    let mut announced = Announced::all_of(&state.log);
    assert_eq!(new_announcements(&mut announced, &state), []);
    state.apply(&ServerMessage::Chat(message_by(3, "Ben")));
    assert_eq!(new_announcements(&mut announced, &state), [words(3, "Ben")]);
    assert_eq!(new_announcements(&mut announced, &state), []);

    // Own messages, pending and confirmed.
    state.log.send(draft(id(4), text("text 4")), Vec::new());
    assert_eq!(new_announcements(&mut announced, &state), []);
    state.apply(&ServerMessage::Chat(message_by(4, "Ann")));
    assert_eq!(new_announcements(&mut announced, &state), []);

    // Older messages and an edit are not announced.
    state.apply(&ServerMessage::History {
        messages: vec![],
        more: false,
    });
    let mut edited = message_by(3, "Ben");
    edited.changed = 5;
    state.apply(&ServerMessage::Changed {
        seq: 5,
        message: edited,
    });
    assert_eq!(new_announcements(&mut announced, &state), []);
}

#[test]
fn older_messages_that_load_are_not_announced() {
    let mut state = RoomState::default();
    state.apply(&joined(false, 60, vec![message_by(60, "Ben")]));
    let mut announced = Announced::all_of(&state.log);
    state.apply(&ServerMessage::History {
        messages: (10..60).map(|seq| message_by(seq, "Ben")).collect(),
        more: true,
    });
    assert_eq!(state.log.messages().count(), 51);
    assert_eq!(new_announcements(&mut announced, &state), []);
}

#[test]
fn a_new_log_is_not_announced_but_its_later_messages_are() {
    let mut state = RoomState::default();
    state.apply(&joined(false, 60, vec![message_by(60, "Ben")]));
    let mut announced = Announced::all_of(&state.log);
    let ServerMessage::Joined(mut snapshot) = joined(false, 1, vec![message_by(1, "Ben")]) else {
        panic!("joined")
    };
    snapshot.epoch = Epoch::parse("f").expect("valid");
    state.apply(&ServerMessage::Joined(snapshot));
    assert_eq!(new_announcements(&mut announced, &state), []);
    state.apply(&ServerMessage::Chat(message_by(2, "Ben")));
    assert_eq!(new_announcements(&mut announced, &state), [words(2, "Ben")]);
}

#[test]
fn many_messages_after_a_reconnect_are_announced_by_their_number() {
    let mut state = joined_room();
    let mut announced = Announced::all_of(&state.log);
    let missed = (3..9).map(|seq| message_by(seq, if seq == 5 { "Ann" } else { "Ben" }));
    state.apply(&joined(true, 8, missed.collect()));
    assert_eq!(
        new_announcements(&mut announced, &state),
        [Announcement::Messages(5)]
    );
    state.apply(&joined(
        true,
        10,
        vec![message_by(9, "Ben"), message_by(10, "Ben")],
    ));
    let both = [words(9, "Ben"), words(10, "Ben")];
    assert_eq!(new_announcements(&mut announced, &state), both);
}

#[test]
fn notices_are_announced_once_and_their_number_is_bounded() {
    let mut state = joined_room();
    let mut announced = Announced::all_of(&state.log);
    let renamed = |now: &str, id: &str| ServerMessage::Renamed {
        person: Person::new(person(id).id, person(now).nickname),
        was: person(id).nickname,
    };
    state.apply(&renamed("Annabel", "Ann"));
    assert_eq!(
        new_announcements(&mut announced, &state),
        [],
        "own changes are not announced"
    );
    for number in 0..100 {
        state.apply(&renamed(&format!("Ben{number}"), "Ben"));
        state.apply(&ServerMessage::Chat(message_by(10 + number, "Ben")));
    }
    let announced_now = new_announcements(&mut announced, &state);
    assert_eq!(
        (announced_now.len(), &announced_now[0]),
        (3, &Announcement::Messages(100))
    );
    let long = ChatText::parse(&"가".repeat(4000)).expect("valid");
    let message = ChatMessage::new(500, person("Ben"), draft(id(500), long), 0);
    state.apply(&ServerMessage::Chat(message));
    let announced_now = new_announcements(&mut announced, &state);
    let [Announcement::Said(_, short)] = &announced_now[..] else {
        panic!("{announced_now:?}")
    };
    assert_eq!(short.chars().count(), 401);
    assert_eq!(new_announcements(&mut announced, &state), []);
}
