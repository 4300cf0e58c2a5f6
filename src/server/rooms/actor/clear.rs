//! Deletes every message of a room, for the operator and for hosts.

use super::registry::Rooms;
use crate::{
    protocol::{RoomName, Seq},
    server::{
        identity::new_epoch,
        rooms::core::operator::OperatorCommand,
        store::{Expiry, StoreError},
    },
};

/// Messages deleted in one transaction. 200: about ten milliseconds of the writer's time.
const DELETED_ROWS: u32 = 200;

impl Rooms {
    /// Deletes the messages that a room has now, in steps. Returns their number. The clients of the
    /// room load a snapshot afterwards. If a step fails, the deleted messages do not come back to
    /// clients either.
    ///
    /// # Errors
    /// The store failed; some messages may be deleted, and a retry is safe.
    pub async fn clear(&self, room: &RoomName) -> Result<usize, StoreError> {
        let store = &self.inner.store;
        let Some((_, last)) = store.head(room).await? else {
            return Ok(0);
        };
        let mut deleted = 0;
        let steps = self.delete_until(room, last, &mut deleted).await;
        if deleted > 0 {
            // Clients that show the deleted messages would otherwise resume and keep them.
            let epoch = new_epoch();
            let renewed = store.renew_epoch(room, &epoch).await;
            self.operate(room, OperatorCommand::Restart(epoch)).await;
            renewed?;
            store.clean_up().await?;
        }
        steps.map(|()| deleted)
    }

    /// Deletes the messages up to `last` in steps, and adds their number to `deleted`. Messages
    /// that arrive meanwhile stay.
    async fn delete_until(
        &self,
        room: &RoomName,
        last: Seq,
        deleted: &mut usize,
    ) -> Result<(), StoreError> {
        let all = Expiry {
            before_ms: Some(i64::MAX),
            newest: None,
        };
        let store = &self.inner.store;
        loop {
            let mut step = store.expired(room, all, DELETED_ROWS).await?;
            step.retain(|message| message.seq <= last);
            if step.is_empty() {
                return Ok(());
            }
            store.delete(&step).await?;
            *deleted += step.len();
            let seqs = step.iter().map(|message| message.seq).collect();
            self.on_deleted(room, seqs).await;
        }
    }
}
