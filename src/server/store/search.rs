//! Finding words: an FTS5 index of pairs of letters.
//!
//! Korean and many other scripts put no space where a searcher's word ends, and words of
//! two syllables are common, so the index holds every two neighbouring letters of every
//! word ([`pairs`]): a part of a word of any length is found as a phrase of its pairs.
//! SQLite's own trigram tokenizer would need three letters.
//!
//! The index follows the messages: to keep up with each of them would cost as much as all the
//! rest of storing it. So they are put into it some at a time ([`index_more`]): when enough
//! wait, when nobody says anything, and before every search. What is in it is known by the
//! newest row it holds, as rows only ever get larger.

use super::{Page, StoreError, reader};
use crate::protocol::{RoomName, Seq};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// Letters of a search that count; what goes beyond is not looked at.
const MAX_QUERY_CHARS: usize = 100;
/// Stands between words, so that no phrase reaches from one into the next.
const BETWEEN_WORDS: &str = "\u{b7}";

/// The words of a text: lower case, cut at everything that is no letter or digit.
fn words(text: &str) -> Vec<Vec<char>> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| word.chars().collect()).collect()
}

/// What the index holds of a text: each word as its pairs of letters and its last letter.
fn pairs(text: &str) -> String {
    let mut tokens = Vec::new();
    for word in words(text) {
        tokens.extend(word.windows(2).map(|pair| pair.iter().collect::<String>()));
        tokens.extend(word.last().map(char::to_string));
        tokens.push(BETWEEN_WORDS.to_owned());
    }
    tokens.join(" ")
}

/// A search as FTS5 reads it: every word somewhere, in any order. Nothing where there is
/// no letter in it.
fn expression(query: &str) -> Option<String> {
    let short: String = query.chars().take(MAX_QUERY_CHARS).collect();
    let phrases: Vec<String> = words(&short)
        .iter()
        .map(|word| match word.as_slice() {
            [letter] => format!("\"{letter}\" *"),
            word => {
                let pairs = word.windows(2).map(|pair| pair.iter().collect::<String>());
                format!("\"{}\"", pairs.collect::<Vec<_>>().join(" "))
            }
        })
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(" AND "))
}

/// The newest row that is in the index.
fn newest_indexed(connection: &Connection) -> Result<i64, StoreError> {
    let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed'";
    let newest = connection
        .prepare_cached(query)?
        .query_row([], |row| row.get(0));
    Ok(newest.optional()?.unwrap_or(0))
}

/// Puts what a message says now in place of what it said before. One that is not in the
/// index yet comes into it as it is then.
pub fn index_again(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: i64,
    text: &str,
) -> Result<(), StoreError> {
    if id > newest_indexed(transaction)? {
        return Ok(());
    }
    let delete = "DELETE FROM words WHERE rowid = ?1";
    transaction.prepare_cached(delete)?.execute([id])?;
    index(transaction, room_id, id, text)
}

/// Puts a message into the index.
fn index(
    transaction: &Transaction<'_>,
    room_id: i64,
    id: i64,
    text: &str,
) -> Result<(), StoreError> {
    if !text.is_empty() {
        transaction
            .prepare_cached("INSERT INTO words (rowid, room, text) VALUES (?1, ?2, ?3)")?
            .execute(params![id, room_token(room_id), pairs(text)])?;
    }
    Ok(())
}

/// Puts the next messages into the index, at most `limit`, oldest first; answers how many
/// these were.
pub fn index_more(connection: &mut Connection, limit: usize) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut newest = newest_indexed(&transaction)?;
    let query = "SELECT id, room_id, text FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut count = 0;
    {
        let mut select = transaction.prepare_cached(query)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![newest, limit])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(2)?;
            newest = row.get(0)?;
            index(&transaction, row.get(1)?, newest, &text)?;
            count += 1;
        }
    }
    if count > 0 {
        let note = "INSERT OR REPLACE INTO meta (key, value) VALUES ('indexed', ?1)";
        transaction.prepare_cached(note)?.execute([newest])?;
    }
    transaction.commit()?;
    Ok(count)
}

/// Notes that the newest rows are gone: their numbers may be given again.
pub fn forget_newest(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let query = "UPDATE meta SET value = (SELECT coalesce(max(id), 0) FROM messages)
         WHERE key = 'indexed'
         AND CAST(value AS INTEGER) > (SELECT coalesce(max(id), 0) FROM messages)";
    transaction.prepare_cached(query)?.execute([])?;
    Ok(())
}

/// The newest messages of a room that hold every word of `query`, before `before`, newest
/// first.
pub fn search(
    connection: &Connection,
    room: &RoomName,
    query: &str,
    before: Option<Seq>,
    limit: u32,
) -> Result<Page, StoreError> {
    let Some(expression) = expression(query) else {
        return Ok(Page::default());
    };
    let Some(room_id) = reader::room_id(connection, room)? else {
        return Ok(Page::default());
    };
    let expression = format!(
        "room : \"{}\" AND text : ({expression})",
        room_token(room_id)
    );
    let query = format!(
        "SELECT {} FROM words JOIN messages ON messages.id = words.rowid
         WHERE words MATCH ?1 AND messages.room_id = ?2 AND seq < ?3
         ORDER BY seq DESC LIMIT ?4",
        reader::COLUMNS
    );
    let mut statement = connection.prepare_cached(&query)?;
    let rows = statement.query_map(
        params![
            expression,
            room_id,
            reader::seq_before(before),
            i64::from(limit) + 1
        ],
        reader::message,
    )?;
    let messages = rows.collect::<Result<Vec<_>, _>>()?;
    reader::with_reactions(connection, messages, limit)
}

/// The token by which the index knows a room.
fn room_token(room_id: i64) -> String {
    format!("r{room_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_pairs_and_a_search_phrases_of_them() {
        assert_eq!(pairs("Hey, you"), "he ey y \u{b7} yo ou u \u{b7}");
        assert_eq!(pairs("회의록"), "회의 의록 록 \u{b7}");
        assert_eq!(expression("회의").as_deref(), Some("\"회의\""));
        assert_eq!(expression("ab C").as_deref(), Some("\"ab\" AND \"c\" *"));
        assert_eq!(expression(" \"*() "), None);
    }
}
