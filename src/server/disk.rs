//! How much space is left where the data is.

use std::{io, path::Path};

/// Bytes that are free on the file system of a path, for whom we run as.
///
/// # Errors
/// The path is gone.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
