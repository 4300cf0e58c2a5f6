//! A network of this program's own.
//!
//! Janus offers no candidate on loopback, so it needs another address; and who binds to every
//! address should not be reachable from outside. So the program starts itself again in a
//! network namespace that has a loopback and one address of a virtual cable whose ends are
//! both inside, and in which a whole net of addresses is this machine, one for each client.
//! All of that goes through the loopback device, so that all servers are measured on the same
//! way. The namespace ends with the program.

use anyhow::{Context, Result, ensure};
use std::{
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// The address for servers that take no loopback.
pub const ADDRESS: &str = "10.99.0.1";
/// The net of the clients, a /16. Routed to the cable, because Janus answers by that only.
pub const CLIENTS: [u8; 4] = [10, 98, 0, 0];
/// The cli_name that says that this is the second start.
const INSIDE: &str = "--inside";

/// Starts this program again inside, unless it is, then makes the network.
pub fn enter(inside: bool) -> Result<()> {
    if inside {
        return furnish();
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

/// Loopback, and a cable.
fn furnish() -> Result<()> {
    ip("link set lo up")?;
    ip("link add bench0 type veth peer name bench1")?;
    ip(&format!("address add {ADDRESS}/24 dev bench0"))?;
    ip("link set bench0 up")?;
    ip("link set bench1 up")?;
    let clients = Ipv4Addr::from(CLIENTS);
    ip(&format!("route add local {clients}/16 dev bench0"))
}

/// Runs `ip`.
fn ip(words: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    ip.args(words.split(' ')).stdin(Stdio::null());
    let status = ip.status().context("is there `ip`, of iproute2?")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}
