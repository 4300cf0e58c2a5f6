//! Sequence numbers of one outgoing stream, without gaps for skipped packets.
//!
//! The outgoing number is the first number of the source, plus the distance from its first
//! packet, minus the packets skipped in between. A bitmap of the newest [`WINDOW`] packets
//! records the skipped ones, so that a late packet gets the number reserved for it.

/// The size of the bitmap in packets, and the longest gap that is passed on. 512: at 300
/// packets per second longer than a receiver waits for a retransmission, in 64 bytes.
pub const WINDOW: u64 = 512;
/// The size of the bitmap in 64-bit words.
const WORDS: usize = (WINDOW / 64) as usize;

/// The outgoing number of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MungedSequence {
    /// The extended outgoing sequence number.
    pub sequence: u64,
    /// Whether it is the highest so far.
    pub is_newest: bool,
}

/// Assigns the sequence numbers of one outgoing stream.
#[derive(Debug)]
pub struct SequenceMunger {
    /// The lowest outgoing number that no packet has.
    next: u64,
    /// The source number of the first packet of the source.
    start: u64,
    /// The outgoing number of the packet at `start`.
    base: u64,
    /// The highest source number that has an outgoing number; none at the start. Only packets
    /// above it can be skipped, so an assigned number never changes.
    front: Option<u64>,
    /// The highest source number seen, skipped or not.
    top: u64,
    /// The number of packets skipped since `start`.
    skipped: u64,
    /// A ring of one bit per source number, for the newest [`WINDOW`] up to `top`: skipped.
    bits: [u64; WORDS],
}

impl SequenceMunger {
    /// A stream whose first packet gets this number.
    pub fn new(first: u64) -> Self {
        Self {
            next: first,
            start: 0,
            base: first,
            front: None,
            top: 0,
            skipped: 0,
            bits: [0; WORDS],
        }
    }

    /// Begins a source with this packet; earlier packets get no number any more.
    pub fn begin_source(&mut self, seq: u64) {
        self.start = seq;
        self.base = self.next;
        self.front = None;
        self.top = seq;
        self.skipped = 0;
        self.bits = [0; WORDS];
    }

    /// Skips a packet. No effect if a later one already has its number.
    pub fn skip(&mut self, seq: u64) {
        if seq < self.start || self.front.is_some_and(|front| seq <= front) {
            return;
        }
        self.advance(seq);
        if !self.is_old(seq) && !self.is_skipped(seq) {
            let (word, bit) = place(seq);
            self.bits[word] |= bit;
            self.skipped += 1;
        }
    }

    /// The number of a packet; none if it precedes the source, left the window or was skipped.
    pub fn munge(&mut self, seq: u64) -> Option<MungedSequence> {
        if seq < self.start {
            return None;
        }
        self.advance(seq);
        if self.is_old(seq) || self.is_skipped(seq) {
            return None;
        }
        let newest = self.front.is_none_or(|front| seq > front);
        let skipped = self.skipped - self.skipped_after(seq);
        // Saturates only at a distance that is handled as a jump below.
        let mut out = self.base.saturating_add(seq - self.start) - skipped;
        if newest {
            if out - self.next > WINDOW {
                out = self.jump(seq);
            }
            self.front = Some(seq);
            self.next = out + 1;
        }
        Some(MungedSequence {
            sequence: out,
            is_newest: newest,
        })
    }

    /// Restarts the source far ahead; packets in between get no number. One number stays unused,
    /// so that the receiver detects the loss.
    fn jump(&mut self, seq: u64) -> u64 {
        self.next += 1;
        self.begin_source(seq);
        self.base
    }

    /// Advances the window to a packet.
    fn advance(&mut self, seq: u64) {
        if seq <= self.top {
            return;
        }
        if seq - self.top >= WINDOW {
            self.bits = [0; WORDS];
        } else {
            for fresh in self.top + 1..=seq {
                let (word, bit) = place(fresh);
                self.bits[word] &= !bit;
            }
        }
        self.top = seq;
    }

    /// Whether a packet has left the window.
    fn is_old(&self, seq: u64) -> bool {
        self.top - seq >= WINDOW
    }

    /// Whether a packet in the window was skipped.
    fn is_skipped(&self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        self.bits[word] & bit != 0
    }

    /// The number of packets skipped after a packet in the window.
    fn skipped_after(&self, seq: u64) -> u64 {
        if seq == self.top || self.skipped == 0 {
            return 0;
        }
        (seq + 1..=self.top)
            .filter(|seq| self.is_skipped(*seq))
            .count() as u64
    }
}

/// The position of a packet's bit: the index of the word and the mask.
fn place(seq: u64) -> (usize, u64) {
    let index = seq % WINDOW;
    ((index / 64) as usize, 1 << (index % 64))
}
