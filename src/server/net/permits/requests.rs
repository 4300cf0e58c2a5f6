//! Request rates of each address, with separate buckets for each kind of request.
//!
//! The buckets outlive sockets and rooms, so a client does not refill them by reconnecting.
//! `127.0.0.1` and `::1` are not limited (see [`super::networks::is_exempt`]).

use super::addresses::{AddressRateLimiter, AddressRateLimits};
use crate::server::limits::Rate;
use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

/// Declares the kinds, each with its name in `--address-rates` and its default rate.
macro_rules! request_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $per_second:expr, $burst:expr;)*) => {
        /// A kind of request that has a rate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RequestKind {
            $($(#[$doc])* $kind,)*
        }

        impl RequestKind {
            /// All kinds, in the order of the variants.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The name of the kind in `--address-rates`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The default rate of one address. It suffices for a school behind one address.
            pub const fn default_rate(self) -> Rate {
                match self {
                    $(Self::$kind => rate($per_second, $burst),)*
                }
            }
        }
    };
}
request_kinds! {
    /// Joins of a room, over any connection.
    Join = "joins", 5, 200;
    /// Joins of a room without members, and posts into one. Each starts an actor.
    NewRoom = "rooms", 1, 60;
    /// Messages posted by forms without script.
    Post = "posts", 5, 100;
    /// Bytes to store, see [`stored_bytes`]. The default is the full rate of one socket: five
    /// messages a second of 4000 characters of four bytes.
    ChatBytes = "chat-bytes", 80 * 1024, 1024 * 1024;
    /// Full-text searches of a room's messages.
    Search = "searches", 2, 20;
    /// Rendered pages and calls of server functions.
    Page = "pages", 20, 200;
    /// Pages of older messages.
    History = "history", 10, 200;
    /// Offers to the SFU. A person who joins a large call sends four.
    Offer = "offers", 20, 400;
}

/// Bytes of a stored change besides its text: its row and its indexes.
const ROW_BYTES: usize = 256;

/// The charge of [`RequestKind::ChatBytes`] for a text of this many bytes.
pub fn stored_bytes(text: usize) -> u32 {
    u32::try_from(text.saturating_add(ROW_BYTES)).unwrap_or(u32::MAX)
}

const fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

/// The rate of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRateLimits([Rate; RequestKind::ALL.len()]);

impl Default for RequestRateLimits {
    fn default() -> Self {
        Self(RequestKind::ALL.map(RequestKind::default_rate))
    }
}

impl Display for RequestRateLimits {
    /// Writes the form that [`RequestRateLimits::parse`] reads.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, (kind, rate)) in RequestKind::ALL.into_iter().zip(self.0).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let (per_second, burst) = (rate.per_second, rate.burst);
            write!(f, "{comma}{}={per_second}/{burst}", kind.name())?;
        }
        Ok(())
    }
}

impl RequestRateLimits {
    /// Parses `kind=per-second/at-once`, comma separated. Kinds that are left out keep their
    /// default.
    ///
    /// # Errors
    /// The rejected part.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let mut limits = Self::default();
        let words = text.split(',').map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            let (index, rate) = parse_word(word).ok_or(word)?;
            limits.0[index] = rate;
        }
        Ok(limits)
    }
}

/// Parses the index of a kind and its rate.
fn parse_word(word: &str) -> Option<(usize, Rate)> {
    let (name, numbers) = word.split_once('=')?;
    let kinds = RequestKind::ALL.into_iter();
    let index = kinds
        .map(RequestKind::name)
        .position(|known| known == name.trim())?;
    let (per_second, burst) = numbers.split_once('/')?;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &u32| *number > 0);
    Some((index, rate(number(per_second)?, number(burst)?)))
}

/// The buckets of all kinds.
pub struct RequestRateLimiter([AddressRateLimiter; RequestKind::ALL.len()]);

impl RequestRateLimiter {
    /// A limiter whose buckets are full.
    pub fn new(limits: RequestRateLimits) -> Self {
        Self(limits.0.map(|per_address| {
            AddressRateLimiter::new(AddressRateLimits {
                per_address,
                total: None,
            })
        }))
    }

    /// Whether one more request of this kind is allowed for this address.
    pub fn allow(&self, kind: RequestKind, ip: IpAddr) -> bool {
        self.allow_many(kind, ip, 1)
    }

    /// Whether `amount` more units of this kind are allowed for this address.
    pub fn allow_many(&self, kind: RequestKind, ip: IpAddr, amount: u32) -> bool {
        self.0[kind as usize].allow_many(ip, amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_setting_changes_only_the_rates_that_it_names() {
        let limits = RequestRateLimits::parse("searches=1/3, rooms=2/2").expect("accepted");
        let rates = RequestRateLimiter::new(limits);
        let allowed = |kind| {
            (0..10)
                .filter(|_| rates.allow(kind, ip("192.0.2.1")))
                .count()
        };
        assert_eq!(allowed(RequestKind::Search), 3);
        assert_eq!(allowed(RequestKind::NewRoom), 2);
        assert_eq!(allowed(RequestKind::Join), 10);
        assert_eq!(
            RequestRateLimits::parse(""),
            Ok(RequestRateLimits::default())
        );
        for wrong in [
            "x=1/1",
            "joins",
            "joins=1",
            "joins=0/1",
            "joins=1/-1",
            "joins=1/1/1",
        ] {
            assert_eq!(RequestRateLimits::parse(wrong), Err(wrong));
        }
    }

    #[test]
    fn one_socket_at_its_full_rate_is_within_the_bytes_of_its_address() {
        let largest = stored_bytes(4 * crate::protocol::MAX_CHAT_CHARS);
        let bytes = RequestKind::ChatBytes.default_rate();
        assert!(5 * largest <= bytes.per_second);
        assert!(40 * largest <= bytes.burst);
    }
}
