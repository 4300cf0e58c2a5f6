//! Clients of Janus's video room: one session each, with a connection to publish and one to receive.

mod session;

use super::{Load, concurrent_joins, decrypts, signalling::SignallingSockets, wait_for_turn};
use crate::{
    media::{
        client::{
            context::{JoinTimes, Joins},
            endpoint::Endpoint,
        },
        net::netns::ADDRESS,
        scenario::model::Scenario,
    },
    server::{Server, TempDir, free_port},
};
use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use session::{Session, description};
use std::{cell::RefCell, collections::BTreeMap, fs};
use tokio::time::Instant;

/// The configuration files.
const FILES: [(&str, &str); 3] = [
    (
        "janus.jcfg",
        include_str!("../../../../peers/janus/janus.jcfg"),
    ),
    (
        "janus.plugin.videoroom.jcfg",
        include_str!("../../../../peers/janus/janus.plugin.videoroom.jcfg"),
    ),
    (
        "janus.transport.websockets.jcfg",
        include_str!("../../../../peers/janus/janus.transport.websockets.jcfg"),
    ),
];

/// Starts Janus with our configuration instead of the distribution's.
pub async fn start(loops: Option<u32>, temp_dir: &TempDir) -> Result<Server> {
    fs::create_dir_all(temp_dir.path())?;
    let port = free_port()?;
    let loops = loops.map_or_else(String::new, |loops| format!("event_loops = {loops}"));
    for (name, text) in FILES {
        let text = text.replace("{port}", &port.to_string());
        let text = text
            .replace("{address}", ADDRESS)
            .replace("{loops}", &loops);
        fs::write(temp_dir.path().join(name), text)?;
    }
    let folder = temp_dir.path().to_string_lossy().into_owned();
    let arguments = [
        "--configs-folder".to_owned(),
        folder.clone(),
        "--config".to_owned(),
        format!("{folder}/janus.jcfg"),
    ];
    let server = Server::start_on(port, "janus", &arguments).await;
    server.context("is there `janus`, the package of that name?")
}

/// Index of the receiving connection of a person.
pub fn receiver(scenario: Scenario, person: u32) -> u32 {
    scenario.everybody() + person
}

/// A session, and the handle of its receiving connection; null without one.
type Subscriber = (Session, Value);

/// The state that the joins of one run share.
struct JoinContext<'a> {
    /// WebSocket port of the server.
    port: u16,
    /// Clients and scenario.
    load: Load<'a>,
    /// The plugin's feed id and the audio mid of each publisher.
    feeds: RefCell<BTreeMap<u32, (Value, String)>>,
    /// The times of the joins.
    joins: RefCell<&'a mut Joins>,
}

/// Lets all clients join: publishers first, then every client as a receiver.
pub async fn join_all(
    server: &Server,
    load: Load<'_>,
    joins: &mut Joins,
) -> Result<SignallingSockets> {
    let scenario = load.scenario;
    let joining = JoinContext {
        port: server.port,
        load,
        feeds: RefCell::default(),
        joins: RefCell::new(joins),
    };
    joining.create_rooms().await?;
    let joining = &joining;
    let publishers = (0..scenario.everybody()).filter(|person| scenario.publishes(*person));
    let began = Instant::now();
    let publishing = (0..).zip(publishers).map(|(place, person)| async move {
        wait_for_turn(scenario, began, place).await;
        let session = joining.publish(person).await;
        let session = session.with_context(|| format!("client {person} cannot publish"))?;
        anyhow::Ok((person, session))
    });
    let mut sessions: BTreeMap<_, _> = stream::iter(publishing)
        .buffer_unordered(concurrent_joins(scenario))
        .try_collect()
        .await?;
    let everybody = (0..scenario.everybody()).map(|person| (person, sessions.remove(&person)));
    let everybody: Vec<_> = everybody.collect();
    let began = Instant::now();
    let subscribing = (0..)
        .zip(everybody)
        .map(|(place, (person, session))| async move {
            wait_for_turn(scenario, began, place).await;
            let session = joining.subscribe(person, session).await;
            let session = session.with_context(|| format!("client {person} cannot receive"))?;
            anyhow::Ok((person, session))
        });
    let joined: Vec<_> = stream::iter(subscribing)
        .buffer_unordered(concurrent_joins(scenario))
        .try_collect()
        .await?;
    let mut sockets = SignallingSockets::new();
    for (person, subscriber) in joined {
        let Some((session, handle)) = subscriber else {
            continue;
        };
        if scenario.has_simulcast() && !handle.is_null() {
            // Janus counts layers from the end of the list, which begins with the smallest.
            let requests = [2, 0].map(|layer| session.layer_request(&handle, layer));
            sockets.set_layer_requests(receiver(scenario, person), person, requests);
        }
        sockets.keep(person, session.socket);
    }
    Ok(sockets)
}

