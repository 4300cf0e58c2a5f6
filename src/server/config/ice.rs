//! Parser of the STUN and TURN servers in the settings.

use crate::protocol::IceServer;

/// Description of the accepted values, for errors.
pub const ACCEPTED: &str = "stun:host[:port], turn:user:password@host[:port] or turns:…, comma \
                            separated, or a JSON array of {urls, username, credential}";
/// URI schemes of RFC 7064 (STUN) and RFC 7065 (TURN).
const SCHEMES: [&str; 4] = ["stun:", "stuns:", "turn:", "turns:"];

/// A server in the JSON form; `urls` is a string or an array (W3C WebRTC, `RTCIceServer`).
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonServer {
    /// One URL or several.
    urls: Urls,
    /// Username of a TURN server.
    username: Option<String>,
    /// Credential of a TURN server.
    credential: Option<String>,
}

/// One URL or several.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Many(Vec<String>),
}

/// Parses the setting.
///
/// # Errors
/// The rejected part, without any password.
pub fn parse(text: &str) -> Result<Vec<IceServer>, String> {
    let text = text.trim();
    if text.starts_with('[') {
        return parse_json(text);
    }
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words
        .map(|word| parse_word(word).ok_or_else(|| masked(word)))
        .collect()
}

/// The value of the setting with each credential replaced by `…`; as it is if it has none.
pub fn without_credentials(text: &str) -> String {
    const MASK: &str = "…";
    let Ok(mut servers) = parse(text) else {
        return MASK.to_owned();
    };
    let credentials = servers.iter_mut().filter_map(|it| it.credential.as_mut());
    let masked = credentials
        .map(|credential| MASK.clone_into(credential))
        .count();
    match masked {
        0 => text.to_owned(),
        _ => serde_json::to_string(&servers).unwrap_or_else(|_| MASK.to_owned()),
    }
}

/// Parses the JSON form.
fn parse_json(text: &str) -> Result<Vec<IceServer>, String> {
    let servers: Vec<JsonServer> = serde_json::from_str(text).map_err(|_| "[…]".to_owned())?;
    let servers = servers.into_iter().map(|server| {
        let urls = match server.urls {
            Urls::One(url) => vec![url],
            Urls::Many(urls) => urls,
        };
        if let Some(url) = urls.iter().find(|url| !is_url(url) || url.contains('@')) {
            return Err(masked(url));
        }
        Ok(IceServer {
            urls,
            username: server.username,
            credential: server.credential,
        })
    });
    servers.collect()
}

/// Parses one URL, with optional credentials before `@`.
fn parse_word(word: &str) -> Option<IceServer> {
    let scheme = SCHEMES
        .into_iter()
        .find(|scheme| word.starts_with(scheme))?;
    let rest = &word[scheme.len()..];
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials.split_once(':')?), host),
        None => (None, rest),
    };
    let url = format!("{scheme}{host}");
    is_url(&url).then(|| IceServer {
        urls: vec![url],
        username: credentials.map(|(user, _)| user.to_owned()),
        credential: credentials.map(|(_, password)| password.to_owned()),
    })
}

/// Whether the text is a known scheme and the characters of a host.
fn is_url(url: &str) -> bool {
    let host = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]?=@".contains(c);
    host.is_some_and(|host| !host.is_empty() && host.chars().all(allowed))
}

/// Removes everything before `@`, so that errors show no credentials.
fn masked(word: &str) -> String {
    match word.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => word.to_owned(),
    }
}
