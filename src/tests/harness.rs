//! [`TestApp`], a running server, and [`Client`], a WebSocket client of the room protocol.

use crate::{
    protocol::{
        ChatDraft, ChatMessage, ChatText, ClientMessage, Devices, Epoch, ErrorCode, FileId,
        JoinRequest, Joined, Leg, MessageId, ParticipantId, Resume, Seq, ServerMessage, Signal,
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
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::CloseFrame},
};

/// Threads that render the pages of one server: as many as on a machine of four cores.
const PAGE_THREADS: usize = 4;

/// How long a test waits for an expected event before it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The runtime that renders the pages of one server, separate from the test's own as in production.
/// Each server has its own: tests run in one process, and on shared threads the pages of one test
/// would wait behind those that another test requests as an attacker.
struct PageThreads(Option<Runtime>);

impl PageThreads {
    /// Starts the threads.
    fn start() -> Self {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(PAGE_THREADS).enable_all();
        Self(Some(threads.build().expect("threads")))
    }

    /// Where pages are rendered.
    fn handle(&self) -> Handle {
        self.0.as_ref().expect("until the drop").handle().clone()
    }
}

impl Drop for PageThreads {
    /// A runtime that waits for its threads may not be dropped in a test, which is on another one.
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

/// A scrape of `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    /// The value of each series, keyed by its name and labels as in the response.
    values: BTreeMap<String, f64>,
    /// The names of the metrics in the `# TYPE` lines.
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

    /// The value of a series. Panics if there is no such series: a test of a metric that is never
    /// exposed must not pass.
    pub fn value(&self, name: &str) -> f64 {
        let value = self.values.get(name);
        *value.unwrap_or_else(|| panic!("no metric {name} among {:?}", self.values.keys()))
    }
}

/// A running server with a data directory of its own.
pub struct TestApp {
    /// The address of its HTTP listener.
    pub address: SocketAddr,
    /// The address of its metrics listener, unless that is off.
    pub metrics_address: Option<SocketAddr>,
    /// The state of the server, shared with its tasks.
    pub context: AppContext,
    /// Stops the server when sent or dropped.
    stop: oneshot::Sender<()>,
    /// The task of the server; ends when the server has stopped.
    ended: JoinHandle<()>,
    /// The data directory; survives a restart.
    data: Arc<tempfile::TempDir>,
    /// The flags of the start, besides the defaults of the tests.
    flags: Vec<String>,
    /// The timeouts and intervals of the server.
    timing: Timing,
    /// Renders its pages; dropped last.
    _pages: PageThreads,
}

/// Timeouts that no test reaches, for tests about other behaviour.
pub fn long_timing() -> Timing {
    Timing {
        grace: Duration::from_secs(60),
        summaries_interval: Duration::from_millis(5),
        probe_interval: Duration::ZERO,
        operator_interval: Duration::from_millis(20),
        render_timeout: Duration::from_secs(60),
        ..Timing::default()
    }
}

/// Timeouts that a test can wait for.
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
        render_timeout: Duration::from_secs(60),
        close_timeout: Duration::from_millis(500),
        move_back_after: Duration::from_millis(200),
        sweep_interval: Duration::from_millis(50),
        forget_interval: Duration::from_millis(50),
        probe_interval: Duration::ZERO,
        operator_interval: Duration::from_millis(20),
        setup_link: Duration::from_millis(300),
        upload_lasts: Duration::from_secs(60),
        upload_stall: Duration::from_millis(500),
        export_lasts: Duration::from_secs(60),
    }
}

/// An empty data directory with the permissions that the server requires.
pub fn data_directory() -> Arc<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let private = std::fs::Permissions::from_mode(0o700);
    Arc::new(builder.permissions(private).tempdir().expect("tempdir"))
}

impl TestApp {
    /// Starts a server with the default settings and [`long_timing`].
    pub async fn start() -> Self {
        Self::start_with(long_timing(), &[]).await
    }

    /// Starts a server with these timeouts and flags.
    pub async fn start_with(timing: Timing, flags: &[&str]) -> Self {
        let data = data_directory();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::on(data, timing, flags).await
    }

    /// Starts a server with these flags on an existing data directory.
    pub async fn start_in(data: Arc<tempfile::TempDir>, flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::on(data, long_timing(), flags).await
    }

