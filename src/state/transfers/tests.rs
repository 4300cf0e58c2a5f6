//! Two pages that exchange files over a line that breaks anywhere.

use super::book::{Book, MAX_AT_ONCE, MAX_ENDED, MAX_WITH_PERSON, Task};
use super::frame::{DATA_HEADER_BYTES, Frame, Reason, TransferId, data_header};
use super::incoming::{MAX_UNSTORED_BYTES, Verdict};
use super::outgoing::{READ_BYTES, WINDOW_BYTES};
use super::{Ending, Stage, clean_name};
use crate::protocol::ParticipantId;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

fn person(number: usize) -> ParticipantId {
    ParticipantId::parse(&format!("p_{number}")).expect("valid")
}

/// A page with its transfers and the file that it has stored.
struct Page {
    book: Book,
    other: ParticipantId,
    /// The file that it sends.
    file: Vec<u8>,
    /// The file that it receives.
    stored: Vec<u8>,
    /// Bytes that wait for the disk.
    waiting: VecDeque<Vec<u8>>,
    /// Messages that the line has not taken yet.
    out: VecDeque<Vec<u8>>,
    chunk: usize,
    kept: bool,
    accepts: bool,
}

impl Page {
    fn new(other: usize, file: Vec<u8>, chunk: usize) -> Self {
        Self {
            book: Book::default(),
            other: person(other),
            file,
            stored: Vec::new(),
            waiting: VecDeque::new(),
            out: VecDeque::new(),
            chunk,
            kept: false,
            accepts: true,
        }
    }

    fn open(&mut self) {
        self.out.extend(self.book.on_open(&self.other));
    }

    fn receive(&mut self, message: &[u8]) {
        let outcome = self.book.on_message(&self.other, "Other", true, message);
        self.out.extend(outcome.reply);
        match outcome.task {
            Some(Task::ShowOffer(row)) if self.accepts => {
                let accepted = self.book.accept(row).expect("offered");
                self.out.push_back(accepted.1);
            }
            Some(Task::Read(row)) => self.read(row),
            Some(Task::Store(_)) => self
                .waiting
                .push_back(message[DATA_HEADER_BYTES..].to_vec()),
            Some(Task::Check(row)) => self.check(row),
            Some(Task::ShowOffer(_) | Task::Free(_)) | None => {}
        }
    }

    /// Reads and sends as far as the receiver's acknowledgements allow.
    fn read(&mut self, row: u32) {
        let Some(outgoing) = self.book.outgoing(row) else {
            return;
        };
        while let Some(read) = outgoing.next_read() {
            let from = read.offset as usize;
            let bytes = &self.file[from..from + read.bytes as usize];
            assert!(outgoing.on_read(read, bytes));
            for (number, chunk) in bytes.chunks(self.chunk).enumerate() {
                let offset = read.offset + (number * self.chunk) as u64;
                let header = data_header(outgoing.id, offset);
                self.out.push_back([&header[..], chunk].concat());
            }
        }
        let end = outgoing.announce_end();
        self.out.extend(end.map(|frame| frame.encode()));
    }

    /// Stores one chunk that waits.
    fn store(&mut self, row: u32) {
        if let Some(bytes) = self.waiting.pop_front() {
            let count = bytes.len() as u64;
            self.stored.extend(bytes);
            self.out.extend(self.book.on_stored(row, count));
            self.check(row);
        }
    }

    fn check(&mut self, row: u32) {
        match self.book.verdict(row) {
            Some(Verdict::Keep) => {
                self.kept = true;
                self.out.extend(self.book.on_kept(row));
            }
            Some(Verdict::Delete(reason)) => {
                let (_, message) = self.book.cancel(row, reason).expect("it moves");
                self.out.push_back(message);
            }
            None => {}
        }
    }

    fn stage(&mut self) -> Stage {
        self.book.rows(0.0)[0].stage
    }
}

