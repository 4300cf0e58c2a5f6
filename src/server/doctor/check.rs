//! The checks, and what each can find.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use strum::VariantArray;

/// What is checked, in the order of the report.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, VariantArray,
)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether the server runs.
    Server,
    /// Whether the server has its ports.
    Ports,
    /// The addresses at which browsers are told to reach media.
    Addresses,
    /// Whether UDP reaches the media ports at these addresses.
    MediaUdp,
    /// Whether TCP does.
    MediaTcp,
    /// Whether TURN makes an allocation at each address that browsers are told.
    Turn,
    /// The names and dates of the certificate.
    Certificate,
    /// Where the names of this server lead.
    Names,
    /// Whether the public address leads to this server.
    Site,
    /// Whether a WebSocket opens through the public address.
    WebSocket,
    /// What a proxy tells about clients.
    Proxy,
    /// The clock, compared with that of the certificate authority.
    Clock,
    /// The free space of the data directory.
    Disk,
    /// The pages of the database.
    Database,
    /// The content of kept files.
    KeptFiles,
    /// How many files the process may open.
    OpenFiles,
    /// How large the kernel lets the buffers of media sockets be.
    ReceiveBuffer,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing is wrong.
    Ok,
    /// There was nothing to check.
    NotApplicable,
    /// It works, and may not under load or for everybody.
    Warning,
    /// It does not work.
    Failed,
}

/// A transport protocol of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams of UDP.
    Udp,
    /// Streams of TCP.
    Tcp,
}

impl Protocol {
    /// The name, as firewalls write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Why an address cannot be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortProblem {
    /// Another program has the port.
    Taken,
    /// The process has no right to a port below 1024.
    Forbidden,
    /// The address is not of this machine.
    NotHere,
    /// Another error, in the words of the system.
    Other(String),
}

/// Who has the certificate that browsers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files of the operator.
    Files,
    /// A public authority, by ACME.
    Acme,
    /// The authority of this machine.
    Local,
    /// A proxy in front of the server.
    Proxy,
}