    /// Starts a server on this data directory.
    async fn on(data: Arc<tempfile::TempDir>, timing: Timing, flags: Vec<String>) -> Self {
        let directory = data.path().display().to_string();
        let own = [
            ["--listen", "127.0.0.1:0"],
            ["--data-dir", &directory],
            ["--media-listen", "127.0.0.1:0"],
            ["--turn-listen", "off"],
            ["--metrics-listen", "127.0.0.1:0"],
        ];
        // The flags of the test replace these.
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
        let pages = PageThreads::start();
        let server = server.with_pages_on(pages.handle());
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
            _pages: pages,
        }
    }

    /// Stops the server as SIGTERM does, and waits for its end.
    pub async fn stop(self) {
        self.restart_later().await;
    }

    /// Stops the server and returns its data directory.
    pub async fn stop_and_keep(self) -> Arc<tempfile::TempDir> {
        self.restart_later().await.0
    }

    /// Stops the server and starts it again on the same data.
    pub async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// Stops the server, runs `between` on the path of the database, and starts the server again.
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

    /// Stops the server and returns the arguments of a restart.
    async fn restart_later(self) -> (Arc<tempfile::TempDir>, Timing, Vec<String>) {
        let _ = self.stop.send(());
        timeout(Duration::from_secs(10), self.ended)
            .await
            .expect("stops in 10 s")
            .expect("ends");
        (self.data, self.timing, self.flags)
    }

    /// A WebSocket that has sent no message.
    pub async fn connect(&self) -> Client {
        self.connect_at("/ws").await
    }

    /// A WebSocket at this path that has sent no message.
    pub async fn connect_at(&self, path: &str) -> Client {
        let (socket, _) = connect_async(format!("ws://{}{path}", self.address))
            .await
            .expect("101");
        Client {
            socket,
            joined: None,
        }
    }

    /// Opens a TCP connection from this address of the loopback network.
    pub async fn tcp_from(&self, source: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let source: std::net::IpAddr = source.parse().expect("an address");
        socket.bind((source, 0).into()).expect("binds");
        socket.connect(self.address).await.expect("connects")
    }

    /// Opens a WebSocket from this address of the loopback network.
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

    /// Opens a WebSocket from this address whose client claims to be forwarded for another one.
    pub async fn connect_claiming(&self, source: &str, forwarded: &str) -> Client {
        let stream = MaybeTlsStream::Plain(self.tcp_from(source).await);
        let url = format!("ws://{}/ws", self.address);
        let mut request = url.into_client_request().expect("a request");
        let forwarded = forwarded.parse().expect("a header");
        request.headers_mut().insert("X-Forwarded-For", forwarded);
        let (socket, _) = tokio_tungstenite::client_async(request, stream)
            .await
            .expect("101");
        Client {
            socket,
            joined: None,
        }
    }

    /// Opens a WebSocket of the client that a proxy on this machine names.
    pub async fn connect_for(&self, client: &str) -> Client {
        let url = format!("ws://{}/ws", self.address);
        let mut request = url.into_client_request().expect("a request");
        let client = client.parse().expect("a header");
        request.headers_mut().insert("X-Forwarded-For", client);
        let (socket, _) = connect_async(request).await.expect("101");
        Client {
            socket,
            joined: None,
        }
    }

    /// Sends a plain HTTP/1.1 request from this address of the loopback network. Returns the
    /// response.
    pub async fn http_from(&self, source: &str, request: &str) -> String {
        answer(self.tcp_from(source).await, request).await
    }

    /// Opens a WebSocket and joins a room.
    pub async fn join(&self, room: &str, nickname: &str) -> Client {
        let mut client = self.connect().await;
        client.join(room, nickname).await;
        client
    }

    /// Opens a WebSocket and resumes the session of `was` after the event `seq`.
    pub async fn resume(&self, room: &str, nickname: &str, was: &Joined, seq: Seq) -> Client {
        let mut client = self.connect().await;
        let resume = Resume {
            session: was.session.clone(),
            epoch: was.epoch.clone(),
            seq,
        };
        client.send(&join(room, nickname, Some(resume))).await;
        client.wait_for_joined().await;
        client
    }

    /// Sends a plain HTTP/1.1 request. Returns the whole response as text.
    pub async fn http(&self, request: &str) -> String {
        Self::http_at(self.address, request).await
    }

    /// Scrapes the metrics of this server.
    pub async fn metrics(&self) -> Metrics {
        let address = self.metrics_address.expect("metrics are on");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        Metrics::parse(&Self::http_at(address, request).await)
    }

    /// Sends a plain HTTP/1.1 request to this address. Returns the response.
    async fn http_at(address: SocketAddr, request: &str) -> String {
        answer(
            TcpStream::connect(address).await.expect("connects"),
            request,
        )
        .await
    }

    /// Sends a GET request. Returns the response.
    pub async fn get(&self, path: &str) -> String {
        self.http(&get(path)).await
    }
}

