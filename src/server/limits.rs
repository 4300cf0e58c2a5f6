//! The numbers of rooms and connections: how long, how many, how large.
//!
//! What an operator may change is in [`super::config`]; what a test must shorten is
//! in [`Timing`]. Numbers that are the behaviour of one module are at its top.

use std::time::Duration;

/// Frames waiting for one socket before it counts as too slow. 256: trust P9.
pub const OUTBOX_FRAMES: usize = 256;
/// Bytes waiting for one socket before it counts as too slow. 1 MiB: trust P9.
pub const OUTBOX_BYTES: usize = 1024 * 1024;
/// Sockets the process holds. 20 000 at some 30 KiB each stay under 1 GiB.
pub const MAX_SOCKETS: usize = 20_000;
/// Of those, how many may poll. Each holds a TCP connection or two with requests: half of
/// [`MAX_CONNECTIONS`] is left to everybody else.
pub const MAX_POLLS: usize = 1_000;
/// Bytes after which an answer to a poll is full; the last frame may go beyond. 64 KiB: a
/// slow line takes one well within [`Timing::dead_after`].
pub const ANSWER_BYTES: usize = 64 * 1024;
/// TCP connections with requests, besides the sockets; the next one waits.
pub const MAX_CONNECTIONS: u32 = 4_000;
/// Bytes of a request's head, cookies included; the next one is answered 431.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Writes to everybody in a room that do not wait for more to write, one after the other.
pub const GATHER_BURST: f64 = 8.0;
/// Messages a second beyond which nobody can read a room.
pub const CROWDED_RATE: f64 = 200.0;
/// How long what such a room is told may wait for more of it. 30 ms: shorter than a glance.
pub const CROWDED_PATIENCE: Duration = Duration::from_millis(30);
/// Bytes for everybody in a room that do not wait for more. 16 KiB: a small part of what a socket's
/// queue holds.
pub const GATHER_BYTES: usize = 16 * 1024;
/// Letters waiting for one room. Whoever writes the next one waits.
pub const ROOM_MAILBOX: usize = 1024;
/// Messages of one room on their way to the disk; the next one is refused.
pub const ROOM_PENDING: usize = 256;
/// Messages of all rooms on their way to the disk; the next one is refused.
pub const WRITER_QUEUE: usize = 4096;
/// Rows in one commit. 64: twice the group of trust P1, still a few milliseconds.
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
/// 15 s: trust P6.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Media streams over TCP of one shard; the next one is turned away.
pub const MEDIA_TCP_STREAMS: usize = 2_000;
/// Of these from one address. 128: everybody behind the firewall of a company.
pub const MEDIA_TCP_STREAMS_OF_ADDRESS: usize = 128;
/// Bytes waiting for one media stream over TCP; what comes beyond is lost, as on the way.
/// 256 KiB: a second of 2 Mbit/s.
pub const MEDIA_TCP_QUEUE_BYTES: usize = 256 * 1024;
/// Time for the whole of a graceful stop; the contract says 10 s.
pub const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A rate: so many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Refilled a second.
    pub per_second: u32,
    /// Held at most.
    pub burst: u32,
}

/// Chat messages of one socket. The contract promises 5 and 40.
pub const TALK_RATE: Rate = Rate {
    per_second: 5,
    burst: 40,
};
/// What else one socket asks of its room: join, nickname, history, reactions, typing.
pub const ASK_RATE: Rate = Rate {
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
/// Messages posted by plain forms into one room, by everybody together.
pub const POST_RATE: Rate = Rate {
    per_second: 20,
    burst: 100,
};

/// The durations a test shortens. Everybody else takes the default.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two WebSocket pings. Default 5 s: trust P6.
    pub ping_every: Duration,
    /// Silence after which a socket is dead and its person gone. Default 15 s: trust P6.
    pub dead_after: Duration,
    /// How long a person whose line broke keeps their place. Default 5 s: a reload takes less.
    pub grace: Duration,
    /// How long after the grace a person who comes back is no news. Default 115 s, so that
    /// both are the 120 s of trust P4.
    pub away: Duration,
    /// How long a poll waits for something to answer. Default 10 s: shorter than any proxy's
    /// patience, and enough below `dead_after` that the next poll is in time.
    pub poll_wait: Duration,
    /// Within which a socket joins or watches. Default 15 s.
    pub first_message_within: Duration,
    /// For the whole head of a request, and for the next request of a kept connection.
    /// Default 20 s: a browser sends its head in one piece.
    pub head_within: Duration,
    /// Silence inside a request's body after which it is given up. Default 10 s.
    pub body_within: Duration,
    /// Between two lists of open rooms. Default 250 ms.
    pub summaries_every: Duration,
    /// For telling a socket why it is closed. Default 2 s.
    pub close_within: Duration,
    /// How long a call is small enough before it goes browser to browser again. Default 5 s:
    /// somebody who reloads is back by then.
    pub move_back_after: Duration,
    /// Between two sweeps of messages that are not to be kept. Default 1 h.
    pub sweep_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(5),
            dead_after: Duration::from_secs(15),
            grace: Duration::from_secs(5),
            away: Duration::from_secs(115),
            poll_wait: Duration::from_secs(10),
            first_message_within: Duration::from_secs(15),
            head_within: Duration::from_secs(20),
            body_within: Duration::from_secs(10),
            summaries_every: Duration::from_millis(250),
            close_within: Duration::from_secs(2),
            move_back_after: Duration::from_secs(5),
            sweep_every: Duration::from_secs(60 * 60),
        }
    }
}
