//! What a room tells the SFU and what it hears back: commands and events, never a packet.

use crate::protocol::{Codec, ParticipantId, PersonQuality, Slot, Source, Speaker, Wanted};
use crate::server::sfu::peer::sdp::offer::Offer;

/// One person's place in the media of one room; counted up by the room, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

/// What a room tells the SFU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Somebody offers their connection; the first offer makes it.
    Offer {
        /// Which place.
        peer: PeerKey,
        /// Whose.
        person: ParticipantId,
        /// What.
        offer: Offer,
    },
    /// What somebody has on their screen.
    Subscribe {
        /// Which place.
        peer: PeerKey,
        /// What.
        wanted: Vec<Wanted>,
    },
    /// Somebody may have missed what their slots carry: tell all of it again.
    Resync {
        /// Which place.
        peer: PeerKey,
    },
    /// Somebody's connection is not wanted any more.
    Close {
        /// Which place.
        peer: PeerKey,
    },
}

/// What the SFU tells a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to an offer.
    Answer {
        /// Which place.
        peer: PeerKey,
        /// Which connection.
        connection: u32,
        /// Which offer of it.
        offer_id: u32,
        /// The description.
        sdp: String,
    },
    /// An offer that makes no sense; the connection is as it was, or was never made.
    Refused {
        /// Which place.
        peer: PeerKey,
    },
    /// A connection is over: it broke, was never completed, or failed.
    Closed {
        /// Which place.
        peer: PeerKey,
    },
    /// What some slots carry from now on.
    Slots {
        /// Whose.
        peer: PeerKey,
        /// Which, and what.
        slots: Vec<Slot>,
    },
    /// Which layers of somebody's pictures are watched.
    Layers {
        /// Whose source.
        peer: PeerKey,
        /// Which source.
        source: Source,
        /// Its watched layers.
        rids: Vec<String>,
    },
    /// In which codec a source is to be sent.
    Codec {
        /// Whose source.
        peer: PeerKey,
        /// Which source.
        source: Source,
        /// The codec.
        codec: Codec,
    },
    /// Who is heard, for everybody.
    Speakers {
        /// Loudest first.
        loudest: Vec<Speaker>,
        /// Who has the floor.
        dominant: Option<ParticipantId>,
    },
    /// Whose connection is better or worse now, for everybody.
    Qualities {
        /// Who.
        people: Vec<PersonQuality>,
    },
}
