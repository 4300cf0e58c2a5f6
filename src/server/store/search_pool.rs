//! The pool of connections for searches, separate from the readers, so that searches never delay
//! a join or a page.
//!
//! Searches have three limits: the number that may wait is bounded, each has a time limit, and
//! each ends when its caller drops the future. SQLite calls the progress handler every [`STEPS`]
//! steps of a statement; the handler ends the search.

use super::{StoreError, reader::Readers};
use crate::server::limits::{SEARCH_QUEUE, SEARCH_WAIT, SEARCHERS};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};

/// Steps of SQLite's virtual machine between two calls of the progress handler. 1,000: some 50
/// microseconds.
const STEPS: i32 = 1_000;

/// The handle to the pool.
#[derive(Clone)]
pub struct SearchPool {
    /// The read connections of the pool.
    connections: Readers,
    /// One permit for each search that runs or waits. A search without a permit is refused.
    permits: Arc<Semaphore>,
    /// Set when the store is closed, so that running searches end at once.
    closing: Arc<AtomicBool>,
}

impl SearchPool {
    /// Opens all connections.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connections: Readers::open(path, SEARCHERS, None)?,
            permits: Arc::new(Semaphore::new(SEARCHERS + SEARCH_QUEUE)),
            closing: Arc::default(),
        })
    }

    /// Stops all searches, then closes all connections.
    pub async fn close(&self) {
        self.closing.store(true, Relaxed);
        self.connections.close().await;
    }

    /// Runs a search on a blocking thread, for at most `within`.
    ///
    /// # Errors
    /// [`StoreError::SearchBusy`] if too many searches wait or this one waited too long,
    /// [`StoreError::SearchTimedOut`] after `within`, or the error of the search.
    ///
    /// # Cancel safety
    /// The search ends soon after the future is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        within: Duration,
        search: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| StoreError::SearchBusy)?;
        let caller = CallerGuard::default();
        let (dropped, closing) = (caller.dropped.clone(), self.closing.clone());
        let stop = StopConditions {
            dropped,
            closing,
            within,
        };
        let work = move |connection: &mut Connection| {
            let answer = stop.run(connection, search);
            drop(permit);
            answer
        };
        let answer = timeout(SEARCH_WAIT + within, self.connections.run(work)).await;
        answer.unwrap_or(Err(StoreError::SearchBusy))
    }
}

/// Dropped together with the future of the search.
#[derive(Default)]
struct CallerGuard {
    /// Set on drop.
    dropped: Arc<AtomicBool>,
}

impl Drop for CallerGuard {
    fn drop(&mut self) {
        self.dropped.store(true, Relaxed);
    }
}

/// The conditions that end a search early.
struct StopConditions {
    /// Set when the caller has dropped the future.
    dropped: Arc<AtomicBool>,
    /// Set when the store is closed.
    closing: Arc<AtomicBool>,
    /// The time limit, from the start of the run.
    within: Duration,
}

impl StopConditions {
    /// Runs a search to its end, or until one of the conditions holds.
    fn run<T>(
        self,
        connection: &mut Connection,
        search: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let end = Instant::now() + self.within;
        let closing = self.closing.clone();
        let must_stop = move || {
            self.dropped.load(Relaxed) || self.closing.load(Relaxed) || Instant::now() >= end
        };
        connection.progress_handler(STEPS, Some(must_stop))?;
        let answer = search(connection);
        connection.progress_handler(0, None::<fn() -> bool>)?;
        answer.map_err(|error| match error.is_interrupted() {
            true if closing.load(Relaxed) => StoreError::Closed,
            true => StoreError::SearchTimedOut,
            false => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time limit that no test reaches.
    const HOUR: Duration = Duration::from_secs(3600);

    fn pool() -> (tempfile::TempDir, SearchPool) {
        let directory = tempfile::tempdir().expect("tempdir");
        let pool = SearchPool::open(&directory.path().join("noom.db")).expect("opens");
        (directory, pool)
    }

    /// A query without an end.
    fn endless(connection: &Connection) -> Result<i64, StoreError> {
        let query = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)
                     SELECT max(i) FROM n";
        Ok(connection.query_row(query, [], |row| row.get(0))?)
    }

    fn quick(connection: &Connection) -> Result<i64, StoreError> {
        Ok(connection.query_row("SELECT 7", [], |row| row.get(0))?)
    }

    /// Starts endless searches and waits until each has a permit.
    async fn start(pool: &SearchPool, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
        let free = pool.permits.available_permits();
        let search = || {
            let pool = pool.clone();
            tokio::spawn(async move { drop(pool.run(HOUR, endless).await) })
        };
        let searches = (0..count).map(|_| search()).collect();
        while pool.permits.available_permits() + count > free {
            tokio::task::yield_now().await;
        }
        searches
    }

    #[tokio::test]
    async fn a_search_ends_at_its_time_limit_and_the_next_one_is_answered() {
        let (_directory, pool) = pool();
        for _ in 0..2 * SEARCHERS {
            let answer = pool.run(Duration::from_millis(20), endless).await;
            assert!(
                matches!(answer, Err(StoreError::SearchTimedOut)),
                "{answer:?}"
            );
        }
        assert_eq!(pool.run(HOUR, quick).await.expect("answered"), 7);
    }

    #[tokio::test]
    async fn a_search_ends_when_its_caller_drops_it() {
        let (_directory, pool) = pool();
        for search in start(&pool, SEARCHERS).await {
            search.abort();
        }
        assert_eq!(pool.run(HOUR, quick).await.expect("answered"), 7);
    }

    #[tokio::test]
    async fn closing_does_not_wait_for_the_end_of_a_search() {
        let (_directory, pool) = pool();
        let searches = start(&pool, SEARCHERS + 2).await;
        pool.close().await;
        for search in searches {
            search.await.expect("ended");
        }
        let answer = pool.run(HOUR, quick).await;
        assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
    }

    #[tokio::test]
    async fn more_searches_than_may_wait_are_refused_at_once() {
        let (_directory, pool) = pool();
        let searches = start(&pool, SEARCHERS + SEARCH_QUEUE).await;
        let answer = pool.run(HOUR, quick).await;
        assert!(matches!(answer, Err(StoreError::SearchBusy)), "{answer:?}");
        for search in searches {
            search.abort();
            let _ = search.await;
        }
        assert_eq!(pool.run(HOUR, quick).await.expect("answered"), 7);
    }

    #[tokio::test]
    async fn a_search_that_waits_too_long_is_refused() {
        let (_directory, pool) = pool();
        let searches = start(&pool, SEARCHERS).await;
        let answer = pool.run(Duration::ZERO, quick).await;
        assert!(matches!(answer, Err(StoreError::SearchBusy)), "{answer:?}");
        searches.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