/// A page without the markers `<!>`, which some builds of Leptos insert between adjacent texts.
pub fn without_markers(page: &str) -> String {
    page.replace("<!>", "")
}

/// Sends a request that closes its connection. Returns the response, empty if the server closes the
/// connection without one.
pub async fn answer(mut stream: TcpStream, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // If the server closes the connection early, both the write and the read may fail.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut response = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut response)).await;
    assert!(read.is_ok(), "no answer to {request}");
    String::from_utf8_lossy(&response).into_owned()
}

/// The text of a GET request with `Connection: close`.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// The text of a POST request with a form as its body and these additional headers.
pub fn form(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// The status code of a response; 0 if there is none.
pub fn status(answer: &str) -> u16 {
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or(0)
}

/// Prints why a test is skipped on this machine.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Polls a condition that no event announces until it holds.
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
    ClientMessage::Join(JoinRequest {
        room: room.to_owned(),
        nickname: nickname.to_owned(),
        resume,
        ..JoinRequest::default()
    })
}

/// A message with a fresh id.
pub fn draft(text: &str) -> ChatDraft {
    ChatDraft {
        id: new_id(),
        text: ChatText::parse(text).expect("valid"),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    }
}

/// A fresh message id.
pub fn new_id() -> MessageId {
    MessageId(uuid::Uuid::from_u128(rand::random()))
}

/// A client of the room protocol over a WebSocket.
pub struct Client {
    /// The WebSocket, also for frames outside the protocol.
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The `joined` message, once received.
    joined: Option<Joined>,
}

impl Client {
    /// Sends a message.
    pub async fn send(&mut self, message: &ClientMessage) {
        let json = serde_json::to_string(message).expect("serialises");
        self.send_text(&json).await;
    }

    /// Sends a text frame.
    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// The next message.
    pub async fn next(&mut self) -> ServerMessage {
        serde_json::from_str(&self.next_text().await).expect("a message")
    }

    /// The next text frame, not decoded.
    pub async fn next_text(&mut self) -> String {
        // The timeout is around the loop, because pings of the server must not extend it.
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

    /// The text frames that arrive before the `pong` of a `ping` sent now, not decoded.
    pub async fn frames_so_far(&mut self) -> Vec<String> {
        self.send(&ClientMessage::Ping).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next_text().await;
            if frame == r#"{"type":"pong"}"# {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// Waits for the first message for which `pick` returns a value; drops the messages before it.
    pub async fn wait_for<T>(&mut self, mut pick: impl FnMut(ServerMessage) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.next().await) {
                return found;
            }
        }
    }

    /// The messages that arrive before the `pong` of a `ping` sent now.
    pub async fn received_so_far(&mut self) -> Vec<ServerMessage> {
        self.send(&ClientMessage::Ping).await;
        let mut received = Vec::new();
        loop {
            match self.next().await {
                ServerMessage::Pong => return received,
                other => received.push(other),
            }
        }
    }

