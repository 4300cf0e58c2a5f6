//! The client of a request: the peer of the connection, or the address that a trusted proxy names.
//!
//! A proxy names the client in `X-Forwarded-For` or in `Forwarded` (RFC 7239). Both are read from
//! the right, because each proxy appends its own peer and a client can forge everything further
//! left. The first address from the right that is no trusted proxy is the client. An unreadable
//! element ends the search, and the request counts under the last trusted proxy.
//!
//! Only the address of a peer can exempt a client from its limits, a header cannot.

use super::permits::is_exempt;
use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The header that most proxies write.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// The header of RFC 7239.
const FORWARDED: &str = "forwarded";
/// The address of clients whose proxy on this machine does not name them. No client has it.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address that a request counts under; an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address of requests whose client is unknown.
    pub const UNKNOWN: Self = Self(UNKNOWN);
}

/// The proxies whose forwarding headers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts these networks. Loopback is trusted in both families or in neither, because a proxy
    /// may connect to `localhost` over either.
    pub fn new(networks: Vec<IpNet>) -> Self {
        let mut proxies = Self(networks.into_iter().map(unmapped).collect());
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        if loopback.into_iter().any(|ip| proxies.contains(ip)) {
            let missing = loopback.into_iter().filter(|ip| !proxies.contains(*ip));
            let missing: Vec<_> = missing.map(IpNet::from).collect();
            proxies.0.extend(missing);
        }
        proxies
    }

    /// Whether this is the address of a trusted proxy.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The client of a request from this peer.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let peer = peer.to_canonical();
        if !self.contains(peer) || !has_forwarding(headers) {
            return ClientAddress(peer);
        }
        let by_x_forwarded_for = self.rightmost_untrusted(peer, x_forwarded_for(headers));
        let by_forwarded = self.rightmost_untrusted(peer, forwarded_for(headers));
        let client = match (by_x_forwarded_for, by_forwarded) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(client), Some(same)) if client == same => client,
            // The proxy writes X-Forwarded-For only and passed the client's own Forwarded on.
            (Some(client), Some(_)) if forwarded_names_no_client(headers) => client,
            // One of the headers may be forged: a proxy that does not know it passed it on.
            (Some(_), Some(_)) | (None, None) => peer,
        };
        match is_exempt(client) {
            true => ClientAddress::UNKNOWN,
            false => ClientAddress(client),
        }
    }

    /// The first address from the right that is no trusted proxy, or the last trusted proxy before
    /// an unreadable element. `None` without the header.
    fn rightmost_untrusted(
        &self,
        peer: IpAddr,
        elements: Option<Vec<Option<IpAddr>>>,
    ) -> Option<IpAddr> {
        let mut client = peer;
        for element in elements?.into_iter().rev() {
            let Some(address) = element else { break };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        Some(client)
    }
}

