//! Clients of Janus's video room: a session each, a connection to publish and one to watch.

mod session;

use super::{Scratch, at_once, samples, signalling::Lines, turn};
use crate::{
    media::{
        Choice,
        client::{endpoint::Endpoint, generator::Engine},
        net::netns::ADDRESS,
        report::outcome::Entry,
        run::Entries,
        scenario::model::Shape,
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
pub async fn start(loops: Option<u32>, scratch: &Scratch) -> Result<Server> {
    fs::create_dir_all(&scratch.0)?;
    let port = free_port()?;
    let loops = loops.map_or_else(String::new, |loops| format!("event_loops = {loops}"));
    for (name, text) in FILES {
        let text = text.replace("{port}", &port.to_string());
        let text = text
            .replace("{address}", ADDRESS)
            .replace("{loops}", &loops);
        fs::write(scratch.0.join(name), text)?;
    }
    let folder = scratch.0.to_string_lossy().into_owned();
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
pub fn ear(shape: Shape, person: u32) -> u32 {
    shape.everybody() + person
}

/// The session of somebody and the handle by which they watch.
type Seen = (Session, Value);

/// What everybody's coming in has in common.
struct Doorway<'a> {
    /// Where the server listens.
    port: u16,
    /// Who runs the clients.
    engine: &'a Engine,
    /// The shape.
    shape: Shape,
    /// How it is played.
    choice: &'a Choice,
    /// What publishers are called by the plugin, by number, and their sound.
    feeds: RefCell<BTreeMap<u32, (Value, String)>>,
    /// Who began when.
    entries: RefCell<&'a mut Entries>,
}

/// Brings everybody in: first those who publish, then those who watch, which all who
/// publish do, too.
pub async fn connect(
    server: &Server,
    engine: &Engine,
    shape: Shape,
    choice: &Choice,
    entries: &mut Entries,
) -> Result<Lines> {
    let doorway = Doorway {
        port: server.port,
        engine,
        shape,
        choice,
        feeds: RefCell::default(),
        entries: RefCell::new(entries),
    };
    doorway.make_rooms().await?;
    let doorway = &doorway;
    let publishers = (0..shape.everybody()).filter(|person| shape.publishes(*person));
    let began = Instant::now();
    let publishing = (0..).zip(publishers).map(|(place, person)| async move {
        turn(shape, began, place).await;
        let session = doorway.publish(person).await;
        let session = session.with_context(|| format!("client {person} cannot publish"))?;
        anyhow::Ok((person, session))
    });
    let mut inside: BTreeMap<_, _> = stream::iter(publishing)
        .buffer_unordered(at_once(shape))
        .try_collect()
        .await?;
    let everybody = (0..shape.everybody()).map(|person| (person, inside.remove(&person)));
    let everybody: Vec<_> = everybody.collect();
    let began = Instant::now();
    let watching = (0..)
        .zip(everybody)
        .map(|(place, (person, session))| async move {
            turn(shape, began, place).await;
            let session = doorway.watch(person, session).await;
            let session = session.with_context(|| format!("client {person} cannot watch"))?;
            anyhow::Ok((person, session))
        });
    let inside: Vec<_> = stream::iter(watching)
        .buffer_unordered(at_once(shape))
        .try_collect()
        .await?;
    let mut lines = Lines::none();
    for (person, seen) in inside {
        let Some((session, handle)) = seen else {
            continue;
        };
        if shape.has_layers() && !handle.is_null() {
            // It counts layers from the end of the list, which begins with the smallest.
            let wishes = [2, 0].map(|layer| session.layer(&handle, layer));
            lines.prepare(ear(shape, person), person, wishes);
        }
        lines.keep(person, session.line);
    }
    Ok(lines)
}

impl Doorway<'_> {
    /// Makes the rooms.
    async fn make_rooms(&self) -> Result<()> {
        let mut session = Session::open(self.port).await?;
        let handle = session.attach().await?;
        for room in 0..self.shape.rooms {
            let body = json!({
                "request": "create", "room": room + 1, "publishers": self.shape.publishers,
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
        self.shape.room_of(person) + 1
    }

    /// Notes that somebody begins.
    fn begin(&self, index: u32) {
        let entry = Entry {
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
        let mut endpoint = Endpoint::new(person, self.engine, false)?;
        let (sdp, _) = endpoint.offer(self.choice, &self.shape.kinds(person), [0, 0])?;
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
        endpoint.run(self.engine, false);
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
        let index = ear(self.shape, person);
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
        let mut endpoint = Endpoint::new(index, self.engine, false)?;
        let sdp = endpoint.answer(description(&attached)?)?;
        let jsep = json!({"type": "answer", "sdp": sdp});
        let body = json!({"request": "start"});
        session.ask(&handle, &body, Some(&jsep)).await?;
        session.gathered(&handle).await?;
        let opens = samples(person, self.shape.needs_all_opened());
        endpoint.run(self.engine, opens);
        Ok(Some((session, handle)))
    }

    /// Everybody else's sound, and the pictures a person sees.
    fn streams(&self, person: u32) -> Vec<Value> {
        let feeds = self.feeds.borrow();
        let seen = self.shape.seen_by(person);
        let room = self.shape.room(self.shape.room_of(person));
        let mut streams = Vec::new();
        for (other, (feed, sound)) in feeds.range(room).filter(|(other, _)| **other != person) {
            if self.shape.bitrate == 0 || seen.contains(other) {
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
