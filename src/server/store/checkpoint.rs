//! What the writer's thread does besides storing messages: proving that it could, and
//! keeping the write-ahead log from growing without bound.
//!
//! SQLite folds the log into the database by itself every 1000 pages, as far as readers
//! let it. Readers that overlap for ever would keep it from ever starting the log anew;
//! then [`Checkpointer::after_commit`] waits for a gap between them, briefly.

use super::{StoreError, file::with_end, schema::BUSY_TIMEOUT};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Bytes the log keeps when it starts anew. 4 MiB: what SQLite lets it grow to by itself,
/// so that it is not cut and made again each time.
pub const WAL_KEPT_BYTES: i64 = 4 * 1024 * 1024;
/// Bytes of log beyond which we wait for readers. 32 MiB.
const WAL_MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How long we wait for readers, and messages with us. 100 ms.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(100);
/// Between two such waits. 30 s: a reader that holds an old page may take that long.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30);
/// Between two tries to make space on a full disk. 1 s: each costs a sync.
const FREE_SPACE_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes a check asks for: the longest message with its place in every index takes less.
const PROBE_BYTES: u32 = 64 * 1024;

/// The state of the log.
#[derive(Debug)]
pub struct Checkpointer {
    /// Where it is.
    log: PathBuf,
    /// When it was last folded by us, or that was tried.
    tried: Option<Instant>,
}

impl Checkpointer {
    /// Looks after the log of this connection's database.
    pub fn new(connection: &Connection) -> Self {
        let database = PathBuf::from(connection.path().unwrap_or_default());
        Self {
            log: with_end(&database, "-wal"),
            tried: None,
        }
    }

    /// Folds a log that has become too long.
    pub fn after_commit(&mut self, connection: &Connection) {
        let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if bytes > WAL_MAX_BYTES && self.may_try(CHECKPOINT_INTERVAL) && !checkpoint(connection) {
            tracing::warn!(
                bytes,
                "somebody reads for so long that the log cannot be folded"
            );
        }
    }

    /// Folds the log because the disk is full; answers whether anything may be different.
    pub fn make_space(&mut self, connection: &Connection) -> bool {
        self.may_try(FREE_SPACE_INTERVAL) && checkpoint(connection)
    }

    /// Folds the log. Returns whether all of it was, which somebody who reads can prevent.
    pub fn checkpoint_now(&self, connection: &Connection) -> bool {
        checkpoint(connection)
    }

    /// Folds the log before the connection is closed.
    pub fn checkpoint_on_close(&self, connection: &Connection) {
        if !checkpoint(connection) {
            tracing::warn!("the write-ahead log stays unfolded until the next start");
        }
    }

    /// Whether the last try is long enough ago; then this is one.
    fn may_try(&mut self, every: Duration) -> bool {
        let due = self.tried.is_none_or(|tried| tried.elapsed() >= every);
        if due {
            self.tried = Some(Instant::now());
        }
        due
    }
}

/// Folds the log into the database and cuts it; answers whether all of it was.
fn checkpoint(connection: &Connection) -> bool {
    let _ = connection.busy_timeout(CHECKPOINT_TIMEOUT);
    let query = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let _ = connection.busy_timeout(BUSY_TIMEOUT);
    matches!(busy, Ok(0))
}

/// Proves that messages can be stored: there are pages for the longest one, and a value that
/// is another one each time gets through to the disk. (A row that is written as it was is
/// not written by SQLite at all.)
pub fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let probe = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    probe.execute(
        "INSERT INTO meta (key, value) VALUES ('probe', zeroblob(?1))",
        [PROBE_BYTES],
    )?;
    probe.rollback()?;
    let count = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    count.execute(
        "INSERT INTO meta (key, value) VALUES ('checked', '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
        [],
    )?;
    Ok(count.commit()?)
}
