//! Commands of a room to the SFU, and events of the SFU to a room. Packets never leave the SFU.

use crate::protocol::{Codec, ParticipantId, PersonQuality, Slot, Source, Speaker, Wanted};
use crate::server::sfu::{keys::PeerKey, peer::sdp::offer::Offer, publish::muted::MutedSources};

/// A command of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An offer. The first one of a connection adds the peer.
    Offer {
        /// The key of the peer in its room.
        peer: PeerKey,
        /// The participant of the peer.
        person: ParticipantId,
        /// The parsed offer.
        offer: Offer,
    },
    /// Replaces the subscriptions of a peer.
    Subscribe {
        /// The peer that receives the subscriptions.
        peer: PeerKey,
        /// The video on its screen; [`crate::protocol::MAX_WANTED`] at most.
        wanted: Vec<Wanted>,
    },
    /// Replaces the set of a peer's sources that a host muted: their packets reach nobody. The set
    /// lasts as long as the peer; for a peer without an offer the command has no effect.
    SetMuted {
        /// The peer that sends the sources.
        peer: PeerKey,
        /// The sources to drop; every other source is forwarded.
        sources: MutedSources,
    },
    /// Sends the whole state of a peer again: its client may have missed events.
    Resync {
        /// The peer whose client is behind.
        peer: PeerKey,
    },
    /// Closes the connection of a peer.
    Close {
        /// The peer whose connection ends.
        peer: PeerKey,
    },
}

impl Command {
    /// The peer that the command is about.
    pub fn peer(&self) -> PeerKey {
        match self {
            Self::Offer { peer, .. }
            | Self::Subscribe { peer, .. }
            | Self::SetMuted { peer, .. }
            | Self::Resync { peer }
            | Self::Close { peer } => *peer,
        }
    }
}

/// An event for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to an offer.
    Answer {
        /// The peer that offered.
        peer: PeerKey,
        /// The number of its connection.
        connection: u32,
        /// The offer that is answered.
        offer_id: u32,
        /// The SDP of the answer.
        sdp: String,
    },
    /// An offer could not be answered; the peer is removed.
    Refused {
        /// The peer that offered and is removed.
        peer: PeerKey,
    },
    /// A connection ended: it failed, fell silent, or never connected.
    Closed {
        /// The peer whose connection ended.
        peer: PeerKey,
    },
    /// What some slots carry from now on.
    Slots {
        /// The receiving peer.
        peer: PeerKey,
        /// The slots that changed.
        slots: Vec<Slot>,
    },
    /// Which simulcast layers of a source are watched.
    Layers {
        /// The sending peer.
        peer: PeerKey,
        /// The source that the layers belong to.
        source: Source,
        /// The RIDs of the watched layers.
        rids: Vec<String>,
    },
    /// The codec to send a source in.
    Codec {
        /// The sending peer.
        peer: PeerKey,
        /// The source that is encoded.
        source: Source,
        /// The codec that every receiver decodes.
        codec: Codec,
    },
    /// The audible speakers, for every client.
    Speakers {
        /// The speakers, the loudest first.
        loudest: Vec<Speaker>,
        /// The dominant speaker.
        dominant: Option<ParticipantId>,
    },
    /// Qualities of connections, for every client.
    Qualities {
        /// The participants whose quality changed.
        people: Vec<PersonQuality>,
    },
}
