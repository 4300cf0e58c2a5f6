//! Offers nobody's browser makes: one of Chromium's, torn and bent.

use super::{Peer, sdp::offer::Offer};
use crate::protocol::{MediaOffer, OfferedTrack, Source};
use crate::server::sfu::{
    keys::{PeerKey, RoomKey},
    testing::browser::{first_participant, rtc_config},
};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use str0m::{Input, Output};

/// What Chromium offers that sends everything it can and takes a few people.
const OFFER: &str = include_str!("../../../tests/corpus/offer.sdp");

/// What is done to an offer.
#[derive(Debug, Clone)]
enum Edit {
    /// A line is left out.
    Drop(usize),
    /// A line comes a second time, somewhere.
    Copy(usize, usize),
    /// A number in a line is another one.
    Count(usize, &'static str),
    /// A line ends early.
    Cut(usize, usize),
    /// A letter of a line is another one.
    Bend(usize, usize, char),
}

impl Edit {
    /// Applies the edit to the lines of an offer.
    fn apply(&self, lines: &mut Vec<String>) {
        let at = |line: usize| line % lines.len();
        match *self {
            Self::Drop(line) => drop(lines.remove(at(line))),
            Self::Copy(line, to) => {
                let (line, to) = (lines[at(line)].clone(), at(to));
                lines.insert(to, line);
            }
            Self::Count(line, number) => {
                let line = at(line);
                let start = lines[line].find(|c: char| c.is_ascii_digit());
                let Some(start) = start else { return };
                let rest = lines[line][start..].trim_start_matches(|c: char| c.is_ascii_digit());
                lines[line] = [&lines[line][..start], number, rest].concat();
            }
            Self::Cut(line, length) => {
                let line = at(line);
                let length = length % (lines[line].len() + 1);
                lines[line] = lines[line].chars().take(length).collect();
            }
            Self::Bend(line, letter, to) => {
                let line = at(line);
                let letters = lines[line].chars().count().max(1);
                let bent = lines[line].chars().enumerate();
                let bent = bent.map(|(n, c)| if n == letter % letters { to } else { c });
                lines[line] = bent.collect();
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let numbers = [
        "", "0", "1", "3", "15", "16", "127", "128", "65535", "65536",
    ];
    let more = ["-1", "4294967295", "4294967296", "99999999999999999999"];
    let number = prop::sample::select([&numbers[..], &more].concat());
    let line = 0_usize..400;
    prop_oneof![
        2 => line.clone().prop_map(Edit::Drop),
        3 => (line.clone(), line.clone()).prop_map(|(line, to)| Edit::Copy(line, to)),
        4 => (line.clone(), number).prop_map(|(line, number)| Edit::Count(line, number)),
        1 => (line.clone(), 0_usize..80).prop_map(|(line, length)| Edit::Cut(line, length)),
        2 => (line, 0_usize..80, any::<char>()).prop_map(|(line, at, to)| Edit::Bend(line, at, to)),
    ]
}

/// An offer with these edits.
fn edited_offer(edits: &[Edit]) -> String {
    let mut lines = OFFER.lines().map(str::to_owned).collect();
    for edit in edits {
        edit.apply(&mut lines);
    }
    lines.join("\r\n") + "\r\n"
}

/// A connection of somebody new, and the time.
fn peer() -> (Peer, Instant) {
    let now = Instant::now();
    let peer = Peer::new(
        PeerKey(1),
        RoomKey(1),
        first_participant(),
        1,
        true,
        &rtc_config(),
        now,
    );
    (peer, now)
}

/// Everything it names.
fn tracks() -> Vec<OfferedTrack> {
    let named = Source::ALL.into_iter().enumerate();
    let named = named.map(|(mid, source)| OfferedTrack {
        mid: mid.to_string(),
        source,
    });
    named.collect()
}

/// An offer of this description and everything it names.
fn read(sdp: String) -> Offer {
    Offer::new(MediaOffer {
        connection: 1,
        offer_id: 1,
        sdp,
        tracks: tracks(),
    })
}

#[test]
fn what_chromium_offers_is_answered() {
    let (mut peer, _) = peer();
    let answer = peer
        .accept_offer(read(edited_offer(&[])))
        .expect("an answer");
    assert_eq!(answer.matches("m=").count(), OFFER.matches("m=").count());
    assert_eq!(peer.upstream.offered_tracks.len(), Source::ALL.len());
}

#[test]
fn what_is_counted_and_never_reported_is_refused() {
    let counts = ["96", "97", "98", "108", "109", "111", "45"];
    let unreported = counts.iter().fold(edited_offer(&[]), |offer, pt| {
        offer.replace(
            &format!("a=rtcp-fb:{pt} transport"),
            "a=rtcp-fb:20 transport",
        )
    });
    let unnumbered = edited_offer(&[]).replace("a=extmap:3 ", "a=extmap:77 ");
    for offer in [unreported, unnumbered] {
        let (mut peer, _) = peer();
        assert!(peer.accept_offer(read(offer)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// It is answered or refused, and the connection goes on as long as it can.
    #[test]
    fn no_offer_breaks_anything(
        offers in prop::collection::vec(prop::collection::vec(edit(), 0..12), 1..4),
    ) {
        let (mut peer, mut now) = peer();
        for offer in offers {
            if peer.accept_offer(read(edited_offer(&offer))).is_err() {
                break;
            }
            for _ in 0..5 {
                now += Duration::from_millis(50);
                let _ = peer.rtc.handle_input(Input::Timeout(now));
                while let Ok(Output::Transmit(_) | Output::Event(_)) = peer.rtc.poll_output() {}
            }
        }
    }
}
