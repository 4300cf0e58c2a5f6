//! Clients of the bare forwarder.

use super::forwarder::Variant;
use crate::{
    media::{
        Options,
        client::{
            generator::LoadGenerator,
            peer::{OutgoingFlow, Peer, Transport},
        },
        report::outcome::JoinTimes,
        run::Joins,
        scenario::model::Scenario,
        servers::samples,
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
pub async fn start(
    variant: Variant,
    profile: Profile,
    scenario: Scenario,
    generator: &LoadGenerator,
) -> Result<Server> {
    let ports = generator.lanes.ports();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let arguments = [
        "baseline",
        "--listen",
        "127.0.0.1:{port}",
        "--clients",
        &scenario.everybody().to_string(),
        "--room",
        &scenario.people.to_string(),
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

/// Everybody is there at once.
pub fn connect(
    profile: Profile,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    entries: &mut Joins,
) {
    for person in 0..scenario.everybody() {
        let now = Instant::now();
        let link = Transport::PlainSrtp {
            server: ([127, 0, 0, 1], server.port).into(),
            up: Srtp::new(profile, person, Direction::Up),
            down: Srtp::new(profile, person, Direction::Down),
        };
        let flows = scenario.kinds(person).into_iter().map(|kind| OutgoingFlow {
            mid: None,
            flow: Flow::new(kind, person, options.burst, now),
        });
        let entry = JoinTimes {
            began: now,
            connected: Some(now),
            heard: None,
        };
        entries.insert(person, entry);
        generator.add(Peer::new(
            person,
            link,
            flows.collect(),
            samples(person, false),
        ));
    }
}
