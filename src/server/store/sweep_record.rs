//! The record of sweeps and the operator's confirmation, stored in `meta` over restarts.

use super::{
    StoreError,
    file::FileError,
    schema::{self, read_meta},
    schema_check,
};
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The key of the record in `meta`.
const RECORD: &str = "sweep";
/// The key of the time of the operator's confirmation in `meta`.
const CONFIRMED: &str = "sweep_confirmed";

/// The record of the last sweeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SweepRecord {
    /// When the last sweep deleted by age, by the wall clock, in milliseconds since the Unix epoch.
    pub swept_at: Option<i64>,
    /// The waiting sweep, if there is one.
    pub waiting: Option<WaitingSweep>,
}

/// A sweep that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSweep {
    /// The start of the wait, by the wall clock, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// The last check of the wait, by the same clock.
    pub seen_ms: i64,
    /// How long the server has run during the wait, in milliseconds.
    pub ran_ms: i64,
}

/// Reads the record. An unreadable record counts as none.
pub fn read(connection: &Connection) -> Result<SweepRecord, StoreError> {
    let text = read_meta(connection, RECORD)?;
    let record = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(record.unwrap_or_default())
}

/// The time of the last confirmation, by the wall clock, in milliseconds since the Unix epoch.
pub fn confirmed_at(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let text = read_meta(connection, CONFIRMED)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Stores the record.
pub fn write(connection: &mut Connection, record: SweepRecord) -> Result<(), StoreError> {
    let text = serde_json::to_string(&record).unwrap_or_default();
    write_meta(connection, RECORD, &text)
}

/// Stores the operator's confirmation that the clock is right at `now_ms`. A server may run on the
/// database.
///
/// # Errors
/// Any [`FileError`]; nothing was stored.
pub fn confirm_sweep(database: &Path, now_ms: i64) -> Result<(), FileError> {
    if !database.exists() {
        return Err(FileError::NoDatabase(database.to_owned()));
    }
    let confirm = || {
        let mut connection = schema::connect(database)?;
        schema_check::check_schema(&connection)?;
        write_meta(&mut connection, CONFIRMED, &now_ms.to_string())
    };
    confirm().map_err(FileError::database(database))
}

/// Writes one entry of `meta`.
fn write_meta(connection: &mut Connection, key: &str, value: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let query = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    transaction.execute(query, params![key, value])?;
    Ok(transaction.commit()?)
}