    /// Waits for the end of the socket. Returns the code of the close frame, if it has one.
    pub async fn wait_for_close(&mut self) -> Option<u16> {
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

    /// Joins a room and waits for `joined`.
    pub async fn join(&mut self, room: &str, nickname: &str) {
        self.join_as(join(room, nickname, None)).await;
    }

    /// Sends this `join` and waits for `joined`.
    pub async fn join_as(&mut self, join: ClientMessage) {
        self.send(&join).await;
        self.wait_for_joined().await;
    }

    /// Waits for `joined`, and stores it.
    async fn wait_for_joined(&mut self) {
        let joined = self.wait_for(|message| match message {
            ServerMessage::Joined(joined) => Some(joined),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        });
        self.joined = Some(joined.await);
    }

    /// The `joined` message of this client.
    pub fn joined(&self) -> &Joined {
        self.joined.as_ref().expect("has joined")
    }

    /// The participant id of this client.
    pub fn id(&self) -> ParticipantId {
        self.joined().me.clone()
    }

    /// The epoch of the room.
    pub fn epoch(&self) -> Epoch {
        self.joined().epoch.clone()
    }

    /// Sends a chat message and waits for its acknowledgement.
    pub async fn send_chat(&mut self, text: &str) -> ChatMessage {
        let id = new_id();
        self.send_chat_with_id(id, text).await
    }

    /// Sends a chat message with this id and waits for its acknowledgement.
    pub async fn send_chat_with_id(&mut self, id: MessageId, text: &str) -> ChatMessage {
        self.send(&ClientMessage::Chat(ChatDraft {
            id,
            text: text.to_owned(),
            reply_to: None,
            files: Vec::new(),
            mentions: Vec::new(),
        }))
        .await;
        self.wait_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(chat),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
    }

    /// Sends a chat message with files. Returns the stored message, or the code of its refusal.
    pub async fn try_chat(
        &mut self,
        id: MessageId,
        text: &str,
        files: Vec<FileId>,
    ) -> Result<ChatMessage, ErrorCode> {
        self.send(&ClientMessage::Chat(ChatDraft {
            id,
            text: text.to_owned(),
            reply_to: None,
            files,
            mentions: Vec::new(),
        }))
        .await;
        self.wait_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(Ok(chat)),
            ServerMessage::Error {
                code,
                id: Some(about),
                ..
            } if about == id => Some(Err(code)),
            _ => None,
        })
        .await
    }

    /// Waits for the next chat message and checks its text.
    pub async fn wait_for_chat(&mut self, text: &str) -> ChatMessage {
        let chat = self.wait_for(|message| match message {
            ServerMessage::Chat(chat) => Some(chat),
            _ => None,
        });
        let chat = chat.await;
        assert_eq!(chat.words(), text);
        chat
    }

    /// Waits for `changed`. Returns the changed message.
    pub async fn wait_for_changed(&mut self) -> ChatMessage {
        self.wait_for(|message| match message {
            ServerMessage::Changed { message, .. } => Some(message),
            _ => None,
        })
        .await
    }

    /// Waits for `error`. Returns its code and the id of the refused message.
    pub async fn wait_for_refusal(&mut self) -> (ErrorCode, Option<MessageId>) {
        self.wait_for(|message| match message {
            ServerMessage::Error { code, id, .. } => Some((code, id)),
            _ => None,
        })
        .await
    }

    /// Waits for `left` of a person with this nickname. Returns the number of people who remain.
    pub async fn wait_for_left(&mut self, nickname: &str) -> u32 {
        self.wait_for(|message| match message {
            ServerMessage::Left { person, count, .. } if person.nickname.as_str() == nickname => {
                Some(count)
            }
            _ => None,
        })
        .await
    }

    /// Enters the call with a microphone and waits for `call`.
    pub async fn enter_call(&mut self, leg: Leg) -> Vec<crate::protocol::CallPerson> {
        let devices = Devices {
            microphone: true,
            ..Devices::default()
        };
        self.enter_call_as(leg, devices, false).await
    }

    /// Enters the call and waits for `call`. Returns the people in the call.
    pub async fn enter_call_as(
        &mut self,
        leg: Leg,
        devices: Devices,
        hide_address: bool,
    ) -> Vec<crate::protocol::CallPerson> {
        self.send(&ClientMessage::EnterCall {
            leg,
            devices,
            hide_address,
        })
        .await;
        self.wait_for(|message| match message {
            ServerMessage::Call { people, .. } => Some(people),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
    }

    /// Sends an offer to the session `leg` of a participant.
    pub async fn send_offer(&mut self, to: &ParticipantId, leg: Leg, sdp: &str) {
        let signal = Signal::Offer {
            connection: 1,
            sdp: sdp.to_owned(),
        };
        self.send(&ClientMessage::Signal {
            to: to.clone(),
            leg: Some(leg),
            signal,
        })
        .await;
    }

    /// Closes the socket with this code, or without one, and waits for its end.
    pub async fn close(mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame {
            code: code.into(),
            reason: "".into(),
        });
        self.socket.close(frame).await.expect("closed");
        self.wait_for_close().await;
    }
}
