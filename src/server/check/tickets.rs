//! Tickets: what one test may use of the server, and how many tests run at once.
//!
//! Pure, except for the permits of addresses: time comes in as `now`. A test gets a ticket at its
//! start, and everything that it sends, receives or opens is charged to the ticket. A ticket ends
//! with the test, or [`TICKET_LIFETIME`] after its start.

use crate::server::{
    identity::random_letters,
    net::{Permit, PermitLimits, Permits},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest duration of a test. 60 s: a test of blocked paths takes 40 s.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(60);
/// Tests at once. 16: together they download at most 192 MiB.
const MAX_TESTS: usize = 16;
/// Tests of one address at once: two people of a household.
const MAX_TESTS_PER_ADDRESS: usize = 2;
/// Bytes that one test downloads. 12 MiB: 33 Mbit/s for 3 s, ten times what a large call needs.
const DOWNLOAD_BYTES: u64 = 12 * 1024 * 1024;
/// The longest duration of a download. 4 s: the script measures 3 s.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes that one test uploads. 6 MiB: 16 Mbit/s for 3 s, eight times what a camera needs.
pub const UPLOAD_BYTES: u64 = 6 * 1024 * 1024;
/// Peer connections to the SFU of one test: one over UDP, one over TCP, and one more try of each.
const OFFERS: u32 = 4;

/// What a test has left.
struct Ticket {
    /// When the ticket ends.
    expires: Instant,
    /// Bytes to download.
    download_bytes: u64,
    /// Bytes to upload.
    upload_bytes: u64,
    /// Peer connections to open.
    offers: u32,
    /// The place among the tests at once.
    _permit: Permit,
}

/// The bytes of a download that are still to be sent.
pub struct Download {
    /// Bytes that are left to send.
    left: u64,
    /// When the download ends, whatever is left.
    ends: Instant,
}

impl Download {
    /// The size of the next chunk, at most `most`; `None` at the end.
    pub fn next_chunk(&mut self, most: usize, now: Instant) -> Option<usize> {
        let chunk = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= chunk as u64;
        (chunk > 0 && now < self.ends).then_some(chunk)
    }
}

/// The tests that run.
pub struct Tickets {
    /// The places of all tests, and of the tests of each address.
    permits: Permits,
    /// The tickets by their secrets; at most [`MAX_TESTS`].
    by_secret: Mutex<HashMap<String, Ticket>>,
}

impl Default for Tickets {
    fn default() -> Self {
        Self {
            permits: Permits::new(PermitLimits {
                total: MAX_TESTS,
                per_address: MAX_TESTS_PER_ADDRESS,
            }),
            by_secret: Mutex::default(),
        }
    }
}

impl Tickets {
    /// Starts a test and returns the secret of its ticket; `None` at a limit of tests at once.
    pub fn start(&self, ip: IpAddr, now: Instant) -> Option<String> {
        let permit = self.permits.acquire(ip).ok()?;
        let secret = random_letters();
        let ticket = Ticket {
            expires: now + TICKET_LIFETIME,
            download_bytes: DOWNLOAD_BYTES,
            upload_bytes: UPLOAD_BYTES,
            offers: OFFERS,
            _permit: permit,
        };
        let mut tickets = self
            .by_secret
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tickets.insert(secret.clone(), ticket);
        Some(secret)
    }

    /// Ends a test; false where it has ended.
    pub fn end(&self, secret: &str) -> bool {
        let mut tickets = self
            .by_secret
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tickets.remove(secret).is_some()
    }

    /// Takes all bytes that the test may still download; `None` if there are none.
    pub fn take_download(&self, secret: &str, now: Instant) -> Option<Download> {
        let take = |ticket: &mut Ticket| std::mem::take(&mut ticket.download_bytes);
        let left = self.with(secret, now, take).filter(|bytes| *bytes > 0)?;
        let ends = now + DOWNLOAD_TIMEOUT;
        Some(Download { left, ends })
    }

    /// Takes this many bytes of the upload; false if the test has fewer.
    pub fn take_upload(&self, secret: &str, bytes: usize, now: Instant) -> bool {
        let left = self.with(secret, now, |ticket| {
            let left = ticket.upload_bytes.checked_sub(bytes as u64)?;
            ticket.upload_bytes = left;
            Some(left)
        });
        left.flatten().is_some()
    }

    /// Takes one peer connection; false if the test has none left.
    pub fn take_offer(&self, secret: &str, now: Instant) -> bool {
        let left = self.with(secret, now, |ticket| {
            ticket.offers = ticket.offers.checked_sub(1)?;
            Some(())
        });
        left.flatten().is_some()
    }

    /// Changes a ticket that has not ended.
    fn with<R>(
        &self,
        secret: &str,
        now: Instant,
        change: impl FnOnce(&mut Ticket) -> R,
    ) -> Option<R> {
        let mut tickets = self
            .by_secret
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ticket = tickets.get_mut(secret)?;
        (ticket.expires > now).then(|| change(ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of a household.
    const ANN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_test_downloads_and_uploads_and_offers_no_more_than_its_ticket() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.start(ANN, now).expect("a ticket");
        let mut download = tickets.take_download(&ticket, now).expect("a download");
        assert!(tickets.take_download(&ticket, now).is_none());
        let chunks = std::iter::from_fn(|| download.next_chunk(10_000, now));
        assert_eq!(chunks.sum::<usize>() as u64, DOWNLOAD_BYTES);
        let most = UPLOAD_BYTES as usize;
        assert!(tickets.take_upload(&ticket, most - 1, now));
        assert!(!tickets.take_upload(&ticket, 2, now));
        assert!(tickets.take_upload(&ticket, 1, now));
        let offers = (0..9).filter(|_| tickets.take_offer(&ticket, now));
        assert_eq!(offers.count(), OFFERS as usize);
        assert!(!tickets.take_upload("made-up", 1, now));
    }

    #[test]
    fn a_ticket_is_worth_nothing_after_its_end_or_its_lifetime() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ended = tickets.start(ANN, now).expect("a ticket");
        assert!(tickets.end(&ended) && !tickets.end(&ended));
        assert!(!tickets.take_offer(&ended, now));
        let old = tickets.start(ANN, now).expect("a ticket");
        let soon = now + TICKET_LIFETIME - Duration::from_millis(1);
        assert!(tickets.take_offer(&old, soon));
        assert!(!tickets.take_offer(&old, now + TICKET_LIFETIME));
        let late = tickets.take_download(&old, now + TICKET_LIFETIME);
        assert!(late.is_none());
    }

    #[test]
    fn a_download_ends_in_time_however_slowly_it_is_read() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.start(ANN, now).expect("a ticket");
        let mut download = tickets.take_download(&ticket, now).expect("a download");
        let soon = now + DOWNLOAD_TIMEOUT - Duration::from_millis(1);
        assert_eq!(download.next_chunk(1_000, soon), Some(1_000));
        assert_eq!(download.next_chunk(1_000, now + DOWNLOAD_TIMEOUT), None);
    }

    #[test]
    fn tests_at_once_are_bounded_for_each_address_and_in_all() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let of_ann: Vec<_> = (0..5).filter_map(|_| tickets.start(ANN, now)).collect();
        assert_eq!(of_ann.len(), MAX_TESTS_PER_ADDRESS);
        let others = (2..=200).filter(|last| {
            let ip = IpAddr::from([192, 0, 2, *last]);
            tickets.start(ip, now).is_some()
        });
        assert_eq!(others.count(), MAX_TESTS - MAX_TESTS_PER_ADDRESS);
        assert!(tickets.end(&of_ann[0]));
        assert!(tickets.start(ANN, now).is_some());
    }
}
