//! [`TestApp`], a server, and [`Client`], somebody who speaks the room protocol.

use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, ClientMessage, Devices, Epoch, ErrorCode, Joined, Leg,
        MessageId, ParticipantId, Resume, Seq, ServerMessage, Signal,
    },
    server::{
        AppContext, Server,
        config::{Config, FileLayer, Flags},
        limits::Timing,
    },
};
use clap::Parser;
use futures::{SinkExt, StreamExt};
use std::{
    collections::BTreeMap,
    io::Write,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, protocol::CloseFrame},
};

/// How long a test waits for what it expects before it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Renders the pages of all tests, as the process does it.
static PAGES: LazyLock<Runtime> = LazyLock::new(|| {
    let mut threads = Builder::new_multi_thread();
    threads
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("threads")
});

/// A scrape of `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    /// The value of each series, by its name and labels as they are written.
    values: BTreeMap<String, f64>,
    /// The names of the metrics, as their `# TYPE` lines write them.
    pub names: Vec<String>,
}

impl Metrics {
    /// Parses the response of the metrics listener.
    fn parse(response: &str) -> Self {
        let (head, text) = response.split_once("\r\n\r\n").expect("a response");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let (comments, samples): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        let types = comments
            .iter()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        Self {
            values: samples.into_iter().map(sample).collect(),
            names: types
                .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
                .collect(),
        }
    }

    /// The value of a series. Panics where there is no such series: a test of a number that is
    /// never exposed must not pass.
    pub fn value(&self, name: &str) -> f64 {
        let value = self.values.get(name);
        *value.unwrap_or_else(|| panic!("no metric {name} among {:?}", self.values.keys()))
    }
}

/// A running server.
pub struct TestApp {
    /// Where it listens.
    pub address: SocketAddr,
    /// The address of its metrics listener, unless that is off.
    pub metrics_address: Option<SocketAddr>,
    /// The state of the server, shared with its tasks.
    pub context: AppContext,
    /// Asks it to stop.
    stop: oneshot::Sender<()>,
    /// The task of the server; ends when the server has stopped.
    ended: JoinHandle<()>,
    /// Its data; outlives a restart.
    data: Arc<tempfile::TempDir>,
    /// How it was started.
    flags: Vec<String>,
    /// How long things take.
    timing: Timing,
}

/// Long enough that nothing happens by itself in a test about something else.
pub fn long_timing() -> Timing {
    Timing {
        grace: Duration::from_secs(60),
        summaries_interval: Duration::from_millis(5),
        probe_interval: Duration::ZERO,
        ..Timing::default()
    }
}

/// Short enough that a test sees broken lines go.
pub fn short_timing() -> Timing {
    Timing {
        ping_interval: Duration::from_millis(100),
        dead_after: Duration::from_secs(2),
        grace: Duration::from_millis(50),
        away: Duration::from_millis(300),
        poll_timeout: Duration::from_millis(200),
        first_message_timeout: Duration::from_millis(500),
        empty_room_timeout: Duration::from_millis(300),
        head_timeout: Duration::from_millis(500),
        reserved_head_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(500),
        write_timeout: Duration::from_millis(500),
        summaries_interval: Duration::from_millis(5),
        close_timeout: Duration::from_millis(500),
        move_back_after: Duration::from_millis(200),
        sweep_interval: Duration::from_millis(50),
        probe_interval: Duration::ZERO,
    }
}

/// An empty data directory, with the rights of one that the server made.
pub fn data_directory() -> Arc<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let private = std::fs::Permissions::from_mode(0o700);
    Arc::new(builder.permissions(private).tempdir().expect("tempdir"))
}

impl TestApp {
    /// A server with the defaults.
    pub async fn start() -> Self {
        Self::start_with(long_timing(), &[]).await
    }

    /// A server with these timings and flags.
    pub async fn start_with(timing: Timing, flags: &[&str]) -> Self {
        let data = data_directory();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::on(data, timing, flags).await
    }

    /// A server with these flags, on this directory.
    pub async fn start_in(data: Arc<tempfile::TempDir>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::on(data, long_timing(), flags).await
    }

