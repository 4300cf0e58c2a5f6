//! The transfers of a page: finds the transfer of a frame, and bounds what others can open.

use super::frame::{Frame, FrameError, Reason, TransferId};
use super::incoming::{Incoming, Verdict};
use super::outgoing::Outgoing;
use super::progress::SpeedMeter;
use super::{Direction, Ending, Stage, TransferRow, clean_name};
use crate::protocol::{FileName, ParticipantId};

/// Most transfers with one person at once, in each direction.
pub const MAX_WITH_PERSON: usize = 8;
/// Most transfers of a page at once, in each direction. 100: one file to everybody in a full room.
pub const MAX_AT_ONCE: usize = 100;
/// Most ended transfers that the list keeps, beside received files.
pub const MAX_ENDED: usize = 50;
/// Most received files that the list keeps: they may not be saved yet.
pub const MAX_RECEIVED: usize = 100;
/// Largest file, in bytes: what a number of JavaScript holds exactly.
pub const MAX_FILE_BYTES: u64 = (1 << 53) - 1;

/// One side of a transfer.
#[derive(Debug)]
enum Side {
    Outgoing(Outgoing),
    Incoming(Incoming),
}

/// A transfer with what the list shows of it.
#[derive(Debug)]
struct Entry {
    row: u32,
    person: ParticipantId,
    nickname: String,
    name: FileName,
    size: u64,
    side: Side,
    meter: SpeedMeter,
}

/// The transfers of a page.
#[derive(Debug, Default)]
pub struct Book {
    rows: u32,
    entries: Vec<Entry>,
}

/// What the caller does after a frame; the row says for which transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Show the offer.
    ShowOffer(u32),
    /// Read on, if there is something to read.
    Read(u32),
    /// Store the bytes of the frame after its header.
    Store(u32),
    /// Ask for [`Book::verdict`].
    Check(u32),
    /// The transfer has ended: delete what was stored, and free the file.
    Free(u32),
}

/// The result of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The message for the person from whom the frame came.
    pub reply: Option<Vec<u8>>,
    /// What to do.
    pub task: Option<Task>,
}

impl Outcome {
    fn reply(frame: Option<Frame<'_>>) -> Self {
        Self {
            reply: frame.map(|frame| frame.encode()),
            task: None,
        }
    }
}

impl Book {
    /// Opens a transfer to a person, and returns its row.
    ///
    /// # Errors
    /// Too many transfers at once, or the file is too large.
    pub fn offer(
        &mut self,
        person: &ParticipantId,
        nickname: &str,
        id: TransferId,
        (name, size): (&str, u64),
    ) -> Result<u32, Reason> {
        if size > MAX_FILE_BYTES {
            return Err(Reason::TooLarge);
        }
        if self.is_full(person, Direction::Outgoing) {
            return Err(Reason::Busy);
        }
        let side = Side::Outgoing(Outgoing::new(id, size));
        Ok(self.add(person, nickname, (name, size), side))
    }

    /// The messages for a connection that has opened.
    pub fn on_open(&self, person: &ParticipantId) -> Vec<Vec<u8>> {
        let of_person = self.entries.iter().filter(|entry| entry.person == *person);
        let frames = of_person.filter_map(|entry| match &entry.side {
            Side::Outgoing(outgoing) => outgoing.on_open(entry.name.as_str()),
            Side::Incoming(incoming) => incoming.on_open(),
        });
        frames.map(|frame| frame.encode()).collect()
    }

    /// Handles a message of a person. `may_share`: whether the room lets them share files.
    pub fn on_message(
        &mut self,
        person: &ParticipantId,
        nickname: &str,
        may_share: bool,
        bytes: &[u8],
    ) -> Outcome {
        let outcome = self.on_frame(person, nickname, may_share, bytes);
        if let Some(Task::Free(_)) = outcome.task {
            self.forget_old();
        }
        outcome
    }

