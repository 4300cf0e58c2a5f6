//! Turns facts into what the operator reads: a pure function.

use super::{
    check::{CertificateSource, Diagnosis, Protocol},
    facts::{
        Arrival, CertificateFact, ClockFact, DatabaseFact, DiskFact, Facts, KeptFilesFact,
        MediaFact, ServerState, SiteAnswer, SiteFact, TurnResult,
    },
};
use crate::server::{
    store::Integrity,
    tls::{CertificateFacts, is_private},
};
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};
use time::OffsetDateTime;

/// Remaining days below which a certificate that somebody has to renew ends soon. 14: renewals are
/// due at 30, so one or two were missed.
const ENDS_SOON_DAYS: u64 = 14;
/// Difference of the clocks that is reported, in seconds. 60: credentials of TURN last five minutes,
/// and an answer may be some seconds old.
const CLOCK_TOLERANCE_S: u64 = 60;
/// Free bytes beyond the least below which the disk is nearly full. 256 MiB: a family's year.
const LOW_BYTES: u64 = 256 * 1024 * 1024;
/// Buffer of a media socket that is enough, in bytes. 2 MiB: a quarter of a second of 64 Mbit/s.
const ENOUGH_BUFFER: u64 = 2 * 1024 * 1024;
/// Buffer that media sockets ask for, in bytes.
const WANTED_BUFFER: u64 = 8 * 1024 * 1024;
/// A day in seconds.
const DAY_S: u64 = 24 * 60 * 60;

/// Judges the facts. Every check has at least one result.
pub fn judge(facts: &Facts) -> Vec<Diagnosis> {
    let mut found = vec![match facts.server {
        ServerState::Running => Diagnosis::ServerAnswers,
        ServerState::Alone => Diagnosis::ServerAlone,
        ServerState::Silent => Diagnosis::ServerSilent,
    }];
    found.extend(ports(facts));
    let unreached = unreached(&facts.media, &facts.own);
    found.extend(addresses(facts, &unreached));
    found.extend(media(facts, &unreached, Protocol::Udp));
    found.extend(media(facts, &unreached, Protocol::Tcp));
    found.extend(turn(facts, &unreached));
    found.extend(certificate(facts));
    found.extend(names(facts));
    found.extend(site(facts.site.as_ref()));
    found.push(clock(&facts.clock));
    found.push(disk(&facts.disk));
    found.push(database(&facts.database));
    found.push(kept_files(facts.kept_files.as_ref()));
    found.push(match facts.open_files {
        None => Diagnosis::FilesUnknown,
        Some(limit) if limit < facts.wanted_files => Diagnosis::FilesFew {
            limit,
            wanted: facts.wanted_files,
        },
        Some(limit) => Diagnosis::FilesEnough(limit),
    });
    found.push(match facts.receive_buffer {
        None => Diagnosis::BufferUnknown,
        Some(bytes) if bytes < ENOUGH_BUFFER => Diagnosis::BufferSmall {
            bytes,
            wanted: WANTED_BUFFER,
        },
        Some(bytes) => Diagnosis::BufferLarge(bytes),
    });
    found
}

/// The addresses that cannot be bound.
fn ports(facts: &Facts) -> Vec<Diagnosis> {
    if facts.ports.is_empty() {
        return vec![match facts.server {
            ServerState::Running => Diagnosis::PortsBound,
            ServerState::Alone => Diagnosis::PortsFree,
            ServerState::Silent => Diagnosis::PortsUnknown,
        }];
    }
    let ports = facts.ports.iter().cloned();
    let ports = ports.map(|port| Diagnosis::Port {
        setting: port.setting,
        address: port.address,
        problem: port.problem,
        is_optional: port.is_optional,
    });
    ports.collect()
}

/// The offered addresses that no interface has and through which nothing came back.
fn unreached(media: &[MediaFact], own: &[IpAddr]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for fact in media {
        let ip = fact.address.ip();
        let is_silent = |fact: &MediaFact| fact.address.ip() != ip || !(fact.udp || fact.tcp);
        if !own.contains(&ip) && !found.contains(&ip) && media.iter().all(is_silent) {
            found.push(ip);
        }
    }
    found
}

