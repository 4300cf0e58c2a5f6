//! The network namespace of this program.
//!
//! Janus offers no candidates on loopback, so it needs another address, and sockets that bind to
//! every address must not be reachable from outside. The program therefore restarts itself in a
//! network namespace with loopback, a veth pair whose ends are both inside, and a local /16 with
//! an address for each client. All traffic passes the loopback device, so every server is measured
//! on the same path. The namespace ends with the program.

use anyhow::{Context, Result, ensure};
use std::{
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// Address of servers that do not use loopback.
pub const ADDRESS: &str = "10.99.0.1";
/// The clients' network, a /16. It is routed to the veth, the only interface that Janus uses.
pub const CLIENTS: [u8; 4] = [10, 98, 0, 0];
/// Marks the restart inside the namespace.
const INSIDE: &str = "--inside";

/// Restarts this program inside a new namespace, or sets up the network if it is inside already.
pub fn enter(inside: bool) -> Result<()> {
    if inside {
        return set_up();
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let error = unshare
        .arg("--")
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg(INSIDE)
        .exec();
    Err(error).context("starting in a network of its own (is there `unshare`, of util-linux?)")
}

/// Sets up loopback, the veth pair and the clients' addresses.
fn set_up() -> Result<()> {
    ip("link set lo up")?;
    ip("link add bench0 type veth peer name bench1")?;
    ip(&format!("address add {ADDRESS}/24 dev bench0"))?;
    ip("link set bench0 up")?;
    ip("link set bench1 up")?;
    let clients = Ipv4Addr::from(CLIENTS);
    ip(&format!("route add local {clients}/16 dev bench0"))
}

/// Runs `ip` with arguments.
fn ip(words: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(words.split(' ')).stdin(Stdio::null());
    let status = ip.status().context("is there `ip`, of iproute2?")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}
