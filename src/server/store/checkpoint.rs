//! Checkpoints of the write-ahead log, and the check that messages can be stored.
//!
//! SQLite checkpoints the log by itself every 1000 pages, as far as readers allow. Readers that
//! overlap without a gap keep it from restarting the log; [`Checkpointer::after_commit`] then blocks
//! for a moment until they have ended.

use super::{StoreError, file::with_suffix, schema::BUSY_TIMEOUT};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Bytes that the log file keeps when it restarts. 4 MiB: the size of 1000 pages, so that the file
/// is not truncated and grown again each time.
pub const WAL_KEPT_BYTES: i64 = 4 * 1024 * 1024;
/// Size of the log beyond which a checkpoint waits for readers. 32 MiB.
const WAL_MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How long a checkpoint waits for readers, and messages wait for it. 100 ms.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(100);
/// Minimum interval of such checkpoints. 30 s: a slow reader may take that long.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30);
/// Minimum interval of checkpoints on a full disk. 1 s: each costs a sync.
const FREE_SPACE_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes that the check writes: more than the longest message with its index entries.
const PROBE_BYTES: u32 = 64 * 1024;

/// Runs checkpoints for the writer's thread.
#[derive(Debug)]
pub struct Checkpointer {
    /// The path of the log file.
    log: PathBuf,
    /// The last checkpoint, successful or not.
    tried: Option<Instant>,
}

impl Checkpointer {
    /// A checkpointer of this connection's database.
    pub fn new(connection: &Connection) -> Self {
        let database = PathBuf::from(connection.path().unwrap_or_default());
        Self {
            log: with_suffix(&database, "-wal"),
            tried: None,
        }
    }

    /// Checkpoints a log that has become too large.
    pub fn after_commit(&mut self, connection: &Connection) {
        let bytes = std::fs::metadata(&self.log).map_or(0, |log| log.len());
        if bytes > WAL_MAX_BYTES && self.may_try(CHECKPOINT_INTERVAL) && !checkpoint(connection) {
            tracing::warn!(
                bytes,
                "a long read keeps the write-ahead log from being checkpointed"
            );
        }
    }

    /// Checkpoints the log because the disk is full. Returns whether that may have freed space.
    pub fn make_space(&mut self, connection: &Connection) -> bool {
        self.may_try(FREE_SPACE_INTERVAL) && checkpoint(connection)
    }

    /// Checkpoints the log. Returns whether all of it was, which a reader can prevent.
    pub fn checkpoint_now(&self, connection: &Connection) -> bool {
        checkpoint(connection)
    }

    /// Checkpoints the log before the connection is closed.
    pub fn checkpoint_on_close(&self, connection: &Connection) {
        if !checkpoint(connection) {
            tracing::warn!("the write-ahead log is checkpointed by the next start");
        }
    }

    /// Whether the last checkpoint was at least `every` ago. Records a checkpoint if so.
    fn may_try(&mut self, every: Duration) -> bool {
        let due = self.tried.is_none_or(|tried| tried.elapsed() >= every);
        if due {
            self.tried = Some(Instant::now());
        }
        due
    }
}

/// Checkpoints and truncates the log. Returns whether all of it was.
fn checkpoint(connection: &Connection) -> bool {
    let _ = connection.busy_timeout(CHECKPOINT_TIMEOUT);
    let query = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let _ = connection.busy_timeout(BUSY_TIMEOUT);
    matches!(busy, Ok(0))
}

/// Checks that messages can be stored: there are pages for the longest one, and a counter reaches
/// the disk. The counter changes each time, because SQLite does not write an unchanged row.
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
