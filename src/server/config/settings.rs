//! The declaration of every setting: its name, its default and its help.
//!
//! The flag, the environment variable, the key of the file, the text of `--help` and the default
//! derive from this table. [`super::values`] parses the values. A new setting is one entry in this
//! table, one field of [`super::Config`] and one row of `docs/operating.md`, which a test compares
//! with this table.

use super::ice;
use crate::server::{
    net::{RequestRateLimits, TotalRateLimits},
    profile::Profile,
    store::{Quota, SEARCH_WITHIN},
};

/// The prefix of all environment variables.
pub(super) const PREFIX: &str = "NOOM_";

/// The default of a setting.
#[derive(Clone, Copy)]
pub(super) enum DefaultValue {
    /// A value, parsed like any other.
    Value(&'static str),
    /// A value that another module declares.
    Computed(fn() -> String),
    /// A value for each profile, private and public.
    Both(&'static str, &'static str),
    /// A value for each profile that another module declares.
    Profiled(fn(Profile) -> String),
    /// No value; the text describes the behaviour without one.
    Unset(&'static str),
}

/// A setting: its names, default, help and parser.
pub(super) struct Setting {
    /// The flag without its dashes, and the key of the file.
    pub name: &'static str,
    /// Placeholder of the value in `--help`.
    pub value_name: &'static str,
    default: DefaultValue,
    /// Description of the setting in `--help`.
    help: &'static str,
    /// Remark behind the default in `--help`.
    remark: Option<&'static str>,
    /// Whether the flag may follow a command.
    pub is_global: bool,
    /// The value of a flag without one; `None` if the flag needs a value.
    pub missing_value: Option<&'static str>,
    /// Makes a value without its secrets; `None` if the value has none.
    mask: Option<fn(&str) -> String>,
}

impl Setting {
    /// A setting whose flag needs a value and precedes a command.
    const fn new(
        name: &'static str,
        value_name: &'static str,
        default: DefaultValue,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            value_name,
            default,
            help,
            remark: None,
            is_global: false,
            missing_value: None,
            mask: None,
        }
    }

    /// Adds a remark behind the default in `--help`.
    const fn remark(self, remark: &'static str) -> Self {
        Self {
            remark: Some(remark),
            ..self
        }
    }

    /// Allows the flag behind a command, too.
    const fn global(self) -> Self {
        Self {
            is_global: true,
            ..self
        }
    }

    /// Allows the flag without a value, which then has this value.
    const fn missing_value(self, value: &'static str) -> Self {
        Self {
            missing_value: Some(value),
            ..self
        }
    }

    /// Masks the secrets of the value wherever it is printed.
    const fn masked_by(self, mask: fn(&str) -> String) -> Self {
        Self {
            mask: Some(mask),
            ..self
        }
    }

    /// A value of the setting without its secrets.
    pub fn shown(&self, value: &str) -> String {
        match self.mask {
            Some(mask) => mask(value),
            None => value.to_owned(),
        }
    }

    /// The environment variable of the setting.
    pub fn variable(&self) -> String {
        variable(self.name)
    }

    /// The default value in a profile; `None` without a default.
    pub fn default_value(&self, profile: Profile) -> Option<String> {
        match self.default {
            DefaultValue::Value(value) => Some(value.to_owned()),
            DefaultValue::Computed(value) => Some(value()),
            DefaultValue::Both(private, public) => Some(profile.choose(private, public).to_owned()),
            DefaultValue::Profiled(value) => Some(value(profile)),
            DefaultValue::Unset(_) => None,
        }
    }

    /// Whether the profiles differ in its default.
    pub fn is_profiled(&self) -> bool {
        let [private, public] = Profile::ALL.map(|profile| self.default_value(profile));
        private != public
    }

    /// The default as a text for people.
    pub fn default_text(&self) -> String {
        let [private, public] = Profile::ALL.map(|profile| self.default_value(profile));
        let text = match (self.default, private, public) {
            (DefaultValue::Unset(text), ..) => text.to_owned(),
            (_, private, public) if self.is_profiled() => {
                let [private, public] = [private, public].map(Option::unwrap_or_default);
                format!("{private}; public: {public}")
            }
            (_, private, _) => private.unwrap_or_default(),
        };
        match self.remark {
            Some(remark) => format!("{text}, {remark}"),
            None => text,
        }
    }

    /// The text of the setting in `--help`.
    pub fn help_text(&self) -> String {
        help_text(self.help, &self.variable(), &self.default_text())
    }
}

/// The environment variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase().replace('-', "_"))
}

