//! Certificates of a local authority, for a server that no public authority can reach.
//!
//! The authority is made once and kept. A device that trusts it trusts the server at every address
//! of its network. The authority is constrained to names and addresses of private networks (RFC
//! 5280, 4.2.1.10), so that its key is worth nothing on the Internet.

use super::{PairError, Served, Storage, served::certified_key, x509::CertificateFacts};
use ipnet::IpNet;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    pki_types::{CertificateDer, pem::PemObject},
    sign::CertifiedKey,
};

/// The name that every self-signed server is reached by on its network.
pub const LOCAL_NAME: &str = "noom.local";
/// Validity of the authority. 10 years: devices are told once to trust it.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// Validity of a certificate. 397 days: browsers refuse more than 825.
const LEAF_LIFE: Duration = Duration::from_secs(397 * 24 * 60 * 60);
/// Remaining validity at which a certificate is made again.
const LEAF_RENEWED_BEFORE: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// How far clocks of devices may be behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Addresses of one certificate. 64: more than a machine has.
const MAX_ADDRESSES: usize = 64;

/// The networks that the authority may sign for: loopback, private (RFC 1918, RFC 4193), shared
/// (RFC 6598) and link-local (RFC 3927, RFC 4291) ones.
const NETWORKS: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
/// The DNS names that the authority may sign for, with everything below them.
const DOMAINS: [&str; 4] = ["local", "localhost", "lan", "internal"];

/// Files in the storage.
const AUTHORITY_FILE: &str = "local-authority.pem";
const LEAF_FILE: &str = "local.pem";