/// What happens next on the line.
#[derive(Debug, Clone)]
enum Step {
    Deliver { to_receiver: bool, messages: usize },
    Store { chunks: usize },
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 1..6_usize)
            .prop_map(|(to_receiver, messages)| Step::Deliver { to_receiver, messages }),
        3 => (1..6_usize).prop_map(|chunks| Step::Store { chunks }),
        1 => Just(Step::Cut),
    ]
}

struct Line {
    sender: Page,
    receiver: Page,
}

impl Line {
    fn new(file: Vec<u8>, chunk: usize) -> Self {
        let mut line = Self {
            sender: Page::new(2, file, chunk),
            receiver: Page::new(1, Vec::new(), chunk),
        };
        let size = line.sender.file.len() as u64;
        let offered = line
            .sender
            .book
            .offer(&person(2), "Ben", 77, ("a.bin", size));
        offered.expect("has place");
        line.open();
        line
    }

    fn open(&mut self) {
        self.sender.open();
        self.receiver.open();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver {
                to_receiver,
                messages,
            } => {
                let (from, to) = match to_receiver {
                    true => (&mut self.sender, &mut self.receiver),
                    false => (&mut self.receiver, &mut self.sender),
                };
                for _ in 0..messages {
                    if let Some(message) = from.out.pop_front() {
                        to.receive(&message);
                    }
                }
            }
            Step::Store { chunks } => {
                for _ in 0..chunks {
                    self.receiver.store(1);
                }
            }
            Step::Cut => {
                self.sender.out.clear();
                self.receiver.out.clear();
                self.open();
            }
        }
    }

    /// Runs until nothing moves any more.
    fn finish(&mut self) {
        loop {
            for to_receiver in [true, false] {
                self.step(Step::Deliver {
                    to_receiver,
                    messages: 1_000,
                });
            }
            self.step(Step::Store { chunks: 1_000 });
            let lines = [&self.sender.out, &self.receiver.out];
            if lines.iter().all(|out| out.is_empty()) && self.receiver.waiting.is_empty() {
                return;
            }
        }
    }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_file_arrives_whole_over_a_line_that_breaks_anywhere(
        bytes in prop_oneof![Just(0_usize), 1..400_usize, 390_000..400_000_usize],
        chunk in prop_oneof![1_024..2_000_usize, 60_000..70_000_usize],
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let file = content(bytes);
        let mut line = Line::new(file.clone(), chunk);
        for step in steps {
            line.step(step);
        }
        line.step(Step::Cut);
        line.finish();
        prop_assert!(line.receiver.kept);
        prop_assert_eq!(&line.receiver.stored, &file);
        prop_assert_eq!(line.sender.stage(), Stage::Ended(Ending::Done));
        prop_assert_eq!(line.receiver.stage(), Stage::Ended(Ending::Done));
    }

    #[test]
    fn arbitrary_frames_do_not_panic_and_open_a_bounded_number_of_transfers(
        frames in prop::collection::vec(
            (0..3_usize, 0..10_u8, 0..12_u64, any::<bool>(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..40)),
            0..200,
        ),
    ) {
        let mut book = Book::default();
        book.offer(&person(0), "Ann", 3, ("mine", 100)).expect("has place");
        for (from, kind, id, small, number, rest) in frames {
            let number = if small { number % 200 } else { number };
            let mut bytes = vec![1, kind];
            bytes.extend(id.to_be_bytes());
            if rest.len() % 3 > 0 {
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(rest);
            let outcome = book.on_message(&person(from), "N", true, &bytes);
            match outcome.task {
                Some(Task::ShowOffer(row)) if small => {
                    book.accept(row);
                }
                Some(Task::Store(row)) => {
                    book.on_stored(row, 7);
                    book.verdict(row);
                }
                Some(Task::Check(row)) => {
                    book.verdict(row);
                }
                Some(Task::Read(row)) => {
                    if let Some(outgoing) = book.outgoing(row)
                        && let Some(read) = outgoing.next_read()
                    {
                        outgoing.on_read(read, &vec![0; read.bytes as usize]);
                    }
                }
                Some(Task::ShowOffer(_) | Task::Free(_)) | None => {}
            }
            let rows = book.rows(0.0);
            for from in 0..3 {
                let open = rows.iter().filter(|row| row.person == person(from) && !row.stage.is_ended());
                prop_assert!(open.count() <= 2 * MAX_WITH_PERSON);
            }
        }
    }
}

