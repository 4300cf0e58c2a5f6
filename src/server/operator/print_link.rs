//! Prints the one-time link while there is no operator.

use crate::server::context::AppContext;
use std::{
    io::{IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Instant,
};

/// Prints a link at the start without an operator, and after each reset, until the server stops.
/// `listen` is the bound address.
pub async fn run(context: AppContext, listen: SocketAddr) {
    let mut stopping = context.stopping.clone();
    let watch = async {
        // How often the operator had been removed when the last link was printed.
        let mut printed_at = None;
        loop {
            match context.store.operator(None).await {
                Ok(state) if state.exists => {
                    context.operator.link.end();
                    printed_at = Some(state.resets);
                }
                Ok(state) if printed_at != Some(state.resets) => {
                    print(&context, listen);
                    printed_at = Some(state.resets);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the operator is looked up later"),
            }
            tokio::time::sleep(context.timing.operator_interval).await;
        }
    };
    tokio::select! {
        () = watch => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// Makes a link and prints it.
fn print(context: &AppContext, listen: SocketAddr) {
    let lifetime = context.timing.setup_link;
    let secret = context.operator.link.issue(Instant::now(), lifetime);
    let public = context.config.public_url.as_ref();
    let scheme = if context.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let base = public.map_or_else(|| local_url(scheme, listen), ToString::to_string);
    let path = format!("/admin/setup?token={secret}");
    let link = format!("{base}{}", context.config.base_path.address(&path));
    let minutes = lifetime.as_secs() / 60;
    tracing::warn!("there is no operator yet; become it within {minutes} minutes: {link}");
    if std::io::stdout().is_terminal() {
        let line = format!("Become the operator within {minutes} minutes: {link}");
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// The address by which this machine reaches the listener.
fn local_url(scheme: &str, listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_leads_to_this_machine_where_the_server_listens_on_every_address() {
        let url = |listen: &str| local_url("http", listen.parse().expect("an address"));
        assert_eq!(url("0.0.0.0:3000"), "http://127.0.0.1:3000");
        assert_eq!(url("[::]:3000"), "http://[::1]:3000");
        assert_eq!(url("192.0.2.1:80"), "http://192.0.2.1:80");
    }
}
