//! Addresses of this machine's interfaces: selection and ranking.

use super::{MAX_ADDRESSES, first_of_both, host::names_one_machine};
use if_addrs::{IfOperStatus, Interface};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// Words of `--media-interfaces`. 32: more networks than a machine has interfaces for.
pub const MAX_FILTER_WORDS: usize = 32;
/// Length limit of an interface name, in characters (IFNAMSIZ of Linux).
const MAX_NAME: usize = 15;
/// Name prefixes of virtual interfaces: bridges and links of containers and virtual machines,
/// tunnels and VPNs. Browsers on other machines seldom reach their addresses.
const VIRTUAL: [&str; 24] = [
    "br-",
    "cali",
    "cilium",
    "cni",
    "docker",
    "flannel",
    "ipsec",
    "kube",
    "lxc",
    "lxd",
    "nebula",
    "podman",
    "tailscale",
    "tap",
    "tun",
    "utun",
    "vboxnet",
    "veth",
    "virbr",
    "vmnet",
    "vnet",
    "vxlan",
    "wg",
    "zt",
];

/// An address and the interface that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub name: String,
    /// The address, an IPv4 one in its own form.
    pub ip: IpAddr,
    /// Whether the interface has a carrier.
    pub running: bool,
}

/// The addresses of all interfaces; empty if the system does not list them.
pub fn all() -> Vec<InterfaceAddress> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let address = |interface: Interface| InterfaceAddress {
        ip: interface.ip().to_canonical(),
        running: interface.oper_status == IfOperStatus::Up,
        name: interface.name,
    };
    found.into_iter().map(address).collect()
}

/// Rank of an address, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A public address.
    Global,
    /// An address of a private network: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// An address of a virtual interface.
    Virtual,
    /// An IPv4 link-local address (RFC 3927).
    LinkLocal,
    /// A loopback address, used only if there is no other.
    Loopback,
}

impl InterfaceAddress {
    /// The rank; `None` if the address cannot be a candidate. An IPv6 link-local address needs a
    /// zone, which candidates cannot have (RFC 8839, 5.1).
    fn rank(&self) -> Option<Rank> {
        let loopback = self.ip.is_loopback();
        if !names_one_machine(self.ip) || !(self.running || loopback) {
            return None;
        }
        Some(match self.ip {
            _ if loopback => Rank::Loopback,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => return None,
            IpAddr::V4(ip) if ip.is_link_local() => Rank::LinkLocal,
            _ if self.is_virtual() => Rank::Virtual,
            IpAddr::V4(ip) if ip.is_private() || is_shared(ip) => Rank::Private,
            IpAddr::V6(ip) if is_unique_local(ip) => Rank::Private,
            IpAddr::V4(_) | IpAddr::V6(_) => Rank::Global,
        })
    }

    /// Whether the name is that of a virtual interface.
    fn is_virtual(&self) -> bool {
        VIRTUAL.iter().any(|start| self.name.starts_with(start))
    }
}

/// Whether the address is that of a carrier's NAT (RFC 6598).
fn is_shared(ip: std::net::Ipv4Addr) -> bool {
    matches!(ip.octets(), [100, second, ..] if second & 0xC0 == 64)
}

/// Whether the address is a unique local address (RFC 4193).
fn is_unique_local(ip: Ipv6Addr) -> bool {
    ip.octets()[0] & 0xFE == 0xFC
}

/// The first public address, IPv4 before IPv6; `None` if there is none.
pub fn public(all: &[InterfaceAddress]) -> Option<IpAddr> {
    let is_public = |address: &&InterfaceAddress| address.rank() == Some(Rank::Global);
    let mut public = all.iter().filter(is_public).map(|address| address.ip);
    let first = public.next()?;
    let four = std::iter::once(first).chain(public).find(IpAddr::is_ipv4);
    Some(four.unwrap_or(first))
}

