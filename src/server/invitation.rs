//! Prints where a self-signed server is reached, with a QR code for the phone beside it.

use super::{BasePath, tls::is_private};
use qrcode::{QrCode, render::unicode::Dense1x2};
use std::{
    io::{self, IsTerminal, Write},
    net::{IpAddr, SocketAddr},
};

/// Prints the addresses, if a person reads standard output.
pub fn print(bound: SocketAddr, base: &BasePath, machine: &[IpAddr], fingerprint: &str) {
    let mut output = io::stdout().lock();
    if output.is_terminal() {
        let _ = output.write_all(text(bound, base, machine, fingerprint).as_bytes());
    }
}

/// The text: every address of the local network, the QR code of the first one, and the fingerprint
/// of the authority.
fn text(bound: SocketAddr, base: &BasePath, machine: &[IpAddr], fingerprint: &str) -> String {
    let urls = urls(bound, base, machine);
    let mut text = String::from("\nOpen on a device of this network:\n");
    for url in &urls {
        text.push_str(&format!("  {url}\n"));
    }
    if let Some(code) = urls.first().and_then(|url| QrCode::new(url).ok()) {
        // Terminals draw light letters on a dark ground.
        let drawn = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        text.push_str(&format!("\n{drawn}\n"));
    }
    text.push_str(&format!(
        "\nThe first visit shows a warning, because this machine signed the certificate itself.\n\
         The page {} tells how to remove it. SHA-256 fingerprint of the authority:\n  \
         {fingerprint}\n\n",
        base.address("/lan")
    ));
    text
}

/// The address of the server at each private address of the machine, those that other devices
/// reach first.
pub fn urls(bound: SocketAddr, base: &BasePath, machine: &[IpAddr]) -> Vec<String> {
    let reaches = |ip: &IpAddr| match bound.ip().is_unspecified() {
        true => is_private(*ip) && !is_link_local(*ip),
        false => *ip == bound.ip(),
    };
    let mut ips: Vec<_> = machine.iter().copied().filter(reaches).collect();
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    if ips.iter().any(|ip| !ip.is_loopback()) {
        ips.retain(|ip| !ip.is_loopback());
    }
    let url = |ip: IpAddr| match (bound.port(), ip) {
        (443, IpAddr::V4(ip)) => format!("https://{ip}"),
        (443, IpAddr::V6(ip)) => format!("https://[{ip}]"),
        (port, ip) => format!("https://{}", SocketAddr::new(ip, port)),
    };
    ips.into_iter()
        .map(|ip| format!("{}{base}", url(ip)))
        .collect()
}

/// Whether an address needs a zone, which URLs of browsers cannot have.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<IpAddr> {
        let ips = [
            "127.0.0.1",
            "fe80::1",
            "fd00::5",
            "192.168.1.5",
            "203.0.113.9",
        ];
        ips.iter().map(|ip| ip.parse().expect("an ip")).collect()
    }

    fn at(bound: &str) -> Vec<String> {
        urls(
            bound.parse().expect("an address"),
            &BasePath::default(),
            &machine(),
        )
    }

    #[test]
    fn every_private_address_of_the_machine_is_printed_ipv4_first() {
        let expected = ["https://192.168.1.5:8443", "https://[fd00::5]:8443"];
        assert_eq!(at("0.0.0.0:8443"), expected);
        assert_eq!(at("127.0.0.1:8443"), ["https://127.0.0.1:8443"]);
    }

    #[test]
    fn the_default_port_is_left_out() {
        assert_eq!(at("192.168.1.5:443"), ["https://192.168.1.5"]);
        assert_eq!(at("0.0.0.0:443")[1], "https://[fd00::5]");
    }

    #[test]
    fn the_text_has_the_addresses_and_a_code() {
        let text = text(
            "0.0.0.0:8443".parse().expect("an address"),
            &BasePath::parse("/noom").expect("a base path"),
            &machine(),
            "AB:CD",
        );
        assert!(
            text.contains("https://192.168.1.5:8443/noom\n")
                && text.contains("The page /noom/lan tells")
                && text.contains("AB:CD")
                && text.contains('█')
        );
    }
}
