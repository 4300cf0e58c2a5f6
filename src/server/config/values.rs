//! Parsers of the values of settings, each with a description of the accepted values.

use super::{
    ConfigError, FileLayer, Retention, RetentionLimits, ice,
    layers::{Layers, Value},
    retention,
};
use crate::{
    protocol::IceServer,
    server::{
        BasePath, MAX_BASE_PATH_BYTES,
        addresses::{InterfaceFilter, MAX_ADDRESSES, MAX_FILTER_WORDS, MediaHost, public_address},
        net::{RequestKind, RequestRateLimits, TotalRateLimits, TrustedProxies},
        origin::Origin,
        store::{Quota, Rights, StoreOptions},
        tls::{AcmeOptions, CertificateFiles, CertificateName, TlsMode},
    },
};
use ipnet::IpNet;
use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tracing_subscriber::EnvFilter;

/// Description of the accepted addresses, for errors.
const ADDRESS: &str = "an address as IP:port, for example 127.0.0.1:3000";

/// Bytes that `--max-file-size` may be.
const FILE_SIZES: RangeInclusive<u64> = 1..=1024 * 1024 * 1024;

/// Upper bound of quotas, in bytes. A petabyte: more than SQLite holds.
const MAX_BYTES: u64 = 1_000_000_000_000_000;

/// Upper bound of the number of stored rooms.
const MAX_STORED_ROOMS: u64 = 100_000_000;

/// How long a room without messages may be kept. 2 min: somebody whose connection was lost is
/// expected back for as long.
const FORGET_TIMES: RangeInclusive<Duration> =
    Duration::from_secs(2 * 60)..=Duration::from_secs(365 * 24 * 60 * 60);

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// The public origin of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Origin);

impl PublicUrl {
    /// Parses an origin; a trailing `/` is accepted, a path is not.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Origin::parse(text.strip_suffix('/').unwrap_or(text)).map(Self)
    }

    /// The value that the `Origin` header must equal.
    pub fn origin(&self) -> &Origin {
        &self.0
    }

    /// The host without the port.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.0.is_https()
    }
}

impl Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// TURN over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnTls {
    /// Address of the TLS listener.
    pub listen: SocketAddr,
    /// The certificate and its key; `None` for the certificate of the HTTP address.
    pub files: Option<CertificateFiles>,
}

/// Plain HTTP beside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpListen {
    /// Address of the listener.
    pub address: SocketAddr,
    /// Whether the operator chose it. The default may be taken by another program.
    pub is_default: bool,
}

/// Names of one certificate. 32: authorities accept up to 100.
const MAX_DOMAINS: usize = 32;
/// Length limit of a DNS name, in bytes (RFC 1035, 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// Address of the HTTP listener with a certificate of a public authority.
const HTTPS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 443);
/// Address of plain HTTP beside it.
const HTTP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80);

/// A DNS name that an authority signs for: labels of letters, digits and hyphens, in lower case.
fn domain(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        let letters = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len())
            && letters
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = name.len() <= MAX_DOMAIN_BYTES
        && name.split('.').all(is_label)
        && name.parse::<IpAddr>().is_err();
    fits.then_some(name)
}

/// Whether the text is one address of mail that fits into a URL (RFC 6068).
fn is_email(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".!#$&'*+-/=^_`{|}~".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(is_plain);
    text.len() <= 254
        && text
            .split_once('@')
            .is_some_and(|(local, host)| part(local) && part(host) && host.contains('.'))
}

impl Layers {
    /// Parses the value of a setting that has a default.
    fn parse<T>(
        &self,
        name: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let value = self.get(name);
        parse(value.value.trim()).ok_or_else(|| value.reject(accepted))
    }

