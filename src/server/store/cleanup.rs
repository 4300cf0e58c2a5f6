//! Erases deleted and edited text from the search index and the write-ahead log.
//!
//! A deletion in the index is a mark until its segments are merged, and the log holds former pages
//! until a checkpoint. The row itself is overwritten at once (`secure_delete`).
//!
//! Each transaction that deletes or changes text writes a request into `meta` ([`request`]), so
//! that requests survive a restart. The writer's thread carries them out in small steps while no job
//! waits. A merge rewrites the whole index, so [`Cleanup`] also limits its share of time.

use super::{StoreError, checkpoint::Checkpointer};
use crate::server::load::is_calm;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::time::{Duration, Instant};

/// Delay from a deletion to the first step, so that many deletions share one merge. 1 s.
const START_DELAY: Duration = Duration::from_secs(1);
/// How long a request waits for a calm process; then its steps run between messages. 60 s.
const OVERDUE_DELAY: Duration = Duration::from_secs(60);
/// Interval of checks whether the process is calm. 500 ms.
const CALM_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// Delay after a step that failed, or was blocked by a reader of the log. 5 s.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Pause after each step, as a multiple of its duration: a merge takes at most a fifth of the
/// thread's time.
const PAUSE_AFTER_STEP: u32 = 4;
/// Pause after the last step, as a multiple of the duration of all steps: merges take at most a
/// twentieth of the thread's time, whatever people delete.
const PAUSE_AFTER_ALL: u32 = 20;
/// Pages of the index merged in one step, 4 KiB each. 64: a few milliseconds.
const MERGE_PAGES: i32 = 64;
/// Rows of a former index deleted in one step, most of them one page each. 64, as above.
const FORMER_ROWS: u32 = 64;
/// Tables of the former index, which a migration only renamed.
const FORMER_TABLES: [&str; 2] = ["former_words_data", "former_words_docsize"];

/// The next step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no request.
    Idle,
    /// Delete the former index, then start a merge.
    Requested,
    /// Continue the merge.
    Merging,
    /// Checkpoint the log.
    Checkpointing,
}

/// Carries out requests in steps.
#[derive(Debug)]
pub struct Cleanup {
    /// The next step.
    stage: Stage,
    /// When the first step of this request was due.
    due: Instant,
    /// When the next step runs.
    next_try: Instant,
    /// Duration of the steps of this request so far.
    spent: Duration,
    /// When the next request may start.
    not_before: Instant,
}

impl Cleanup {
    /// Continues a request of a former process, if there is one.
    pub fn new(connection: &Connection) -> Self {
        let now = Instant::now();
        let mut cleanup = Self {
            stage: Stage::Idle,
            due: now,
            next_try: now,
            spent: Duration::ZERO,
            not_before: now,
        };
        if is_requested(connection).unwrap_or(true) {
            cleanup.requested(now);
        }
        cleanup
    }

    /// Starts a request that was committed, unless one runs.
    pub fn requested(&mut self, now: Instant) {
        if self.stage == Stage::Idle {
            self.stage = Stage::Requested;
            self.starts(now);
        }
    }

    /// Schedules the first step.
    fn starts(&mut self, now: Instant) {
        self.due = self.not_before.max(now + START_DELAY);
        self.next_try = self.due;
    }

    /// When the next step is due; nothing without a request.
    pub fn next_try(&self) -> Option<Instant> {
        (self.stage != Stage::Idle).then_some(self.next_try)
    }

