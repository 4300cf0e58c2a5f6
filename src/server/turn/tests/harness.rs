//! The server under test and an SFU that writes down what it gets.

use super::super::{
    LocalPeer, Turn, TurnLimits, TurnOptions,
    client::{ClientWriter, FiveTuple, Transport},
    engine::{Engine, Moment},
};
use super::wire::{Reply, TestCredentials, UDP, Writer};
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
pub struct RecordingPeer(Mutex<Vec<Delivered>>);

impl RecordingPeer {
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

impl LocalPeer for RecordingPeer {
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
pub async fn start() -> (Turn, Arc<RecordingPeer>) {
    let media = Arc::new(RecordingPeer::default());
    let turn = Turn::start(options(), media.clone()).await.unwrap();
    (turn, media)
}

/// A server without sockets, at a time the test makes up.
pub struct TestEngine {
    /// The server.
    pub engine: Engine,
    /// The time.
    pub now: Moment,
}

/// A client of it.
pub struct TestClient {
    /// Who.
    pub five_tuple: FiveTuple,
    /// The way to it.
    pub writer: ClientWriter,
    /// What it got.
    pub inbox: mpsc::Receiver<Bytes>,
    /// What it signs with.
    pub credentials: TestCredentials,
}

impl TestEngine {
    /// A server with these limits.
    pub fn new(limits: TurnLimits) -> Self {
        let media = Arc::new(RecordingPeer::default());
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
    pub fn client(&self, source: &str, user: &str, room: &str) -> TestClient {
        let (queue, inbox) = mpsc::channel(1024);
        let credentials = self.engine.credentials(user, room, self.now);
        let credentials = credentials.expect("a place");
        let mut client = TestClient {
            five_tuple: FiveTuple {
                transport: Transport::Tcp,
                source: source.parse().unwrap(),
                local: None,
                connection: 1,
            },
            writer: ClientWriter::Stream(queue),
            inbox,
            credentials: TestCredentials {
                username: credentials.username,
                realm: String::new(),
                nonce: String::new(),
                password: credentials.password,
            },
        };
        self.fetch_challenge(&mut client);
        client
    }

    /// Asks for realm and nonce.
    pub fn fetch_challenge(&self, client: &mut TestClient) {
        let question = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        let reply = self.send_frame(client, &question.bytes());
        let reply = reply.expect("a challenge");
        assert_eq!(reply.code, Some(401));
        client.credentials.realm = reply.realm.unwrap();
        client.credentials.nonce = reply.nonce.unwrap();
    }

    /// Says something.
    pub fn send_frame(&self, client: &TestClient, bytes: &[u8]) -> Option<Reply> {
        let answer = self
            .engine
            .on_frame((&client.five_tuple, &client.writer), bytes, self.now);
        answer.expect("a frame").map(|bytes| Reply::read(&bytes))
    }

    /// Says something signed.
    pub fn request(&self, client: &TestClient, writer: Writer) -> Reply {
        let reply = self.send_frame(client, &writer.sign(&client.credentials).bytes());
        reply.expect("an answer")
    }

    /// Asks for an allocation.
    pub fn allocate(&self, client: &TestClient) -> Reply {
        let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        self.request(client, request)
    }

    /// Asks for permissions.
    pub fn permit(&self, client: &TestClient, peers: &[SocketAddr]) -> Reply {
        let request = Writer::of(CREATE_PERMISSION_REQUEST);
        self.request(
            client,
            peers
                .iter()
                .fold(request, |request, peer| request.peer(*peer)),
        )
    }

    /// Sends a packet by a Send indication.
    pub fn send(&self, client: &TestClient, peer: SocketAddr, payload: &[u8]) {
        let message = Writer::of(SEND_INDICATION)
            .peer(peer)
            .with(Kind::Data, payload);
        assert!(
            self.send_frame(client, &message.bytes()).is_none(),
            "indications are not answered"
        );
    }
}
