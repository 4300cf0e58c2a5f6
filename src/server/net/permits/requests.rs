//! Rates of each address and of all together, with separate buckets for each kind of request.
//!
//! The buckets outlive sockets and rooms, so a client does not refill them by reconnecting.
//! `127.0.0.1` and `::1` have no rate of their own (see [`super::networks::is_exempt`]), but count
//! against the rates of all.

use super::addresses::{AddressRateLimiter, Exhausted};
use crate::server::{profile::Profile, token_bucket::Quota};
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

/// The time in which the amount of a rate comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// One second, for what costs work.
    Second,
    /// One hour, for what stays a while.
    Hour,
    /// One day, for what stays for good.
    Day,
}

impl Period {
    /// Its length in seconds.
    const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        }
    }

    /// Its name in the manual.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// An amount in each period of its kind, and an amount at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindRate {
    /// What comes in during one period.
    pub amount: u32,
    /// What is there at once.
    pub burst: u32,
}

impl KindRate {
    /// The quota of a token bucket of this kind.
    fn quota(self, kind: RequestKind) -> Quota {
        let seconds = f64::from(kind.period().seconds());
        Quota::new(f64::from(self.amount) / seconds, f64::from(self.burst))
    }
}

/// Declares the kinds, each with its name in `--address-rates`, its period, and for each profile
/// the rate of one address and that of all together: amount, burst.
macro_rules! request_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $period:ident,
        private: $private:tt of $private_total:tt, public: $public:tt of $public_total:tt;)*) => {
        /// A kind of request that has a rate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RequestKind {
            $($(#[$doc])* $kind,)*
        }

        impl RequestKind {
            /// All kinds, in the order of the variants.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The name of the kind in `--address-rates` and `--total-rates`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The time in which the amount of its rate comes in.
            pub const fn period(self) -> Period {
                match self {
                    $(Self::$kind => Period::$period,)*
                }
            }

            /// The rate of one address.
            pub fn address_rate(self, profile: Profile) -> KindRate {
                match self {
                    $(Self::$kind => profile.choose(rate!($private), rate!($public)),)*
                }
            }

            /// The rate of all addresses together; `None` where something else bounds them.
            pub fn total_rate(self, profile: Profile) -> Option<KindRate> {
                match self {
                    $(Self::$kind => {
                        profile.choose(total!($private_total), total!($public_total))
                    })*
                }
            }
        }
    };
}
/// A rate in the declaration of a kind.
macro_rules! rate {
    ([$amount:expr, $burst:expr]) => {
        KindRate {
            amount: $amount,
            burst: $burst,
        }
    };
}
/// A rate of all together, or none.
macro_rules! total {
    (none) => {
        None
    };
    ($rate:tt) => {
        Some(rate!($rate))
    };
}
/// Bytes of one mebibyte.
const MIB: u32 = 1024 * 1024;
request_kinds! {
    /// Joins of a room, over any connection.
    Join = "joins", Second,
        private: [5, 200] of [500, 10_000], public: [2, 60] of [200, 4_000];
    /// Joins of a room without members, and posts into one. Each starts an actor.
    NewRoom = "rooms", Second,
        private: [1, 60] of none, public: [1, 30] of none;
    /// Of these, joins of rooms without a stored message: strangers make such names up.
    NewName = "new-rooms", Hour,
        private: [300, 100] of [20_000, 20_000], public: [60, 20] of [2_000, 1_000];
    /// Messages posted by forms without script.
    Post = "posts", Second,
        private: [5, 100] of none, public: [2, 40] of none;
    /// Bytes to store, see [`stored_bytes`]. The default is the full rate of one socket: five
    /// messages a second of 4000 characters of four bytes.
    ChatBytes = "chat-bytes", Second,
        private: [80 * 1024, MIB] of none, public: [80 * 1024, MIB] of none;
    /// The same bytes, in a day.
    DayBytes = "day-bytes", Day,
        private: [1024 * MIB, 1024 * MIB] of none,
        public: [64 * MIB, 64 * MIB] of [2048 * MIB, 2048 * MIB];
    /// Full-text searches of a room's messages.
    Search = "searches", Second,
        private: [2, 20] of none, public: [1, 10] of none;
    /// Rendered pages and calls of server functions.
    Page = "pages", Second,
        private: [20, 200] of none, public: [10, 100] of none;
    /// Pages of older messages.
    History = "history", Second,
        private: [10, 200] of none, public: [5, 100] of none;
    /// Offers to the SFU. A person who joins a large call sends four.
    Offer = "offers", Second,
        private: [20, 400] of none, public: [10, 200] of none;
    /// Tests at `/check`, each of which moves at most 18 MiB.
    Check = "checks", Hour,
        private: [60, 10] of [2_000, 200], public: [20, 5] of [600, 60];
    /// Uploads that begin.
    Upload = "uploads", Second,
        private: [2, 60] of [100, 1_000], public: [1, 30] of [50, 500];
    /// Bytes of these uploads, counted when they begin.
    UploadBytes = "upload-bytes", Hour,
        private: [2048 * MIB, 1024 * MIB] of none,
        public: [256 * MIB, 256 * MIB] of [2048 * MIB, 2048 * MIB];
    /// Requests for kept files.
    Download = "downloads", Second,
        private: [50, 500] of none, public: [20, 200] of none;
    /// Exports of rooms for participants.
    Export = "exports", Hour,
        private: [60, 10] of [2_000, 200], public: [20, 5] of [600, 60];
    /// Bytes that the TURN server relays for a client, both ways together: 200 Mbit/s for a school
    /// behind one address, 40 Mbit/s for four people with full video.
    RelayBytes = "relay-bytes", Second,
        private: [25_000_000, 25_000_000] of [125_000_000, 125_000_000],
        public: [5_000_000, 10_000_000] of [50_000_000, 50_000_000];
}

