//! Renames stored rooms whose names the current rules parse differently.
//!
//! A new version of the rules may normalise a name differently: another normal form, one space for
//! two. Such a room is renamed once, when the store is opened after the update, so that its former
//! address still leads to it. A room keeps its name if another room has the new one, or if the new
//! rules reject the name. Such a room can only be exported, swept and restored; the log says so.

use super::{StoreError, reader, schema::read_meta};
use crate::protocol::RoomName;
use rusqlite::{Connection, TransactionBehavior, params};

/// The version of the rules for names. Increment it with each change of [`RoomName::parse`] that
/// normalises an accepted name differently.
const RULE: &str = "1";
/// The key in `meta` of the version that the stored names follow.
const KEY: &str = "name_rule";

/// Renames each room to the parsed form of its stored name.
///
/// # Errors
/// The database failed; no room was renamed.
pub fn normalize(connection: &mut Connection) -> Result<(), StoreError> {
    if read_meta(connection, KEY)?.as_deref() == Some(RULE) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut renamed, mut left) = (0, 0);
    for (id, stored) in stored_names(&transaction)? {
        match RoomName::parse(&stored) {
            Ok(typed) if typed.as_str() == stored => {}
            Ok(typed) => {
                let rename = "UPDATE OR IGNORE rooms SET name = ?1 WHERE id = ?2";
                let changed = transaction.execute(rename, params![typed.as_str(), id])?;
                renamed += changed;
                left += 1 - changed;
            }
            Err(_) => left += 1,
        }
    }
    let note = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    transaction.execute(note, params![KEY, RULE])?;
    transaction.commit()?;
    if renamed + left > 0 {
        tracing::warn!(
            renamed,
            left,
            "renamed {renamed} rooms to the form of their name that people type; {left} can only be exported"
        );
    }
    Ok(())
}

/// The row ids and names of all rooms.
fn stored_names(connection: &Connection) -> Result<Vec<(i64, String)>, StoreError> {
    let mut select = connection.prepare("SELECT id, name FROM rooms ORDER BY id")?;
    let rows = select.query_map([], |row| {
        Ok((row.get("id")?, reader::stored_text(row, "name")?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    /// The names of the rooms of a database with these rooms after [`normalize`].
    fn normalized(names: &[&str]) -> Vec<String> {
        let mut connection = Connection::open_in_memory().expect("opens");
        schema::migrate(&mut connection).expect("migrates");
        for name in names {
            let insert = "INSERT INTO rooms (name, epoch, seq) VALUES (?1, 'e', 0)";
            connection.execute(insert, [name]).expect("a room");
        }
        normalize(&mut connection).expect("normalised");
        let names = stored_names(&connection).expect("names");
        names.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn a_room_with_a_former_name_is_found_by_the_name_that_people_type() {
        let decomposed = "\u{1112}\u{116C}\u{110B}\u{1174}\u{1109}\u{1175}\u{11AF}";
        assert_eq!(
            normalized(&["team", "a\u{a0}b  c", decomposed]),
            ["team", "a b c", "회의실"]
        );
    }

    #[test]
    fn a_room_keeps_its_name_if_the_new_one_is_taken_or_invalid() {
        let names = ["a b", "a  b", "\u{200B}"];
        assert_eq!(normalized(&names), names);
    }
}
