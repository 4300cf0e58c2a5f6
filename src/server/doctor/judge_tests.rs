//! Each fault has its own sentence, and a healthy server has none.

use super::*;
use crate::{
    i18n::Locale,
    server::{
        doctor::{
            check::{Check, Outcome, PortProblem},
            facts::{NameFact, PortFact, TurnFact},
            words::Finding,
        },
        store::FilesCheck,
    },
};
use std::{collections::BTreeSet, net::SocketAddr};
use strum::VariantArray;

const HERE: &str = "192.0.2.7";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY_S)
}

/// What was found of kept files: how many are there, which are missing, and whether all were looked up.
fn kept(found: u64, missing: &[&str], is_finished: bool) -> KeptFilesFact {
    KeptFilesFact {
        directory: "/var/lib/noom/files".into(),
        check: FilesCheck {
            found,
            missing: missing.iter().map(Into::into).collect(),
            is_finished,
        },
    }
}

/// The facts of a healthy server behind a trusted proxy.
fn healthy() -> Facts {
    let now = SystemTime::UNIX_EPOCH + days(20_000);
    Facts {
        now,
        server: ServerState::Running,
        ports: Vec::new(),
        offered: vec![ip(HERE)],
        own: vec![ip(HERE), ip("127.0.0.1")],
        media: vec![MediaFact {
            address: at("192.0.2.7:7882"),
            udp: true,
            tcp: true,
        }],
        turn: Some(vec![TurnFact {
            url: "turn:192.0.2.7:3478?transport=udp".to_owned(),
            ip: Some(ip(HERE)),
            port: 3478,
            protocol: Protocol::Udp,
            result: TurnResult::Allocated,
        }]),
        certificate: CertificateFact::InUse {
            source: CertificateSource::Proxy,
            facts: CertificateFacts {
                not_before: now - days(10),
                not_after: now + days(80),
                names: vec!["*.example.org".to_owned()],
            },
            is_temporary: false,
            failure: None,
        },
        names: vec![NameFact {
            name: "meet.example.org".to_owned(),
            found: vec![ip(HERE)],
        }],
        site: Some(SiteFact {
            url: "https://meet.example.org".to_owned(),
            name: Some("meet.example.org".to_owned()),
            port: 3000,
            answer: Ok(SiteAnswer {
                status: 200,
                arrival: Some(Arrival {
                    peer: at("127.0.0.1:5000"),
                    has_upgrade: false,
                    has_forwarding: true,
                    is_trusted: true,
                    is_encrypted: false,
                }),
                sent_from: at("192.0.2.7:6000"),
                is_tls: true,
                socket_status: 101,
                has_upgrade: true,
            }),
        }),
        clock: ClockFact::Date {
            theirs: now,
            ours: now + Duration::from_secs(3),
        },
        disk: DiskFact {
            directory: "/var/lib/noom".into(),
            free: Some(8 << 30),
            least: 2 << 20,
        },
        database: DatabaseFact::Checked(Integrity::Sound),
        kept_files: Some(kept(3, &[], true)),
        open_files: Some(65_536),
        wanted_files: 24_000,
        receive_buffer: Some(8 << 20),
    }
}

/// What is not well about the healthy facts with this change.
fn found(change: impl FnOnce(&mut Facts)) -> Vec<Diagnosis> {
    let mut facts = healthy();
    change(&mut facts);
    let found = judge(&facts);
    let checks: BTreeSet<_> = found.iter().map(Diagnosis::check).collect();
    assert_eq!(
        checks.len(),
        Check::VARIANTS.len(),
        "every check has a result"
    );
    let well = |outcome| matches!(outcome, Outcome::Ok | Outcome::NotApplicable);
    let mut found = found;
    found.retain(|found| !well(found.outcome()));
    for diagnosis in &found {
        for locale in [Locale::en, Locale::ko] {
            let finding = Finding::new(locale, diagnosis);
            assert!(!finding.sentence.is_empty(), "{diagnosis:?}");
            let remedy = finding.remedy.expect("what mends it");
            assert_eq!(remedy.lines().count(), 1, "{remedy}");
        }
    }
    found
}

/// Changes the certificate in use.
fn with_certificate(
    facts: &mut Facts,
    of: CertificateSource,
    change: impl FnOnce(&mut CertificateFacts),
) {
    let CertificateFact::InUse { source, facts, .. } = &mut facts.certificate else {
        panic!("there is one");
    };
    *source = of;
    change(facts);
}

/// Changes what answers at the public address.
fn with_site(facts: &mut Facts, change: impl FnOnce(&mut SiteAnswer)) {
    let site = facts.site.as_mut().expect("there is one");
    change(site.answer.as_mut().expect("answers"));
}

