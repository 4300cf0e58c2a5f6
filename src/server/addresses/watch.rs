//! Looks at the addresses again while the server runs.

use super::{
    Advertised, MAX_ADDRESSES, MediaHost,
    interfaces::{self, InterfaceAddress, InterfaceFilter},
};
use crate::server::{config::Config, metrics::Counter, net::sockets::Families};
use futures::future::join_all;
use std::{net::IpAddr, time::Duration};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often the interfaces are looked at. 10 s: a call whose path is gone tries again for
/// longer than that.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often names are looked up. 60 s: dynamic DNS has such lifetimes.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Where the addresses come from, and the last of them.
pub struct AddressWatch {
    /// What `--media-ip` names.
    hosts: Vec<Known>,
    /// The address that media is bound to, where that is a single one.
    bound: Option<IpAddr>,
    /// The families the media sockets serve.
    families: Families,
    /// Which interfaces count.
    filter: InterfaceFilter,
    /// The interfaces' addresses.
    interfaces: Box<dyn Fn() -> Vec<InterfaceAddress> + Send>,
    /// When names were looked up last.
    resolved: Option<Instant>,
}

/// A host and what it resolved to last.
struct Known {
    /// The entry of `--media-ip`.
    host: MediaHost,
    /// Its last addresses.
    last: Vec<Advertised>,
    /// Whether the last look-up failed; that is logged when it begins.
    failed: bool,
}

impl AddressWatch {
    /// The sources that the settings name; nothing is looked at yet.
    pub fn new(config: &Config, families: Families) -> Self {
        let hosts = config.media_ip.iter().map(|host| Known {
            host: host.clone(),
            last: Vec::new(),
            failed: false,
        });
        let bound = config.media_listen.ip().to_canonical();
        Self {
            hosts: hosts.collect(),
            bound: (!bound.is_unspecified()).then_some(bound),
            families,
            filter: config.media_interfaces.clone(),
            interfaces: Box::new(interfaces::all),
            resolved: None,
        }
    }

    /// The addresses now, the best first, at most [`MAX_ADDRESSES`].
    ///
    /// # Cancel safety
    /// What was looked up before it was dropped is kept.
    pub async fn look(&mut self) -> Vec<Advertised> {
        if !self.hosts.is_empty() {
            return self.look_up().await;
        }
        if let Some(bound) = self.bound {
            return vec![Advertised::at(bound)];
        }
        let mut found = (self.interfaces)();
        found.retain(|address| self.families.serve(address.ip));
        let usable = interfaces::usable(&found, &self.filter);
        usable.into_iter().map(Advertised::at).collect()
    }

    /// Names are looked up at the next look.
    pub fn expire(&mut self) {
        self.resolved = None;
    }

    /// The addresses of the hosts; a name that fails keeps its last ones.
    async fn look_up(&mut self) -> Vec<Advertised> {
        let due = self.resolved.is_none_or(|at| at.elapsed() >= RESOLVE_EVERY);
        if due {
            self.resolved = Some(Instant::now());
            // Together: a resolver that does not answer holds the start up once.
            join_all(self.hosts.iter_mut().map(Known::refresh)).await;
        }
        let mut found = Vec::new();
        for advertised in self.hosts.iter().flat_map(|known| &known.last) {
            if found.len() < MAX_ADDRESSES && !found.contains(advertised) {
                found.push(*advertised);
            }
        }
        found
    }
}

