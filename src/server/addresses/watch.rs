//! Watches the addresses while the server runs.

use super::{
    Advertised, MAX_ADDRESSES, MediaHost,
    interfaces::{self, InterfaceAddress, InterfaceFilter},
};
use crate::server::{metrics::Counter, net::sockets::Families};
use futures::future::join_all;
use std::{net::IpAddr, time::Duration};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, MissedTickBehavior, interval},
};

/// Interval between two checks of the interfaces. 10 s: shorter than a call retries after its path
/// is gone.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between two lookups of names. 60 s: a usual lifetime of dynamic DNS.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

/// The sources of addresses, with their last results.
pub struct AddressWatch {
    /// The entries of `--media-ip`.
    hosts: Vec<ResolvedHost>,
    /// The address that media is bound to, if it is a single one.
    bound: Option<IpAddr>,
    /// The families the media sockets serve.
    families: Families,
    /// The filter of interfaces.
    filter: InterfaceFilter,
    /// Lists the addresses of the interfaces.
    interfaces: Box<dyn Fn() -> Vec<InterfaceAddress> + Send>,
    /// Time of the last lookup of names.
    resolved: Option<Instant>,
}

/// A host and its last addresses.
struct ResolvedHost {
    /// The entry of `--media-ip`.
    host: MediaHost,
    /// Its last addresses.
    last: Vec<Advertised>,
    /// Whether the last lookup failed; only the first of several failures is logged.
    failed: bool,
}

impl AddressWatch {
    /// The sources before the first check. `hosts` are the entries of `--media-ip`; without
    /// entries, the bound address counts or, if it is unspecified, the interfaces that `filter`
    /// allows.
    pub fn new(
        hosts: &[MediaHost],
        bound: IpAddr,
        families: Families,
        filter: &InterfaceFilter,
    ) -> Self {
        let hosts = hosts.iter().map(|host| ResolvedHost {
            host: host.clone(),
            last: Vec::new(),
            failed: false,
        });
        let bound = bound.to_canonical();
        Self {
            hosts: hosts.collect(),
            bound: (!bound.is_unspecified()).then_some(bound),
            families,
            filter: filter.clone(),
            interfaces: Box::new(interfaces::all),
            resolved: None,
        }
    }

    /// The current addresses, the best first, at most [`MAX_ADDRESSES`].
    ///
    /// # Cancel safety
    /// Lookups finished before the drop are kept.
    pub async fn current(&mut self) -> Vec<Advertised> {
        if !self.hosts.is_empty() {
            return self.resolve_hosts().await;
        }
        if let Some(bound) = self.bound {
            return vec![Advertised::at(bound)];
        }
        let mut found = (self.interfaces)();
        found.retain(|address| self.families.serve(address.ip));
        let usable = interfaces::usable(&found, &self.filter);
        usable.into_iter().map(Advertised::at).collect()
    }

    /// Makes the next check look up all names.
    pub fn expire(&mut self) {
        self.resolved = None;
    }

    /// Looks up all hosts; a host whose lookup fails keeps its last addresses.
    async fn resolve_hosts(&mut self) -> Vec<Advertised> {
        let due = self
            .resolved
            .is_none_or(|at| at.elapsed() >= RESOLVE_INTERVAL);
        if due {
            self.resolved = Some(Instant::now());
            // Concurrent lookups: an unresponsive resolver delays the start only once.
            join_all(self.hosts.iter_mut().map(ResolvedHost::resolve)).await;
        }
        let mut found = Vec::new();
        for advertised in self.hosts.iter().flat_map(|host| &host.last) {
            if found.len() < MAX_ADDRESSES && !found.contains(advertised) {
                found.push(*advertised);
            }
        }
        found
    }
}

impl ResolvedHost {
    /// Looks up the name of the host.
    async fn resolve(&mut self) {
        match self.host.resolve().await {
            Some(found) => {
                self.last = found;
                self.failed = false;
            }
            None if !std::mem::replace(&mut self.failed, true) => tracing::warn!(
                name = self.host.name().unwrap_or_default(),
                "a name of --media-ip cannot be resolved; its last addresses stay"
            ),
            None => {}
        }
    }
}

/// Checks the addresses every [`CHECK_INTERVAL`] and whenever `reload` changes, until `reload` is
/// dropped. `on_change` receives each new list, which is logged once. If `on_change` returns
/// false, a receiver's queue was full, and the next check sends the list again.
pub async fn watch(
    mut addresses: AddressWatch,
    mut current: Vec<Advertised>,
    mut reload: Receiver<u64>,
    changes: Counter,
    on_change: impl Fn(&[Advertised]) -> bool + Send,
) {
    let mut is_delivered = true;
    let mut checks = interval(CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = checks.tick() => {}
            changed = reload.changed() => match changed {
                Ok(()) => addresses.expire(),
                Err(_) => return,
            },
        }
        let found = addresses.current().await;
        if found != current {
            changes.inc();
            tracing::info!(
                before = shown(&current),
                now = shown(&found),
                "the addresses offered for media and TURN changed"
            );
            current = found;
            is_delivered = false;
        }
        if !is_delivered {
            is_delivered = on_change(&current);
        }
    }
}

