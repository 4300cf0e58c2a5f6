//! [`Poller`], somebody who speaks the room protocol by requests to `/poll`.

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

/// An answer to a request.
pub struct Answer {
    /// The HTTP status code.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body as text.
    pub body: String,
}

/// The body of an answer to a GET.
#[derive(Debug, Deserialize)]
pub struct Polled {
    /// What was said.
    pub frames: Vec<ServerMessage>,
    /// What to ask after next.
    pub next: u64,
    /// Why it is over, if it is.
    pub close: Option<u16>,
}

/// Somebody who polls.
pub struct Poller {
    /// The address of the server.
    address: SocketAddr,
    /// The secret of the connection, sent with each request.
    pub connection: String,
    /// The number of the last batch.
    pub batch: u64,
    /// Up to where everything was heard.
    pub after: u64,
    /// Heard, not looked at yet.
    heard: VecDeque<ServerMessage>,
    /// The answer to `join`.
    joined: Option<Joined>,
}

/// One request, on a connection of its own.
pub async fn request(address: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // What is refused is not always read to its end.
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

/// The header that says which connection a request is about.
pub fn of_connection(secret: &str) -> String {
    format!("Noom-Connection: {secret}\r\n")
}

/// What says that a body is JSON.
pub const JSON: &str = "Content-Type: application/json\r\n";

impl Poller {
    /// A connection that has said nothing.
    pub async fn open(app: &TestApp) -> Self {
        let answer = request(app.address, "POST /poll", "", "").await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let opened: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        Self {
            address: app.address,
            connection: opened["connection"].as_str().expect("a secret").to_owned(),
            batch: 0,
            after: 0,
            heard: VecDeque::new(),
            joined: None,
        }
    }

    /// Somebody in a room.
    pub async fn join(app: &TestApp, room: &str, nickname: &str) -> Self {
        let mut poller = Self::open(app).await;
        poller.joins(&join(room, nickname, None)).await;
        poller
    }

    /// Somebody who comes back to a room after `seq`.
    pub async fn resume(app: &TestApp, room: &str, nickname: &str, was: &Joined, seq: Seq) -> Self {
        let (session, epoch) = (was.session.clone(), was.epoch.clone());
        let resume = Resume {
            session,
            epoch,
            seq,
        };
        let mut poller = Self::open(app).await;
        poller.joins(&join(room, nickname, Some(resume))).await;
        poller
    }

    /// Joins and waits for the answer.
    async fn joins(&mut self, message: &ClientMessage) {
        self.sends(&[message]).await;
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

    /// Sends messages as the next batch.
    pub async fn sends(&mut self, messages: &[&ClientMessage]) {
        let body = serde_json::to_string(messages).expect("serialises");
        self.batch += 1;
        let answer = self.hands_in(self.batch, &body).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    /// Posts a body as this batch.
    pub async fn hands_in(&self, batch: u64, body: &str) -> Answer {
        let line = format!("POST /poll?batch={batch}");
        let headers = format!("{}{JSON}", of_connection(&self.connection));
        request(self.address, &line, &headers, body).await
    }

    /// Says goodbye with this code.
    pub async fn closes(&self, code: u16) -> u16 {
        let line = format!("POST /poll?close={code}");
        let headers = of_connection(&self.connection);
        request(self.address, &line, &headers, "").await.status
    }

    /// Asks what there is after `after`.
    pub async fn asks(&self, after: u64) -> Answer {
        let line = format!("GET /poll?after={after}");
        let headers = of_connection(&self.connection);
        request(self.address, &line, &headers, "").await
    }

    /// Asks what there is after `after`, and gets it.
    pub async fn gets(&self, after: u64) -> Polled {
        let answer = self.asks(after).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("frames")
    }

    /// The next message.
    pub async fn next(&mut self) -> ServerMessage {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return message;
            }
            let polled = self.gets(self.after).await;
            assert_eq!(polled.close, None);
            self.after = polled.next;
            self.heard.extend(polled.frames);
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
        self.sends(&[&ClientMessage::Ping]).await;
        let mut heard = Vec::new();
        loop {
            match self.next().await {
                ServerMessage::Pong => return heard,
                other => heard.push(other),
            }
        }
    }

    /// The code this ends with; what else is said is passed over.
    pub async fn is_closed(&mut self) -> u16 {
        loop {
            let polled = self.gets(self.after).await;
            self.after = polled.next;
            if let Some(code) = polled.close {
                return code;
            }
        }
    }

    /// Says something and waits for the acknowledgement.
    pub async fn says(&mut self, text: &str) -> ChatMessage {
        self.says_as(new_id(), text).await
    }

    /// Says something under this id and waits for the acknowledgement.
    pub async fn says_as(&mut self, id: MessageId, text: &str) -> ChatMessage {
        self.sends(&[&chat(id, text)]).await;
        self.waits_for(|message| match message {
            ServerMessage::Chat(chat) if chat.id == id => Some(chat),
            ServerMessage::Error { code, .. } => panic!("refused: {code:?}"),
            _ => None,
        })
        .await
    }

    /// Waits until somebody says this; fails on any other chat.
    pub async fn sees(&mut self, text: &str) -> ChatMessage {
        let chat = self.waits_for(|message| match message {
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
    })
}