/// Converts a network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) to the IPv4 network.
fn unmapped(network: IpNet) -> IpNet {
    let bits = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), bits) {
        (IpAddr::V4(four), Some(bits)) if network.addr().is_ipv6() => {
            Ipv4Net::new(four, bits).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// Whether a request has a forwarding header.
pub fn has_forwarding(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// Whether the nearest proxy reports TLS in `X-Forwarded-Proto`.
pub fn is_forwarded_https(headers: &HeaderMap) -> bool {
    let scheme = headers.get("x-forwarded-proto");
    let scheme = scheme.and_then(|scheme| scheme.to_str().ok());
    let last = scheme.and_then(|scheme| scheme.rsplit(',').next());
    last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The addresses of `X-Forwarded-For`, left to right over all its lines. An unreadable element is
/// `None`. Returns `None` without the header.
fn x_forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    headers.contains_key(X_FORWARDED_FOR).then(|| {
        let lines = headers.get_all(X_FORWARDED_FOR).iter();
        let elements = lines.flat_map(|line| match line.to_str() {
            Ok(line) => elements(line.split(',')).map(node_address).collect(),
            Err(_) => vec![None],
        });
        elements.collect()
    })
}

/// The elements of a list without the empty ones, which are ignored (RFC 9110 section 5.6.1.2).
fn elements<'a>(list: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let list = list.into_iter();
    list.filter(|element| !element.trim().is_empty())
}

/// The addresses of `Forwarded`, in the form of [`x_forwarded_for`].
fn forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    headers.contains_key(FORWARDED).then(|| {
        let nodes = forwarded_nodes(headers);
        nodes.map(|node| node.and_then(node_address)).collect()
    })
}

/// Whether `Forwarded` neither names nor hides a client. No proxy then wrote it about a client.
fn forwarded_names_no_client(headers: &HeaderMap) -> bool {
    let mut nodes = forwarded_nodes(headers).flatten();
    nodes.all(|node| node_address(node).is_none() && !is_hidden(node))
}

/// The raw `for` parameter of each element of `Forwarded`, over all its lines.
fn forwarded_nodes(headers: &HeaderMap) -> impl Iterator<Item = Option<&str>> {
    let lines = headers.get_all(FORWARDED).iter();
    lines.flat_map(forwarded_line)
}

/// The raw `for` parameter of each element of one line. A line that is not ASCII is one unreadable
/// element.
fn forwarded_line(line: &HeaderValue) -> Vec<Option<&str>> {
    let Ok(line) = line.to_str() else {
        return vec![None];
    };
    elements(split_unquoted(line, ','))
        .map(|element| {
            let pairs = split_unquoted(element, ';').into_iter();
            let mut named = pairs.filter_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value)
            });
            // RFC 7239 section 4 forbids a second `for`; neither is trusted.
            match (named.next(), named.next()) {
                (Some(value), None) => Some(value),
                _ => None,
            }
        })
        .collect()
}

/// Splits at separators outside of quoted strings (RFC 9110 section 5.6.4).
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            letter if letter == separator && !quoted => {
                parts.push(&text[start..index]);
                start = index + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Whether the node hides its address (RFC 7239 sections 6.2 and 6.3).
fn is_hidden(node: &str) -> bool {
    let node = node.trim().trim_matches('"');
    let name = node.split_once(':').map_or(node, |(name, _)| name);
    name.starts_with('_') || name.eq_ignore_ascii_case("unknown")
}

/// Parses an address as proxies write it. Port, quotation marks, and the brackets and the zone of
/// an IPv6 address are optional.
fn node_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let unquoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let text = unquoted.unwrap_or(text).trim();
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (six, port) = rest.split_once(']')?;
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            ipv6(six).filter(|_| fits)
        }
        None => match text.split_once(':') {
            Some((four, port)) if is_port(port) => four.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            _ => text
                .parse::<Ipv4Addr>()
                .ok()
                .map(IpAddr::V4)
                .or_else(|| ipv6(text)),
        },
    };
    address.map(|address| address.to_canonical())
}

