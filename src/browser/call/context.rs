//! What every part of one call shares.

use crate::browser::call::media::Media;
use crate::protocol::{ClientMessage, IceServer, Leg, Mode};
use crate::state::call::{CallState, CallStateStoreFields};
use leptos::prelude::*;
use reactive_stores::Store;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The state of the call, the way to the server and this person's own media.
pub struct Context {
    /// The call as this person sees it.
    pub state: Store<CallState>,
    /// Sends a message by the room's connection.
    pub send: Rc<dyn Fn(ClientMessage)>,
    /// This person's own devices.
    pub media: Rc<Media>,
    /// ICE servers for the next gathering.
    pub ice_servers: RefCell<Vec<IceServer>>,
    /// The number of this stay in the call; none while outside.
    pub leg: Cell<Option<Leg>>,
    /// Whether the room's connection has joined.
    pub live: Cell<bool>,
}

impl Context {
    /// Outside the call, before the room is joined.
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

    /// How media travels at the moment.
    pub fn mode(&self) -> Mode {
        self.state.mode().get_untracked()
    }

    /// Sends `enter_call` once the room is joined. Idempotent: with the leg of this stay it
    /// brings fresh TURN credentials and changes nothing else.
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
