//! The peer connections of one call: one to each participant, or one to the SFU, or both
//! during a migration.

use crate::browser::call::context::Context;
use crate::browser::call::p2p::P2pConnection;
use crate::browser::call::sfu::SfuConnection;
use crate::protocol::ParticipantId;
use crate::state::negotiation::Event;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use web_sys::RtcPeerConnection;

/// The open connections. Dropping one closes it.
pub struct Connections {
    /// The context that the connections share.
    pub context: Rc<Context>,
    /// Connections browser to browser, by remote participant.
    pub peers: RefCell<HashMap<ParticipantId, Rc<P2pConnection>>>,
    /// The connection to the SFU.
    pub sfu: RefCell<Option<Rc<SfuConnection>>>,
}

impl Connections {
    /// No connection yet.
    pub fn new(context: Rc<Context>) -> Rc<Self> {
        Rc::new(Self {
            context,
            peers: RefCell::default(),
            sfu: RefCell::default(),
        })
    }

    /// The connection to a participant.
    pub fn peer(&self, id: &ParticipantId) -> Option<Rc<P2pConnection>> {
        self.peers.borrow().get(id).cloned()
    }

    /// Closes the connection to a participant.
    pub fn close_peer(&self, id: &ParticipantId) {
        let closed = self.peers.borrow_mut().remove(id);
        drop(closed);
    }

    /// Calls `action` with the connection to the SFU, if it is open.
    pub fn with_sfu(&self, action: impl FnOnce(&SfuConnection)) {
        let sfu = self.sfu.borrow().clone();
        if let Some(sfu) = sfu {
            action(&sfu);
        }
    }

    /// Passes an event to every negotiation.
    pub fn handle_all(&self, event: &Event) {
        let peers: Vec<_> = self.peers.borrow().values().cloned().collect();
        peers.iter().for_each(|peer| peer.handle(event.clone()));
        self.with_sfu(|sfu| sfu.handle(event.clone()));
    }

    /// Plays what the server lists as on, and nothing else, of every connection browser to browser.
    pub fn follow_devices(&self) {
        let peers: Vec<_> = self.peers.borrow().values().cloned().collect();
        peers.iter().for_each(|peer| peer.follow_devices());
    }

    /// Every `RTCPeerConnection`, the SFU's first.
    pub fn all(&self) -> Vec<RtcPeerConnection> {
        let sfu = self.sfu.borrow().as_ref().and_then(|sfu| sfu.pc());
        let peers = self.peers.borrow();
        let peers = peers.values().filter_map(|peer| peer.pc());
        sfu.into_iter().chain(peers).collect()
    }

    /// Closes every connection.
    pub fn close_all(&self) {
        self.peers.borrow_mut().clear();
        let sfu = self.sfu.borrow_mut().take();
        drop(sfu);
    }
}
