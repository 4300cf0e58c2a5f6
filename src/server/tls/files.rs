//! A TLS certificate in PEM files, renewed while the server runs.
//!
//! The server checks the files every minute and on SIGHUP. New handshakes use the renewed
//! certificate; open connections keep theirs. If the new files are unusable, the previous
//! certificate stays in use, and a log line states the reason.

use super::served::{PairError, Served, certified_key};
use crate::server::log_throttle::{HOURLY, LogThrottle};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_rustls::rustls::sign::CertifiedKey;

/// Interval between two checks of the files. 60 s: certificates are renewed days before their
/// expiry.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Paths of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The settings that name the two files, for errors.
    pub settings: [&'static str; 2],
    /// The certificate chain, as PEM.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// The certificate or its key cannot be used. The error names the setting to correct.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: \"{file}\" cannot be used: {reason}")]
pub struct CertificateError {
    /// The setting that names the file.
    setting: &'static str,
    /// Path of the certificate or key, as configured.
    file: String,
    /// The reason, as a clause for the operator.
    reason: String,
}

/// Version of a file: inode, length, and the times of its last changes of content and metadata.
/// Each renewal, and each change of access rights, changes at least one of them.
type Stamp = (u64, u64, [i64; 4]);

/// A certificate, reloaded from its files.
pub struct Certificate {
    /// Paths of the files.
    files: CertificateFiles,
    /// The certificate that new handshakes use.
    served: Arc<Served>,
    /// Versions of the files at the last successful reading. `None` after a failure, so that the
    /// next check reads the files again.
    stamps: Mutex<Option<[Stamp; 2]>>,
    /// Throttle of the warning about unusable files. The files are read every minute, the warning
    /// is logged once an hour.
    unusable: LogThrottle,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// The files cannot be read or do not match; the error names the setting.
    pub fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let stamps = files.stamps().ok();
        let key = files.parse()?;
        Ok(Self {
            files: files.clone(),
            served: Arc::new(Served::new(key)),
            stamps: Mutex::new(stamps),
            unusable: LogThrottle::with_interval(HOURLY),
        })
    }

    /// The certificate that new handshakes use.
    pub fn served(&self) -> &Arc<Served> {
        &self.served
    }

    /// Whether the files could not be used at the last reading.
    pub fn is_unusable(&self) -> bool {
        let last = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none()
    }

    /// Reads the files again if they changed or could not be used the last time.
    pub fn refresh(&self) {
        let stamps = self.files.stamps().ok();
        let mut last = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some() && *last == stamps {
            return;
        }
        *last = stamps;
        match self.files.parse() {
            Ok(key) => {
                self.served.replace(key);
                tracing::info!("the certificate was renewed");
            }
            Err(error) => {
                *last = None;
                if let Some(count) = self.unusable.record() {
                    tracing::warn!(
                        %error,
                        count,
                        "the changed certificate cannot be used; the previous one stays in use"
                    );
                }
            }
        }
    }
}

/// Checks the files every [`CHECK_INTERVAL`] and whenever `reload` changes, until `reload` is
/// dropped. The caller has just read the files, so the first check is one interval later.
pub async fn watch(certificate: Arc<Certificate>, mut reload: Receiver<u64>) {
    let mut checks = interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = checks.tick() => {}
            changed = reload.changed() => if changed.is_err() {
                return;
            },
        }
        let certificate = certificate.clone();
        // The files may be on a slow network file system.
        let checked = tokio::task::spawn_blocking(move || certificate.refresh()).await;
        if let Err(error) = checked {
            tracing::error!(%error, "the files of the certificate cannot be checked");
        }
    }
}

impl CertificateFiles {
    /// Current versions of both files.
    fn stamps(&self) -> io::Result<[Stamp; 2]> {
        Ok([stamp(&self.certificate)?, stamp(&self.key)?])
    }

    /// Reads the certificate and the key, which must match.
    fn parse(&self) -> Result<CertifiedKey, CertificateError> {
        let [certificate, key] = self.settings;
        let wrong = |setting: &'static str, file: &Path, reason: String| CertificateError {
            setting,
            file: file.display().to_string(),
            reason,
        };
        let read = |setting, file: &Path| {
            fs::read(file).map_err(|error| wrong(setting, file, error.to_string()))
        };
        let chain = read(certificate, &self.certificate)?;
        let secret = read(key, &self.key)?;
        certified_key(&chain, &secret).map_err(|error| match error {
            PairError::Chain(_) | PairError::Mismatch(_) => {
                wrong(certificate, &self.certificate, error.to_string())
            }
            PairError::Key(_) => wrong(key, &self.key, error.to_string()),
        })
    }
}

