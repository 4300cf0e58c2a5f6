//! What the room holds of the transfers: loads their module at the first request that needs it.

use super::controller::start;
use super::request::{Handler, Parts, Request};
use crate::browser::dom::files::Bytes;
use crate::protocol::ServerMessage;
use crate::state::transfers::Target;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::SplitLoaderError;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// Most requests by others that wait for the module. 256: the offers and candidates of a dozen
/// participants. What is lost comes again with the next attempt to connect.
const MAX_WAITING: usize = 256;

/// The transfers of one tab, loaded or not.
pub struct PeersEntry {
    me: Weak<Self>,
    parts: Parts,
    stage: RefCell<Stage>,
}

/// How far the module is loaded.
enum Stage {
    /// It is not needed yet, or did not load.
    Idle,
    /// It is being loaded. Queues the requests made until then.
    Loading(Vec<Request>),
    /// It runs, and takes requests.
    Running(Handler),
    /// The participant has left the room.
    Stopped,
}

impl PeersEntry {
    /// The transfers of a room, not loaded.
    pub fn new(parts: Parts) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            parts,
            stage: RefCell::new(Stage::Idle),
        })
    }

    /// Handles a message of the server.
    pub fn on_message(&self, message: &ServerMessage) {
        if let Some(request) = Request::of(message) {
            self.ask(request);
        }
    }

    /// Loads the module: somebody is about to choose files.
    pub fn prepare(&self) {
        self.ask(Request::Prepare);
    }

    /// Offers files to others.
    pub fn offer(&self, target: Target, files: Vec<Bytes>) {
        self.ask(Request::Offer(target, files));
    }

    /// Accepts an offer. On a press: the browser may ask where to save the file.
    pub fn accept_file(&self, row: u32) {
        self.ask(Request::Accept(row));
    }

    /// Refuses an offer, or cancels a transfer.
    pub fn cancel_transfer(&self, row: u32) {
        self.ask(Request::Cancel(row));
    }

    /// Takes a row that has ended out of the list.
    pub fn dismiss_transfer(&self, row: u32) {
        self.ask(Request::Dismiss(row));
    }

    /// Ends everything: the participant leaves the room.
    pub fn stop(&self) {
        let before = self.stage.replace(Stage::Stopped);
        if let Stage::Running(handler) = before {
            handler(Request::Stop);
        }
    }

    /// Passes a request on, now or once the module is loaded.
    fn ask(&self, request: Request) {
        let handler = match &mut *self.stage.borrow_mut() {
            Stage::Running(handler) => handler.clone(),
            Stage::Loading(waiting) => {
                if !request.is_by_others() || waiting.len() < MAX_WAITING {
                    waiting.push(request);
                }
                return;
            }
            stage @ Stage::Idle if request.begins() => {
                *stage = Stage::Loading(vec![request]);
                return self.load();
            }
            Stage::Idle | Stage::Stopped => return,
        };
        handler(request);
    }

    fn load(&self) {
        let (me, parts) = (self.me.clone(), self.parts.clone());
        spawn_local(async move {
            let loaded = start(parts).await;
            if let Some(entry) = me.upgrade() {
                entry.on_loaded(loaded);
            }
        });
    }

    fn on_loaded(&self, loaded: Result<Handler, SplitLoaderError>) {
        let next = match &loaded {
            Ok(handler) => Stage::Running(handler.clone()),
            Err(_) => Stage::Idle,
        };
        let waiting = {
            let mut stage = self.stage.borrow_mut();
            let Stage::Loading(waiting) = &mut *stage else {
                return;
            };
            let waiting = std::mem::take(waiting);
            *stage = next;
            waiting
        };
        self.parts.shown.update(|shown| {
            shown.is_loaded = loaded.is_ok();
            shown.load_failed = loaded.is_err();
            if shown.load_failed {
                shown.sharing = None;
            }
        });
        if let Ok(handler) = loaded {
            waiting.into_iter().for_each(|request| handler(request));
        }
    }
}