/// Why the local authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file cannot be read or written.
    #[error("{0}")]
    File(#[from] io::Error),
    /// A key or certificate cannot be made or read.
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    /// Certificate and key do not match.
    #[error("{0}")]
    Pair(#[from] PairError),
    /// The stored authority is not text.
    #[error("the stored authority is no PEM text")]
    NotText,
}

/// The local authority, and the certificate of this server.
pub struct LocalAuthority {
    storage: Storage,
    /// The authority's certificate, as PEM.
    certificate: String,
    /// The authority's key.
    issuer: Issuer<'static, KeyPair>,
    /// The certificate in use.
    served: Arc<Served>,
    /// What the certificate in use is for, and when it ends.
    facts: Mutex<Option<CertificateFacts>>,
    /// Names of this machine.
    host_names: Vec<String>,
}

impl LocalAuthority {
    /// Opens the stored authority or makes one, and serves a certificate for these addresses.
    ///
    /// # Errors
    /// A file cannot be read or written, or is malformed.
    pub fn open(
        storage: Storage,
        host_names: Vec<String>,
        addresses: &[IpAddr],
    ) -> Result<Self, LocalError> {
        let (certificate, key) = match storage.read(AUTHORITY_FILE)? {
            Some(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| LocalError::NotText)?;
                let key = KeyPair::from_pem(&text)?;
                (certificate_part(&text).to_owned(), key)
            }
            None => {
                let (certificate, key) = new_authority()?;
                let text = format!("{}{certificate}", key.serialize_pem());
                storage.write(AUTHORITY_FILE, text.as_bytes())?;
                (certificate, key)
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
        let names = names(&host_names, addresses);
        let key = match stored_leaf(&storage, &certificate, &names)? {
            Some(key) => key,
            None => new_leaf(&storage, &issuer, &certificate, &names)?,
        };
        let facts = facts_of(&key);
        Ok(Self {
            storage,
            certificate,
            issuer,
            served: Arc::new(Served::new(key)),
            facts: Mutex::new(facts),
            host_names,
        })
    }

    /// The certificate in use.
    pub fn served(&self) -> &Arc<Served> {
        &self.served
    }

    /// The authority's certificate, as PEM: what a device has to trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The SHA-256 of the authority's certificate as devices show it: bytes in hex, with colons.
    pub fn fingerprint(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let digest = Sha256::digest(der.as_deref().unwrap_or_default());
        let bytes: Vec<_> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Makes a new certificate if the addresses changed or the validity ends soon.
    ///
    /// # Errors
    /// The certificate cannot be made or stored; the one in use stays in use.
    pub fn refresh(&self, addresses: &[IpAddr]) -> Result<(), LocalError> {
        let names = names(&self.host_names, addresses);
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if facts
            .as_ref()
            .is_some_and(|facts| is_current(facts, &names))
        {
            return Ok(());
        }
        let key = new_leaf(&self.storage, &self.issuer, &self.certificate, &names)?;
        *facts = facts_of(&key);
        self.served.replace(key);
        tracing::info!("a new certificate was made for this machine's addresses");
        Ok(())
    }
}

/// Whether the authority may sign for this address.
pub fn is_private(ip: IpAddr) -> bool {
    let mut networks = NETWORKS
        .iter()
        .filter_map(|text| text.parse::<IpNet>().ok());
    networks.any(|network| network.contains(&ip))
}

/// Whether the authority may sign for this DNS name.
fn is_local_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    DOMAINS.contains(&last)
}

/// The names of a certificate, sorted: those of the machine, and its private addresses.
fn names(host_names: &[String], addresses: &[IpAddr]) -> BTreeSet<String> {
    let fixed = [LOCAL_NAME, "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let hosts = host_names
        .iter()
        .filter(|name| is_local_name(name))
        .cloned();
    let private = addresses.iter().filter(|ip| is_private(**ip));
    let addresses = private.take(MAX_ADDRESSES).map(IpAddr::to_string);
    fixed.into_iter().chain(hosts).chain(addresses).collect()
}

/// Whether a certificate is for exactly these names and long enough valid.
fn is_current(facts: &CertificateFacts, names: &BTreeSet<String>) -> bool {
    let known: BTreeSet<_> = facts.names.iter().cloned().collect();
    known == *names && facts.remaining(SystemTime::now()) > LEAF_RENEWED_BEFORE
}

/// Facts of the first certificate of a chain.
fn facts_of(key: &CertifiedKey) -> Option<CertificateFacts> {
    CertificateFacts::read(key.cert.first()?)
}

/// The stored certificate with its key, if it is current and of this authority.
fn stored_leaf(
    storage: &Storage,
    authority: &str,
    names: &BTreeSet<String>,
) -> Result<Option<CertifiedKey>, LocalError> {
    let Some(bytes) = storage.read(LEAF_FILE)? else {
        return Ok(None);
    };
    let of_this_authority = bytes.ends_with(authority.as_bytes());
    let key = certified_key(&bytes, &bytes).ok();
    let current = |key: &CertifiedKey| facts_of(key).is_some_and(|f| is_current(&f, names));
    Ok(key.filter(|key| of_this_authority && current(key)))
}

/// Makes and stores a certificate for these names.
fn new_leaf(
    storage: &Storage,
    issuer: &Issuer<'static, KeyPair>,
    authority: &str,
    names: &BTreeSet<String>,
) -> Result<CertifiedKey, LocalError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = distinguished_name("Noom");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(LEAF_LIFE);
    let leaf = params.signed_by(&key, issuer)?;
    let text = format!("{}{}{authority}", key.serialize_pem(), leaf.pem());
    let certified = certified_key(text.as_bytes(), text.as_bytes())?;
    storage.write(LEAF_FILE, text.as_bytes())?;
    Ok(certified)
}

/// Makes an authority: its certificate as PEM, and its key.
fn new_authority() -> Result<(String, KeyPair), LocalError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A device that knows several servers tells their authorities apart.
    let fingerprint = Sha256::digest(key.public_key_raw());
    let short: String = fingerprint
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = distinguished_name(&format!("Noom local authority {short}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let domains = DOMAINS
        .iter()
        .map(|name| GeneralSubtree::DnsName((*name).to_owned()));
    let networks = NETWORKS
        .iter()
        .filter_map(|text| text.parse::<IpNet>().ok());
    let networks = networks.map(|network| {
        let subnet = CidrSubnet::from_addr_prefix(network.network(), network.prefix_len());
        GeneralSubtree::IpAddress(subnet)
    });
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: domains.chain(networks).collect(),
        excluded_subtrees: Vec::new(),
    });
    (params.not_before, params.not_after) = validity(AUTHORITY_LIFE);
    Ok((params.self_signed(&key)?.pem(), key))
}

/// A distinguished name with a common name alone.
fn distinguished_name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// A validity that begins a day ago.
fn validity(life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = SystemTime::now();
    let start = OffsetDateTime::from(now - CLOCK_TOLERANCE);
    (start, OffsetDateTime::from(now + life))
}

/// The certificate of a text that holds its key before it.
fn certificate_part(text: &str) -> &str {
    let start = text
        .find("-----BEGIN CERTIFICATE-----")
        .unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::aws_lc_rs,
        pki_types::{ServerName, UnixTime},
    };

    fn storage(data: &tempfile::TempDir) -> Storage {
        Storage::open(data.path()).expect("opened")
    }

    fn open(data: &tempfile::TempDir, addresses: &[&str]) -> LocalAuthority {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|ip| ip.parse().expect("an ip"))
            .collect();
        let hosts = vec!["box".to_owned(), "box.local".to_owned()];
        LocalAuthority::open(storage(data), hosts, &addresses).expect("opened")
    }

    /// Whether a device that trusts this authority accepts a chain for `name`.
    fn accepts(authority: &str, chain: &[CertificateDer<'static>], name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("a verifier");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let (leaf, rest) = chain.split_first().expect("a chain");
        verifier
            .verify_server_cert(leaf, rest, &name, &[], UnixTime::now())
            .is_ok()
    }

    #[test]
    fn a_device_that_trusts_the_authority_trusts_the_server_at_its_private_addresses() {
        let data = tempfile::tempdir().expect("a directory");
        let local = open(&data, &["192.168.1.5", "fd00::5", "203.0.113.9"]);
        let chain = local.served().current().cert.clone();
        for name in [
            "192.168.1.5",
            "fd00::5",
            "127.0.0.1",
            "noom.local",
            "box.local",
            "localhost",
        ] {
            assert!(accepts(local.certificate(), &chain, name), "{name}");
        }
        for name in ["203.0.113.9", "192.168.1.6", "box", "example.org"] {
            assert!(!accepts(local.certificate(), &chain, name), "{name}");
        }
    }

    #[test]
    fn the_authority_is_worth_nothing_for_public_names() {
        let data = tempfile::tempdir().expect("a directory");
        let local = open(&data, &[]);
        for name in ["bank.example", "203.0.113.9"] {
            let names = BTreeSet::from([name.to_owned()]);
            let leaf = new_leaf(&local.storage, &local.issuer, local.certificate(), &names);
            let chain = leaf.expect("signed").cert.clone();
            assert!(!accepts(local.certificate(), &chain, name), "{name}");
        }
    }

    #[test]
    fn a_restart_keeps_the_authority_and_the_certificate() {
        let data = tempfile::tempdir().expect("a directory");
        let (first, second) = (open(&data, &["10.0.0.1"]), open(&data, &["10.0.0.1"]));
        assert_eq!(first.certificate(), second.certificate());
        let chain = |local: &LocalAuthority| local.served().current().cert.clone();
        assert_eq!(chain(&first), chain(&second));
    }

    #[test]
    fn a_new_address_gets_a_new_certificate_of_the_same_authority() {
        let data = tempfile::tempdir().expect("a directory");
        let local = open(&data, &["10.0.0.1"]);
        let before = local.served().current().cert.clone();
        local
            .refresh(&["10.0.0.1".parse().expect("an ip")])
            .expect("nothing to do");
        assert_eq!(local.served().current().cert, before);
        local
            .refresh(&["10.0.0.2".parse().expect("an ip")])
            .expect("made");
        let after = local.served().current().cert.clone();
        assert!(accepts(local.certificate(), &after, "10.0.0.2"));
        assert!(!accepts(local.certificate(), &after, "10.0.0.1"));
    }

    #[test]
    fn a_damaged_certificate_is_made_again_and_a_damaged_authority_is_refused() {
        let data = tempfile::tempdir().expect("a directory");
        drop(open(&data, &[]));
        storage(&data)
            .write(LEAF_FILE, b"rubbish")
            .expect("written");
        let local = open(&data, &[]);
        let chain = local.served().current().cert.clone();
        assert!(accepts(local.certificate(), &chain, "noom.local"));
        storage(&data)
            .write(AUTHORITY_FILE, b"rubbish")
            .expect("written");
        assert!(LocalAuthority::open(storage(&data), Vec::new(), &[]).is_err());
    }
}
