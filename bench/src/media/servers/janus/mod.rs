//! Clients of Janus's video room: a session each, a connection to publish and one to watch.

mod session;

use super::{TempDir, at_once, samples, signalling::SignallingSockets, turn};
use crate::{
    media::{
        Options,
        client::{endpoint::Endpoint, generator::LoadGenerator},
        net::netns::ADDRESS,
        report::outcome::JoinTimes,
        run::Joins,
        scenario::model::Scenario,
    },
    server::{Server, free_port},
};
use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use session::{Session, description};
use std::{cell::RefCell, collections::BTreeMap, fs};
use tokio::time::Instant;

/// Its settings, each a file.
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

/// Starts it with our settings in place of the distribution's.
pub async fn start(loops: Option<u32>, temp_dir: &TempDir) -> Result<Server> {
    fs::create_dir_all(&temp_dir.0)?;
    let port = free_port()?;
    let loops = loops.map_or_else(String::new, |loops| format!("event_loops = {loops}"));
    for (name, text) in FILES {
        let text = text.replace("{port}", &port.to_string());
        let text = text
            .replace("{address}", ADDRESS)
            .replace("{loops}", &loops);
        fs::write(temp_dir.0.join(name), text)?;
    }
    let folder = temp_dir.0.to_string_lossy().into_owned();
    let arguments = [
        "--configs-folder".to_owned(),
        folder.clone(),
        "--config".to_owned(),
        format!("{folder}/janus.jcfg"),
    ];
    let server = Server::start_on(port, "janus", &arguments).await;
    server.context("is there `janus`, the package of that name?")
}

/// The number of the connection on which a person hears and sees.
pub fn ear(scenario: Scenario, person: u32) -> u32 {
    scenario.everybody() + person
}

/// The session of somebody and the handle by which they watch.
type Seen = (Session, Value);

/// What everybody's coming in has in common.
struct JoinContext<'a> {
    /// Where the server listens.
    port: u16,
    /// Who runs the clients.
    generator: &'a LoadGenerator,
    /// The scenario.
    scenario: Scenario,
    /// How it is played.
    options: &'a Options,
    /// What publishers are called by the plugin, by number, and their sound.
    feeds: RefCell<BTreeMap<u32, (Value, String)>>,
    /// Who began when.
    entries: RefCell<&'a mut Joins>,
}

/// Brings everybody in: first those who publish, then those who watch, which all who
/// publish do, too.
pub async fn connect(
    server: &Server,
    generator: &LoadGenerator,
    scenario: Scenario,
    options: &Options,
    entries: &mut Joins,
) -> Result<SignallingSockets> {
    let join_context = JoinContext {
        port: server.port,
        generator,
        scenario,
        options,
        feeds: RefCell::default(),
        entries: RefCell::new(entries),
    };
    join_context.make_rooms().await?;
    let join_context = &join_context;
    let publishers = (0..scenario.everybody()).filter(|person| scenario.publishes(*person));
    let began = Instant::now();
    let publishing = (0..).zip(publishers).map(|(place, person)| async move {
        turn(scenario, began, place).await;
        let session = join_context.publish(person).await;
        let session = session.with_context(|| format!("client {person} cannot publish"))?;
        anyhow::Ok((person, session))
    });
    let mut inside: BTreeMap<_, _> = stream::iter(publishing)
        .buffer_unordered(at_once(scenario))
        .try_collect()
        .await?;
    let everybody = (0..scenario.everybody()).map(|person| (person, inside.remove(&person)));
    let everybody: Vec<_> = everybody.collect();
    let began = Instant::now();
    let watching = (0..)
        .zip(everybody)
        .map(|(place, (person, session))| async move {
            turn(scenario, began, place).await;
            let session = join_context.watch(person, session).await;
            let session = session.with_context(|| format!("client {person} cannot watch"))?;
            anyhow::Ok((person, session))
        });
    let inside: Vec<_> = stream::iter(watching)
        .buffer_unordered(at_once(scenario))
        .try_collect()
        .await?;
    let mut lines = SignallingSockets::none();
    for (person, seen) in inside {
        let Some((session, handle)) = seen else {
            continue;
        };
        if scenario.has_simulcast() && !handle.is_null() {
            // It counts layers from the end of the list, which begins with the smallest.
            let requests = [2, 0].map(|layer| session.layer(&handle, layer));
            lines.prepare(ear(scenario, person), person, requests);
        }
        lines.keep(person, session.line);
    }
    Ok(lines)
}

