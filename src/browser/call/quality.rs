//! The quality of the connections to others while media goes browser to browser. Through the
//! SFU the server measures it.

use crate::browser::call::connections::Connections;
use crate::browser::call::rtc::stats::connection_stats;
use crate::protocol::{Mode, ParticipantId, quality::QualityMeter};
use crate::state::call::CallStateStoreFields;
use crate::state::statistics::ConnectionStats;
use leptos::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Samples each connection once a second and rates it.
pub struct QualityMonitor {
    connections: Rc<Connections>,
    /// The meter and the last statistics of each connection.
    samples: RefCell<HashMap<ParticipantId, (QualityMeter, ConnectionStats)>>,
}

impl QualityMonitor {
    /// No samples yet.
    pub fn new(connections: Rc<Connections>) -> Rc<Self> {
        Rc::new(Self {
            connections,
            samples: RefCell::default(),
        })
    }

    /// Drops all samples.
    pub fn stop(&self) {
        self.samples.borrow_mut().clear();
    }

    /// Takes one sample of each connection.
    pub async fn poll(self: Rc<Self>) {
        if !self.is_p2p() {
            return self.stop();
        }
        let peers: Vec<_> = {
            let peers = self.connections.peers.borrow();
            let mut samples = self.samples.borrow_mut();
            samples.retain(|id, _| peers.contains_key(id));
            let connected = peers
                .iter()
                .filter_map(|(id, peer)| Some((id.clone(), peer.pc()?)));
            connected.collect()
        };
        for (id, pc) in peers {
            let now = connection_stats(&pc).await;
            if !self.is_p2p() {
                return;
            }
            let quality = {
                let mut samples = self.samples.borrow_mut();
                let (meter, before) = samples.entry(id.clone()).or_default();
                let [rtt_ms, loss, jitter_ms] = now.line_since(before);
                *before = now;
                meter.sample(rtt_ms, loss, jitter_ms)
            };
            if let Some(quality) = quality {
                self.connections
                    .context
                    .state
                    .qualities()
                    .update(|qualities| {
                        qualities.insert(id, quality);
                    });
            }
        }
    }

    fn is_p2p(&self) -> bool {
        self.connections.context.mode() == Mode::P2p
    }
}
