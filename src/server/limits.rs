//! The numbers of rooms and connections: how long, how many, how large.
//!
//! What an operator may change is in [`super::config`]; what a test must shorten is
//! in [`Timing`]. Numbers that are the behaviour of one module are at its top.

use std::time::Duration;

/// Frames waiting for one socket that does not read before it counts as too slow. 256.
pub const OUTBOX_FRAMES: usize = 256;
/// Frames waiting for one socket that reads before it counts as too slow. 4096: more than a
/// hundred people can make who do all they may at once.
pub const READER_FRAMES: usize = 4096;
/// Bytes waiting for one socket that reads before it counts as too slow. 4 MiB, for the same
/// reason. What rooms are told is shared by all their sockets, so this is memory of a room.
pub const READER_BYTES: usize = 4 * 1024 * 1024;
/// Within which a socket has taken something, where it counts as one that reads. 2 s.
pub const READER_ACTIVE_WITHIN: Duration = Duration::from_secs(2);
/// Frames waiting for one socket beyond which no signal of others is put beside them.
pub const RELAYED_FRAMES: usize = 128;
/// Bytes waiting for one socket beyond which no signal of others is put beside them. 256 KiB.
pub const RELAYED_BYTES: usize = 256 * 1024;
/// Bytes waiting for one socket that does not read before it counts as too slow. 1 MiB.
pub const OUTBOX_BYTES: usize = 1024 * 1024;
/// Sockets the process holds. 20 000 at some 30 KiB each stay under 1 GiB.
pub const MAX_SOCKETS: usize = 20_000;
/// Of those, how many may poll. Each holds a TCP connection or two with requests: half of
/// `--max-connections` is left to everybody else.
pub const MAX_POLLS: usize = 1_000;
/// Bytes after which an answer to a poll is full; the last frame may go beyond. 64 KiB: a
/// slow line takes one well within [`Timing::dead_after`].
pub const ANSWER_BYTES: usize = 64 * 1024;
/// TCP connections beyond `--max-connections` that are served `/healthz`, `/readyz` and
/// upgrades; the next one takes the place of the oldest. 200: each takes milliseconds.
pub const RESERVED_CONNECTIONS: usize = 200;
/// Of these, from one address (IPv6: one /64; a /48 has four times as many). 8: two probes and
/// some people behind one address, each for milliseconds; the next one is closed at once.
pub const RESERVED_PER_ADDRESS: usize = 8;
/// Bytes a second a reader takes at least of an answer that waits for it. 1 KiB.
pub const MIN_ANSWER_RATE: u32 = 1024;
/// Bytes of a request's head, cookies included; the next one is answered 431.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Writes to everybody in a room that do not wait for more to write, one after the other.
pub const BROADCAST_BURST: f64 = 8.0;
/// Messages a second beyond which nobody can read a room.
pub const CROWDED_RATE: f64 = 200.0;
/// How long what such a room is told may wait for more of it. 30 ms: shorter than a glance.
pub const CROWDED_DELAY: Duration = Duration::from_millis(30);
/// Bytes for everybody in a room that do not wait for more. 16 KiB: a small part of what a socket's
/// queue holds.
pub const BROADCAST_BATCH_BYTES: usize = 16 * 1024;
/// How long a reaction waits for more of them, unless something else is told meanwhile. 250 ms:
/// nobody waits for a reaction.
pub const REACTION_DELAY: Duration = Duration::from_millis(250);
/// Letters waiting for one room. Whoever writes the next one waits.
pub const ROOM_MAILBOX: usize = 1024;
/// Messages of one room on their way to the disk; the next one is refused.
pub const ROOM_PENDING: usize = 256;
/// Messages of all rooms on their way to the disk; the next one is refused.
pub const WRITER_QUEUE: usize = 4096;
/// Rows in one commit. 64: a few milliseconds.
pub const GROUP_ROWS: usize = 64;
/// Reading connections of the store. Reads are short; four keep two cores busy.
pub const READERS: usize = 4;
/// Reading connections for searches, apart from those. 2: one long search does not keep the
/// next one waiting, and a machine of two cores has time left for everything else.
pub const SEARCHERS: usize = 2;
/// Searches that wait for one of these connections; the next one is refused.
pub const SEARCH_QUEUE: usize = 64;
/// How long a search waits for one of them before it is refused.
pub const SEARCH_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a request's body. The largest form holds one message of 4000 characters.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Frames that were no message before the socket is closed with 4400.
pub const MAX_PROTOCOL_ERRORS: u32 = 50;
/// Silence on a TCP connection with unsent data after which the kernel gives it up.
/// 15 s, as [`Timing::dead_after`].
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Media streams over TCP of one shard; the next one is turned away.
pub const MEDIA_TCP_STREAMS: usize = 2_000;
/// Of these from one address. 128: everybody behind the firewall of a company.
pub const MEDIA_TCP_STREAMS_OF_ADDRESS: usize = 128;
/// Bytes waiting for one media stream over TCP; what comes beyond is lost, as on the way.
/// 256 KiB: a second of 2 Mbit/s.
pub const MEDIA_TCP_QUEUE_BYTES: usize = 256 * 1024;
/// Time for the whole of a graceful stop. 8 s: process managers kill after 10 s.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// A rate: so many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Refilled a second.
    pub per_second: u32,
    /// Held at most.
    pub burst: u32,
}

