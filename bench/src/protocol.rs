//! How each server is spoken to: the few frames a benchmark needs.
//!
//! Every message carries a [`Stamp`] in its text, which each server passes on unread, so
//! that what arrives is recognised in the same way whatever is around it.

use serde_json::json;
use uuid::Uuid;

/// Characters of a message.
pub const TEXT_LENGTH: usize = 120;
/// Begins a stamp; no server says it by itself.
const MARKER: u8 = b'@';
/// Characters of a stamp after its mark.
const STAMP_LENGTH: usize = 6 + 8 + 16;

/// Who sent a message, as which of theirs, and when that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The sender's place in the room, from 0.
    pub sender: u32,
    /// Counts the sender's messages, from 1.
    pub number: u32,
    /// Nanoseconds since the start of this program.
    pub due: u64,
}

impl Stamp {
    /// A text of [`TEXT_LENGTH`] with the stamp in it.
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

/// A language on a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Noom's, `docs/protocol.md`.
    Noom,
    /// Engine.IO 4 and Socket.IO 5, with the course's events.
    SocketIo,
    /// Plain JSON.
    Ws,
}

/// What a frame is to somebody who is coming in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinStep {
    /// Nothing to do.
    Wait,
    /// Say this.
    Send(String),
    /// One is in the room.
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

    /// What is said first, if the client begins.
    pub fn first_frame(self, room: &str, nickname: &str) -> Option<String> {
        let join = json!({"type": "join", "room": room, "nickname": nickname});
        (self != Self::SocketIo).then(|| join.to_string())
    }

    /// What to do about a frame while one is coming in.
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

    /// A message.
    pub fn message(self, room: &str, text: &str) -> String {
        match self {
            Self::Noom => json!({"type": "chat", "id": Uuid::now_v7(), "text": text}).to_string(),
            Self::SocketIo => format!("421{}", json!(["new_message", text, room])),
            Self::Ws => json!({"type": "chat", "text": text}).to_string(),
        }
    }

    /// What has to be answered at once, where the protocol asks for it.
    pub fn heartbeat_reply(self, frame: &str) -> Option<&'static str> {
        (self == Self::SocketIo && frame == "2").then_some("3")
    }

    /// Whether a frame says that something was refused.
    pub fn is_error(self, frame: &str) -> bool {
        frame.starts_with(r#"{"type":"error""#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_whatever_is_around_it() {
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
    fn socket_io_is_entered_in_three_steps() {
        let step = |frame| Protocol::SocketIo.on_join_frame(frame, "r", "n");
        assert_eq!(step(r#"0{"sid":"x"}"#), JoinStep::Send("40".to_owned()));
        let enter = r#"420["enter_room","r","n"]"#.to_owned();
        assert_eq!(step(r#"40{"sid":"y"}"#), JoinStep::Send(enter));
        assert_eq!(step(r#"42["welcome","m",2]"#), JoinStep::Wait);
        assert_eq!(step("430[1]"), JoinStep::Joined);
    }
}