/// The addresses at which browsers are told to reach media.
fn addresses(facts: &Facts, unreached: &[IpAddr]) -> Vec<Diagnosis> {
    if facts.offered.is_empty() {
        return vec![Diagnosis::NoAddress];
    }
    let leading = |ip: &IpAddr| facts.names.iter().find(|name| name.found.contains(ip));
    let public = facts.names.iter().flat_map(|name| &name.found);
    let public = public.copied().find(|ip| !is_private(*ip));
    let mut found: Vec<_> = unreached
        .iter()
        .map(|ip| match leading(ip) {
            Some(name) => Diagnosis::NoWayBack {
                address: *ip,
                name: name.name.clone(),
            },
            None => Diagnosis::WrongAddress {
                address: *ip,
                better: public.or_else(|| better(&facts.own)),
            },
        })
        .collect();
    let only_private = facts.offered.iter().all(|ip| is_private(*ip));
    if let Some(public) = public.filter(|_| only_private) {
        found.push(Diagnosis::OnlyPrivate(public));
    }
    if found.is_empty() {
        found.push(Diagnosis::AddressesOffered(facts.offered.clone()));
    }
    found
}

/// The address of this machine that others reach best.
fn better(own: &[IpAddr]) -> Option<IpAddr> {
    let mut useful = own.iter().copied().filter(|ip| !ip.is_loopback());
    let public = useful.clone().find(|ip| !is_private(*ip));
    public.or_else(|| useful.next())
}

/// Whether a protocol reaches the media ports.
fn media(facts: &Facts, unreached: &[IpAddr], protocol: Protocol) -> Vec<Diagnosis> {
    let tried = facts.media.iter();
    let tried = tried.filter(|fact| !unreached.contains(&fact.address.ip()));
    let (reached, closed): (Vec<&MediaFact>, Vec<_>) = tried.partition(|fact| match protocol {
        Protocol::Udp => fact.udp,
        Protocol::Tcp => fact.tcp,
    });
    if !closed.is_empty() {
        let closed = closed.into_iter();
        return closed
            .map(|fact| Diagnosis::MediaClosed(protocol, fact.address))
            .collect();
    }
    let reached: Vec<_> = reached.into_iter().map(|fact| fact.address).collect();
    vec![match reached.is_empty() {
        true => Diagnosis::MediaUnknown(protocol),
        false => Diagnosis::MediaReached(protocol, reached),
    }]
}

/// Whether TURN makes allocations.
fn turn(facts: &Facts, unreached: &[IpAddr]) -> Vec<Diagnosis> {
    let Some(turn) = &facts.turn else {
        return vec![Diagnosis::TurnOff];
    };
    let tried = turn
        .iter()
        .filter(|fact| fact.ip.is_none_or(|ip| !unreached.contains(&ip)));
    let tried: Vec<_> = tried.collect();
    let wrong = tried.iter().filter_map(|fact| match fact.result {
        TurnResult::Allocated => None,
        TurnResult::Silent => Some(Diagnosis::TurnSilent {
            url: fact.url.clone(),
            port: fact.port,
            protocol: fact.protocol,
        }),
        TurnResult::Refused(code) => Some(Diagnosis::TurnRefused {
            url: fact.url.clone(),
            code,
        }),
    });
    let wrong: Vec<_> = wrong.collect();
    match (wrong.is_empty(), tried.len()) {
        (false, _) => wrong,
        (true, 0) => vec![Diagnosis::TurnUnknown],
        (true, reached) => vec![Diagnosis::TurnReached(reached)],
    }
}

