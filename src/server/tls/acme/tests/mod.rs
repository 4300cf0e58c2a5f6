//! Orders and renewals against an authority in this process.

mod authority;

use super::*;
use crate::server::tls::served::certified_key;
use authority::Authority;
use tokio::{sync::watch, time::timeout};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How long a test waits for an expected event before it fails.
const DEADLINE: Duration = Duration::from_secs(20);
const DAY: i64 = 24 * 60 * 60;

/// The server's side: its storage, the certificate in use, and the running task.
struct Subject {
    acme: Arc<Acme>,
    served: Arc<Served>,
    /// Asks for a try at once; dropping it ends the task.
    reload: watch::Sender<u64>,
}

/// A certificate for no name in question.
fn placeholder() -> CertifiedKey {
    let made = rcgen::generate_simple_self_signed(["none.example".to_owned()]).expect("made");
    let secret = made.signing_key.serialize_pem();
    certified_key(made.cert.pem().as_bytes(), secret.as_bytes()).expect("a pair")
}

impl Subject {
    /// Starts the task for these names on this data directory.
    fn start(authority: &Authority, data: &tempfile::TempDir, names: &[CertificateName]) -> Self {
        let options = AcmeOptions {
            names: names.to_vec(),
            directory: authority.directory.clone(),
            email: Some("operator@example.org".to_owned()),
            ca_file: Some(authority.ca_file.clone()),
        };
        let served = Arc::new(Served::new(placeholder()));
        let storage = Storage::open(data.path()).expect("opened");
        let acme = Arc::new(Acme::new(options, storage, served.clone()));
        let (reload, reloads) = watch::channel(0);
        tokio::spawn(
            acme.clone()
                .run(vec![Method::TlsAlpn, Method::Http], reloads),
        );
        Self {
            acme,
            served,
            reload,
        }
    }

    /// The names of the certificate in use.
    fn names(&self) -> Vec<String> {
        let current = self.served.current();
        CertificateFacts::read(&current.cert[0])
            .expect("readable")
            .names
    }

    /// The serial number and all else of the certificate in use.
    fn leaf(&self) -> Vec<u8> {
        self.served.current().cert[0].to_vec()
    }

    /// Tries at once.
    fn try_now(&self) {
        self.reload.send_modify(|count| *count += 1);
    }
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

fn names() -> Vec<CertificateName> {
    let names = ["meet.example", "talk.example"].map(str::to_owned);
    names.map(CertificateName::Dns).to_vec()
}

#[tokio::test]
async fn a_certificate_for_all_names_is_ordered_and_kept_over_a_restart() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    let subject = Subject::start(&authority, &data, &names());
    until("issued", || {
        subject.names() == ["meet.example", "talk.example"]
    })
    .await;
    let order = authority.with(|behaviour| behaviour.orders[0].clone());
    assert_eq!(order["identifiers"][1]["value"], "talk.example");
    assert!(
        order.get("profile").is_none() && order.get("replaces").is_none(),
        "{order}"
    );
    let leaf = subject.leaf();
    drop(subject);
    let restarted = Subject::start(&authority, &data, &names());
    assert_eq!(
        restarted.leaf(),
        leaf,
        "served before any answer of the authority"
    );
    assert!(!restarted.acme.time_until_renewal().await.is_zero());
    assert_eq!(authority.with(|behaviour| behaviour.orders.len()), 1);
}

#[tokio::test]
async fn an_address_is_ordered_with_the_profile_of_short_lived_certificates() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    let ip = "192.0.2.7".parse().expect("an ip");
    let subject = Subject::start(&authority, &data, &[CertificateName::Ip(ip)]);
    until("issued", || subject.names() == ["192.0.2.7"]).await;
    let order = authority.with(|behaviour| behaviour.orders[0].clone());
    assert_eq!(order["profile"], "shortlived");
    assert_eq!(order["identifiers"][0]["type"], "ip");
}

