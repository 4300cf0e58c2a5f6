//! The command line. What `--help` says here is the documentation of the settings.

use clap::Parser;
use std::path::PathBuf;

/// Noom: one binary in which people meet.
///
/// Each setting is a flag, an environment variable or a key of the TOML file given by
/// --config, in this order of precedence. Keys of the file are the flags without dashes
/// in front, for example: p2p-max = 2
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "noom", version)]
pub struct Flags {
    /// TOML file with settings [env: NOOM_CONFIG] [default: none]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// HTTP and WebSocket address, IP:port [env: NOOM_LISTEN] [default: 127.0.0.1:3000, or
    /// LEPTOS_SITE_ADDR where that is set]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<String>,
    /// Directory of the database, made where it is missing [env: NOOM_DATA_DIR]
    /// [default: ./data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<String>,
    /// Which rights the data directory may have where it is there already: private (its
    /// owner only, the user the server runs as) or any [env: NOOM_DATA_DIR_RIGHTS]
    /// [default: private]
    #[arg(long, value_name = "private|any", global = true)]
    pub data_dir_rights: Option<String>,
    /// The origin people use, for example https://meet.example.org; requests of other
    /// origins are refused [env: NOOM_PUBLIC_URL] [default: derived from each request]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Largest call that runs browser to browser, in people, 0 to 64; larger ones run
    /// through the SFU. 0 is always the SFU, 64 always a mesh [env: NOOM_P2P_MAX]
    /// [default: 2]
    #[arg(long, value_name = "PEOPLE")]
    pub p2p_max: Option<String>,
    /// Hide everybody's address from everybody else: true or false. Calls then run through
    /// the SFU, however few people are in them; false leaves it to each person
    /// [env: NOOM_HIDE_ADDRESSES] [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub hide_addresses: Option<String>,
    /// People a call holds, 1 to 2000 [env: NOOM_CALL_CAPACITY] [default: 100]
    #[arg(long, value_name = "PEOPLE")]
    pub call_capacity: Option<String>,
    /// First media port, UDP and TCP; each further media thread takes the next one
    /// [env: NOOM_MEDIA_LISTEN] [default: 0.0.0.0:7882]
    #[arg(long, value_name = "IP:PORT")]
    pub media_listen: Option<String>,
    /// Addresses put into ICE candidates, comma separated, up to 8: behind a NAT, the public
    /// one. A host name is looked up again each minute; a port, as in 203.0.113.7:40000, is the
    /// outer one that a NAT maps to the first media port, and each further media thread takes
    /// the next one [env: NOOM_MEDIA_IP] [default: those of this machine's interfaces]
    #[arg(long, value_name = "IP|NAME[:PORT],…")]
    pub media_ip: Option<String>,
    /// Interfaces whose addresses are offered for media and TURN, comma separated: names
    /// (eth0, br-*), addresses and networks (10.0.0.0/8), a ! before those to leave out. Not
    /// with --media-ip [env: NOOM_MEDIA_INTERFACES] [default: all, virtual ones last]
    #[arg(long, value_name = "[!]NAME|NETWORK,…")]
    pub media_interfaces: Option<String>,
    /// Threads that pass media on, 1 to 64; each has a port of its own
    /// [env: NOOM_MEDIA_THREADS] [default: one a core, less one]
    #[arg(long, value_name = "THREADS")]
    pub media_threads: Option<String>,
    /// STUN/TURN address, UDP and TCP, or off [env: NOOM_TURN_LISTEN] [default: 0.0.0.0:3478]
    #[arg(long, value_name = "IP:PORT|off")]
    pub turn_listen: Option<String>,
    /// TURN over TLS, IP:port; only with a certificate [env: NOOM_TURN_TLS_LISTEN]
    /// [default: 0.0.0.0:5349]
    #[arg(long, value_name = "IP:PORT")]
    pub turn_tls_listen: Option<String>,
    /// Certificate chain for TURN over TLS, a PEM file, for the host of --public-url
    /// [env: NOOM_TURN_TLS_CERT] [default: none]
    #[arg(long, value_name = "FILE")]
    pub turn_tls_cert: Option<String>,
    /// Key of that certificate, a PEM file [env: NOOM_TURN_TLS_KEY] [default: none]
    #[arg(long, value_name = "FILE")]
    pub turn_tls_key: Option<String>,
    /// STUN/TURN servers handed to browsers: comma separated stun:host[:port],
    /// turn:user:password@host[:port] or turns:…, or a JSON array of
    /// {urls, username, credential} [env: NOOM_ICE_SERVERS] [default: none]
    #[arg(long, value_name = "URL,…|JSON")]
    pub ice_servers: Option<String>,
    /// How nodes talk to each other; only local (one node) so far [env: NOOM_ADAPTER]
    /// [default: local]
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Bytes of what one room has stored, texts and 160 for each message, 0 to 1000000000000000;
    /// the next message is refused. 0 is no bound [env: NOOM_ROOM_BYTES] [default: 268435456,
    /// 256 MiB]
    #[arg(long, value_name = "BYTES")]
    pub room_bytes: Option<String>,
    /// Bytes of what all rooms have stored, 0 to 1000000000000000; 0 is no bound. The database
    /// takes up to three times that [env: NOOM_HISTORY_BYTES] [default: 8589934592, 8 GiB]
    #[arg(long, value_name = "BYTES")]
    pub history_bytes: Option<String>,
    /// Bytes of the disk that messages leave free, 0 to 1000000000000000; with less free, new
    /// ones are refused. 0 is no reserve [env: NOOM_DISK_RESERVE] [default: 67108864, 64 MiB]
    #[arg(long, value_name = "BYTES")]
    pub disk_reserve: Option<String>,
    /// Log filter: a level (error, warn, info, debug, trace) or tracing directives
    /// [env: NOOM_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of log lines: text for people, json for machines [env: NOOM_LOG_FORMAT]
    /// [default: text]
    #[arg(long, value_name = "text|json")]
    pub log_format: Option<String>,
    /// People a room holds, 1 to 2000 [env: NOOM_ROOM_CAPACITY] [default: 100]
    #[arg(long, value_name = "PEOPLE")]
    pub room_capacity: Option<String>,
    /// Rooms open at once, 1 to 1000000; those whose people are all away do not count, there
    /// are as many of them again [env: NOOM_MAX_ROOMS] [default: 10000]
    #[arg(long, value_name = "ROOMS")]
    pub max_rooms: Option<String>,
    /// IP addresses and networks (10.0.0.0/8) of proxies whose X-Forwarded-For or Forwarded is
    /// believed, comma separated [env: NOOM_TRUSTED_PROXIES] [default: none]
    #[arg(long, value_name = "IP[/BITS],…")]
    pub trusted_proxies: Option<String>,
    /// WebSockets and polling connections from one address (IPv6: one /64), 1 to 20000; loopback
    /// is not limited [env: NOOM_SOCKETS_PER_ADDRESS] [default: 100]
    #[arg(long, value_name = "SOCKETS")]
    pub sockets_per_address: Option<String>,
    /// HTTP connections at once, 1 to 1000000, WebSockets not counted; beyond them only
    /// /healthz, /readyz and WebSockets are answered [env: NOOM_MAX_CONNECTIONS]
    /// [default: 4000]
    #[arg(long, value_name = "CONNECTIONS")]
    pub max_connections: Option<String>,
    /// HTTP connections from one address (IPv6: one /64; a /48 has four times as many), or,
    /// behind a trusted proxy, requests under way, 1 to 1000000; loopback is not limited
    /// [env: NOOM_CONNECTIONS_PER_ADDRESS] [default: 200]
    #[arg(long, value_name = "CONNECTIONS")]
    pub connections_per_address: Option<String>,
    /// Polling connections from one address, 1 to 1000; loopback is not limited
    /// [env: NOOM_POLLS_PER_ADDRESS] [default: 50]
    #[arg(long, value_name = "POLLS")]
    pub polls_per_address: Option<String>,
    /// What one address may ask for, as kind=a-second/at-once, comma separated: joins, rooms
    /// (that nobody is in), posts (plain forms), chat-bytes, searches, pages, history, offers
    /// (to the SFU); what is left out keeps its default; loopback is not limited
    /// [env: NOOM_ADDRESS_RATES]
    /// [default: joins=5/200,rooms=1/60,posts=5/100,chat-bytes=81920/1048576,searches=2/20,pages=20/200,history=10/200,offers=20/400]
    #[arg(long, value_name = "KIND=RATE/BURST,…")]
    pub address_rates: Option<String>,
    /// Where /metrics is answered, IP:port, or off; nowhere else [env: NOOM_METRICS_LISTEN]
    /// [default: 127.0.0.1:9464]
    #[arg(long, value_name = "IP:PORT|off")]
    pub metrics_listen: Option<String>,
    /// Days a message is kept, 0 to 36500; 0 is for ever. The file may say otherwise of
    /// single rooms: [rooms."name"] keep_days = 7 [env: NOOM_KEEP_DAYS] [default: 0]
    #[arg(long, value_name = "DAYS")]
    pub keep_days: Option<String>,
    /// Newest messages each room keeps, 0 to 1000000000; 0 is all. The file may say otherwise
    /// of single rooms, as above: keep_messages [env: NOOM_KEEP_MESSAGES] [default: 0]
    #[arg(long, value_name = "MESSAGES")]
    pub keep_messages: Option<String>,
    /// Time a search may take before it is stopped, in milliseconds, 10 to 5000
    /// [env: NOOM_SEARCH_MS] [default: 200]
    #[arg(long, value_name = "MILLISECONDS")]
    pub search_ms: Option<String>,
}