impl Known {
    /// Looks it up.
    async fn refresh(&mut self) {
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

/// Looks every [`LOOK_EVERY`], and whenever `reload` changes, until that is dropped; `tell` is
/// given each new list, which a log line names once. Where it answers false, somebody had no
/// place for the list, and gets it at the next look.
pub async fn watch(
    mut addresses: AddressWatch,
    mut current: Vec<Advertised>,
    mut reload: Receiver<u64>,
    changes: Counter,
    tell: impl Fn(&[Advertised]) -> bool + Send,
) {
    let mut is_told = true;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            changed = reload.changed() => match changed {
                Ok(()) => addresses.expire(),
                Err(_) => return,
            },
        }
        let found = addresses.look().await;
        if found != current {
            changes.inc();
            tracing::info!(
                before = shown(&current),
                now = shown(&found),
                "the addresses offered for media and TURN changed"
            );
            current = found;
            is_told = false;
        }
        if !is_told {
            is_told = tell(&current);
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
    type Wires = Arc<Mutex<Vec<InterfaceAddress>>>;

    fn wires(ips: &[&str]) -> Vec<InterfaceAddress> {
        let address = |ip: &&str| InterfaceAddress {
            name: "eth0".to_owned(),
            ip: ip.parse().expect("an address"),
            running: true,
        };
        ips.iter().map(address).collect()
    }

    fn watching(families: Families, wires: &Wires) -> AddressWatch {
        let wires = wires.clone();
        AddressWatch {
            hosts: Vec::new(),
            bound: None,
            families,
            filter: InterfaceFilter::default(),
            interfaces: Box::new(move || wires.lock().expect("held for a moment").clone()),
            resolved: None,
        }
    }

    fn at(ips: &[&str]) -> Vec<Advertised> {
        let parsed = ips.iter().map(|ip| ip.parse().expect("an address"));
        parsed.map(Advertised::at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_comes_or_goes_is_told_within_ten_seconds_and_once() {
        let current: Wires = Arc::new(Mutex::new(wires(&["192.0.2.1"])));
        let mut addresses = watching(Families::Both, &current);
        let first = addresses.look().await;
        assert_eq!(first, at(&["192.0.2.1"]));
        let (_keep, reload) = tokio::sync::watch::channel(0);
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |list: &[Advertised]| told.send(list.to_vec()).is_ok();
        let watching = tokio::spawn(watch(addresses, first, reload, Counter::default(), tell));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(tells.try_recv().is_err(), "nothing changed");
        for ips in [&["192.0.2.9", "2001:db8::9"][..], &["192.0.2.1"]] {
            *current.lock().expect("held for a moment") = wires(ips);
            let changed = Instant::now();
            assert_eq!(tells.recv().await, Some(at(ips)));
            assert!(changed.elapsed() <= LOOK_EVERY);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(tells.try_recv().is_err(), "told once");
        }
        watching.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_looks_at_once_and_the_watch_ends_with_the_server() {
        let current: Wires = Arc::new(Mutex::new(wires(&["192.0.2.1"])));
        let addresses = watching(Families::Both, &current);
        let (asked, reload) = tokio::sync::watch::channel(0);
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |list: &[Advertised]| told.send(list.to_vec()).is_ok();
        let known = at(&["192.0.2.1"]);
        let watching = tokio::spawn(watch(addresses, known, reload, Counter::default(), tell));
        // Past the look that a new interval begins with.
        tokio::time::sleep(Duration::from_secs(1)).await;
        *current.lock().expect("held for a moment") = wires(&["192.0.2.2"]);
        let before = Instant::now();
        asked.send_modify(|count| *count += 1);
        assert_eq!(tells.recv().await, Some(at(&["192.0.2.2"])));
        assert_eq!(before.elapsed(), Duration::ZERO);
        drop(asked);
        watching.await.expect("ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_somebody_had_no_place_for_is_told_again() {
        let current: Wires = Arc::new(Mutex::new(wires(&["192.0.2.1"])));
        let addresses = watching(Families::Both, &current);
        let (_keep, reload) = tokio::sync::watch::channel(0);
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let refusals = Mutex::new(2);
        let tell = move |list: &[Advertised]| {
            told.send(list.to_vec()).expect("is listened to");
            let mut left = refusals.lock().expect("held for a moment");
            *left -= 1;
            *left < 0
        };
        let watching = tokio::spawn(watch(
            addresses,
            Vec::new(),
            reload,
            Counter::default(),
            tell,
        ));
        for _ in 0..3 {
            assert_eq!(tells.recv().await, Some(at(&["192.0.2.1"])));
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(
            tells.try_recv().is_err(),
            "the third time there was a place"
        );
        watching.abort();
    }

    #[tokio::test]
    async fn a_family_that_no_socket_serves_is_not_offered() {
        let both: Wires = Arc::new(Mutex::new(wires(&["192.0.2.1", "2001:db8::1"])));
        let four = watching(Families::V4, &both).look().await;
        let six = watching(Families::V6, &both).look().await;
        assert_eq!((four, six), (at(&["192.0.2.1"]), at(&["2001:db8::1"])));
    }

    #[tokio::test]
    async fn a_name_that_fails_keeps_its_last_addresses() {
        let none: Wires = Arc::default();
        let mut addresses = watching(Families::Both, &none);
        addresses.hosts = vec![Known {
            host: MediaHost::parse("no-such-host.invalid").expect("taken"),
            last: at(&["203.0.113.7"]),
            failed: false,
        }];
        assert_eq!(addresses.look().await, at(&["203.0.113.7"]));
        assert!(addresses.hosts[0].failed);
    }
}
