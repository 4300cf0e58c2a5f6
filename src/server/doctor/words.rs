//! The words of a report, in the language of its reader.

use super::check::{CertificateSource, Check, Diagnosis, Outcome, PortProblem, Protocol};
use crate::{
    i18n::{Locale, td_string},
    server::disk::size,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How the check ended.
    pub outcome: Outcome,
    /// What was found.
    pub sentence: String,
    /// What mends it; nothing where all is well.
    pub remedy: Option<String>,
}

impl Finding {
    /// The words for a diagnosis.
    pub fn new(locale: Locale, diagnosis: &Diagnosis) -> Self {
        let (sentence, remedy) = words(locale, diagnosis);
        Self {
            check: diagnosis.check(),
            outcome: diagnosis.outcome(),
            sentence,
            remedy,
        }
    }
}

/// Words of the namespace `doctor`.
macro_rules! say {
    ($locale:expr, $key:ident $(, $name:ident = $value:expr)*) => {
        td_string!($locale, doctor.$key $(, $name = $value)*).to_string()
    };
}

/// The name of a check.
pub fn check_name(locale: Locale, check: Check) -> &'static str {
    match check {
        Check::Server => td_string!(locale, doctor.check_server),
        Check::Ports => td_string!(locale, doctor.check_ports),
        Check::Addresses => td_string!(locale, doctor.check_addresses),
        Check::MediaUdp => td_string!(locale, doctor.check_media_udp),
        Check::MediaTcp => td_string!(locale, doctor.check_media_tcp),
        Check::Turn => td_string!(locale, doctor.check_turn),
        Check::Certificate => td_string!(locale, doctor.check_certificate),
        Check::Names => td_string!(locale, doctor.check_names),
        Check::Site => td_string!(locale, doctor.check_site),
        Check::WebSocket => td_string!(locale, doctor.check_web_socket),
        Check::Proxy => td_string!(locale, doctor.check_proxy),
        Check::Clock => td_string!(locale, doctor.check_clock),
        Check::Disk => td_string!(locale, doctor.check_disk),
        Check::Database => td_string!(locale, doctor.check_database),
        Check::KeptFiles => td_string!(locale, doctor.check_kept_files),
        Check::OpenFiles => td_string!(locale, doctor.check_open_files),
        Check::ReceiveBuffer => td_string!(locale, doctor.check_receive_buffer),
    }
}

/// The name of an outcome.
pub fn outcome_name(locale: Locale, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => td_string!(locale, doctor.ok),
        Outcome::NotApplicable => td_string!(locale, doctor.not_applicable),
        Outcome::Warning => td_string!(locale, doctor.warning),
        Outcome::Failed => td_string!(locale, doctor.failed),
    }
}

/// Values in one text.
fn list<T: ToString>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(T::to_string).collect();
    values.join(", ")
}

/// What opens a port of this machine's firewall.
fn open_port(locale: Locale, port: u16, protocol: Protocol) -> String {
    say!(
        locale,
        open_port_fix,
        port = port,
        protocol = protocol.name()
    )
}

/// The words about an address that cannot be bound.
fn port(
    locale: Locale,
    setting: &'static str,
    address: SocketAddr,
    problem: &PortProblem,
) -> (String, String) {
    let port = address.port();
    match problem {
        PortProblem::Taken => (
            say!(locale, port_taken, setting = setting, address = address),
            say!(locale, port_taken_fix, setting = setting, port = port),
        ),
        PortProblem::Forbidden => (
            say!(locale, port_forbidden, setting = setting, address = address),
            say!(locale, port_forbidden_fix),
        ),
        PortProblem::NotHere => (
            say!(locale, port_not_here, setting = setting, address = address),
            say!(locale, port_not_here_fix, setting = setting, port = port),
        ),
        PortProblem::Other(reason) => (
            say!(
                locale,
                port_other,
                setting = setting,
                address = address,
                reason = reason.as_str()
            ),
            say!(locale, port_other_fix, setting = setting),
        ),
    }
}

