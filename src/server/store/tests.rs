//! The promises of the store, on a real file.

use super::*;
use crate::{
    protocol::Nickname,
    server::identity::{new_session_token, participant_id},
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("valid")
}

fn message(id: u128, text: &str) -> NewMessage {
    NewMessage {
        id: MessageId(uuid::Uuid::from_u128(id)),
        from: Person {
            id: participant_id(&new_session_token()),
            nickname: Nickname::parse("Ann").expect("valid"),
        },
        text: ChatText::parse(text).expect("valid"),
        at: 1,
    }
}

fn open(directory: &tempfile::TempDir) -> Store {
    Store::open(&directory.path().join("deep/noom.db")).expect("opens")
}

#[tokio::test]
async fn seq_counts_each_room_on_its_own_and_an_id_is_stored_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let first = store
        .append(&room("a"), message(1, "one"))
        .await
        .expect("stored");
    let other = store
        .append(&room("b"), message(1, "uno"))
        .await
        .expect("stored");
    let second = store
        .append(&room("a"), message(2, "two"))
        .await
        .expect("stored");
    let again = store
        .append(&room("a"), message(1, "changed"))
        .await
        .expect("stored");
    assert_eq!(
        (first.message.seq, other.message.seq, second.message.seq),
        (1, 1, 2)
    );
    assert!(again.duplicate && !other.duplicate);
    assert_eq!(again.message, first.message);
    store.check().await.expect("healthy");
}

#[tokio::test]
async fn pages_go_back_from_a_message_and_say_whether_there_is_more() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    for id in 1..=5 {
        store
            .append(&room("a"), message(id, "x"))
            .await
            .expect("stored");
    }
    let seqs = |page: &Page| page.messages.iter().map(|m| m.seq).collect::<Vec<_>>();
    let newest = store.page(&room("a"), None, 2).await.expect("read");
    assert_eq!((seqs(&newest), newest.more), (vec![4, 5], true));
    let oldest = store.page(&room("a"), Some(4), 3).await.expect("read");
    assert_eq!((seqs(&oldest), oldest.more), (vec![1, 2, 3], false));
    let after = store.after(&room("a"), 3, 1).await.expect("read");
    assert_eq!(after.iter().map(|m| m.seq).collect::<Vec<_>>(), [4]);
    assert_eq!(
        store.page(&room("none"), None, 9).await.expect("read"),
        Page::default()
    );
}

#[tokio::test]
async fn messages_and_the_epoch_survive_a_restart() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let handed_out = store.fresh_epoch();
    assert_eq!(store.head(&room("a")).await.expect("read"), None);
    store
        .append(&room("a"), message(1, "one"))
        .await
        .expect("stored");
    store.close().await;
    let refused = store.append(&room("a"), message(2, "two")).await;
    assert!(matches!(refused, Err(StoreError::Closed)));
    let store = open(&directory);
    assert_eq!(
        store.head(&room("a")).await.expect("read"),
        Some((handed_out, 1))
    );
    assert_eq!(
        store
            .page(&room("a"), None, 9)
            .await
            .expect("read")
            .messages
            .len(),
        1
    );
}

#[tokio::test]
async fn a_crowd_of_writers_gets_every_place_in_the_order_once() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory);
    let name = room("a");
    let writes = (1..=300).map(|id| store.append(&name, message(id, "x")));
    let mut seqs: Vec<_> = futures::future::join_all(writes)
        .await
        .into_iter()
        .map(|row| row.expect("stored").message.seq)
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
}