#[test]
fn a_healthy_server_has_no_finding() {
    assert_eq!(found(|_| {}), []);
    let well = judge(&healthy());
    assert!(
        well.iter().all(|found| found.outcome() == Outcome::Ok),
        "{well:?}"
    );
    assert!(
        well.iter()
            .all(|found| Finding::new(Locale::en, found).remedy.is_none())
    );
}

#[test]
fn a_server_with_the_default_settings_on_loopback_has_no_finding() {
    let default = |facts: &mut Facts| {
        facts.server = ServerState::Alone;
        facts.names.clear();
        facts.site = None;
        facts.certificate = CertificateFact::None;
        facts.clock = ClockFact::NoAuthority;
        facts.turn = None;
        facts.disk.free = None;
        facts.database = DatabaseFact::Missing;
    };
    assert_eq!(found(default), []);
}

#[test]
fn closed_udp_and_closed_tcp_have_a_sentence_each() {
    let address = at("192.0.2.7:7882");
    let closed = |protocol| vec![Diagnosis::MediaClosed(protocol, address)];
    let udp = found(|facts| facts.media[0].udp = false);
    assert_eq!(udp, closed(Protocol::Udp));
    let tcp = found(|facts| facts.media[0].tcp = false);
    assert_eq!(tcp, closed(Protocol::Tcp));
    let turn = found(|facts| {
        facts.turn.as_mut().expect("on")[0].result = TurnResult::Silent;
    });
    let url = "turn:192.0.2.7:3478?transport=udp".to_owned();
    let silent = Diagnosis::TurnSilent {
        url: url.clone(),
        port: 3478,
        protocol: Protocol::Udp,
    };
    assert_eq!(turn, [silent]);
    let refused = found(|facts| {
        facts.turn.as_mut().expect("on")[0].result = TurnResult::Refused(508);
    });
    assert_eq!(refused, [Diagnosis::TurnRefused { url, code: 508 }]);
}

#[test]
fn a_wrong_address_is_one_finding_and_not_three() {
    let elsewhere = |facts: &mut Facts| {
        let wrong = "203.0.113.9";
        facts.offered = vec![ip(wrong)];
        facts.media[0] = MediaFact {
            address: at("203.0.113.9:7882"),
            udp: false,
            tcp: false,
        };
        let turn = &mut facts.turn.as_mut().expect("on")[0];
        (turn.ip, turn.result) = (Some(ip(wrong)), TurnResult::Silent);
    };
    let wrong = found(elsewhere);
    let expected = Diagnosis::WrongAddress {
        address: ip("203.0.113.9"),
        better: Some(ip(HERE)),
    };
    assert_eq!(wrong, [expected]);
    // The name of the server leads there: a router may be in between.
    let routed = found(|facts| {
        elsewhere(facts);
        facts.names[0].found = vec![ip("203.0.113.9")];
    });
    let expected = Diagnosis::NoWayBack {
        address: ip("203.0.113.9"),
        name: "meet.example.org".to_owned(),
    };
    assert_eq!(routed, [expected]);
    assert_eq!(found(|facts| facts.offered.clear()), [Diagnosis::NoAddress]);
    let private = found(|facts| {
        facts.offered = vec![ip("10.0.0.5")];
        facts.own = vec![ip("10.0.0.5")];
        facts.media[0].address = at("10.0.0.5:7882");
    });
    assert_eq!(private, [Diagnosis::OnlyPrivate(ip(HERE))]);
}

#[test]
fn a_port_is_taken_forbidden_or_not_of_this_machine() {
    for problem in [
        PortProblem::Taken,
        PortProblem::Forbidden,
        PortProblem::NotHere,
        PortProblem::Other("too hot".to_owned()),
    ] {
        for is_optional in [false, true] {
            let port = PortFact {
                setting: "--listen",
                address: at("0.0.0.0:443"),
                problem: problem.clone(),
                is_optional,
            };
            let expected = Diagnosis::Port {
                setting: port.setting,
                address: port.address,
                problem: problem.clone(),
                is_optional,
            };
            let found = found(|facts| facts.ports.push(port));
            assert_eq!(found.as_slice(), std::slice::from_ref(&expected));
            assert_eq!(expected.outcome() == Outcome::Failed, !is_optional);
        }
    }
}