/// Chat messages of one socket (`docs/protocol.md`).
pub const CHAT_RATE: Rate = Rate {
    per_second: 5,
    burst: 40,
};
/// What else one socket asks: join, nickname, history, reactions, typing, the list of rooms.
pub const REQUEST_RATE: Rate = Rate {
    per_second: 5,
    burst: 20,
};
/// Call messages of one socket. A join of an 8-person call with trickle ICE sends some
/// 7 × 20 at once.
pub const SIGNAL_RATE: Rate = Rate {
    per_second: 50,
    burst: 300,
};
/// Offers to the SFU of one socket: each is parsed and answered by the thread of all media.
pub const OFFER_RATE: Rate = Rate {
    per_second: 2,
    burst: 20,
};
/// Frames of any kind of one socket; more is an attack and closes it.
pub const FRAME_RATE: Rate = Rate {
    per_second: 200,
    burst: 600,
};
/// Bytes of the frames of one socket; beyond it the socket is read more slowly, which slows
/// its owner only. 2 MiB at once: forty of the longest messages, or the offers of a large
/// call, twice over.
pub const FRAME_BYTES_RATE: Rate = Rate {
    per_second: 256 * 1024,
    burst: 2 * 1024 * 1024,
};
/// Messages posted by plain forms into one room, by everybody together.
pub const POST_RATE: Rate = Rate {
    per_second: 20,
    burst: 100,
};

/// Bytes one member of a room may have everybody told. At once 656 KiB: forty messages of the
/// longest text with their envelopes; a second 82 KiB: five of them.
pub const MEMBER_BROADCAST_BYTES: Rate = Rate {
    per_second: 82 * 1024,
    burst: 656 * 1024,
};
/// Bytes everybody in a room of [`ROOM_RATE_PEOPLE`] people may be told of what is said, by all members
/// together: half of what a line of 8 Mbit/s takes, and at once what leaves room in a queue of
/// [`OUTBOX_BYTES`]. A larger room may be told more in proportion: who allows one wants it used.
pub const ROOM_BROADCAST_BYTES: Rate = Rate {
    per_second: 512 * 1024,
    burst: 720 * 1024,
};
/// The room that [`ROOM_BROADCAST_BYTES`] and [`ROOM_OFFERS`] are for: 100 people, the default capacity of
/// rooms and of calls.
pub const ROOM_RATE_PEOPLE: usize = 100;
/// Of [`ROOM_BROADCAST_BYTES`] at once, bytes for members who have said little of late, so that a few who say all
/// they may leave the others their words. 64 KiB.
pub const ROOM_RESERVE_BYTES: usize = 64 * 1024;
/// What "little" is: bytes at once, and a second.
pub const QUIET_MEMBER_BYTES: Rate = Rate {
    per_second: 2 * 1024,
    burst: 16 * 1024,
};
/// Bytes of a message beside its text: ids, names, times.
pub const ENVELOPE_BYTES: usize = 384;
/// Bytes of the reactions a message may have, which an edit tells again: 200 of them.
pub const REACTIONS_BYTES: usize = 24 * 1024;
/// Changes of one member that everybody is told: nickname, devices, entering the call. More are
/// refused; nobody's hand is faster.
pub const ANNOUNCE_RATE: Rate = Rate {
    per_second: 5,
    burst: 20,
};
/// Bytes of signals one person in a call may send, to all others together.
pub const SIGNAL_BYTES: Rate = Rate {
    per_second: 64 * 1024,
    burst: 256 * 1024,
};
/// Bytes of signals at once for each person a mesh may have, where that is more: an offer of
/// 8 KB and twenty candidates of 300 bytes.
pub const SIGNAL_BYTES_PER_PERSON: u32 = 16 * 1024;
/// Bytes of signals from one person to one other: two of the longest descriptions at once.
pub const PAIR_BYTES: Rate = Rate {
    per_second: 16 * 1024,
    burst: 112 * 1024,
};
/// Descriptions from one person to one other that the other has not answered. 3: a first offer,
/// its repetition after a lost line, and an ICE restart.
pub const PAIR_DESCRIPTIONS: u32 = 3;
/// After which one of these counts as lost, and another may go. 2 s.
pub const PAIR_DESCRIPTIONS_EVERY: Duration = Duration::from_secs(2);
/// Offers of one person to the SFU, whatever their sockets: a first one, more slots as more
/// people come, and ICE restarts.
pub const PERSON_OFFERS: Rate = Rate {
    per_second: 1,
    burst: 12,
};
/// Offers of everybody in a call of [`ROOM_RATE_PEOPLE`] people; in a larger one more in proportion. At once
/// two of each, because all move over together.
pub const ROOM_OFFERS: Rate = Rate {
    per_second: 20,
    burst: 200,
};
/// How often the SFU is told what is on one person's screen. 100 ms: what comes in between is
/// told then.
pub const SUBSCRIBE_INTERVAL: Duration = Duration::from_millis(100);

