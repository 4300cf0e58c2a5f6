use super::*;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

const MIB: u64 = 1024 * 1024;

fn file(letter: char) -> FileId {
    FileId::parse(&format!("f_{}", letter.to_string().repeat(22))).expect("an id")
}

/// Uploads of these sizes, read by the browser.
fn prepared(sizes: &[u64]) -> (Uploads, Vec<UploadKey>) {
    let mut uploads = Uploads::new(25 * MIB);
    let add = |size: &u64| {
        let key = uploads.add("photo.png", *size).expect("a place");
        uploads.on_prepared(key, "photo.webp", *size);
        key
    };
    let keys = sizes.iter().map(add).collect();
    (uploads, keys)
}

/// Sends a file until it has arrived; returns the sizes of its parts.
fn sent(uploads: &mut Uploads, key: UploadKey, took_ms: f64) -> Vec<u64> {
    let mut parts = Vec::new();
    while let Some(step) = uploads.step(key) {
        match step {
            Step::Begin => uploads.on_begun(key, file('a')),
            Step::Ask(_) => uploads.on_offset(key, 0, took_ms),
            Step::Send { from, to, .. } => {
                assert!(from < to);
                parts.push(to - from);
                uploads.on_offset(key, to, took_ms);
            }
        }
    }
    parts
}

const REFUSED: Failure = Failure::Refused {
    status: 429,
    code: Some(ErrorCode::TooManyUploads),
    retry_after_s: Some(10),
};

#[test]
fn a_file_is_sent_in_parts_that_follow_the_speed_and_cover_it() {
    let (mut uploads, keys) = prepared(&[25 * MIB]);
    assert_eq!(uploads.start_due(), keys);
    let quick = sent(&mut uploads, keys[0], 10.0);
    assert_eq!(quick.iter().sum::<u64>(), 25 * MIB);
    assert_eq!(quick[..4], [MIB / 4, MIB / 2, MIB, MIB]);
    assert_eq!(quick.iter().max(), Some(&MOST_PART_BYTES));
    assert_eq!(uploads.readiness(), Readiness::Ready);

    let (mut uploads, keys) = prepared(&[MIB]);
    uploads.start_due();
    let slow = sent(&mut uploads, keys[0], 5_000.0);
    assert_eq!(slow[..3], [MIB / 4, MIB / 8, MIB / 16]);
    assert_eq!(slow.iter().sum::<u64>(), MIB);
}

#[test]
fn two_files_upload_at_once_and_the_others_wait_for_their_turn() {
    let (mut uploads, keys) = prepared(&[10, 20, 30]);
    assert_eq!(uploads.start_due(), keys[..2]);
    assert_eq!(uploads.start_due(), [0; 0]);
    assert_eq!(uploads.step(keys[2]), None);
    sent(&mut uploads, keys[1], 1.0);
    assert_eq!(uploads.start_due(), keys[2..]);
    assert_eq!(uploads.counts(), (1, 3));
    assert_eq!(uploads.readiness(), Readiness::Busy);
    assert!(uploads.take().is_empty());
    assert_eq!(uploads.list.len(), 3);
}

#[test]
fn a_file_that_is_too_large_or_empty_fails_before_any_request() {
    let (mut uploads, keys) = prepared(&[25 * MIB + 1, 0, 25 * MIB]);
    let stage = |at: usize| uploads.get(keys[at]).expect("known").stage.clone();
    assert_eq!(stage(0), Stage::Failed(UploadProblem::TooLarge));
    assert_eq!(stage(1), Stage::Failed(UploadProblem::Empty));
    assert_eq!(uploads.readiness(), Readiness::Failed);
    assert_eq!(uploads.start_due(), keys[2..]);
    uploads.retry(keys[0]);
    assert_eq!(uploads.step(keys[0]), None);
}

#[test]
fn a_message_has_at_most_ten_files_and_the_eleventh_is_named() {
    let (mut uploads, _) = prepared(&[1; 10]);
    assert_eq!(uploads.rejected, None);
    assert_eq!(uploads.add("one more", 1), None);
    assert_eq!(uploads.rejected, Some(Rejected::TooMany));
    assert_eq!(uploads.list.len(), 10);
}

