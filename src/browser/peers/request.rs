//! What the room asks of the transfers.

use crate::browser::dom::files::Bytes;
use crate::protocol::{ClientMessage, ErrorCode, IceServer, ParticipantId, ServerMessage, Signal};
use crate::state::RoomState;
use crate::state::call::CallState;
use crate::state::transfers::{Target, Transfers};
use leptos::prelude::RwSignal;
use reactive_stores::Store;
use std::rc::Rc;

/// What the transfers share with the room.
#[derive(Clone)]
pub struct Parts {
    /// The room as this participant sees it.
    pub room: Store<RoomState>,
    /// The call as this participant sees it.
    pub call: Store<CallState>,
    /// What the page shows of the transfers.
    pub shown: RwSignal<Transfers>,
    /// Sends a message to the server.
    pub send: Rc<dyn Fn(ClientMessage)>,
}

/// Handles what the room asks, once the module is loaded.
pub type Handler = Rc<dyn Fn(Request)>;

/// What the room asks.
pub enum Request {
    /// Be ready: somebody is about to choose files.
    Prepare,
    /// Offer files to others.
    Offer(Target, Vec<Bytes>),
    /// Accept an offer. On a press: the browser may ask where to save the file.
    Accept(u32),
    /// Refuse an offer, or cancel a transfer.
    Cancel(u32),
    /// Take a row that has ended out of the list.
    Dismiss(u32),
    /// End everything: the participant leaves the room.
    Stop,
    /// A signal of another participant arrived.
    Signal(ParticipantId, Signal),
    /// The ICE servers arrived; `true` if the operator hides all addresses.
    IceServers(Vec<IceServer>, bool),
    /// The room is joined, or joined again; these participants are in it.
    Joined(Vec<ParticipantId>),
    /// A participant has left for good.
    Gone(ParticipantId),
    /// The server refused a message for its rate.
    Refused,
}

impl Request {
    /// What a message of the server asks; `None` if it does not concern transfers.
    pub fn of(message: &ServerMessage) -> Option<Self> {
        if let ServerMessage::Signal {
            from,
            leg: None,
            signal,
        } = message
        {
            Some(Self::Signal(from.clone(), signal.clone()))
        } else if let ServerMessage::IceServers {
            ice_servers,
            relay_only,
        } = message
        {
            Some(Self::IceServers(ice_servers.clone(), *relay_only))
        } else if let ServerMessage::Left {
            person,
            away: false,
            ..
        }
        | ServerMessage::Gone { person } = message
        {
            Some(Self::Gone(person.id.clone()))
        } else if let ServerMessage::Joined(joined) = message {
            let here = joined.people.iter().map(|person| person.id.clone());
            Some(Self::Joined(here.collect()))
        } else if let ServerMessage::Error {
            code: ErrorCode::TooManyMessages | ErrorCode::Busy,
            id: None,
            ..
        } = message
        {
            Some(Self::Refused)
        } else {
            None
        }
    }

    /// Whether the module is loaded for the request. Everything else means nothing to transfers that
    /// do not exist.
    pub fn begins(&self) -> bool {
        match self {
            Self::Prepare | Self::Offer(..) => true,
            Self::Signal(_, signal) => matches!(signal, Signal::Offer { .. }),
            Self::Accept(_)
            | Self::Cancel(_)
            | Self::Dismiss(_)
            | Self::Stop
            | Self::IceServers(..)
            | Self::Joined(_)
            | Self::Gone(_)
            | Self::Refused => false,
        }
    }

    /// Whether others cause the request, as often as they like.
    pub fn is_by_others(&self) -> bool {
        match self {
            Self::Signal(..) | Self::Gone(_) | Self::Joined(_) | Self::Refused => true,
            Self::Prepare
            | Self::Offer(..)
            | Self::Accept(_)
            | Self::Cancel(_)
            | Self::Dismiss(_)
            | Self::Stop
            | Self::IceServers(..) => false,
        }
    }
}