    /// A server on this data.
    async fn on(data: Arc<tempfile::TempDir>, timing: Timing, flags: Vec<String>) -> Self {
        let directory = data.path().display().to_string();
        let own = [
            ["--listen", "127.0.0.1:0"],
            ["--data-dir", &directory],
            ["--media-listen", "127.0.0.1:0"],
            ["--turn-listen", "off"],
            ["--metrics-listen", "127.0.0.1:0"],
        ];
        // A test about one of these says it for itself.
        let own = own
            .iter()
            .filter(|[name, _]| !flags.iter().any(|flag| flag == name));
        let own = own.flatten().map(|word| (*word).to_owned());
        let words = std::iter::once("noom".to_owned())
            .chain(own)
            .chain(flags.clone());
        let parsed = Flags::try_parse_from(words).expect("flags");
        let config = Config::resolve(&parsed, &|_| None, &FileLayer::default()).expect("config");
        let server = Server::bind(config, timing).await.expect("binds");
        let server = server.with_pages_on(PAGES.handle().clone());
        let (address, context) = (server.address().expect("address"), server.context().clone());
        let metrics = server.metrics_address().expect("address");
        let (stop, stopped) = oneshot::channel();
        let run = async move {
            let until = async move { drop(stopped.await) };
            server.run(until).await.expect("serves");
        };
        let ended = tokio::spawn(run);
        Self {
            address,
            metrics_address: metrics,
            context,
            stop,
            ended,
            data,
            flags,
            timing,
        }
    }

    /// Stops it as SIGTERM does and waits for its end.
    pub async fn stop(self) {
        self.restart_later().await;
    }

    /// Stops it and keeps its data.
    pub async fn stop_and_keep(self) -> Arc<tempfile::TempDir> {
        self.restart_later().await.0
    }

    /// Stops it and starts it again on the same data.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// Stops it, does something with the database, and starts it again.
    pub async fn restart_after(self, between: impl FnOnce(&Path)) -> Self {
        let (data, timing, flags) = self.restart_later().await;
        between(&data.path().join("noom.db"));
        Self::on(data, timing, flags).await
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.context.config.database()
    }

    /// Stops it and keeps what a restart needs.
    async fn restart_later(self) -> (Arc<tempfile::TempDir>, Timing, Vec<String>) {
        let _ = self.stop.send(());
        timeout(Duration::from_secs(10), self.ended)
            .await
            .expect("stops in 10 s")
            .expect("ends");
        (self.data, self.timing, self.flags)
    }

    /// A socket that has said nothing.
    pub async fn connect(&self) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/ws", self.address))
            .await
            .expect("101");
        Client {
            socket,
            joined: None,
        }
    }

    /// A TCP connection from this address of the loopback network.
    pub async fn tcp_from(&self, source: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let source: std::net::IpAddr = source.parse().expect("an address");
        socket.bind((source, 0).into()).expect("binds");
        socket.connect(self.address).await.expect("connects")
    }

    /// A socket from this address of the loopback network.
    pub async fn connect_from(&self, source: &str) -> Client {
        let stream = MaybeTlsStream::Plain(self.tcp_from(source).await);
        let url = format!("ws://{}/ws", self.address);
        let (socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("101");
        Client {
            socket,
            joined: None,
        }
    }

    /// A plain HTTP/1.1 request from this address of the loopback network.
    pub async fn http_from(&self, source: &str, request: &str) -> String {
        answer(self.tcp_from(source).await, request).await
    }

    /// Somebody in a room.
    pub async fn join(&self, room: &str, nickname: &str) -> Client {
        let mut client = self.connect().await;
        client.joins(room, nickname).await;
        client
    }

    /// Somebody who comes back to a room after `seq`.
    pub async fn resume(&self, room: &str, nickname: &str, was: &Joined, seq: Seq) -> Client {
        let mut client = self.connect().await;
        let resume = Resume {
            session: was.session.clone(),
            epoch: was.epoch.clone(),
            seq,
        };
        client.sends(&join(room, nickname, Some(resume))).await;
        client.is_in().await;
        client
    }

    /// A plain HTTP/1.1 request; answers the whole response as text.
    pub async fn http(&self, request: &str) -> String {
        Self::http_at(self.address, request).await
    }

    /// Scrapes the metrics of this server.
    pub async fn metrics(&self) -> Metrics {
        let address = self.metrics_address.expect("metrics are on");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        Metrics::parse(&Self::http_at(address, request).await)
    }

    /// A plain HTTP/1.1 request to this address.
    async fn http_at(address: SocketAddr, request: &str) -> String {
        answer(
            TcpStream::connect(address).await.expect("connects"),
            request,
        )
        .await
    }

    /// A GET that closes the connection.
    pub async fn get(&self, path: &str) -> String {
        self.http(&get(path)).await
    }
}

