//! What the database remembers of the retention, between two sweeps and over restarts.

use super::{
    StoreError,
    file::FileError,
    schema::{self, read_meta},
    schema_check,
};
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The key of the record.
const RECORD: &str = "sweep";
/// The key of the operator's confirmation: when it was given.
const CONFIRMED: &str = "sweep_confirmed";

/// What is remembered of the last sweeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SweepRecord {
    /// When the last one deleted by age, by the clock of the machine, in milliseconds since
    /// the Unix epoch.
    pub swept_at: Option<i64>,
    /// The one that waits, if one does.
    pub waiting: Option<WaitingSweep>,
}

/// A sweep that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSweep {
    /// Since when, by the clock of the machine, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// When it was last looked at, by the same clock.
    pub seen_ms: i64,
    /// Milliseconds the server has run meanwhile.
    pub ran_ms: i64,
}

/// What is remembered. A record that cannot be read counts as none.
pub fn read(connection: &Connection) -> Result<SweepRecord, StoreError> {
    let text = read_meta(connection, RECORD)?;
    let record = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(record.unwrap_or_default())
}

/// When the operator confirmed a sweep last, by the clock of the machine.
pub fn confirmed_at(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let text = read_meta(connection, CONFIRMED)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Remembers.
pub fn write(connection: &mut Connection, record: SweepRecord) -> Result<(), StoreError> {
    let text = serde_json::to_string(&record).unwrap_or_default();
    write_meta(connection, RECORD, &text)
}

/// Notes that the operator confirms a sweep: the clock is right at this time. A server may
/// run on the database.
///
/// # Errors
/// Any [`FileError`]; nothing was noted.
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

/// Writes one entry of the table of single values.
fn write_meta(connection: &mut Connection, key: &str, value: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let query = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    transaction.execute(query, params![key, value])?;
    Ok(transaction.commit()?)
}