/// The certificate that browsers see.
fn certificate(facts: &Facts) -> Vec<Diagnosis> {
    let (source, certificate, is_temporary, failure) = match &facts.certificate {
        CertificateFact::None => return vec![Diagnosis::CertificateNone],
        CertificateFact::NotMade => return vec![Diagnosis::CertificateNotMade],
        CertificateFact::Unusable(reason) => {
            return vec![Diagnosis::CertificateUnusable(reason.clone())];
        }
        CertificateFact::InUse {
            source,
            facts,
            is_temporary,
            failure,
        } => (*source, facts, *is_temporary, failure),
    };
    let failure = failure.clone().map(|reason| Diagnosis::OrderFailed {
        reason,
        is_served: !is_temporary,
    });
    if is_temporary {
        return vec![failure.unwrap_or(Diagnosis::CertificateOrdered)];
    }
    let left = certificate.remaining(facts.now);
    let days = left.as_secs() / DAY_S;
    let mut found: Vec<_> = failure.into_iter().collect();
    if left.is_zero() {
        found.push(Diagnosis::CertificateExpired {
            day: day(certificate.not_after),
            source,
        });
    } else if facts.now < certificate.not_before {
        found.push(Diagnosis::CertificateTooNew(day(certificate.not_before)));
    } else if days < ENDS_SOON_DAYS
        && matches!(source, CertificateSource::Files | CertificateSource::Proxy)
    {
        // The server renews the others by itself; a failed order is reported.
        found.push(Diagnosis::CertificateEnds { days, source });
    }
    let names = facts.names.iter().map(|name| &name.name);
    let missing = names.filter(|name| !covers(certificate, name));
    found.extend(missing.map(|name| Diagnosis::CertificateMisses {
        name: name.clone(),
        source,
    }));
    if found.is_empty() {
        found.push(Diagnosis::CertificateValid {
            names: certificate.names.join(", "),
            days,
        });
    }
    found
}

/// Whether a certificate is for a name, which a wildcard may cover in its first label
/// (RFC 6125, 6.4.3).
fn covers(certificate: &CertificateFacts, name: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    let wildcard = parent.map(|parent| format!("*.{parent}"));
    certificate.covers(name) || wildcard.is_some_and(|wildcard| certificate.covers(&wildcard))
}

/// A time as a day in UTC.
fn day(at: SystemTime) -> String {
    let seconds = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds);
    let date = at.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}")
}

/// Where the names of the server lead.
fn names(facts: &Facts) -> Vec<Diagnosis> {
    if facts.names.is_empty() {
        return vec![Diagnosis::NoNames];
    }
    let here =
        |ip: &IpAddr| ip.is_loopback() || facts.own.contains(ip) || facts.offered.contains(ip);
    // A request to a name that came back here has shown where the name leads, by whatever router.
    let arrived = facts.site.as_ref().filter(|site| {
        let answer = site.answer.as_ref();
        answer.is_ok_and(|answer| answer.arrival.is_some())
    });
    let arrived = arrived.and_then(|site| site.name.as_deref());
    let wrong = facts.names.iter().filter_map(|name| {
        let (first, elsewhere) = match name.found.first() {
            None => return Some(Diagnosis::NameUnknown(name.name.clone())),
            Some(first) => (*first, !name.found.iter().any(here)),
        };
        (elsewhere && arrived != Some(name.name.as_str())).then(|| Diagnosis::NameElsewhere {
            name: name.name.clone(),
            found: first,
            own: better(&facts.offered).or_else(|| better(&facts.own)),
        })
    });
    let wrong: Vec<_> = wrong.collect();
    match wrong.is_empty() {
        false => wrong,
        true => {
            let names: Vec<_> = facts.names.iter().map(|name| name.name.as_str()).collect();
            vec![Diagnosis::NamesLeadHere(names.join(", "))]
        }
    }
}

/// Whether the public address leads here, whether WebSockets open there, and what a proxy tells.
fn site(site: Option<&SiteFact>) -> [Diagnosis; 3] {
    let unknown = |site| [site, Diagnosis::WebSocketUnknown, Diagnosis::NoProxy];
    let Some(site) = site else {
        return unknown(Diagnosis::NoSite);
    };
    let url = site.url.clone();
    let answer = match &site.answer {
        Ok(answer) => answer,
        Err(reason) => {
            let reason = reason.clone();
            return unknown(Diagnosis::SiteSilent { url, reason });
        }
    };
    let Some(arrival) = answer.arrival else {
        return unknown(Diagnosis::SiteElsewhere {
            url,
            status: answer.status,
            port: site.port,
        });
    };
    let socket = match (answer.socket_status, answer.has_upgrade) {
        (101, _) => Diagnosis::WebSocketOpens,
        (_, false) => Diagnosis::NoUpgrade(url.clone()),
        (status, true) => Diagnosis::WebSocketRefused {
            url: url.clone(),
            status,
        },
    };
    [Diagnosis::SiteReached(url), socket, proxy(answer, &arrival)]
}

