//! Clients of Noom: one socket, one connection, one offer each; what they see is a subscription.

use super::{
    TempDir, at_once, samples,
    signalling::{SignallingSocket, SignallingSockets},
    turn,
};
use crate::{
    Arguments,
    media::{
        Options,
        client::{endpoint::Endpoint, generator::LoadGenerator},
        report::outcome::JoinTimes,
        run::Joins,
        scenario::model::Scenario,
        traffic::flow::FlowKind,
    },
    server::Server,
};
use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, net::UdpSocket, time::Instant};

/// Slots for voices: as many as are passed on at a time.
const VOICES: u32 = 3;
/// How tall a picture is wanted, in pixels.
const HEIGHT: u32 = 720;
/// And where the smallest layer is to be seen.
const SMALL_HEIGHT: u32 = 180;

/// Starts it with the settings that large rooms ask for, and one media thread, because it has
/// one core.
pub async fn start(arguments: &Arguments, temp_dir: &TempDir) -> Result<Server> {
    let media = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?;
    let settings = [
        "--listen",
        "127.0.0.1:{port}",
        "--data-dir",
        &temp_dir.0.to_string_lossy(),
        "--room-capacity",
        "2000",
        "--call-capacity",
        "2000",
        "--max-rooms",
        "20000",
        "--p2p-max",
        "0",
        "--media-listen",
        &media.to_string(),
        "--media-ip",
        "127.0.0.1",
        "--media-threads",
        "1",
        "--turn-listen",
        "off",
        "--metrics-listen",
        "off",
        "--log",
        "warn",
    ];
    Server::start(
        &arguments.noom.to_string_lossy(),
        &settings.map(str::to_owned),
    )
    .await
}

/// Lets somebody come who only listens.
pub async fn visit(
    estimates: bool,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    number: u32,
) -> Result<SignallingSockets> {
    let mut nobody = Joins::new();
    let join_context = JoinContext {
        port: server.port,
        estimates,
        generator,
        scenario: Scenario {
            publishers: 0,
            rooms: number + 1,
            people: 1,
            ..scenario
        },
        options,
        ids: RefCell::default(),
        entries: RefCell::new(&mut nobody),
    };
    let mut lines = SignallingSockets::none();
    lines.keep(number, join_context.enter(number).await?);
    Ok(lines)
}

/// What everybody's coming in has in common.
struct JoinContext<'a> {
    /// Where the server listens.
    port: u16,
    /// Whether transport-cc is offered.
    estimates: bool,
    /// Who runs the clients.
    generator: &'a LoadGenerator,
    /// The scenario.
    scenario: Scenario,
    /// How it is played.
    options: &'a Options,
    /// Participant ids by number.
    ids: RefCell<BTreeMap<u32, String>>,
    /// Who began when.
    entries: RefCell<&'a mut Joins>,
}

/// Brings everybody in: those who publish first, because the others want to see them.
pub async fn connect(
    estimates: bool,
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    entries: &mut Joins,
) -> Result<SignallingSockets> {
    let join_context = JoinContext {
        port: server.port,
        estimates,
        generator,
        scenario,
        options,
        ids: RefCell::default(),
        entries: RefCell::new(entries),
    };
    let mut lines = SignallingSockets::none();
    let (publishers, watchers): (Vec<_>, Vec<_>) =
        (0..scenario.everybody()).partition(|person| scenario.publishes(*person));
    let mut inside = join_context.enter_all(publishers.clone()).await?;
    inside.extend(join_context.enter_all(watchers).await?);
    for (person, line) in inside {
        lines.keep(person, line);
        if !scenario.publishes(person) {
            let requests =
                [SMALL_HEIGHT, HEIGHT].map(|height| join_context.subscription(person, height));
            lines.prepare(person, person, requests);
        }
    }
    // They could not know each other when they came in.
    for person in publishers {
        lines.say(person, join_context.subscription(person, HEIGHT));
    }
    Ok(lines)
}