    /// Whether the request has waited so long that its steps run in a busy process, too.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.stage != Stage::Idle && now >= self.next_try && now > self.due + OVERDUE_DELAY
    }

    /// Runs the next step, unless the process is busy and the step is not overdue.
    pub fn step_if_calm(&mut self, connection: &mut Connection, checkpointer: &Checkpointer) {
        let now = Instant::now();
        if !is_calm() && !self.is_overdue(now) {
            self.next_try = now + CALM_CHECK_INTERVAL;
            return;
        }
        if let Err(error) = self.step(connection, checkpointer) {
            tracing::debug!(%error, "deleted text is erased from the index later");
        }
    }

    /// Restarts the request, so that it includes deletions since its start.
    pub fn restart(&mut self) {
        if self.stage != Stage::Idle {
            self.stage = Stage::Requested;
        }
    }

    /// Runs the next step, whether or not it is due. Returns whether another one can run at once.
    ///
    /// # Errors
    /// The database failed; the step runs again later.
    pub fn step(
        &mut self,
        connection: &mut Connection,
        checkpointer: &Checkpointer,
    ) -> Result<bool, StoreError> {
        let started = Instant::now();
        let next = match self.stage {
            Stage::Idle => Ok(Stage::Idle),
            Stage::Requested => start(connection),
            Stage::Merging => continue_merge(connection),
            Stage::Checkpointing if checkpointer.checkpoint_now(connection) => finish(connection),
            Stage::Checkpointing => {
                self.next_try = started + RETRY_DELAY;
                return Ok(false);
            }
        };
        let now = Instant::now();
        let took = now - started;
        self.spent += took;
        let next = next.inspect_err(|_| self.next_try = now + RETRY_DELAY)?;
        self.next_try = now + took * PAUSE_AFTER_STEP;
        let ended = self.stage == Stage::Checkpointing;
        self.stage = next;
        if ended {
            self.not_before = now + self.spent * PAUSE_AFTER_ALL;
            self.spent = Duration::ZERO;
            self.starts(now);
        }
        Ok(!ended && self.stage != Stage::Idle)
    }
}

/// Requests the erasure of the text that this transaction deletes or replaces. One request covers
/// many deletions; a request that already runs starts again after its end.
pub fn request(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let query = "INSERT INTO meta (key, value) VALUES ('cleanup', 'requested')
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value
                 WHERE value <> excluded.value";
    transaction.prepare_cached(query)?.execute([])?;
    Ok(())
}

/// Whether there is a request, including an unfinished one.
fn is_requested(connection: &Connection) -> Result<bool, StoreError> {
    let query = "SELECT 1 FROM meta WHERE key = 'cleanup'";
    Ok(connection.prepare(query)?.exists([])?)
}

/// Deletes a part of the former index, or starts the merge once the former index is gone.
fn start(connection: &mut Connection) -> Result<Stage, StoreError> {
    if delete_former(connection)? {
        return Ok(Stage::Requested);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let note = "UPDATE meta SET value = 'merging' WHERE key = 'cleanup'";
    transaction.execute(note, [])?;
    // A negative number starts a merge of everything, a positive one continues it
    // (https://sqlite.org/fts5.html#the_merge_command).
    let more = merge(&transaction, -MERGE_PAGES)?;
    transaction.commit()?;
    Ok(if more {
        Stage::Merging
    } else {
        Stage::Checkpointing
    })
}

/// Continues the merge.
fn continue_merge(connection: &Connection) -> Result<Stage, StoreError> {
    let more = merge(connection, MERGE_PAGES)?;
    Ok(if more {
        Stage::Merging
    } else {
        Stage::Checkpointing
    })
}

/// Removes the request, unless another one came since the merge started.
fn finish(connection: &Connection) -> Result<Stage, StoreError> {
    let query = "DELETE FROM meta WHERE key = 'cleanup' AND value = 'merging'";
    connection.execute(query, [])?;
    Ok(match is_requested(connection)? {
        true => Stage::Requested,
        false => Stage::Idle,
    })
}

/// Merges some pages of the index, which applies the marks of deletion. Returns whether there may
/// be more to merge.
fn merge(connection: &Connection, pages: i32) -> Result<bool, StoreError> {
    let before = changes(connection)?;
    let merge = "INSERT INTO words (words, rank) VALUES ('merge', ?1)";
    connection.execute(merge, [pages])?;
    // The command itself counts as one change.
    Ok(changes(connection)? - before > 1)
}

/// Rows changed by this connection.
fn changes(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT total_changes()", [], |row| row.get(0))?)
}

/// Deletes some rows of the former index, and its tables once they are empty. Returns whether there
/// were any.
fn delete_former(connection: &Connection) -> Result<bool, StoreError> {
    let query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN (?1, ?2)";
    let table: Option<String> = connection
        .query_row(query, FORMER_TABLES, |row| row.get(0))
        .optional()?;
    let Some(table) = table else {
        return Ok(false);
    };
    let some = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} LIMIT ?1)");
    if connection.execute(&some, params![FORMER_ROWS])? == 0 {
        connection.execute_batch(&format!("DROP TABLE {table}"))?;
    }
    Ok(true)
}