/// What a proxy before the server tells about clients.
fn proxy(answer: &SiteAnswer, arrival: &Arrival) -> Diagnosis {
    let peer = arrival.peer.ip();
    // A router that translates addresses changes the sender and ends neither TLS nor HTTP.
    let ends_tls = answer.is_tls && !arrival.is_encrypted;
    let is_other_connection = arrival.peer != answer.sent_from;
    let is_proxy = arrival.has_forwarding || ends_tls || !answer.has_upgrade;
    match (is_proxy && is_other_connection, arrival.has_forwarding) {
        (false, _) => Diagnosis::NoProxy,
        (true, false) => Diagnosis::ProxySilent(peer),
        (true, true) if arrival.is_trusted => Diagnosis::ProxyTrusted(peer),
        (true, true) => Diagnosis::ProxyUntrusted(peer),
    }
}

/// The clock, compared with that of the authority.
fn clock(clock: &ClockFact) -> Diagnosis {
    let (theirs, ours) = match clock {
        ClockFact::NoAuthority => return Diagnosis::ClockUnknown,
        ClockFact::Silent { host, reason } => {
            return Diagnosis::AuthoritySilent {
                host: host.clone(),
                reason: reason.clone(),
            };
        }
        ClockFact::Date { theirs, ours } => (*theirs, *ours),
    };
    let seconds = |ahead: Duration| i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
    let ahead = match ours.duration_since(theirs) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    };
    match ahead.unsigned_abs() > CLOCK_TOLERANCE_S {
        true => Diagnosis::ClockOff(ahead),
        false => Diagnosis::ClockRight,
    }
}

/// The free space of the data directory.
fn disk(disk: &DiskFact) -> Diagnosis {
    let directory = disk.directory.display().to_string();
    match disk.free {
        None => Diagnosis::DiskUnknown,
        Some(free) if free < disk.least => Diagnosis::DiskFull {
            free,
            least: disk.least,
            directory,
        },
        Some(free) if free < disk.least.saturating_add(LOW_BYTES) => {
            Diagnosis::DiskLow { free, directory }
        }
        Some(free) => Diagnosis::DiskFree(free),
    }
}

/// The state of the database.
fn database(database: &DatabaseFact) -> Diagnosis {
    match database {
        DatabaseFact::Missing => Diagnosis::DatabaseNone,
        DatabaseFact::Refused(reason) => {
            let (reason, remedy) = reason.split_once("; ").unwrap_or((reason, reason));
            Diagnosis::DirectoryRefused {
                reason: reason.to_owned(),
                remedy: remedy.to_owned(),
            }
        }
        DatabaseFact::Fails(reason) => Diagnosis::DatabaseFails(reason.clone()),
        DatabaseFact::Checked(Integrity::Sound) => Diagnosis::DatabaseSound,
        DatabaseFact::Checked(Integrity::Unfinished) => Diagnosis::DatabaseUnfinished,
        DatabaseFact::Checked(Integrity::Damaged(finding)) => {
            Diagnosis::DatabaseDamaged(finding.clone())
        }
    }
}

/// The content of kept files.
fn kept_files(fact: Option<&KeptFilesFact>) -> Diagnosis {
    let Some(KeptFilesFact { directory, check }) = fact else {
        return Diagnosis::KeptFilesUnknown;
    };
    match &check.missing[..] {
        [] if !check.is_finished => Diagnosis::KeptFilesUnfinished(check.found),
        [] if check.found == 0 => Diagnosis::KeptFilesNone,
        [] => Diagnosis::KeptFilesThere(check.found),
        [first, ..] => Diagnosis::KeptFilesMissing {
            missing: check.missing.len() as u64,
            example: first.display().to_string(),
            directory: directory.display().to_string(),
        },
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
