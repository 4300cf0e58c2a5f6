//! The path below which a reverse proxy mounts the server.

use std::{fmt, sync::Arc};

/// Length limit of a base path, in bytes. 100: the address of a room stays below 1,000.
pub const MAX_BASE_PATH_BYTES: usize = 100;

/// First segments of the server's own paths. A base path cannot begin with one of them: where a
/// proxy strips the base path, `/room/team` would have two meanings.
const OWN: [&str; 12] = [
    ".well-known",
    "admin",
    "api",
    "check",
    "healthz",
    "lan",
    "metrics",
    "pkg",
    "poll",
    "readyz",
    "room",
    "ws",
];

/// Where the site begins: empty, or segments such as `/noom` without a slash at the end. Holds
/// unreserved characters only (RFC 3986, 2.3), so that it is the same with and without
/// percent-encoding, and in HTML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BasePath(Option<Arc<str>>);

impl BasePath {
    /// Parses a base path. An empty text and `/` are the root of the host.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text == "/" {
            return Some(Self::default());
        }
        let segments = text.strip_prefix('/')?;
        let is_own = segments.split('/').next().is_some_and(is_own);
        let fits = text.len() <= MAX_BASE_PATH_BYTES && segments.split('/').all(is_segment);
        (fits && !is_own).then(|| Self(Some(text.into())))
    }

    /// The base path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether the site begins at the root of the host.
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The address of a path of the site, which begins with `/`.
    pub fn address(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The rest of a path below the base path, which begins with `/`; empty for the base path
    /// itself, `None` for a path that is not below it.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a segment is the first one of a path of the server, in any case.
fn is_own(segment: &str) -> bool {
    OWN.iter().any(|own| own.eq_ignore_ascii_case(segment))
}

/// Whether a segment has unreserved characters only, and a browser does not resolve it away.
fn is_segment(segment: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    !segment.is_empty() && segment.bytes().all(unreserved) && segment != "." && segment != ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base(text: &str) -> BasePath {
        BasePath::parse(text).expect("a base path")
    }

    #[test]
    fn a_base_path_is_segments_of_unreserved_characters() {
        for text in ["/noom", "/a/b.c/~d-e_f", "/Noom", "/rooms", "/..noom"] {
            assert_eq!(base(text).as_str(), text);
        }
        for root in ["", "/"] {
            assert!(base(root).is_root() && base(root).as_str().is_empty());
        }
        let long = format!("/{}", "a".repeat(MAX_BASE_PATH_BYTES));
        for text in [
            "noom",
            "/noom/",
            "//",
            "//noom",
            "/a//b",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%6eoom",
            "/no om",
            "/\u{d68c}\u{c758}",
            "/a?b",
            "/a#b",
            "/a;b",
            "/a\"b",
            "/a\\b",
            "https://meet.example/noom",
            &long,
        ] {
            assert_eq!(BasePath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_base_path_does_not_begin_with_a_path_of_the_server() {
        for own in ["/room", "/room/a", "/ADMIN", "/ws", "/pkg/x", "/healthz"] {
            assert_eq!(BasePath::parse(own), None, "{own}");
        }
        assert!(BasePath::parse("/meet/room").is_some());
    }

    #[test]
    fn only_whole_segments_of_a_path_are_the_base_path() {
        let noom = base("/noom");
        assert_eq!(noom.strip("/noom/room/a"), Some("/room/a"));
        assert_eq!(noom.strip("/noom/"), Some("/"));
        assert_eq!(noom.strip("/noom"), Some(""));
        for other in ["/", "/noomx", "/noo", "/Noom/", "/room/noom", "//noom/"] {
            assert_eq!(noom.strip(other), None, "{other}");
        }
        assert_eq!(base("").strip("/room/a"), Some("/room/a"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_not_and_an_address_leads_back_to_its_path(text in ".{0,120}") {
            if let Some(base) = BasePath::parse(&text) {
                let address = base.address("/room/a");
                prop_assert!(address.parse::<http::Uri>().is_ok());
                prop_assert_eq!(base.strip(&address), Some("/room/a"));
            }
        }
    }
}