/// A page without the markers `<!>`, which some builds put between neighbouring texts.
pub fn without_markers(page: &str) -> String {
    page.replace("<!>", "")
}

/// What is answered to a request that closes its connection; nothing where it is hung up on.
pub async fn answer(mut stream: TcpStream, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // Whoever is hung up on cannot always write, nor read to an end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut response = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut response)).await;
    let _ = read.expect("answers");
    String::from_utf8_lossy(&response).into_owned()
}

/// A GET that closes the connection.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// A form that is posted, with these further headers, and closes the connection.
pub fn form(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// The number in the first line of an answer; 0 where there is none.
pub fn status(answer: &str) -> u16 {
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or(0)
}

/// Says why a test does nothing on this machine.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Waits until something holds that no event tells of.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, wait).await.expect(what);
}

/// A `join` message.
pub fn join(room: &str, nickname: &str, resume: Option<Resume>) -> ClientMessage {
    ClientMessage::Join {
        room: room.to_owned(),
        nickname: nickname.to_owned(),
        resume,
    }
}

/// A message with a fresh id.
pub fn draft(text: &str) -> ChatDraft {
    ChatDraft {
        id: new_id(),
        text: ChatText::parse(text).expect("valid"),
        reply_to: None,
    }
}

/// A fresh message id.
pub fn new_id() -> MessageId {
    MessageId(uuid::Uuid::from_u128(rand::random()))
}

/// Somebody with a socket.
pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The answer to `join`.
    joined: Option<Joined>,
}

impl Client {
    /// Sends a message.
    pub async fn sends(&mut self, message: &ClientMessage) {
        let json = serde_json::to_string(message).expect("serialises");
        self.sends_text(&json).await;
    }

    /// Sends a text frame.
    pub async fn sends_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// The next message.
    pub async fn next(&mut self) -> ServerMessage {
        serde_json::from_str(&self.next_text().await).expect("a message")
    }