#[tokio::test]
async fn the_window_of_the_authority_decides_when_a_certificate_is_renewed() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    authority.with(|behaviour| behaviour.window = Some([10 * DAY, 11 * DAY]));
    let subject = Subject::start(&authority, &data, &names());
    until("issued", || subject.names().len() == 2).await;
    let first = subject.leaf();
    let wait = subject.acme.time_until_renewal().await;
    assert!(wait > Duration::ZERO, "{wait:?}");
    // The authority revokes: its window is in the past.
    authority.with(|behaviour| behaviour.window = Some([-2 * DAY, -DAY]));
    subject.try_now();
    until("renewed", || subject.leaf() != first).await;
    let orders = authority.with(|behaviour| behaviour.orders.clone());
    assert!(
        orders[1]["replaces"]
            .as_str()
            .is_some_and(|id| id.contains('.')),
        "{orders:?}"
    );
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_and_leaves_the_certificate_in_use() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    authority.with(|behaviour| behaviour.window = Some([10 * DAY, 11 * DAY]));
    let subject = Subject::start(&authority, &data, &names());
    until("issued", || subject.names().len() == 2).await;
    let first = subject.leaf();
    authority.with(|behaviour| {
        behaviour.window = Some([-2 * DAY, -DAY]);
        behaviour.refusal = Some(("rateLimited", 7 * 60 * 60));
    });
    subject.try_now();
    until("refused", || subject.acme.failure().is_some()).await;
    let failure = subject.acme.failure().expect("a failure");
    assert!(
        failure.reason.contains("refused by the test"),
        "{failure:?}"
    );
    assert!(
        failure.wait > Duration::from_secs(6 * 60 * 60),
        "{failure:?}"
    );
    assert_eq!(subject.leaf(), first);
    authority.with(|behaviour| behaviour.refusal = None);
    subject.try_now();
    until("renewed", || subject.leaf() != first).await;
    assert_eq!(subject.acme.failure(), None);
}

#[tokio::test]
async fn a_failed_validation_names_the_host_and_tries_the_other_challenge() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    authority.with(|behaviour| behaviour.invalid = true);
    let subject = Subject::start(&authority, &data, &names());
    until("refused", || subject.acme.failure().is_some()).await;
    let failure = subject.acme.failure().expect("a failure");
    assert!(failure.reason.contains("meet.example: "), "{failure:?}");
    assert!(failure.reason.contains("no such name"), "{failure:?}");
    assert_eq!(authority.with(|behaviour| behaviour.orders.len()), 2);
    assert_eq!(
        subject.names(),
        ["none.example"],
        "the certificate before stays in use"
    );
    assert_eq!(
        subject.acme.tokens().get("dG9rZW4"),
        None,
        "answers are removed"
    );
}

#[tokio::test]
async fn an_account_that_the_authority_lost_is_made_again() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    authority.with(|behaviour| behaviour.refusal = Some(("accountDoesNotExist", 0)));
    let subject = Subject::start(&authority, &data, &names());
    until("refused", || subject.acme.failure().is_some()).await;
    assert_eq!(authority.with(|behaviour| behaviour.accounts), 2);
    authority.with(|behaviour| behaviour.refusal = None);
    subject.try_now();
    until("issued", || subject.names().len() == 2).await;
}

#[tokio::test]
async fn a_further_name_leaves_the_former_certificate_in_use_until_the_order_succeeds() {
    let (authority, data) = (
        Authority::start().await,
        tempfile::tempdir().expect("a directory"),
    );
    let subject = Subject::start(&authority, &data, &names());
    until("issued", || subject.names().len() == 2).await;
    let leaf = subject.leaf();
    drop(subject);
    authority.with(|behaviour| behaviour.invalid = true);
    let more = [
        names(),
        vec![CertificateName::Dns("new.example".to_owned())],
    ]
    .concat();
    let subject = Subject::start(&authority, &data, &more);
    until("refused", || subject.acme.failure().is_some()).await;
    assert_eq!(subject.leaf(), leaf);
}