/// Parses an IPv6 address and drops its zone (RFC 4007 section 11), which names an interface of
/// the proxy.
fn ipv6(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// Whether this is a port number or an obfuscated port (RFC 7239 section 6.3).
fn is_port(text: &str) -> bool {
    let is_obfuscated = |name: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && name.chars().all(letter)
    };
    text.parse::<u16>().is_ok() || text.strip_prefix('_').is_some_and(is_obfuscated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn trusted(networks: &[&str]) -> TrustedProxies {
        let parse = |text: &&str| text.parse().expect("a network");
        TrustedProxies::new(networks.iter().map(parse).collect())
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    /// The client of a request from `peer`, with proxies in three trusted networks.
    fn client(peer: &str, lines: &[(&'static str, &str)]) -> IpAddr {
        let proxies = trusted(&["10.0.0.0/24", "127.0.0.1/32", "2001:db8:ffff::/48"]);
        proxies.client(ip(peer), &headers(lines)).0
    }

    #[test]
    fn only_a_trusted_proxy_can_name_the_client() {
        let list = |value| [("x-forwarded-for", value)];
        assert_eq!(client("1.1.1.1", &list("2.2.2.2")), ip("1.1.1.1"));
        let table = [
            ("6.6.6.6, 2.2.2.2", "2.2.2.2"),
            ("2.2.2.2, 10.0.0.8", "2.2.2.2"),
            ("2.2.2.2,10.0.0.8 , 10.0.0.7", "2.2.2.2"),
            ("2001:db8:1::1, 2001:db8:ffff::2", "2001:db8:1::1"),
            ("::ffff:2.2.2.2", "2.2.2.2"),
        ];
        for (value, expected) in table {
            assert_eq!(client("10.0.0.9", &list(value)), ip(expected), "{value}");
            assert_eq!(client("::ffff:10.0.0.9", &list(value)), ip(expected));
        }
    }

    #[test]
    fn an_element_may_have_a_port_brackets_and_quotation_marks() {
        for (value, expected) in [
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let found = client("127.0.0.1", &[("x-forwarded-for", value)]);
            assert_eq!(found, ip(expected), "{value}");
        }
    }

    #[test]
    fn forwarded_is_parsed_and_a_quoted_comma_does_not_separate_elements() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=6.6.6.6, for=192.0.2.43, for=10.0.0.8", "192.0.2.43"),
            ("for=192.0.2.43;host=\"a,for=6.6.6.6;\\\"x\"", "192.0.2.43"),
        ] {
            let found = client("127.0.0.1", &[("forwarded", value)]);
            assert_eq!(found, ip(expected), "{value}");
        }
    }

    #[test]
    fn obfuscated_ports_zones_and_empty_elements_are_ignored() {
        for (value, expected) in [
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]:_obfuscated\"", "2001:db8::1"),
            ("for=\"192.0.2.43:_p\"", "192.0.2.43"),
            ("for=\"[::ffff:192.0.2.43]:1\"", "192.0.2.43"),
            ("for=192.0.2.43, , for=10.0.0.8,", "192.0.2.43"),
        ] {
            let found = client("127.0.0.1", &[("forwarded", value)]);
            assert_eq!(found, ip(expected), "{value}");
        }
        for (value, expected) in [
            ("2.2.2.2, , 10.0.0.8", "2.2.2.2"),
            ("2.2.2.2,", "2.2.2.2"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%3]:80", "fe80::1"),
            ("[::ffff:2.2.2.2]:80", "2.2.2.2"),
        ] {
            let found = client("127.0.0.1", &[("x-forwarded-for", value)]);
            assert_eq!(found, ip(expected), "{value}");
        }
    }

    #[test]
    fn two_lines_of_a_header_are_one_list() {
        for name in ["x-forwarded-for", "forwarded"] {
            let lines = match name {
                "forwarded" => [(name, "for=6.6.6.6, for=2.2.2.2"), (name, "for=10.0.0.8")],
                _ => [(name, "6.6.6.6, 2.2.2.2"), (name, "10.0.0.8")],
            };
            assert_eq!(client("127.0.0.1", &lines), ip("2.2.2.2"), "{name}");
        }
    }

    #[test]
    fn a_network_of_mapped_addresses_is_the_ipv4_network() {
        for network in ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3/128", "10.1.2.3/32"] {
            assert!(trusted(&[network]).contains(ip("10.1.2.3")), "{network}");
        }
        assert!(!trusted(&["::ffff:10.0.0.0/104"]).contains(ip("11.0.0.1")));
        assert!(!trusted(&["::/0"]).contains(ip("11.0.0.1")), "IPv6 only");
    }

    #[test]
    fn trust_in_loopback_covers_both_families_and_no_other_address() {
        for one in [
            "127.0.0.1/32",
            "127.0.0.0/8",
            "::1/128",
            "::ffff:127.0.0.1/128",
        ] {
            let proxies = trusted(&[one]);
            let list = headers(&[("x-forwarded-for", "2.2.2.2")]);
            for peer in ["127.0.0.1", "::1"] {
                assert_eq!(proxies.client(ip(peer), &list).0, ip("2.2.2.2"), "{one}");
            }
            assert!(!proxies.contains(ip("::2")), "{one}");
        }
        assert!(!trusted(&["::1/128"]).contains(ip("127.0.0.2")));
        let elsewhere = trusted(&["10.0.0.0/8", "127.0.0.2/32"]);
        assert!(!elsewhere.contains(ip("127.0.0.1")) && !elsewhere.contains(ip("::1")));
    }

    #[test]
    fn an_unreadable_element_counts_under_the_last_trusted_proxy_and_is_never_exempt() {
        for value in [
            "rubbish",
            "2.2.2.2, rubbish",
            "",
            "2.2.2.2:x",
            "_hidden",
            "1.2.3.4:99999",
            "1.2.3.4:",
            "[2001:db8::1]x",
            "[1.2.3.4]",
            "2001:db8::1:_p x",
        ] {
            let list = [("x-forwarded-for", value)];
            assert_eq!(client("10.0.0.9", &list), ip("10.0.0.9"), "{value}");
            assert_eq!(client("127.0.0.1", &list), UNKNOWN, "{value}");
        }
        let behind_two = [("x-forwarded-for", "2.2.2.2, unknown, 10.0.0.8")];
        assert_eq!(client("127.0.0.1", &behind_two), ip("10.0.0.8"));
        for value in [
            "for=unknown",
            "for=\"unknown:1\"",
            "for=\"_gazonk:_p\"",
            "proto=https",
            "for=1.2.3.4;for=2.2.2.2",
            "for=\"1.2.3.4",
        ] {
            assert_eq!(
                client("127.0.0.1", &[("forwarded", value)]),
                UNKNOWN,
                "{value}"
            );
        }
    }

    #[test]
    fn a_header_exempts_no_client_and_a_peer_without_header_is_the_client() {
        for value in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "127.0.0.1, 127.0.0.1",
        ] {
            let list = [("x-forwarded-for", value)];
            assert!(!is_exempt(client("127.0.0.1", &list)), "{value}");
        }
        assert_eq!(client("127.0.0.1", &[]), ip("127.0.0.1"));
    }

    #[test]
    fn contradicting_headers_name_no_client() {
        let both = |standard| [("x-forwarded-for", "2.2.2.2"), ("forwarded", standard)];
        assert_eq!(client("10.0.0.9", &both("for=2.2.2.2")), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.9", &both("for=6.6.6.6")), ip("10.0.0.9"));
    }

    #[test]
    fn a_forwarded_header_without_an_address_does_not_contradict_the_other() {
        let both = |standard| [("x-forwarded-for", "2.2.2.2"), ("forwarded", standard)];
        for empty in [
            "",
            "proto=https",
            "rubbish",
            "for=",
            "for=1.2.3.4;for=5.5.5.5",
        ] {
            let found = client("10.0.0.9", &both(empty));
            assert_eq!(found, ip("2.2.2.2"), "{empty}");
        }
        // A proxy that hides its clients in one header did not write the other header.
        for hidden in [
            "for=unknown",
            "For=\"_hidden\"",
            "for=x, for=_hidden",
            "for=\"unknown:80\"",
            "for=\"_hidden:_p\"",
        ] {
            let found = client("10.0.0.9", &both(hidden));
            assert_eq!(found, ip("10.0.0.9"), "{hidden}");
        }
    }

    #[test]
    fn the_nearest_proxy_names_the_scheme() {
        let https = |value| is_forwarded_https(&headers(&[("x-forwarded-proto", value)]));
        assert!(https("https") && https("http, HTTPS"));
        assert!(!https("http") && !https("https, http") && !https(""));
    }
}