impl JoinContext<'_> {
    /// Makes the rooms.
    async fn make_rooms(&self) -> Result<()> {
        let mut session = Session::open(self.port).await?;
        let handle = session.attach().await?;
        for room in 0..self.scenario.rooms {
            let body = json!({
                "request": "create", "room": room + 1, "publishers": self.scenario.publishers,
                "bitrate": 0, "fir_freq": 0, "audiocodec": "opus", "videocodec": "vp8",
                "audiolevel_event": false, "notify_joining": false,
            });
            let made = session.ask(&handle, &body, None).await?;
            if !made["plugindata"]["data"]["error"].is_null() {
                bail!("room {room}: {made}");
            }
        }
        Ok(())
    }

    /// The room of a person, as the plugin counts them.
    fn room(&self, person: u32) -> u32 {
        self.scenario.room_of(person) + 1
    }

    /// Notes that somebody begins.
    fn begin(&self, index: u32) {
        let entry = JoinTimes {
            began: std::time::Instant::now(),
            connected: None,
            heard: None,
        };
        self.entries.borrow_mut().insert(index, entry);
    }

    /// Opens a session and publishes.
    async fn publish(&self, person: u32) -> Result<Session> {
        self.begin(person);
        let mut session = Session::open(self.port).await?;
        let handle = session.attach().await?;
        let mut endpoint = Endpoint::new(person, self.generator, false)?;
        let (sdp, _) = endpoint.offer(self.options, &self.scenario.kinds(person), [0, 0])?;
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": self.room(person),
            "display": format!("person {person}"),
        });
        let jsep = json!({"type": "offer", "sdp": sdp});
        let joined = session.ask(&handle, &body, Some(&jsep)).await?;
        let feed = joined["plugindata"]["data"]["id"].clone();
        self.feeds
            .borrow_mut()
            .insert(person, (feed, sound_of(&sdp)));
        endpoint.accept(description(&joined)?)?;
        session.gathered(&handle).await?;
        endpoint.run(self.generator, false);
        // Nobody can watch who is not connected.
        let up = |event: &Value| Ok((event["janus"] == "webrtcup").then_some(()));
        session.line.hear(up).await?;
        Ok(session)
    }

    /// Watches whoever there is to watch.
    async fn watch(&self, person: u32, session: Option<Session>) -> Result<Option<Seen>> {
        let streams = self.streams(person);
        if streams.is_empty() {
            return Ok(session.map(|session| (session, Value::Null)));
        }
        let index = ear(self.scenario, person);
        self.begin(index);
        let mut session = match session {
            Some(session) => session,
            None => Session::open(self.port).await?,
        };
        let handle = session.attach().await?;
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": self.room(person),
            "streams": streams,
        });
        let attached = session.ask(&handle, &body, None).await?;
        let mut endpoint = Endpoint::new(index, self.generator, false)?;
        let sdp = endpoint.answer(description(&attached)?)?;
        let jsep = json!({"type": "answer", "sdp": sdp});
        let body = json!({"request": "start"});
        session.ask(&handle, &body, Some(&jsep)).await?;
        session.gathered(&handle).await?;
        let opens = samples(person, self.scenario.decrypts_all());
        endpoint.run(self.generator, opens);
        Ok(Some((session, handle)))
    }

    /// Everybody else's sound, and the pictures a person sees.
    fn streams(&self, person: u32) -> Vec<Value> {
        let feeds = self.feeds.borrow();
        let seen = self.scenario.seen_by(person);
        let room = self.scenario.room(self.scenario.room_of(person));
        let mut streams = Vec::new();
        for (other, (feed, sound)) in feeds.range(room).filter(|(other, _)| **other != person) {
            if self.scenario.bitrate == 0 || seen.contains(other) {
                streams.push(json!({"feed": feed}));
            } else {
                streams.push(json!({"feed": feed, "mid": sound}));
            }
        }
        streams
    }
}

/// The name of the media description of sound in an offer.
fn sound_of(offer: &str) -> String {
    let sound = offer
        .split("m=")
        .find(|section| section.starts_with("audio"));
    let mut lines = sound.unwrap_or_default().lines();
    let mid = lines.find_map(|line| line.strip_prefix("a=mid:"));
    mid.unwrap_or_default().to_owned()
}