/// Bytes of a stored change besides its text: its row and its indexes.
const ROW_BYTES: usize = 256;

/// The charge of [`RequestKind::ChatBytes`] for a text of this many bytes.
pub fn stored_bytes(text: usize) -> u32 {
    u32::try_from(text.saturating_add(ROW_BYTES)).unwrap_or(u32::MAX)
}

/// The rates of one address, one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRateLimits([KindRate; RequestKind::ALL.len()]);

/// The rates of all addresses together, one of each kind that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalRateLimits([Option<KindRate>; RequestKind::ALL.len()]);

impl RequestRateLimits {
    /// The rates of a profile.
    pub fn of(profile: Profile) -> Self {
        Self(RequestKind::ALL.map(|kind| kind.address_rate(profile)))
    }

    /// Parses `kind=amount/at-once`, comma separated; what is left out keeps its rate of the
    /// profile.
    ///
    /// # Errors
    /// The rejected part.
    pub fn parse(text: &str, profile: Profile) -> Result<Self, &str> {
        let mut limits = Self::of(profile);
        for word in words(text) {
            let (index, rate) = parse_word(word).ok_or(word)?;
            limits.0[index] = rate.ok_or(word)?;
        }
        Ok(limits)
    }
}

impl TotalRateLimits {
    /// The rates of a profile.
    pub fn of(profile: Profile) -> Self {
        Self(RequestKind::ALL.map(|kind| kind.total_rate(profile)))
    }

    /// Parses `kind=amount/at-once` or `kind=off`, comma separated; what is left out keeps its rate
    /// of the profile.
    ///
    /// # Errors
    /// The rejected part.
    pub fn parse(text: &str, profile: Profile) -> Result<Self, &str> {
        let mut limits = Self::of(profile);
        for word in words(text) {
            let (index, rate) = parse_word(word).ok_or(word)?;
            limits.0[index] = rate;
        }
        Ok(limits)
    }
}

impl Display for RequestRateLimits {
    /// Writes the form that [`RequestRateLimits::parse`] reads.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_rates(f, self.0.map(Some))
    }
}

impl Display for TotalRateLimits {
    /// Writes the form that [`TotalRateLimits::parse`] reads; kinds without a rate are left out.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_rates(f, self.0)
    }
}

/// Writes the rates of the kinds that have one.
fn write_rates(
    f: &mut Formatter<'_>,
    rates: [Option<KindRate>; RequestKind::ALL.len()],
) -> fmt::Result {
    let kinds = RequestKind::ALL.into_iter().zip(rates);
    let rates = kinds.filter_map(|(kind, rate)| Some((kind, rate?)));
    for (index, (kind, KindRate { amount, burst })) in rates.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma}{}={amount}/{burst}", kind.name())?;
    }
    Ok(())
}

