//! Tests of [`Room`] and [`History`] that need an exact time or an exact size.

use super::{
    command::{
        CallRequest, ChatRequest, Command, ConnectionId, Departure, Effect, Join, Now, RequestId,
        Requester, RoomRequest, Visitor,
    },
    history::{History, MissedEvents},
    room::Room,
};
use crate::server::rooms::{RoomError, RoomRules};
use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, Devices, Epoch, ErrorCode, Leg, MAX_FRAME_BYTES,
        MediaOffer, MessageId, Mode, Nickname, Person, RoomName, Seq, ServerMessage,
        SettingsChange, Source, Wanted,
    },
    server::{
        authority::{Authority, new_host_key},
        identity::{new_session_token, participant_id},
        invites::InviteKey,
        limits::ROOM_PENDING,
        sfu::{self, Offer, PeerKey},
        store::Page,
    },
};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(5);
const AWAY: Duration = Duration::from_secs(115);

fn room() -> Room {
    room_for(2, false)
}

/// A room with this `p2p_max`, in which the operator hides all addresses or none.
fn room_for(p2p_max: usize, hide_addresses: bool) -> Room {
    let rules = RoomRules {
        capacity: 9,
        call_capacity: 9,
        p2p_max,
        hide_addresses,
        move_back_after: Duration::from_secs(5),
        grace: GRACE,
        away: AWAY,
        empty_within: Duration::from_secs(10),
        started: Instant::now() - Duration::from_secs(3600),
        ice_servers: [].into(),
        invite_key: InviteKey::new([7; 32]),
        claim_rooms: false,
    };
    let name = RoomName::parse("team").expect("valid");
    Room::new(
        name,
        Epoch::parse("e").expect("valid"),
        History::default(),
        Some(Authority::default()),
        rules,
    )
}

fn join(connection: u64) -> Command {
    let session = new_session_token();
    Command::Join(Join {
        connection: ConnectionId(connection),
        visitor: Visitor::new(session, Nickname::parse("Ann").expect("valid")),
        seen: None,
        fresh_key: new_host_key(),
        opening: SettingsChange::default(),
    })
}

fn message(seq: Seq, text: &str) -> ChatMessage {
    let from = Person::new(
        participant_id(&new_session_token()),
        Nickname::parse("Ann").expect("valid"),
    );
    let id = MessageId(uuid::Uuid::from_u128(u128::from(seq)));
    let draft = ChatDraft {
        id,
        text: ChatText::parse(text).expect("valid"),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    };
    ChatMessage::new(seq, from, draft, 0)
}

#[test]
fn the_grace_period_ends_at_its_deadline_and_not_before() {
    let start = Instant::now();
    let at = |after: Duration| Now {
        instant: start + after,
        unix_ms: 0,
    };
    let mut room = room();
    room.handle(join(1), at(Duration::ZERO));
    assert_eq!(room.next_deadline(), None);
    let departure = Departure::Lost;
    let effects = room.handle(
        Command::Disconnected {
            connection: ConnectionId(1),
            departure,
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
    assert!(effects.contains(&Effect::SummaryChanged) && !room.is_idle());
    let effects = room.handle(Command::Tick, at(GRACE + AWAY));
    let gone = |effect: &Effect| {
        matches!(
            effect,
            Effect::Broadcast {
                message: ServerMessage::Gone { .. },
                ..
            }
        )
    };
    assert!(effects.iter().any(gone) && room.is_idle());
}

/// A room with two people, of whom the first has a connection to the SFU.
fn room_on_sfu(now: Now) -> (Room, PeerKey) {
    let mut room = room();
    (room.rules.p2p_max, room.mode) = (0, Mode::Sfu);
    room.handle(join(1), now);
    room.handle(join(2), now);
    let (leg, devices, connection) = (1, Devices::default(), ConnectionId(1));
    let request = RoomRequest::Call(CallRequest::Enter {
        leg,
        devices,
        hide_address: false,
    });
    room.handle(
        Command::Member {
            connection,
            request,
        },
        now,
    );
    let offer = Offer::new(MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp: "v=0".to_owned(),
        tracks: vec![],
    });
    let request = RoomRequest::Call(CallRequest::Offer(offer));
    let effects = room.handle(
        Command::Member {
            connection,
            request,
        },
        now,
    );
    let peer = effects.iter().find_map(|effect| match effect {
        Effect::Media(sfu::Command::Offer { peer, .. }) => Some(*peer),
        _ => None,
    });
    (room, peer.expect("an offer for the SFU"))
}

/// The `away` flag of each `left` message among these effects.
fn left(effects: &[Effect]) -> Vec<bool> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Broadcast {
            message: ServerMessage::Left { away, .. },
            ..
        } => Some(*away),
        _ => None,
    });
    told.collect()
}

