//! Clients of the bare forwarder.

use super::forwarder::Variant;
use crate::{
    media::{
        Choice,
        client::{
            generator::Engine,
            peer::{Link, Outgoing, Peer},
        },
        report::outcome::Entry,
        run::Entries,
        scenario::model::Shape,
        servers::samples,
        traffic::{
            flow::Flow,
            srtp::{Profile, Srtp, Way},
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
    shape: Shape,
    engine: &Engine,
) -> Result<Server> {
    let ports = engine.lanes.ports();
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let arguments = [
        "mirror",
        "--listen",
        "127.0.0.1:{port}",
        "--clients",
        &shape.everybody().to_string(),
        "--room",
        &shape.people.to_string(),
        "--ports",
        &ports.join(","),
        "--variant",
        variant.word(),
        "--profile",
        profile.word(),
    ];
    let program = std::env::current_exe()?;
    Server::start(&program.to_string_lossy(), &arguments.map(str::to_owned)).await
}

/// Everybody is there at once.
pub fn connect(
    profile: Profile,
    server: &Server,
    engine: &Engine,
    shape: Shape,
    choice: &Choice,
    entries: &mut Entries,
) {
    for person in 0..shape.everybody() {
        let now = Instant::now();
        let link = Link::Bare {
            server: ([127, 0, 0, 1], server.port).into(),
            up: Srtp::new(profile, person, Way::Up),
            down: Srtp::new(profile, person, Way::Down),
        };
        let flows = shape.kinds(person).into_iter().map(|kind| Outgoing {
            mid: None,
            flow: Flow::new(kind, person, choice.burst, now),
        });
        let entry = Entry {
            began: now,
            connected: Some(now),
            heard: None,
        };
        entries.insert(person, entry);
        engine.add(Peer::new(
            person,
            link,
            flows.collect(),
            samples(person, false),
        ));
    }
}