/// What a check found. Each has one sentence and, unless all is well, one remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// The server runs and checked itself.
    ServerAnswers,
    /// No server runs on the data directory.
    ServerAlone,
    /// A server runs on the data directory and cannot be asked.
    ServerSilent,
    /// The server has all its ports.
    PortsBound,
    /// All ports could be bound.
    PortsFree,
    /// The running server has the ports.
    PortsUnknown,
    /// An address cannot be bound.
    Port {
        /// The setting of the address.
        setting: &'static str,
        /// The address that it is about.
        address: SocketAddr,
        /// Why it cannot be bound.
        problem: PortProblem,
        /// Whether the server starts without it.
        is_optional: bool,
    },
    /// Browsers are told these addresses.
    AddressesOffered(Vec<IpAddr>),
    /// Browsers are told no address.
    NoAddress,
    /// Browsers are told private addresses only, and the name of the server leads to a public one.
    OnlyPrivate(IpAddr),
    /// Nothing sent to an address arrives, and neither an interface nor a name has it.
    WrongAddress {
        /// The address that it is about.
        address: IpAddr,
        /// A better one, where there is one.
        better: Option<IpAddr>,
    },
    /// Nothing sent to an address arrives, but a name of the server leads there.
    NoWayBack {
        /// The address that it is about.
        address: IpAddr,
        /// The name that it is about.
        name: String,
    },
    /// Media is reached at these addresses.
    MediaReached(Protocol, Vec<SocketAddr>),
    /// Media is not reached at an address of this machine.
    MediaClosed(Protocol, SocketAddr),
    /// There was no address to try.
    MediaUnknown(Protocol),
    /// TURN answers by this number of URLs.
    TurnReached(usize),
    /// TURN is off.
    TurnOff,
    /// There was no address to try.
    TurnUnknown,
    /// TURN does not answer.
    TurnSilent {
        /// The URL that browsers are told.
        url: String,
        /// The port of the URL.
        port: u16,
        /// The protocol of the URL.
        protocol: Protocol,
    },
    /// TURN refuses an allocation.
    TurnRefused {
        /// The URL that browsers are told.
        url: String,
        /// The code of the refusal.
        code: u16,
    },
    /// The certificate covers its names for some days.
    CertificateValid {
        /// The names, separated by commas.
        names: String,
        /// Whole days until it ends.
        days: u64,
    },
    /// The server has no certificate and needs none.
    CertificateNone,
    /// The certificate is made when the server starts.
    CertificateNotMade,
    /// The first certificate is being ordered.
    CertificateOrdered,
    /// The last order failed.
    OrderFailed {
        /// The reason, as the authority words it.
        reason: String,
        /// Whether an earlier certificate is in use.
        is_served: bool,
    },
    /// The files of the certificate cannot be used.
    CertificateUnusable(String),
    /// The certificate has expired.
    CertificateExpired {
        /// The day on which it ended.
        day: String,
        /// Who has it.
        source: CertificateSource,
    },
    /// The certificate is not valid yet.
    CertificateTooNew(String),
    /// The certificate ends soon.
    CertificateEnds {
        /// Whole days until it ends.
        days: u64,
        /// Who has it.
        source: CertificateSource,
    },
    /// The certificate is not for a name of the server.
    CertificateMisses {
        /// The name that it is about.
        name: String,
        /// Who has it.
        source: CertificateSource,
    },
    /// Every name leads here.
    NamesLeadHere(String),
    /// The server has no name.
    NoNames,
    /// A name has no address.
    NameUnknown(String),
    /// A name leads elsewhere.
    NameElsewhere {
        /// The name that it is about.
        name: String,
        /// Where it leads.
        found: IpAddr,
        /// An address of this machine.
        own: Option<IpAddr>,
    },
    /// The public address leads to this server.
    SiteReached(String),
    /// The server has no public address.
    NoSite,
    /// Nothing answers at the public address.
    SiteSilent {
        /// The public address.
        url: String,
        /// Why, in the words of the system.
        reason: String,
    },
    /// Something else answers at the public address.
    SiteElsewhere {
        /// The public address.
        url: String,
        /// The status of its answer.
        status: u16,
        /// The port of the server.
        port: u16,
    },
    /// A WebSocket opens through the public address.
    WebSocketOpens,
    /// No WebSocket could be tried.
    WebSocketUnknown,
    /// A proxy removes the upgrade of the request.
    NoUpgrade(String),
    /// The server or a proxy refuses the WebSocket.
    WebSocketRefused {
        /// The public address.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// A trusted proxy says who the client is.
    ProxyTrusted(IpAddr),
    /// There is no proxy.
    NoProxy,
    /// A proxy says who the client is, and is not trusted.
    ProxyUntrusted(IpAddr),
    /// A proxy does not say who the client is.
    ProxySilent(IpAddr),
    /// The clocks agree.
    ClockRight,
    /// No authority is asked for certificates.
    ClockUnknown,
    /// The authority does not answer.
    AuthoritySilent {
        /// The host of the authority.
        host: String,
        /// Why, in the words of the system.
        reason: String,
    },
    /// The clock is ahead by these seconds, or behind if negative.
    ClockOff(i64),
    /// The disk has space; its free bytes.
    DiskFree(u64),
    /// The data directory does not exist yet.
    DiskUnknown,
    /// The disk is full for the server.
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be free.
        least: u64,
        /// The data directory.
        directory: String,
    },
    /// The disk is nearly full.
    DiskLow {
        /// Bytes that are free.
        free: u64,
        /// The data directory.
        directory: String,
    },
    /// The database is sound.
    DatabaseSound,
    /// What was read of the database is sound.
    DatabaseUnfinished,
    /// There is no database yet.
    DatabaseNone,
    /// The database is damaged, in the words of SQLite.
    DatabaseDamaged(String),
    /// The database cannot be read or written, in the words of the system.
    DatabaseFails(String),
    /// The rights of the data directory are refused.
    DirectoryRefused {
        /// What is wrong with the rights.
        reason: String,
        /// The command that corrects them.
        remedy: String,
    },
    /// The content of each kept file is on the disk; how many there are.
    KeptFilesThere(u64),
    /// What was looked up in time is on the disk; how many that is.
    KeptFilesUnfinished(u64),
    /// No message has a file.
    KeptFilesNone,
    /// The rows of files cannot be read.
    KeptFilesUnknown,
    /// Content of files is missing, or has another size.
    KeptFilesMissing {
        /// How many contents.
        missing: u64,
        /// The path of one of them.
        example: String,
        /// The directory of kept files.
        directory: String,
    },
    /// Enough files may be open.
    FilesEnough(u64),
    /// The system does not say how many files may be open.
    FilesUnknown,
    /// Too few files may be open.
    FilesFew {
        /// How many may be.
        limit: u64,
        /// How many the limits of connections need.
        wanted: u64,
    },
    /// The buffers of media are as large as wanted.
    BufferLarge(u64),
    /// The system does not say how large buffers may be.
    BufferUnknown,
    /// The buffers of media are smaller than wanted.
    BufferSmall {
        /// Bytes that the kernel allows.
        bytes: u64,
        /// Bytes that are wanted.
        wanted: u64,
    },
}

