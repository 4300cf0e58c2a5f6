//! Removing what deleted and edited text leaves behind: in the index of words, whose
//! deletions are only marks until its segments are merged, and in the write-ahead log,
//! which holds former pages until it is folded. The row itself is overwritten at once
//! (`secure_delete`).
//!
//! Each transaction that deletes or changes text writes a request into `meta`
//! ([`request`]), so that a restart forgets none. The writer's thread carries requests out
//! in small steps while nothing waits for it; with every merge the index is written once
//! as a whole, so [`Cleanup`] also limits the share of time that goes into it.

use super::{StoreError, checkpoint::Checkpointer};
use crate::server::load::is_calm;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::time::{Duration, Instant};

/// From a deletion to the first step, so that many deletions share one merge. 1 s.
const START_DELAY: Duration = Duration::from_secs(1);
/// How long a request waits for calm moments of the process; then its steps are taken between
/// messages. 60 s.
const OVERDUE_DELAY: Duration = Duration::from_secs(60);
/// Between two looks whether the process is calm. 500 ms.
const CALM_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// From a step that failed, or found somebody reading the log, to the next try. 5 s.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// A pause after each step, as a multiple of the time the step took: a merge takes at most
/// a fifth of the thread's time.
const PAUSE_AFTER_STEP: u32 = 4;
/// A pause after the last step, as a multiple of the time all steps took: whatever people
/// delete, at most a twentieth of the thread's time goes into merging.
const PAUSE_AFTER_ALL: u32 = 20;
/// Pages of the index merged in one step, 4 KiB each. 64: a few milliseconds.
const MERGE_PAGES: i32 = 64;
/// Rows of a former index deleted in one step, most of them a page. 64, as above.
const FORMER_ROWS: u32 = 64;
/// Tables of the index of former versions, which a migration only renames.
const FORMER_TABLES: [&str; 2] = ["former_words_data", "former_words_docsize"];

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Idle,
    /// The former index is deleted, then a merge starts.
    Requested,
    /// The merge goes on.
    Merging,
    /// The log is folded.
    Checkpointing,
}

/// Carries requests out.
#[derive(Debug)]
pub struct Cleanup {
    /// What the next step does.
    stage: Stage,
    /// When the first step of this request was due.
    due: Instant,
    /// When the next step is tried.
    next_try: Instant,
    /// Time that the steps of this request have taken.
    spent: Duration,
    /// The next request starts no sooner.
    not_before: Instant,
}

impl Cleanup {
    /// Goes on with what the last process left.
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

    /// A transaction with a request was committed.
    pub fn requested(&mut self, now: Instant) {
        if self.stage == Stage::Idle {
            self.stage = Stage::Requested;
            self.starts(now);
        }
    }

    /// Sets the time of the first step.
    fn starts(&mut self, now: Instant) {
        self.due = self.not_before.max(now + START_DELAY);
        self.next_try = self.due;
    }

    /// When to take the next step; `None` if there is nothing to do.
    pub fn next_try(&self) -> Option<Instant> {
        (self.stage != Stage::Idle).then_some(self.next_try)
    }

    /// Whether the request has waited so long that its steps do not wait for a calm moment.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.stage != Stage::Idle && now >= self.next_try && now > self.due + OVERDUE_DELAY
    }

    /// Takes the step that is due, unless the process is busy and the step may wait.
    pub fn step_if_calm(&mut self, connection: &mut Connection, checkpointer: &Checkpointer) {
        let now = Instant::now();
        if !is_calm() && !self.is_overdue(now) {
            self.next_try = now + CALM_CHECK_INTERVAL;
            return;
        }
        if let Err(error) = self.step(connection, checkpointer) {
            tracing::debug!(%error, "deleted text leaves the index later");
        }
    }

    /// Starts again, so that what was deleted since the last start is included.
    pub fn restart(&mut self) {
        if self.stage != Stage::Idle {
            self.stage = Stage::Requested;
        }
    }

    /// Takes the next step, whether or not it is due. Returns whether the request needs
    /// another one that can be taken at once.
    ///
    /// # Errors
    /// The database failed; the step is tried again later.
    pub fn step(
        &mut self,
        connection: &mut Connection,
        checkpointer: &Checkpointer,
    ) -> Result<bool, StoreError> {
        let started = Instant::now();
        let next = match self.stage {
            Stage::Idle => Ok(Stage::Idle),
            Stage::Requested => start(connection),
            Stage::Merging => go_on(connection),
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

/// Requests the removal of what this transaction deletes or replaces. One request is enough
/// for many deletions; a request that is being carried out starts again after its end.
pub fn request(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let query = "INSERT INTO meta (key, value) VALUES ('cleanup', 'requested')
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value
                 WHERE value <> excluded.value";
    transaction.prepare_cached(query)?.execute([])?;
    Ok(())
}

/// Whether there is a request, also one that was not carried out to the end.
fn is_requested(connection: &Connection) -> Result<bool, StoreError> {
    let query = "SELECT 1 FROM meta WHERE key = 'cleanup'";
    Ok(connection.prepare(query)?.exists([])?)
}

/// Deletes a part of the former index, or starts the merge once nothing is left of it.
fn start(connection: &mut Connection) -> Result<Stage, StoreError> {
    if delete_former(connection)? {
        return Ok(Stage::Requested);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let note = "UPDATE meta SET value = 'merging' WHERE key = 'cleanup'";
    transaction.execute(note, [])?;
    // A negative number starts a merge of everything, a positive one goes on with it
    // (https://sqlite.org/fts5.html#the_merge_command).
    let more = merge(&transaction, -MERGE_PAGES)?;
    transaction.commit()?;
    Ok(if more {
        Stage::Merging
    } else {
        Stage::Checkpointing
    })
}

/// Goes on with the merge.
fn go_on(connection: &Connection) -> Result<Stage, StoreError> {
    let more = merge(connection, MERGE_PAGES)?;
    Ok(if more {
        Stage::Merging
    } else {
        Stage::Checkpointing
    })
}

/// Takes the request back, unless there has been another one since the merge started.
fn finish(connection: &Connection) -> Result<Stage, StoreError> {
    let query = "DELETE FROM meta WHERE key = 'cleanup' AND value = 'merging'";
    connection.execute(query, [])?;
    Ok(match is_requested(connection)? {
        true => Stage::Requested,
        false => Stage::Idle,
    })
}

/// Merges some pages of the index; marks of deletion are carried out on the way. Returns
/// whether there may be more to merge.
fn merge(connection: &Connection, pages: i32) -> Result<bool, StoreError> {
    let before = changes(connection)?;
    let merge = "INSERT INTO words (words, rank) VALUES ('merge', ?1)";
    connection.execute(merge, [pages])?;
    // One change is the command itself.
    Ok(changes(connection)? - before > 1)
}

/// Rows changed by this connection.
fn changes(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT total_changes()", [], |row| row.get(0))?)
}

/// Deletes some rows of a former index, and its tables once they are empty. Returns whether
/// there was anything.
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
