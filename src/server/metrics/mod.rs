//! What the process counts, for `/metrics`.
//!
//! One process, one set of numbers: each is a static of atomics, counted where it happens
//! without a lock, and read when somebody asks. What can be looked up (how many people
//! there are) is not counted here. Every name is in `docs/operating.md`.

mod kinds;
pub mod media;

pub use kinds::{Counter, Gauge, Histogram, describe};

use super::error::code_name;
use crate::protocol::{ErrorCode, Obstacle};
use std::fmt::Write;

/// HTTP requests.
pub static HTTP_REQUESTS: Counter = Counter::zero();
/// HTTP requests that were refused for what they are or how many: 403, 408, 421 and 429.
pub static HTTP_REFUSED: Counter = Counter::zero();
/// HTTP connections that were closed at once because their address has as many as it may.
pub static CONNECTIONS_REFUSED: Counter = Counter::zero();
/// HTTP connections served from the reserve because all places were taken.
pub static CONNECTIONS_RESERVED: Counter = Counter::zero();
/// How often the addresses offered for media and TURN changed since the start.
pub static ADDRESS_CHANGES: Counter = Counter::zero();
/// Frames queued to clients: one a receiver.
pub static FRAMES: Counter = Counter::zero();
/// Clients closed with 4408 because they read too slowly.
pub static SLOW_CLIENTS: Counter = Counter::zero();
/// People who came into a room or back to it.
pub static JOINS: Counter = Counter::zero();
/// Joins that asked to go on where they were, and could.
static RESUMED: Counter = Counter::zero();
/// Joins that asked to go on where they were, and start from a snapshot.
static SNAPSHOTS: Counter = Counter::zero();
/// Refusals, by [`slot`].
static ERRORS: [Counter; CODES.len() + 1] = [const { Counter::zero() }; CODES.len() + 1];
/// Refusals that are about a message somebody wrote.
static MESSAGES_REFUSED: Counter = Counter::zero();
/// Messages deleted because of their age or number.
pub static MESSAGES_EXPIRED: Counter = Counter::zero();
/// Jobs that wait for the writer's thread.
pub static WRITER_QUEUE: Gauge = Gauge::zero();
/// How long a group of messages took to become durable, or to fail, in seconds.
pub static COMMIT_SECONDS: Histogram<14> = Histogram::new([
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// Messages and changes in one commit.
pub static COMMIT_ROWS: Histogram<7> = Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
/// Commits that failed.
pub static COMMIT_FAILURES: Counter = Counter::zero();

/// Reports of media that does not get through, in the order of [`Obstacle::ALL`].
pub static MEDIA_BLOCKED: [Counter; Obstacle::ALL.len()] =
    [const { Counter::zero() }; Obstacle::ALL.len()];

/// The codes that are counted each for itself.
const CODES: [ErrorCode; 27] = [
    ErrorCode::BadMessage,
    ErrorCode::UnknownType,
    ErrorCode::NotJoined,
    ErrorCode::AlreadyJoined,
    ErrorCode::BadRoomName,
    ErrorCode::BadNickname,
    ErrorCode::MessageEmpty,
    ErrorCode::MessageTooLong,
    ErrorCode::MessageNotAllowed,
    ErrorCode::NoSuchMessage,
    ErrorCode::NotYours,
    ErrorCode::BadEmoji,
    ErrorCode::TooManyReactions,
    ErrorCode::TooManyMessages,
    ErrorCode::TooManyJoins,
    ErrorCode::RoomFull,
    ErrorCode::CallFull,
    ErrorCode::TooManyRooms,
    ErrorCode::NotInCall,
    ErrorCode::NoSuchPerson,
    ErrorCode::Busy,
    ErrorCode::AddressesHidden,
    ErrorCode::SignalTooLong,
    ErrorCode::BadOffer,
    ErrorCode::RoomStorageFull,
    ErrorCode::ServerStorageFull,
    ErrorCode::Unavailable,
];

/// Counts somebody who came in, and whether it was to go on where they were.
pub fn joined(came_back: bool, resumed: bool) {
    JOINS.add(1);
    match (came_back, resumed) {
        (true, true) => RESUMED.add(1),
        (true, false) => SNAPSHOTS.add(1),
        (false, _) => {}
    }
}

/// Counts a refusal, and whether it is about a message somebody wrote.
pub fn refused(code: ErrorCode, message: bool) {
    ERRORS[slot(code)].add(1);
    MESSAGES_REFUSED.add(u64::from(message));
}

/// Where a code is counted; the last place is for any that has none of its own.
fn slot(code: ErrorCode) -> usize {
    let known = CODES.iter().position(|known| *known == code);
    known.unwrap_or(CODES.len())
}

/// Writes everything counted here.
pub fn write(text: &mut String) {
    HTTP_REQUESTS.write(text, "noom_http_requests_total", "HTTP requests.");
    HTTP_REFUSED.write(
        text,
        "noom_http_refused_total",
        "HTTP requests refused by origin, name, time or rate.",
    );
    CONNECTIONS_REFUSED.write(
        text,
        "noom_http_connections_refused_total",
        "HTTP connections closed at once, too many from their address.",
    );
    CONNECTIONS_RESERVED.write(
        text,
        "noom_http_connections_reserved_total",
        "HTTP connections served health and upgrades only, too many in all.",
    );
    ADDRESS_CHANGES.write(
        text,
        "noom_address_changes_total",
        "Changes of the addresses offered for media and TURN.",
    );
    FRAMES.write(
        text,
        "noom_frames_total",
        "Frames queued to clients, one a receiver.",
    );
    SLOW_CLIENTS.write(
        text,
        "noom_slow_sockets_total",
        "Clients closed because they read too slowly.",
    );
    JOINS.write(text, "noom_joins_total", "People who came in or back.");
    write_resumes(text);
    write_errors(text);
    write_blocked_media(text);
    MESSAGES_REFUSED.write(
        text,
        "noom_messages_refused_total",
        "Messages and changes of messages that were refused.",
    );
    MESSAGES_EXPIRED.write(
        text,
        "noom_messages_expired_total",
        "Messages deleted because of their age or number.",
    );
    WRITER_QUEUE.write(
        text,
        "noom_writer_queue",
        "Messages and other jobs that wait for the writer.",
    );
    COMMIT_SECONDS.write(
        text,
        "noom_commit_seconds",
        "How long a group of messages took to become durable.",
    );
    COMMIT_ROWS.write(text, "noom_commit_rows", "Messages in one commit.");
    COMMIT_FAILURES.write(
        text,
        "noom_commit_failures_total",
        "Commits of messages that failed.",
    );
}

/// How those who came back fared.
fn write_resumes(text: &mut String) {
    let name = "noom_resumes_total";
    let help = "Joins that asked to go on where they were.";
    describe(text, name, "counter", help);
    for (outcome, counter) in [("resumed", &RESUMED), ("snapshot", &SNAPSHOTS)] {
        let _ = writeln!(text, "{name}{{outcome=\"{outcome}\"}} {}", counter.get());
    }
}

/// Reports of media that does not get through, by what is in the way.
fn write_blocked_media(text: &mut String) {
    let name = "noom_media_blocked_total";
    let help = "Reports of calls whose media does not get through, by what is in the way.";
    describe(text, name, "counter", help);
    for (obstacle, counter) in Obstacle::ALL.iter().zip(&MEDIA_BLOCKED) {
        let obstacle = obstacle.name();
        let _ = writeln!(text, "{name}{{obstacle=\"{obstacle}\"}} {}", counter.get());
    }
}

/// Refusals by code; those that never were are left out.
fn write_errors(text: &mut String) {
    let name = "noom_errors_total";
    describe(text, name, "counter", "Refusals told to clients, by code.");
    let names = CODES.iter().map(|code| code_name(*code));
    let names = names.chain(["other".to_owned()]);
    for (code, counter) in names.zip(&ERRORS).filter(|(_, counter)| counter.get() > 0) {
        let _ = writeln!(text, "{name}{{code=\"{code}\"}} {}", counter.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_place_of_its_own() {
        let mut slots: Vec<_> = CODES.iter().map(|code| slot(*code)).collect();
        slots.dedup();
        assert_eq!(slots, (0..CODES.len()).collect::<Vec<_>>());
        assert_eq!(code_name(ErrorCode::TooManyMessages), "too_many_messages");
    }

    #[test]
    fn a_refusal_shows_under_its_code() {
        refused(ErrorCode::SignalTooLong, false);
        let mut text = String::new();
        write(&mut text);
        assert!(text.contains("noom_errors_total{code=\"signal_too_long\"}"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').expect("name and value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
