//! Listening sockets that serve IPv4 and IPv6.
//!
//! An unspecified address (`0.0.0.0` or `::`) means every address of the machine, of both
//! families. Media and TURN use one dual-stack socket, which reports IPv4 sources as IPv4-mapped
//! addresses (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2); the reader unmaps them. HTTP uses two
//! sockets, because loopback has one address in each family.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

/// Connections in the accept queue of the kernel. 1024, as in tokio; the kernel may allow fewer.
const BACKLOG: i32 = 1024;

/// Which address families a socket serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 and IPv6, on one dual-stack socket.
    Both,
    /// IPv4, on one socket.
    V4,
    /// IPv6, on one IPv6-only socket.
    V6,
}

impl Families {
    /// The family of one address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Whether a socket of these families serves the family of this address.
    pub fn serve(self, ip: IpAddr) -> bool {
        self == Self::Both || self == Self::of(ip)
    }

    /// The address that a socket of these families binds to serve `address`.
    fn address(self, address: SocketAddr) -> SocketAddr {
        match self {
            Self::Both => (Ipv6Addr::UNSPECIFIED, address.port()).into(),
            Self::V4 | Self::V6 => address,
        }
    }
}

/// Binds a socket for `address`, of both families if `address` is unspecified, otherwise of its own
/// family. If only one of both families can be bound, that one is served and a log line names
/// `setting`. On a machine without IPv6, `::` binds IPv4.
///
/// # Errors
/// The address itself cannot be bound.
pub fn bind<T>(
    setting: &'static str,
    address: SocketAddr,
    mut bind: impl FnMut(SocketAddr, Families) -> io::Result<T>,
) -> io::Result<(T, Families)> {
    let address = unmapped(address);
    let own = Families::of(address.ip());
    let both = Families::Both;
    if address.ip().is_unspecified() {
        match bind(both.address(address), both) {
            Ok(bound) => return Ok((bound, both)),
            Err(error) => {
                let bound = bind_one(address, &mut bind)?;
                log_single_family(setting, address, &error);
                return Ok(bound);
            }
        }
    }
    Ok((bind(address, own)?, own))
}

/// Binds this address, or `0.0.0.0` for `::` on a machine without IPv6.
fn bind_one<T>(
    address: SocketAddr,
    bind: &mut impl FnMut(SocketAddr, Families) -> io::Result<T>,
) -> io::Result<(T, Families)> {
    let own = Families::of(address.ip());
    match bind(address, own) {
        Ok(bound) => Ok((bound, own)),
        Err(error)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            let four = (Ipv4Addr::UNSPECIFIED, address.port()).into();
            Ok((bind(four, Families::V4)?, Families::V4))
        }
        Err(error) => Err(error),
    }
}

/// Converts an IPv4-mapped address to IPv4, because an IPv6-only socket cannot bind it. Other
/// addresses keep their zone.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

/// Logs that one family is not served. If another process uses the port, the line is a warning,
/// because the operator can change that.
fn log_single_family(setting: &'static str, address: SocketAddr, error: &io::Error) {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => tracing::warn!(
            setting,
            port,
            "another process has this port on the other address family; one family is served"
        ),
        _ => tracing::info!(setting, port, %error, "one address family is served"),
    }
}

/// Binds a non-blocking UDP socket.
///
/// # Errors
/// The port is in use, or the address is not of this machine.
pub fn udp(address: SocketAddr, families: Families) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    restrict(&socket, address, families)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Binds a non-blocking TCP listener.
///
/// # Errors
/// The port is in use, or the address is not of this machine.
pub fn tcp(address: SocketAddr, families: Families) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    restrict(&socket, address, families)?;
    // A restart binds while connections of the previous process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets whether an IPv6 socket also serves IPv4, whatever the default of the system is.
fn restrict(socket: &Socket, address: SocketAddr, families: Families) -> io::Result<()> {
    match address {
        SocketAddr::V6(_) => socket.set_only_v6(families != Families::Both),
        SocketAddr::V4(_) => Ok(()),
    }
}

/// The unspecified address or loopback of the other family. `None` for other addresses.
/// `localhost` resolves to loopback of both families.
pub fn counterpart(address: SocketAddr) -> Option<SocketAddr> {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv6Addr::UNSPECIFIED.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V4(Ipv4Addr::LOCALHOST) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some(SocketAddr::new(ip, address.port()))
}

/// Binds listeners for `address` and its [`counterpart`]. A failure of the latter is logged.
///
/// # Errors
/// The address itself cannot be bound.
pub fn tcp_pair(
    setting: &'static str,
    address: SocketAddr,
) -> io::Result<(TcpListener, Option<TcpListener>)> {
    pair(setting, address, tcp)
}