/// Whether a broadcast among these effects has a message that `wanted` selects.
fn has_broadcast(effects: &[Effect], wanted: impl Fn(&ServerMessage) -> bool) -> bool {
    effects.iter().any(|effect| match effect {
        Effect::Broadcast { message, .. } => wanted(message),
        _ => false,
    })
}

#[test]
fn a_member_with_media_stays_listed_until_it_ends_and_two_minutes_at_most() {
    let start = Instant::now();
    let at = |after: Duration| Now {
        instant: start + after,
        unix_ms: 0,
    };
    for departure in [Departure::Lost, Departure::TimedOut] {
        let (mut room, peer) = room_on_sfu(at(Duration::ZERO));
        let connection = ConnectionId(1);
        let gone = room.handle(
            Command::Disconnected {
                connection,
                departure,
            },
            at(Duration::ZERO),
        );
        assert_eq!(gone, [], "they are seen and heard");
        assert_eq!(room.handle(Command::Tick, at(GRACE)), []);
        let shown = room.snapshot();
        assert_eq!((shown.people.len(), shown.call.len()), (2, 1));
        let event = sfu::Event::Closed { peer };
        let effects = room.handle(Command::Media(event), at(2 * GRACE));
        assert_eq!(left(&effects), [true]);
        let out_of_call = has_broadcast(&effects, |message| {
            matches!(message, ServerMessage::CallLeft { away: false, .. })
        });
        assert!(out_of_call, "nobody waits for pictures that cannot come");
        assert_eq!(room.snapshot().call.len(), 0);

        // A connection that never ends does not keep its member for ever, and is closed with them.
        let (mut room, peer) = room_on_sfu(at(Duration::ZERO));
        room.handle(
            Command::Disconnected {
                connection,
                departure,
            },
            at(Duration::ZERO),
        );
        room.handle(Command::Tick, at(GRACE));
        let effects = room.handle(Command::Tick, at(GRACE + AWAY));
        assert_eq!(left(&effects), [false]);
        assert!(effects.contains(&Effect::Media(sfu::Command::Close { peer })));
    }
}

#[test]
fn subscriptions_are_limited_to_ten_a_second_and_the_last_one_arrives() {
    let start = Instant::now();
    let at = |millis: u64| Now {
        instant: start + Duration::from_millis(millis),
        unix_ms: 0,
    };
    let (mut room, peer) = room_on_sfu(at(0));
    let (connection, id) = (ConnectionId(1), participant_id(&new_session_token()));
    let wanted = |height: u32| {
        vec![Wanted {
            id: id.clone(),
            source: Source::Camera,
            height,
            pinned: false,
        }]
    };
    let told = |wanted| {
        let command = sfu::Command::Subscribe { peer, wanted };
        vec![Effect::Media(command)]
    };
    let request = RoomRequest::Call(CallRequest::Subscribe(wanted(0)));
    let first = room.handle(
        Command::Member {
            connection,
            request,
        },
        at(0),
    );
    assert_eq!(first, told(wanted(0)));
    for height in 1..=50 {
        let request = RoomRequest::Call(CallRequest::Subscribe(wanted(height)));
        assert_eq!(
            room.handle(
                Command::Member {
                    connection,
                    request
                },
                at(1)
            ),
            []
        );
    }
    assert_eq!(room.next_deadline(), Some(at(100).instant));
    assert_eq!(room.handle(Command::Tick, at(99)), []);
    assert_eq!(room.handle(Command::Tick, at(100)), told(wanted(50)));
    assert_eq!(room.next_deadline(), None);
}

/// Joins by this socket. Returns the `back` flag of `entered`, if it is broadcast.
fn back_flag_of_join(room: &mut Room, join: &Join, connection: u64, now: Now) -> Option<bool> {
    let connection = ConnectionId(connection);
    let join = Join {
        connection,
        ..join.clone()
    };
    let effects = room.handle(Command::Join(join), now);
    effects.into_iter().find_map(|effect| match effect {
        Effect::Broadcast {
            message: ServerMessage::Entered { back, .. },
            ..
        } => Some(back),
        _ => None,
    })
}

