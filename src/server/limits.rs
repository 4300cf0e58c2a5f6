//! Limits of rooms and connections: durations, counts and sizes.
//!
//! Settings of the operator are in [`super::config`], durations that tests shorten in [`Timing`]. A
//! constant that belongs to one module is at the top of that module.

use std::time::Duration;

/// Frames queued for a socket that does not read, beyond which it is closed as too slow.
pub const OUTBOX_FRAMES: usize = 256;
/// Frames queued for a socket that reads, beyond which it is closed as too slow. 4096: more than a
/// hundred members produce at once within their rate limits.
pub const READER_FRAMES: usize = 4096;
/// Bytes queued for a socket that reads, beyond which it is closed as too slow. 4 MiB, for the same
/// reason. The sockets of a room share the bytes of a broadcast, so the memory is per room.
pub const READER_BYTES: usize = 4 * 1024 * 1024;
/// A socket counts as one that reads if it took a frame within this time.
pub const READER_ACTIVE_WITHIN: Duration = Duration::from_secs(2);
/// Frames queued for a socket beyond which signals of other participants are refused.
pub const RELAYED_FRAMES: usize = 128;
/// Bytes queued for a socket beyond which signals of other participants are refused.
pub const RELAYED_BYTES: usize = 256 * 1024;
/// Bytes queued for a socket that does not read, beyond which it is closed as too slow.
pub const OUTBOX_BYTES: usize = 1024 * 1024;
/// Sockets of the process. 20 000 of about 30 KiB each stay under 1 GiB.
pub const MAX_SOCKETS: usize = 20_000;
/// Sockets of [`MAX_SOCKETS`] that may be long-polling connections. Each occupies one or two TCP
/// connections with its requests; half of the default `--max-connections` remains for other
/// clients.
pub const MAX_POLLS: usize = 1_000;
/// Bytes of a poll response after which no frame is added; the last frame may exceed it. 64 KiB: a
/// slow network carries it well within [`Timing::dead_after`].
pub const ANSWER_BYTES: usize = 64 * 1024;
/// TCP connections beyond `--max-connections` that are served only `/healthz`, `/readyz` and
/// upgrades. The next one replaces the oldest. 200: each lasts milliseconds.
pub const RESERVED_CONNECTIONS: usize = 200;
/// Reserved connections of one address (IPv6: one /64; a /48 has four times as many). 8: two probes
/// and some clients behind one address, each for milliseconds. The next one is closed at once.
pub const RESERVED_PER_ADDRESS: usize = 8;
/// Lowest rate at which a client must read a waiting response, in bytes per second.
pub const MIN_ANSWER_RATE: u32 = 1024;
/// Bytes of a request's head, cookies included; a longer one is answered with 431.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Broadcasts to a room that are sent at once, without waiting for others to coalesce with.
pub const BROADCAST_BURST: f64 = 8.0;
/// Messages per second beyond which the broadcasts of a room are delayed. 200: faster than people
/// can read.
pub const CROWDED_RATE: f64 = 200.0;
/// How long a broadcast beyond [`CROWDED_RATE`] waits to coalesce with others. 30 ms:
/// imperceptible.
pub const CROWDED_DELAY: Duration = Duration::from_millis(30);
/// Bytes of broadcasts that are sent without waiting for more. 16 KiB: a small part of a socket's
/// queue.
pub const BROADCAST_BATCH_BYTES: usize = 16 * 1024;
/// How long a reaction waits to coalesce with others, unless another broadcast comes first. 250 ms:
/// people do not notice the delay of a reaction.
pub const REACTION_DELAY: Duration = Duration::from_millis(250);
/// Messages queued for the task of one room; a sender waits when the queue is full.
pub const ROOM_MAILBOX: usize = 1024;
/// Messages of one room that wait to be stored; further ones are refused.
pub const ROOM_PENDING: usize = 256;
/// Messages of all rooms that wait to be stored; further ones are refused.
pub const WRITER_QUEUE: usize = 4096;
/// Rows in one commit. 64: the commit takes a few milliseconds.
pub const GROUP_ROWS: usize = 64;
/// Read connections of the store. 4: reads are short, and four of them keep two cores busy.
pub const READERS: usize = 4;
/// Read connections that only searches use. 2: one long search does not delay the next one, and a
/// machine with two cores keeps time for everything else.
pub const SEARCHERS: usize = 2;
/// Searches that wait for one of the [`SEARCHERS`]; the next one is refused.
pub const SEARCH_QUEUE: usize = 64;
/// How long a search waits for one of the [`SEARCHERS`] before it is refused.
pub const SEARCH_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a request's body. The largest form holds one message of 4000 characters.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Requests that send the bytes of files at once. 128: each holds 128 KiB.
pub const MAX_UPLOADING: usize = 128;
/// Of these, requests of one address. 16: a class in which some people send pictures.
pub const MAX_UPLOADING_OF_ADDRESS: usize = 16;
/// Exports of rooms at once. 16: each holds one page of messages, at most 4 MiB.
pub const MAX_EXPORTING: usize = 16;
/// Of these, exports of one address. 4: some people of a class at its end.
pub const MAX_EXPORTING_OF_ADDRESS: usize = 4;
/// Messages that an export reads at once. 50: a page with the longest texts has 800 KB.
pub const EXPORT_PAGE: u32 = 50;
/// Messages that an export for a participant keeps for quotes above replies. 1,000: at most 1 MiB.
pub const EXPORT_QUOTES: usize = 1_000;
/// Malformed messages after which the socket is closed with 4400.
pub const MAX_PROTOCOL_ERRORS: u32 = 50;
/// Time without acknowledgement of sent data after which the kernel closes a TCP connection. 15 s,
/// as [`Timing::dead_after`].
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// ICE-TCP connections of one shard; the next one is closed.
pub const MEDIA_TCP_STREAMS: usize = 2_000;
/// ICE-TCP connections of one shard from one address. 128: all clients behind the firewall of a
/// company.
pub const MEDIA_TCP_STREAMS_OF_ADDRESS: usize = 128;
/// Bytes queued for one ICE-TCP connection; packets beyond are dropped, as a network would. 256
/// KiB: a second of 2 Mbit/s.
pub const MEDIA_TCP_QUEUE_BYTES: usize = 256 * 1024;
/// Longest duration of a graceful stop. 8 s: process managers kill after 10 s.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// Parameters of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens added per second.
    pub per_second: u32,
    /// Capacity of the bucket, in tokens.
    pub burst: u32,
}