/// The addresses to offer, the best first, at most [`MAX_ADDRESSES`]. If there are more, the best
/// of each family is included. Of the many IPv6 addresses that an interface has in one network (RFC
/// 8981), only the first is used.
pub fn usable(all: &[InterfaceAddress], filter: &InterfaceFilter) -> Vec<IpAddr> {
    let ranked = |filter: &InterfaceFilter| {
        let mut networks: Vec<(&str, u128)> = Vec::new();
        let mut ranked: Vec<(Rank, IpAddr)> = all
            .iter()
            .filter(|address| filter.takes(address))
            .filter_map(|address| Some((address.rank()?, address)))
            .filter(|(_, address)| match address.ip {
                IpAddr::V4(_) => true,
                IpAddr::V6(ip) => {
                    let network = (address.name.as_str(), ip.to_bits() >> 64);
                    let is_new = !networks.contains(&network);
                    if is_new {
                        networks.push(network);
                    }
                    is_new
                }
            })
            .map(|(rank, address)| (rank, address.ip))
            .collect();
        // Stable sort: a rank keeps the system's order of interfaces.
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked
    };
    let mut found = ranked(filter);
    if found.is_empty() {
        // If the filter excludes all addresses, loopback remains.
        found = ranked(&InterfaceFilter::default());
        found.retain(|(rank, _)| *rank == Rank::Loopback);
    }
    if found.iter().any(|(rank, _)| *rank < Rank::Loopback) {
        found.retain(|(rank, _)| *rank < Rank::Loopback);
    }
    let mut ips: Vec<IpAddr> = Vec::new();
    for (_, ip) in found {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    first_of_both(&ips, MAX_ADDRESSES)
}

/// Filter of interfaces (`--media-interfaces`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceFilter {
    /// If not empty, an address must match one of these.
    only: Vec<Pattern>,
    /// An address must match none of these.
    not: Vec<Pattern>,
}

/// A word of the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// Addresses of a network.
    Network(IpNet),
    /// An interface of this name.
    Name(String),
    /// Interfaces whose names begin with this prefix.
    Prefix(String),
}

impl InterfaceFilter {
    /// Parses words: interface names (`eth0`, `br-*`), addresses and networks
    /// (`172.17.0.0/16`); a `!` in front leaves them out.
    ///
    /// # Errors
    /// The first malformed word, or the first one beyond the limit.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut filter = Self::default();
        for (number, word) in words.enumerate() {
            let excluded = word.strip_prefix('!');
            let pattern = Pattern::parse(excluded.unwrap_or(word).trim())
                .filter(|_| number < MAX_FILTER_WORDS)
                .ok_or(word)?;
            match excluded {
                Some(_) => filter.not.push(pattern),
                None => filter.only.push(pattern),
            }
        }
        Ok(filter)
    }

    /// Whether an address passes.
    fn takes(&self, address: &InterfaceAddress) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(address));
        (self.only.is_empty() || matches(&self.only)) && !matches(&self.not)
    }
}

impl Pattern {
    /// Parses one word.
    fn parse(word: &str) -> Option<Self> {
        if let Ok(network) = word.parse::<IpNet>() {
            return Some(Self::Network(network));
        }
        if let Ok(ip) = word.parse::<IpAddr>() {
            return Some(Self::Network(IpNet::from(ip.to_canonical())));
        }
        let start = word.strip_suffix('*');
        let name = start.unwrap_or(word);
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
        // Digits and dots, or a slash, are a malformed address.
        let named = name.chars().any(|c| c.is_ascii_alphabetic());
        let fits = named && name.len() <= MAX_NAME && name.chars().all(letter);
        fits.then(|| match start {
            Some(start) => Self::Prefix(start.to_owned()),
            None => Self::Name(name.to_owned()),
        })
    }