#[test]
fn a_certificate_expires_ends_soon_is_too_new_or_misses_a_name() {
    use CertificateSource::{Acme, Files, Local, Proxy};
    for source in [Acme, Files, Local, Proxy] {
        let expired = found(|facts| {
            let ended = facts.now - days(1);
            with_certificate(facts, source, |certificate| certificate.not_after = ended);
        });
        let day = "2024-10-03".to_owned();
        assert_eq!(expired, [Diagnosis::CertificateExpired { day, source }]);
        let ends = found(|facts| {
            let soon = facts.now + days(5);
            with_certificate(facts, source, |certificate| certificate.not_after = soon);
        });
        let expected = Diagnosis::CertificateEnds { days: 5, source };
        let is_renewed = matches!(source, Acme | Local);
        assert_eq!(ends, if is_renewed { vec![] } else { vec![expected] });
        let other = found(|facts| {
            with_certificate(facts, source, |certificate| {
                certificate.names = vec!["*.other.org".to_owned(), "example.org".to_owned()];
            });
        });
        let name = "meet.example.org".to_owned();
        assert_eq!(other, [Diagnosis::CertificateMisses { name, source }]);
    }
    let early = found(|facts| {
        let later = facts.now + days(1);
        with_certificate(facts, Files, |certificate| certificate.not_before = later);
    });
    let day = "2024-10-05".to_owned();
    assert_eq!(early, [Diagnosis::CertificateTooNew(day)]);
    let reason = "--tls: \"cert.pem\" cannot be used".to_owned();
    let unusable = found(|facts| facts.certificate = CertificateFact::Unusable(reason.clone()));
    assert_eq!(unusable, [Diagnosis::CertificateUnusable(reason)]);
}

#[test]
fn a_failed_order_is_a_failure_only_without_an_earlier_certificate() {
    for is_served in [false, true] {
        let failed = found(|facts| {
            let CertificateFact::InUse {
                is_temporary,
                failure,
                ..
            } = &mut facts.certificate
            else {
                panic!("there is one");
            };
            (*is_temporary, *failure) = (!is_served, Some("no DNS".to_owned()));
        });
        let reason = "no DNS".to_owned();
        let expected = Diagnosis::OrderFailed { reason, is_served };
        assert_eq!(expected.outcome() == Outcome::Failed, !is_served);
        assert_eq!(failed, [expected]);
    }
}

#[test]
fn a_name_leads_nowhere_or_elsewhere() {
    let name = "meet.example.org".to_owned();
    let unknown = found(|facts| facts.names[0].found.clear());
    assert_eq!(unknown, [Diagnosis::NameUnknown(name.clone())]);
    // The request that came back shows that a router leads it here.
    assert_eq!(
        found(|facts| facts.names[0].found = vec![ip("198.51.100.1")]),
        []
    );
    let elsewhere = found(|facts| {
        facts.names[0].found = vec![ip("198.51.100.1")];
        facts.site = None;
    });
    let expected = Diagnosis::NameElsewhere {
        name,
        found: ip("198.51.100.1"),
        own: Some(ip(HERE)),
    };
    assert_eq!(elsewhere, [expected]);
}

#[test]
fn the_public_address_is_silent_or_leads_elsewhere() {
    let url = || "https://meet.example.org".to_owned();
    let silent = found(|facts| {
        let site = facts.site.as_mut().expect("there is one");
        site.answer = Err("connection refused".to_owned());
    });
    let reason = "connection refused".to_owned();
    assert_eq!(silent, [Diagnosis::SiteSilent { url: url(), reason }]);
    let elsewhere = found(|facts| {
        with_site(facts, |answer| {
            (answer.status, answer.arrival) = (502, None);
        });
    });
    let expected = Diagnosis::SiteElsewhere {
        url: url(),
        status: 502,
        port: 3000,
    };
    assert_eq!(elsewhere, [expected]);
}

#[test]
fn a_proxy_without_upgrade_without_forwarding_or_without_trust_has_a_sentence_each() {
    let url = || "https://meet.example.org".to_owned();
    let peer = ip("127.0.0.1");
    let arrived = |facts: &mut Facts, change: fn(&mut Arrival)| {
        with_site(facts, |answer| {
            change(answer.arrival.as_mut().expect("came"))
        });
    };
    for status in [0, 400, 426] {
        let stripped = found(|facts| {
            with_site(facts, |answer| {
                (answer.socket_status, answer.has_upgrade) = (status, false);
            });
        });
        assert_eq!(stripped, [Diagnosis::NoUpgrade(url())], "{status}");
    }
    let refused = found(|facts| with_site(facts, |answer| answer.socket_status = 403));
    let expected = Diagnosis::WebSocketRefused {
        url: url(),
        status: 403,
    };
    assert_eq!(refused, [expected]);
    let untrusted = found(|facts| arrived(facts, |arrival| arrival.is_trusted = false));
    assert_eq!(untrusted, [Diagnosis::ProxyUntrusted(peer)]);
    let silent = found(|facts| arrived(facts, |arrival| arrival.has_forwarding = false));
    assert_eq!(silent, [Diagnosis::ProxySilent(peer)]);
    // The server itself ends TLS, and a router translates the address.
    let router = found(|facts| {
        arrived(facts, |arrival| {
            (arrival.has_forwarding, arrival.is_encrypted) = (false, true);
        });
    });
    assert_eq!(router, []);
}

