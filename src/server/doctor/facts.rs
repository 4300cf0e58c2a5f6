//! What the probes found out, as plain data.

use super::check::{CertificateSource, PortProblem, Protocol};
use crate::server::{
    store::{FilesCheck, Integrity},
    tls::CertificateFacts,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::SystemTime,
};

/// Everything that is judged.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The time of the checks.
    pub now: SystemTime,
    /// Who makes the checks.
    pub server: ServerState,
    /// Addresses that cannot be bound.
    pub ports: Vec<PortFact>,
    /// The addresses at which browsers are told to reach media.
    pub offered: Vec<IpAddr>,
    /// The addresses of this machine's interfaces.
    pub own: Vec<IpAddr>,
    /// The media ports at the offered addresses.
    pub media: Vec<MediaFact>,
    /// TURN by each URL that browsers are told; `None` if it is off.
    pub turn: Option<Vec<TurnFact>>,
    /// The certificate of the server, or of the proxy before it.
    pub certificate: CertificateFact,
    /// The names of this server.
    pub names: Vec<NameFact>,
    /// The public address; `None` if no setting names one.
    pub site: Option<SiteFact>,
    /// The clock of the certificate authority.
    pub clock: ClockFact,
    /// The data directory.
    pub disk: DiskFact,
    /// The state of the database.
    pub database: DatabaseFact,
    /// The content of kept files; `None` where their rows cannot be read.
    pub kept_files: Option<KeptFilesFact>,
    /// How many files the process may open.
    pub open_files: Option<u64>,
    /// How many it may need.
    pub wanted_files: u64,
    /// Bytes that the kernel allows the buffer of a socket.
    pub receive_buffer: Option<u64>,
}

/// Who makes the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerState {
    /// The running server.
    Running,
    /// A command, and no server runs on the data directory.
    Alone,
    /// A command, and the server that runs cannot be asked.
    Silent,
}

/// An address that cannot be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFact {
    /// The setting of the address.
    pub setting: &'static str,
    /// The address of the setting.
    pub address: SocketAddr,
    /// Why it cannot be bound.
    pub problem: PortProblem,
    /// Whether the server starts without it.
    pub is_optional: bool,
}

/// A media port at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaFact {
    /// The address, as browsers are told.
    pub address: SocketAddr,
    /// Whether a datagram came back.
    pub udp: bool,
    /// Whether a frame of a stream came back.
    pub tcp: bool,
}

/// TURN by one URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnFact {
    /// The URL, as browsers are told.
    pub url: String,
    /// Its address; `None` for a name.
    pub ip: Option<IpAddr>,
    /// The port of the URL.
    pub port: u16,
    /// Its protocol; TLS runs over TCP.
    pub protocol: Protocol,
    /// Whether an allocation was made.
    pub result: TurnResult,
}

/// The answer of TURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnResult {
    /// An allocation was made.
    Allocated,
    /// Nothing answered in time.
    Silent,
    /// The allocation was refused with this code.
    Refused(u16),
}

/// The certificate that browsers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFact {
    /// There is none, and none is expected.
    None,
    /// It is made when the server starts.
    NotMade,
    /// The files cannot be used; the reason names the file.
    Unusable(String),
    /// The certificate in use.
    InUse {
        /// Who has it.
        source: CertificateSource,
        /// Its dates and names.
        facts: CertificateFacts,
        /// Whether it stands in for the first one of the authority.
        is_temporary: bool,
        /// Why the last order failed.
        failure: Option<String>,
    },
}

/// A name of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFact {
    /// The name, in lower case.
    pub name: String,
    /// Its addresses; none if it cannot be resolved.
    pub found: Vec<IpAddr>,
}

/// The public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFact {
    /// The public address.
    pub url: String,
    /// Its host, if that is a name.
    pub name: Option<String>,
    /// The port of the server.
    pub port: u16,
    /// What answers there, or why nothing does.
    pub answer: Result<SiteAnswer, String>,
}

/// What answers at the public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteAnswer {
    /// The status of the answer to a plain request.
    pub status: u16,
    /// How the plain request came to this server; `None` if it did not.
    pub arrival: Option<Arrival>,
    /// The address that the plain request was sent from.
    pub sent_from: SocketAddr,
    /// Whether it was sent over TLS.
    pub is_tls: bool,
    /// The status of the answer to a WebSocket handshake; 0 without one.
    pub socket_status: u16,
    /// Whether the handshake came to this server, and asked for an upgrade when it came.
    pub has_upgrade: bool,
}

/// How a request of the checks came to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the request asks for an upgrade.
    pub has_upgrade: bool,
    /// Whether the request names the client.
    pub has_forwarding: bool,
    /// Whether the peer is a trusted proxy.
    pub is_trusted: bool,
    /// Whether it came over TLS of this server.
    pub is_encrypted: bool,
}

/// The clock of the certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockFact {
    /// No authority is asked for certificates.
    NoAuthority,
    /// The authority does not answer.
    Silent {
        /// The host of the authority.
        host: String,
        /// Why, in the words of the system.
        reason: String,
    },
    /// Its time, and the time of this machine when the answer came.
    Date {
        /// The time of the authority.
        theirs: SystemTime,
        /// The time of this machine.
        ours: SystemTime,
    },
}

/// The data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFact {
    /// The data directory.
    pub directory: PathBuf,
    /// Free bytes; `None` if the directory does not exist yet.
    pub free: Option<u64>,
    /// Bytes below which messages are refused.
    pub least: u64,
}

/// The state of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseFact {
    /// There is none yet.
    Missing,
    /// The rights of the data directory are refused; the reason names the command.
    Refused(String),
    /// It cannot be read or written.
    Fails(String),
    /// Its pages were checked.
    Checked(Integrity),
}

/// The content of kept files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFilesFact {
    /// The directory of kept files.
    pub directory: PathBuf,
    /// What was found in it.
    pub check: FilesCheck,
}
