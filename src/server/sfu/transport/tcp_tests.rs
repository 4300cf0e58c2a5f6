//! Framing, and peers that are slow or without end.

use super::*;
use proptest::prelude::*;

/// A port, one stream that came in to it, and its other end.
fn accepted_stream() -> (TcpTransport, Token, std::net::TcpStream) {
    let mut tcp = TcpTransport::bind("127.0.0.1:0".parse().unwrap(), Families::V4, 16).unwrap();
    let poll = mio::Poll::new().unwrap();
    let address = tcp.listener().local_addr().unwrap();
    let other = std::net::TcpStream::connect(address).unwrap();
    while tcp.streams.is_empty() {
        tcp.accept(poll.registry(), Instant::now());
    }
    (tcp, Token(16), other)
}

#[test]
fn who_reads_slowly_loses_whole_frames_and_fills_no_memory() {
    let (mut tcp, token, mut other) = accepted_stream();
    let to = other.local_addr().unwrap();
    let frames_sent = 20_000_u32;
    for number in 0..frames_sent {
        let mut frame = [0; 1100];
        frame[..4].copy_from_slice(&number.to_be_bytes());
        tcp.send(to, &frame);
        assert!(tcp.streams[&token].write_buffer.len() <= MEDIA_TCP_QUEUE_BYTES + 2);
    }
    // Read again, it goes on with the rest of the frame it stopped in.
    let reader = std::thread::spawn(move || {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            match other.read(&mut buffer) {
                Ok(0) | Err(_) => return bytes,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            }
        }
    });
    while !tcp.streams[&token].write_buffer.is_empty() {
        tcp.on_ready(token, Instant::now(), |_| {});
        std::thread::yield_now();
    }
    tcp.close(token);
    let (bytes, mut numbers) = (reader.join().unwrap(), Vec::new());
    let whole = take_frames(&bytes, &mut |frame: &[u8]| {
        assert_eq!(frame.len(), 1100);
        numbers.push(u32::from_be_bytes(frame[..4].try_into().unwrap()));
    });
    assert_eq!(whole, bytes.len(), "no frame was torn");
    assert!(numbers.is_sorted() && numbers.len() > 100);
    assert!(numbers.len() < frames_sent as usize, "the rest was lost");
}

#[test]
fn a_stream_that_drips_and_proves_nothing_is_closed_and_a_proven_one_is_not() {
    let (mut tcp, token, mut other) = accepted_stream();
    let begun = tcp.streams[&token].last_received;
    let proven = std::cell::Cell::new(true);
    // A frame of one byte each second, for four minutes: never silent.
    let drip = |tcp: &mut TcpTransport, other: &mut std::net::TcpStream, second: u64| {
        let now = begun + Duration::from_secs(second);
        if other.write_all(&[0, 1, 7]).is_err() {
            return false;
        }
        let mut taken = 0;
        while taken == 0 && tcp.streams.contains_key(&token) {
            tcp.on_ready(token, now, |_| taken += 1);
        }
        tcp.sweep(now, |_| proven.get());
        tcp.streams.contains_key(&token)
    };
    assert!((1..120).all(|second| drip(&mut tcp, &mut other, second)));
    // Its connection is over.
    proven.set(false);
    let lasted = (120..240).take_while(|second| drip(&mut tcp, &mut other, *second));
    assert_eq!(lasted.count(), 10);
}

#[test]
fn who_sends_without_end_does_not_keep_the_others_waiting() {
    let (mut tcp, token, mut other) = accepted_stream();
    let sent = 10 * MAX_READ_BYTES;
    let sender = std::thread::spawn(move || {
        let frame = [&1000_u16.to_be_bytes()[..], &[7; 1000]].concat();
        let bytes: Vec<u8> = frame.into_iter().cycle().take(sent).collect();
        other.write_all(&bytes).unwrap();
        other
    });
    let (mut taken, mut turns) = (0, 0);
    while taken < sent / 1002 {
        let before = taken;
        tcp.on_ready(token, Instant::now(), |_| taken += 1);
        let one_turn = (taken - before) * 1002;
        assert!(
            one_turn <= MAX_READ_BYTES + 16 * 1024 + MAX_FRAME_BYTES,
            "{one_turn}"
        );
        turns += 1;
        let unread = tcp.unread();
        assert!(unread.is_empty() || unread == [token]);
    }
    assert!(turns >= 9, "{turns}");
    sender.join().unwrap();
}

proptest! {
    #[test]
    fn frames_come_whole_however_the_stream_is_cut(
        sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
        cuts in prop::collection::vec(1_usize..50, 1..200),
    ) {
        let mut stream = Vec::new();
        for frame in &sent {
            stream.extend_from_slice(&(frame.len() as u16).to_be_bytes());
            stream.extend_from_slice(frame);
        }
        let (mut partial, mut got, mut rest) = (Vec::new(), Vec::new(), &stream[..]);
        let mut cuts = cuts.into_iter().cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            rest = later;
            partial.extend_from_slice(piece);
            let taken = take_frames(&partial, &mut |frame: &[u8]| got.push(frame.to_vec()));
            partial.drain(..taken);
        }
        prop_assert_eq!(got, sent);
    }
}