    /// Whether the word matches this address.
    fn matches(&self, address: &InterfaceAddress) -> bool {
        match self {
            Self::Network(network) => network.contains(&address.ip),
            Self::Name(name) => address.name == *name,
            Self::Prefix(start) => address.name.starts_with(start.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(list: &[(&str, &str)]) -> Vec<InterfaceAddress> {
        let address = |(name, ip): &(&str, &str)| InterfaceAddress {
            name: (*name).to_owned(),
            ip: ip.parse().expect("an address"),
            running: true,
        };
        list.iter().map(address).collect()
    }

    fn filter(text: &str) -> InterfaceFilter {
        InterfaceFilter::parse(text.split(',').filter(|word| !word.is_empty())).expect("taken")
    }

    fn shown(all: &[InterfaceAddress], words: &str) -> Vec<String> {
        let found = usable(all, &filter(words));
        found.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn a_container_bridge_or_vpn_listed_first_is_offered_last() {
        let all = interfaces(&[
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("docker0", "172.17.0.1"),
            ("br-3f2a", "172.18.0.1"),
            ("wg0", "10.8.0.1"),
            ("usb0", "169.254.3.4"),
            ("eth0", "192.168.1.5"),
            ("eth0", "2001:db8::5"),
            ("eth0", "fd00::5"),
            ("eth0", "fe80::5"),
        ]);
        let expected = [
            "2001:db8::5",
            "192.168.1.5",
            "fd00::5",
            "172.17.0.1",
            "172.18.0.1",
            "10.8.0.1",
            "169.254.3.4",
        ];
        assert_eq!(shown(&all, ""), expected);
    }

    #[test]
    fn loopback_is_offered_only_where_there_is_nothing_else() {
        let alone = interfaces(&[("lo", "127.0.0.1"), ("lo", "::1"), ("eth0", "fe80::5")]);
        assert_eq!(shown(&alone, ""), ["127.0.0.1", "::1"]);
        let bridge = interfaces(&[("lo", "127.0.0.1"), ("docker0", "172.17.0.1")]);
        assert_eq!(shown(&bridge, ""), ["172.17.0.1"]);
        assert_eq!(shown(&bridge, "!docker0"), ["127.0.0.1"]);
        assert_eq!(shown(&bridge, "eth9"), ["127.0.0.1"]);
    }

    #[test]
    fn an_interface_without_a_carrier_is_not_offered() {
        let mut all = interfaces(&[("eth0", "192.0.2.1"), ("eth1", "192.0.2.2")]);
        all[0].running = false;
        assert_eq!(shown(&all, ""), ["192.0.2.2"]);
    }

    #[test]
    fn interfaces_and_networks_are_selected_and_excluded() {
        let all = interfaces(&[
            ("eth0", "192.0.2.1"),
            ("eth0", "2001:db8::1"),
            ("eth1", "10.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("br-1", "172.18.0.1"),
        ]);
        for (words, expected) in [
            ("eth0", &["192.0.2.1", "2001:db8::1"][..]),
            ("eth0,!2001:db8::/32", &["192.0.2.1"]),
            ("10.0.0.0/8", &["10.0.0.1"]),
            ("!docker0,!br-*,!10.0.0.1", &["192.0.2.1", "2001:db8::1"]),
            ("eth*,!eth0", &["10.0.0.1"]),
            ("!172.16.0.0/12", &["192.0.2.1", "2001:db8::1", "10.0.0.1"]),
        ] {
            assert_eq!(shown(&all, words), expected, "{words}");
        }
    }

    #[test]
    fn more_addresses_than_the_bound_keep_the_best_of_each_family() {
        let mut all = Vec::new();
        for number in 1..=20 {
            all.extend(interfaces(&[("eth0", &format!("2001:db8:0:{number}::1"))]));
        }
        all.extend(interfaces(&[("eth0", "192.168.0.2"), ("eth0", "10.0.0.2")]));
        let found = shown(&all, "");
        assert_eq!(found.len(), MAX_ADDRESSES);
        assert_eq!(found.first().map(String::as_str), Some("2001:db8:0:1::1"));
        assert_eq!(found.last().map(String::as_str), Some("192.168.0.2"));
    }

    #[test]
    fn temporary_addresses_of_one_network_leave_room_for_ipv4() {
        let mut all = Vec::new();
        for number in 1..=8 {
            all.extend(interfaces(&[("eth0", &format!("2001:db8::{number}"))]));
        }
        all.extend(interfaces(&[
            ("eth0", "192.168.0.2"),
            ("eth1", "10.0.0.2"),
            ("eth1", "2001:db8::9"),
        ]));
        let expected = ["2001:db8::1", "2001:db8::9", "192.168.0.2", "10.0.0.2"];
        assert_eq!(shown(&all, ""), expected);
        assert_eq!(shown(&all, "2001:db8::3"), ["2001:db8::3"]);
    }

    #[test]
    fn words_that_are_neither_interface_nor_network_are_refused() {
        let parse = |text: &'static str| InterfaceFilter::parse(text.split(','));
        for word in ["172.17.0.0/33", "1.2.3", "!", "a b", "*", "eth0/24"] {
            assert_eq!(parse(word), Err(word), "{word}");
        }
        assert_eq!(
            parse("a-name-that-is-too-long"),
            Err("a-name-that-is-too-long")
        );
        let many = vec!["eth0"; MAX_FILTER_WORDS + 1];
        assert_eq!(InterfaceFilter::parse(many.into_iter()), Err("eth0"));
    }
}
