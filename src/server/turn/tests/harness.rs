//! The server under test and an SFU that writes down what it gets.

use super::super::{
    MediaPort, Turn, TurnLimits, TurnOptions,
    client::{Client, Path, Transport},
    engine::{Engine, Moment},
};
use super::wire::{Login, Reply, UDP, Writer};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::mpsc;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// Where the SFU says it is. No socket is there.
pub const SFU: &str = "127.0.0.1:10000";

/// A packet the SFU got: from, to, what.
pub type Delivered = (SocketAddr, SocketAddr, Vec<u8>);

/// An SFU that writes down what it gets.
#[derive(Default)]
pub struct Notebook(Mutex<Vec<Delivered>>);

impl Notebook {
    /// What came, once that is so many; waits a second at most.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivered> {
        for _ in 0..100 {
            if self.0.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.0.lock().unwrap().clone()
    }
}

impl MediaPort for Notebook {
    fn owns(&self, address: SocketAddr) -> bool {
        address == sfu()
    }

    fn deliver(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        self.0.lock().unwrap().push((from, to, payload.to_vec()));
    }
}

/// Where the SFU is.
pub fn sfu() -> SocketAddr {
    SFU.parse().unwrap()
}

/// Options of a server on loopback.
pub fn options() -> TurnOptions {
    TurnOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        external: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        realm: "noom".into(),
        limits: TurnLimits::default(),
    }
}

/// A server on a port of its own, and its SFU.
pub async fn start() -> (Turn, Arc<Notebook>) {
    let media = Arc::new(Notebook::default());
    let turn = Turn::start(options(), media.clone()).await.unwrap();
    (turn, media)
}

/// A server without sockets, at a time the test makes up.
pub struct Bench {
    /// The server.
    pub engine: Engine,
    /// The time.
    pub now: Moment,
}

/// A client of it.
pub struct Guest {
    /// Who.
    pub client: Client,
    /// The way to it.
    pub path: Path,
    /// What it got.
    pub inbox: mpsc::Receiver<Bytes>,
    /// What it signs with.
    pub login: Login,
}

impl Bench {
    /// A server with these limits.
    pub fn new(limits: TurnLimits) -> Self {
        let media = Arc::new(Notebook::default());
        let now = Moment {
            instant: Instant::now(),
            wall: SystemTime::now(),
        };
        let options = TurnOptions {
            limits,
            ..options()
        };
        Self {
            engine: Engine::new(&options, media, now.instant),
            now,
        }
    }

    /// Time goes by.
    pub fn wait(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.wall += Duration::from_secs(seconds);
    }

    /// A client at this address, with fresh credentials and a nonce.
    pub fn guest(&self, source: &str, user: &str, room: &str) -> Guest {
        let (queue, inbox) = mpsc::channel(1024);
        let credentials = self.engine.credentials(user, room, self.now);
        let credentials = credentials.expect("a place");
        let mut guest = Guest {
            client: Client {
                transport: Transport::Tcp,
                source: source.parse().unwrap(),
                local: None,
                connection: 1,
            },
            path: Path::Stream(queue),
            inbox,
            login: Login {
                username: credentials.username,
                realm: String::new(),
                nonce: String::new(),
                password: credentials.password,
            },
        };
        self.introduce(&mut guest);
        guest
    }

    /// Asks for realm and nonce.
    pub fn introduce(&self, guest: &mut Guest) {
        let question = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        let reply = self.say(guest, &question.bytes());
        let reply = reply.expect("a challenge");
        assert_eq!(reply.code, Some(401));
        guest.login.realm = reply.realm.unwrap();
        guest.login.nonce = reply.nonce.unwrap();
    }

    /// Says something.
    pub fn say(&self, guest: &Guest, bytes: &[u8]) -> Option<Reply> {
        let answer = self
            .engine
            .handle((&guest.client, &guest.path), bytes, self.now);
        answer.expect("a frame").map(|bytes| Reply::read(&bytes))
    }

    /// Says something signed.
    pub fn ask(&self, guest: &Guest, writer: Writer) -> Reply {
        let reply = self.say(guest, &writer.sign(&guest.login).bytes());
        reply.expect("an answer")
    }

    /// Asks for an allocation.
    pub fn allocate(&self, guest: &Guest) -> Reply {
        let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        self.ask(guest, request)
    }

    /// Asks for permissions.
    pub fn permit(&self, guest: &Guest, peers: &[SocketAddr]) -> Reply {
        let request = Writer::of(CREATE_PERMISSION_REQUEST);
        self.ask(
            guest,
            peers
                .iter()
                .fold(request, |request, peer| request.peer(*peer)),
        )
    }

    /// Sends a packet by a Send indication.
    pub fn send(&self, guest: &Guest, peer: SocketAddr, payload: &[u8]) {
        let message = Writer::of(SEND_INDICATION)
            .peer(peer)
            .with(Kind::Data, payload);
        assert!(
            self.say(guest, &message.bytes()).is_none(),
            "indications are not answered"
        );
    }
}