/// Chat messages of one socket (`docs/protocol.md`).
pub const CHAT_RATE: Rate = Rate {
    per_second: 5,
    burst: 40,
};
/// Other requests of one socket: join, nickname, history, reactions, typing, the list of rooms.
pub const REQUEST_RATE: Rate = Rate {
    per_second: 5,
    burst: 20,
};
/// Call messages of one socket. Joining a mesh call of 8 with trickle ICE sends about 7 × 20 at
/// once.
pub const SIGNAL_RATE: Rate = Rate {
    per_second: 50,
    burst: 300,
};
/// Offers to the SFU of one socket. Its media thread parses and answers each.
pub const OFFER_RATE: Rate = Rate {
    per_second: 2,
    burst: 20,
};
/// Frames of any kind of one socket; a socket that sends more is closed.
pub const FRAME_RATE: Rate = Rate {
    per_second: 200,
    burst: 600,
};
/// Bytes of the frames of one socket; beyond it the server reads the socket more slowly, which
/// delays only its owner. 2 MiB at once: forty of the longest messages, or the offers of a large
/// call, twice.
pub const FRAME_BYTES_RATE: Rate = Rate {
    per_second: 256 * 1024,
    burst: 2 * 1024 * 1024,
};
/// Messages posted by forms without script into one room, by all clients together.
pub const POST_RATE: Rate = Rate {
    per_second: 20,
    burst: 100,
};

/// Bytes of broadcasts that one member may cause. At once 656 KiB: forty messages of the longest
/// text with their envelopes; per second 82 KiB: five of them.
pub const MEMBER_BROADCAST_BYTES: Rate = Rate {
    per_second: 82 * 1024,
    burst: 656 * 1024,
};
/// Bytes of chat broadcasts that all members of a room of [`ROOM_RATE_PEOPLE`] may cause together.
/// Per second: half of what a downlink of 8 Mbit/s carries. At once: less than a queue of
/// [`OUTBOX_BYTES`] holds. Larger rooms have proportionally more.
pub const ROOM_BROADCAST_BYTES: Rate = Rate {
    per_second: 512 * 1024,
    burst: 720 * 1024,
};
/// Size of the room that [`ROOM_BROADCAST_BYTES`] and [`ROOM_OFFERS`] apply to. 100: the default
/// capacity of rooms and of calls.
pub const ROOM_RATE_PEOPLE: usize = 100;
/// Part of the burst of [`ROOM_BROADCAST_BYTES`] that only members below [`QUIET_MEMBER_BYTES`] may
/// use, so that a few busy members do not silence the others.
pub const ROOM_RESERVE_BYTES: usize = 64 * 1024;
/// Bytes up to which a member may use [`ROOM_RESERVE_BYTES`].
pub const QUIET_MEMBER_BYTES: Rate = Rate {
    per_second: 2 * 1024,
    burst: 16 * 1024,
};
/// Bytes of a message beside its text: ids, names, times.
pub const ENVELOPE_BYTES: usize = 384;
/// Bytes of a file of a message as JSON: two names of 255 bytes, one of them percent-encoded, and the
/// rest.
pub const ATTACHMENT_BYTES: usize = 1536;
/// Bytes of the mark of a mention as JSON.
pub const MENTION_BYTES: usize = 64;
/// Bytes of the reactions of one message, which the broadcast of an edit repeats: 200 reactions.
pub const REACTIONS_BYTES: usize = 24 * 1024;
/// Broadcast changes of one member: nickname, devices, entering the call. More are refused; no user
/// is faster by hand.
pub const ANNOUNCE_RATE: Rate = Rate {
    per_second: 5,
    burst: 20,
};
/// Bytes of signals from one participant of a call to all others together.
pub const SIGNAL_BYTES: Rate = Rate {
    per_second: 64 * 1024,
    burst: 256 * 1024,
};
/// Bytes of signals at once per participant of a mesh, where that exceeds the burst of
/// [`SIGNAL_BYTES`]: an offer of 8 KB and twenty candidates of 300 bytes.
pub const SIGNAL_BYTES_PER_PERSON: u32 = 16 * 1024;
/// Bytes of signals from one participant to one other: two of the longest descriptions at once.
pub const PAIR_BYTES: Rate = Rate {
    per_second: 16 * 1024,
    burst: 112 * 1024,
};
/// Descriptions from one participant to one other without an answer. 3: a first offer, its
/// repetition after a reconnect, and an ICE restart.
pub const PAIR_DESCRIPTIONS: u32 = 3;
/// Time after which an unanswered description counts as lost and is not counted any more.
pub const PAIR_DESCRIPTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Offers of one participant to the SFU over all their sockets: a first one, more slots as others
/// join, and ICE restarts.
pub const PERSON_OFFERS: Rate = Rate {
    per_second: 1,
    burst: 12,
};
/// Offers of all participants of a call of [`ROOM_RATE_PEOPLE`]; larger calls have proportionally
/// more. At once two of each participant, because all migrate to the SFU together.
pub const ROOM_OFFERS: Rate = Rate {
    per_second: 20,
    burst: 200,
};
/// Minimum interval between two updates of one participant's subscriptions at the SFU. 100 ms:
/// changes in between are sent together.
pub const SUBSCRIBE_INTERVAL: Duration = Duration::from_millis(100);

