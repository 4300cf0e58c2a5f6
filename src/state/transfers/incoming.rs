//! The receiver's side of one transfer.
//!
//! Pure: data comes in, and the caller stores it and reports how far it got. A sender that ignores
//! the acknowledgements is cut off before the page runs out of memory.

use super::frame::{FileHash, Frame, Reason, TransferId};
use super::outgoing::WINDOW_BYTES;
use super::{Ending, Stage};
use sha2::{Digest, Sha256};

/// Most bytes that wait for the disk: the window of the sender and as much again, because other
/// clients may count theirs in another way.
pub const MAX_UNSTORED_BYTES: u64 = 2 * WINDOW_BYTES;
/// Stored bytes between two acknowledgements.
const ACK_EVERY_BYTES: u64 = 1024 * 1024;

/// The receiver's side of one transfer.
#[derive(Debug)]
pub struct Incoming {
    /// Id of the transfer.
    pub id: TransferId,
    size: u64,
    stage: Stage,
    /// Bytes that have arrived.
    received: u64,
    /// Bytes that the caller has stored.
    stored: u64,
    /// Bytes that were acknowledged.
    acked: u64,
    /// The hash of what has arrived.
    hash: Sha256,
    /// The hash of the sender, after the last byte.
    announced: Option<FileHash>,
}

/// What the caller does with data that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is stored, and the hash is right: keep the file, then call [`Incoming::on_kept`].
    Keep,
    /// The transfer has failed: delete the file, and send the frame.
    Delete(Reason),
}

impl Incoming {
    /// A transfer that was offered.
    pub fn new(id: TransferId, size: u64) -> Self {
        Self {
            id,
            size,
            stage: Stage::Offered,
            received: 0,
            stored: 0,
            acked: 0,
            hash: Sha256::new(),
            announced: None,
        }
    }

    /// What the transfer does.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The bytes that are stored.
    pub fn bytes(&self) -> u64 {
        self.stored
    }

    /// The size of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Accepts the offer, and returns the frame that says so.
    pub fn accept(&mut self) -> Option<Frame<'static>> {
        (self.stage == Stage::Offered).then(|| {
            self.stage = Stage::Moving;
            Frame::Accept { id: self.id }
        })
    }

    /// Refuses the offer, or cancels a transfer that has begun.
    pub fn cancel(&mut self, reason: Reason) -> Option<Frame<'static>> {
        let id = self.id;
        let (ending, frame) = match (self.stage, reason) {
            (Stage::Ended(_), _) => return None,
            (Stage::Offered, Reason::Declined) => (Ending::Stopped, Frame::Refuse { id, reason }),
            (Stage::Offered, _) => (Ending::Failed(reason), Frame::Refuse { id, reason }),
            (Stage::Moving, Reason::Declined) => (Ending::Stopped, Frame::Cancel { id, reason }),
            (Stage::Moving, _) => (Ending::Failed(reason), Frame::Cancel { id, reason }),
        };
        self.stage = Stage::Ended(ending);
        Some(frame)
    }

    /// What to send on a connection that has opened. Bytes that were on their way are lost.
    pub fn on_open(&self) -> Option<Frame<'static>> {
        (self.stage == Stage::Moving).then_some(Frame::Resume {
            id: self.id,
            offset: self.received,
        })
    }

    /// What to answer to an offer that the sender repeats.
    pub fn on_repeated_offer(&self) -> Option<Frame<'static>> {
        let id = self.id;
        match self.stage {
            Stage::Offered | Stage::Moving => None,
            Stage::Ended(Ending::Done) => Some(Frame::Done {
                id,
                hash: self.hash(),
            }),
            Stage::Ended(Ending::Stopped) => Some(Frame::Cancel {
                id,
                reason: Reason::Declined,
            }),
            Stage::Ended(Ending::Failed(reason)) => Some(Frame::Cancel { id, reason }),
            Stage::Ended(Ending::Refused(_) | Ending::Cancelled(_)) => Some(Frame::Cancel {
                id,
                reason: Reason::Unknown,
            }),
        }
    }

    /// Takes over bytes of the file, which the caller stores.
    ///
    /// # Errors
    /// The sender broke the protocol; the caller ends the transfer with this reason.
    pub fn on_data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Reason> {
        let end = offset.checked_add(bytes.len() as u64);
        let end = end.filter(|end| *end <= self.size && offset == self.received);
        let end = end.ok_or(Reason::BadFrame)?;
        if self.stage != Stage::Moving
            || self.announced.is_some()
            || end - self.stored > MAX_UNSTORED_BYTES
        {
            return Err(Reason::BadFrame);
        }
        self.hash.update(bytes);
        self.received = end;
        Ok(())
    }

    /// The sender has sent everything. The hash may come again after a lost connection.
    ///
    /// # Errors
    /// As [`Self::on_data`].
    pub fn on_done(&mut self, hash: FileHash) -> Result<(), Reason> {
        if self.stage != Stage::Moving || self.received != self.size {
            return Err(Reason::BadFrame);
        }
        self.announced = Some(hash);
        Ok(())
    }

    /// More bytes are stored. Returns the acknowledgement if one is due.
    pub fn on_stored(&mut self, bytes: u64) -> Option<Frame<'static>> {
        self.stored = (self.stored + bytes).min(self.received);
        let fresh = self.stored - self.acked;
        let is_due = fresh >= ACK_EVERY_BYTES || (fresh > 0 && self.stored == self.received);
        (self.stage == Stage::Moving && is_due).then(|| {
            self.acked = self.stored;
            Frame::Ack {
                id: self.id,
                offset: self.stored,
            }
        })
    }

    /// Whether the file is whole, once everything is stored and the sender has sent its hash.
    pub fn verdict(&self) -> Option<Verdict> {
        let announced = self.announced?;
        let is_whole = self.stage == Stage::Moving && self.stored == self.size;
        is_whole.then(|| match announced == self.hash() {
            true => Verdict::Keep,
            false => Verdict::Delete(Reason::WrongHash),
        })
    }

    /// The caller has kept the whole file.
    pub fn on_kept(&mut self) -> Option<Frame<'static>> {
        (self.verdict() == Some(Verdict::Keep)).then(|| {
            self.stage = Stage::Ended(Ending::Done);
            Frame::Done {
                id: self.id,
                hash: self.hash(),
            }
        })
    }

    /// The sender ended the transfer.
    pub fn on_cancel(&mut self, reason: Reason) {
        if !self.stage.is_ended() {
            self.stage = Stage::Ended(Ending::Cancelled(reason));
        }
    }

    fn hash(&self) -> FileHash {
        self.hash.clone().finalize().into()
    }
}
