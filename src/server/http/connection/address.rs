//! Whose address a request counts under.

use http::HeaderMap;
use std::net::IpAddr;

/// Whose socket it is: the peer, or behind a trusted proxy whom it names. Read from the
/// right, the first address that is no trusted proxy: everything left of it is hearsay.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let words = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    let mut client = peer;
    for word in words {
        let Ok(address) = word.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn only_a_trusted_proxy_may_say_whose_socket_it_is() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("x-forwarded-for"),
                http::HeaderValue::from_static(value),
            )])
        };
        let proxies = [ip("10.0.0.9"), ip("10.0.0.8")];
        let client = |peer, value| client_address(ip(peer), &headers(value), &proxies);
        assert_eq!(client("1.1.1.1", "2.2.2.2"), ip("1.1.1.1"));
        assert_eq!(client("10.0.0.9", "6.6.6.6, 2.2.2.2"), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.9", "2.2.2.2, 10.0.0.8"), ip("2.2.2.2"));
        assert_eq!(client("10.0.0.9", "2.2.2.2, rubbish"), ip("10.0.0.9"));
    }
}