/// What renews a certificate.
fn renew(locale: Locale, source: CertificateSource) -> String {
    match source {
        CertificateSource::Files => say!(locale, renew_files_fix),
        CertificateSource::Acme => say!(locale, renew_acme_fix),
        CertificateSource::Local => say!(locale, renew_local_fix),
        CertificateSource::Proxy => say!(locale, renew_proxy_fix),
    }
}

/// What gives a certificate another name.
fn rename(locale: Locale, source: CertificateSource, name: &str) -> String {
    match source {
        CertificateSource::Files => say!(locale, misses_files_fix, name = name),
        CertificateSource::Acme => say!(locale, misses_acme_fix, name = name),
        CertificateSource::Local => say!(locale, misses_local_fix, name = name),
        CertificateSource::Proxy => say!(locale, misses_proxy_fix, name = name),
    }
}

/// The sentence of a diagnosis, and what mends it.
fn words(locale: Locale, diagnosis: &Diagnosis) -> (String, Option<String>) {
    let well = |sentence| (sentence, None);
    let ill = |sentence, remedy| (sentence, Some(remedy));
    match diagnosis {
        Diagnosis::ServerAnswers => well(say!(locale, server_answers)),
        Diagnosis::ServerAlone => well(say!(locale, server_alone)),
        Diagnosis::ServerSilent => {
            ill(say!(locale, server_silent), say!(locale, server_silent_fix))
        }
        Diagnosis::PortsBound => well(say!(locale, ports_bound)),
        Diagnosis::PortsFree => well(say!(locale, ports_free)),
        Diagnosis::PortsUnknown => well(say!(locale, ports_unknown)),
        Diagnosis::Port {
            setting,
            address,
            problem,
            ..
        } => {
            let (sentence, remedy) = port(locale, setting, *address, problem);
            ill(sentence, remedy)
        }
        Diagnosis::AddressesOffered(addresses) => {
            well(say!(locale, addresses_offered, addresses = list(addresses)))
        }
        Diagnosis::NoAddress => ill(say!(locale, no_address), say!(locale, no_address_fix)),
        Diagnosis::OnlyPrivate(address) => ill(
            say!(locale, only_private, address = *address),
            say!(locale, only_private_fix, address = *address),
        ),
        Diagnosis::WrongAddress { address, better } => ill(
            say!(locale, wrong_address, address = *address),
            match better {
                Some(better) => say!(locale, wrong_address_better_fix, better = *better),
                None => say!(locale, wrong_address_fix, address = *address),
            },
        ),
        Diagnosis::NoWayBack { address, name } => ill(
            say!(
                locale,
                no_way_back,
                address = *address,
                name = name.as_str()
            ),
            say!(locale, no_way_back_fix),
        ),
        Diagnosis::MediaReached(protocol, addresses) => well(match protocol {
            Protocol::Udp => say!(locale, media_udp_reached, addresses = list(addresses)),
            Protocol::Tcp => say!(locale, media_tcp_reached, addresses = list(addresses)),
        }),
        Diagnosis::MediaClosed(protocol, address) => ill(
            match protocol {
                Protocol::Udp => say!(locale, media_udp_closed, address = *address),
                Protocol::Tcp => say!(locale, media_tcp_closed, address = *address),
            },
            open_port(locale, address.port(), *protocol),
        ),
        Diagnosis::MediaUnknown(_) => well(say!(locale, media_unknown)),
        Diagnosis::TurnReached(count) => well(say!(locale, turn_reached, count = *count)),
        Diagnosis::TurnOff => well(say!(locale, turn_off)),
        Diagnosis::TurnUnknown => well(say!(locale, turn_unknown)),
        Diagnosis::TurnSilent {
            url,
            port,
            protocol,
        } => ill(
            say!(locale, turn_silent, url = url.as_str()),
            open_port(locale, *port, *protocol),
        ),
        Diagnosis::TurnRefused { url, code } => ill(
            say!(locale, turn_refused, url = url.as_str(), code = *code),
            say!(locale, turn_refused_fix),
        ),
        Diagnosis::CertificateValid { names, days } => well(say!(
            locale,
            certificate_valid,
            names = names.as_str(),
            days = *days
        )),
        Diagnosis::CertificateNone => well(say!(locale, certificate_none)),
        Diagnosis::CertificateNotMade => well(say!(locale, certificate_not_made)),
        Diagnosis::CertificateOrdered => well(say!(locale, certificate_ordered)),
        Diagnosis::OrderFailed { reason, .. } => ill(
            say!(locale, order_failed, reason = reason.as_str()),
            say!(locale, order_failed_fix),
        ),
        Diagnosis::CertificateUnusable(reason) => ill(
            say!(locale, certificate_unusable, reason = reason.as_str()),
            say!(locale, certificate_unusable_fix),
        ),
        Diagnosis::CertificateExpired { day, source } => ill(
            say!(locale, certificate_expired, day = day.as_str()),
            renew(locale, *source),
        ),
        Diagnosis::CertificateTooNew(day) => ill(
            say!(locale, certificate_too_new, day = day.as_str()),
            say!(locale, certificate_too_new_fix),
        ),
        Diagnosis::CertificateEnds { days, source } => ill(
            say!(locale, certificate_ends, days = *days),
            renew(locale, *source),
        ),
        Diagnosis::CertificateMisses { name, source } => ill(
            say!(locale, certificate_misses, name = name.as_str()),
            rename(locale, *source, name),
        ),
        Diagnosis::NamesLeadHere(names) => {
            well(say!(locale, names_lead_here, names = names.as_str()))
        }
        Diagnosis::NoNames => well(say!(locale, no_names)),
        Diagnosis::NameUnknown(name) => ill(
            say!(locale, name_unknown, name = name.as_str()),
            say!(locale, name_unknown_fix, name = name.as_str()),
        ),
        Diagnosis::NameElsewhere { name, found, own } => ill(
            say!(locale, name_elsewhere, name = name.as_str(), found = *found),
            match own {
                Some(own) => say!(locale, name_elsewhere_fix, name = name.as_str(), own = *own),
                None => say!(locale, name_elsewhere_unknown_fix, name = name.as_str()),
            },
        ),
        Diagnosis::SiteReached(url) => well(say!(locale, site_reached, url = url.as_str())),
        Diagnosis::NoSite => well(say!(locale, no_site)),
        Diagnosis::SiteSilent { url, reason } => ill(
            say!(
                locale,
                site_silent,
                url = url.as_str(),
                reason = reason.as_str()
            ),
            say!(locale, site_silent_fix, url = url.as_str()),
        ),
        Diagnosis::SiteElsewhere { url, status, port } => ill(
            say!(locale, site_elsewhere, url = url.as_str(), status = *status),
            say!(locale, site_elsewhere_fix, url = url.as_str(), port = *port),
        ),
        Diagnosis::WebSocketOpens => well(say!(locale, web_socket_opens)),
        Diagnosis::WebSocketUnknown => well(say!(locale, web_socket_unknown)),
        Diagnosis::NoUpgrade(url) => ill(
            say!(locale, no_upgrade, url = url.as_str()),
            say!(locale, no_upgrade_fix),
        ),
        Diagnosis::WebSocketRefused { url, status } => ill(
            say!(
                locale,
                web_socket_refused,
                url = url.as_str(),
                status = *status
            ),
            say!(locale, web_socket_refused_fix),
        ),
        Diagnosis::ProxyTrusted(peer) => well(say!(locale, proxy_trusted, peer = *peer)),
        Diagnosis::NoProxy => well(say!(locale, no_proxy)),
        Diagnosis::ProxyUntrusted(peer) => ill(
            say!(locale, proxy_untrusted, peer = *peer),
            say!(locale, proxy_untrusted_fix, peer = *peer),
        ),
        Diagnosis::ProxySilent(peer) => ill(
            say!(locale, proxy_silent, peer = *peer),
            say!(locale, proxy_silent_fix),
        ),
        Diagnosis::ClockRight => well(say!(locale, clock_right)),
        Diagnosis::ClockUnknown => well(say!(locale, clock_unknown)),
        Diagnosis::AuthoritySilent { host, reason } => ill(
            say!(
                locale,
                authority_silent,
                host = host.as_str(),
                reason = reason.as_str()
            ),
            say!(locale, authority_silent_fix, host = host.as_str()),
        ),
        Diagnosis::ClockOff(seconds) => {
            let apart = seconds.unsigned_abs();
            let sentence = match *seconds > 0 {
                true => say!(locale, clock_ahead, seconds = apart),
                false => say!(locale, clock_behind, seconds = apart),
            };
            ill(sentence, say!(locale, clock_off_fix))
        }
        Diagnosis::DiskFree(free) => well(say!(locale, disk_free, free = size(*free))),
        Diagnosis::DiskUnknown => well(say!(locale, disk_unknown)),
        Diagnosis::DiskFull {
            free,
            least,
            directory,
        } => ill(
            say!(
                locale,
                disk_full,
                free = size(*free),
                least = size(*least),
                directory = directory.as_str()
            ),
            say!(locale, disk_fix, directory = directory.as_str()),
        ),
        Diagnosis::DiskLow { free, directory } => ill(
            say!(
                locale,
                disk_low,
                free = size(*free),
                directory = directory.as_str()
            ),
            say!(locale, disk_fix, directory = directory.as_str()),
        ),
        Diagnosis::DatabaseSound => well(say!(locale, database_sound)),
        Diagnosis::DatabaseUnfinished => well(say!(locale, database_unfinished)),
        Diagnosis::DatabaseNone => well(say!(locale, database_none)),
        Diagnosis::DatabaseDamaged(finding) => ill(
            say!(locale, database_damaged, finding = finding.as_str()),
            say!(locale, database_damaged_fix),
        ),
        Diagnosis::DatabaseFails(reason) => ill(
            say!(locale, database_fails, reason = reason.as_str()),
            say!(locale, database_fails_fix),
        ),
        Diagnosis::DirectoryRefused { reason, remedy } => ill(
            say!(locale, directory_refused, reason = reason.as_str()),
            remedy.clone(),
        ),
        Diagnosis::KeptFilesThere(count) => well(say!(locale, kept_files_there, count = *count)),
        Diagnosis::KeptFilesUnfinished(count) => {
            well(say!(locale, kept_files_unfinished, count = *count))
        }
        Diagnosis::KeptFilesNone => well(say!(locale, kept_files_none)),
        Diagnosis::KeptFilesUnknown => well(say!(locale, kept_files_unknown)),
        Diagnosis::KeptFilesMissing {
            missing,
            example,
            directory,
        } => ill(
            say!(
                locale,
                kept_files_missing,
                count = *missing,
                example = example.as_str()
            ),
            say!(
                locale,
                kept_files_missing_fix,
                directory = directory.as_str()
            ),
        ),
        Diagnosis::FilesEnough(limit) => well(say!(locale, files_enough, limit = *limit)),
        Diagnosis::FilesUnknown => well(say!(locale, files_unknown)),
        Diagnosis::FilesFew { limit, wanted } => ill(
            say!(locale, files_few, limit = *limit, wanted = *wanted),
            say!(locale, files_few_fix, wanted = *wanted),
        ),
        Diagnosis::BufferLarge(bytes) => well(say!(locale, buffer_large, size = size(*bytes))),
        Diagnosis::BufferUnknown => well(say!(locale, buffer_unknown)),
        Diagnosis::BufferSmall { bytes, wanted } => ill(
            say!(locale, buffer_small, size = size(*bytes)),
            say!(locale, buffer_small_fix, wanted = *wanted),
        ),
    }
}
