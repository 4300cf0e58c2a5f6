//! Looks whether media gets through; [`crate::state::reachability`] says what that means.

use crate::browser::call::controller::CallController;
use crate::browser::dom::clock::steady_ms;
use crate::protocol::{ClientMessage, Mode};
use crate::state::call::{CallStage, CallStateStoreFields};
use crate::state::reachability::{
    Blocked, Endpoint, Reachability, ReachabilityReport, TransportState,
};
use gloo_timers::callback::Interval;
use js_sys::Reflect;
use leptos::prelude::*;
use std::cell::RefCell;
use web_sys::{RtcPeerConnection, RtcPeerConnectionState};

/// Between two looks, in milliseconds.
const LOOK_EVERY_MS: u32 = 1_000;

/// Looks while one is in the call.
#[derive(Default)]
pub struct ReachabilityMonitor {
    look: RefCell<Option<Interval>>,
    reach: RefCell<Reachability>,
}

/// What is in the way before any connection is tried; nothing in most browsers.
pub fn blocked_by_browser() -> Option<Blocked> {
    let has_webrtc = web_sys::window()
        .and_then(|window| Reflect::get(&window, &"RTCPeerConnection".into()).ok())
        .is_some_and(|constructor| constructor.is_function());
    (!has_webrtc).then_some(Blocked::NoWebRtc)
}

/// How far a connection has come.
fn transport(pc: Option<RtcPeerConnection>) -> TransportState {
    let Some(pc) = pc else {
        return TransportState::NoIcePath;
    };
    match pc.connection_state() {
        RtcPeerConnectionState::Connected => TransportState::Connected,
        _ if has_path(&pc) => TransportState::NoDtls,
        _ => TransportState::NoIcePath,
    }
}

/// Whether packets get through. By name: the binding of the enum would be part of the script
/// that the welcome page loads.
fn has_path(pc: &RtcPeerConnection) -> bool {
    let ice = Reflect::get(pc, &"iceConnectionState".into()).ok();
    let ice = ice.and_then(|ice| ice.as_string());
    matches!(ice.as_deref(), Some("connected" | "completed"))
}

impl CallController {
    /// Looks from now on, for as long as one is in the call.
    pub(super) fn watch_reach(&self) {
        if self.state.blocked().get_untracked() == Some(Blocked::NoWebRtc) {
            let look = self.reach.reach.borrow_mut().no_webrtc();
            return self.show_reach(look);
        }
        let me = self.me.clone();
        self.reach.look.borrow_mut().get_or_insert_with(|| {
            Interval::new(LOOK_EVERY_MS, move || {
                if let Some(controller) = me.upgrade() {
                    controller.look_at_reach();
                }
            })
        });
    }

    /// Looks no more: the stay is over.
    pub(super) fn forget_reach(&self) {
        *self.reach.look.borrow_mut() = None;
        *self.reach.reach.borrow_mut() = Reachability::default();
        self.state.blocked().set(blocked_by_browser());
    }

    fn look_at_reach(&self) {
        if self.state.stage().get_untracked() != CallStage::In {
            return;
        }
        let connections: Vec<_> = match self.state.mode().get_untracked() {
            Mode::Sfu => {
                let sfu = self.sfu.borrow();
                let server = sfu
                    .as_ref()
                    .map(|sfu| (Endpoint::Server, transport(sfu.pc())));
                server.into_iter().collect()
            }
            Mode::P2p => {
                let peers = self.peers.borrow();
                let each = peers.iter();
                each.map(|(id, peer)| (Endpoint::Person(id.clone()), transport(peer.pc())))
                    .collect()
            }
        };
        let mut reach = self.reach.reach.borrow_mut();
        let look = reach.check(steady_ms(), self.is_live(), &connections);
        drop(reach);
        self.show_reach(look);
    }

    fn show_reach(&self, look: ReachabilityReport) {
        self.state.blocked().maybe_update(|blocked| {
            let differs = *blocked != look.blocked;
            *blocked = look.blocked;
            differs
        });
        if let Some(obstacle) = look.report {
            (self.context.send)(ClientMessage::MediaBlocked { obstacle });
        }
    }
}
