//! [`Poller`], a client of the room protocol over requests to `/poll`.

use super::harness::{DEADLINE, TestApp, join, new_id};
use crate::protocol::{
    ChatDraft, ChatMessage, ClientMessage, Joined, MessageId, Resume, Seq, ServerMessage,
};
use serde::Deserialize;
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The response to a request.
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body as text.
    pub body: String,
}

/// The body of the response to a GET request.
#[derive(Debug, Deserialize)]
pub struct Polled {
    /// The messages after the requested position.
    pub frames: Vec<ServerMessage>,
    /// The position for the next request.
    pub next: u64,
    /// The close code, if the connection has ended.
    pub close: Option<u16>,
}

/// A client of the room protocol over long polling.
pub struct Poller {
    /// The address of the server.
    address: SocketAddr,
    /// The secret of the connection, sent with each request.
    pub connection: String,
    /// The number of the last batch.
    pub batch: u64,
    /// The position up to which all messages are received.
    pub after: u64,
    /// Received messages that the test has not read yet.
    unread: VecDeque<ServerMessage>,
    /// The `joined` message, once received.
    joined: Option<Joined>,
}

/// Sends one request on its own TCP connection. Returns the response.
pub async fn request(address: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // The server may refuse a request before it has read all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("answers");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// The header that carries the secret of a connection.
pub fn of_connection(secret: &str) -> String {
    format!("Noom-Connection: {secret}\r\n")
}

/// The header of a JSON body.
pub const JSON: &str = "Content-Type: application/json\r\n";

impl Poller {
    /// Opens a connection, and sends no message.
    pub async fn open(app: &TestApp) -> Self {
        Self::open_with(app, "").await
    }

    /// Opens a connection by a request with these headers, and sends no message.
    pub async fn open_with(app: &TestApp, headers: &str) -> Self {
        let answer = request(app.address, "POST /poll", headers, "").await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let opened: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        Self {
            address: app.address,
            connection: opened["connection"].as_str().expect("a secret").to_owned(),
            batch: 0,
            after: 0,
            unread: VecDeque::new(),
            joined: None,
        }
    }

    /// Opens a connection and joins a room.
    pub async fn join(app: &TestApp, room: &str, nickname: &str) -> Self {
        let mut poller = Self::open(app).await;
        poller.send_join(&join(room, nickname, None)).await;
        poller
    }

    /// Opens a connection and resumes the session of `was` after the event `seq`.
    pub async fn resume(app: &TestApp, room: &str, nickname: &str, was: &Joined, seq: Seq) -> Self {
        let (session, epoch) = (was.session.clone(), was.epoch.clone());
        let resume = Resume {
            session,
            epoch,
            seq,
        };
        let mut poller = Self::open(app).await;
        poller.send_join(&join(room, nickname, Some(resume))).await;
        poller
    }

    /// Sends `join` and waits for `joined`.
    pub async fn send_join(&mut self, message: &ClientMessage) {
        self.send(&[message]).await;
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

    /// Sends messages as the next batch.
    pub async fn send(&mut self, messages: &[&ClientMessage]) {
        let body = serde_json::to_string(messages).expect("serialises");
        self.batch += 1;
        let answer = self.post_batch(self.batch, &body).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    /// Posts a body as the batch of this number. Returns the response.
    pub async fn post_batch(&self, batch: u64, body: &str) -> Answer {
        let line = format!("POST /poll?batch={batch}");
        let headers = format!("{}{JSON}", of_connection(&self.connection));
        request(self.address, &line, &headers, body).await
    }

    /// Closes the connection with this code. Returns the status of the response.
    pub async fn close(&self, code: u16) -> u16 {
        let line = format!("POST /poll?close={code}");
        let headers = of_connection(&self.connection);
        request(self.address, &line, &headers, "").await.status
    }

    /// Polls for messages after the position `after`. Returns the response.
    pub async fn poll(&self, after: u64) -> Answer {
        let line = format!("GET /poll?after={after}");
        let headers = of_connection(&self.connection);
        request(self.address, &line, &headers, "").await
    }

    /// Polls for messages after the position `after`, which must succeed.
    pub async fn poll_frames(&self, after: u64) -> Polled {
        let answer = self.poll(after).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("frames")
    }

    /// The next message.
    pub async fn next(&mut self) -> ServerMessage {
        loop {
            if let Some(message) = self.unread.pop_front() {
                return message;
            }
            let polled = self.poll_frames(self.after).await;
            assert_eq!(polled.close, None);
            self.after = polled.next;
            self.unread.extend(polled.frames);
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
        self.send(&[&ClientMessage::Ping]).await;
        let mut received = Vec::new();
        loop {
            match self.next().await {
                ServerMessage::Pong => return received,
                other => received.push(other),
            }
        }
    }

    /// Waits for the end of the connection. Returns its close code; drops all messages.
    pub async fn wait_for_close(&mut self) -> u16 {
        loop {
            let polled = self.poll_frames(self.after).await;
            self.after = polled.next;
            if let Some(code) = polled.close {
                return code;
            }
        }
    }

    /// Sends a chat message and waits for its acknowledgement.
    pub async fn send_chat(&mut self, text: &str) -> ChatMessage {
        self.send_chat_with_id(new_id(), text).await
    }

    /// Sends a chat message with this id and waits for its acknowledgement.
    pub async fn send_chat_with_id(&mut self, id: MessageId, text: &str) -> ChatMessage {
        self.send(&[&chat(id, text)]).await;
        self.wait_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(chat),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
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
}

/// A chat message.
pub fn chat(id: MessageId, text: &str) -> ClientMessage {
    ClientMessage::Chat(ChatDraft {
        id,
        text: text.to_owned(),
        reply_to: None,
        files: Vec::new(),
        mentions: Vec::new(),
    })
}