#[test]
fn a_return_within_two_minutes_or_after_a_restart_is_marked_as_back() {
    let start = Instant::now();
    let at = |seconds: u64| Now {
        instant: start + Duration::from_secs(seconds),
        unix_ms: 0,
    };
    let mut room = room();
    let Command::Join(ann) = join(1) else {
        unreachable!("join makes a join")
    };
    let gone = |connection: u64, departure| Command::Disconnected {
        connection: ConnectionId(connection),
        departure,
    };
    assert_eq!(back_flag_of_join(&mut room, &ann, 1, at(0)), Some(false));
    room.handle(gone(1, Departure::TimedOut), at(0));
    assert_eq!(back_flag_of_join(&mut room, &ann, 2, at(114)), Some(true));
    room.handle(gone(2, Departure::Left), at(114));
    assert_eq!(back_flag_of_join(&mut room, &ann, 3, at(115)), Some(false));
    room.handle(gone(3, Departure::TimedOut), at(115));
    room.handle(Command::Tick, at(230));
    assert_eq!(back_flag_of_join(&mut room, &ann, 4, at(231)), Some(false));

    // A server that has just started recognises returning people by the epoch that they send.
    let mut fresh = self::room();
    fresh.rules.started = start;
    let seen = Some((Epoch::parse("e").expect("valid"), 0));
    let ben = Join {
        seen,
        fresh_key: new_host_key(),
        ..ann
    };
    assert_eq!(back_flag_of_join(&mut fresh, &ben, 1, at(3)), Some(true));
    let epoch = Epoch::parse("other").expect("valid");
    let cleo = Join {
        visitor: Visitor::new(new_session_token(), Nickname::parse("Cleo").expect("valid")),
        seen: Some((epoch, 0)),
        ..ben
    };
    assert_eq!(back_flag_of_join(&mut fresh, &cleo, 2, at(3)), Some(false));
}

#[test]
fn a_resume_receives_missed_changes_as_far_back_as_they_are_held() {
    let mut history = History::default();
    for seq in 1..=3 {
        history.push(message(seq, "x"));
    }
    let edited = ChatMessage {
        changed: 4,
        ..message(2, "y")
    };
    history.apply_change(edited.clone());
    let missed = |history: &History, seen| history.since(seen, MAX_FRAME_BYTES);
    let changed =
        |missed: Option<MissedEvents>| missed.map(|missed| (missed.messages.len(), missed.changed));
    assert_eq!(
        changed(missed(&history, 3)),
        Some((0, vec![edited.clone()]))
    );
    assert_eq!(changed(missed(&history, 1)), Some((2, vec![])));
    assert_eq!(history.newest(MAX_FRAME_BYTES).0[1], edited);
    for seq in 5..=105 {
        history.apply_change(ChatMessage {
            changed: seq,
            ..message(1_000 + seq, "z")
        });
    }
    assert_eq!(
        missed(&history, 3),
        None,
        "the oldest changes are forgotten"
    );
    assert!(missed(&history, 100).is_some());
}