    /// The next text frame as it came.
    pub async fn next_text(&mut self) -> String {
        // Around the loop: a ping of the server is nothing that was waited for.
        let next = async {
            loop {
                let frame = self.socket.next().await;
                match frame.expect("open").expect("read") {
                    Message::Text(text) => return text.as_str().to_owned(),
                    Message::Close(frame) => panic!("closed: {frame:?}"),
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, next).await.expect("something comes")
    }

    /// Every text frame as it comes, up to and without the answer to a `ping` sent now.
    pub async fn frames_until_now(&mut self) -> Vec<String> {
        self.sends(&ClientMessage::Ping).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next_text().await;
            if frame == r#"{"type":"pong"}"# {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The next message that `pick` takes; others are passed over.
    pub async fn waits_for<T>(&mut self, mut pick: impl FnMut(ServerMessage) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.next().await) {
                return found;
            }
        }
    }

    /// Everything that comes before the answer to a `ping` sent now.
    pub async fn hears_until_now(&mut self) -> Vec<ServerMessage> {
        self.sends(&ClientMessage::Ping).await;
        let mut heard = Vec::new();
        loop {
            match self.next().await {
                ServerMessage::Pong => return heard,
                other => heard.push(other),
            }
        }
    }

    /// The number of the close frame that ends the socket.
    pub async fn is_closed(&mut self) -> Option<u16> {
        loop {
            let frame = timeout(DEADLINE, self.socket.next())
                .await
                .expect("it ends");
            match frame {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Joins and waits for the answer.
    pub async fn joins(&mut self, room: &str, nickname: &str) {
        self.sends(&join(room, nickname, None)).await;
        self.is_in().await;
    }

    /// Waits for the answer to `join`.
    async fn is_in(&mut self) {
        let joined = self.waits_for(|message| match message {
            ServerMessage::Joined(joined) => Some(joined),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        });
        self.joined = Some(joined.await);
    }

    /// The answer to `join`.
    pub fn joined(&self) -> &Joined {
        self.joined.as_ref().expect("has joined")
    }

    /// Who one is.
    pub fn id(&self) -> ParticipantId {
        self.joined().me.clone()
    }

    /// The log one is in.
    pub fn epoch(&self) -> Epoch {
        self.joined().epoch.clone()
    }

    /// Says something and waits for the acknowledgement.
    pub async fn says(&mut self, text: &str) -> ChatMessage {
        let id = new_id();
        self.says_as(id, text).await
    }

    /// Says something under this id and waits for the acknowledgement.
    pub async fn says_as(&mut self, id: MessageId, text: &str) -> ChatMessage {
        self.sends(&ClientMessage::Chat(ChatDraft {
            id,
            text: text.to_owned(),
            reply_to: None,
        }))
        .await;
        self.waits_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(chat),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
    }

    /// Waits until somebody else says this; fails on any other chat.
    pub async fn sees(&mut self, text: &str) -> ChatMessage {
        let chat = self.waits_for(|message| match message {
            ServerMessage::Chat(chat) => Some(chat),
            _ => None,
        });
        let chat = chat.await;
        assert_eq!(chat.words(), text);
        chat
    }

    /// Waits until a message is different, and gives it back.
    pub async fn sees_changed(&mut self) -> ChatMessage {
        self.waits_for(|message| match message {
            ServerMessage::Changed { message, .. } => Some(message),
            _ => None,
        })
        .await
    }

    /// Waits for a refusal.
    pub async fn is_refused(&mut self) -> (ErrorCode, Option<MessageId>) {
        self.waits_for(|message| match message {
            ServerMessage::Error { code, id, .. } => Some((code, id)),
            _ => None,
        })
        .await
    }

    /// Waits until a person of this nickname has left.
    pub async fn sees_leave(&mut self, nickname: &str) -> u32 {
        self.waits_for(|message| match message {
            ServerMessage::Left { person, count, .. } if person.nickname.as_str() == nickname => {
                Some(count)
            }
            _ => None,
        })
        .await
    }

    /// Enters the call and waits for the answer.
    pub async fn enters_call(&mut self, leg: Leg) -> Vec<crate::protocol::CallPerson> {
        let devices = Devices {
            microphone: true,
            ..Devices::default()
        };
        self.enters_call_as(leg, devices, false).await
    }

    /// Enters the call, hiding one's address or not, and waits for the answer.
    pub async fn enters_call_as(
        &mut self,
        leg: Leg,
        devices: Devices,
        hide_address: bool,
    ) -> Vec<crate::protocol::CallPerson> {
        self.sends(&ClientMessage::EnterCall {
            leg,
            devices,
            hide_address,
        })
        .await;
        self.waits_for(|message| match message {
            ServerMessage::Call { people, .. } => Some(people),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
    }

    /// Sends an offer to a stay of somebody.
    pub async fn offers(&mut self, to: &ParticipantId, leg: Leg, sdp: &str) {
        let signal = Signal::Offer {
            connection: 1,
            sdp: sdp.to_owned(),
        };
        self.sends(&ClientMessage::Signal {
            to: to.clone(),
            leg,
            signal,
        })
        .await;
    }

    /// Closes with this code, or without one, and waits for the end.
    pub async fn closes(mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame {
            code: code.into(),
            reason: "".into(),
        });
        self.socket.close(frame).await.expect("closed");
        self.is_closed().await;
    }
}