/// The text of a flag in `--help`.
pub(super) fn help_text(help: &str, variable: &str, default: &str) -> String {
    format!("{help} [env: {variable}] [default: {default}]")
}

/// Every setting, in the order of `--help`.
pub(super) const SETTINGS: [Setting; 52] = [
    Setting::new(
        "listen",
        "IP:PORT",
        DefaultValue::Value("127.0.0.1:3000"),
        "HTTP and WebSocket address, IP:port",
    )
    .remark("0.0.0.0:443 with a certificate by ACME, or LEPTOS_SITE_ADDR where that is set")
    .global(),
    Setting::new(
        "data-dir",
        "DIR",
        DefaultValue::Value("./data"),
        "Directory of the database, made where it is missing",
    )
    .global(),
    Setting::new(
        "data-dir-rights",
        "private|any",
        DefaultValue::Value("private"),
        "Which rights the data directory may have where it is there already: private (its \
         owner only, the user the server runs as) or any",
    )
    .global(),
    Setting::new(
        "profile",
        "private|public",
        DefaultValue::Value("private"),
        "Which limits apply where no other setting gives them: private (generous, for people \
         who know each other) or public (for a server that strangers reach)",
    ),
    Setting::new(
        "public-url",
        "URL",
        DefaultValue::Unset("derived from each request"),
        "The origin people use, for example https://meet.example.org; requests of other \
         origins are refused",
    ),
    Setting::new(
        "base-path",
        "PATH",
        DefaultValue::Unset("none: the root of the host"),
        "Path at which a reverse proxy has the site, for example /noom. The proxy may pass it on or \
         strip it",
    ),
    Setting::new(
        "domain",
        "NAME,…",
        DefaultValue::Unset("none"),
        "Names of this server, comma separated, up to 32. It gets and renews one certificate for \
         all of them (ACME), and listens on 0.0.0.0:443 unless --listen says otherwise",
    ),
    Setting::new(
        "public-ip",
        "auto|IP",
        DefaultValue::Unset("none"),
        "Public address of a server without a domain, or auto for that of an interface. It gets \
         and renews a certificate for the address, and media is offered there",
    ),
    Setting::new(
        "tls",
        "off|self-signed|CERT,KEY",
        DefaultValue::Unset("by ACME with --domain or --public-ip, else off"),
        "TLS of the HTTP address: off; self-signed, by an authority that this machine makes; or a \
         certificate chain and its key, two PEM files, read again when they change",
    ),
    Setting::new(
        "http-listen",
        "IP:PORT|off",
        DefaultValue::Unset("0.0.0.0:80 with --domain or --public-ip, else off"),
        "Plain HTTP beside TLS, IP:port or off: leads browsers to https and answers the authority",
    ),
    Setting::new(
        "acme-directory",
        "URL",
        DefaultValue::Value("https://acme-v02.api.letsencrypt.org/directory"),
        "The certificate authority (ACME, RFC 8555)",
    ),
    Setting::new(
        "acme-email",
        "ADDRESS",
        DefaultValue::Unset("none"),
        "Address at which the authority may reach you",
    ),
    Setting::new(
        "acme-ca-file",
        "FILE",
        DefaultValue::Unset("the public authorities of browsers"),
        "PEM file of the certificates that are trusted for --acme-directory: for a private \
         authority",
    ),
    Setting::new(
        "p2p-max",
        "PEOPLE",
        DefaultValue::Value("2"),
        "Largest call that runs browser to browser, in people, 0 to 64; larger ones run \
         through the SFU. 0 is always the SFU, 64 always a mesh",
    ),
    Setting::new(
        "hide-addresses",
        "true|false",
        DefaultValue::Value("false"),
        "Hide everybody's address from everybody else: true or false. Calls then run through \
         the SFU, however few people are in them; false leaves it to each person",
    )
    .missing_value("true"),
    Setting::new(
        "call-capacity",
        "PEOPLE",
        DefaultValue::Value("100"),
        "People a call holds, 1 to 2000",
    ),
    Setting::new(
        "media-listen",
        "IP:PORT",
        DefaultValue::Value("0.0.0.0:7882"),
        "First media port, UDP and TCP; each further media thread takes the next one",
    ),
    Setting::new(
        "media-ip",
        "IP|NAME[:PORT],…",
        DefaultValue::Unset("those of this machine's interfaces"),
        "Addresses put into ICE candidates, comma separated, up to 8: behind a NAT, the \
         public one. A host name is looked up again each minute; a port, as in \
         203.0.113.7:40000, is the outer one that a NAT maps to the first media port, and \
         each further media thread takes the next one",
    ),
    Setting::new(
        "media-interfaces",
        "[!]NAME|NETWORK,…",
        DefaultValue::Unset("all, virtual ones last"),
        "Interfaces whose addresses are offered for media and TURN, comma separated: names \
         (eth0, br-*), addresses and networks (10.0.0.0/8), a ! before those to leave out. \
         Not with --media-ip",
    ),
    Setting::new(
        "media-threads",
        "THREADS",
        DefaultValue::Unset("one a core, less one"),
        "Threads that pass media on, 1 to 64; each has a port of its own",
    ),
    Setting::new(
        "turn-listen",
        "IP:PORT|off",
        DefaultValue::Value("0.0.0.0:3478"),
        "STUN/TURN address, UDP and TCP, or off",
    ),
    Setting::new(
        "turn-tls-listen",
        "IP:PORT",
        DefaultValue::Value("0.0.0.0:5349"),
        "TURN over TLS, IP:port; only with a certificate",
    ),
    Setting::new(
        "turn-tls-cert",
        "FILE",
        DefaultValue::Unset("that of --tls"),
        "Certificate chain for TURN over TLS, a PEM file, for the host of --public-url",
    ),
    Setting::new(
        "turn-tls-key",
        "FILE",
        DefaultValue::Unset("that of --tls"),
        "Key of that certificate, a PEM file",
    ),
    Setting::new(
        "ice-servers",
        "URL,…|JSON",
        DefaultValue::Unset("none"),
        "STUN/TURN servers handed to browsers: comma separated stun:host[:port], \
         turn:user:password@host[:port] or turns:…, or a JSON array of {urls, username, \
         credential}",
    )
    .masked_by(ice::without_credentials),
    Setting::new(
        "adapter",
        "NAME",
        DefaultValue::Value("local"),
        "How nodes talk to each other; only local (one node) so far",
    ),
    Setting::new(
        "room-bytes",
        "BYTES",
        DefaultValue::Profiled(|profile| Quota::of(profile).room_bytes.to_string()),
        "Bytes of what one room has stored, texts and 160 for each message, 0 to \
         1000000000000000; the next message is refused. 0 is no bound",
    ),
    Setting::new(
        "history-bytes",
        "BYTES",
        DefaultValue::Profiled(|profile| Quota::of(profile).history_bytes.to_string()),
        "Bytes of what all rooms have stored, 0 to 1000000000000000; 0 is no bound. The \
         database takes up to three times that",
    ),
    Setting::new(
        "max-file-size",
        "BYTES|off",
        DefaultValue::Value("26214400"),
        "Bytes of a file that is sent with a message, 1 to 1073741824; off keeps no files",
    ),
    Setting::new(
        "room-file-bytes",
        "BYTES",
        DefaultValue::Profiled(|profile| Quota::of(profile).room_file_bytes.to_string()),
        "Bytes of the files of one room, 0 to 1000000000000000; a message with a further one is \
         refused. 0 is no bound",
    ),
    Setting::new(
        "file-bytes",
        "BYTES",
        DefaultValue::Profiled(|profile| Quota::of(profile).file_bytes.to_string()),
        "Bytes of the files of all rooms, 0 to 1000000000000000; 0 is no bound",
    ),
    Setting::new(
        "stored-rooms",
        "ROOMS",
        DefaultValue::Profiled(|profile| Quota::of(profile).stored_rooms.to_string()),
        "Rooms that have stored messages, 0 to 100000000; what is said in a further one is \
         refused. 0 is no bound",
    ),
    Setting::new(
        "disk-reserve",
        "BYTES",
        DefaultValue::Profiled(|profile| Quota::of(profile).disk_reserve.to_string()),
        "Bytes of the disk that messages leave free, 0 to 1000000000000000; with less free, \
         new ones are refused. 0 is no reserve",
    ),
    Setting::new(
        "log",
        "FILTER",
        DefaultValue::Value("info"),
        "Log filter: a level (error, warn, info, debug, trace) or tracing directives",
    ),
    Setting::new(
        "log-format",
        "text|json",
        DefaultValue::Value("text"),
        "Form of log lines: text for people, json for machines",
    ),
    Setting::new(
        "room-capacity",
        "PEOPLE",
        DefaultValue::Value("100"),
        "People a room holds, 1 to 2000",
    ),
    Setting::new(
        "max-rooms",
        "ROOMS",
        DefaultValue::Both("10000", "2000"),
        "Rooms open at once, 1 to 1000000; those whose people are all away do not count, \
         there are as many of them again",
    ),
    Setting::new(
        "list-rooms",
        "on|off",
        DefaultValue::Both("on", "off"),
        "Whether the welcome page lists the open rooms: on or off. Without the list a room is \
         found by its name only",
    ),
    Setting::new(
        "claim-rooms",
        "on|off",
        DefaultValue::Value("off"),
        "Whether a room that was stored before rooms had hosts gives its host key to the next who \
         enters: on or off",
    ),
    Setting::new(
        "trusted-proxies",
        "IP[/BITS],…",
        DefaultValue::Unset("none"),
        "IP addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For or Forwarded \
         is believed, comma separated",
    ),
    Setting::new(
        "sockets-per-address",
        "SOCKETS",
        DefaultValue::Both("100", "50"),
        "WebSockets and polling connections from one address (IPv6: one /64), 1 to 20000; \
         loopback is not limited",
    ),
    Setting::new(
        "max-connections",
        "CONNECTIONS",
        DefaultValue::Value("4000"),
        "HTTP connections at once, 1 to 1000000, WebSockets not counted; beyond them only \
         /healthz, /readyz and WebSockets are answered",
    ),
    Setting::new(
        "connections-per-address",
        "CONNECTIONS",
        DefaultValue::Both("200", "100"),
        "HTTP connections from one address (IPv6: one /64; a /48 has four times as many), or, \
         behind a trusted proxy, requests under way, 1 to 1000000; loopback is not limited",
    ),
    Setting::new(
        "polls-per-address",
        "POLLS",
        DefaultValue::Both("50", "20"),
        "Polling connections from one address, 1 to 1000; loopback is not limited",
    ),
    Setting::new(
        "address-rates",
        "KIND=AMOUNT/BURST,…",
        DefaultValue::Profiled(|profile| RequestRateLimits::of(profile).to_string()),
        "What one address may ask for, as kind=amount/at-once, comma separated: joins, \
         rooms (that nobody is in), new-rooms (of these, where nothing was said; an hour), \
         posts (plain forms), chat-bytes, day-bytes (the same; a day), searches, pages, \
         history, offers (to the SFU), checks (at /check; an hour), uploads (of files), \
         upload-bytes (the same; an hour), downloads (of files), exports (of a room's log; an \
         hour), relay-bytes (by TURN); a second where nothing else is said; what is left out \
         keeps its default; loopback is not limited",
    ),
    Setting::new(
        "total-rates",
        "KIND=AMOUNT/BURST,…",
        DefaultValue::Profiled(|profile| TotalRateLimits::of(profile).to_string()),
        "What all addresses together may ask for, loopback included, as for one address, or \
         kind=off; what is left out keeps its default",
    ),
    Setting::new(
        "metrics-listen",
        "IP:PORT|off",
        DefaultValue::Value("127.0.0.1:9464"),
        "Where /metrics is answered without a token, IP:port, or off",
    ),
    Setting::new(
        "metrics-token-file",
        "FILE",
        DefaultValue::Unset("none"),
        "File with a token of 16 characters or more. With Authorization: Bearer and this token, \
         /metrics and the details of /readyz are answered at the HTTP address, over TLS",
    ),
    Setting::new(
        "keep-days",
        "DAYS",
        DefaultValue::Value("0"),
        "Days a message is kept, 0 to 36500; 0 is for ever. The file may say otherwise of \
         single rooms: [rooms.\"name\"] keep_days = 7",
    ),
    Setting::new(
        "keep-messages",
        "MESSAGES",
        DefaultValue::Value("0"),
        "Newest messages each room keeps, 0 to 1000000000; 0 is all. The file may say \
         otherwise of single rooms, as above: keep_messages",
    ),
    Setting::new(
        "forget-empty-rooms",
        "DURATION|off",
        DefaultValue::Both("24h", "1h"),
        "How long the name of a room stays in which nothing is kept and nobody is: a number with \
         s, m, h or d, 2m to 365d, or off",
    ),
    Setting::new(
        "search-ms",
        "MILLISECONDS",
        DefaultValue::Computed(|| SEARCH_WITHIN.as_millis().to_string()),
        "Time a search may take before it is stopped, in milliseconds, 10 to 5000",
    ),
];

/// The names of all settings.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.name)
}
