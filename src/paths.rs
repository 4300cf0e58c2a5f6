//! The addresses of this site, for links, forms, files and requests.
//!
//! Code names what the site has by paths from its root, such as `/room/team`. A server that is
//! mounted below a path (`--base-path /noom`) has them at `/noom/room/team`, and this module alone
//! adds the base path. The server's pages without script of their own, which have no reactive
//! context, use `server/base_path.rs` directly.

use leptos_router::NavigateOptions;

#[cfg(feature = "ssr")]
use {
    crate::server::{BasePath, request},
    leptos::prelude::{provide_context, use_context},
};

/// Reads the base path from the request, once per page.
#[cfg(feature = "ssr")]
pub fn provide_base_path() {
    provide_context(request::base_path());
}

/// The base path; empty, or as `/noom`.
#[cfg(feature = "ssr")]
pub fn base() -> BasePath {
    use_context::<BasePath>().unwrap_or_default()
}

/// The base path; empty, or as `/noom`. Server functions are called below it, too.
#[cfg(not(feature = "ssr"))]
pub fn base() -> &'static str {
    leptos::server_fn::client::get_server_url()
}

/// The address of a path of this site, which begins with `/`.
pub fn address(path: &str) -> String {
    #[cfg(feature = "ssr")]
    return base().address(path);
    #[cfg(not(feature = "ssr"))]
    [base(), path].concat()
}

/// The base path of the router. The server's router sees paths without it.
pub fn router_base() -> &'static str {
    #[cfg(feature = "ssr")]
    return "";
    #[cfg(not(feature = "ssr"))]
    base()
}

/// The path of this site that the router's location has.
pub fn path_of(location: &str) -> &str {
    location.strip_prefix(router_base()).unwrap_or_default()
}

/// Options of a navigation to an [`address`]: the router would add the base path again.
pub fn to_address() -> NavigateOptions {
    NavigateOptions {
        resolve: false,
        ..NavigateOptions::default()
    }
}