/// A list for the log.
fn shown(addresses: &[Advertised]) -> String {
    let words = addresses.iter().map(|advertised| match advertised.port {
        Some(port) => std::net::SocketAddr::new(advertised.ip, port).to_string(),
        None => advertised.ip.to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Interfaces a test can change.
    type FakeInterfaces = Arc<Mutex<Vec<InterfaceAddress>>>;

    fn interfaces_at(ips: &[&str]) -> Vec<InterfaceAddress> {
        let address = |ip: &&str| InterfaceAddress {
            name: "eth0".to_owned(),
            ip: ip.parse().expect("an address"),
            running: true,
        };
        ips.iter().map(address).collect()
    }

    fn watching(families: Families, interfaces: &FakeInterfaces) -> AddressWatch {
        let interfaces = interfaces.clone();
        AddressWatch {
            hosts: Vec::new(),
            bound: None,
            families,
            filter: InterfaceFilter::default(),
            interfaces: Box::new(move || interfaces.lock().expect("held for a moment").clone()),
            resolved: None,
        }
    }

    fn at(ips: &[&str]) -> Vec<Advertised> {
        let parsed = ips.iter().map(|ip| ip.parse().expect("an address"));
        parsed.map(Advertised::at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_address_is_reported_once_within_ten_seconds() {
        let current: FakeInterfaces = Arc::new(Mutex::new(interfaces_at(&["192.0.2.1"])));
        let mut addresses = watching(Families::Both, &current);
        let first = addresses.current().await;
        assert_eq!(first, at(&["192.0.2.1"]));
        let (_keep, reload) = tokio::sync::watch::channel(0);
        let (sender, mut lists) = tokio::sync::mpsc::unbounded_channel();
        let on_change = move |list: &[Advertised]| sender.send(list.to_vec()).is_ok();
        let watching = tokio::spawn(watch(
            addresses,
            first,
            reload,
            Counter::default(),
            on_change,
        ));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(lists.try_recv().is_err(), "nothing changed");
        for ips in [&["192.0.2.9", "2001:db8::9"][..], &["192.0.2.1"]] {
            *current.lock().expect("held for a moment") = interfaces_at(ips);
            let changed = Instant::now();
            assert_eq!(lists.recv().await, Some(at(ips)));
            assert!(changed.elapsed() <= CHECK_INTERVAL);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(lists.try_recv().is_err(), "reported once");
        }
        watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_checks_at_once_and_the_watch_ends_with_the_server() {
        let current: FakeInterfaces = Arc::new(Mutex::new(interfaces_at(&["192.0.2.1"])));
        let addresses = watching(Families::Both, &current);
        let (reload_sender, reload) = tokio::sync::watch::channel(0);
        let (sender, mut lists) = tokio::sync::mpsc::unbounded_channel();
        let on_change = move |list: &[Advertised]| sender.send(list.to_vec()).is_ok();
        let known = at(&["192.0.2.1"]);
        let watching = tokio::spawn(watch(
            addresses,
            known,
            reload,
            Counter::default(),
            on_change,
        ));
        // Past the check that a new interval begins with.
        tokio::time::sleep(Duration::from_secs(1)).await;
        *current.lock().expect("held for a moment") = interfaces_at(&["192.0.2.2"]);
        let before = Instant::now();
        reload_sender.send_modify(|count| *count += 1);
        assert_eq!(lists.recv().await, Some(at(&["192.0.2.2"])));
        assert_eq!(before.elapsed(), Duration::ZERO);
        drop(reload_sender);
        watching.await.expect("ends");
    }

    #[tokio::test(start_paused = true)]
    async fn an_undelivered_list_is_sent_again() {
        let current: FakeInterfaces = Arc::new(Mutex::new(interfaces_at(&["192.0.2.1"])));
        let addresses = watching(Families::Both, &current);
        let (_keep, reload) = tokio::sync::watch::channel(0);
        let (sender, mut lists) = tokio::sync::mpsc::unbounded_channel();
        let refusals = Mutex::new(2);
        let on_change = move |list: &[Advertised]| {
            sender.send(list.to_vec()).expect("has a receiver");
            let mut left = refusals.lock().expect("held for a moment");
            *left -= 1;
            *left < 0
        };
        let watching = tokio::spawn(watch(
            addresses,
            Vec::new(),
            reload,
            Counter::default(),
            on_change,
        ));
        for _ in 0..3 {
            assert_eq!(lists.recv().await, Some(at(&["192.0.2.1"])));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(
            lists.try_recv().is_err(),
            "the third attempt delivers the list"
        );
        watching.abort();
    }

    #[tokio::test]
    async fn a_family_that_no_socket_serves_is_not_offered() {
        let both: FakeInterfaces =
            Arc::new(Mutex::new(interfaces_at(&["192.0.2.1", "2001:db8::1"])));
        let four = watching(Families::V4, &both).current().await;
        let six = watching(Families::V6, &both).current().await;
        assert_eq!((four, six), (at(&["192.0.2.1"]), at(&["2001:db8::1"])));
    }

    #[tokio::test]
    async fn a_name_that_fails_keeps_its_last_addresses() {
        let none: FakeInterfaces = Arc::default();
        let mut addresses = watching(Families::Both, &none);
        addresses.hosts = vec![ResolvedHost {
            host: MediaHost::parse("no-such-host.invalid").expect("taken"),
            last: at(&["203.0.113.7"]),
            failed: false,
        }];
        assert_eq!(addresses.current().await, at(&["203.0.113.7"]));
        assert!(addresses.hosts[0].failed);
    }
}
