//! Reading one socket: what comes in, how long it may be silent, how it ends.
//!
//! One task reads, another writes ([`super::writer`]). Everything that is said to the
//! socket goes through its outbox, so this task never waits for a slow reader; a full
//! mailbox of the room makes it wait, which slows this socket only.

use super::{rates::Rates, writer};
use crate::{
    protocol::{
        ChatText, ClientMessage, CloseCode, Decoded, ErrorCode, HISTORY_PAGE, MAX_FRAME_BYTES,
        MAX_HISTORY_PAGE, MessageId, NameError, Nickname, Resume, RoomName, Seq, ServerMessage,
        decode,
    },
    server::{
        context::AppContext,
        error::refusal,
        identity::new_session_token,
        limits::MAX_PROTOCOL_ERRORS,
        rooms::{Departure, Intent, Outbox, Seat, Summaries, fitting_page, frame, outbox},
    },
};
use axum::extract::ws::{Message, WebSocket};
use futures::{FutureExt, StreamExt, future::FusedFuture, stream::SplitStream};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How a socket came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client, or the line.
    Theirs(Departure),
    /// We close it, and this is what it means for the room.
    Ours(CloseCode, Departure),
}

/// One socket.
struct Connection {
    /// The state of the server.
    context: AppContext,
    /// Whatever is said to the client.
    outbox: Outbox,
    /// What it may send.
    rates: Rates,
    /// Its place in a room, once it has joined.
    seat: Option<(RoomName, Seat)>,
    /// The list of open rooms, while it watches.
    watching: Option<watch::Receiver<Summaries>>,
    /// Frames that were no message.
    protocol_errors: u32,
}

/// Serves a socket to its end.
pub async fn run(context: AppContext, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let (outbox, queue) = outbox();
    let timing = context.timing;
    let writing = tokio::spawn(writer::run(sink, queue, timing));
    let stop_writing = writing.abort_handle();
    let mut writing = writing.fuse();
    let mut connection = Connection::new(context, outbox);
    let read_first = tokio::select! {
        end = connection.read(&mut stream) => Some(end),
        _ = &mut writing => None,
    };
    let end = match read_first {
        Some(end) => end,
        // Nothing can be written any more, but a goodbye may wait to be read.
        None => timeout(timing.close_within, connection.read(&mut stream))
            .await
            .unwrap_or(End::Theirs(Departure::Lost)),
    };
    let (verdict, departure) = match end {
        End::Theirs(departure) => (None, departure),
        End::Ours(code, departure) => (Some(code), departure),
    };
    connection.leave(departure).await;
    if let Some(code) = verdict.filter(|_| !writing.is_terminated()) {
        connection.outbox.close(code);
        let _ = timeout(timing.close_within, &mut writing).await;
    }
    stop_writing.abort();
    // Read until the other side has closed too: closing over unread bytes would reset the
    // connection, and the reason for the close might be lost with it.
    let _ = timeout(timing.close_within, async {
        while stream.next().await.is_some() {}
    })
    .await;
}

impl Connection {
    /// A socket that has said nothing yet.
    fn new(context: AppContext, outbox: Outbox) -> Self {
        Self {
            context,
            outbox,
            rates: Rates::new(),
            seat: None,
            watching: None,
            protocol_errors: 0,
        }
    }

    /// Reads until the end. Only complete frames count as heard: a frame that comes one
    /// byte a second does not keep a socket alive.
    async fn read(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let timing = self.context.timing;
        let mut stopping = self.context.stopping.clone();
        let outbox = self.outbox.clone();
        let first_message_by = Instant::now() + timing.first_message_within;
        let mut heard = Instant::now();
        loop {
            let idle = self.seat.is_none() && self.watching.is_none();
            tokio::select! {
                frame = stream.next() => {
                    heard = Instant::now();
                    if let Err(end) = self.take(frame).await {
                        return end;
                    }
                }
                list = next_list(self.watching.as_mut()) => self.tell_rooms(&list),
                code = outbox.condemned() => return End::Ours(code, Departure::Lost),
                () = room_ended(self.seat.as_ref()) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = stop_asked(&mut stopping) => {
                    return End::Ours(CloseCode::Restarting, Departure::Lost);
                }
                () = sleep_until(heard + timing.dead_after) => {
                    return End::Ours(CloseCode::TooSlow, Departure::Dead);
                }
                () = sleep_until(first_message_by), if idle => {
                    return End::Ours(CloseCode::ProtocolBroken, Departure::Lost);
                }
            }
        }
    }