#[test]
fn after_a_lost_request_the_server_is_asked_and_the_rest_is_sent() {
    let (mut uploads, keys) = prepared(&[MIB]);
    let key = keys[0];
    uploads.start_due();
    uploads.on_begun(key, file('a'));
    uploads.on_offset(key, MIB / 4, 1_000.0);
    let next = uploads.on_failure(key, Failure::Lost, true, 0.5);
    assert_eq!(next, Next::After(Duration::from_secs(1)));
    assert_eq!(uploads.step(key), Some(Step::Ask(file('a'))));
    uploads.on_offset(key, MIB / 2, 20.0);
    let Some(Step::Send { from, .. }) = uploads.step(key) else {
        panic!("the rest is sent");
    };
    assert_eq!(from, MIB / 2);
}

#[test]
fn without_the_connection_of_the_room_an_upload_waits_for_it() {
    let (mut uploads, keys) = prepared(&[MIB]);
    uploads.start_due();
    uploads.on_begun(keys[0], file('a'));
    for _ in 0..20 {
        assert_eq!(
            uploads.on_failure(keys[0], Failure::Lost, false, 0.5),
            Next::Stop
        );
        assert_eq!(uploads.get(keys[0]).expect("known").stage, Stage::Waiting);
        assert_eq!(uploads.start_due(), keys);
    }
    assert_eq!(uploads.step(keys[0]), Some(Step::Ask(file('a'))));
}

#[test]
fn failures_are_repeated_ever_later_and_end_with_a_reason_that_may_be_tried_again() {
    for (failure, problem) in [
        (Failure::Lost, UploadProblem::Lost),
        (REFUSED, UploadProblem::TooMany),
    ] {
        let (mut uploads, keys) = prepared(&[MIB]);
        uploads.start_due();
        let mut before = Duration::ZERO;
        for _ in 0..MAX_FAILURES {
            let Next::After(delay) = uploads.on_failure(keys[0], failure, true, 0.5) else {
                panic!("another attempt follows");
            };
            assert!(before <= delay && delay <= MAX_DELAY);
            before = delay;
        }
        assert_eq!(uploads.on_failure(keys[0], failure, true, 0.5), Next::Stop);
        assert_eq!(
            uploads.get(keys[0]).expect("known").stage,
            Stage::Failed(problem)
        );
        uploads.retry(keys[0]);
        assert_eq!(uploads.start_due(), keys);
        assert_eq!(uploads.step(keys[0]), Some(Step::Begin));
    }
}

#[test]
fn a_refusal_that_stays_true_ends_an_upload_at_once() {
    for (status, code, problem) in [
        (
            507,
            Some(ErrorCode::RoomStorageFull),
            UploadProblem::RoomFull,
        ),
        (
            507,
            Some(ErrorCode::ServerStorageFull),
            UploadProblem::ServerFull,
        ),
        (403, Some(ErrorCode::NotAllowed), UploadProblem::Role),
        (403, Some(ErrorCode::FilesOff), UploadProblem::Off),
        (413, Some(ErrorCode::FileTooLarge), UploadProblem::TooLarge),
        (400, Some(ErrorCode::BadMessage), UploadProblem::Refused),
        (413, None, UploadProblem::Refused),
        (403, None, UploadProblem::Refused),
    ] {
        let (mut uploads, keys) = prepared(&[MIB]);
        uploads.start_due();
        let failure = Failure::Refused {
            status,
            code,
            retry_after_s: None,
        };
        assert_eq!(uploads.on_failure(keys[0], failure, true, 0.5), Next::Stop);
        assert_eq!(
            uploads.get(keys[0]).expect("known").stage,
            Stage::Failed(problem),
            "{status} {code:?}"
        );
    }
}

#[test]
fn an_upload_that_the_server_has_forgotten_begins_again_a_few_times() {
    let (mut uploads, keys) = prepared(&[MIB]);
    let forgotten = Failure::Refused {
        status: 404,
        code: Some(ErrorCode::NoSuchFile),
        retry_after_s: None,
    };
    uploads.start_due();
    for _ in 0..MAX_RESTARTS {
        uploads.on_begun(keys[0], file('a'));
        assert_eq!(
            uploads.on_failure(keys[0], forgotten, true, 0.5),
            Next::After(Duration::ZERO)
        );
        assert_eq!(uploads.step(keys[0]), Some(Step::Begin));
    }
    assert_eq!(
        uploads.on_failure(keys[0], forgotten, true, 0.5),
        Next::Stop
    );
    assert_eq!(uploads.readiness(), Readiness::Failed);
}

