//! Where searches run: on connections of their own, so that a search never takes one from
//! a join or a page, and under three limits. Only so many wait; each ends after a time; each
//! ends when its caller is gone.
//!
//! SQLite asks the progress handler every [`STEPS`] steps of a statement whether to go on.

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

/// Steps of SQLite's virtual machine between two questions. 1,000: some 50 microseconds.
const STEPS: i32 = 1_000;

/// The handle to the pool.
#[derive(Clone)]
pub struct SearchPool {
    /// The read connections of the pool.
    connections: Readers,
    /// One permit a search that runs or waits; the next one is refused.
    places: Arc<Semaphore>,
    /// Set when the store is closed, which does not wait for long searches.
    closing: Arc<AtomicBool>,
}

impl SearchPool {
    /// Opens all connections.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            connections: Readers::open(path, SEARCHERS, None)?,
            places: Arc::new(Semaphore::new(SEARCHERS + SEARCH_QUEUE)),
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
    /// [`StoreError::SearchBusy`] if too many wait or this one waited too long;
    /// [`StoreError::SearchTimedOut`] after `within`; otherwise what the search returns.
    ///
    /// # Cancel safety
    /// The search ends soon after the future is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        within: Duration,
        search: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| StoreError::SearchBusy)?;
        let caller = Caller::default();
        let (gone, closing) = (caller.gone.clone(), self.closing.clone());
        let until = Until {
            gone,
            closing,
            within,
        };
        let work = move |connection: &mut Connection| {
            let answer = until.run(connection, search);
            drop(place);
            answer
        };
        let answer = timeout(SEARCH_WAIT + within, self.connections.run(work)).await;
        answer.unwrap_or(Err(StoreError::SearchBusy))
    }
}

/// Lives as long as somebody waits for the search.
#[derive(Default)]
struct Caller {
    /// True as soon as nobody does.
    gone: Arc<AtomicBool>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.gone.store(true, Relaxed);
    }
}

/// What ends a search.
struct Until {
    /// Its caller is gone.
    gone: Arc<AtomicBool>,
    /// The store is closed.
    closing: Arc<AtomicBool>,
    /// Its time is over, so long after it started to run.
    within: Duration,
}

impl Until {
    /// Runs a search until it ends or is ended.
    fn run<T>(
        self,
        connection: &mut Connection,
        search: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let end = Instant::now() + self.within;
        let closing = self.closing.clone();
        let is_over =
            move || self.gone.load(Relaxed) || self.closing.load(Relaxed) || Instant::now() >= end;
        connection.progress_handler(STEPS, Some(is_over))?;
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

    /// Long enough that nothing ends by it in a test.
    const HOUR: Duration = Duration::from_secs(3600);

    fn pool() -> (tempfile::TempDir, SearchPool) {
        let directory = tempfile::tempdir().expect("tempdir");
        let pool = SearchPool::open(&directory.path().join("noom.db")).expect("opens");
        (directory, pool)
    }

    /// Counts for ever.
    fn endless(connection: &Connection) -> Result<i64, StoreError> {
        let query = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n)
                     SELECT max(i) FROM n";
        Ok(connection.query_row(query, [], |row| row.get(0))?)
    }

    fn quick(connection: &Connection) -> Result<i64, StoreError> {
        Ok(connection.query_row("SELECT 7", [], |row| row.get(0))?)
    }

    /// Starts endless searches and waits until each has its place.
    async fn start(pool: &SearchPool, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
        let free = pool.places.available_permits();
        let search = || {
            let pool = pool.clone();
            tokio::spawn(async move { drop(pool.run(HOUR, endless).await) })
        };
        let searches = (0..count).map(|_| search()).collect();
        while pool.places.available_permits() + count > free {
            tokio::task::yield_now().await;
        }
        searches
    }

    #[tokio::test]
    async fn a_search_ends_when_its_time_is_over_and_the_next_one_is_answered() {
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
    async fn a_search_ends_when_nobody_waits_for_it() {
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