    /// Takes what the stream gave.
    async fn take(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let frame = match frame {
            None => return Err(End::Theirs(Departure::Lost)),
            Some(Err(error)) => return Err(broken(error)),
            Some(Ok(frame)) => frame,
        };
        if !self.rates.allow_frame() {
            return Err(End::Ours(CloseCode::TooManyMessages, Departure::Lost));
        }
        match frame {
            Message::Text(text) if text.len() > MAX_FRAME_BYTES => Err(too_large()),
            Message::Binary(bytes) if bytes.len() > MAX_FRAME_BYTES => Err(too_large()),
            Message::Text(text) => self.take_text(text.as_str()).await,
            Message::Binary(_) => Err(End::Ours(CloseCode::ProtocolBroken, Departure::Lost)),
            Message::Close(frame) => Err(End::Theirs(departure(frame.map(|frame| frame.code)))),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
        }
    }

    /// Decodes a text frame and does what it says, or says why not.
    async fn take_text(&mut self, text: &str) -> Result<(), End> {
        match decode(text) {
            Decoded::Message(message) => {
                if let Err((code, id)) = self.obey(message).await {
                    self.refuse(code, id);
                }
                Ok(())
            }
            Decoded::Refused(code, id) => {
                self.refuse(code, id);
                self.protocol_errors += 1;
                match self.protocol_errors >= MAX_PROTOCOL_ERRORS {
                    true => Err(End::Ours(CloseCode::ProtocolBroken, Departure::Lost)),
                    false => Ok(()),
                }
            }
        }
    }

    /// Says no. Whoever sends so much that not even the refusals find a place any more is
    /// closed for sending, not for reading.
    fn refuse(&self, code: ErrorCode, id: Option<MessageId>) {
        if self.outbox.put(frame(&refusal(code, id))).is_err() {
            self.outbox.close(match code {
                ErrorCode::TooManyMessages => CloseCode::TooManyMessages,
                _ => CloseCode::TooSlow,
            });
        }
    }

    /// Does what a message says.
    ///
    /// # Errors
    /// The refusal to answer, with the id of the chat message it is about.
    async fn obey(&mut self, message: ClientMessage) -> Result<(), (ErrorCode, Option<MessageId>)> {
        let id = match &message {
            ClientMessage::Chat { id, .. } => Some(*id),
            _ => None,
        };
        if !self.rates.allow(&message) {
            return Err((ErrorCode::TooManyMessages, id));
        }
        let done = match message {
            ClientMessage::Ping => {
                self.outbox.tell(&ServerMessage::Pong);
                Ok(())
            }
            ClientMessage::Watch => self.watch(),
            ClientMessage::Join {
                room,
                nickname,
                resume,
            } => self.join(&room, &nickname, resume).await,
            ClientMessage::History { before, limit } => self.history(before, limit).await,
            other => self.intend(other).await,
        };
        done.map_err(|code| (code, id))
    }

    /// Starts to watch the open rooms.
    fn watch(&mut self) -> Result<(), ErrorCode> {
        if self.seat.is_some() {
            return Err(ErrorCode::AlreadyJoined);
        }
        let mut rooms = self.context.rooms.watch();
        let list = rooms.borrow_and_update().clone();
        self.watching = Some(rooms);
        self.tell_rooms(&list);
        Ok(())
    }

    /// Tells the open rooms.
    fn tell_rooms(&self, list: &Summaries) {
        if self.outbox.put(list.frame.clone()).is_err() {
            self.outbox.close(CloseCode::TooSlow);
        }
    }

    /// Enters a room, once.
    async fn join(
        &mut self,
        room: &str,
        nickname: &str,
        resume: Option<Resume>,
    ) -> Result<(), ErrorCode> {
        if self.seat.is_some() {
            return Err(ErrorCode::AlreadyJoined);
        }
        let name = RoomName::parse(room).map_err(|_| ErrorCode::BadRoomName)?;
        let nickname = Nickname::parse(nickname).map_err(|_| ErrorCode::BadNickname)?;
        let (session, seen) = match resume {
            Some(resume) => (resume.session, Some((resume.epoch, resume.seq))),
            None => (new_session_token(), None),
        };
        let handle = self
            .context
            .rooms
            .open(&name)
            .await
            .map_err(|error| error.code())?;
        let seat = handle
            .join(&session, &nickname, seen.as_ref(), &self.outbox)
            .await?;
        self.seat = Some((name, seat));
        self.watching = None;
        Ok(())
    }

