//! The context that the parts of one call share.

use crate::browser::call::media::Media;
use crate::protocol::{ClientMessage, IceServer, Leg, Mode};
use crate::state::call::{CallState, CallStateStoreFields};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The state of the call, the connection to the server and the local media.
pub struct Context {
    /// The call as this participant sees it.
    pub state: Store<CallState>,
    /// Sends a message on the room's connection.
    pub send: Rc<dyn Fn(ClientMessage)>,
    /// The local devices.
    pub media: Rc<Media>,
    /// ICE servers for the next gathering.
    pub ice_servers: RefCell<Vec<IceServer>>,
    /// The leg of this participant; `None` outside the call.
    pub leg: Cell<Option<Leg>>,
    /// Whether the room's connection has joined.
    pub live: Cell<bool>,
}

impl Context {
    /// A context outside the call, before the room is joined.
    pub fn new(state: Store<CallState>, send: Rc<dyn Fn(ClientMessage)>) -> Rc<Self> {
        Rc::new(Self {
            state,
            media: Media::new(state, send.clone()),
            send,
            ice_servers: RefCell::default(),
            leg: Cell::new(None),
            live: Cell::new(false),
        })
    }

    /// The current topology of the call's media.
    pub fn mode(&self) -> Mode {
        self.state.mode().get_untracked()
    }

    /// Sends `enter_call` if the room is joined. Idempotent: with the same leg it only renews the
    /// TURN credentials.
    pub fn send_enter_call(&self) {
        if let Some(leg) = self.leg.get()
            && self.live.get()
        {
            let devices = self.state.devices().get_untracked();
            let hide_address = self.state.hide_address().get_untracked();
            (self.send)(ClientMessage::EnterCall {
                leg,
                devices,
                hide_address,
            });
        }
    }
}
