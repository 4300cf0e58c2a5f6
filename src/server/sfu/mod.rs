//! The SFU: passes each person's media on to the others, without decoding any of it.
//!
//! * [`handle`] is how the rest of the server talks to it, [`command`] what is said.
//! * [`shard`] is the thread with its sockets, its clock, its peers and its rooms.
//! * The path of a packet: [`shard`]`::worker` -> [`ingress`]`::demux` -> [`peer`] -> [`forward`]`::packet` ->
//!   [`subscribe`]`::down_track` -> [`forward`]`::munger` -> [`transport`].
//! * Beside it: [`publish`] the tracks of a sender, [`codec`] what passes through, [`speakers`] who is heard,
//!   [`bwe`] what the network path to a peer carries.
//!
//! A room is pinned to a shard and never leaves it. The room's actor and the shard exchange
//! commands and events; the actor never sees a packet. Losing the socket of a room does not
//! touch the media; a bug in one connection ends that connection alone.

mod bwe;
mod codec;
mod command;
mod forward;
mod handle;
mod ingress;
mod peer;
mod publish;
mod shard;
mod speakers;
mod subscribe;
#[cfg(test)]
mod testing;
mod transport;

pub use command::{Command, Event, PeerKey};
pub use handle::{MediaHandle, RelayPath, Sfu, SfuError, SfuOptions};
pub use peer::sdp::offer::Offer;

/// A room in the SFU; counted up by the process, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomKey(u64);