/// The durations a test shortens. Everybody else takes the default.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two WebSocket pings. Default 5 s.
    pub ping_interval: Duration,
    /// Silence after which a socket is dead and its person gone. Default 15 s: three pings.
    pub dead_after: Duration,
    /// How long a person whose line broke keeps their place. Default 5 s: a reload takes less.
    pub grace: Duration,
    /// How long after the grace a person who comes back is no news. Default 115 s, so that
    /// both are 120 s.
    pub away: Duration,
    /// How long a room waits for whoever had it made and has not come in yet. Default 10 s.
    pub empty_room_timeout: Duration,
    /// How long a poll waits for something to answer. Default 10 s: shorter than any proxy's
    /// patience, and enough below `dead_after` that the next poll is in time.
    pub poll_timeout: Duration,
    /// Within which a socket joins or watches. Default 15 s.
    pub first_message_timeout: Duration,
    /// For the whole head of a request, and for the next request of a kept connection.
    /// Default 10 s: a browser sends its head in one piece.
    pub head_timeout: Duration,
    /// For the whole head on one of the [`RESERVED_CONNECTIONS`]. Default 3 s: a probe sends
    /// its head at once.
    pub reserved_head_timeout: Duration,
    /// For the whole body of a request, however steadily it drips. Default 30 s: 64 KiB
    /// take that long at 17 kbit/s.
    pub body_timeout: Duration,
    /// How long an answer may wait for a reader who takes nothing; whoever takes less than
    /// [`MIN_ANSWER_RATE`] uses that up. Default 30 s.
    pub write_timeout: Duration,
    /// Between two lists of open rooms. Default 1 s.
    pub summaries_interval: Duration,
    /// For telling a socket why it is closed. Default 2 s.
    pub close_timeout: Duration,
    /// How long a call is small enough before it goes browser to browser again. Default 5 s:
    /// somebody who reloads is back by then.
    pub move_back_after: Duration,
    /// Between two sweeps of messages that are not to be kept. Default 1 h.
    pub sweep_interval: Duration,
    /// Between two looks whether messages can be stored, for `/readyz`. Default 1 s: each
    /// writes to the disk.
    pub probe_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(5),
            dead_after: Duration::from_secs(15),
            grace: Duration::from_secs(5),
            away: Duration::from_secs(115),
            empty_room_timeout: Duration::from_secs(10),
            poll_timeout: Duration::from_secs(10),
            first_message_timeout: Duration::from_secs(15),
            head_timeout: Duration::from_secs(10),
            reserved_head_timeout: Duration::from_secs(3),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            summaries_interval: Duration::from_secs(1),
            close_timeout: Duration::from_secs(2),
            move_back_after: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(60 * 60),
            probe_interval: Duration::from_secs(1),
        }
    }
}