    fn on_frame(
        &mut self,
        person: &ParticipantId,
        nickname: &str,
        may_share: bool,
        bytes: &[u8],
    ) -> Outcome {
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            // A message of another version is none of ours; a broken one ends no transfer, because
            // its id cannot be trusted.
            Err(FrameError::Unknown | FrameError::Invalid) => return Outcome::default(),
        };
        match frame {
            Frame::Offer { id, size, name } => {
                self.on_offer(person, nickname, may_share, id, (name, size))
            }
            Frame::Data { id, offset, bytes } => {
                if self.find(person, id, Direction::Incoming).is_none() {
                    return unknown(id);
                }
                let arrived = self.of_sender(person, id, |incoming| match may_share {
                    true => incoming.on_data(offset, bytes),
                    false => Err(Reason::NotAllowed),
                });
                arrived.map_or_else(Outcome::default, |(row, result)| {
                    self.after(row, result, Task::Store(row))
                })
            }
            Frame::Done { id, hash } if self.find(person, id, Direction::Incoming).is_some() => {
                let done = self.of_sender(person, id, |incoming| incoming.on_done(hash));
                done.map_or_else(Outcome::default, |(row, result)| {
                    self.after(row, result, Task::Check(row))
                })
            }
            Frame::Cancel { id, reason }
                if self.find(person, id, Direction::Incoming).is_some() =>
            {
                let cancelled = self.of_sender(person, id, |incoming| {
                    incoming.on_cancel(reason);
                    Ok(())
                });
                Outcome {
                    reply: None,
                    task: cancelled.map(|(row, _)| Task::Free(row)),
                }
            }
            Frame::Accept { id }
            | Frame::Refuse { id, .. }
            | Frame::Ack { id, .. }
            | Frame::Cancel { id, .. }
            | Frame::Resume { id, .. }
            | Frame::Done { id, .. } => self.of_receiver(person, id, &frame),
        }
    }

    /// Handles an offer; the sender repeats it on each connection.
    fn on_offer(
        &mut self,
        person: &ParticipantId,
        nickname: &str,
        may_share: bool,
        id: TransferId,
        (name, size): (&str, u64),
    ) -> Outcome {
        if let Some(entry) = self.find(person, id, Direction::Incoming) {
            return match &entry.side {
                Side::Incoming(incoming) => Outcome::reply(incoming.on_repeated_offer()),
                Side::Outgoing(_) => Outcome::default(),
            };
        }
        let refusal = if !may_share {
            Some(Reason::NotAllowed)
        } else if size > MAX_FILE_BYTES {
            Some(Reason::TooLarge)
        } else if self.is_full(person, Direction::Incoming) {
            Some(Reason::Busy)
        } else {
            None
        };
        if let Some(reason) = refusal {
            return Outcome::reply(Some(Frame::Refuse { id, reason }));
        }
        let side = Side::Incoming(Incoming::new(id, size));
        let row = self.add(person, nickname, (name, size), side);
        Outcome {
            reply: None,
            task: Some(Task::ShowOffer(row)),
        }
    }

    /// Applies what a sender sent to a transfer to this page.
    fn of_sender(
        &mut self,
        person: &ParticipantId,
        id: TransferId,
        apply: impl FnOnce(&mut Incoming) -> Result<(), Reason>,
    ) -> Option<(u32, Result<(), Reason>)> {
        let entry = self.find(person, id, Direction::Incoming)?;
        let row = entry.row;
        match &mut entry.side {
            // What was on its way when the transfer ended.
            Side::Incoming(incoming) if incoming.stage().is_ended() => None,
            Side::Incoming(incoming) => Some((row, apply(incoming))),
            Side::Outgoing(_) => None,
        }
    }

    /// The outcome of a frame to this page.
    fn after(&mut self, row: u32, result: Result<(), Reason>, task: Task) -> Outcome {
        match result {
            Ok(()) => Outcome {
                reply: None,
                task: Some(task),
            },
            Err(reason) => Outcome {
                reply: self.cancel(row, reason).map(|(_, message)| message),
                task: Some(Task::Free(row)),
            },
        }
    }

    /// Applies what a receiver sent to a transfer from this page.
    fn of_receiver(
        &mut self,
        person: &ParticipantId,
        id: TransferId,
        frame: &Frame<'_>,
    ) -> Outcome {
        let Some(entry) = self.find(person, id, Direction::Outgoing) else {
            return match frame {
                // A receiver that would wait for the rest.
                Frame::Accept { .. } | Frame::Resume { .. } => unknown(id),
                Frame::Offer { .. }
                | Frame::Refuse { .. }
                | Frame::Data { .. }
                | Frame::Ack { .. }
                | Frame::Cancel { .. }
                | Frame::Done { .. } => Outcome::default(),
            };
        };
        let row = entry.row;
        let Side::Outgoing(outgoing) = &mut entry.side else {
            return Outcome::default();
        };
        let reply = outgoing.on_frame(frame);
        let task = match outgoing.stage().is_ended() {
            true => Task::Free(row),
            false => Task::Read(row),
        };
        Outcome {
            reply: reply.map(|frame| frame.encode()),
            task: Some(task),
        }
    }

    /// Accepts an offer. Returns the person and the message for them.
    pub fn accept(&mut self, row: u32) -> Option<(ParticipantId, Vec<u8>)> {
        let entry = self.entry(row)?;
        match &mut entry.side {
            Side::Incoming(incoming) => {
                let frame = incoming.accept()?.encode();
                Some((entry.person.clone(), frame))
            }
            Side::Outgoing(_) => None,
        }
    }

    /// Ends a transfer from this side. Returns the person and the message for them.
    pub fn cancel(&mut self, row: u32, reason: Reason) -> Option<(ParticipantId, Vec<u8>)> {
        let entry = self.entry(row)?;
        let frame = match &mut entry.side {
            Side::Incoming(incoming) => incoming.cancel(reason),
            Side::Outgoing(outgoing) => outgoing.cancel(reason),
        };
        let frame = frame?.encode();
        let person = entry.person.clone();
        self.forget_old();
        Some((person, frame))
    }

    /// A person is gone: their transfers end. Returns the rows.
    pub fn on_gone(&mut self, person: &ParticipantId) -> Vec<u32> {
        let mut rows = Vec::new();
        for entry in &mut self.entries {
            if entry.person == *person && !entry.stage().is_ended() {
                match &mut entry.side {
                    Side::Incoming(incoming) => incoming.on_cancel(Reason::Unknown),
                    Side::Outgoing(outgoing) => {
                        let (id, reason) = (outgoing.id, Reason::Unknown);
                        outgoing.on_frame(&Frame::Cancel { id, reason });
                    }
                }
                rows.push(entry.row);
            }
        }
        self.forget_old();
        rows
    }

    /// Bytes of a transfer to this page were stored. Returns the message for the sender.
    pub fn on_stored(&mut self, row: u32, bytes: u64) -> Option<Vec<u8>> {
        let frame = self.incoming(row)?.on_stored(bytes)?;
        Some(frame.encode())
    }

    /// Whether a transfer to this page is whole.
    pub fn verdict(&mut self, row: u32) -> Option<Verdict> {
        self.incoming(row)?.verdict()
    }

    /// The file of a transfer to this page is kept. Returns the message for the sender.
    pub fn on_kept(&mut self, row: u32) -> Option<Vec<u8>> {
        let frame = self.incoming(row)?.on_kept()?.encode();
        self.forget_old();
        Some(frame)
    }

    /// The transfer of a row that comes from this page.
    pub fn outgoing(&mut self, row: u32) -> Option<&mut Outgoing> {
        match &mut self.entry(row)?.side {
            Side::Outgoing(outgoing) => Some(outgoing),
            Side::Incoming(_) => None,
        }
    }

    /// The transfer of a row that goes to this page.
    fn incoming(&mut self, row: u32) -> Option<&mut Incoming> {
        match &mut self.entry(row)?.side {
            Side::Incoming(incoming) => Some(incoming),
            Side::Outgoing(_) => None,
        }
    }

    /// The other participant of a row, and the file's name and size.
    pub fn about(&self, row: u32) -> Option<(&ParticipantId, &FileName, u64)> {
        let entry = self.entries.iter().find(|entry| entry.row == row)?;
        Some((&entry.person, &entry.name, entry.size))
    }

    /// The offer of a transfer from this page, as a message.
    pub fn offer_of(&mut self, row: u32) -> Option<Vec<u8>> {
        let entry = self.entry(row)?;
        match &entry.side {
            Side::Outgoing(outgoing) => Some(outgoing.on_open(entry.name.as_str())?.encode()),
            Side::Incoming(_) => None,
        }
    }

    /// What the transfer of a row does; nothing if it is not in the list.
    pub fn stage(&self, row: u32) -> Option<Stage> {
        let entry = self.entries.iter().find(|entry| entry.row == row)?;
        Some(entry.stage())
    }

    /// The rows of transfers to a person that are under way.
    pub fn moving_to(&self, person: &ParticipantId) -> Vec<u32> {
        let moving = self.entries.iter().filter(|entry| {
            entry.person == *person
                && entry.direction() == Direction::Outgoing
                && entry.stage() == Stage::Moving
        });
        moving.map(|entry| entry.row).collect()
    }

    /// Whether a transfer with this person has not ended.
    pub fn is_busy_with(&self, person: &ParticipantId) -> bool {
        let mut of_person = self.entries.iter().filter(|entry| entry.person == *person);
        of_person.any(|entry| !entry.stage().is_ended())
    }

    /// Takes a row that has ended out of the list.
    pub fn dismiss(&mut self, row: u32) {
        self.entries
            .retain(|entry| entry.row != row || !entry.stage().is_ended());
    }

    /// The rows of the list, oldest first, at a time in milliseconds.
    pub fn rows(&mut self, now_ms: f64) -> Vec<TransferRow> {
        let rows = self.entries.iter_mut().map(|entry| {
            let stage = entry.stage();
            let (direction, bytes) = match &entry.side {
                Side::Outgoing(outgoing) => (Direction::Outgoing, outgoing.bytes()),
                Side::Incoming(incoming) => (Direction::Incoming, incoming.bytes()),
            };
            TransferRow {
                row: entry.row,
                direction,
                person: entry.person.clone(),
                nickname: entry.nickname.clone(),
                name: entry.name.clone(),
                size: entry.size,
                bytes,
                speed: match stage {
                    Stage::Moving => entry.meter.sample(now_ms, bytes),
                    Stage::Offered | Stage::Ended(_) => 0.0,
                },
                stage,
                is_connected: false,
                link: None,
            }
        });
        rows.collect()
    }

    fn add(
        &mut self,
        person: &ParticipantId,
        nickname: &str,
        (name, size): (&str, u64),
        side: Side,
    ) -> u32 {
        self.rows = self.rows.wrapping_add(1);
        self.entries.push(Entry {
            row: self.rows,
            person: person.clone(),
            nickname: nickname.to_owned(),
            name: clean_name(name),
            size,
            side,
            meter: SpeedMeter::default(),
        });
        self.rows
    }

    /// Removes the oldest rows that have ended. Received files apart from the rest: who offers and
    /// withdraws pushes none of them out.
    fn forget_old(&mut self) {
        for (is_received, most) in [(false, MAX_ENDED), (true, MAX_RECEIVED)] {
            let of_kind =
                |entry: &Entry| entry.stage().is_ended() && entry.is_received() == is_received;
            let ended = self.entries.iter().filter(|entry| of_kind(entry));
            let mut excess = ended.count().saturating_sub(most);
            self.entries.retain(|entry| {
                let goes = excess > 0 && of_kind(entry);
                excess -= usize::from(goes);
                !goes
            });
        }
    }

    fn is_full(&self, person: &ParticipantId, direction: Direction) -> bool {
        let mut open = self
            .entries
            .iter()
            .filter(|entry| entry.direction() == direction && !entry.stage().is_ended());
        let with_person = open.clone().filter(|entry| entry.person == *person).count();
        with_person >= MAX_WITH_PERSON || open.nth(MAX_AT_ONCE - 1).is_some()
    }

    fn entry(&mut self, row: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.row == row)
    }

    fn find(
        &mut self,
        person: &ParticipantId,
        id: TransferId,
        direction: Direction,
    ) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| {
            entry.person == *person && entry.id() == id && entry.direction() == direction
        })
    }
}

impl Entry {
    fn stage(&self) -> Stage {
        match &self.side {
            Side::Outgoing(outgoing) => outgoing.stage(),
            Side::Incoming(incoming) => incoming.stage(),
        }
    }

    /// Whether it is a file that has arrived.
    fn is_received(&self) -> bool {
        self.direction() == Direction::Incoming && self.stage() == Stage::Ended(Ending::Done)
    }

    fn id(&self) -> TransferId {
        match &self.side {
            Side::Outgoing(outgoing) => outgoing.id,
            Side::Incoming(incoming) => incoming.id,
        }
    }

    fn direction(&self) -> Direction {
        match &self.side {
            Side::Outgoing(_) => Direction::Outgoing,
            Side::Incoming(_) => Direction::Incoming,
        }
    }
}

/// The reply to a frame of a transfer that this page does not know.
fn unknown(id: TransferId) -> Outcome {
    Outcome::reply(Some(Frame::Cancel {
        id,
        reason: Reason::Unknown,
    }))
}