    /// Answers a page of history from the store, past the room.
    async fn history(&self, before: Seq, limit: Option<u32>) -> Result<(), ErrorCode> {
        let (name, _) = self.seat.as_ref().ok_or(ErrorCode::NotJoined)?;
        let limit = limit.unwrap_or(HISTORY_PAGE).clamp(1, MAX_HISTORY_PAGE);
        let page = self.context.store.page(name, Some(before), limit).await;
        let page = page.map_err(|error| {
            tracing::error!(%error, "a page of history could not be read");
            ErrorCode::Unavailable
        })?;
        let (messages, more) = fitting_page(page);
        self.outbox.tell(&ServerMessage::History { messages, more });
        Ok(())
    }

    /// Passes on to the room what is its matter.
    async fn intend(&self, message: ClientMessage) -> Result<(), ErrorCode> {
        let (_, seat) = self.seat.as_ref().ok_or(ErrorCode::NotJoined)?;
        seat.intend(intent(message)?).await;
        Ok(())
    }

    /// Gives the seat up.
    async fn leave(&mut self, how: Departure) {
        if let Some((_, seat)) = self.seat.take() {
            seat.leave(how).await;
        }
    }
}

/// A message as the room understands it, its texts parsed.
fn intent(message: ClientMessage) -> Result<Intent, ErrorCode> {
    Ok(match message {
        ClientMessage::Chat { id, text } => {
            let text = ChatText::parse(&text).map_err(chat_error)?;
            Intent::Chat { id, text }
        }
        ClientMessage::Nickname { nickname } => {
            Intent::Rename(Nickname::parse(&nickname).map_err(|_| ErrorCode::BadNickname)?)
        }
        ClientMessage::EnterCall { leg, devices } => Intent::EnterCall { leg, devices },
        ClientMessage::LeaveCall => Intent::LeaveCall,
        ClientMessage::Devices { devices } => Intent::Devices(devices),
        ClientMessage::Signal { to, leg, signal } => Intent::Signal { to, leg, signal },
        ClientMessage::Watch
        | ClientMessage::Join { .. }
        | ClientMessage::History { .. }
        | ClientMessage::Ping => return Err(ErrorCode::BadMessage),
    })
}

/// The code of a text that is no chat message.
fn chat_error(error: NameError) -> ErrorCode {
    match error {
        NameError::Empty => ErrorCode::MessageEmpty,
        NameError::TooLong => ErrorCode::MessageTooLong,
        NameError::NotAllowed => ErrorCode::MessageNotAllowed,
    }
}

/// What a close frame means: 1000 and none say that it was meant.
fn departure(code: Option<u16>) -> Departure {
    match code {
        None | Some(1000 | 1005) => Departure::Left,
        Some(_) => Departure::Lost,
    }
}

/// A frame beyond the limit.
fn too_large() -> End {
    End::Ours(CloseCode::FrameTooLarge, Departure::Lost)
}

/// What a broken stream means: too large, no protocol, or just a vanished line.
fn broken(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast_ref::<Error>() {
        Some(Error::Capacity(_)) => too_large(),
        Some(Error::Utf8(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        Some(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
            End::Theirs(Departure::Lost)
        }
        Some(Error::Protocol(_)) => End::Ours(CloseCode::ProtocolBroken, Departure::Lost),
        _ => End::Theirs(Departure::Lost),
    }
}

/// The next list of open rooms; never for whoever does not watch.
async fn next_list(watching: Option<&mut watch::Receiver<Summaries>>) -> Summaries {
    if let Some(rooms) = watching
        && rooms.changed().await.is_ok()
    {
        return rooms.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Waits for the end of the room one is in.
async fn room_ended(seat: Option<&(RoomName, Seat)>) {
    match seat {
        Some((_, seat)) => seat.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until the server stops.
async fn stop_asked(stopping: &mut watch::Receiver<bool>) {
    // The answer borrows the value and must not live on in the caller's `select!`.
    drop(stopping.wait_for(|stop| *stop).await);
}
