//! The server under test, and an SFU that records the packets it receives.

use super::super::{
    LocalPeer, Turn, TurnLimits, TurnOptions,
    client::{ClientWriter, FiveTuple, Transport},
    engine::{ArrivalTime, Engine},
};
use super::wire::{Reply, TestCredentials, UDP, Writer};
use crate::server::{
    net::{RequestRateLimiter, RequestRateLimits, TotalRateLimits},
    profile::Profile,
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::mpsc;
use turn_server::codec::message::{attributes::AttributeType as Kind, methods::*};

/// The address of the SFU. It has no socket.
pub const SFU: &str = "127.0.0.1:10000";

/// A packet that the SFU received: source, destination and payload.
pub type Delivered = (SocketAddr, SocketAddr, Vec<u8>);

/// An SFU that records the packets it receives.
#[derive(Default)]
pub struct RecordingPeer(Mutex<Vec<Delivered>>);

impl RecordingPeer {
    /// Waits until `count` packets have arrived, one second at most. Returns all packets.
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

/// The address of the SFU.
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
        rates: rates("", ""),
    }
}

/// Rates of the private profile with these changes, of one address and of all together.
pub fn rates(address: &str, total: &str) -> Arc<RequestRateLimiter> {
    let address = RequestRateLimits::parse(address, Profile::Private).unwrap();
    let total = TotalRateLimits::parse(total, Profile::Private).unwrap();
    Arc::new(RequestRateLimiter::new(address, total))
}

/// A server on a free port, and its SFU.
pub async fn start() -> (Turn, Arc<RecordingPeer>) {
    let media = Arc::new(RecordingPeer::default());
    let turn = Turn::start(options(), media.clone()).await.unwrap();
    (turn, media)
}

/// A server without sockets, with a clock of the test.
pub struct TestEngine {
    /// The server under test.
    pub engine: Engine,
    /// The time of arrival of the next frame.
    pub now: ArrivalTime,
}

/// A client of a [`TestEngine`].
pub struct TestClient {
    /// The 5-tuple of the client; TCP by default.
    pub five_tuple: FiveTuple,
    /// Sends frames into `inbox`.
    pub writer: ClientWriter,
    /// The relayed frames that the client received; 1024 at most.
    pub inbox: mpsc::Receiver<Bytes>,
    /// The credentials of its requests, with realm and nonce.
    pub credentials: TestCredentials,
}

impl TestEngine {
    /// A server with these limits.
    pub fn new(limits: TurnLimits) -> Self {
        Self::with_rates(limits, rates("", ""))
    }

    /// A server with these limits, and rates of addresses.
    pub fn with_rates(limits: TurnLimits, rates: Arc<RequestRateLimiter>) -> Self {
        let media = Arc::new(RecordingPeer::default());
        let now = ArrivalTime {
            instant: Instant::now(),
            wall: SystemTime::now(),
        };
        let options = TurnOptions {
            limits,
            rates,
            ..options()
        };
        Self {
            engine: Engine::new(&options, media, now.instant),
            now,
        }
    }

    /// Advances both clocks.
    pub fn wait(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.wall += Duration::from_secs(seconds);
    }

    /// A client at this address, with new credentials and a nonce.
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

    /// Fetches realm and nonce by an unauthenticated request.
    pub fn fetch_challenge(&self, client: &mut TestClient) {
        let question = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        let reply = self.send_frame(client, &question.bytes());
        let reply = reply.expect("a challenge");
        assert_eq!(reply.code, Some(401));
        client.credentials.realm = reply.realm.unwrap();
        client.credentials.nonce = reply.nonce.unwrap();
    }

    /// Passes a frame of the client to the server; returns the response, if any.
    pub fn send_frame(&self, client: &TestClient, bytes: &[u8]) -> Option<Reply> {
        let answer = self
            .engine
            .on_frame((&client.five_tuple, &client.writer), bytes, self.now);
        answer.expect("a frame").map(|bytes| Reply::read(&bytes))
    }

    /// Sends an authenticated request; returns the response.
    pub fn request(&self, client: &TestClient, writer: Writer) -> Reply {
        let reply = self.send_frame(client, &writer.sign(&client.credentials).bytes());
        reply.expect("an answer")
    }

    /// Sends an Allocate request; returns the response.
    pub fn allocate(&self, client: &TestClient) -> Reply {
        let request = Writer::of(ALLOCATE_REQUEST).with(Kind::RequestedTransport, &UDP);
        self.request(client, request)
    }

    /// Sends a CreatePermission request; returns the response.
    pub fn permit(&self, client: &TestClient, peers: &[SocketAddr]) -> Reply {
        let request = Writer::of(CREATE_PERMISSION_REQUEST);
        self.request(
            client,
            peers
                .iter()
                .fold(request, |request, peer| request.peer(*peer)),
        )
    }

    /// Sends a packet in a Send indication.
    pub fn send(&self, client: &TestClient, peer: SocketAddr, payload: &[u8]) {
        let message = Writer::of(SEND_INDICATION)
            .peer(peer)
            .with(Kind::Data, payload);
        assert!(
            self.send_frame(client, &message.bytes()).is_none(),
            "an indication gets no response"
        );
    }
}