impl Flags {
    /// Each setting's name and what the command line says of it.
    pub(super) fn settings(&self) -> [(&'static str, Option<&String>); 34] {
        [
            ("listen", self.listen.as_ref()),
            ("data-dir", self.data_dir.as_ref()),
            ("data-dir-rights", self.data_dir_rights.as_ref()),
            ("public-url", self.public_url.as_ref()),
            ("p2p-max", self.p2p_max.as_ref()),
            ("hide-addresses", self.hide_addresses.as_ref()),
            ("call-capacity", self.call_capacity.as_ref()),
            ("media-listen", self.media_listen.as_ref()),
            ("media-ip", self.media_ip.as_ref()),
            ("media-interfaces", self.media_interfaces.as_ref()),
            ("media-threads", self.media_threads.as_ref()),
            ("turn-listen", self.turn_listen.as_ref()),
            ("turn-tls-listen", self.turn_tls_listen.as_ref()),
            ("turn-tls-cert", self.turn_tls_cert.as_ref()),
            ("turn-tls-key", self.turn_tls_key.as_ref()),
            ("ice-servers", self.ice_servers.as_ref()),
            ("adapter", self.adapter.as_ref()),
            ("room-bytes", self.room_bytes.as_ref()),
            ("history-bytes", self.history_bytes.as_ref()),
            ("disk-reserve", self.disk_reserve.as_ref()),
            ("log", self.log.as_ref()),
            ("log-format", self.log_format.as_ref()),
            ("room-capacity", self.room_capacity.as_ref()),
            ("max-rooms", self.max_rooms.as_ref()),
            ("trusted-proxies", self.trusted_proxies.as_ref()),
            ("sockets-per-address", self.sockets_per_address.as_ref()),
            ("max-connections", self.max_connections.as_ref()),
            (
                "connections-per-address",
                self.connections_per_address.as_ref(),
            ),
            ("polls-per-address", self.polls_per_address.as_ref()),
            ("address-rates", self.address_rates.as_ref()),
            ("metrics-listen", self.metrics_listen.as_ref()),
            ("keep-days", self.keep_days.as_ref()),
            ("keep-messages", self.keep_messages.as_ref()),
            ("search-ms", self.search_ms.as_ref()),
        ]
    }
}
