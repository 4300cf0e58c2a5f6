//! The service manager that started the process, such as systemd: readiness, watchdog (sd_notify(3))
//! and sockets that it opened before (sd_listen_fds(3)). Without one nothing here has an effect.

use super::{error::ServeError, store::Store};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::{io, net::TcpListener, time::Duration};
use tokio::time::sleep;

/// The name of sockets for HTTP (`FileDescriptorName=` of the socket unit).
const HTTP: &str = "http";
/// Sockets for HTTP, at most: one for each address family.
const MAX_HTTP: usize = 2;
/// The names of the sockets, separated by colons.
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";

/// Listening sockets that the service manager opened before the start. They stay open while the
/// server restarts, so that connections wait instead of being refused.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    /// Those for HTTP, at most [`MAX_HTTP`]; if there are none, the server binds `--listen` itself.
    pub http: Vec<TcpListener>,
}

impl InheritedSockets {
    /// Takes the sockets of this process. Call this before other threads run: it changes the
    /// environment.
    ///
    /// # Errors
    /// A socket named `http` does not listen for TCP, or there are too many of them.
    pub fn take() -> Result<Self, ServeError> {
        let names = std::env::var(NAMES_VARIABLE).unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let mut inherited = Self::default();
        for (number, name) in names_of(sockets.len(), &names).into_iter().enumerate() {
            if name != HTTP {
                tracing::warn!(
                    name,
                    "an inherited socket is not used; only `http` is known"
                );
                continue;
            }
            let failed = |error| ServeError::InheritedSocket { number, error };
            let taken = sockets.take_tcp_listener(number).map_err(failed)?;
            inherited.http.extend(taken);
            if inherited.http.len() > MAX_HTTP {
                let message = format!("at most {MAX_HTTP} sockets named {HTTP} are served");
                return Err(failed(io::Error::other(message)));
            }
        }
        Ok(inherited)
    }
}

/// The name of each of `count` sockets; empty for one without a name.
fn names_of(count: usize, names: &str) -> Vec<&str> {
    let named = names.split(':').chain(std::iter::repeat(""));
    named.take(count).collect()
}

/// Reports that the server serves at this address.
pub fn report_ready(address: &str) {
    let status = format!("serves {address}");
    report(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Reports that the server stops.
pub fn report_stopping() {
    report(&[NotifyState::Stopping, NotifyState::Status("stops")]);
}

/// Reports to the watchdog for ever, as long as the writer of this store answers. Ends at once where
/// no watchdog is set.
pub async fn feed_watchdog(store: Store) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        while_answering(&store, limit, || report(&[NotifyState::Watchdog])).await;
    }
}

/// Calls `feed` at half of the watchdog's time limit, as long as the writer of the store takes jobs.
/// A failing one does: a restart repairs no full disk. So does one whose queue is full.
async fn while_answering(store: &Store, limit: Duration, feed: impl Fn()) {
    loop {
        let pause = if store.writer_answers().await {
            feed();
            limit / 2
        } else {
            limit / 8
        };
        sleep(pause).await;
    }
}

/// Sends states to the service manager, if there is one.
fn report(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be notified (NOTIFY_SOCKET)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        server::{
            limits::WRITER_QUEUE,
            store::{OperatorWrite, StoreOptions},
        },
        tests::harness::{data_directory, until},
    };
    use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering::Relaxed, mpsc};
    use tokio::sync::Notify;

    #[test]
    fn each_socket_has_its_name_or_none() {
        assert_eq!(names_of(0, ""), [""; 0]);
        assert_eq!(names_of(2, ""), ["", ""]);
        assert_eq!(names_of(3, "http:http"), ["http", "http", ""]);
        assert_eq!(names_of(1, "http:http"), ["http"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_twice_within_its_limit_and_not_while_the_writer_is_stuck() {
        let directory = data_directory();
        let database = directory.path().join("noom.db");
        let store = Store::open(&database, &StoreOptions::default()).expect("opens");
        let (fed, count) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let limit = Duration::from_secs(60);
        let feed = {
            let (fed, count) = (fed.clone(), count.clone());
            move || {
                count.fetch_add(1, Relaxed);
                fed.notify_one();
            }
        };
        let watched = store.clone();
        let began = tokio::time::Instant::now();
        let feeding = tokio::spawn(async move { while_answering(&watched, limit, feed).await });
        fed.notified().await;
        fed.notified().await;
        assert_eq!(began.elapsed().as_secs(), 30, "half of the limit");

        let (stuck, release) = (Arc::new(Notify::new()), mpsc::channel::<()>());
        let (go_on, wait) = release;
        let blocked = store.clone();
        let signal = stuck.clone();
        let block = tokio::spawn(async move {
            let work = move |_: &rusqlite::Connection| {
                signal.notify_one();
                let _ = wait.recv();
            };
            blocked.on_writer(work).await;
        });
        stuck.notified().await;
        // A check that was answered before may still be reported; none is afterwards.
        let before = count.load(Relaxed);
        for _ in 0..20 {
            tokio::time::advance(limit).await;
            tokio::task::yield_now().await;
        }
        assert!(count.load(Relaxed) <= before + 1, "the writer is stuck");
        // A full queue is no stuck thread: the watchdog is fed as soon as a job is taken.
        feeding.abort();
        let waiting: Vec<_> = (0..=WRITER_QUEUE)
            .map(|_| {
                let store = store.clone();
                let job = OperatorWrite::EndSession { id: 0 };
                tokio::spawn(async move { store.write_operator(job).await })
            })
            .collect();
        until("the queue is full", || {
            waiting.iter().any(|job| job.is_finished())
        })
        .await;
        let (watched, refed) = (store.clone(), Arc::new(Notify::new()));
        let feed = {
            let refed = refed.clone();
            move || refed.notify_one()
        };
        let feeding = tokio::spawn(async move { while_answering(&watched, limit, feed).await });
        tokio::task::yield_now().await;
        let full = tokio::time::Instant::now();
        go_on.send(()).expect("it waits");
        block.await.expect("ends");
        refed.notified().await;
        assert_eq!(full.elapsed(), Duration::ZERO);
        feeding.abort();
        store.close().await;
        assert!(!store.writer_answers().await, "the thread has ended");
    }
}