#[test]
fn a_wrong_byte_is_noticed_and_both_sides_say_so() {
    let mut line = Line::new(content(50_000), 10_000);
    line.step(Step::Deliver {
        to_receiver: true,
        messages: 1,
    });
    line.step(Step::Deliver {
        to_receiver: false,
        messages: 1,
    });
    let last = line.sender.out.len() - 2;
    let message = &mut line.sender.out[last];
    *message.last_mut().expect("has bytes") ^= 1;
    line.finish();
    assert!(!line.receiver.kept);
    assert_eq!(
        line.receiver.stage(),
        Stage::Ended(Ending::Failed(Reason::WrongHash))
    );
    assert_eq!(
        line.sender.stage(),
        Stage::Ended(Ending::Cancelled(Reason::WrongHash))
    );
}

#[test]
fn a_refusal_and_a_cancel_reach_the_other_side_even_after_a_cut() {
    for by_receiver in [true, false] {
        let mut line = Line::new(content(3_000_000), 60_000);
        line.receiver.accepts = !by_receiver;
        line.step(Step::Deliver {
            to_receiver: true,
            messages: 1,
        });
        let page = match by_receiver {
            true => &mut line.receiver,
            false => &mut line.sender,
        };
        page.book.cancel(1, Reason::Declined).expect("not ended");
        assert_eq!(page.stage(), Stage::Ended(Ending::Stopped));
        line.step(Step::Cut);
        line.finish();
        let other = match by_receiver {
            true => line.sender.stage(),
            false => line.receiver.stage(),
        };
        let Stage::Ended(Ending::Cancelled(reason) | Ending::Refused(reason)) = other else {
            panic!("{other:?}");
        };
        assert_eq!(reason, Reason::Declined);
        assert!(!line.receiver.kept);
    }
}

#[test]
fn a_receiver_that_has_reloaded_is_offered_the_file_again_from_the_start() {
    let file = content(3_000_000);
    let mut line = Line::new(file.clone(), 60_000);
    for to_receiver in [true, false, true] {
        line.step(Step::Deliver {
            to_receiver,
            messages: 9,
        });
    }
    line.step(Step::Store { chunks: 4 });
    assert!(!line.receiver.stored.is_empty());
    line.receiver = Page::new(1, Vec::new(), 60_000);
    line.step(Step::Cut);
    line.finish();
    assert!(line.receiver.kept);
    assert_eq!(line.receiver.stored, file);
}

#[test]
fn a_sender_waits_for_the_disk_of_the_receiver_and_a_rude_one_is_cut_off() {
    let mut book = Book::default();
    let size = 4 * WINDOW_BYTES;
    let row = book
        .offer(&person(1), "Ann", 5, ("a", size))
        .expect("has place");
    book.on_message(&person(1), "Ann", true, &Frame::Accept { id: 5 }.encode());
    let bytes = vec![0; READ_BYTES as usize];
    let outgoing = book.outgoing(row).expect("mine");
    let mut sent = 0;
    while let Some(read) = outgoing.next_read() {
        assert!(outgoing.on_read(read, &bytes));
        sent += read.bytes;
    }
    assert_eq!(sent, WINDOW_BYTES);
    let ack = Frame::Ack {
        id: 5,
        offset: READ_BYTES,
    };
    book.on_message(&person(1), "Ann", true, &ack.encode());
    let outgoing = book.outgoing(row).expect("mine");
    assert_eq!(
        outgoing.next_read().map(|read| read.offset),
        Some(WINDOW_BYTES)
    );

    let offer = Frame::Offer {
        id: 9,
        size: u64::MAX >> 20,
        name: "b",
    };
    let shown = book.on_message(&person(2), "Eve", true, &offer.encode());
    let Some(Task::ShowOffer(row)) = shown.task else {
        panic!("{shown:?}");
    };
    book.accept(row).expect("offered");
    let chunk = vec![0; 200_000];
    let mut offset = 0;
    let cut = loop {
        let data = Frame::Data {
            id: 9,
            offset,
            bytes: &chunk,
        };
        let outcome = book.on_message(&person(2), "Eve", true, &data.encode());
        if outcome.task != Some(Task::Store(row)) {
            break outcome;
        }
        offset += chunk.len() as u64;
    };
    assert!(offset <= MAX_UNSTORED_BYTES);
    assert_eq!(cut.task, Some(Task::Free(row)));
    let told = Frame::decode(cut.reply.as_deref().expect("a reply")).map(|frame| frame.encode());
    let expected = Frame::Cancel {
        id: 9,
        reason: Reason::BadFrame,
    };
    assert_eq!(told, Ok(expected.encode()));
}

