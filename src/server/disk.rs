//! Free space on the file system of the data directory.

use std::{io, path::Path};

/// Free bytes on the file system of a path, for the user of this process.
///
/// # Errors
/// The path does not exist or cannot be read.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