#[test]
fn the_clock_may_differ_by_a_minute() {
    let off = |seconds: i64| {
        found(|facts| {
            let apart = Duration::from_secs(seconds.unsigned_abs());
            let ours = match seconds > 0 {
                true => facts.now + apart,
                false => facts.now - apart,
            };
            let theirs = facts.now;
            facts.clock = ClockFact::Date { theirs, ours };
        })
    };
    assert_eq!((off(60), off(-60)), (vec![], vec![]));
    assert_eq!(off(61), [Diagnosis::ClockOff(61)]);
    assert_eq!(off(-3600), [Diagnosis::ClockOff(-3600)]);
    let silent = found(|facts| {
        let (host, reason) = ("acme.example".to_owned(), "refused".to_owned());
        facts.clock = ClockFact::Silent { host, reason };
    });
    assert!(matches!(silent[..], [Diagnosis::AuthoritySilent { .. }]));
}

#[test]
fn a_full_disk_a_damaged_database_and_small_limits_have_a_sentence_each() {
    let directory = || "/var/lib/noom".to_owned();
    let free = |free| found(|facts| facts.disk.free = Some(free));
    let least = 2 << 20;
    let full = Diagnosis::DiskFull {
        free: least - 1,
        least,
        directory: directory(),
    };
    assert_eq!(free(least - 1), [full]);
    let low = Diagnosis::DiskLow {
        free: least,
        directory: directory(),
    };
    assert_eq!(free(least), [low]);
    assert_eq!(free(least + LOW_BYTES), []);
    let of = |database| found(|facts| facts.database = database);
    let finding = || "row 3 missing from index".to_owned();
    let damaged = of(DatabaseFact::Checked(Integrity::Damaged(finding())));
    assert_eq!(damaged, [Diagnosis::DatabaseDamaged(finding())]);
    assert_eq!(of(DatabaseFact::Checked(Integrity::Unfinished)), []);
    let fails = of(DatabaseFact::Fails(finding()));
    assert_eq!(fails, [Diagnosis::DatabaseFails(finding())]);
    let refused = of(DatabaseFact::Refused(
        "others may use it; run: chmod 700 x".to_owned(),
    ));
    let expected = Diagnosis::DirectoryRefused {
        reason: "others may use it".to_owned(),
        remedy: "run: chmod 700 x".to_owned(),
    };
    assert_eq!(refused, [expected]);
    let few = found(|facts| facts.open_files = Some(1024));
    let expected = Diagnosis::FilesFew {
        limit: 1024,
        wanted: 24_000,
    };
    assert_eq!(few, [expected]);
    let small = found(|facts| facts.receive_buffer = Some(212_992));
    let expected = Diagnosis::BufferSmall {
        bytes: 212_992,
        wanted: WANTED_BUFFER,
    };
    assert_eq!(small, [expected]);
    let unknown = found(|facts| (facts.open_files, facts.receive_buffer) = (None, None));
    assert_eq!(unknown, []);
}

#[test]
fn missing_files_have_a_sentence_and_files_that_are_there_have_none() {
    let of = |fact| {
        let mut facts = healthy();
        facts.kept_files = fact;
        let mut found = judge(&facts);
        found.retain(|found| found.check() == Check::KeptFiles);
        found
    };
    let (one, other) = ("/var/lib/noom/files/ab/c", "/var/lib/noom/files/ab/d");
    let missing = Diagnosis::KeptFilesMissing {
        missing: 2,
        example: one.to_owned(),
        directory: "/var/lib/noom/files".to_owned(),
    };
    assert_eq!(of(Some(kept(1, &[one, other], false))), [missing]);
    assert_eq!(of(Some(kept(3, &[], true))), [Diagnosis::KeptFilesThere(3)]);
    let unfinished = Diagnosis::KeptFilesUnfinished(7);
    assert_eq!(of(Some(kept(7, &[], false))), [unfinished]);
    assert_eq!(of(Some(kept(0, &[], true))), [Diagnosis::KeptFilesNone]);
    assert_eq!(of(None), [Diagnosis::KeptFilesUnknown]);
}

#[test]
fn a_server_that_cannot_be_asked_is_a_finding() {
    let silent = found(|facts| facts.server = ServerState::Silent);
    assert_eq!(silent, [Diagnosis::ServerSilent]);
}
