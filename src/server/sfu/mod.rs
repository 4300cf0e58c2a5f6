//! The SFU: passes each person's media on to the others, without decoding any of it.
//!
//! * [`handle`] how the rest of the server talks to it; [`command`] what is said.
//! * [`offer`] what is offered, read before it comes here, [`offer_queue`] whose turn it is.
//! * [`shard`] a thread, a port, a clock: the shell; [`udp`] and [`tcp`] its sockets.
//! * [`core`] the thinking: peers and rooms, told the time. [`peer`] one connection,
//!   [`track`] what somebody sends, [`slot`] what somebody gets; [`admission`] who comes and goes, [`forward`] the path of a
//!   packet, [`bind`] who gets what, [`screens`] in which codec, [`tick`] what happens by the clock, [`demux`] whose
//!   datagram it is, [`timers`] who wants to be woken.
//! * Pure and small: [`codecs`] what passes through, [`rewrite`] one stream over many
//!   sources, [`vp9`] its numbers in a payload, [`capture`] when it was taken, [`keyframes`] when to ask
//!   for one, [`layers`] how much comes, [`estimate`], [`line`], [`distance`] and [`narrow`] what a line carries,
//!   [`resend`] how long it can be sent again, [`allocator`] how a line is shared out,
//!   [`speakers`] who is heard, [`lossy`] whether a line loses packets, [`red`] sound that is sent twice, [`msid`] and [`places`] what
//!   is played in step, [`flood`], [`newcomers`] and [`transport_seq`] what one peer may not do.
//!
//! A room is pinned to a shard and never leaves it. The room's actor and the shard exchange
//! commands and events; the actor never sees a packet. Losing the socket of a room does not
//! touch the media; a bug in one connection ends that connection alone.

mod admission;
mod allocator;
mod arrivals;
mod bind;
mod capture;
mod ceiling;
mod codecs;
mod command;
mod core;
mod demux;
mod distance;
#[cfg(test)]
mod doubles;
mod estimate;
mod flood;
#[cfg(test)]
mod forged_tests;
#[cfg(test)]
mod forger;
mod forward;
mod gather;
mod handle;
mod keyframes;
mod layers;
mod line;
mod lossy;
mod mail;
mod measure;
mod media_room;
mod msid;
mod narrow;
mod newcomers;
mod offer;
mod offer_queue;
#[cfg(test)]
mod offer_tests;
mod packet;
mod peer;
mod places;
mod red;
mod resend;
mod rewrite;
mod screens;
mod shard;
mod slot;
mod speakers;
mod tcp;
mod tick;
mod timers;
mod track;
mod transport_seq;
mod udp;
mod vp9;
mod way;

pub use command::{Command, Event, PeerKey};
pub use handle::{MediaHandle, RelayPath, Sfu, SfuError, SfuOptions};
pub use offer::Offer;

/// A room in the SFU; counted up by the process, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomKey(u64);
