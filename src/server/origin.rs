//! Web origins (RFC 6454) of settings and of requests.

/// Scheme, host and port of a site (RFC 6454), in lower case and without the default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether the scheme is `https`.
    https: bool,
    /// Host, and the port unless it is the scheme's default.
    authority: String,
}

impl Origin {
    /// Parses `http(s)://host[:port]`. A path is an error.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = normalize(authority, https)?;
        Some(Self { https, authority })
    }

    /// The host, without the port.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether a `Host` header names the same host and port.
    pub fn matches_host(&self, host: &str) -> bool {
        normalize(host, self.https).is_some_and(|host| host == self.authority)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// `host[:port]` in lower case without the scheme's default port; `None` if it is malformed.
fn normalize(authority: &str, https: bool) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if authority.is_empty() || !authority.chars().all(allowed) {
        return None;
    }
    let parsed: http::uri::Authority = authority.to_ascii_lowercase().parse().ok()?;
    if parsed.host().is_empty() || (parsed.port().is_some() && parsed.port_u16().is_none()) {
        return None;
    }
    let own_port = if https { 443 } else { 80 };
    Some(match parsed.port_u16() {
        Some(port) if port != own_port => format!("{}:{port}", parsed.host()),
        _ => parsed.host().to_owned(),
    })
}