impl JoinContext<'_> {
    /// Creates the rooms.
    async fn create_rooms(&self) -> Result<()> {
        let mut session = Session::open(self.port).await?;
        let handle = session.attach().await?;
        for room in 0..self.load.scenario.rooms {
            let body = json!({
                "request": "create", "room": room + 1, "publishers": self.load.scenario.publishers,
                "bitrate": 0, "fir_freq": 0, "audiocodec": "opus", "videocodec": "vp8",
                "audiolevel_event": false, "notify_joining": false,
            });
            let created = session.request(&handle, &body, None).await?;
            if !created["plugindata"]["data"]["error"].is_null() {
                bail!("room {room}: {created}");
            }
        }
        Ok(())
    }

    /// The plugin's number of a person's room.
    fn room(&self, person: u32) -> u32 {
        self.load.scenario.room_of(person) + 1
    }

    /// Records the start of a join.
    fn start_join(&self, index: u32) {
        self.joins.borrow_mut().insert(index, JoinTimes::start());
    }

    /// Opens a session and publishes.
    async fn publish(&self, person: u32) -> Result<Session> {
        self.start_join(person);
        let mut session = Session::open(self.port).await?;
        let handle = session.attach().await?;
        let mut endpoint = Endpoint::new(person, self.load.generator, false)?;
        let kinds = self.load.scenario.kinds(person);
        let (sdp, _) = endpoint.offer(self.load.burst, &kinds, [0, 0])?;
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": self.room(person),
            "display": format!("person {person}"),
        });
        let jsep = json!({"type": "offer", "sdp": sdp});
        let joined = session.request(&handle, &body, Some(&jsep)).await?;
        let feed = joined["plugindata"]["data"]["id"].clone();
        self.feeds
            .borrow_mut()
            .insert(person, (feed, audio_mid(&sdp)));
        endpoint.accept(description(&joined)?)?;
        session.end_candidates(&handle).await?;
        endpoint.run(self.load.generator, false);
        // A feed can be subscribed to only once it is connected.
        let up = |event: &Value| Ok((event["janus"] == "webrtcup").then_some(()));
        session.socket.wait_for(up).await?;
        Ok(session)
    }

    /// Subscribes to the other publishers of the room.
    async fn subscribe(&self, person: u32, session: Option<Session>) -> Result<Option<Subscriber>> {
        let streams = self.streams(person);
        if streams.is_empty() {
            return Ok(session.map(|session| (session, Value::Null)));
        }
        let index = receiver(self.load.scenario, person);
        self.start_join(index);
        let mut session = match session {
            Some(session) => session,
            None => Session::open(self.port).await?,
        };
        let handle = session.attach().await?;
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": self.room(person),
            "streams": streams,
        });
        let attached = session.request(&handle, &body, None).await?;
        let mut endpoint = Endpoint::new(index, self.load.generator, false)?;
        let sdp = endpoint.answer(description(&attached)?)?;
        let jsep = json!({"type": "answer", "sdp": sdp});
        let body = json!({"request": "start"});
        session.request(&handle, &body, Some(&jsep)).await?;
        session.end_candidates(&handle).await?;
        let decrypting = decrypts(person, self.load.scenario.decrypts_all());
        endpoint.run(self.load.generator, decrypting);
        Ok(Some((session, handle)))
    }

    /// The streams of a person: the audio of all others, and the video that the person sees.
    fn streams(&self, person: u32) -> Vec<Value> {
        let feeds = self.feeds.borrow();
        let scenario = self.load.scenario;
        let seen = scenario.video_senders_to(person);
        let room = scenario.room(scenario.room_of(person));
        let mut streams = Vec::new();
        for (other, (feed, audio)) in feeds.range(room).filter(|(other, _)| **other != person) {
            if scenario.bitrate == 0 || seen.contains(other) {
                streams.push(json!({"feed": feed}));
            } else {
                streams.push(json!({"feed": feed, "mid": audio}));
            }
        }
        streams
    }
}

/// The mid of the audio in an offer.
fn audio_mid(offer: &str) -> String {
    let audio = offer
        .split("m=")
        .find(|section| section.starts_with("audio"));
    let mut lines = audio.unwrap_or_default().lines();
    let mid = lines.find_map(|line| line.strip_prefix("a=mid:"));
    mid.unwrap_or_default().to_owned()
}
