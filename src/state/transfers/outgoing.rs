//! The sender's side of one transfer.
//!
//! Pure: frames come in, and [`Outgoing::next_read`] says which bytes of the file to read and send
//! next. At most [`WINDOW_BYTES`] are on their way to the receiver's disk.

use super::frame::{FileHash, Frame, Reason, TransferId};
use super::{Ending, Stage};
use sha2::{Digest, Sha256};

/// Most bytes that are sent and not yet stored by the receiver. 16 MiB: a disk may pause for a
/// while, and the memory of the receiver's page stays small.
pub const WINDOW_BYTES: u64 = 16 * 1024 * 1024;
/// Most bytes that are read from the file at once.
pub const READ_BYTES: u64 = 2 * 1024 * 1024;

/// The sender's side of one transfer.
#[derive(Debug)]
pub struct Outgoing {
    /// Id of the transfer.
    pub id: TransferId,
    size: u64,
    stage: Stage,
    /// The next byte to send.
    offset: u64,
    /// The byte after the last one that was ever sent.
    reached: u64,
    /// Bytes that the receiver has stored.
    acked: u64,
    /// Whether the hash was sent after the last byte.
    is_announced: bool,
    /// The hash of the bytes before `hashed`.
    hash: Sha256,
    hashed: u64,
}

/// A part of the file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub bytes: u64,
}

impl Outgoing {
    /// A transfer that was not offered yet.
    pub fn new(id: TransferId, size: u64) -> Self {
        Self {
            id,
            size,
            stage: Stage::Offered,
            offset: 0,
            reached: 0,
            acked: 0,
            is_announced: false,
            hash: Sha256::new(),
            hashed: 0,
        }
    }

    /// What the transfer does.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The bytes that the receiver has stored.
    pub fn bytes(&self) -> u64 {
        self.acked
    }

    /// The offer, for a connection that has opened; nothing after the end.
    pub fn on_open<'a>(&self, name: &'a str) -> Option<Frame<'a>> {
        (!self.stage.is_ended()).then_some(Frame::Offer {
            id: self.id,
            size: self.size,
            name,
        })
    }

    /// Handles a frame of the receiver, and returns the reply if there is one.
    pub fn on_frame(&mut self, frame: &Frame<'_>) -> Option<Frame<'static>> {
        if let Stage::Ended(ending) = self.stage {
            return self.after_end(ending, frame);
        }
        match *frame {
            Frame::Accept { .. } => self.start_at(0),
            Frame::Resume { offset, .. } => self.start_at(offset),
            Frame::Refuse { reason, .. } => {
                self.stage = Stage::Ended(Ending::Refused(reason));
                None
            }
            Frame::Cancel { reason, .. } => {
                self.stage = Stage::Ended(Ending::Cancelled(reason));
                None
            }
            Frame::Ack { offset, .. } => {
                if offset > self.reached {
                    return self.fail(Reason::BadFrame);
                }
                self.acked = self.acked.max(offset);
                None
            }
            Frame::Done { hash, .. } => match self.is_announced && hash == self.hash() {
                true => {
                    self.acked = self.size;
                    self.stage = Stage::Ended(Ending::Done);
                    None
                }
                false => self.fail(Reason::WrongHash),
            },
            // What only senders send.
            Frame::Offer { .. } | Frame::Data { .. } => self.fail(Reason::BadFrame),
        }
    }

    /// The reply to a receiver that does not know of the end and would wait for the rest.
    fn after_end(&self, ending: Ending, frame: &Frame<'_>) -> Option<Frame<'static>> {
        let waits = matches!(frame, Frame::Accept { .. } | Frame::Resume { .. });
        let reason = match ending {
            Ending::Stopped => Reason::Declined,
            Ending::Failed(reason) => reason,
            Ending::Done | Ending::Refused(_) | Ending::Cancelled(_) => Reason::Unknown,
        };
        let id = self.id;
        waits.then_some(Frame::Cancel { id, reason })
    }

    /// Sends from this byte on. The receiver has everything before it.
    fn start_at(&mut self, offset: u64) -> Option<Frame<'static>> {
        if offset > self.reached {
            return self.fail(Reason::BadFrame);
        }
        self.stage = Stage::Moving;
        self.offset = offset;
        self.acked = offset;
        self.is_announced = false;
        None
    }

    /// The part of the file to read next; nothing while the receiver lags behind.
    pub fn next_read(&self) -> Option<Read> {
        let ahead = self.offset - self.acked;
        let bytes = READ_BYTES
            .min(self.size - self.offset)
            .min(WINDOW_BYTES.saturating_sub(ahead));
        // A large part at a time: small ones cost a call of the browser each.
        let is_worth = bytes == self.size - self.offset || bytes == READ_BYTES;
        (self.stage == Stage::Moving && bytes > 0 && is_worth).then_some(Read {
            offset: self.offset,
            bytes,
        })
    }

    /// Takes over a part that was read. Returns whether it is to be sent: the receiver may have
    /// asked for another part meanwhile.
    pub fn on_read(&mut self, read: Read, bytes: &[u8]) -> bool {
        if self.stage != Stage::Moving || read.offset != self.offset {
            return false;
        }
        let end = read.offset + bytes.len() as u64;
        if end > self.size {
            return false;
        }
        // The bytes that a resumed transfer sends again are hashed already.
        let known = usize::try_from(self.hashed.saturating_sub(read.offset)).unwrap_or(usize::MAX);
        if let Some(fresh) = bytes.get(known..) {
            self.hash.update(fresh);
            self.hashed += fresh.len() as u64;
        }
        self.offset = end;
        self.reached = self.reached.max(end);
        true
    }

    /// The hash, once after the last byte.
    pub fn announce_end(&mut self) -> Option<Frame<'static>> {
        let is_due = self.stage == Stage::Moving && self.offset == self.size && !self.is_announced;
        is_due.then(|| {
            self.is_announced = true;
            Frame::Done {
                id: self.id,
                hash: self.hash(),
            }
        })
    }

    /// Ends the transfer from this side, and returns what to tell the receiver.
    pub fn cancel(&mut self, reason: Reason) -> Option<Frame<'static>> {
        if self.stage.is_ended() {
            return None;
        }
        self.stage = Stage::Ended(match reason {
            Reason::Declined => Ending::Stopped,
            reason => Ending::Failed(reason),
        });
        Some(Frame::Cancel {
            id: self.id,
            reason,
        })
    }

    fn fail(&mut self, reason: Reason) -> Option<Frame<'static>> {
        self.cancel(reason)
    }

    fn hash(&self) -> FileHash {
        self.hash.clone().finalize().into()
    }
}
