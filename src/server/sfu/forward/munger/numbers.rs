//! Sequence numbers of one outgoing stream: the source's order without what is left out.
//!
//! A packet's number is where its source began, plus how far it is from there, minus what
//! was left out on the way. Which packets were left out is remembered for the newest
//! [`WINDOW`] of the source, so that a late packet gets the number that was kept for it.

/// Packets of the source that are remembered, and the longest gap passed on. 512: at 300
/// packets a second longer than a receiver waits for a resent one, and 64 bytes of bits.
pub const WINDOW: u64 = 512;
/// Words of the bitmap.
const WORDS: usize = (WINDOW / 64) as usize;

/// The number of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MungedSequence {
    /// Its place in the outgoing order.
    pub sequence: u64,
    /// Whether it is the furthest so far.
    pub is_newest: bool,
}

/// Numbers the packets of one outgoing stream.
#[derive(Debug)]
pub struct SequenceMunger {
    /// The lowest number that no packet has had.
    next: u64,
    /// Where the source begins, in its own order.
    start: u64,
    /// The number of the packet at `start`.
    base: u64,
    /// The furthest packet of the source that got a number; none right at the start.
    /// Everything left out counts from beyond it, so a number once given stays.
    front: Option<u64>,
    /// The furthest packet of the source seen, left out or not.
    top: u64,
    /// How many were left out since `start`.
    skipped: u64,
    /// Which were, for the newest [`WINDOW`] up to `top`; a ring by the source's numbers.
    bits: [u64; WORDS],
}

impl SequenceMunger {
    /// Begins with this number.
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

    /// A source begins with this packet; nothing before it has a place any more.
    pub fn begin_source(&mut self, seq: u64) {
        self.start = seq;
        self.base = self.next;
        self.front = None;
        self.top = seq;
        self.skipped = 0;
        self.bits = [0; WORDS];
    }

    /// Leaves a packet out. Once a later one has its number, the gap stays.
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

    /// The number of a packet; none where it has no place.
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
        // Saturates only where it is a jump anyway.
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

    /// Goes on far ahead: whatever is between will not come any more. One number stays free,
    /// so that the receiver notices.
    fn jump(&mut self, seq: u64) -> u64 {
        self.next += 1;
        self.begin_source(seq);
        self.base
    }

    /// Moves the window up to a packet.
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

    /// Whether a packet in the window was left out.
    fn is_skipped(&self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        self.bits[word] & bit != 0
    }

    /// How many were left out behind a packet in the window.
    fn skipped_after(&self, seq: u64) -> u64 {
        if seq == self.top || self.skipped == 0 {
            return 0;
        }
        (seq + 1..=self.top)
            .filter(|seq| self.is_skipped(*seq))
            .count() as u64
    }
}

/// Where a packet's bit is: the word, and the bit in it.
fn place(seq: u64) -> (usize, u64) {
    let index = seq % WINDOW;
    ((index / 64) as usize, 1 << (index % 64))
}