#[test]
fn messages_beyond_the_pending_limit_are_refused_by_id() {
    let now = Now {
        instant: Instant::now(),
        unix_ms: 0,
    };
    let mut room = room();
    room.handle(join(1), now);
    let say = |number: usize| {
        let id = MessageId(uuid::Uuid::from_u128(number as u128));
        let text = ChatText::parse("x").expect("valid");
        let connection = ConnectionId(1);
        Command::Member {
            connection,
            request: RoomRequest::Chat(ChatRequest::Send(ChatDraft {
                id,
                text,
                reply_to: None,
                files: Vec::new(),
                mentions: Vec::new(),
            })),
        }
    };
    for number in 0..ROOM_PENDING {
        assert!(matches!(
            room.handle(say(number), now)[..],
            [Effect::Append { .. }]
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
    let requester = Requester::Connection(ConnectionId(1));
    room.handle(
        Command::Stored {
            requester,
            id,
            result: Err(RoomError::Unavailable),
        },
        now,
    );
    assert!(
        matches!(room.handle(say(0), now)[..], [Effect::Append { .. }]),
        "one index is free"
    );
}

#[test]
fn a_post_that_is_not_stored_answers_its_form_with_the_error() {
    let now = Now {
        instant: Instant::now(),
        unix_ms: 0,
    };
    let mut room = room();
    let (requester, id) = (Requester::Form(RequestId(1)), MessageId(uuid::Uuid::nil()));
    let effects = room.handle(
        Command::Stored {
            requester,
            id,
            result: Err(RoomError::Unavailable),
        },
        now,
    );
    let result = Err(RoomError::Unavailable);
    assert_eq!(
        effects,
        [Effect::AnswerForm {
            request_id: RequestId(1),
            result
        }]
    );
}

#[test]
fn history_holds_one_frame_and_resumes_only_from_what_it_holds() {
    let mut history = History::default();
    assert!(
        history
            .since(0, MAX_FRAME_BYTES)
            .is_some_and(|missed| missed.messages.is_empty())
    );
    assert_eq!(history.since(1, MAX_FRAME_BYTES), None, "ahead of the log");
    for seq in 1..=300 {
        history.push(message(seq, "short"));
    }
    let seqs = |missed: MissedEvents| {
        missed
            .messages
            .first()
            .map(|m| (m.seq, missed.messages.len()))
    };
    assert_eq!(
        history.since(250, MAX_FRAME_BYTES).and_then(seqs),
        Some((251, 50))
    );
    assert_eq!(
        history.since(100, MAX_FRAME_BYTES).and_then(seqs),
        Some((101, 200))
    );
    assert_eq!(
        history.since(99, MAX_FRAME_BYTES),
        None,
        "one is not kept any more"
    );
    assert_eq!(history.since(250, 1000), None, "does not fit");
    for seq in 301..=310 {
        history.push(message(seq, &"x".repeat(4000)));
    }
    let (newest, more) = history.newest(20 * 1024);
    assert_eq!(
        (newest.len(), newest.last().map(|m| m.seq), more),
        (4, Some(310), true)
    );
}

#[test]
fn a_log_with_unknown_events_is_not_resumed_from() {
    let beyond = Page {
        messages: Vec::new(),
        more: true,
    };
    let history = History::new(7, 7, beyond, Vec::new());
    assert_eq!(history.since(5, MAX_FRAME_BYTES), None);
    assert_eq!(history.newest(MAX_FRAME_BYTES), (Vec::new(), true));
}

#[test]
fn deleted_messages_are_not_sent_to_later_joins() {
    let page = Page {
        messages: (1..=10).map(|seq| message(seq, "said")).collect(),
        more: false,
    };
    let changed = ChatMessage {
        changed: 11,
        ..message(2, "changed")
    };
    let mut history = History::new(11, 0, page, vec![changed]);
    let seqs = |messages: Vec<ChatMessage>| messages.iter().map(|m| m.seq).collect::<Vec<_>>();
    history.remove(&[1, 2, 3, 4]);
    let (newest, more) = history.newest(MAX_FRAME_BYTES);
    assert_eq!((seqs(newest), more), (vec![5, 6, 7, 8, 9, 10], false));
    let missed = history.since(3, MAX_FRAME_BYTES).expect("known");
    assert_eq!(seqs(missed.messages), [5, 6, 7, 8, 9, 10]);
    assert_eq!(missed.changed, []);
    history.remove(&[5, 6, 7, 8, 9, 10]);
    assert_eq!(history.newest(MAX_FRAME_BYTES), (Vec::new(), false));
    assert_eq!(history.seq(), 11, "numbers go on");
    history.push(message(12, "said"));
    assert_eq!(history.newest(MAX_FRAME_BYTES).0.len(), 1);
}

/// The command by which the member of this socket enters the call.
fn enter(connection: u64, leg: Leg, hide_address: bool) -> Command {
    let request = RoomRequest::Call(CallRequest::Enter {
        leg,
        devices: Devices::default(),
        hide_address,
    });
    let connection = ConnectionId(connection);
    Command::Member {
        connection,
        request,
    }
}

/// The mode of a `media_mode` broadcast among these effects.
fn broadcast_mode(effects: &[Effect]) -> Option<Mode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Broadcast {
            message: ServerMessage::MediaMode { mode },
            ..
        } => Some(*mode),
        _ => None,
    })
}

/// The mode in the answer to `enter_call` among these effects.
fn mode_in_answer(effects: &[Effect]) -> Option<Mode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send {
            message: ServerMessage::Call { mode, .. },
            ..
        } => Some(*mode),
        _ => None,
    })
}