    /// Parses a number of `unit` within a range.
    pub fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
        unit: &str,
    ) -> Result<T, ConfigError> {
        let (least, most) = (range.start(), range.end());
        let accepted = format!("a number of {unit} from {least} to {most}");
        self.number_or_zero(name, range, &accepted)
    }

    /// Parses a number within a range that gives 0 a special meaning, which `accepted` describes.
    fn number_or_zero<T: FromStr + PartialOrd>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
        accepted: &str,
    ) -> Result<T, ConfigError> {
        let number = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parse(name, accepted, number)
    }

    /// Parses `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<bool, ConfigError> {
        self.parse(name, "true or false", |text| text.parse().ok())
    }

    /// Parses an address with a port.
    pub fn address(&self, name: &str) -> Result<SocketAddr, ConfigError> {
        self.parse(name, ADDRESS, |text| text.parse().ok())
    }

    /// The HTTP address. cargo-leptos sets another variable, which replaces the default.
    pub fn listen(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        tls: Option<&TlsMode>,
    ) -> Result<SocketAddr, ConfigError> {
        let leptos = env("LEPTOS_SITE_ADDR").filter(|value| !value.trim().is_empty());
        let is_default = self.get("listen").is_default;
        let Some(value) = leptos.filter(|_| is_default) else {
            let by_acme = matches!(tls, Some(TlsMode::Acme(_)));
            return match is_default && by_acme {
                true => Ok(HTTPS_LISTEN),
                false => self.address("listen"),
            };
        };
        let value = Value {
            origin: "LEPTOS_SITE_ADDR".to_owned(),
            value,
            is_default: false,
        };
        value
            .value
            .trim()
            .parse()
            .map_err(|_| value.reject(ADDRESS))
    }

    /// The directory of the database.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(&self.get("data-dir").value)
    }

    /// The path of a file without a default.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.find(name).map(|value| PathBuf::from(&value.value))
    }

    /// The number of media threads; by default one per core, except for one core.
    pub fn media_threads(&self) -> Result<usize, ConfigError> {
        match self.find("media-threads") {
            Some(_) => self.number("media-threads", 1..=64, "threads"),
            None => Ok(default_media_threads()),
        }
    }

    /// The addresses by which browsers reach this machine's media ports.
    pub fn media_ip(&self) -> Result<Vec<MediaHost>, ConfigError> {
        let Some(value) = self.find("media-ip") else {
            let given = self.find("public-ip");
            let given = given.filter(|_| self.find("media-interfaces").is_none());
            let given = given.filter(|value| value.value.trim() != "auto");
            let host = given.and_then(|value| MediaHost::parse(value.value.trim()));
            return Ok(host.into_iter().collect());
        };
        let accepted = format!(
            "up to {MAX_ADDRESSES} IP addresses or host names, each with an outer port or \
             without, comma separated, for example 203.0.113.7:40000"
        );
        let refused = |word| value.reject_part(word, &accepted);
        let hosts = value.words().enumerate().map(|(number, word)| {
            let host = MediaHost::parse(word).filter(|_| number < MAX_ADDRESSES);
            host.ok_or_else(|| refused(word))
        });
        hosts.collect()
    }

    /// The interfaces whose addresses become ICE candidates.
    pub fn media_interfaces(&self) -> Result<InterfaceFilter, ConfigError> {
        let Some(value) = self.find("media-interfaces") else {
            return Ok(InterfaceFilter::default());
        };
        let accepted = format!(
            "up to {MAX_FILTER_WORDS} interface names, addresses or networks, comma separated, \
             a ! before those to leave out, for example eth0,!docker0,!172.17.0.0/16"
        );
        InterfaceFilter::parse(value.words()).map_err(|word| value.reject_part(word, &accepted))
    }

    /// The proxies whose forwarding headers are trusted.
    pub fn trusted_proxies(&self) -> Result<TrustedProxies, ConfigError> {
        let Some(value) = self.find("trusted-proxies") else {
            return Ok(TrustedProxies::default());
        };
        let accepted = "IP addresses or networks such as 10.0.0.0/8, comma separated";
        let network = |word: &str| match word.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address.to_canonical())),
            Err(_) => word.parse().ok(),
        };
        let words = value.value.split(',').map(str::trim);
        let networks = words
            .filter(|word| !word.is_empty())
            .map(|word| network(word).ok_or_else(|| value.reject_part(word, accepted)));
        Ok(TrustedProxies::new(networks.collect::<Result<_, _>>()?))
    }

    /// The request rates of one address.
    pub fn address_rates(&self) -> Result<RequestRateLimits, ConfigError> {
        let value = self.get("address-rates");
        let rates = RequestRateLimits::parse(&value.value, self.profile);
        rates.map_err(|word| reject_rate(value, word, ""))
    }

    /// The request rates of all addresses together.
    pub fn total_rates(&self) -> Result<TotalRateLimits, ConfigError> {
        let value = self.get("total-rates");
        let rates = TotalRateLimits::parse(&value.value, self.profile);
        rates.map_err(|word| reject_rate(value, word, " or kind=off"))
    }

    /// The public origin of the server.
    pub fn public_url(&self) -> Result<Option<PublicUrl>, ConfigError> {
        let accepted = "an origin without a path, for example https://meet.example.org; a path is \
                        --base-path";
        let url = self.find("public-url").map(|value| {
            let url = PublicUrl::parse(&value.value);
            url.ok_or_else(|| value.reject(accepted))
        });
        url.transpose()
    }

    /// Where the site begins on its host.
    pub fn base_path(&self) -> Result<BasePath, ConfigError> {
        let Some(value) = self.find("base-path") else {
            return Ok(BasePath::default());
        };
        let accepted = format!(
            "a path of up to {MAX_BASE_PATH_BYTES} letters, digits and -._~ that begins with /, \
             does not end with it, and does not begin with a path of Noom such as /room, for \
             example /noom"
        );
        BasePath::parse(value.value.trim()).ok_or_else(|| value.reject(&accepted))
    }

    /// The names of this server.
    pub fn domains(&self) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.find("domain") else {
            return Ok(Vec::new());
        };
        let accepted = format!(
            "up to {MAX_DOMAINS} DNS names, comma separated, for example meet.example.org; for an \
             address use --public-ip"
        );
        let mut names: Vec<String> = Vec::new();
        for word in value.words() {
            let name = domain(word).filter(|_| names.len() < MAX_DOMAINS);
            let name = name.ok_or_else(|| value.reject_part(word, &accepted))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The public address of a server without a domain.
    fn public_ip(&self) -> Result<Option<IpAddr>, ConfigError> {
        let Some(value) = self.find("public-ip") else {
            return Ok(None);
        };
        if value.value.trim() == "auto" {
            let accepted = "the public address: no interface of this machine has one";
            return match public_address() {
                Some(ip) => Ok(Some(ip)),
                None => Err(value.reject(accepted)),
            };
        }
        let ip = value.value.trim().parse::<IpAddr>();
        let ip = ip.map_err(|_| value.reject("an IP address, or auto"))?;
        Ok(Some(ip.to_canonical()))
    }

    /// TLS of the HTTP address. `domains` are the names of this server.
    pub fn tls(&self, domains: &[String]) -> Result<Option<TlsMode>, ConfigError> {
        let names = domains.iter().cloned().map(CertificateName::Dns);
        let address = self.public_ip()?.map(CertificateName::Ip);
        let names: Vec<_> = names.chain(address).collect();
        let Some(value) = self.find("tls") else {
            return Ok(match names.is_empty() {
                true => None,
                false => Some(TlsMode::Acme(self.acme(names)?)),
            });
        };
        let words: Vec<_> = value.value.split(',').map(str::trim).collect();
        match words[..] {
            ["off"] => Ok(None),
            ["self-signed"] => Ok(Some(TlsMode::SelfSigned)),
            [certificate, key] if !certificate.is_empty() && !key.is_empty() => {
                Ok(Some(TlsMode::Files(CertificateFiles {
                    settings: ["--tls", "--tls"],
                    certificate: PathBuf::from(certificate),
                    key: PathBuf::from(key),
                })))
            }
            _ => Err(value.reject("off, self-signed, or two PEM files as CERT,KEY")),
        }
    }

    /// What is ordered from a public authority.
    fn acme(&self, names: Vec<CertificateName>) -> Result<AcmeOptions, ConfigError> {
        let directory = self.get("acme-directory");
        let is_https = directory
            .value
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.authority().is_some());
        if !is_https {
            return Err(directory.reject("an https URL of an ACME directory"));
        }
        let email = self.find("acme-email");
        if let Some(email) = email
            && !is_email(email.value.trim())
        {
            return Err(email.reject("one e-mail address"));
        }
        Ok(AcmeOptions {
            names,
            directory: directory.value.clone(),
            email: email.map(|email| email.value.trim().to_owned()),
            ca_file: self.path("acme-ca-file"),
        })
    }

    /// Plain HTTP beside TLS.
    pub fn http_listen(&self, tls: Option<&TlsMode>) -> Result<Option<HttpListen>, ConfigError> {
        let Some(value) = self.find("http-listen") else {
            let by_acme = matches!(tls, Some(TlsMode::Acme(_)));
            return Ok(by_acme.then_some(HttpListen {
                address: HTTP_LISTEN,
                is_default: true,
            }));
        };
        let address = self.address_or_off("http-listen")?;
        if address.is_some() && tls.is_none() {
            return Err(value.reject("off without TLS: --listen is plain HTTP then"));
        }
        Ok(address.map(|address| HttpListen {
            address,
            is_default: false,
        }))
    }

    /// TURN over TLS: with a certificate and its key, or with that of the HTTP address.
    pub fn turn_tls(&self, tls: Option<&TlsMode>) -> Result<Option<TurnTls>, ConfigError> {
        let listen = self.address("turn-tls-listen")?;
        let (certificate, key) = (self.find("turn-tls-cert"), self.find("turn-tls-key"));
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(TurnTls {
                listen,
                files: Some(CertificateFiles {
                    settings: ["--turn-tls-cert", "--turn-tls-key"],
                    certificate: PathBuf::from(&certificate.value),
                    key: PathBuf::from(&key.value),
                }),
            })),
            (None, None) => {
                let own = TurnTls {
                    listen,
                    files: None,
                };
                Ok(tls.map(|_| own))
            }
            (Some(alone), None) => Err(alone.reject("a certificate together with --turn-tls-key")),
            (None, Some(alone)) => Err(alone.reject("a key together with --turn-tls-cert")),
        }
    }

    /// Parses an address with a port, or `off`.
    pub fn address_or_off(&self, name: &str) -> Result<Option<SocketAddr>, ConfigError> {
        let accepted = "an address as IP:port, or off";
        let parse = |text: &str| match text {
            "off" => Some(None),
            text => text.parse().ok().map(Some),
        };
        self.parse(name, accepted, parse)
    }

    /// The STUN and TURN servers for browsers. Errors never show a password.
    pub fn ice_servers(&self) -> Result<Arc<[IceServer]>, ConfigError> {
        let Some(value) = self.find("ice-servers") else {
            return Ok(Arc::default());
        };
        let servers = ice::parse(&value.value);
        servers
            .map(Into::into)
            .map_err(|part| value.reject_part(&part, ice::ACCEPTED))
    }

    /// The filter of log lines, as tracing directives.
    pub fn log(&self) -> Result<String, ConfigError> {
        let accepted = "a level (error, warn, info, debug, trace) or tracing directives";
        let parse = |text: &str| EnvFilter::try_new(text).ok().map(|_| text.to_owned());
        self.parse("log", accepted, parse)
    }

    /// The format of log lines.
    pub fn log_format(&self) -> Result<LogFormat, ConfigError> {
        let parse = |text: &str| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        };
        self.parse("log-format", "text or json", parse)
    }

    /// A setting that is on or off.
    pub fn on_or_off(&self, setting: &'static str) -> Result<bool, ConfigError> {
        let parse = |text: &str| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        self.parse(setting, "on or off", parse)
    }

    /// The access rights of the data directory.
    fn data_dir_rights(&self) -> Result<Rights, ConfigError> {
        let parse = |text: &str| match text {
            "private" => Some(Rights::Private),
            "any" => Some(Rights::Any),
            _ => None,
        };
        self.parse("data-dir-rights", "private or any", parse)
    }

    /// The options of the store.
    pub fn store(&self) -> Result<StoreOptions, ConfigError> {
        Ok(StoreOptions {
            rights: self.data_dir_rights()?,
            quota: self.quota()?,
            max_file_bytes: self.max_file_size()?,
        })
    }

    /// Bytes of a file; 0 for `off`.
    fn max_file_size(&self) -> Result<u64, ConfigError> {
        let parse = |text: &str| match text {
            "off" => Some(0),
            text => text.parse().ok().filter(|size| FILE_SIZES.contains(size)),
        };
        let accepted = "a number of bytes from 1 to 1073741824, or off";
        self.parse("max-file-size", accepted, parse)
    }

    /// The quota of the store.
    fn quota(&self) -> Result<Quota, ConfigError> {
        let accepted = "a number of bytes from 0 to 1000000000000000; 0 is no bound";
        let bytes = |name| self.number_or_zero(name, 0..=MAX_BYTES, accepted);
        Ok(Quota {
            room_bytes: bytes("room-bytes")?,
            history_bytes: bytes("history-bytes")?,
            disk_reserve: bytes("disk-reserve")?,
            room_file_bytes: bytes("room-file-bytes")?,
            file_bytes: bytes("file-bytes")?,
            stored_rooms: self.number_or_zero(
                "stored-rooms",
                0..=MAX_STORED_ROOMS,
                "a number of rooms from 0 to 100000000; 0 is no bound",
            )?,
        })
    }

    /// The retention of messages: the defaults of the server, and the rules of single rooms.
    pub fn retention(&self, file: &FileLayer) -> Result<Retention, ConfigError> {
        let (days, messages) = (0..=retention::MAX_DAYS, 0..=retention::MAX_MESSAGES);
        let defaults = RetentionLimits {
            days: self.number_or_zero("keep-days", days, retention::DAYS)?,
            messages: self.number_or_zero("keep-messages", messages, retention::MESSAGES)?,
        };
        let rooms = file.rooms.iter();
        let rooms = rooms.map(|(name, limits)| (name.clone(), limits.with_defaults(defaults)));
        Ok(Retention {
            defaults,
            rooms: rooms.collect(),
        })
    }

    /// How long a room without messages is kept.
    pub fn forget_empty_rooms(&self) -> Result<Option<Duration>, ConfigError> {
        let parse = |text: &str| match text {
            "off" => Some(None),
            text => duration(text)
                .filter(|time| FORGET_TIMES.contains(time))
                .map(Some),
        };
        let accepted = "a number with s, m, h or d, from 2m to 365d, or off";
        self.parse("forget-empty-rooms", accepted, parse)
    }

    /// The time limit of a search.
    pub fn search_within(&self) -> Result<Duration, ConfigError> {
        let milliseconds = self.number("search-ms", 10..=5_000, "milliseconds")?;
        Ok(Duration::from_millis(milliseconds))
    }

    /// Accepts only the `local` adapter: several nodes are not supported.
    pub fn refuse_other_adapters(&self) -> Result<(), ConfigError> {
        let accepted = "local; running several nodes is not built yet";
        let local = |text: &str| (text == "local").then_some(());
        self.parse("adapter", accepted, local)
    }
}

/// The error for a rate that is not accepted; `or` is what else is.
fn reject_rate(value: &Value, word: &str, or: &str) -> ConfigError {
    let kinds = RequestKind::ALL.map(RequestKind::name).join(", ");
    let accepted =
        format!("kind=amount/at-once{or}, comma separated, of {kinds}, for example joins=5/200");
    value.reject_part(word, &accepted)
}

/// Parses a time: a whole number with its unit, such as `10m`.
fn duration(text: &str) -> Option<Duration> {
    let units = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)];
    let (number, seconds) = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// One thread per core, except for one core that serves everything else.
fn default_media_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).clamp(1, 64)
}
