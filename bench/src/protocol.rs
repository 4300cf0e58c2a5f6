//! The chat protocols of the servers: the frames that a benchmark needs.
//!
//! Every message has a [`Stamp`] in its text, which servers forward unchanged. A receiver finds it
//! without parsing the frame.

use serde_json::json;
use uuid::Uuid;

/// Length of a message, in characters.
pub const TEXT_LENGTH: usize = 120;
/// First character of a stamp; no server uses it elsewhere.
const MARKER: u8 = b'@';
/// Length of a stamp after its marker.
const STAMP_LENGTH: usize = 6 + 8 + 16;

/// Sender, number and due time of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The sender's place in the room, from 0.
    pub sender: u32,
    /// Number among the sender's messages, from 1.
    pub number: u32,
    /// Due time, in nanoseconds since the start of the run.
    pub due: u64,
}

impl Stamp {
    /// A text of [`TEXT_LENGTH`] that contains the stamp.
    pub fn text(self) -> String {
        let Self {
            sender,
            number,
            due,
        } = self;
        let mut text = format!("@{sender:06x}{number:08x}{due:016x} ");
        while text.len() < TEXT_LENGTH {
            text.push_str("hello ");
        }
        text.truncate(TEXT_LENGTH - 1);
        text.push('.');
        text
    }

    /// Finds the stamp in a frame.
    pub fn find(frame: &str) -> Option<Self> {
        let start = frame.bytes().position(|byte| byte == MARKER)? + 1;
        let stamp = frame.get(start..start + STAMP_LENGTH)?;
        Some(Self {
            sender: u32::from_str_radix(&stamp[..6], 16).ok()?,
            number: u32::from_str_radix(&stamp[6..14], 16).ok()?,
            due: u64::from_str_radix(&stamp[14..], 16).ok()?,
        })
    }
}

/// A chat protocol on a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Noom's protocol, as in `docs/protocol.md`.
    Noom,
    /// Engine.IO 4 and Socket.IO 5, with the events of `bench/peers/socketio.mjs`.
    SocketIo,
    /// JSON objects, one per WebSocket message.
    Ws,
}

/// The reaction of a joining client to a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinStep {
    /// Wait for the next frame.
    Wait,
    /// Send this frame.
    Send(String),
    /// The client has joined.
    Joined,
}

impl Protocol {
    /// The path of the socket.
    pub fn path(self) -> &'static str {
        match self {
            Self::Noom => "/ws",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Ws => "/",
        }
    }

    /// The first frame, if the client sends it.
    pub fn first_frame(self, room: &str, nickname: &str) -> Option<String> {
        let join = json!({"type": "join", "room": room, "nickname": nickname});
        (self != Self::SocketIo).then(|| join.to_string())
    }

    /// Handles a frame while joining.
    pub fn on_join_frame(self, frame: &str, room: &str, nickname: &str) -> JoinStep {
        if self != Self::SocketIo {
            let joined = frame.starts_with(r#"{"type":"joined""#);
            return if joined {
                JoinStep::Joined
            } else {
                JoinStep::Wait
            };
        }
        match frame {
            open if open.starts_with('0') => JoinStep::Send("40".to_owned()),
            connected if connected.starts_with("40") => {
                let event = json!(["enter_room", room, nickname]);
                JoinStep::Send(format!("420{event}"))
            }
            entered if entered.starts_with("430") => JoinStep::Joined,
            _ => JoinStep::Wait,
        }
    }

    /// A chat message.
    pub fn message(self, room: &str, text: &str) -> String {
        match self {
            Self::Noom => json!({"type": "chat", "id": Uuid::now_v7(), "text": text}).to_string(),
            Self::SocketIo => format!("421{}", json!(["new_message", text, room])),
            Self::Ws => json!({"type": "chat", "text": text}).to_string(),
        }
    }

    /// The answer to a heartbeat, if the frame is one.
    pub fn heartbeat_reply(self, frame: &str) -> Option<&'static str> {
        (self == Self::SocketIo && frame == "2").then_some("3")
    }

    /// Whether a frame is an error.
    pub fn is_error(self, frame: &str) -> bool {
        frame.starts_with(r#"{"type":"error""#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_every_protocol() {
        let stamp = Stamp {
            sender: 999,
            number: 70_000,
            due: u64::MAX / 3,
        };
        let text = stamp.text();
        assert_eq!(text.len(), TEXT_LENGTH);
        for protocol in [Protocol::Noom, Protocol::SocketIo, Protocol::Ws] {
            let frame = protocol.message("room 1", &text);
            assert_eq!(Stamp::find(&frame), Some(stamp), "{frame}");
        }
        assert_eq!(Stamp::find(r#"{"type":"pong"}"#), None);
        assert_eq!(Stamp::find("@12"), None);
    }

    #[test]
    fn joining_socket_io_takes_three_steps() {
        let step = |frame| Protocol::SocketIo.on_join_frame(frame, "r", "n");
        assert_eq!(step(r#"0{"sid":"x"}"#), JoinStep::Send("40".to_owned()));
        let enter = r#"420["enter_room","r","n"]"#.to_owned();
        assert_eq!(step(r#"40{"sid":"y"}"#), JoinStep::Send(enter));
        assert_eq!(step(r#"42["welcome","m",2]"#), JoinStep::Wait);
        assert_eq!(step("430[1]"), JoinStep::Joined);
    }
}