/// [`tcp_pair`] with the function that binds one listener.
fn pair(
    setting: &'static str,
    address: SocketAddr,
    mut bind: impl FnMut(SocketAddr, Families) -> io::Result<TcpListener>,
) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let (listener, _) = bind_one(unmapped(address), &mut bind)?;
    let bound = listener.local_addr()?;
    let other = counterpart(bound).and_then(|other| {
        let listener = bind(other, Families::of(other.ip()));
        listener
            .inspect_err(|error| log_single_family(setting, bound, error))
            .ok()
    });
    Ok((listener, other))
}

/// An address in canonical form. A dual-stack socket reports IPv4 addresses as IPv4-mapped ones.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Whether this machine has IPv6.
    fn has_ipv6() -> bool {
        UdpSocket::bind("[::1]:0").is_ok()
    }

    #[test]
    fn an_unspecified_address_of_either_family_serves_both() {
        if !has_ipv6() {
            crate::tests::harness::skipped("this machine has no IPv6");
            return;
        }
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let (socket, families) = bind("--test", address(listen), udp).expect("binds");
            assert_eq!(families, Families::Both, "{listen}");
            let port = socket.local_addr().expect("bound").port();
            for client in ["127.0.0.1:0", "[::1]:0"] {
                let client = UdpSocket::bind(client).expect("binds");
                let own = client.local_addr().expect("bound");
                let to = SocketAddr::new(own.ip(), port);
                client.send_to(b"x", to).expect("sent");
                socket.set_nonblocking(false).expect("blocks");
                let timeout = Some(std::time::Duration::from_secs(5));
                socket.set_read_timeout(timeout).expect("sets");
                let (_, source) = socket.recv_from(&mut [0; 8]).expect("arrives");
                assert_eq!(canonical(source), own, "{listen}");
            }
        }
    }

    /// An IPv6-only listener at this address, and its port, which is free in IPv4.
    fn bind_ipv6_only(ip: Ipv6Addr) -> (TcpListener, u16) {
        for _ in 0..20 {
            let others = tcp((ip, 0).into(), Families::V6).expect("binds");
            let port = others.local_addr().expect("bound").port();
            if TcpListener::bind(("0.0.0.0", port)).is_ok() {
                return (others, port);
            }
        }
        panic!("no port is free in IPv4");
    }

    #[test]
    fn a_port_that_another_process_has_on_one_family_is_served_on_the_other() {
        if !has_ipv6() {
            crate::tests::harness::skipped("this machine has no IPv6");
            return;
        }
        let (_others, port) = bind_ipv6_only(Ipv6Addr::UNSPECIFIED);
        let listen = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let (_ours, families) = bind("--test", listen, tcp).expect("binds");
        assert_eq!(families, Families::V4);
        assert!(bind("--test", listen, tcp).is_err(), "taken on both");
        let (_others, port) = bind_ipv6_only(Ipv6Addr::LOCALHOST);
        let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let (_ours, six) = tcp_pair("--test", listen).expect("binds");
        assert!(six.is_none());
    }

    #[test]
    fn every_address_is_every_ipv4_address_on_a_machine_without_ipv6() {
        let without_ipv6 = |address: SocketAddr, families| match address.is_ipv6() {
            // EAFNOSUPPORT, the error of socket(2) on Linux without IPv6.
            true => Err(io::Error::from_raw_os_error(97)),
            false => tcp(address, families),
        };
        for listen in ["[::]:0", "0.0.0.0:0"] {
            let (bound, families) = bind("--test", address(listen), without_ipv6).expect("binds");
            assert_eq!(families, Families::V4, "{listen}");
            assert!(bound.local_addr().expect("bound").is_ipv4(), "{listen}");
            let (first, other) = pair("--test", address(listen), without_ipv6).expect("binds");
            assert!(first.local_addr().expect("bound").is_ipv4(), "{listen}");
            assert!(other.is_none(), "{listen}");
        }
        assert!(bind("--test", address("[::1]:0"), without_ipv6).is_err());
        let taken = |_, _| Err::<(), _>(io::ErrorKind::AddrInUse.into());
        assert!(bind("--test", address("[::]:0"), taken).is_err());
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped = address("[::ffff:127.0.0.1]:0");
        let (bound, families) = bind("--test", mapped, tcp).expect("binds");
        assert_eq!(families, Families::V4);
        assert!(bound.local_addr().expect("bound").is_ipv4());
        let (first, _) = tcp_pair("--test", mapped).expect("binds");
        let bound = first.local_addr().expect("bound");
        assert_eq!(bound.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn loopback_binds_both_families_and_another_address_only_its_own() {
        let (four, six) = tcp_pair("--test", address("127.0.0.1:0")).expect("binds");
        let port = four.local_addr().expect("bound").port();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        if has_ipv6() {
            let six = six.expect("a second listener");
            let address = six.local_addr().expect("bound");
            assert_eq!(address, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
            assert!(TcpStream::connect(address).is_ok());
        }
        for alone in ["127.0.0.2:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
            assert_eq!(counterpart(address(alone)), None, "{alone}");
        }
    }
}