/// The words of a comma-separated list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty())
}

/// One kind and its rate; no rate for `off`.
fn parse_word(word: &str) -> Option<(usize, Option<KindRate>)> {
    let (name, numbers) = word.split_once('=')?;
    let kinds = RequestKind::ALL.into_iter();
    let index = kinds
        .map(RequestKind::name)
        .position(|known| known == name.trim())?;
    if numbers.trim() == "off" {
        return Some((index, None));
    }
    let (amount, burst) = numbers.split_once('/')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &u32| *number > 0);
    let rate = KindRate {
        amount: number(amount)?,
        burst: number(burst)?,
    };
    Some((index, Some(rate)))
}

/// The buckets of all kinds, and the refusals.
pub struct RequestRateLimiter {
    /// The buckets, in the order of [`RequestKind::ALL`].
    limiters: [AddressRateLimiter; RequestKind::ALL.len()],
    /// Refusals by kind, and by whose rate was used up.
    refusals: Family<[(&'static str, &'static str); 2], Counter>,
}

impl RequestRateLimiter {
    /// A limiter whose buckets are full.
    pub fn new(addresses: RequestRateLimits, totals: TotalRateLimits) -> Self {
        let limiter = |kind: RequestKind| {
            let (address, total) = (addresses.0[kind as usize], totals.0[kind as usize]);
            let total = total.map(|rate| rate.quota(kind));
            AddressRateLimiter::with_quotas(address.quota(kind), total)
        };
        let refusals = Family::default();
        for kind in RequestKind::ALL {
            for limit in Exhausted::ALL {
                drop(refusals.get_or_create(&labels(kind, limit)));
            }
        }
        Self {
            limiters: RequestKind::ALL.map(limiter),
            refusals,
        }
    }

    /// Whether one more request of this kind is allowed for this address.
    pub fn allow(&self, kind: RequestKind, ip: IpAddr) -> bool {
        self.try_take(kind, ip, 1).is_ok()
    }

    /// Takes `amount` of this kind for an address.
    ///
    /// # Errors
    /// Whose rate is used up. Nothing was taken.
    pub fn try_take(&self, kind: RequestKind, ip: IpAddr, amount: u32) -> Result<(), Exhausted> {
        let taken = self.limiters[kind as usize].try_take(ip, amount);
        taken.inspect_err(|limit| {
            self.refusals.get_or_create(&labels(kind, *limit)).inc();
        })
    }

    /// Adds the refusals to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "rate_refusals",
            "Requests and packets refused by a rate, by its kind and whose rate it is",
            self.refusals.clone(),
        );
    }
}