/// Current version of a file; follows symbolic links.
fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    let times = [
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ];
    Ok((file.ino(), file.len(), times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    /// Writes a certificate for this name. Returns its bytes.
    fn write(files: &CertificateFiles, name: &str) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("made");
        replace(&files.certificate, &pem("CERTIFICATE", made.cert.der()));
        let key = made.signing_key.serialize_der();
        replace(&files.key, &pem("PRIVATE KEY", &key));
        made.cert.der().to_vec()
    }

    /// Bytes as PEM (RFC 7468).
    fn pem(label: &str, der: &[u8]) -> String {
        let base64 = base64::prelude::BASE64_STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    }

    /// Replaces a file as certbot does: a new file takes the name.
    fn replace(path: &Path, text: &str) {
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).expect("written");
        fs::rename(&fresh, path).expect("renamed");
    }

    fn served_bytes(certificate: &Certificate) -> Vec<u8> {
        let served = certificate.served.current();
        served.cert[0].to_vec()
    }

    fn files(directory: &tempfile::TempDir) -> CertificateFiles {
        CertificateFiles {
            settings: ["--tls", "--tls"],
            certificate: directory.path().join("cert.pem"),
            key: directory.path().join("key.pem"),
        }
    }

    #[test]
    fn a_renewed_certificate_is_served_and_a_broken_one_leaves_the_one_before() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = files(&directory);
        let first = write(&files, "one.example");
        let certificate = Certificate::read(&files).expect("readable");
        assert_eq!(served_bytes(&certificate), first);
        let second = write(&files, "two.example");
        certificate.refresh();
        assert_eq!(served_bytes(&certificate), second);
        for broken in ["", "rubbish", "-----BEGIN CERTIFICATE-----\nx"] {
            replace(&files.certificate, broken);
            certificate.refresh();
            assert_eq!(served_bytes(&certificate), second, "{broken}");
        }
        fs::remove_file(&files.certificate).expect("removed");
        certificate.refresh();
        assert_eq!(served_bytes(&certificate), second);
        // A certificate whose key is not there yet, as between two writes.
        let other = rcgen::generate_simple_self_signed(["x.example".to_owned()]).expect("made");
        replace(&files.certificate, &pem("CERTIFICATE", other.cert.der()));
        certificate.refresh();
        assert_eq!(served_bytes(&certificate), second);
        let third = write(&files, "three.example");
        certificate.refresh();
        assert_eq!(served_bytes(&certificate), third);
    }

    #[test]
    fn changed_access_rights_change_the_stamp_and_a_failed_reading_is_repeated() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let files = files(&directory);
        write(&files, "one.example");
        let certificate = Certificate::read(&files).expect("readable");
        let before = files.stamps().expect("there");
        // The clock of a file system ticks every few milliseconds.
        let changed = || {
            let rights = fs::Permissions::from_mode(0o640);
            fs::set_permissions(&files.key, rights).expect("ours");
            files.stamps().expect("there") != before
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while !changed() {
            assert!(std::time::Instant::now() < deadline, "the same stamp");
        }
        certificate.refresh();
        let stamps = || *certificate.stamps.lock().expect("held for a moment");
        assert!(stamps().is_some_and(|stamps| stamps != before));
        replace(&files.certificate, "rubbish");
        certificate.refresh();
        assert_eq!(stamps(), None, "the next check reads the files again");
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_checked_every_minute_and_on_a_reload() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = files(&directory);
        write(&files, "one.example");
        let certificate = Arc::new(Certificate::read(&files).expect("readable"));
        let (reload_sender, reload) = tokio::sync::watch::channel(0);
        let watching = tokio::spawn(watch(certificate.clone(), reload));
        let second = write(&files, "two.example");
        while served_bytes(&certificate) != second {
            tokio::time::sleep(CHECK_INTERVAL / 4).await;
        }
        let third = write(&files, "three.example");
        reload_sender.send_modify(|count| *count += 1);
        while served_bytes(&certificate) != third {
            tokio::task::yield_now().await;
        }
        drop(reload_sender);
        watching.await.expect("ends with the server");
    }
}