impl JoinContext<'_> {
    /// Brings many in.
    async fn enter_all(&self, people: Vec<u32>) -> Result<Vec<(u32, SignallingSocket)>> {
        let began = tokio::time::Instant::now();
        let entering = (0..).zip(people).map(|(place, person)| async move {
            turn(self.scenario, began, place).await;
            let line = self.enter(person).await;
            let line = line.with_context(|| format!("client {person} is not let in"))?;
            anyhow::Ok((person, line))
        });
        stream::iter(entering)
            .buffer_unordered(at_once(self.scenario))
            .try_collect()
            .await
    }

    /// Brings one in.
    async fn enter(&self, person: u32) -> Result<SignallingSocket> {
        let entry = JoinTimes {
            began: Instant::now(),
            connected: None,
            heard: None,
        };
        self.entries.borrow_mut().insert(person, entry);
        let mut line = SignallingSocket::open(self.port, "/ws", None).await?;
        let room = match self.scenario.publishers {
            // A visitor of the first one.
            0 => 0,
            _ => self.scenario.room_of(person),
        };
        let room = format!("call {room}");
        let nickname = format!("person {person}");
        line.say(&json!({"type": "join", "room": room, "nickname": nickname}))
            .await?;
        let joined = line.hear(|frame| find(frame, "joined")).await?;
        let id = joined["self"].as_str().context("joined without an id")?;
        self.ids.borrow_mut().insert(person, id.to_owned());
        self.enter_call(person, &mut line).await?;
        self.negotiate(person, &mut line).await?;
        if !self.scenario.publishes(person) {
            line.say(&self.subscription(person, HEIGHT)).await?;
        }
        Ok(line)
    }

    /// Enters the call.
    async fn enter_call(&self, person: u32, line: &mut SignallingSocket) -> Result<()> {
        let publishes = self.scenario.publishes(person);
        let camera = publishes && self.scenario.bitrate > 0;
        let devices = json!({"microphone": publishes, "camera": camera, "screen": false});
        line.say(&json!({"type": "enter_call", "leg": person + 1, "devices": devices}))
            .await?;
        let call = line.hear(|frame| find(frame, "call")).await?;
        ensure!(
            call["mode"] == "sfu",
            "the call does not go through the server"
        );
        Ok(())
    }

    /// Offers and takes the answer.
    async fn negotiate(&self, person: u32, line: &mut SignallingSocket) -> Result<()> {
        let mut endpoint = Endpoint::new(person, self.generator, self.estimates)?;
        let kinds = self.scenario.kinds(person);
        let pictures = self.scenario.seen_by(person).len() as u32;
        let (sdp, mids) = endpoint.offer(self.options, &kinds, [VOICES, pictures])?;
        // Layers share a description.
        let mut tracks: Vec<_> = mids
            .iter()
            .map(|(mid, kind)| json!({"mid": mid.to_string(), "source": source(*kind)}))
            .collect();
        tracks.dedup();
        let offer =
            json!({"type": "offer", "connection": 1, "offer_id": 1, "sdp": sdp, "tracks": tracks});
        line.say(&offer).await?;
        let answer = line.hear(|frame| find(frame, "answer")).await?;
        let sdp = answer["sdp"].as_str().context("an answer without sdp")?;
        endpoint.accept(sdp)?;
        endpoint.run(
            self.generator,
            samples(person, self.estimates || self.scenario.decrypts_all()),
        );
        Ok(())
    }

    /// What a person wants to see, and how tall.
    fn subscription(&self, person: u32, height: u32) -> Value {
        let ids = self.ids.borrow();
        let seen = self.scenario.seen_by(person);
        let tiles: Vec<_> = seen
            .iter()
            .filter_map(|other| ids.get(other))
            .map(|id| json!({"id": id, "source": "camera", "height": height, "pinned": false}))
            .collect();
        json!({"type": "subscribe", "tiles": tiles})
    }
}

/// What a track is made of, as the protocol calls it.
fn source(kind: FlowKind) -> &'static str {
    match kind {
        FlowKind::Audio { .. } => "microphone",
        FlowKind::Video { .. } => "camera",
    }
}

/// A frame of that type; an error is one of everybody's.
fn find(frame: &Value, wanted: &str) -> Result<Option<Value>> {
    match frame["type"].as_str() {
        Some(kind) if kind == wanted => Ok(Some(frame.clone())),
        Some("error" | "media_closed") => bail!("the server says {frame}"),
        _ => Ok(None),
    }
}
