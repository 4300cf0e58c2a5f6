//! Free space on the file system of the data directory, and sizes as people write them.

use std::{io, path::Path};

/// Free bytes below which the disk counts as full, unless the configured reserve is larger. 2 MiB:
/// the write-ahead log grows before a checkpoint.
pub const MIN_FREE_BYTES: u64 = 2 * 1024 * 1024;

/// Free bytes on the file system of a path, for the user of this process.
///
/// # Errors
/// The path does not exist or cannot be read.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A number of bytes: "512 B", "1.5 MiB".
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1000.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}