impl Diagnosis {
    /// The check that found it.
    pub fn check(&self) -> Check {
        match self {
            Self::ServerAnswers | Self::ServerAlone | Self::ServerSilent => Check::Server,
            Self::PortsBound | Self::PortsFree | Self::PortsUnknown | Self::Port { .. } => {
                Check::Ports
            }
            Self::AddressesOffered(_)
            | Self::NoAddress
            | Self::OnlyPrivate(_)
            | Self::WrongAddress { .. }
            | Self::NoWayBack { .. } => Check::Addresses,
            Self::MediaReached(protocol, _)
            | Self::MediaClosed(protocol, _)
            | Self::MediaUnknown(protocol) => match protocol {
                Protocol::Udp => Check::MediaUdp,
                Protocol::Tcp => Check::MediaTcp,
            },
            Self::TurnReached(_)
            | Self::TurnOff
            | Self::TurnUnknown
            | Self::TurnSilent { .. }
            | Self::TurnRefused { .. } => Check::Turn,
            Self::CertificateValid { .. }
            | Self::CertificateNone
            | Self::CertificateNotMade
            | Self::CertificateOrdered
            | Self::OrderFailed { .. }
            | Self::CertificateUnusable(_)
            | Self::CertificateExpired { .. }
            | Self::CertificateTooNew(_)
            | Self::CertificateEnds { .. }
            | Self::CertificateMisses { .. } => Check::Certificate,
            Self::NamesLeadHere(_)
            | Self::NoNames
            | Self::NameUnknown(_)
            | Self::NameElsewhere { .. } => Check::Names,
            Self::SiteReached(_)
            | Self::NoSite
            | Self::SiteSilent { .. }
            | Self::SiteElsewhere { .. } => Check::Site,
            Self::WebSocketOpens
            | Self::WebSocketUnknown
            | Self::NoUpgrade(_)
            | Self::WebSocketRefused { .. } => Check::WebSocket,
            Self::ProxyTrusted(_)
            | Self::NoProxy
            | Self::ProxyUntrusted(_)
            | Self::ProxySilent(_) => Check::Proxy,
            Self::ClockRight
            | Self::ClockUnknown
            | Self::AuthoritySilent { .. }
            | Self::ClockOff(_) => Check::Clock,
            Self::DiskFree(_)
            | Self::DiskUnknown
            | Self::DiskFull { .. }
            | Self::DiskLow { .. } => Check::Disk,
            Self::DatabaseSound
            | Self::DatabaseUnfinished
            | Self::DatabaseNone
            | Self::DatabaseDamaged(_)
            | Self::DatabaseFails(_)
            | Self::DirectoryRefused { .. } => Check::Database,
            Self::KeptFilesThere(_)
            | Self::KeptFilesUnfinished(_)
            | Self::KeptFilesNone
            | Self::KeptFilesUnknown
            | Self::KeptFilesMissing { .. } => Check::KeptFiles,
            Self::FilesEnough(_) | Self::FilesUnknown | Self::FilesFew { .. } => Check::OpenFiles,
            Self::BufferLarge(_) | Self::BufferUnknown | Self::BufferSmall { .. } => {
                Check::ReceiveBuffer
            }
        }
    }

    /// How the check ended.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::ServerAnswers
            | Self::PortsBound
            | Self::PortsFree
            | Self::AddressesOffered(_)
            | Self::MediaReached(..)
            | Self::TurnReached(_)
            | Self::CertificateValid { .. }
            | Self::NamesLeadHere(_)
            | Self::SiteReached(_)
            | Self::WebSocketOpens
            | Self::ProxyTrusted(_)
            | Self::ClockRight
            | Self::DiskFree(_)
            | Self::DatabaseSound
            | Self::DatabaseUnfinished
            | Self::KeptFilesThere(_)
            | Self::KeptFilesUnfinished(_)
            | Self::FilesEnough(_)
            | Self::BufferLarge(_) => Outcome::Ok,
            Self::ServerAlone
            | Self::PortsUnknown
            | Self::MediaUnknown(_)
            | Self::TurnOff
            | Self::TurnUnknown
            | Self::CertificateNone
            | Self::CertificateNotMade
            | Self::CertificateOrdered
            | Self::NoNames
            | Self::NoSite
            | Self::WebSocketUnknown
            | Self::NoProxy
            | Self::ClockUnknown
            | Self::DiskUnknown
            | Self::DatabaseNone
            | Self::KeptFilesNone
            | Self::KeptFilesUnknown
            | Self::FilesUnknown
            | Self::BufferUnknown => Outcome::NotApplicable,
            Self::ServerSilent
            | Self::Port {
                is_optional: true, ..
            }
            | Self::NoWayBack { .. }
            | Self::OrderFailed {
                is_served: true, ..
            }
            | Self::CertificateEnds { .. }
            | Self::AuthoritySilent { .. }
            | Self::DiskLow { .. }
            | Self::FilesFew { .. }
            | Self::BufferSmall { .. } => Outcome::Warning,
            Self::Port { .. }
            | Self::NoAddress
            | Self::OnlyPrivate(_)
            | Self::WrongAddress { .. }
            | Self::MediaClosed(..)
            | Self::TurnSilent { .. }
            | Self::TurnRefused { .. }
            | Self::OrderFailed { .. }
            | Self::CertificateUnusable(_)
            | Self::CertificateExpired { .. }
            | Self::CertificateTooNew(_)
            | Self::CertificateMisses { .. }
            | Self::NameUnknown(_)
            | Self::NameElsewhere { .. }
            | Self::SiteSilent { .. }
            | Self::SiteElsewhere { .. }
            | Self::NoUpgrade(_)
            | Self::WebSocketRefused { .. }
            | Self::ProxyUntrusted(_)
            | Self::ProxySilent(_)
            | Self::ClockOff(_)
            | Self::DiskFull { .. }
            | Self::DatabaseDamaged(_)
            | Self::DatabaseFails(_)
            | Self::DirectoryRefused { .. }
            | Self::KeptFilesMissing { .. } => Outcome::Failed,
        }
    }
}
