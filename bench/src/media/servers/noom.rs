//! Clients of Noom: one WebSocket, one peer connection and one offer each.

use super::{
    Load, concurrent_joins, decrypts,
    signalling::{SignallingSocket, SignallingSockets},
    wait_for_turn,
};
use crate::{
    Arguments,
    media::{
        client::{
            context::{JoinTimes, Joins},
            endpoint::Endpoint,
        },
        scenario::model::Scenario,
        traffic::flow::FlowKind,
    },
    server::{Server, TempDir},
};
use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, net::UdpSocket};

/// Audio slots: the server forwards this many voices at once.
const AUDIO_SLOTS: u32 = 3;
/// Requested height of a video, in pixels.
const HEIGHT: u32 = 720;
/// Requested height for the smallest layer, in pixels.
const SMALL_HEIGHT: u32 = 180;

/// Starts Noom with settings for large rooms and one media thread, because it has one core.
pub async fn start(arguments: &Arguments, temp_dir: &TempDir) -> Result<Server> {
    let media = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?;
    let settings = [
        "--listen",
        "127.0.0.1:{port}",
        "--data-dir",
        &temp_dir.path().to_string_lossy(),
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

/// Lets a visitor join who only receives.
pub async fn join_visitor(
    estimates: bool,
    server: &Server,
    load: Load<'_>,
    index: u32,
) -> Result<SignallingSockets> {
    let mut joins = Joins::new();
    let scenario = Scenario {
        publishers: 0,
        rooms: index + 1,
        people: 1,
        ..load.scenario
    };
    let load = Load { scenario, ..load };
    let joining = JoinContext::new(estimates, server, load, &mut joins);
    let mut sockets = SignallingSockets::new();
    sockets.keep(index, joining.join(index).await?);
    Ok(sockets)
}

/// Lets all clients join: publishers first, because the others subscribe to them.
pub async fn join_all(
    estimates: bool,
    server: &Server,
    load: Load<'_>,
    joins: &mut Joins,
) -> Result<SignallingSockets> {
    let scenario = load.scenario;
    let joining = JoinContext::new(estimates, server, load, joins);
    let (publishers, receivers): (Vec<_>, Vec<_>) =
        (0..scenario.everybody()).partition(|person| scenario.publishes(*person));
    let mut joined = joining.join_many(publishers.clone()).await?;
    joined.extend(joining.join_many(receivers).await?);
    let mut sockets = SignallingSockets::new();
    for (person, socket) in joined {
        sockets.keep(person, socket);
        if !scenario.publishes(person) {
            let requests =
                [SMALL_HEIGHT, HEIGHT].map(|height| joining.subscription(person, height));
            sockets.set_layer_requests(person, person, requests);
        }
    }
    // Publishers subscribe last: not all of them were known when each joined.
    for person in publishers {
        sockets.send(person, joining.subscription(person, HEIGHT));
    }
    Ok(sockets)
}

/// The state that the joins of one run share.
struct JoinContext<'a> {
    /// HTTP port of the server.
    port: u16,
    /// Whether transport-cc is offered.
    estimates: bool,
    /// Clients and scenario.
    load: Load<'a>,
    /// Participant ids by client.
    ids: RefCell<BTreeMap<u32, String>>,
    /// The times of the joins.
    joins: RefCell<&'a mut Joins>,
}

impl<'a> JoinContext<'a> {
    /// A context without joins.
    fn new(estimates: bool, server: &Server, load: Load<'a>, joins: &'a mut Joins) -> Self {
        Self {
            port: server.port,
            estimates,
            load,
            ids: RefCell::default(),
            joins: RefCell::new(joins),
        }
    }

    /// Lets many clients join.
    async fn join_many(&self, people: Vec<u32>) -> Result<Vec<(u32, SignallingSocket)>> {
        let began = tokio::time::Instant::now();
        let joining = (0..).zip(people).map(|(place, person)| async move {
            wait_for_turn(self.load.scenario, began, place).await;
            let socket = self.join(person).await;
            let socket = socket.with_context(|| format!("client {person} cannot join"))?;
            anyhow::Ok((person, socket))
        });
        stream::iter(joining)
            .buffer_unordered(concurrent_joins(self.load.scenario))
            .try_collect()
            .await
    }

    /// Lets one client join the room and the call.
    async fn join(&self, person: u32) -> Result<SignallingSocket> {
        self.joins.borrow_mut().insert(person, JoinTimes::start());
        let mut socket = SignallingSocket::open(self.port, "/ws", None).await?;
        let room = match self.load.scenario.publishers {
            // A visitor joins the first room.
            0 => 0,
            _ => self.load.scenario.room_of(person),
        };
        let room = format!("call {room}");
        let nickname = format!("person {person}");
        socket
            .send(&json!({"type": "join", "room": room, "nickname": nickname}))
            .await?;
        let joined = socket.wait_for(|frame| find(frame, "joined")).await?;
        let id = joined["self"].as_str().context("joined without an id")?;
        self.ids.borrow_mut().insert(person, id.to_owned());
        self.enter_call(person, &mut socket).await?;
        self.negotiate(person, &mut socket).await?;
        if !self.load.scenario.publishes(person) {
            socket.send(&self.subscription(person, HEIGHT)).await?;
        }
        Ok(socket)
    }

    /// Enters the call.
    async fn enter_call(&self, person: u32, socket: &mut SignallingSocket) -> Result<()> {
        let publishes = self.load.scenario.publishes(person);
        let camera = publishes && self.load.scenario.bitrate > 0;
        let devices = json!({"microphone": publishes, "camera": camera, "screen": false});
        socket
            .send(&json!({"type": "enter_call", "leg": person + 1, "devices": devices}))
            .await?;
        let call = socket.wait_for(|frame| find(frame, "call")).await?;
        ensure!(
            call["mode"] == "sfu",
            "the call does not go through the server"
        );
        Ok(())
    }

    /// Sends the offer and applies the answer.
    async fn negotiate(&self, person: u32, socket: &mut SignallingSocket) -> Result<()> {
        let scenario = self.load.scenario;
        let mut endpoint = Endpoint::new(person, self.load.generator, self.estimates)?;
        let video_slots = scenario.video_senders_to(person).len() as u32;
        let slots = [AUDIO_SLOTS, video_slots];
        let (sdp, mids) = endpoint.offer(self.load.burst, &scenario.kinds(person), slots)?;
        // Simulcast layers share a media description.
        let mut tracks: Vec<_> = mids
            .iter()
            .map(|(mid, kind)| json!({"mid": mid.to_string(), "source": source(*kind)}))
            .collect();
        tracks.dedup();
        let offer =
            json!({"type": "offer", "connection": 1, "offer_id": 1, "sdp": sdp, "tracks": tracks});
        socket.send(&offer).await?;
        let answer = socket.wait_for(|frame| find(frame, "answer")).await?;
        let sdp = answer["sdp"].as_str().context("an answer without sdp")?;
        endpoint.accept(sdp)?;
        endpoint.run(
            self.load.generator,
            decrypts(person, self.estimates || scenario.decrypts_all()),
        );
        Ok(())
    }

    /// The `subscribe` message of a client.
    fn subscription(&self, person: u32, height: u32) -> Value {
        let ids = self.ids.borrow();
        let seen = self.load.scenario.video_senders_to(person);
        let tiles: Vec<_> = seen
            .iter()
            .filter_map(|other| ids.get(other))
            .map(|id| json!({"id": id, "source": "camera", "height": height, "pinned": false}))
            .collect();
        json!({"type": "subscribe", "tiles": tiles})
    }
}

/// The protocol's name for the source of a track.
fn source(kind: FlowKind) -> &'static str {
    match kind {
        FlowKind::Audio { .. } => "microphone",
        FlowKind::Video { .. } => "camera",
    }
}

/// Selects a message of a type; fails on an error message.
fn find(frame: &Value, wanted: &str) -> Result<Option<Value>> {
    match frame["type"].as_str() {
        Some(kind) if kind == wanted => Ok(Some(frame.clone())),
        Some("error" | "media_closed") => bail!("the server says {frame}"),
        _ => Ok(None),
    }
}
