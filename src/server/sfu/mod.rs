//! The SFU: forwards the media of each participant to the others, without decoding it.
//!
//! [`handle`] is its interface, [`command`] the commands and events of a room, [`report`] what the
//! operator sees of a connection. A room is pinned to
//! a [`shard`]: one thread with one media port. The room's actor and the shard exchange commands
//! and events; the actor never sees a packet. A lost WebSocket does not touch the media; a panic
//! in one connection closes that connection alone.
//!
//! # The path of a packet
//!
//! 1. `shard/worker` receives a batch of datagrams from [`transport`];
//! 2. [`ingress`]`/demux` finds the peer, and the limits beside it admit the datagram;
//! 3. [`peer`] holds the connection of str0m, which decrypts it;
//! 4. [`forward`]`/packet` parses the payload once for all receivers, with [`codec`];
//!    [`publish`] finds its track and layer, and drops it where a host muted its source;
//!    [`speakers`] hears its audio level;
//! 5. [`subscribe`]`/down_track` of each subscriber accepts it or not, from a keyframe on;
//! 6. [`forward`]`/munger` gives it the numbers of the outgoing stream;
//! 7. [`transport`] sends what str0m encrypts.
//!
//! Beside the path, [`bwe`] estimates what each receiver's network path carries, and
//! [`subscribe`]`/allocator` divides it among video. Only [`shard`] knows all of them: the other
//! folders export types and pure functions, and import each other without circles.

mod bwe;
mod codec;
mod command;
mod forward;
mod handle;
mod ingress;
mod keys;
mod peer;
mod publish;
mod report;
mod shard;
mod speakers;
mod subscribe;
#[cfg(test)]
mod testing;
mod transport;

pub use command::{Command, Event};
pub use handle::{MediaHandle, Sfu, SfuError, SfuOptions};
pub use keys::PeerKey;
pub use peer::sdp::offer::Offer;
pub use publish::muted::MutedSources;
pub use report::{ConnectionReport, SentTrack};
#[cfg(test)]
pub use shard::message::ShardMessage;
pub use transport::relay::RelayPath;