/// Durations that tests shorten; the server uses [`Timing::default`].
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Interval between two WebSocket pings. Default 5 s.
    pub ping_interval: Duration,
    /// Silence after which a socket is dead and its participant leaves. Default 15 s: three pings.
    pub dead_after: Duration,
    /// How long a disconnected participant stays a member. Default 5 s: a reload takes less.
    pub grace: Duration,
    /// How long after the grace period a return is not announced. Default 115 s, so that both are
    /// 120 s.
    pub away: Duration,
    /// How long an empty room waits for the client that created it. Default 10 s.
    pub empty_room_timeout: Duration,
    /// How long a poll waits for a frame. Default 10 s: shorter than the timeout of any proxy, and
    /// enough below `dead_after` that the next poll is in time.
    pub poll_timeout: Duration,
    /// Time within which a new socket must join a room or watch rooms. Default 15 s.
    pub first_message_timeout: Duration,
    /// Time for the whole head of a request, and for the next request of a kept-alive connection.
    /// Default 10 s: a browser sends its head in one piece.
    pub head_timeout: Duration,
    /// Time for the whole head on one of the [`RESERVED_CONNECTIONS`]. Default 3 s: a probe sends
    /// its head at once.
    pub reserved_head_timeout: Duration,
    /// Time for the whole body of a request. Default 30 s: 64 KiB at 17 kbit/s.
    pub body_timeout: Duration,
    /// How long a response may wait for a client that reads nothing, or reads more slowly than
    /// [`MIN_ANSWER_RATE`]. Default 30 s.
    pub write_timeout: Duration,
    /// Interval between two broadcasts of the list of open rooms. Default 1 s.
    pub summaries_interval: Duration,
    /// Time to render a page with its data. Default 15 s: browsers wait longer, users do not.
    pub render_timeout: Duration,
    /// Time to send a socket its close frame. Default 2 s.
    pub close_timeout: Duration,
    /// How long a call must stay small before it returns from the SFU to a mesh. Default 5 s: a
    /// participant who reloads is back by then.
    pub move_back_after: Duration,
    /// Interval between two sweeps of messages past their retention. Default 1 h.
    pub sweep_interval: Duration,
    /// Interval between two looks for rooms without messages. Default 1 min.
    pub forget_interval: Duration,
    /// Interval between two checks of the store for `/readyz`. Default 1 s: each writes to the
    /// disk.
    pub probe_interval: Duration,
    /// Interval between two looks whether there is an operator. Default 5 s.
    pub operator_interval: Duration,
    /// How long the one-time link to become the operator works. Default 15 min.
    pub setup_link: Duration,
    /// How long an upload is kept after its last bytes, until a message has it. Default 1 h.
    pub upload_lasts: Duration,
    /// How long a request that uploads may send nothing. Default 30 s.
    pub upload_stall: Duration,
    /// Longest duration of an export. Default 10 min: 1 GiB at 15 Mbit/s.
    pub export_lasts: Duration,
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
            render_timeout: Duration::from_secs(15),
            summaries_interval: Duration::from_secs(1),
            close_timeout: Duration::from_secs(2),
            move_back_after: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(60 * 60),
            forget_interval: Duration::from_secs(60),
            probe_interval: Duration::from_secs(1),
            operator_interval: Duration::from_secs(5),
            setup_link: Duration::from_secs(15 * 60),
            upload_lasts: Duration::from_secs(60 * 60),
            upload_stall: Duration::from_secs(30),
            export_lasts: Duration::from_secs(10 * 60),
        }
    }
}