#[test]
fn offers_beyond_the_limits_or_without_the_right_are_refused() {
    fn refused(
        book: &mut Book,
        from: usize,
        id: TransferId,
        may: bool,
        size: u64,
    ) -> Option<Reason> {
        let offer = Frame::Offer {
            id,
            size,
            name: "x",
        };
        let reply = book
            .on_message(&person(from), "N", may, &offer.encode())
            .reply?;
        match Frame::decode(&reply) {
            Ok(Frame::Refuse { reason, .. }) => Some(reason),
            other => panic!("{other:?}"),
        }
    }
    let mut book = Book::default();
    assert_eq!(refused(&mut book, 0, 1, false, 9), Some(Reason::NotAllowed));
    assert_eq!(
        refused(&mut book, 0, 1, true, u64::MAX),
        Some(Reason::TooLarge)
    );
    for id in 0..MAX_WITH_PERSON as u64 {
        assert_eq!(refused(&mut book, 0, id, true, 9), None);
    }
    assert_eq!(refused(&mut book, 0, 99, true, 9), Some(Reason::Busy));
    for from in 1..200 {
        refused(&mut book, from, 1, true, 9);
    }
    assert_eq!(book.rows(0.0).len(), MAX_AT_ONCE);
    // Whoever loses the right in the middle is cut off.
    book.accept(1).expect("offered");
    let data = Frame::Data {
        id: 0,
        offset: 0,
        bytes: b"x",
    };
    let outcome = book.on_message(&person(0), "N", false, &data.encode());
    assert_eq!(outcome.task, Some(Task::Free(1)));
    // Ended rows do not pile up.
    for row in 2..=100 {
        book.cancel(row, Reason::Declined);
    }
    assert!(book.rows(0.0).len() <= MAX_ENDED);
}

#[test]
fn offers_that_are_withdrawn_do_not_pile_up_and_push_no_received_file_out() {
    let mut line = Line::new(content(10), 1_024);
    line.finish();
    let book = &mut line.receiver.book;
    for id in 0..3 * MAX_ENDED as u64 {
        let offer = Frame::Offer {
            id,
            size: 9,
            name: "x",
        };
        let reason = Reason::Declined;
        let withdrawn = Frame::Cancel { id, reason };
        for frame in [offer, withdrawn] {
            book.on_message(&person(3), "Eve", true, &frame.encode());
        }
    }
    let rows = book.rows(0.0);
    assert_eq!(rows.len(), MAX_ENDED + 1);
    assert_eq!(rows[0].stage, Stage::Ended(Ending::Done));
}

#[test]
fn the_hash_is_that_of_the_whole_file_and_names_are_cleaned() {
    let file = content(70_000);
    let mut line = Line::new(file.clone(), 5_000);
    line.finish();
    let expected: [u8; 32] = Sha256::digest(&file).into();
    let offer = Frame::Offer {
        id: 77,
        size: 70_000,
        name: "a.bin",
    };
    let again = line
        .receiver
        .book
        .on_message(&person(1), "Ann", true, &offer.encode());
    let done = Frame::Done {
        id: 77,
        hash: expected,
    };
    assert_eq!(again.reply, Some(done.encode()));
    assert_eq!(clean_name("../..\\a\u{202E}b.txt").as_str(), "ab.txt");
    assert_eq!(clean_name("").as_str(), "file");
}