/// The labels of a refusal.
fn labels(kind: RequestKind, limit: Exhausted) -> [(&'static str, &'static str); 2] {
    [("kind", kind.name()), ("limit", limit.name())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// A limiter of the private profile with these rates.
    fn limiter(addresses: &str, totals: &str) -> RequestRateLimiter {
        let addresses = RequestRateLimits::parse(addresses, Profile::Private);
        let totals = TotalRateLimits::parse(totals, Profile::Private);
        RequestRateLimiter::new(addresses.expect("accepted"), totals.expect("accepted"))
    }

    /// How many of so many requests of a kind are allowed.
    fn allowed(
        rates: &RequestRateLimiter,
        kind: RequestKind,
        tries: usize,
        address: impl Fn(usize) -> IpAddr,
    ) -> usize {
        let tries = (0..tries).map(address);
        tries.filter(|address| rates.allow(kind, *address)).count()
    }

    #[test]
    fn a_setting_changes_only_the_rates_that_it_names() {
        let rates = limiter("searches=1/3, rooms=2/2", "");
        let of_one = |kind| allowed(&rates, kind, 10, |_| ip("192.0.2.1"));
        assert_eq!(of_one(RequestKind::Search), 3);
        assert_eq!(of_one(RequestKind::NewRoom), 2);
        assert_eq!(of_one(RequestKind::Join), 10);
        for profile in Profile::ALL {
            let default = RequestRateLimits::of(profile);
            assert_eq!(RequestRateLimits::parse("", profile), Ok(default));
            let text = default.to_string();
            assert_eq!(RequestRateLimits::parse(&text, profile), Ok(default));
            let total = TotalRateLimits::of(profile);
            assert_eq!(
                TotalRateLimits::parse(&total.to_string(), profile),
                Ok(total)
            );
        }
        for wrong in [
            "x=1/1",
            "joins",
            "joins=1",
            "joins=0/1",
            "joins=1/-1",
            "joins=1/1/1",
        ] {
            let profile = Profile::Private;
            assert_eq!(RequestRateLimits::parse(wrong, profile), Err(wrong));
            assert_eq!(TotalRateLimits::parse(wrong, profile), Err(wrong));
        }
        let off = "joins=off";
        let address = RequestRateLimits::parse(off, Profile::Private);
        assert_eq!(address, Err(off), "an address has every rate");
        assert!(TotalRateLimits::parse(off, Profile::Private).is_ok());
    }

    #[test]
    fn an_hourly_rate_has_its_burst_at_once_and_no_more_within_the_test() {
        let rates = limiter("new-rooms=60/7", "");
        let count = allowed(&rates, RequestKind::NewName, 1000, |_| ip("192.0.2.1"));
        assert_eq!(count, 7);
        let bytes = limiter("day-bytes=86400/5000", "");
        let take = |amount| bytes.try_take(RequestKind::DayBytes, ip("192.0.2.1"), amount);
        assert_eq!(take(4_000), Ok(()));
        assert_eq!(take(4_000), Err(Exhausted::Address));
        assert_eq!(take(1_000), Ok(()));
    }

    #[test]
    fn all_addresses_together_have_the_total_rate_and_loopback_counts() {
        let rates = limiter("new-rooms=60/5", "new-rooms=60/12");
        let subscriber = |number: usize| ip(&format!("192.0.2.{}", number / 10));
        assert_eq!(allowed(&rates, RequestKind::NewName, 20, subscriber), 10);
        let loopback = |_| ip("127.0.0.1");
        assert_eq!(allowed(&rates, RequestKind::NewName, 10, loopback), 2);
        let other = rates.try_take(RequestKind::NewName, ip("192.0.2.99"), 1);
        assert_eq!(other, Err(Exhausted::Total));
        let network = |number: usize| ip(&format!("2001:db8::{number:x}"));
        let unlimited = limiter("new-rooms=60/5", "new-rooms=off");
        assert_eq!(allowed(&unlimited, RequestKind::NewName, 20, network), 5);
    }

    #[test]
    fn refusals_are_counted_by_kind_and_by_whose_rate_it_is() {
        let rates = limiter("searches=1/1,posts=1/9", "posts=1/2");
        let eve = ip("192.0.2.1");
        for _ in 0..3 {
            rates.allow(RequestKind::Search, eve);
            rates.allow(RequestKind::Post, eve);
        }
        let count = |kind, limit| rates.refusals.get_or_create(&labels(kind, limit)).get();
        assert_eq!(count(RequestKind::Search, Exhausted::Address), 2);
        assert_eq!(count(RequestKind::Search, Exhausted::Total), 0);
        assert_eq!(count(RequestKind::Post, Exhausted::Total), 1);
    }

    #[test]
    fn one_socket_at_its_full_rate_is_within_the_bytes_of_its_address() {
        let largest = stored_bytes(4 * crate::protocol::MAX_CHAT_CHARS);
        for profile in Profile::ALL {
            let bytes = RequestKind::ChatBytes.address_rate(profile);
            assert!(5 * largest <= bytes.amount);
            assert!(40 * largest <= bytes.burst);
        }
    }

    #[test]
    fn a_stranger_on_a_public_server_never_has_more_than_on_a_private_one() {
        for kind in RequestKind::ALL {
            let [private, public] = Profile::ALL.map(|profile| kind.address_rate(profile));
            let is_less = public.amount <= private.amount && public.burst <= private.burst;
            assert!(is_less, "{}", kind.name());
            let [private, public] = Profile::ALL.map(|profile| kind.total_rate(profile));
            if let (Some(private), Some(public)) = (private, public) {
                assert!(public.amount <= private.amount, "{}", kind.name());
            }
            assert!(private.is_none() || public.is_some(), "{}", kind.name());
        }
    }
}