#[test]
fn a_removed_file_is_named_to_be_ended_and_late_answers_change_nothing() {
    let (mut uploads, keys) = prepared(&[MIB, MIB]);
    uploads.start_due();
    uploads.on_begun(keys[0], file('a'));
    uploads.sends = true;
    let removed = uploads.remove(keys[0]).expect("known");
    assert_eq!(removed.file(), Some(&file('a')));
    assert!(uploads.sends);
    let before = uploads.clone();
    uploads.on_offset(keys[0], MIB, 1.0);
    assert_eq!(
        uploads.on_failure(keys[0], Failure::Lost, true, 0.5),
        Next::Stop
    );
    assert_eq!(uploads, before);
    uploads.remove(keys[1]);
    assert!(!uploads.sends, "without files nothing waits for them");
}

#[test]
fn a_reload_keeps_what_has_arrived_and_names_what_is_lost() {
    let (mut uploads, keys) = prepared(&[10, 20]);
    uploads.start_due();
    sent(&mut uploads, keys[0], 1.0);
    let kept = serde_json::to_string(&uploads.kept()).expect("serialises");
    let mut after = Uploads::new(25 * MIB);
    after.restore(serde_json::from_str(&kept).expect("reads"));
    let stages: Vec<_> = after
        .list
        .iter()
        .map(|upload| upload.stage.clone())
        .collect();
    assert_eq!(stages, [Stage::Waiting, Stage::Failed(UploadProblem::Gone)]);
    let first = after.list[0].key;
    assert_eq!(after.start_due(), [first]);
    assert_eq!(after.step(first), Some(Step::Ask(file('a'))));
    after.on_offset(first, 10, 1.0);
    assert_eq!(
        after.get(first).expect("known").stage,
        Stage::Finished(file('a'))
    );
}

#[test]
fn a_message_that_comes_back_uploads_its_files_again() {
    let (mut uploads, keys) = prepared(&[10]);
    uploads.start_due();
    sent(&mut uploads, keys[0], 1.0);
    let taken = uploads.take();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].attachment().expect("arrived").id, file('a'));
    assert_eq!(uploads.readiness(), Readiness::NoFiles);
    uploads.put_back("hello".into(), taken);
    assert_eq!(uploads.returned.as_deref(), Some("hello"));
    assert_eq!(uploads.start_due(), keys);
    assert_eq!(uploads.step(keys[0]), Some(Step::Begin));
}

proptest! {
    #[test]
    fn names_are_base64_as_everybody_reads_it(name in "\\PC{0,40}") {
        prop_assert_eq!(base64(&name), BASE64_STANDARD.encode(&name));
    }

    /// Whatever happens in whatever order, no step leaves the file, and at most two are sent.
    #[test]
    fn any_order_of_answers_keeps_the_parts_within_the_file(
        events in prop::collection::vec((0_u32..4, 0_u8..8, 0_u64..3 * MIB), 0..60),
    ) {
        let (mut uploads, keys) = prepared(&[MIB, 2 * MIB, 5]);
        for (which, event, number) in events {
            let key = keys.get(which as usize).copied().unwrap_or(99);
            match event {
                0 => drop(uploads.start_due()),
                1 => uploads.on_begun(key, file('b')),
                2 => uploads.on_offset(key, number, 100.0),
                3 => drop(uploads.on_failure(key, Failure::Lost, number % 2 == 0, 0.1)),
                4 => drop(uploads.on_failure(key, REFUSED, true, 0.9)),
                5 => uploads.retry(key),
                6 => drop(uploads.remove(key)),
                _ => uploads.fail(key, UploadProblem::Unreadable),
            }
            let sending = uploads.list.iter().filter(|it| it.stage == Stage::Sending);
            prop_assert!(sending.count() <= MAX_AT_ONCE);
            for upload in &uploads.list {
                if let Some(Step::Send { from, to, .. }) = uploads.step(upload.key) {
                    prop_assert!(from < to && to <= upload.size);
                }
            }
        }
    }
}