#[test]
fn a_call_runs_through_the_sfu_for_as_long_as_anybody_in_it_hides_their_address() {
    let start = Instant::now();
    let at = |seconds| Now {
        instant: start + Duration::from_secs(seconds),
        unix_ms: 0,
    };
    let mut room = room_for(64, false);
    for connection in 1..=3 {
        room.handle(join(connection), at(0));
    }
    assert_eq!(
        mode_in_answer(&room.handle(enter(1, 1, false), at(0))),
        Some(Mode::P2p)
    );
    let effects = room.handle(enter(2, 2, true), at(0));
    assert_eq!(
        broadcast_mode(&effects),
        Some(Mode::Sfu),
        "before anybody meets"
    );
    assert_eq!(mode_in_answer(&effects), Some(Mode::Sfu));
    let is_entry = |effect: &Effect| {
        let entered = |m: &ServerMessage| matches!(m, ServerMessage::CallEntered { .. });
        matches!(effect, Effect::Broadcast { message, .. } if entered(message))
    };
    let told = |wanted: fn(&[Effect]) -> bool| {
        effects.iter().position(|e| wanted(std::slice::from_ref(e)))
    };
    let (moves, entry) = (
        told(|e| broadcast_mode(e).is_some()),
        effects.iter().position(is_entry),
    );
    assert!(
        moves < entry,
        "the mode is announced before the new participant"
    );

    // The same session without a hidden address: the call switches back after the delay, and to the
    // SFU at once when the address is hidden again.
    assert_eq!(
        broadcast_mode(&room.handle(enter(2, 2, false), at(1))),
        None
    );
    assert_eq!(
        broadcast_mode(&room.handle(Command::Tick, at(6))),
        Some(Mode::P2p)
    );
    assert_eq!(
        broadcast_mode(&room.handle(enter(2, 2, true), at(7))),
        Some(Mode::Sfu)
    );
    assert_eq!(
        broadcast_mode(&room.handle(Command::Tick, at(100))),
        None,
        "they still hide"
    );

    let request = RoomRequest::Call(CallRequest::Leave);
    let connection = ConnectionId(2);
    room.handle(
        Command::Member {
            connection,
            request,
        },
        at(101),
    );
    assert_eq!(
        broadcast_mode(&room.handle(Command::Tick, at(106))),
        Some(Mode::P2p)
    );
}

#[test]
fn media_of_a_hidden_member_keeps_the_call_at_the_sfu_while_they_are_disconnected() {
    let start = Instant::now();
    let at = |seconds| Now {
        instant: start + Duration::from_secs(seconds),
        unix_ms: 0,
    };
    let mut room = room_for(64, false);
    for connection in 1..=2 {
        room.handle(join(connection), at(0));
    }
    room.handle(enter(1, 1, false), at(0));
    room.handle(enter(2, 2, true), at(0));
    let offer = MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp: String::new(),
        tracks: Vec::new(),
    };
    let (connection, request) = (
        ConnectionId(2),
        RoomRequest::Call(CallRequest::Offer(Offer::new(offer))),
    );
    room.handle(
        Command::Member {
            connection,
            request,
        },
        at(0),
    );
    let departure = Departure::Lost;
    room.handle(
        Command::Disconnected {
            connection,
            departure,
        },
        at(1),
    );
    room.handle(Command::Tick, at(6));
    assert_eq!(
        broadcast_mode(&room.handle(Command::Tick, at(30))),
        None,
        "still expected"
    );
    room.handle(Command::Tick, at(1 + 5 + 115));
    let later = room.handle(Command::Tick, at(1 + 5 + 115 + 5));
    assert_eq!(broadcast_mode(&later), Some(Mode::P2p), "gone for good");
}

#[test]
fn calls_never_run_browser_to_browser_if_the_operator_hides_addresses() {
    let start = Instant::now();
    let at = |seconds| Now {
        instant: start + Duration::from_secs(seconds),
        unix_ms: 0,
    };
    let mut room = room_for(64, true);
    for connection in 1..=2 {
        room.handle(join(connection), at(0));
        let effects = room.handle(enter(connection, 1, false), at(0));
        assert_eq!(
            (broadcast_mode(&effects), mode_in_answer(&effects)),
            (None, Some(Mode::Sfu))
        );
    }
    for (connection, seconds) in [(1, 1), (2, 2)] {
        let (connection, request) = (
            ConnectionId(connection),
            RoomRequest::Call(CallRequest::Leave),
        );
        room.handle(
            Command::Member {
                connection,
                request,
            },
            at(seconds),
        );
        assert_eq!(
            broadcast_mode(&room.handle(Command::Tick, at(seconds + 60))),
            None
        );
    }
    let effects = room.handle(enter(1, 9, false), at(200));
    assert_eq!(
        (broadcast_mode(&effects), mode_in_answer(&effects)),
        (None, Some(Mode::Sfu))
    );
}
