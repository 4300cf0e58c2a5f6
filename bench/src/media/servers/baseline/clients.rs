//! Clients of the baseline forwarder, which have keys and no WebRTC.

use super::forwarder::Variant;
use crate::{
    media::{
        client::{
            context::{JoinTimes, Joins},
            peer::{OutgoingFlow, Peer, Transport},
        },
        servers::{Load, decrypts},
        traffic::{
            flow::Flow,
            srtp::{Direction, Profile, Srtp},
        },
    },
    server::Server,
};
use anyhow::Result;
use std::time::Instant;

/// Starts the forwarder, which is this program.
pub async fn start(variant: Variant, profile: Profile, load: Load<'_>) -> Result<Server> {
    let ports = load.generator.sockets.ports();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let arguments = [
        "baseline",
        "--listen",
        "127.0.0.1:{port}",
        "--clients",
        &load.scenario.everybody().to_string(),
        "--room",
        &load.scenario.people.to_string(),
        "--ports",
        &ports.join(","),
        "--variant",
        variant.cli_name(),
        "--profile",
        profile.cli_name(),
    ];
    let program = std::env::current_exe()?;
    Server::start(&program.to_string_lossy(), &arguments.map(str::to_owned)).await
}

/// Adds all clients at once: nothing is negotiated.
pub fn join_all(profile: Profile, server: &Server, load: Load<'_>, joins: &mut Joins) {
    for person in 0..load.scenario.everybody() {
        let now = Instant::now();
        let transport = Transport::PlainSrtp {
            server: ([127, 0, 0, 1], server.port).into(),
            up: Srtp::new(profile, person, Direction::Up),
            down: Srtp::new(profile, person, Direction::Down),
        };
        let flows = load.scenario.kinds(person).into_iter();
        let flows = flows.map(|kind| OutgoingFlow {
            mid: None,
            flow: Flow::new(kind, person, load.burst, now),
        });
        let join = JoinTimes {
            connected: Some(now),
            ..JoinTimes::start()
        };
        joins.insert(person, join);
        let peer = Peer::new(person, transport, flows.collect(), decrypts(person, false));
        load.generator.add(peer);
    }
}
