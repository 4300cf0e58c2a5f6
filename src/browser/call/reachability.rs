//! Checks whether media arrives; [`crate::state::reachability`] evaluates the result.

use crate::browser::call::connections::Connections;
use crate::browser::dom::clock::steady_ms;
use crate::protocol::{ClientMessage, Mode};
use crate::state::call::{CallStage, CallStateStoreFields};
use crate::state::reachability::{
    Blocked, Endpoint, Reachability, ReachabilityReport, TransportState,
};
use js_sys::Reflect;
use leptos::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use web_sys::{RtcPeerConnection, RtcPeerConnectionState};

/// Checks the connections of one leg once a second.
pub struct ReachabilityMonitor {
    connections: Rc<Connections>,
    reachability: RefCell<Reachability>,
}

/// What blocks media before a connection is tried: a browser without `RTCPeerConnection`.
fn blocked_by_browser() -> Option<Blocked> {
    let has_webrtc = web_sys::window()
        .and_then(|window| Reflect::get(&window, &"RTCPeerConnection".into()).ok())
        .is_some_and(|constructor| constructor.is_function());
    (!has_webrtc).then_some(Blocked::NoWebRtc)
}

/// The state of a connection's transport.
fn transport_state(pc: Option<RtcPeerConnection>) -> TransportState {
    let Some(pc) = pc else {
        return TransportState::NoIcePath;
    };
    match pc.connection_state() {
        RtcPeerConnectionState::Connected => TransportState::Connected,
        _ if has_ice_path(&pc) => TransportState::NoDtls,
        _ => TransportState::NoIcePath,
    }
}

/// Whether ICE has found a path. Read by name: the enum's binding would be part of the script
/// that the welcome page loads.
fn has_ice_path(pc: &RtcPeerConnection) -> bool {
    let ice = Reflect::get(pc, &"iceConnectionState".into()).ok();
    let ice = ice.and_then(|ice| ice.as_string());
    matches!(ice.as_deref(), Some("connected" | "completed"))
}

impl ReachabilityMonitor {
    /// No check has run. Reports at once if the browser has no WebRTC.
    pub fn new(connections: Rc<Connections>) -> Self {
        connections
            .context
            .state
            .blocked()
            .set(blocked_by_browser());
        Self {
            connections,
            reachability: RefCell::default(),
        }
    }

    /// Ends the leg.
    pub fn stop(&self) {
        *self.reachability.borrow_mut() = Reachability::default();
        let state = self.connections.context.state;
        state.blocked().set(blocked_by_browser());
    }

    /// Checks every connection that carries media in the current mode.
    pub fn poll(&self) {
        let context = &self.connections.context;
        if context.state.stage().get_untracked() != CallStage::In {
            return;
        }
        if context.state.blocked().get_untracked() == Some(Blocked::NoWebRtc) {
            let report = self.reachability.borrow_mut().no_webrtc();
            return self.show(report);
        }
        let endpoints: Vec<_> = match context.mode() {
            Mode::Sfu => {
                let sfu = self.connections.sfu.borrow();
                let server = sfu
                    .as_ref()
                    .map(|sfu| (Endpoint::Server, transport_state(sfu.pc())));
                server.into_iter().collect()
            }
            Mode::P2p => {
                let peers = self.connections.peers.borrow();
                let each = peers.iter();
                each.map(|(id, peer)| (Endpoint::Person(id.clone()), transport_state(peer.pc())))
                    .collect()
            }
        };
        let mut reachability = self.reachability.borrow_mut();
        let report = reachability.check(steady_ms(), context.live.get(), &endpoints);
        drop(reachability);
        self.show(report);
    }

    fn show(&self, report: ReachabilityReport) {
        let context = &self.connections.context;
        context.state.blocked().maybe_update(|blocked| {
            let differs = *blocked != report.blocked;
            *blocked = report.blocked;
            differs
        });
        if let Some(obstacle) = report.report {
            (context.send)(ClientMessage::MediaBlocked { obstacle });
        }
    }
}
